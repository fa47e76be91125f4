"""What the functions of all distributions do with their arguments."""

from __future__ import annotations

from typing import Any

from fornax import numpy as fnp
from fornax.numpy.promotion import as_dtype, check, promote_inexact

__all__ = ["numbers", "outside"]


def numbers(name: str, *values: Any, strong: bool = False) -> list[Any]:
    """The arguments of a function as arrays of one inexact dtype. Raises TypeError for others.

    strong: even where integers meet Python's numbers; which functions that are is JAX's choice.
    """
    check(name, *values)
    arrays = [fnp.asarray(x) for x in promote_inexact(*values)]
    return [as_dtype(x, x.dtype) for x in arrays] if strong else arrays


def outside(q: Any) -> Any:
    """Where q is no probability."""
    return fnp.isnan(q) | (q < 0) | (q > 1)
