"""What the special functions of one real number share: Chebyshev series, exact squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax import numpy as fnp
from fornax.ir.types import typeof
from fornax.numpy.promotion import as_dtype, check, promote_inexact
from fornax.scalars import dtypes
from fornax.source import located

__all__: list[str] = []


def real(name: str, *args: Any) -> list[Any]:
    """Arguments as floats of one dtype. Raises ValueError for complex ones."""
    check(name, *args)
    args = [fnp.asarray(x) for x in promote_inexact(*args)]
    if dtypes.is_complex(typeof(args[0]).dtype):
        raise ValueError(
            located(
                f"{name} does not support complex-valued inputs.",
                attempt=f"{name} of x.real, if x is real",
            )
        )
    return args


def widened(x: Any) -> Any:
    """Small floats as float32, in which the functions compute."""
    return as_dtype(x, dtypes.float32) if typeof(x).dtype.itemsize < 4 else x


def rounded(x: Any, like: Any) -> Any:
    return as_dtype(x, typeof(like).dtype)


def chebyshev(coefficients: Sequence[float], t: Any) -> Any:
    """The sum of coefficients[k] T_k(t), by Clenshaw's recurrence.

    t: float32 or float64, taken for -1 or 1 where it lies outside. Terms that float32 does not see
    are left out there.
    """
    if typeof(t).dtype == dtypes.float32:
        least = max(map(abs, coefficients)) * 2.0**-28
        while abs(coefficients[-1]) < least:
            coefficients = coefficients[:-1]
    t = fnp.clip(t, -1, 1)
    twice = fnp.multiply(2, t)
    last: Any = 0.0
    before: Any = 0.0
    for c in reversed(coefficients[1:]):
        last, before = fnp.add(fnp.subtract(fnp.multiply(twice, last), before), c), last
    return fnp.add(fnp.subtract(fnp.multiply(t, last), before), coefficients[0])


def square_in_two(x: Any) -> tuple[Any, Any]:
    """x² as a rounded number and the rest. x must not be so large that x² overflows."""
    square = fnp.multiply(x, x)
    factor = 4097.0 if typeof(x).dtype == dtypes.float32 else 134217729.0
    scaled = fnp.multiply(x, factor)
    high = fnp.subtract(scaled, fnp.subtract(scaled, x))
    low = fnp.subtract(x, high)
    rest = fnp.add(fnp.subtract(fnp.multiply(high, high), square),
                   fnp.multiply(fnp.multiply(2, high), low))  # fmt: skip
    return square, fnp.add(rest, fnp.multiply(low, low))
