"""Dtypes that the user asked for: what becomes of them, and a warning if that is something else."""

from __future__ import annotations

from typing import Any

from fornax import settings, source
from fornax.errors import message
from fornax.scalars import dtypes

_PYTHON = (bool, int, float, complex)  # ask for the default width


def requested(dtype: Any, default: Any = None) -> dtypes.Dtype:
    """`dtype`, or `default` for None, as arrays can have it: 64 bits become 32 without x64.

    Warns (UserWarning, at the user's line) if `dtype` names a type of 64 bits and that happens;
    Python's `int`, `float` and `complex` name no width.
    """
    if dtype is None:
        return dtypes.canonical(default)
    known = dtypes.computable(dtype)
    if known is None:
        raise TypeError(
            source.located(
                "JAX only supports number and bool dtypes, got dtype "
                f"{dtypes.as_dtype(dtype)}{_place()}",
                "arrays hold booleans, integers, floats of at most 64 bits or complex numbers",
                "a dtype such as 'float32'; keep text, dates and objects in NumPy",
            )
        )
    narrowed = dtypes.canonical(known)
    if settings.current().x64 or (isinstance(dtype, type) and dtype in _PYTHON):
        return narrowed
    wide = known
    if wide != narrowed:
        source.warn(
            message(
                f"Explicitly requested dtype {wide.name}{_place(' requested')} is not "
                f"available, and will be truncated to dtype {narrowed.name}.",
                why="numbers have at most 32 bits unless jax_enable_x64 is set",
                attempt=f"{narrowed.name}, or set jax_enable_x64 (JAX_ENABLE_X64)",
            )
        )
    return narrowed


def _place(before: str = "") -> str:
    """ " in zeros": where it was asked for, if that has a name."""
    name, _ = source.outermost()
    return "" if name.startswith(("_", "<")) else f"{before} in {name}"
