"""NaN and infinity: which elements are, and the larger and smaller of what is not."""

from __future__ import annotations

import numpy as np

from fornax.ir.basis import zeros
from fornax.ir.primitive import REGISTRY
from fornax.ir.types import ArrayType, typeof
from fornax.numpy.promotion import align, check, promote_dtypes
from fornax.numpy.ufuncs.publishing import ufunc
from fornax.numpy.ufuncs.signs import absolute
from fornax.numpy.ufuncs.tables import equal, greater, less, logical_and, logical_or, not_equal
from fornax.primitives.select import where as select_where
from fornax.scalars import dtypes

__all__ = ["fmax", "fmin", "isfinite", "isinf", "isnan", "isneginf", "isposinf"]


def infinity(dtype):
    """Infinity of a dtype, not weakly typed: nor are comparisons with it."""
    return np.asarray(np.inf, dtype)[()]


def nowhere(x):
    """False for every element."""
    return zeros(ArrayType(typeof(x).shape, dtypes.bool_))


@ufunc
def isnan(x, /):
    """True where x is not a number."""
    check("isnan", x)
    return not_equal(x, x)


@ufunc
def isfinite(x, /):
    """True where x is neither infinite nor NaN."""
    check("isfinite", x)
    dtype = typeof(x).dtype
    if dtypes.is_complex(dtype):
        return logical_and(*(isfinite(REGISTRY[p].bind(x)[0]) for p in ("real", "imag")))
    if dtypes.is_inexact(dtype):
        return REGISTRY["is_finite"].bind(x)[0]
    return equal(x, x)


@ufunc
def isinf(x, /):
    """True where x is infinite."""
    check("isinf", x)
    dtype = typeof(x).dtype
    if dtypes.is_complex(dtype):
        return logical_or(*(isinf(REGISTRY[p].bind(x)[0]) for p in ("real", "imag")))
    if dtypes.is_inexact(dtype):
        return equal(absolute(x), infinity(dtype))
    return nowhere(x)


@ufunc(static="out")
def isposinf(x, /, out=None):
    """True where x is +infinity."""
    check("isposinf", x)
    dtype = typeof(x).dtype
    return equal(x, infinity(dtype)) if dtypes.is_inexact(dtype) else nowhere(x)


@ufunc(static="out")
def isneginf(x, /, out=None):
    """True where x is -infinity."""
    check("isneginf", x)
    dtype = typeof(x).dtype
    return equal(x, -infinity(dtype)) if dtypes.is_inexact(dtype) else nowhere(x)


@ufunc
def fmax(x1, x2):
    """The larger of x1 and x2; a number wins over NaN."""
    x, y = align(*promote_dtypes(x1, x2))
    return select_where(logical_or(greater(x, y), isnan(y)), x, y)


@ufunc
def fmin(x1, x2):
    """The smaller of x1 and x2; a number wins over NaN."""
    x, y = align(*promote_dtypes(x1, x2))
    return select_where(logical_or(less(x, y), isnan(y)), x, y)
