"""Functions of float32 by pieces, where tables of 32 numbers are looked up in registers.

A look-up takes the time of one product. Odd functions need no division nor exponential then: |x| +
`offset` is cut by the upper digits of its significand, so that pieces get wider away from zero.
Exponentials and logarithms need fewer terms.
"""

from __future__ import annotations

import math

from fornax.compiler.loop.math_arithmetic import (
    Term,
    at_most,
    clamp,
    copysign,
    fma,
    horner,
    quick_two_sum,
    scaled,
    two_product,
    within,
)
from fornax.compiler.loop.math_coefficients import LN2_PARTS
from fornax.record import record

#: log2 e less the float32 next to it
LOG2_E_REST = 1.9259629911e-08


@record(frozen=True)
class Pieces:
    """How |x| is cut; tables of centers and of coefficients from x^0 on. 1 from `limit` on."""

    offset: float
    limit: float
    tables: tuple[tuple[float, ...], ...]


@record(frozen=True)
class Logarithm:
    """For each piece of significands m the inverse of some c next to it and log2 c, as the sum of
    one that is exact with an exponent added and the rest; log2(m / c) of m / c - 1, from x^1."""

    lowest: int  #: bit pattern of the least significand
    inverse: tuple[float, ...]
    upper: tuple[float, ...]
    lower: tuple[float, ...]
    powers: tuple[float, ...]


@record(frozen=True)
class Exponential:
    """2^(k / 16) for every k, and (e^r - 1 - r) / r² for |r| <= ln 2 / 32, from r^0."""

    powers: tuple[float, ...]
    rest: tuple[float, ...]


def odd_by_pieces(x: Term, pieces: Pieces) -> Term:
    """The last two terms are added in one rounding each: at zero the piece is c x + …, with few
    digits to lose."""
    size = at_most(abs(x), pieces.limit)
    place = (size + pieces.offset).bits >> 20
    center, *powers = (look_up(place, numbers) for numbers in pieces.tables)
    r = size - center
    rest = powers[-1]
    for c in powers[-2:1:-1]:
        rest = fma(rest, r, c)
    return copysign(fma(r, powers[1], fma(r * r, rest, powers[0])), x)


def log2_by_pieces(k: Term, bits: Term, row: Logarithm) -> Term:
    """k + log2 m in float64, m the float32 of some bits; with fma. Only what is large is computed
    in float64."""
    high, r, rest = (v.cast("float64") for v in log2_parts(k, bits, row))
    return fma(r, row.powers[0], high) + rest


def log2_sum(k: Term, bits: Term, row: Logarithm) -> tuple[Term, Term]:
    """k + log2 m as a sum of two float32; its error is below 2^-31 and the last digit of the
    second."""
    high, r, rest = log2_parts(k, bits, row)
    product, error = two_product(r, row.powers[0])
    high, low = quick_two_sum(high, product)
    return high, low + (error + fma(r, LOG2_E_REST, rest))


def log2_parts(k: Term, bits: Term, row: Logarithm) -> tuple[Term, Term, Term]:
    """(high, r, rest): k + log2 m = high + r log2 e + rest. c is 1 next to 1, so that no digit of
    a small logarithm is lost."""
    place = (bits - row.lowest) >> 18
    inverse, upper, lower = (look_up(place, t) for t in (row.inverse, row.upper, row.lower))
    quotient, error = two_product(bits.real, inverse)
    r = quotient - 1.0  # exact
    near = r + error
    rest = fma(near * near, horner(near, row.powers[1:]), fma(error, row.powers[0], lower))
    return k + upper, r, rest


def exp_by_pieces(x: Term, row: Exponential, limits: tuple[float, float]) -> Term:
    """e^x = 2^h · 2^h · 2^(k/16) e^r, with fma; 16 x / ln 2 rounded is 32 h + k. Two exact products
    reach infinity and the denormals, for x in `limits`. Where one instruction does, 16 x / ln 2 is
    16 h + k, and x any number: where h is too large to leave an r, or NaN, only h matters."""
    form, count = x.format, len(row.powers)
    if x.target.scales:
        high, low = LN2_PARTS[x.dtype]
        shift = 2 * form.magic / count
        t = fma(x, 1 / math.log(2), x.like(shift))
        h = t - shift
        r = within(fma(h, -low, fma(h, -high, x)), math.log(2) / count * 1.01)
        power = look_up(t.bits, 2 * row.powers[: count // 2])
        return scaled(grown(r, power, row), h)
    x = clamp(x, *limits)
    shift = form.magic + count * form.bias
    high, low = (-2 * part / count for part in LN2_PARTS[x.dtype])
    t = fma(x, count / (2 * math.log(2)), x.like(shift))
    n = t - shift
    r = fma(n, low, fma(n, high, x))
    power = look_up(t.bits, row.powers)
    digits = count.bit_length() - 1  # of k, below those of h
    scale = ((t.bits << (form.mantissa - digits)) & form.exponent_mask).real
    return grown(r, power, row) * scale * scale


def grown(r: Term, power: Term, row: Exponential) -> Term:
    """power · e^r."""
    return fma(power * r, fma(r, horner(r, row.rest), r.like(1.0)), power)


def look_up(place: Term, numbers: tuple[float, ...]) -> Term:
    """The number at `place` modulo their count."""
    b = place.target.b
    return Term(place.target, b.node("table", "float32", numbers, (place.expr,)))
