"""Elementwise functions that are one operation: NumPy's names, each with its promotion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fornax import _native
from fornax.ir.primitive import REGISTRY
from fornax.ir.types import ArrayType, typeof
from fornax.numpy.promotion import (
    align,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
)
from fornax.numpy.ufuncs.publishing import UNIVERSAL, numbers, refuse, ufunc
from fornax.primitives import compare, elementwise  # noqa: F401  (fill the registry)
from fornax.scalars import dtypes

Array = _native.Array
__all__: list[str] = []


def _publish(name: str, function: Callable, text: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    globals()[name] = ufunc(function)
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
    ready = _READY[promote]

    def promoted(x, y):
        check(name, x, y)
        x, y = promote(concrete_form(x), concrete_form(y))
        return primitive.bind(*align(x, y))[0]

    def function(x, y, /):
        if type(x) is Array and type(y) is Array and x.aval is y.aval and ready(x.aval):
            return primitive.bind(x, y)[0]
        return promoted(x, y)

    def universal(x, y, /, *, out=None, where=None):
        if out is not None or where is not None:
            refuse(name, out, where)
        if type(x) is Array and type(y) is Array and x.aval is y.aval and ready(x.aval):
            return primitive.bind(x, y)[0]
        return promoted(x, y)

    _publish(
        name,
        universal if name in UNIVERSAL else function,
        f"{text}\n\nx, y: arrays or numbers that broadcast. See `numpy.{name}`.",
    )


def _logical(*args: Any) -> list[Any]:
    if len(args) > 1:
        args = tuple(promote_dtypes(*args))
    return [x if typeof(x).dtype == dtypes.bool_ else not_equal(x, 0) for x in args]


def _changed(type: ArrayType) -> bool:
    """Whether promotion changes two equal types: joined booleans are not weakly typed."""
    return type.weak_type and type.dtype == dtypes.bool_


#: promotion -> whether operations can take two operands of one type as they are
_READY = {
    promote_dtypes: lambda type: not _changed(type),
    promote_inexact: lambda type: dtypes.is_inexact(type.dtype),
    numbers: lambda type: type.dtype != dtypes.bool_,
    _logical: lambda type: type.dtype == dtypes.bool_ and not type.weak_type,
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

_unary("square", "square", numbers, "x * x.")
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
    ("left_shift", "shift_left", numbers, "x with its bits moved y places up."),
    ("bitwise_left_shift", "shift_left", numbers, "x with its bits moved y places up."),
):
    _binary(_name, _operation, _promote, _text)


def _real(x: Any) -> Any:
    return REGISTRY["real"].bind(x)[0]


def _imag(x: Any) -> Any:
    return REGISTRY["imag"].bind(x)[0]


def _order(name: str, operation: str, strict: str, text: str) -> None:
    """A comparison; complex numbers compare by real part, then by imaginary part."""
    primitive = REGISTRY[operation]

    def function(x, y, /):
        same = type(x) is Array and type(y) is Array and x.aval is y.aval
        if same and x.dtype.kind != "c" and not _changed(x.aval):
            return primitive.bind(x, y)[0]
        check(name, x, y)
        x, y = align(*promote_dtypes(concrete_form(x), concrete_form(y)))
        if not dtypes.is_complex(typeof(x).dtype):
            return primitive.bind(x, y)[0]
        (a, b), (c, d) = ((_real(v), _imag(v)) for v in (x, y))
        tie = logical_and(equal(a, c), primitive.bind(b, d)[0])
        return logical_or(REGISTRY[strict].bind(a, c)[0], tie)

    _publish(
        name, function, f"{text}\n\nx, y: arrays or numbers that broadcast. See `numpy.{name}`."
    )


_order("less", "lt", "lt", "x < y.")
_order("less_equal", "le", "lt", "x <= y.")
_order("greater", "gt", "gt", "x > y.")
_order("greater_equal", "ge", "gt", "x >= y.")


@ufunc
def add(x, y, /, *, out=None, where=None):
    """x + y; for bools, or.

    x, y: arrays or numbers that broadcast. See `numpy.add`.
    """
    if out is not None or where is not None:
        refuse("add", out, where)
    if type(x) is Array and type(y) is Array and x.aval is y.aval and x.dtype != dtypes.bool_:
        return REGISTRY["add"].bind(x, y)[0]
    check("add", x, y)
    x, y = promote_dtypes(concrete_form(x), concrete_form(y))
    operation = "or" if typeof(x).dtype == dtypes.bool_ else "add"
    return REGISTRY[operation].bind(*align(x, y))[0]


@ufunc
def multiply(x, y, /, *, out=None, where=None):
    """x * y; for bools, and.

    x, y: arrays or numbers that broadcast. See `numpy.multiply`.
    """
    if out is not None or where is not None:
        refuse("multiply", out, where)
    if type(x) is Array and type(y) is Array and x.aval is y.aval and x.dtype != dtypes.bool_:
        return REGISTRY["mul"].bind(x, y)[0]
    check("multiply", x, y)
    x, y = promote_dtypes(concrete_form(x), concrete_form(y))
    operation = "and" if typeof(x).dtype == dtypes.bool_ else "mul"
    return REGISTRY[operation].bind(*align(x, y))[0]


@ufunc
def right_shift(x, y, /):
    """x with its bits moved y places down; the sign is kept for signed integers."""
    check("right_shift", x, y)
    x, y = align(*numbers(x, y))
    signed = dtypes.is_signed_integer(typeof(x).dtype)
    name = "shift_right_arithmetic" if signed else "shift_right_logical"
    return REGISTRY[name].bind(x, y)[0]


bitwise_right_shift = right_shift


@ufunc
def negative(x, /, *, out=None, where=None):
    """-x.

    x: array or number. See `numpy.negative`.
    """
    if out is not None or where is not None:
        refuse("negative", out, where)
    check("negative", x)
    return REGISTRY["neg"].bind(concrete_form(x))[0]


@ufunc
def logical_not(x, /):
    """True where x is zero."""
    check("logical_not", x)
    (x,) = _logical(x)
    return REGISTRY["not"].bind(x)[0]


__all__ += ["add", "bitwise_right_shift", "logical_not", "multiply", "negative", "right_shift"]
