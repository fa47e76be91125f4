"""Arithmetic, mathematical functions of one or two numbers, and bits: a table.

Each row is one operation. To add one: a row here, its scalar in `compiler/loop/math.py` if the
loop IR lacks it, and a case row in the tests.
"""

from __future__ import annotations

import math

import numpy as np

from fornax.ir.primitive import Zero
from fornax.ir.types import typeof
from fornax.primitives import meaning
from fornax.primitives.bits import OfBits
from fornax.primitives.compare import eq_p, ge_p
from fornax.primitives.complex import imag_p, real_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.family import (
    ANY,
    FLOAT,
    INEXACT,
    INTEGER,
    LOGICAL,
    NUMBER,
    SIGNED,
    Elementwise,
    constant,
    elements,
    not_implemented,
)
from fornax.primitives.select import where
from fornax.scalars import dtypes
from fornax.scalars.formats import FORMATS, ONE_ZERO
from fornax.source import located


# --- loop-IR operations that are not one node --------------------------------------------------
def _one(b, x):
    part = getattr(x, "real", x)
    one = b.const(1, part.dtype)
    return type(x)(one, b.const(0, part.dtype)) if part is not x else one


def _sign_operation(b, x):
    dtype = getattr(x, "dtype", "complex")
    if "int" not in dtype:
        return b.sign(x)
    one = b.const(1, dtype)
    below_one = b.min(x, one)
    return below_one if dtype[0] == "u" else b.max(below_one, b.const(-1, dtype))


def _extreme_operation(name, logical):
    def operation(b, x, y):
        return b.op(logical if getattr(x, "dtype", "") == "bool" else name, x, y)

    return operation


def _multiply_high_operation(b, x, y):
    dtype = x.dtype
    width = int(dtype.lstrip("uint"))
    if width < 64:
        wide = "uint64" if dtype[0] == "u" else "int64"
        product = b.mul(b.cast(x, wide), b.cast(y, wide))
        return b.cast(b.shr_logical(product, b.const(width, wide)), dtype)
    # four products of halves; signed numbers count 2^64 too much of the other where negative
    raw, half, mask = "uint64", b.const(32, "uint64"), b.const(0xFFFFFFFF, "uint64")
    u, v = b.cast(x, raw), b.cast(y, raw)
    u0, u1 = b.and_(u, mask), b.shr_logical(u, half)
    v0, v1 = b.and_(v, mask), b.shr_logical(v, half)
    low, cross = b.mul(u0, v0), b.mul(u1, v0)
    middle = b.add(cross, b.shr_logical(low, half))
    other = b.add(b.mul(u0, v1), b.and_(middle, mask))
    high = b.add(b.mul(u1, v1), b.add(b.shr_logical(middle, half), b.shr_logical(other, half)))
    if dtype[0] == "u":
        return high
    zero = b.const(0, dtype)
    high = b.sub(b.cast(high, dtype), b.select(b.lt(x, zero), y, zero))
    return b.sub(high, b.select(b.lt(y, zero), x, zero))


def _power_operation(b, x, y):
    if "int" in getattr(y, "dtype", ""):
        y = b.cast(y, getattr(x, "real", x).dtype)
    return b.pow(x, y)


def _integer_power_operation(b, x, *, y):
    power = meaning.by_squaring(b.mul, _one(b, x), x, abs(y))
    return power if y >= 0 else b.div(_one(b, x), power)


def _round_operation(b, x, *, rounding_method):
    return b.op("round_even" if int(rounding_method) == 1 else "round_away", x)


# --- derivatives that need more than a line ----------------------------------------------------
def _times(factor):
    """The derivative of a function of one number: tangent times factor(result, x)."""
    return (lambda g, out, x: mul_p(g, factor(out, x)),)


def _chosen(g, out, x, y):
    """Derivative of max and min: all to the operand that was chosen, half where they tie."""
    one, half = constant(out, 1.0), constant(out, 0.5)
    share = where(eq_p(x, y), half, one)
    return mul_p(g, where(eq_p(x, out), share, constant(out, 0.0)))


def _abs_derivative(g, out, x):
    if not dtypes.is_complex(typeof(x).dtype):
        return where(ge_p(x, constant(x, 0)), g, neg_p(g))
    # Re(g conj(x) / |x|), not weakly typed; divided first, so that large numbers do not vanish
    size = where(eq_p(out, constant(out, 0)), constant(out, 1), out)
    size = convert_element_type(size, typeof(size).dtype)
    real, imag = div_p(real_p(x), size), div_p(imag_p(x), size)
    return add_p(mul_p(real_p(g), real), mul_p(imag_p(g), imag))


