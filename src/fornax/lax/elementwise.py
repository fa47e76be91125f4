"""Arithmetic, mathematical functions, comparisons and bits, element by element: a table.

Operands are arrays or numbers of one dtype. Their shapes are equal, or a scalar goes with all
elements, or dimensions of size one are repeated. A wrong dtype or shape raises TypeError.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Sequence
from typing import Any

from fornax.api.eager import eager
from fornax.ir.basis import broadcast_in_dim
from fornax.ir.requested import requested
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.primitives import compare, gamma, special
from fornax.primitives import complex as complex_family
from fornax.primitives import elementwise as table
from fornax.primitives.convert import convert_element_type
from fornax.primitives.family import Elementwise
from fornax.scalars import dtypes
from fornax.source import located


class RoundingMethod(enum.IntEnum):
    """What `round` does with a number halfway between two integers."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def _named(function: Callable, name: str, line: str) -> Callable:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = line
    return eager(function)


def _unary(primitive: Elementwise, line: str, name: str = "") -> Callable:
    def function(x):
        return primitive.bind(x)[0]

    return _named(function, name or primitive.name, line)


def _transcendental(primitive: Elementwise, line: str) -> Callable:
    # every accuracy that can be asked for is less than what is always given
    def function(x, *, accuracy=None):
        return primitive.bind(x)[0]

    return _named(function, primitive.name, line)


def together(name: str, *operands: Any) -> Sequence[Any]:
    """The operands, with dimensions of size one repeated where another operand is longer."""
    shapes = [typeof(x).shape for x in operands]
    full = {s for s in shapes if s}
    if len(full) < 2 or len({len(s) for s in full}) > 1:
        return operands
    shape = tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*full, strict=True))
    if any(n != 1 and n != m for s in full for n, m in zip(s, shape, strict=True)):
        listed = ", ".join(map(str, shapes))
        raise TypeError(
            located(
                f"{name} got incompatible shapes for broadcasting: {listed}.",
                "operations of lax take equal shapes, scalars, and dimensions of size 1",
                f"numpy.{name}, or lax.broadcast_in_dim, to say how one of them is repeated",
            )
        )
    every = tuple(range(len(shape)))
    return [
        broadcast_in_dim(x, shape, every) if s else x for x, s in zip(operands, shapes, strict=True)
    ]


def _binary(primitive: Elementwise, line: str, name: str = "") -> Callable:
    def function(x, y):
        return primitive.bind(*together(primitive.name, x, y))[0]

    return _named(function, name or primitive.name, line)


def _order_first(primitive: Elementwise, line: str) -> Callable:
    def function(a, x):
        return primitive.bind(*together(primitive.name, a, x))[0]

    return _named(function, primitive.name, line)


# --- arithmetic --------------------------------------------------------------------------------
neg = _unary(table.neg_p, "-x, of numbers; unsigned integers wrap.")
sign = _unary(table.sign_p, "-1, 0 or 1 with the sign of x; x / |x| of a complex number.")
abs = _unary(table.abs_p, "|x|: signed integers, floats, or the real size of complex numbers.")
add = _binary(table.add_p, "x + y of numbers.")
sub = _binary(table.sub_p, "x - y of numbers.")


@functools.partial(eager, static="out_dtype")
def mul(x, y, *, out_dtype=None):
    """x * y of numbers; with `out_dtype`, of x and y (of any dtypes) as numbers of that dtype."""
    if out_dtype is not None:
        wanted = requested(out_dtype)
        x, y = (convert_element_type(v, wanted, typeof(v).weak_type) for v in (x, y))
    return table.mul_p.bind(*together("mul", x, y))[0]


@eager
def mulhi(x, y, /):
    """The upper half of the bits of the product of integers."""
    return table.mulhi_p.bind(*together("mulhi", x, y))[0]


