"""Powers, logarithms to bases 2 and 10, and what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.numpy.promotion import (
    align,
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
)
from fornax.numpy.ufuncs.finiteness import isinf
from fornax.numpy.ufuncs.publishing import numbers, ufunc
from fornax.numpy.ufuncs.signs import absolute
from fornax.numpy.ufuncs.tables import (
    add,
    bitwise_and,
    bitwise_or,
    divide,
    equal,
    less,
    log,
    logical_and,
    logical_or,
    maximum,
    minimum,
    multiply,
    not_equal,
    right_shift,
    sqrt,
    subtract,
)
from fornax.primitives.select import where as select_where
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["float_power", "hypot", "log10", "log2", "pow", "power", "reciprocal"]


def power(x, y, /):
    """x to the power y. Python integer exponents are computed by multiplication."""
    if type(y) is int:
        return _power_of_number(x, y)
    check("power", x, y)
    x, y = concrete_form(x), concrete_form(y)
    if isinstance(y, np.ndarray | np.integer) and y.ndim == 0 and y.dtype.kind in "iu":
        if y < 0 and not dtypes.is_inexact(typeof(x).dtype):
            return _power_of_number(x, int(y))
    if isinstance(y, int) and not isinstance(y, bool):
        return _power_of_number(x, int(y))
    return _power_of_array(x, y)


power.__module__ = "fornax.numpy"


@eager(static="y")
def _power_of_number(x: Any, y: int) -> Any:
    check("power", x)
    x = concrete_form(x)
    dtype = typeof(x).dtype
    if dtype == dtypes.bool_:
        return _power_of_array(x, y)
    if not dtypes.is_inexact(dtype) and y < 0:
        raise TypeError(
            located(
                "Integers to negative powers are not allowed.", attempt="convert x to a float dtype"
            )
        )
    (x,) = promote_dtypes(x)
    return REGISTRY["integer_pow"].bind(x, y=y)[0]


@eager
def _power_of_array(x, y):
    whole = not dtypes.is_inexact(typeof(y).dtype) and not isinstance(y, int)
    x, y = numbers(x, y)
    if dtypes.is_inexact(typeof(x).dtype):
        result = REGISTRY["pow"].bind(*align(x, y))[0]
        return as_dtype(result, typeof(result).dtype) if whole else result
    x, y = align(x, y)
    return _integer_power(x, y)


def _integer_power(x: Any, y: Any) -> Any:
    """Integer arrays to integer array powers, by squaring over the lowest bits of y.

    What is left is a power of z = x^(2^low), which is 0 if x is even, and 1 + t with t a multiple
    of 2^(low + 2) if it is odd. So t^4 is 0 for so many bits as there are, and four terms of
    (1 + t)^n = 1 + n t + n (n - 1) / 2 t^2 + n (n - 1) (n - 2) / 6 t^3 + ... are all.
    """
    dtype = typeof(x).dtype
    bits = dtypes.iinfo(dtype).bits
    if dtypes.is_signed_integer(dtype):
        negative = less(y, 0)
        y = maximum(y, 0)
    result, even = as_dtype(1, dtype), equal(bitwise_and(x, 1), 0)
    low = max(bits // 4 - 2, bits.bit_length() - 1)
    for bit in range(low):
        chosen = not_equal(bitwise_and(right_shift(y, bit), 1), 0)
        result = select_where(chosen, multiply(result, x), result)
        x = multiply(x, x)
    n, t = right_shift(y, low), subtract(x, 1)
    pairs = multiply(right_shift(n, 1), bitwise_or(subtract(n, 1), 1))
    third = np.asarray(((2 << bits) + 1) // 3, f"uint{bits}").view(dtype)[()]  # the inverse of 3
    triples = multiply(multiply(pairs, subtract(n, 2)), third)
    terms = add(n, multiply(t, add(pairs, multiply(t, triples))))
    none, rest = as_dtype(0, dtype), add(1, multiply(t, terms))
    result = multiply(result, select_where(logical_and(even, not_equal(n, 0)), none, rest))
    if dtypes.is_signed_integer(dtype):
        result = select_where(negative, none, result)
    return result


@ufunc
def float_power(x, y, /):
    """x to the power y in floating point."""
    check("float_power", x, y)
    return REGISTRY["pow"].bind(*align(*promote_inexact(x, y)))[0]


@ufunc
def reciprocal(x, /):
    """1 / x in floating point."""
    check("reciprocal", x)
    (x,) = promote_inexact(x)
    return divide(1, x)


@ufunc
def hypot(x, y, /):
    """sqrt(x² + y²) without overflow."""
    check("hypot", x, y)
    x, y = promote_inexact(x, y)
    x, y = absolute(x), absolute(y)
    big, small = maximum(x, y), minimum(x, y)
    type = typeof(big)
    safe = select_where(equal(big, 0), as_dtype(1, type.dtype, type.weak_type), big)
    ratio = divide(small, safe)
    size = multiply(big, sqrt(add(1, multiply(ratio, ratio))))
    infinite = logical_or(isinf(x), isinf(y))
    return select_where(infinite, as_dtype(np.inf, type.dtype, type.weak_type), size)


@ufunc
def log2(x, /):
    """Logarithm to base 2."""
    check("log2", x)
    (x,) = promote_inexact(x)
    return divide(log(x), as_dtype(np.log(2.0), dtypes.real_dtype(typeof(x).dtype)))


@ufunc
def log10(x, /):
    """Logarithm to base 10."""
    check("log10", x)
    (x,) = promote_inexact(x)
    return divide(log(x), as_dtype(np.log(10.0), dtypes.real_dtype(typeof(x).dtype)))


pow = power  # noqa: A001
