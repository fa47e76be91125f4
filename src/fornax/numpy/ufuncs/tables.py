"""Elementwise functions that are one operation: NumPy's names, each with its promotion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fornax import _native
from fornax.ir.primitive import REGISTRY
from fornax.ir.trace import Tracer
from fornax.ir.types import ArrayType, typeof
from fornax.numpy.promotion import (
    align,
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
)
from fornax.numpy.ufuncs.plans import Plans, Ready
from fornax.numpy.ufuncs.publishing import UNIVERSAL, numbers, refuse, ufunc
from fornax.primitives import compare, elementwise  # noqa: F401  (fill the registry)
from fornax.scalars import dtypes
from fornax.settings import current

Array = _native.Array
__all__: list[str] = []


def _publish(name: str, function: Callable, text: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    globals()[name] = ufunc(function)
    __all__.append(name)


def _unary(name: str, operation: str, promote: Callable | None, text: str) -> None:
    primitive = REGISTRY[operation]
    ready = Ready()

    def function(x, /):
        if isinstance(x, Tracer) and (x.type, current()) in ready:
            return primitive.bind(x)[0]
        check(name, x)
        x = concrete_form(x)
        (y,) = promote(x) if promote is not None else (x,)
        if y is x and isinstance(x, Tracer):
            ready.add((x.type, current()))
        return primitive.bind(y)[0]

    _publish(name, function, f"{text}\n\nx: array or number. See `numpy.{name}`.")


def _binary(
    name: str, operation: str, promote: Callable, text: str, of_booleans: str | None = None
) -> None:
    """of_booleans: the operation on booleans, if that is another one."""
    primitive = REGISTRY[operation]
    logical = REGISTRY[of_booleans or operation]
    ready = _READY[promote] if of_booleans is None else _READY[numbers]
    plans = Plans(promote)

    def promoted(x, y):
        plan = plans.get((
            x.type if isinstance(x, Tracer) else x.__class__,
            y.type if isinstance(y, Tracer) else y.__class__,
            current(),
        ))  # fmt: skip
        if plan is None:
            return unplanned(x, y)
        dtype, weak, keep_x, keep_y, aligned, chosen = plan
        if not keep_x:
            x = as_dtype(x, dtype, weak)
        if not keep_y:
            y = as_dtype(y, dtype, weak)
        if not aligned:
            x, y = align(x, y)
        return chosen.bind(x, y)[0]

    def unplanned(x, y):
        check(name, x, y)
        x, y = concrete_form(x), concrete_form(y)
        operands = promote(x, y)
        chosen = logical if typeof(operands[0]).dtype == dtypes.bool_ else primitive
        aligned = align(*operands)
        plans.remember((x, y), operands, aligned, chosen)
        return chosen.bind(*aligned)[0]

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

_binary("add", "add", promote_dtypes, "x + y; for bools, or.", of_booleans="or")
_binary("multiply", "mul", promote_dtypes, "x * y; for bools, and.", of_booleans="and")

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


__all__ += ["bitwise_right_shift", "logical_not", "negative", "right_shift"]
