"""Signs and absolute values."""

from __future__ import annotations

import numpy as np

from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.numpy.promotion import align, as_dtype, as_value, check, concrete_form, promote_inexact
from fornax.numpy.ufuncs.publishing import ufunc
from fornax.numpy.ufuncs.tables import equal, less, negative, not_equal
from fornax.primitives.select import where as select_where
from fornax.scalars import dtypes

__all__ = [
    "abs",
    "absolute",
    "bitwise_count",
    "copysign",
    "fabs",
    "heaviside",
    "positive",
    "sign",
    "signbit",
]


@ufunc
def absolute(x, /):
    """|x|; real for complex numbers."""
    check("absolute", x)
    dtype = typeof(x).dtype
    if dtype == dtypes.bool_ or dtypes.is_unsigned_integer(dtype):
        return as_value(x)
    return REGISTRY["abs"].bind(x)[0]


@ufunc
def fabs(x, /):
    """|x| in floating point."""
    check("fabs", x)
    return REGISTRY["abs"].bind(*promote_inexact(x))[0]


@ufunc
def positive(x, /):
    """x itself."""
    check("positive", x)
    return as_value(concrete_form(x))


@ufunc
def sign(x, /):
    """-1, 0 or 1; NaN stays NaN; x/|x| for complex numbers."""
    check("sign", x)
    return REGISTRY["sign"].bind(x)[0]


@ufunc
def signbit(x, /):
    """True where the sign bit is set (also for -0.0)."""
    check("signbit", x)
    dtype = typeof(x).dtype
    if dtype == dtypes.bool_ or dtypes.is_unsigned_integer(dtype):
        return not_equal(x, x)
    if not dtypes.is_inexact(dtype):
        return less(x, np.zeros((), dtype)[()])
    if dtype.itemsize == 1:  # where the sign is, and whether there is one, differs
        dtype, x = dtypes.float32, as_dtype(x, dtypes.float32)
    integer = np.dtype(f"int{dtype.itemsize * 8}")
    bits = REGISTRY["bitcast_convert_type"].bind(x, new_dtype=integer)[0]
    return less(bits, np.zeros((), integer)[()])


@ufunc
def copysign(x, y, /):
    """|x| with the sign of y."""
    check("copysign", x, y)
    x, y = align(*promote_inexact(x, y))
    return select_where(signbit(y), negative(absolute(x)), absolute(x))


@ufunc
def heaviside(x, y, /):
    """0 where x < 0, y where x == 0, 1 where x > 0."""
    check("heaviside", x, y)
    x, y = align(*promote_inexact(x, y))
    one, zero = as_dtype(1, typeof(x).dtype), as_dtype(0, typeof(x).dtype)
    step = select_where(less(x, 0), zero, select_where(equal(x, 0), y, one))
    return select_where(not_equal(x, x), x, step)


@ufunc
def bitwise_count(x, /):
    """The number of bits set in |x|, as uint8."""
    check("bitwise_count", x)
    if typeof(x).dtype == np.bool_:
        x = as_dtype(x, np.dtype(np.uint8))
    count = REGISTRY["population_count"].bind(absolute(x))[0]
    return as_dtype(count, np.dtype(np.uint8))


abs = absolute  # noqa: A001