def _power_base(g, out, x, y):
    """y x^(y-1), and zero where y is zero even if x is."""
    if dtypes.is_inexact(typeof(y).dtype):
        zero = np.zeros((), typeof(y).dtype)[()]  # not weakly typed, nor is the derivative
        smaller = where(eq_p(y, zero), zero, sub_p(y, constant(y, 1)))
        return mul_p(g, mul_p(y, pow_p(x, smaller)))
    zero = constant(y, 0)
    smaller = where(eq_p(y, zero), zero, sub_p(y, constant(y, 1)))
    factor = convert_element_type(y, typeof(x).dtype)
    return mul_p(g, mul_p(factor, pow_p(x, smaller)))


def _power_exponent(g, out, x, y):
    """x^y log x, and zero where x and x^y are."""
    if not dtypes.is_inexact(typeof(y).dtype):
        return Zero(typeof(out).tangent())
    safe = where(eq_p(x, constant(x, 0)), constant(x, 1), x)
    return mul_p(g, mul_p(log_p(safe), out))


def _integer_power_derivative(g, out, x, *, y):
    if y == 0:
        return Zero(typeof(out).tangent())
    if y == 1:
        return g
    return mul_p(g, mul_p(constant(x, y), x if y == 2 else integer_pow_p(x, y=y - 1)))


def _remainder_divisor(g, out, x, y):
    quotient = div_p(x, y)
    return neg_p(mul_p(g, mul_p(sign_p(quotient), floor_p(abs_p(quotient)))))


# --- the table: arithmetic ---------------------------------------------------------------------
neg_p: Elementwise = Elementwise(
    "neg", np.negative, NUMBER, (lambda g, out, x: neg_p(g),),
    transposes=(lambda ct, x: neg_p(ct),),
)  # fmt: skip
add_p = Elementwise(
    "add", np.add, (NUMBER, NUMBER), (lambda g, out, x, y: g, lambda g, out, x, y: g),
    transposes=(lambda ct, x, y: ct, lambda ct, x, y: ct),
)  # fmt: skip
sub_p = Elementwise(
    "sub", np.subtract, (NUMBER, NUMBER),
    (lambda g, out, x, y: g, lambda g, out, x, y: neg_p(g)),
    transposes=(lambda ct, x, y: ct, lambda ct, x, y: neg_p(ct)),
)  # fmt: skip
mul_p: Elementwise = Elementwise(
    "mul", np.multiply, (NUMBER, NUMBER),
    (lambda g, out, x, y: mul_p(g, y), lambda g, out, x, y: mul_p(x, g)),
    transposes=(lambda ct, x, y: mul_p(ct, y), lambda ct, x, y: mul_p(x, ct)),
)  # fmt: skip
mulhi_p = Elementwise(
    "mulhi", meaning.multiply_high, (INTEGER, INTEGER), operation=_multiply_high_operation, cost=8
)
div_p: Elementwise = Elementwise(
    "div", meaning.divide, (NUMBER, NUMBER),
    (
        lambda g, out, x, y: div_p(g, y),
        lambda g, out, x, y: mul_p(g, neg_p(div_p(out, y))),
    ),
    transposes=(lambda ct, x, y: div_p(ct, y), None), cost=8,
)  # fmt: skip
rem_p = Elementwise(
    "rem", meaning.remainder, (INTEGER + FLOAT, INTEGER + FLOAT),
    (lambda g, out, x, y: g, _remainder_divisor), cost=12,
)  # fmt: skip
abs_p = Elementwise(
    "abs", np.abs, SIGNED + INEXACT, (_abs_derivative,), result=dtypes.real_dtype,
)  # fmt: skip
sign_p = Elementwise("sign", meaning.sign, NUMBER, operation=_sign_operation)
max_p = Elementwise(
    "max", meaning.maximum, (ANY, ANY),
    (_chosen, lambda g, out, x, y: _chosen(g, out, y, x)),
    operation=_extreme_operation("max", "or"),
)  # fmt: skip
min_p = Elementwise(
    "min", meaning.minimum, (ANY, ANY),
    (_chosen, lambda g, out, x, y: _chosen(g, out, y, x)),
    operation=_extreme_operation("min", "and"),
)  # fmt: skip
square_p = Elementwise(
    "square", np.square, NUMBER, _times(lambda out, x: mul_p(constant(x, 2), x)),
    operation=lambda b, x: b.mul(x, x),
)  # fmt: skip
integer_pow_p = Elementwise(
    "integer_pow", meaning.integer_power, NUMBER, (_integer_power_derivative,),
    operation=_integer_power_operation, cost=3,
)  # fmt: skip


