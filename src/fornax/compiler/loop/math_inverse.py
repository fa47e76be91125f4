"""Inverse trigonometric and inverse hyperbolic functions."""

from __future__ import annotations

import math

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop.math_arithmetic import (
    Term,
    copysign,
    exponent_of,
    fma,
    half_inverse_root,
    horner,
    sqrt,
    two_product,
    two_sum,
    where,
)
from fornax.compiler.loop.math_logarithm import log_of, sum_near_one

#: pi - float(pi) relative to float(pi): what is missing from float(pi), float(pi / 2) and 0.
PI_REST = {"float32": -2.7827534e-08, "float64": 3.8981718325193755e-17}


def arc_of_ratio(top: Term, bottom: Term, base: Term, negative: Term) -> Term:
    """base ± atan(top / bottom) for 0 <= top <= bottom; base is 0, pi/2 or pi."""
    q = top / bottom
    z = q * q
    a = fma(q * z, horner(z, table.ATAN[q.dtype][1:]), q)
    a = (a.bits ^ where(negative, a.bits.like(a.format.sign), 0)).real
    return base + fma(base, PI_REST[q.dtype], a)


def atan(x: Term) -> Term:
    size = abs(x)
    inverted = size > 1.0
    top = where(inverted, 1.0, size)
    bottom = where(inverted, size, 1.0)
    base = where(inverted, x.like(math.pi / 2), 0.0)
    return copysign(arc_of_ratio(top, bottom, base, inverted), x)


def atan2(y: Term, x: Term) -> Term:
    """The angle of the point (x, y), with C99's answers at the origin and at infinity."""
    height, width = abs(y), abs(x)
    steep = height > width
    top, bottom = where(steep, width, height), where(steep, height, width)
    equal = top == bottom  # also 0/0 and inf/inf
    level = where((top == 0.0), 0.0, x.like(1.0))
    top, bottom = where(equal, level, top), where(equal, 1.0, bottom)
    left = (x.bits & x.format.sign) != 0
    base = where(steep, x.like(math.pi / 2), where(left, x.like(math.pi), 0.0))
    angle = copysign(arc_of_ratio(top, bottom, base, steep ^ left), y)
    return where((x != x) | (y != y), x + y, angle)


# --- arcs of a half chord ---------------------------------------------------------------------
def half_arc(x: Term) -> tuple[Term, Term, Term, Term]:
    """(is |x| > 1/2, s, a, rest): asin(s) = s + a + rest with s = |x| up to 1/2, beyond it
    s = sqrt((1 - |x|)/2), whose rounding error is in `rest`."""
    size = abs(x)
    large = size > 0.5
    z = where(large, fma(size, -0.5, x.like(0.5)), size * size)
    root = sqrt(z)
    product, error = two_product(root, root)
    rest = where(large, ((z - product) - error) * half_inverse_root(z), 0.0)
    s = where(large, root, size)
    return large, s, s * z * horner(z, table.ASIN[x.dtype][1:]), rest


def asin(x: Term) -> Term:
    """x + x³ P(x²) up to 1/2, then pi/2 - 2 asin(sqrt((1 - |x|)/2))."""
    large, s, a, rest = half_arc(x)
    half_pi = math.pi / 2
    low = PI_REST[x.dtype] * half_pi
    beyond = (half_pi - 2.0 * s) - (2.0 * (a + rest) - low)
    return copysign(where(large, beyond, s + a), x)


def acos(x: Term) -> Term:
    """2 asin(sqrt((1 - x)/2)) from 1/2 on, pi minus that below -1/2, pi/2 - asin x between."""
    large, s, a, rest = half_arc(x)
    negative = x < 0.0
    twice = 2.0 * (s + (a + rest))
    pi_low = PI_REST[x.dtype] * math.pi
    beyond = where(negative, math.pi - (twice - pi_low), twice)
    arc = copysign(s + a, x)
    return where(large, beyond, math.pi / 2 - (arc - 0.5 * pi_low))


# --- inverse hyperbolic -----------------------------------------------------------------------
def log1p_of_sum(high: Term, low: Term, more: Term) -> Term:
    """log(1 + high + low) + more · ln 2 for high >= 0 and a low below its last digit."""
    k, inverse, f = sum_near_one(high)
    rest = low * inverse * fma(f, f - 1.0, 1.0)  # low / (1 + f), to the digits that matter
    return log_of(k + more, f, rest)


def asinh(x: Term) -> Term:
    """log1p(x + (sqrt(1 + x²) - 1)), the difference as x² / (1 + sqrt(1 + x²))."""
    size = abs(x)
    huge = size >= 2.0 ** (x.format.digits + 2)
    bounded = where(huge, 1.0, size)
    square = bounded * bounded
    high, low = two_sum(bounded, square / (1.0 + sqrt(square + 1.0)))
    high, low = where(huge, size, high), where(huge, 0.0, low)
    result = log1p_of_sum(high, low, where(huge, x.like(1.0), 0.0))
    return where(size < math.inf, copysign(result, x), x)


def acosh(x: Term) -> Term:
    """log1p(t + sqrt(2 t + t²)) with t = x - 1."""
    huge = x >= 2.0 ** (x.format.digits + 2)
    t = where(huge, 1.0, x - 1.0)
    square, square_low = two_product(t, t + 2.0)
    root = sqrt(square)
    product, error = two_product(root, root)
    rest = ((square - product) - error) + square_low
    high, low = two_sum(t, root)
    low = low + rest * half_inverse_root(square)
    high, low = where(huge, x, high), where(huge, 0.0, low)
    result = log1p_of_sum(high, low, where(huge, x.like(1.0), 0.0))
    result = where(x == 1.0, 0.0, result)
    return where(x < 1.0, math.nan, where(x < math.inf, result, x))


def atanh(x: Term) -> Term:
    """k ln 2 / 2 + atanh(s) with (1 + x)/(1 - x) = 2^k (1 + s)/(1 - s) and |s| <= 0.21."""
    form = x.format
    size = abs(x)
    u, v = size + 1.0, 1.0 - size
    ratio = u.bits - v.bits + (form.one + (1 << (form.mantissa - 1)))
    k = exponent_of(ratio)
    c = (ratio & form.exponent_mask).real  # 2^k
    near_one = size > 0.9  # there v is exact, below 1 - c and 1 + c are
    top = where(near_one, fma(v, -c, u), fma(size, c + 1.0, 1.0 - c))
    bottom = where(near_one, fma(v, c, u), fma(size, 1.0 - c, c + 1.0))
    s = top / bottom
    z = s * s
    high, low = table.LN2_PARTS[x.dtype]
    tail = fma(s * z, horner(z, table.ATANH[x.dtype][1:]), k * (0.5 * low))
    whole = k * (0.5 * high)
    total, error = two_sum(whole, s)
    result = copysign(total + (error + tail), x)
    ends = where(size == 1.0, copysign(x.like(math.inf), x), math.nan)
    return where(size < 1.0, result, where(x == x, ends, x))
