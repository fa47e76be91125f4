"""What the functions of all distributions have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fornax import numpy as fnp
from fornax.numpy.promotion import as_dtype, check, promote_inexact

__all__ = ["exponential_of", "numbers", "outside"]


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


def exponential_of(logarithm: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose logarithm `logarithm` gives, of the same arguments: pdf of logpdf."""

    @functools.wraps(logarithm)
    def function(*args: Any, **kwargs: Any) -> Any:
        return fnp.exp(logarithm(*args, **kwargs))

    function.__name__ = logarithm.__name__.removeprefix("log")
    function.__qualname__ = function.__name__
    function.__doc__ = (logarithm.__doc__ or "").replace("The logarithm of the", "The", 1)
    return function
