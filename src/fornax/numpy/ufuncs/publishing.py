"""How elementwise functions are made public, and what their promotions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fornax.api.eager import eager
from fornax.ir.types import typeof
from fornax.numpy.promotion import as_dtype, promote_dtypes
from fornax.scalars import dtypes

__all__ = ["numbers", "ufunc"]


def ufunc(function: Callable | None = None, *, static: str = "") -> Any:
    """A function of `fornax.numpy` with the dispatch of eager calls; see `api.eager`."""
    if function is None:
        return lambda function: ufunc(function, static=static)
    made = eager(function, static=static)
    made.__module__ = "fornax.numpy"
    return made


def numbers(*args: Any) -> list[Any]:
    """Joint dtype; bool becomes int32 for operations that need numbers."""
    args = promote_dtypes(*args)
    if typeof(args[0]).dtype == dtypes.bool_:
        args = [as_dtype(x, dtypes.canonical(dtypes.int32)) for x in args]
    return args
