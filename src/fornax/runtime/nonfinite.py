"""The settings `debug_nans` and `debug_infs`: who made the first NaN or infinity.

Results are looked at when they exist. Where the program that made them was compiled as a whole, it
runs once more by the references of its operations, one after another, until one gives such a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import settings, source
from fornax.errors import message
from fornax.ir.jaxpr import Equation, Jaxpr, subprograms
from fornax.ir.primitive import Primitive
from fornax.ir.types import typeof
from fornax.primitives.arrange import apply_reference, run_reference, watching
from fornax.runtime.values import stored, to_numpy
from fornax.scalars import dtypes
from fornax.transforms.physical import physical

__all__ = ["check_operation", "check_program", "wanted"]


def wanted(current: settings.Settings) -> bool:
    """Whether results are to be looked at."""
    return current.debug_nans or current.debug_infs


def _found(arrays: Sequence[Any]) -> str:
    """ "nan" or "inf" if an array has one that the settings forbid, else ""."""
    current = settings.current()
    for x in arrays:
        x = np.asarray(x)
        if not dtypes.is_inexact(x.dtype):
            continue
        if current.debug_nans and np.isnan(x).any():
            return "nan"
        if current.debug_infs and np.isinf(x).any():
            return "inf"
    return ""


def _error(kind: str, name: str, where: source.Source | None) -> FloatingPointError:
    return FloatingPointError(
        message(
            f"invalid value ({kind}) encountered in {name}",
            where=str(where or source.here() or "unknown"),
            why=f"a result has {'NaN' if kind == 'nan' else 'infinities'}, and the setting "
            f"debug_{kind}s is on",
            attempt=f"guard the operands, or debug_{kind}s(False) where such values are meant",
        )
    )


def _first(run: Callable[[], Any]) -> None:
    """Run NumPy references; raise for the first operation with a bad result."""

    def look(equation: Equation, results: Sequence[Any]) -> None:
        kind = _found(results)
        if kind:
            raise _error(kind, equation.primitive.name, equation.source)

    with watching(look), np.errstate(all="ignore"):
        run()


def check_operation(
    primitive: Primitive, operands: Sequence[Any], params: dict[str, Any], results: Sequence[Any]
) -> None:
    """Raise FloatingPointError if the results of an operation on values have what is forbidden."""
    kind = _found([stored(x) for x in results])
    if not kind:
        return
    if next(subprograms(params), None) is not None:
        arrays = [to_numpy(x, typeof(x)) for x in operands]
        _first(lambda: apply_reference(primitive, arrays, params))
    raise _error(kind, primitive.name, None)


def check_program(name: str, jaxpr: Jaxpr, leaves: Sequence[Any], results: Sequence[Any]) -> None:
    """Raise FloatingPointError if the results of a compiled program have what is forbidden."""
    kind = _found([stored(x) for x in results])
    if not kind:
        return
    if any(getattr(x, "is_deleted", bool)() for x in leaves):  # donated arguments are gone
        raise _error(kind, f"jit({name})", None)
    arrays = [to_numpy(x, typeof(x)) for x in leaves]
    origin = "an input" if _found(arrays) else "a literal or constant"
    if origin != "an input":
        _first(lambda: run_reference(physical(jaxpr), arrays))
    text = f"jit({name}); the de-optimized function did not make it, {origin} has it"
    raise _error(kind, text, None)