div = _binary(table.div_p, "x / y of numbers; truncated for integers, all ones where y is 0.")
rem = _binary(table.rem_p, "Remainder with the sign of x, of integers or floats.")
max = _binary(table.max_p, "The larger of x and y; NaN where either is NaN.")
min = _binary(table.min_p, "The smaller of x and y; NaN where either is NaN.")
pow = _binary(table.pow_p, "x to the power y; y is an integer or has the inexact dtype of x.")
square = _unary(table.square_p, "x * x of numbers.")
sqrt = _transcendental(table.sqrt_p, "Square root of floats or complex numbers.")
rsqrt = _transcendental(table.rsqrt_p, "1 / sqrt(x) of floats or complex numbers.")
cbrt = _transcendental(table.cbrt_p, "Cube root of floats.")


def integer_pow(x: Any, y: int) -> Any:
    """x to a static integer power. Integers take powers that are not negative (TypeError)."""
    y = static_integer(y, "y")
    if y < 0 and dtypes.is_integer(typeof(x).dtype):
        raise TypeError(
            located(
                f"Integers cannot be raised to negative powers, got integer_pow(x, {y})",
                attempt="x.astype(float) first, or 1 / x",
            )
        )
    return table.integer_pow_p.bind(x, y=y)[0]


def reciprocal(x: Any) -> Any:
    """1 / x of floats or complex numbers."""
    return integer_pow(x, -1)


# --- mathematical functions --------------------------------------------------------------------
exp = _transcendental(table.exp_p, "e to the power x.")
exp2 = _transcendental(table.exp2_p, "2 to the power x.")
expm1 = _transcendental(table.expm1_p, "exp(x) - 1, accurate near 0.")
log = _transcendental(table.log_p, "Natural logarithm.")
log1p = _transcendental(table.log1p_p, "log(1 + x), accurate near 0.")
logistic = _transcendental(table.logistic_p, "1 / (1 + exp(-x)).")
sin = _transcendental(table.sin_p, "Sine of radians.")
cos = _transcendental(table.cos_p, "Cosine of radians.")
tan = _transcendental(table.tan_p, "Tangent of radians.")
tanh = _transcendental(table.tanh_p, "Hyperbolic tangent.")
asin = _unary(table.asin_p, "Arc sine, in radians.")
acos = _unary(table.acos_p, "Arc cosine, in radians.")
atan = _unary(table.atan_p, "Arc tangent, in radians.")
atan2 = _binary(table.atan2_p, "Angle of the point (y, x), in radians, from x first, y second.")
sinh = _unary(table.sinh_p, "Hyperbolic sine.")
cosh = _unary(table.cosh_p, "Hyperbolic cosine.")
asinh = _unary(table.asinh_p, "Inverse hyperbolic sine.")
acosh = _unary(table.acosh_p, "Inverse hyperbolic cosine.")
atanh = _unary(table.atanh_p, "Inverse hyperbolic tangent.")
erf = _unary(special.erf_p, "Error function of floats.")
erfc = _unary(special.erfc_p, "1 - erf(x), accurate for large x.")
erf_inv = _unary(special.erf_inv_p, "Inverse of the error function.")
lgamma = _unary(special.lgamma_p, "Logarithm of the size of the gamma function.")
digamma = _unary(special.digamma_p, "Derivative of lgamma.")


@eager
def polygamma(m, x):
    """Derivative number m of digamma at x, m a whole float."""
    return special.polygamma_p.bind(*together("polygamma", m, x))[0]


@eager
def zeta(x, q):
    """Hurwitz zeta function: the sum of (k + q) to the power -x."""
    return special.zeta_p.bind(*together("zeta", x, q))[0]


igamma = _order_first(gamma.igamma_p, "Regularized lower incomplete gamma function, order a.")
igammac = _order_first(gamma.igammac_p, "1 - igamma(a, x), accurate for large x.")
igamma_grad_a = _order_first(gamma.igamma_grad_a_p, "Derivative of igamma in its order a.")


