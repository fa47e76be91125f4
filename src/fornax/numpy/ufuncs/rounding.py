"""Rounding to integers and to decimals."""

from __future__ import annotations

from typing import Any

from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.numpy.promotion import as_dtype, as_value, check, concrete_form, promote_inexact
from fornax.numpy.ufuncs.publishing import ufunc
from fornax.numpy.ufuncs.tables import divide, less, multiply
from fornax.primitives.select import where as select_where
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["around", "ceil", "floor", "rint", "round", "trunc"]


@ufunc
def floor(x, /):
    """The largest integer <= x."""
    check("floor", x)
    return REGISTRY["floor"].bind(x)[0] if dtypes.is_inexact(typeof(x).dtype) else as_value(x)


@ufunc
def ceil(x, /):
    """The smallest integer >= x."""
    check("ceil", x)
    return REGISTRY["ceil"].bind(x)[0] if dtypes.is_inexact(typeof(x).dtype) else as_value(x)


@ufunc
def trunc(x):
    """x without its fractional part."""
    check("trunc", x)
    if not dtypes.is_inexact(typeof(x).dtype):
        return as_value(x)
    return select_where(less(x, 0), ceil(x), floor(x))


@ufunc
def rint(x, /):
    """The nearest integer, ties to even; in floating point."""
    check("rint", x)
    return round_even(*promote_inexact(concrete_form(x)))


def round_even(x: Any) -> Any:  # rounding method 1: to nearest, ties to even
    if dtypes.is_complex(typeof(x).dtype):
        parts = [REGISTRY[part].bind(x)[0] for part in ("real", "imag")]
        return REGISTRY["complex"].bind(*map(round_even, parts))[0]
    return REGISTRY["round"].bind(x, rounding_method=1)[0]


@ufunc(static="decimals out")
def round(a, decimals=0, out=None):  # noqa: A001
    """a rounded to `decimals` places, ties to even."""
    check("round", a)
    if out is not None:
        raise NotImplementedError(
            located(
                "round: the 'out' argument is not supported: arrays do not change",
                attempt="x = numpy.round(x)",
            )
        )
    dtype = typeof(a).dtype
    if not dtypes.is_inexact(dtype):
        if decimals < 0:
            raise NotImplementedError(
                located(
                    "integer rounding not implemented for decimals < 0",
                    attempt="x // 100 * 100 for decimals=-2, or x.astype(float)",
                )
            )
        return as_value(a)
    if decimals == 0:
        return round_even(a)
    factor = as_dtype(10.0**decimals, dtypes.real_dtype(dtype))
    return divide(round_even(multiply(a, factor)), factor)


around = round
