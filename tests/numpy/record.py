"""Writes recorded.json: what jax.numpy gives for `numpy_cases.py`. Needs jax 0.10.2.

With an argument, writes all anew into the folder of that name.
"""

import json
import pathlib
import sys
import warnings

import jax
from numpy_cases import cases, evaluate, mentioned

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import recording

PLACE = pathlib.Path(*sys.argv[1:2] or [pathlib.Path(__file__).parent]) / "recorded.json"
DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "complex64 complex128"
).split()
PYTHON = {"weak bool": True, "weak int": 1, "weak float": 1.0, "weak complex": 1j}


def recorded(line):
    return recording.recorded(lambda arrays: evaluate(line, jax.numpy, arrays), mentioned(line))


def promotions():
    """The dtype and weakness of what functions of two arguments give: tracing alone tells."""
    found = {}
    for x64 in (False, True):
        with jax.enable_x64(x64):
            values = {name: jax.numpy.ones((), name) for name in DTYPES} | PYTHON
            for left, a in values.items():
                for right, b in values.items():
                    for name in ("add", "divide", "where"):
                        operands = (True, a, b) if name == "where" else (a, b)
                        result = jax.eval_shape(getattr(jax.numpy, name), *operands)
                        key = f"{name} {'x64' if x64 else 'x32'} {left}, {right}"
                        found[key] = [result.dtype.name, bool(result.weak_type)]
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    old = recording.read(PLACE)
    recording.write(PLACE, {line: old.get(line) or recorded(line) for _, line in cases()})
    place = PLACE.with_name("promotions.json")
    place.write_text(json.dumps(promotions(), indent=0, separators=(",", ":")) + "\n")
    print(place.stat().st_size, "bytes")
