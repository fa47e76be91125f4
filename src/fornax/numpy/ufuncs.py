"""Elementwise functions: NumPy's names, each a promotion and an operation.

`_float(name, primitive)` computes integers in floating point, `_same` keeps the dtype, `_compare`
gives bool. Functions that are more than one operation follow the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax import _native
from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.numpy.promotion import (
    align,
    as_dtype,
    as_value,
    broadcast_to,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
)
from fornax.primitives import compare, elementwise  # noqa: F401  (fill the registry)
from fornax.primitives.select import where as select_where
from fornax.scalars import dtypes

Array = _native.Array
__all__: list[str] = []


def _publish(name: str, function: Callable, text: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    function.__module__ = "fornax.numpy"
    globals()[name] = function
    __all__.append(name)


def _unary(name: str, operation: str, promote: Callable | None, text: str) -> None:
    primitive = REGISTRY[operation]

    def function(x, /):
        check(name, x)
        x = concrete_form(x)
        (x,) = promote(x) if promote is not None else (x,)
        return primitive.bind(x)[0]

    _publish(name, function, f"{text}\n\nx: array or number. See `numpy.{name}`.")


def _binary(name: str, operation: str, promote: Callable, text: str) -> None:
    primitive = REGISTRY[operation]

    def function(x, y, /):
        if type(x) is Array and type(y) is Array and x.aval is y.aval and ready(x.aval.dtype):
            return primitive.bind(x, y)[0]
        check(name, x, y)
        x, y = promote(concrete_form(x), concrete_form(y))
        return primitive.bind(*align(x, y))[0]

    ready = _READY[promote]
    _publish(
        name, function, f"{text}\n\nx, y: arrays or numbers that broadcast. See `numpy.{name}`."
    )


def _numbers(*args: Any) -> list[Any]:
    """Joint dtype; bool becomes int32 for operations that need numbers."""
    args = promote_dtypes(*args)
    if typeof(args[0]).dtype == dtypes.bool_:
        args = [as_dtype(x, dtypes.canonical(dtypes.int32)) for x in args]
    return args


def _logical(*args: Any) -> list[Any]:
    return [x if typeof(x).dtype == dtypes.bool_ else not_equal(x, 0) for x in args]


_READY = {
    promote_dtypes: lambda dtype: True,
    promote_inexact: dtypes.is_inexact,
    _numbers: lambda dtype: dtype != dtypes.bool_,
    _logical: lambda dtype: dtype == dtypes.bool_,
}

for _name, _operation, _text in (
    ("sin", "sin", "Sine of x (radians)."),
    ("cos", "cos", "Cosine of x (radians)."),
    ("tan", "tan", "Tangent of x (radians)."),
    ("arcsin", "asin", "Angle in [-pi/2, pi/2] whose sine is x."),
    ("arccos", "acos", "Angle in [0, pi] whose cosine is x."),
    ("arctan", "atan", "Angle in [-pi/2, pi/2] whose tangent is x."),
    ("sinh", "sinh", "Hyperbolic sine."),
    ("cosh", "cosh", "Hyperbolic cosine."),
    ("tanh", "tanh", "Hyperbolic tangent."),
    ("arcsinh", "asinh", "Inverse hyperbolic sine."),
    ("arccosh", "acosh", "Inverse hyperbolic cosine."),
    ("arctanh", "atanh", "Inverse hyperbolic tangent."),
    ("exp", "exp", "e to the power x."),
    ("exp2", "exp2", "2 to the power x."),
    ("expm1", "expm1", "exp(x) - 1, accurate near 0."),
    ("log", "log", "Natural logarithm."),
    ("log1p", "log1p", "log(1 + x), accurate near 0."),
    ("sqrt", "sqrt", "Square root."),
    ("cbrt", "cbrt", "Cube root."),
):
    _unary(_name, _operation, promote_inexact, _text)
    if _name.startswith("arc"):  # the array API's names
        _unary(_operation, _operation, promote_inexact, _text)

_unary("negative", "neg", None, "-x.")
_unary("square", "square", _numbers, "x * x.")
_unary("invert", "not", None, "Bitwise complement; logical complement of bool.")
_unary("bitwise_not", "not", None, "Bitwise complement; logical complement of bool.")
_unary("bitwise_invert", "not", None, "Bitwise complement; logical complement of bool.")

for _name, _operation, _promote, _text in (
    ("subtract", "sub", promote_dtypes, "x - y."),
    ("true_divide", "div", promote_inexact, "x / y in floating point."),
    ("divide", "div", promote_inexact, "x / y in floating point."),
    (
        "arctan2",
        "atan2",
        promote_inexact,
        "Angle of the point (y, x), x first operand on the ordinate.",
    ),
    (
        "atan2",
        "atan2",
        promote_inexact,
        "Angle of the point (y, x), x first operand on the ordinate.",
    ),
    ("nextafter", "nextafter", promote_inexact, "The next representable number from x towards y."),
    ("maximum", "max", promote_dtypes, "The larger of x and y; NaN wins."),
    ("minimum", "min", promote_dtypes, "The smaller of x and y; NaN wins."),
    ("equal", "eq", promote_dtypes, "x == y."),
    ("not_equal", "ne", promote_dtypes, "x != y."),
    ("bitwise_and", "and", promote_dtypes, "Bits set in both."),
    ("bitwise_or", "or", promote_dtypes, "Bits set in either."),
    ("bitwise_xor", "xor", promote_dtypes, "Bits set in exactly one."),
    ("logical_and", "and", _logical, "Both are true (not zero)."),
    ("logical_or", "or", _logical, "Either is true (not zero)."),
    ("logical_xor", "xor", _logical, "Exactly one is true (not zero)."),
    ("left_shift", "shift_left", _numbers, "x with its bits moved y places up."),
    ("bitwise_left_shift", "shift_left", _numbers, "x with its bits moved y places up."),
):
    _binary(_name, _operation, _promote, _text)


def _order(name: str, operation: str, strict: str, text: str) -> None:
    """A comparison; complex numbers compare by real part, then by imaginary part."""
    primitive = REGISTRY[operation]

    def function(x, y, /):
        if type(x) is Array and type(y) is Array and x.aval is y.aval and x.dtype.kind != "c":
            return primitive.bind(x, y)[0]
        check(name, x, y)
        x, y = align(*promote_dtypes(concrete_form(x), concrete_form(y)))
        if not dtypes.is_complex(typeof(x).dtype):
            return primitive.bind(x, y)[0]
        (a, b), (c, d) = ((real(v), imag(v)) for v in (x, y))
        tie = logical_and(equal(a, c), primitive.bind(b, d)[0])
        return logical_or(REGISTRY[strict].bind(a, c)[0], tie)

    _publish(
        name, function, f"{text}\n\nx, y: arrays or numbers that broadcast. See `numpy.{name}`."
    )


_order("less", "lt", "lt", "x < y.")
_order("less_equal", "le", "lt", "x <= y.")
_order("greater", "gt", "gt", "x > y.")
_order("greater_equal", "ge", "gt", "x >= y.")

_binary("_add_numbers", "add", promote_dtypes, "")
_binary("_multiply_numbers", "mul", promote_dtypes, "")
__all__.remove("_add_numbers")
__all__.remove("_multiply_numbers")


def _public(function: Callable) -> Callable:
    __all__.append(function.__name__)
    function.__module__ = "fornax.numpy"
    return function


def _both_bool(x: Any, y: Any) -> bool:
    return typeof(x).dtype == dtypes.bool_ and typeof(y).dtype == dtypes.bool_


@_public
def add(x, y, /):
    """x + y; for bools, or.

    x, y: arrays or numbers that broadcast. See `numpy.add`.
    """
    if type(x) is Array and type(y) is Array and x.aval is y.aval and x.dtype != dtypes.bool_:
        return _add.bind(x, y)[0]
    check("add", x, y)
    x, y = concrete_form(x), concrete_form(y)
    return bitwise_or(x, y) if _both_bool(x, y) else _add_numbers(x, y)


@_public
def multiply(x, y, /):
    """x * y; for bools, and.

    x, y: arrays or numbers that broadcast. See `numpy.multiply`.
    """
    if type(x) is Array and type(y) is Array and x.aval is y.aval and x.dtype != dtypes.bool_:
        return _mul.bind(x, y)[0]
    check("multiply", x, y)
    x, y = concrete_form(x), concrete_form(y)
    return bitwise_and(x, y) if _both_bool(x, y) else _multiply_numbers(x, y)


_add, _mul = REGISTRY["add"], REGISTRY["mul"]


@_public
def right_shift(x, y, /):
    """x with its bits moved y places down; the sign is kept for signed integers."""
    check("right_shift", x, y)
    x, y = align(*_numbers(x, y))
    signed = dtypes.is_signed_integer(typeof(x).dtype)
    name = "shift_right_arithmetic" if signed else "shift_right_logical"
    return REGISTRY[name].bind(x, y)[0]


bitwise_right_shift = right_shift
__all__.append("bitwise_right_shift")


@_public
def logical_not(x, /):
    """True where x is zero."""
    check("logical_not", x)
    (x,) = _logical(x)
    return REGISTRY["not"].bind(x)[0]


@_public
def absolute(x, /):
    """|x|; real for complex numbers."""
    check("absolute", x)
    dtype = typeof(x).dtype
    if dtype == dtypes.bool_ or dtypes.is_unsigned_integer(dtype):
        return as_value(x)
    return REGISTRY["abs"].bind(x)[0]


abs = absolute  # noqa: A001
__all__.append("abs")


@_public
def fabs(x, /):
    """|x| in floating point."""
    check("fabs", x)
    return REGISTRY["abs"].bind(*promote_inexact(x))[0]


@_public
def positive(x, /):
    """x itself."""
    check("positive", x)
    return as_value(concrete_form(x))


@_public
def sign(x, /):
    """-1, 0 or 1; NaN stays NaN; x/|x| for complex numbers."""
    check("sign", x)
    return REGISTRY["sign"].bind(x)[0]


def _rounding(name: str, operation: Callable, text: str) -> None:
    def function(x, /):
        check(name, x)
        if not dtypes.is_inexact(typeof(x).dtype):
            return as_value(x)
        return operation(x)

    _publish(name, function, text)


_rounding("floor", lambda x: REGISTRY["floor"].bind(x)[0], "The largest integer <= x.")
_rounding("ceil", lambda x: REGISTRY["ceil"].bind(x)[0], "The smallest integer >= x.")
_rounding(
    "trunc",
    lambda x: select_where(less(x, 0), ceil(x), floor(x)),
    "x without its fractional part.",
)


def _rint(x, /):
    check("rint", x)
    return _round_even(*promote_inexact(concrete_form(x)))


_publish("rint", _rint, "The nearest integer, ties to even; in floating point.")


def _round_even(x: Any) -> Any:  # rounding method 1: to nearest, ties to even
    if dtypes.is_complex(typeof(x).dtype):
        parts = [REGISTRY[part].bind(x)[0] for part in ("real", "imag")]
        return REGISTRY["complex"].bind(*map(_round_even, parts))[0]
    return REGISTRY["round"].bind(x, rounding_method=1)[0]


@_public
def round(a, decimals=0, out=None):  # noqa: A001
    """a rounded to `decimals` places, ties to even."""
    check("round", a)
    if out is not None:
        raise NotImplementedError(
            "round: the 'out' argument is not supported: arrays do not change"
        )
    dtype = typeof(a).dtype
    if not dtypes.is_inexact(dtype):
        if decimals < 0:
            raise NotImplementedError("integer rounding not implemented for decimals < 0")
        return as_value(a)
    if decimals == 0:
        return _round_even(a)
    factor = as_dtype(10.0**decimals, dtypes.real_dtype(dtype))
    return divide(_round_even(multiply(a, factor)), factor)


around = round
__all__.append("around")


@_public
def isnan(x, /):
    """True where x is not a number."""
    check("isnan", x)
    return not_equal(x, x)


@_public
def isfinite(x, /):
    """True where x is neither infinite nor NaN."""
    check("isfinite", x)
    dtype = typeof(x).dtype
    if dtypes.is_complex(dtype):
        return logical_and(*(isfinite(REGISTRY[p].bind(x)[0]) for p in ("real", "imag")))
    if dtypes.is_inexact(dtype):
        return REGISTRY["is_finite"].bind(x)[0]
    return equal(x, x)


@_public
def isinf(x, /):
    """True where x is infinite."""
    check("isinf", x)
    dtype = typeof(x).dtype
    if dtypes.is_complex(dtype):
        return logical_or(*(isinf(REGISTRY[p].bind(x)[0]) for p in ("real", "imag")))
    if dtypes.is_inexact(dtype):
        return equal(absolute(x), np.inf)
    return not_equal(x, x)


@_public
def isposinf(x, /, out=None):
    """True where x is +infinity."""
    check("isposinf", x)
    return equal(x, np.inf) if dtypes.is_inexact(typeof(x).dtype) else not_equal(x, x)


@_public
def isneginf(x, /, out=None):
    """True where x is -infinity."""
    check("isneginf", x)
    return equal(x, -np.inf) if dtypes.is_inexact(typeof(x).dtype) else not_equal(x, x)


@_public
def log2(x, /):
    """Logarithm to base 2."""
    check("log2", x)
    (x,) = promote_inexact(x)
    return divide(log(x), as_dtype(np.log(2.0), dtypes.real_dtype(typeof(x).dtype)))


@_public
def log10(x, /):
    """Logarithm to base 10."""
    check("log10", x)
    (x,) = promote_inexact(x)
    return divide(log(x), as_dtype(np.log(10.0), dtypes.real_dtype(typeof(x).dtype)))


@_public
def floor_divide(x, y, /):
    """The largest integer <= x / y. Division of integers by 0 gives what the hardware type can."""
    check("floor_divide", x, y)
    x, y = align(*_numbers(x, y))
    dtype = typeof(x).dtype
    div = REGISTRY["div"]
    if dtypes.is_complex(dtype):
        raise TypeError("floor_divide does not support complex-valued inputs")
    if dtypes.is_unsigned_integer(dtype):
        return div.bind(x, y)[0]
    if dtypes.is_signed_integer(dtype):
        q = div.bind(x, y)[0]
        off = logical_and(not_equal(sign(x), sign(y)), not_equal(REGISTRY["rem"].bind(x, y)[0], 0))
        return select_where(off, subtract(q, 1), q)
    remainder_part = REGISTRY["rem"].bind(x, y)[0]
    q = div.bind(*align(subtract(x, remainder_part), y))[0]
    off = logical_and(not_equal(remainder_part, 0), not_equal(less(remainder_part, 0), less(y, 0)))
    q = _round_even(select_where(off, subtract(q, 1), q))
    return select_where(equal(y, 0), div.bind(x, y)[0], q)


@_public
def remainder(x, y, /):
    """x - floor(x / y) * y: has the sign of y."""
    check("remainder", x, y)
    x, y = align(*_numbers(x, y))
    rest = REGISTRY["rem"].bind(x, y)[0]
    crossing = logical_and(not_equal(less(rest, 0), less(y, 0)), not_equal(rest, 0))
    return select_where(crossing, add(rest, y), rest)


mod = remainder
__all__.append("mod")


@_public
def fmod(x, y, /):
    """The remainder with the sign of x."""
    check("fmod", x, y)
    return REGISTRY["rem"].bind(*align(*_numbers(x, y)))[0]


@_public
def divmod(x, y, /):  # noqa: A001
    """(floor_divide(x, y), remainder(x, y))."""
    return floor_divide(x, y), remainder(x, y)


@_public
def power(x, y, /):
    """x to the power y. Python integer exponents are computed by multiplication."""
    check("power", x, y)
    x, y = concrete_form(x), concrete_form(y)
    if isinstance(y, np.ndarray | np.integer) and y.ndim == 0 and y.dtype.kind in "iu":
        if y < 0 and not dtypes.is_inexact(typeof(x).dtype):
            y = int(y)
    if isinstance(y, int) and not isinstance(y, bool):
        if not dtypes.is_inexact(typeof(x).dtype) and y < 0:
            raise TypeError(
                "Integers to negative powers are not allowed.\n  try:   convert x to a float dtype"
            )
        if typeof(x).dtype != dtypes.bool_:
            (x,) = promote_dtypes(x)
            return REGISTRY["integer_pow"].bind(x, y=y)[0]
    whole = not dtypes.is_inexact(typeof(y).dtype) and not isinstance(y, int)
    x, y = _numbers(x, y)
    if dtypes.is_inexact(typeof(x).dtype):
        result = REGISTRY["pow"].bind(*align(x, y))[0]
        return as_dtype(result, typeof(result).dtype) if whole else result
    x, y = align(x, y)
    return _integer_power(x, y)


def _integer_power(x: Any, y: Any) -> Any:
    """Integer arrays to integer array powers, by squaring over the bits of y."""
    dtype = typeof(x).dtype
    if dtypes.is_signed_integer(dtype):
        negative = less(y, 0)
        y = maximum(y, 0)
    result = as_dtype(1, dtype)
    bits = dtypes.iinfo(dtype).bits - (1 if dtypes.is_signed_integer(dtype) else 0)
    for bit in range(bits):
        chosen = not_equal(bitwise_and(right_shift(y, bit), 1), 0)
        result = select_where(chosen, multiply(result, x), result)
        if bit + 1 < bits:
            x = multiply(x, x)
    if dtypes.is_signed_integer(dtype):
        result = select_where(negative, as_dtype(0, dtype), result)
    return result


pow = power  # noqa: A001
__all__.append("pow")


@_public
def float_power(x, y, /):
    """x to the power y in floating point."""
    check("float_power", x, y)
    return REGISTRY["pow"].bind(*align(*promote_inexact(x, y)))[0]


@_public
def reciprocal(x, /):
    """1 / x in floating point."""
    check("reciprocal", x)
    (x,) = promote_inexact(x)
    return divide(1, x)


@_public
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


@_public
def heaviside(x, y, /):
    """0 where x < 0, y where x == 0, 1 where x > 0."""
    check("heaviside", x, y)
    x, y = align(*promote_inexact(x, y))
    one, zero = as_dtype(1, typeof(x).dtype), as_dtype(0, typeof(x).dtype)
    step = select_where(less(x, 0), zero, select_where(equal(x, 0), y, one))
    return select_where(isnan(x), x, step)


@_public
def copysign(x, y, /):
    """|x| with the sign of y."""
    check("copysign", x, y)
    x, y = align(*promote_inexact(x, y))
    return select_where(signbit(y), negative(absolute(x)), absolute(x))


@_public
def signbit(x, /):
    """True where the sign bit is set (also for -0.0)."""
    check("signbit", x)
    dtype = typeof(x).dtype
    if dtype == dtypes.bool_ or dtypes.is_unsigned_integer(dtype):
        return not_equal(x, x)
    if not dtypes.is_inexact(dtype):
        return less(x, 0)
    integer = np.dtype(f"int{dtype.itemsize * 8}")
    bits = REGISTRY["bitcast_convert_type"].bind(x, new_dtype=integer)[0]
    return less(bits, np.zeros((), integer)[()])


@_public
def degrees(x, /):
    """Radians to degrees."""
    (x,) = promote_inexact(x)
    return multiply(x, 180 / np.pi)


rad2deg = degrees
__all__.append("rad2deg")


@_public
def radians(x, /):
    """Degrees to radians."""
    (x,) = promote_inexact(x)
    return multiply(x, np.pi / 180)


deg2rad = radians
__all__.append("deg2rad")


@_public
def sinc(x, /):
    """sin(pi x) / (pi x), 1 at 0."""
    check("sinc", x)
    (x,) = promote_inexact(x)
    zero = equal(x, 0)
    scaled = multiply(np.pi, select_where(zero, as_dtype(1, typeof(x).dtype), x))
    return select_where(zero, as_dtype(1, typeof(x).dtype), divide(sin(scaled), scaled))


@_public
def real(val, /):
    """The real part."""
    check("real", val)
    return REGISTRY["real"].bind(val)[0] if dtypes.is_complex(typeof(val).dtype) else positive(val)


@_public
def imag(val, /):
    """The imaginary part; 0 for real numbers."""
    check("imag", val)
    if dtypes.is_complex(typeof(val).dtype):
        return REGISTRY["imag"].bind(val)[0]
    type = typeof(val)
    return broadcast_to(as_value(as_dtype(0, type.dtype, type.weak_type)), type.shape)


@_public
def conjugate(x, /):
    """The complex conjugate."""
    check("conjugate", x)
    if not dtypes.is_complex(typeof(x).dtype):
        return positive(x)
    return REGISTRY["conj"].bind(x, input_dtype=typeof(x).dtype)[0]


conj = conjugate
__all__.append("conj")


@_public
def angle(z, deg=False):
    """The argument of a complex number, in radians or degrees."""
    check("angle", z)
    (z,) = promote_inexact(z)
    value = arctan2(imag(z), real(z))
    return degrees(value) if deg else value


@_public
def fmax(x, y, /):
    """The larger of x and y; a number wins over NaN."""
    x, y = align(*promote_dtypes(x, y))
    return select_where(logical_or(greater(x, y), isnan(y)), x, y)


@_public
def fmin(x, y, /):
    """The smaller of x and y; a number wins over NaN."""
    x, y = align(*promote_dtypes(x, y))
    return select_where(logical_or(less(x, y), isnan(y)), x, y)


@_public
def bitwise_count(x, /):
    """The number of bits set in |x|, as uint8."""
    check("bitwise_count", x)
    count = REGISTRY["population_count"].bind(absolute(x))[0]
    return as_dtype(count, np.dtype(np.uint8))
