"""How what jax gives for a case is written down. Needs jax; the recorders of the rooms share it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy


def encoded(x: Any) -> Any:
    """One leaf: [dtype, weak, shape, values], or the text of what is no array."""
    if not isinstance(x, jax.Array):
        return repr(x) if not isinstance(x, numpy.ndarray | numpy.generic) else repr(x.tolist())
    values = numpy.asarray(x).ravel()
    if x.dtype.kind == "c":
        values = values.view(numpy.float32 if x.dtype.itemsize == 8 else numpy.float64)
    if not jax.dtypes.issubdtype(x.dtype, numpy.integer) and x.dtype != bool:
        values = [float(f"{v:.9g}") for v in values.astype(numpy.float64).tolist()]
    else:
        values = values.tolist()
    return [x.dtype.name, bool(x.weak_type), list(x.shape), values]


def outcome(function: Callable[[], Any]) -> Any:
    """[leaves] of what `function` returns, or the name of the class of error it raises."""
    try:
        return [encoded(x) for x in jax.tree.leaves(function())]
    except Exception as error:
        return type(error).__name__


def recorded(evaluate: Callable[[Mapping[str, Any]], Any], arguments: Mapping[str, Any]) -> dict:
    """What a case gives: eagerly, and the error under jit where tracing alone raises another."""
    arrays = {name: jax.numpy.asarray(value) for name, value in arguments.items()}
    eager = outcome(lambda: evaluate(arrays))
    found = {"eager": eager}
    traced = outcome(lambda: _traced(evaluate, arguments))
    if isinstance(traced, str) and traced != eager:
        found["jit"] = traced
    return found


def _traced(evaluate: Callable[[Mapping[str, Any]], Any], arguments: Mapping[str, Any]) -> list:
    """Nothing: the outcome under jit is an error, or as without, and tracing alone tells."""
    jax.eval_shape(evaluate, dict(arguments))
    return []


def read(place: Path) -> dict[str, Any]:
    """What was recorded before: it stays; remove the file to record all anew."""
    return json.loads(place.read_text()) if place.exists() else {}


def write(place: Path, found: Mapping[str, Any]) -> None:
    """A case on each line."""
    rows = [
        f"{json.dumps(line)}: {json.dumps(value, separators=(',', ':'))}"
        for line, value in found.items()
    ]
    place.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    print(place.stem, len(found), "cases,", place.stat().st_size, "bytes")