@eager
def random_gamma_grad(a, x):
    """Derivative in a of a sample of the gamma distribution of order a; never weakly typed."""
    slope = gamma.random_gamma_grad_p.bind(*together("random_gamma_grad", a, x))[0]
    return convert_element_type(slope, typeof(slope).dtype)


def betainc(a: Any, b: Any, x: Any) -> Any:
    """Regularized incomplete beta function of a and b at x in [0, 1]."""
    return gamma.regularized_incomplete_beta_p.bind(*together("betainc", a, b, x))[0]


bessel_i0e = _unary(special.bessel_i0e_p, "exp(-|x|) I0(x), the modified Bessel function.")
bessel_i1e = _unary(special.bessel_i1e_p, "exp(-|x|) I1(x), the modified Bessel function.")

# --- rounding ----------------------------------------------------------------------------------
floor = _unary(table.floor_p, "The largest integer not above x, as a float.")
ceil = _unary(table.ceil_p, "The smallest integer not below x, as a float.")


@eager
def nextafter(x1, x2):
    """The float next to x1 in the direction of x2."""
    return table.nextafter_p.bind(*together("nextafter", x1, x2))[0]


is_finite = _unary(compare.is_finite_p, "Whether a float is neither infinite nor NaN.")


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Any:
    """The nearest integer, as a float; `rounding_method` says what happens halfway."""
    return table.round_p.bind(x, rounding_method=RoundingMethod(rounding_method))[0]


# --- complex numbers ---------------------------------------------------------------------------
real = _unary(complex_family.real_p, "Real part of complex numbers.")
imag = _unary(complex_family.imag_p, "Imaginary part of complex numbers.")
complex = _binary(complex_family.complex_p, "x + i y of float32 or float64 numbers.")


def conj(x: Any) -> Any:
    """The complex conjugate; float32 and float64 become complex. TypeError for other dtypes."""
    dtype = typeof(x).dtype
    if dtype in (dtypes.float16, dtypes.bfloat16):
        raise TypeError(
            located(
                f"conj does not accept dtype {dtype}. Accepted dtypes are subtypes of float32, "
                "float64, complexfloating.",
                attempt="x.astype('float32'), or leave out conj, which changes nothing of integers",
            )
        )
    return complex_family.conj_p.bind(x, input_dtype=dtype)[0]


# --- bits --------------------------------------------------------------------------------------
bitwise_and = _binary(table.and_p, "x & y of integers or booleans.", "bitwise_and")
bitwise_or = _binary(table.or_p, "x | y of integers or booleans.", "bitwise_or")
bitwise_xor = _binary(table.xor_p, "x ^ y of integers or booleans.", "bitwise_xor")
bitwise_not = _unary(table.not_p, "~x of integers or booleans.", "bitwise_not")
shift_left = _binary(table.shift_left_p, "x << y; 0 where y is the width or more.")
shift_right_logical = _binary(
    table.shift_right_logical_p, "x >> y filled with zeros; 0 where y is the width or more."
)
shift_right_arithmetic = _binary(table.shift_right_arithmetic_p, "x >> y filled with the sign bit.")
population_count = _unary(table.population_count_p, "How many bits of an integer are one.")
clz = _unary(table.clz_p, "How many leading bits of an integer are zero.")

# --- comparisons -------------------------------------------------------------------------------
eq = _binary(compare.eq_p, "x == y, as booleans.")
ne = _binary(compare.ne_p, "x != y, as booleans.")
ge = _binary(compare.ge_p, "x >= y of ordered numbers, as booleans.")
gt = _binary(compare.gt_p, "x > y of ordered numbers, as booleans.")
le = _binary(compare.le_p, "x <= y of ordered numbers, as booleans.")
lt = _binary(compare.lt_p, "x < y of ordered numbers, as booleans.")

__all__ = sorted(
    name for name, value in globals().items()
    if name[0] != "_" and name != "together" and getattr(value, "__module__", "") == __name__
)  # fmt: skip
