"""Dtypes that the user asked for: what becomes of them, and a warning if that is something else."""

from __future__ import annotations

from typing import Any

from fornax import settings
from fornax.errors import message
from fornax.ir import source
from fornax.scalars import dtypes

_PYTHON = (bool, int, float, complex)  # ask for the default width


def requested(dtype: Any, default: Any = None) -> dtypes.Dtype:
    """`dtype`, or `default` for None, as arrays can have it: 64 bits become 32 without x64.

    Warns (UserWarning, at the user's line) if `dtype` names a type of 64 bits and that happens;
    Python's `int`, `float` and `complex` name no width.
    """
    if dtype is None:
        return dtypes.canonical(default)
    narrowed = dtypes.canonical(dtype)
    if settings.current().x64 or (isinstance(dtype, type) and dtype in _PYTHON):
        return narrowed
    wide = dtypes.as_dtype(dtype)
    if wide != narrowed:
        name, _ = source.outermost()
        place = "" if name.startswith("_") else f" requested in {name}"
        source.warn(
            message(
                f"Explicitly requested dtype {wide.name}{place} is not available, and "
                f"will be truncated to dtype {narrowed.name}.",
                why="numbers have at most 32 bits unless jax_enable_x64 is set",
                attempt=f"{narrowed.name}, or set jax_enable_x64 (JAX_ENABLE_X64)",
            )
        )
    return narrowed
