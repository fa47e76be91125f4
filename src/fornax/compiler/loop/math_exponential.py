"""Exponentials: exp, exp2, expm1, sinh, cosh, tanh, logistic.

The exponent is taken in two equal halves: x = 2 h ln 2 + r with |r| <= ln 2 and an integer h, so
that e^x = e^r · 2^h · 2^h reaches infinity and the denormals by two exact products. `magic + bias`
rounds to h and leaves h + bias in the low bits, one shift from 2^h: no conversion to integers.
Where an instruction multiplies by 2^n, whatever n, the exponent is taken in one.
"""

from __future__ import annotations

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop import math_tables
from fornax.compiler.loop.math_arithmetic import (
    Term,
    at_most,
    clamp,
    copysign,
    fma,
    from_low_bits,
    horner,
    scaled,
    two_product,
    where,
)
from fornax.compiler.loop.math_pieces import exp_by_pieces, odd_by_pieces

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
#: Beyond these exp gives 0 and infinity; the halves stay within the exponents of normal numbers.
RANGE = {"float32": (-104.0, 89.0), "float64": (-746.0, 710.0)}
RANGE2 = {"float32": (-151.0, 129.0), "float64": (-1076.0, 1025.0)}


def halves(x: Term) -> tuple[Term, Term, Term]:
    """(r, 2^h, the sum whose low bits are bias + h) with x = 2 h ln 2 + r, for x in `RANGE`."""
    shift = x.format.magic + x.format.bias
    high, low = table.LN2_PARTS[x.dtype]
    t = fma(x, 0.5 * LOG2_E, x.like(shift))
    h = t - shift
    r = fma(h, -2 * low, fma(h, -2 * high, x))
    return r, from_low_bits(t), t


def inverse_power(t: Term) -> Term:
    """2^-h from the sum that `halves` returns."""
    return ((t.bits.like(2 * t.format.bias) - t.bits) << t.format.mantissa).real


def exp(x: Term) -> Term:
    if x.target.tables and x.target.fused and x.dtype == "float32":
        return exp_by_pieces(x, math_tables.EXP, RANGE[x.dtype])
    x = clamp(x, *RANGE[x.dtype])
    if x.target.scales and x.target.fused:
        high, low = table.LN2_PARTS[x.dtype]
        n = fma(x, LOG2_E, x.like(x.format.magic)) - x.format.magic
        return scaled(horner(fma(n, -low, fma(n, -high, x)), table.EXP_NARROW[x.dtype]), n)
    r, scale, _ = halves(x)
    return horner(r, table.EXP[x.dtype]) * scale * scale


def exp_of_sum(x: Term, low: Term, factor: Term | float = 1.0) -> Term:
    """factor · e^(x + low) for x in `RANGE` and a `low` smaller than the last digit of x."""
    r, scale, t = halves(x)
    h = t - (x.format.magic + x.format.bias)
    high_ln2, low_ln2 = (-2 * part for part in table.LN2_PARTS[x.dtype])
    exact = fma(h, high_ln2, x)
    if x.target.fused:
        rest = fma(h, low_ln2, exact - r) + low
    else:
        product, error = two_product(h, low_ln2)
        rest = ((exact - r) + product) + (error + low)
    square, tail = r * r, horner(r, table.EXP[x.dtype][2:])
    rest = fma(fma(square, tail, r), rest, rest)  # rest · e^r
    rest = r + fma(square, tail, rest)
    power = fma(rest, factor, factor) if isinstance(factor, Term) else rest + factor
    return power * scale * scale


def exp_short(x: Term) -> Term:
    """e^x in float64 to the digits of float32, |x| <= 150."""
    shift = x.format.magic + x.format.bias
    t = fma(x, LOG2_E, x.like(shift))
    r = fma(t - shift, -LN2, x)
    return horner(r * LOG2_E, table.EXP2_SHORT["float64"]) * from_low_bits(t)


def exp2(x: Term) -> Term:
    x = clamp(x, *RANGE2[x.dtype])
    shift = x.format.magic + x.format.bias
    t = fma(x, 0.5, x.like(shift))
    scale = from_low_bits(t)
    r = fma(t - shift, -2.0, x)
    return horner(r, table.EXP2[x.dtype]) * scale * scale


def reduced_expm1(r: Term, coefficients: tuple[float, ...]) -> Term:
    """A polynomial from x^1 whose first coefficient is 1, rounded hardly more than once."""
    return fma(r * r, horner(r, coefficients[1:]), r)


def expm1(x: Term) -> Term:
    """2^h · (2^h · expm1(r) + (2^h - 2^-h)): exact in its parts, finite until the last product."""
    r, scale, t = halves(clamp(x, *RANGE[x.dtype]))
    p = reduced_expm1(r, table.EXPM1[x.dtype])
    return copysign(scale * fma(scale, p, scale - inverse_power(t)), x)


def logistic(x: Term) -> Term:
    """1 / (1 + e^-x) as c / (c + c 2^n e^r) with c = 2^-24 (2^-53): 2^n c stays finite where 2^n
    does not, and tiny results are right to the last denormal."""
    c = 0.5**x.format.digits
    low = {"float32": -104.0, "float64": -746.0}[x.dtype]
    x = clamp(x, low, 40.0)
    shift = x.format.magic + x.format.bias - x.format.digits
    t = fma(x, -LOG2_E, x.like(shift))
    n = t - shift
    high, rest = table.LN2_PARTS[x.dtype]
    r = fma(n, rest, fma(n, high, x))  # of -x, negated
    scale = from_low_bits(t)
    _, *coefficients = (k * (-1) ** i for i, k in enumerate(table.EXP_NARROW[x.dtype]))
    return c / (fma(r * horner(r, coefficients), scale, c) + scale)


#: tanh is ±1 beyond.
TANH_LIMIT = {"float32": 9.02, "float64": 19.1}


def tanh(x: Term) -> Term:
    """1 - 2 / (e^2|x| + 1), or an odd polynomial where that cancels."""
    if x.target.tables and x.dtype == "float32":
        return odd_by_pieces(x, math_tables.TANH)
    size = at_most(abs(x), TANH_LIMIT[x.dtype])
    shift = x.format.magic + x.format.bias
    t = fma(size, 2 * LOG2_E, x.like(shift))
    r = fma(t - shift, -0.5 * LN2, size)
    large = 1.0 - 2.0 / fma(horner(r, table.EXP_DOUBLED[x.dtype]), from_low_bits(t), 1.0)
    z = size * size
    small = fma(size * z, horner(z, table.TANH[x.dtype][1:]), size)
    return copysign(where(size < 0.56, small, large), x)


def exponential_pair(x: Term) -> tuple[Term, Term, Term, Term]:
    """(2^h, a, b, c) for x >= 0 with e^x/2 = 2^h (a + b), e^-x/2 = 2^h c and a = 2^h/2."""
    r, scale, _ = halves(at_most(x, 1.01 * RANGE[x.dtype][1]))
    a = scale * 0.5
    b = reduced_expm1(r, table.EXP[x.dtype][1:]) * a
    return scale, a, b, 0.25 / ((a + b) * scale * scale)


def cosh(x: Term) -> Term:
    scale, a, b, c = exponential_pair(abs(x))
    return scale * (a + (b + c))


def sinh(x: Term) -> Term:
    """e^x/2 - e^-x/2 from 1 on, an odd polynomial below."""
    size = abs(x)
    scale, a, b, c = exponential_pair(size)
    z = x * x
    small = fma(size * z, horner(z, table.SINH[x.dtype][1:]), size)
    return copysign(where(size < 1.0, small, scale * (a + (b - c))), x)
