"""Writes recorded.json: what jax.numpy gives for `numpy_cases.py`. Needs jax 0.10.2.

With an argument, writes all anew into the folder of that name.
"""

import json
import pathlib
import sys
import warnings

import jax
import numpy
from numpy_cases import cases, evaluate, mentioned

PLACE = pathlib.Path(*sys.argv[1:2] or [pathlib.Path(__file__).parent]) / "recorded.json"
DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "complex64 complex128"
).split()
PYTHON = {"weak bool": True, "weak int": 1, "weak float": 1.0, "weak complex": 1j}


def encoded(x):
    """One leaf: [dtype, weak, shape, values], or the text of what is no array."""
    if not isinstance(x, jax.Array):
        return repr(x) if not isinstance(x, numpy.ndarray | numpy.generic) else repr(x.tolist())
    values = numpy.asarray(x).ravel()
    if x.dtype.kind == "c":
        values = values.view(numpy.float32 if x.dtype.itemsize == 8 else numpy.float64)
    if values.dtype.kind not in "biu":
        values = [float(f"{v:.9g}") for v in values.tolist()]
    else:
        values = values.tolist()
    return [x.dtype.name, bool(x.weak_type), list(x.shape), values]


def outcome(function):
    """[leaves] of what `function` returns, or the name of the class of error it raises."""
    try:
        return [encoded(x) for x in jax.tree.leaves(function())]
    except Exception as error:
        return type(error).__name__


def jitted(line):
    """The outcome under jit is an error, or as without: tracing alone tells."""
    jax.eval_shape(lambda arrays: evaluate(line, jax.numpy, arrays), mentioned(line))
    return []


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


def save(found):
    rows = [
        f"{json.dumps(line)}: {json.dumps(found[line], separators=(',', ':'))}"
        for _, line in cases()
        if line in found
    ]
    PLACE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = {}
    if PLACE.exists():  # what was recorded stays: remove the file to record all anew
        found = json.loads(PLACE.read_text())
    for _, line in cases():
        if line in found:
            continue
        arrays = {k: jax.numpy.asarray(v) for k, v in mentioned(line).items()}
        eager = outcome(lambda: evaluate(line, jax.numpy, arrays))  # noqa: B023
        compiled = outcome(lambda: jitted(line))  # noqa: B023
        found[line] = {"eager": eager}
        if isinstance(compiled, str) and compiled != eager:
            found[line]["jit"] = compiled
        if len(found) % 50 == 0:
            save(found)
    save(found)
    print(f"{len(found)} cases, {PLACE.stat().st_size} bytes")
    place = PLACE.with_name("promotions.json")
    place.write_text(json.dumps(promotions(), indent=0, separators=(",", ":")) + "\n")
    print(place.stat().st_size, "bytes")