class Power(Elementwise):
    """x to the power y; y is an integer or has the dtype of x."""

    def check_equal(self, types):
        x, y = types
        if dtypes.is_inexact(y.dtype) and x.dtype != y.dtype:
            raise TypeError(
                located(
                    "the first argument to pow must have an inexact dtype (float or complex), "
                    "and the second argument must have an inexact or integer dtype, and two "
                    f"inexact dtypes must match, but got {x.dtype.name} and {y.dtype.name} "
                    "respectively.",
                    attempt="x.astype('float32'), or lax.integer_pow for a Python integer",
                )
            )


pow_p = Power(
    "pow", meaning.power, (INEXACT, NUMBER), (_power_base, _power_exponent),
    operation=_power_operation, cost=30,
)  # fmt: skip

# --- roots, exponentials, logarithms -----------------------------------------------------------
sqrt_p = Elementwise(
    "sqrt", np.sqrt, INEXACT, _times(lambda out, x: div_p(constant(x, 0.5), out)), cost=6,
)  # fmt: skip
rsqrt_p = Elementwise(
    "rsqrt", lambda x: 1 / np.sqrt(x), INEXACT,
    _times(lambda out, x: mul_p(constant(x, -0.5), div_p(out, x))), cost=8,
)  # fmt: skip
cbrt_p = Elementwise(
    "cbrt", np.cbrt, FLOAT,
    _times(lambda out, x: mul_p(constant(x, 1 / 3), integer_pow_p(out, y=-2))), cost=15,
)  # fmt: skip
exp_p = Elementwise("exp", np.exp, INEXACT, _times(lambda out, x: out), cost=10)
exp2_p = Elementwise(
    "exp2", meaning.exp2, INEXACT,
    _times(lambda out, x: mul_p(constant(x, math.log(2)), out)), cost=10,
)  # fmt: skip
expm1_p = Elementwise(
    "expm1", np.expm1, INEXACT, _times(lambda out, x: add_p(out, constant(x, 1))), cost=14,
)  # fmt: skip
log_p = Elementwise("log", np.log, INEXACT, (lambda g, out, x: div_p(g, x),), cost=12)
log1p_p = Elementwise(
    "log1p", np.log1p, INEXACT, (lambda g, out, x: div_p(g, add_p(x, constant(x, 1))),), cost=15,
)  # fmt: skip
logistic_p = Elementwise(
    "logistic", meaning.logistic, INEXACT,
    _times(lambda out, x: mul_p(out, sub_p(constant(x, 1), out))), cost=14,
)  # fmt: skip

# --- trigonometric and hyperbolic functions ----------------------------------------------------
sin_p = Elementwise("sin", np.sin, INEXACT, _times(lambda out, x: cos_p(x)), cost=14)
cos_p: Elementwise = Elementwise(
    "cos", np.cos, INEXACT, _times(lambda out, x: neg_p(sin_p(x))), cost=14
)
tan_p = Elementwise(
    "tan", np.tan, INEXACT, _times(lambda out, x: add_p(constant(x, 1), square_p(out))), cost=20,
)  # fmt: skip
asin_p = Elementwise("asin", np.arcsin, INEXACT, _times(lambda out, x: _arc(x)), cost=18)
acos_p = Elementwise("acos", np.arccos, INEXACT, _times(lambda out, x: neg_p(_arc(x))), cost=18)
atan_p = Elementwise(
    "atan", np.arctan, INEXACT,
    (lambda g, out, x: div_p(g, add_p(constant(x, 1), square_p(x))),), cost=16,
)  # fmt: skip
atan2_p = Elementwise(
    "atan2", meaning.arc_tangent, (INEXACT, INEXACT),
    (
        lambda g, out, x, y: mul_p(g, div_p(y, add_p(square_p(x), square_p(y)))),
        lambda g, out, x, y: mul_p(g, div_p(neg_p(x), add_p(square_p(x), square_p(y)))),
    ),
    cost=22,
)  # fmt: skip
sinh_p = Elementwise("sinh", np.sinh, INEXACT, _times(lambda out, x: cosh_p(x)), cost=16)
cosh_p: Elementwise = Elementwise(
    "cosh", np.cosh, INEXACT, _times(lambda out, x: sinh_p(x)), cost=14
)
tanh_p = Elementwise(
    "tanh", np.tanh, INEXACT, _times(lambda out, x: sub_p(constant(x, 1), square_p(out))), cost=12,
)  # fmt: skip
asinh_p = Elementwise(
    "asinh", np.arcsinh, INEXACT,
    _times(lambda out, x: rsqrt_p(add_p(square_p(x), constant(x, 1)))), cost=18,
)  # fmt: skip
acosh_p = Elementwise(
    "acosh", np.arccosh, INEXACT,
    _times(lambda out, x: _acosh_slope(x)), cost=18,
)  # fmt: skip
atanh_p = Elementwise(
    "atanh", np.arctanh, INEXACT,
    (lambda g, out, x: div_p(
        g, mul_p(add_p(constant(x, 1), x), sub_p(constant(x, 1), x))),), cost=16,
)  # fmt: skip


