"""Writes recorded/<subject>.json: what JAX gives for `surface_cases.py`. Needs jax 0.10.2.

With an argument, writes all anew into the folder of that name; without, adds what is missing.
"""

import json
import pathlib
import sys
import warnings

import jax
import jax.example_libraries.optimizers
import jax.example_libraries.stax
import jax.scipy.fft
import jax.scipy.sparse.linalg
import jax.scipy.stats
import numpy
from surface_cases import SUBJECTS, evaluate, mentioned

FOLDER = pathlib.Path(*sys.argv[1:2] or [pathlib.Path(__file__).parent / "recorded"])


def encoded(x):
    """One leaf: [dtype, weak, shape, values], or the text of what is no array."""
    if not isinstance(x, jax.Array):
        return repr(x) if not isinstance(x, numpy.ndarray | numpy.generic) else repr(x.tolist())
    values = numpy.asarray(x).ravel()
    if x.dtype.kind == "c":
        values = values.view(numpy.float32 if x.dtype.itemsize == 8 else numpy.float64)
    if values.dtype.kind not in "biu" and not x.dtype.name.endswith("int4"):
        values = [float(f"{v:.9g}") for v in values.astype(numpy.float64).tolist()]
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
    jax.eval_shape(lambda arrays: evaluate(line, jax, arrays), mentioned(line))
    return []


def recorded(line):
    arrays = {k: jax.numpy.asarray(v) for k, v in mentioned(line).items()}
    eager = outcome(lambda: evaluate(line, jax, arrays))
    found = {"eager": eager}
    if arrays and not isinstance(eager, str):
        compiled = outcome(lambda: jitted(line))
        if isinstance(compiled, str):
            found["jit"] = compiled
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    for subject, lines in SUBJECTS.items():
        place = FOLDER / f"{subject}.json"
        old = json.loads(place.read_text()) if place.exists() else {}
        found = {line: old.get(line) or recorded(line) for line in lines}
        rows = [
            f"{json.dumps(line)}: {json.dumps(v, separators=(',', ':'))}"
            for line, v in found.items()
        ]
        place.write_text("{\n" + ",\n".join(rows) + "\n}\n")
        print(subject, len(found), place.stat().st_size)
