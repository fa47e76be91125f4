"""Division with remainder."""

from __future__ import annotations

from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.numpy.promotion import align, check
from fornax.numpy.ufuncs.publishing import numbers, ufunc
from fornax.numpy.ufuncs.rounding import round_even
from fornax.numpy.ufuncs.signs import sign
from fornax.numpy.ufuncs.tables import add, equal, less, logical_and, not_equal, subtract
from fornax.primitives.select import where as select_where
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["divmod", "floor_divide", "fmod", "mod", "remainder"]


@ufunc
def floor_divide(x, y, /):
    """The largest integer <= x / y. Division of integers by 0 gives what the hardware type can."""
    check("floor_divide", x, y)
    x, y = align(*numbers(x, y))
    dtype = typeof(x).dtype
    div = REGISTRY["div"]
    if dtypes.is_complex(dtype):
        raise TypeError(
            located(
                "floor_divide does not support complex-valued inputs",
                attempt="floor_divide of the real parts",
            )
        )
    if dtypes.is_unsigned_integer(dtype):
        return div.bind(x, y)[0]
    if dtypes.is_signed_integer(dtype):
        q = div.bind(x, y)[0]
        off = logical_and(not_equal(sign(x), sign(y)), not_equal(REGISTRY["rem"].bind(x, y)[0], 0))
        return select_where(off, subtract(q, 1), q)
    remainder_part = REGISTRY["rem"].bind(x, y)[0]
    q = div.bind(*align(subtract(x, remainder_part), y))[0]
    off = logical_and(not_equal(remainder_part, 0), not_equal(less(remainder_part, 0), less(y, 0)))
    q = round_even(select_where(off, subtract(q, 1), q))
    return select_where(equal(y, 0), div.bind(x, y)[0], q)


@ufunc
def remainder(x, y, /):
    """x - floor(x / y) * y: has the sign of y."""
    check("remainder", x, y)
    x, y = align(*numbers(x, y))
    rest = REGISTRY["rem"].bind(x, y)[0]
    crossing = logical_and(not_equal(less(rest, 0), less(y, 0)), not_equal(rest, 0))
    return select_where(crossing, add(rest, y), rest)


@ufunc
def fmod(x, y, /):
    """The remainder with the sign of x."""
    check("fmod", x, y)
    return REGISTRY["rem"].bind(*align(*numbers(x, y)))[0]


@ufunc
def divmod(x, y, /):  # noqa: A001
    """(floor_divide(x, y), remainder(x, y))."""
    return floor_divide(x, y), remainder(x, y)


mod = remainder