def _arc(x):
    """1 / sqrt(1 - x²), the derivative of the arc sine, in a form that keeps its digits at ±1."""
    one = constant(x, 1)
    return mul_p(rsqrt_p(sub_p(one, x)), rsqrt_p(add_p(one, x)))


def _acosh_slope(x):
    one = constant(x, 1)
    return mul_p(rsqrt_p(sub_p(x, one)), rsqrt_p(add_p(x, one)))


# --- rounding and bits -------------------------------------------------------------------------
floor_p = Elementwise("floor", np.floor, FLOAT)
ceil_p = Elementwise("ceil", np.ceil, FLOAT)
round_p = Elementwise(
    "round", meaning.round_to_integer, FLOAT, operation=_round_operation, cost=2,
)  # fmt: skip
and_p = Elementwise("and", np.bitwise_and, (LOGICAL, LOGICAL))
or_p = Elementwise("or", np.bitwise_or, (LOGICAL, LOGICAL))
xor_p = Elementwise("xor", np.bitwise_xor, (LOGICAL, LOGICAL))
not_p = Elementwise("not", np.invert, LOGICAL)
shift_left_p = Elementwise(
    "shift_left", meaning.shift(np.left_shift, 0), (INTEGER, INTEGER), operation="shl"
)  # fmt: skip
shift_right_logical_p = OfBits(
    "shift_right_logical", meaning.shift(meaning.unsigned_shift, 0), (INTEGER, INTEGER),
    operation="shr_logical", place="below zeros",
)  # fmt: skip
shift_right_arithmetic_p = OfBits(
    "shift_right_arithmetic", meaning.shift(meaning.signed_shift, None), (INTEGER, INTEGER),
    operation="shr_arithmetic", place="below signs",
)  # fmt: skip
population_count_p = OfBits(
    "population_count", meaning.population_count, INTEGER, operation="popcount", cost=2,
    place="below zeros",
)  # fmt: skip
clz_p = OfBits("clz", meaning.leading_zeros, INTEGER, cost=2, place="above ones")


class NextAfter(Elementwise):
    """The neighbour of x in the direction of y, in the dtype that is stored."""

    def reference(self, x, y):
        x, y = np.broadcast_arrays(x, y)
        return [meaning.next_after(x, y)]

    def element(self, b, types, operands, index):
        dtype = types[0].dtype
        x, y = elements(types, operands, index)
        if dtype.name not in FORMATS:
            return [b.nextafter(x, y)]
        return [_stored_neighbour(b, x, y, FORMATS[dtype.name])]


def _stored_neighbour(b, x, y, row):
    """`meaning.next_after` of a small float; x and y come as float32."""
    bits, goal = (b.op("bitcast", b.op("cast", v, dtype=row.name), dtype=row.raw) for v in (x, y))
    everything = (1 << row.bits) - 1
    sign = 1 << (row.bits - 1) if row.is_signed else 0
    zero, one = b.const(0, row.raw), b.const(1, row.raw)

    def part(word, mask):
        return b.op("and", word, b.const(mask, row.raw))

    bits, goal = part(bits, everything), part(goal, everything)
    size, goal_size = part(bits, everything ^ sign), part(goal, everything ^ sign)
    outward = b.and_(b.eq(part(bits, sign), part(goal, sign)), b.gt(goal_size, size))
    moved = b.select(outward, b.add(bits, one), b.sub(bits, one))
    equal = b.eq(bits, goal)
    if sign:
        moved = b.select(b.eq(size, zero), b.op("or", part(goal, sign), one), moved)
        equal = b.or_(equal, b.eq(b.op("or", size, goal_size), zero))
    if row.special == ONE_ZERO:  # what would be -0 is NaN
        moved = b.select(b.eq(moved, b.const(sign, row.raw)), zero, moved)
    near = b.op("cast", b.op("bitcast", moved, dtype=row.name), dtype=x.dtype)
    near = b.select(equal, y, near)
    return b.select(b.or_(b.ne(x, x), b.ne(y, y)), b.add(x, y), near)


nextafter_p = NextAfter(
    "nextafter", meaning.next_after, (FLOAT, FLOAT), (not_implemented("nextafter"),) * 2, cost=4
)  # fmt: skip
