"""Logarithms: log, log2, log1p, and the inverse hyperbolic functions made of them.

x = 2^k · (1 + f). In float32, 1 + f lies in [2/3, 4/3) and log(1 + f) is a polynomial in f; in
float64 it lies in [sqrt(1/2), sqrt(2)) and the polynomial is one in s² with s = f / (2 + f).
"""

from __future__ import annotations

import math

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop.math_arithmetic import (
    Term,
    bias_and,
    copysign,
    exponent_of,
    fma,
    horner,
    rarely,
    where,
)

#: Bit patterns of the lower end of 1 + f.
LOWEST = {"float32": 0x3F2AAAAB, "float64": 0x3FE6A09E667F3BCD}
LOG2_E = 1.4426950408889634
LOG2_E_REST = 2.0355273740931033e-17


def exponent_and_bits(x: Term, lift: Term | None = None) -> tuple[Term, Term]:
    """(k, bits of 1 + f) of a positive normal number; `lift` as for `exponent_of`."""
    form = x.format
    u = x.bits + (form.one - LOWEST[x.dtype])
    return exponent_of(u, lift), (u & ((1 << form.mantissa) - 1)) + LOWEST[x.dtype]


def decompose(x: Term) -> tuple[Term, Term]:
    """(k, f) with x = 2^k (1 + f), for any positive finite x."""
    form = x.format
    tiny = x < form.smallest_normal
    lift = where(tiny, x.like(bias_and(form, form.digits)), bias_and(form, 0))
    k, bits = exponent_and_bits(where(tiny, x * 2.0**form.digits, x), lift)
    return k, bits.real - 1.0


def log_of(k: Term, f: Term, more: Term | None = None) -> Term:
    """k ln 2 + log(1 + f) + more, the last below the digits of the result."""
    high, low = table.LN2_PARTS[f.dtype]
    if f.dtype == "float32":
        total = log1p_series(f, more)
        if k.target.fused:
            return fma(k, math.log(2), total)
        return fma(k, high, fma(k, low, total))
    square, rest = ratio_parts(f)
    rest = rest if more is None else rest + more
    return fma(k, high, f - (square - fma(k, low, rest)))


def log1p_series(f: Term, more: Term | None = None) -> Term:
    """log(1 + f) + more in float32, |f| <= 1/3."""
    series = horner(f, table.LOG["float32"][1:])
    return fma(f * f, series, f) if more is None else f + fma(f * f, series, more)


def ratio_parts(f: Term) -> tuple[Term, Term]:
    """(f²/2, q) with log(1 + f) = f - f²/2 + q."""
    s = f / (f + 2.0)
    z = s * s
    square = f * f * 0.5
    return square, s * fma(z, horner(z, table.LOG_RATIO["float64"]), square)


def with_ends(x: Term, result: Term) -> Term:
    """A logarithm, also of zero, infinity and what is below zero; NaN stays."""
    ends = where(x == 0.0, -math.inf, where(x < 0.0, math.nan, x))
    return where((x > 0.0) & (x < math.inf), result, ends)


def usual(x: Term) -> tuple[Term, Term, Term]:
    """(whether x is no positive normal number, k, f) with x = 2^k (1 + f) for any positive x.

    What denormal numbers need is jumped over where there are none.
    """
    form = x.format
    least = 1 << form.mantissa
    strange = x.bits - least >= form.exponent_mask - least
    tiny, plain = x < form.smallest_normal, x.like(bias_and(form, 0))
    lift = rarely(strange, where(tiny, bias_and(form, form.digits), plain), plain)
    lifted = rarely(strange, where(tiny, x * 2.0**form.digits, x), x)
    k, bits = exponent_and_bits(lifted, lift)
    return strange, k, bits.real - 1.0


def log(x: Term) -> Term:
    strange, k, f = usual(x)
    result = log_of(k, f)
    return rarely(strange, with_ends(x, result), result)


def log2(x: Term) -> Term:
    strange, k, f = usual(x)
    if x.dtype == "float32":
        result = k + fma(f, horner(f, table.LOG2["float32"]), f)
    else:
        square, rest = ratio_parts(f)
        high = f - square
        low = ((f - high) - square) + rest
        result = k + fma(high, LOG2_E, fma(low, LOG2_E, high * LOG2_E_REST))
    return rarely(strange, with_ends(x, result), result)


def sum_near_one(x: Term) -> tuple[Term, Term, Term]:
    """(k, 2^-k, f = x·2^-k + (2^-k - 1)) with 1 + x = (1 + f) 2^k, for x > -1.

    2^-k may be denormal, and zero where those are flushed: large x are divided in two steps.
    """
    form = x.format
    u = (1.0 + x).bits + (form.one - LOWEST[x.dtype])
    field = u & form.exponent_mask
    quadruple = (field.like(2 * form.one + (2 << form.mantissa)) - field).real
    inverse = quadruple * 0.25
    large = x > 1.0
    part, factor = where(large, x * 0.25, x), where(large, quadruple, inverse)
    return exponent_of(u), inverse, fma(part, factor, inverse - 1.0)


def log1p(x: Term) -> Term:
    """As `log` of 1 + x, with digits that 1 + x drops. What is not above -1, or so large that 2^-k
    were denormal, is jumped over."""
    form = x.format
    whole = (1.0 + x).bits
    least, end = 1 << form.mantissa, (2 * form.bias - 1) << form.mantissa
    strange = whole - least >= end - least
    u = whole + (form.one - LOWEST[x.dtype])
    inverse = ((u & form.exponent_mask).like(2 * form.one) - (u & form.exponent_mask)).real
    k, _, large = sum_near_one(x)
    f = rarely(strange, large, fma(x, inverse, inverse - 1.0))
    result = copysign(log_of(k, f), x)
    ends = where(x == -1.0, -math.inf, where(x < -1.0, math.nan, where(x < math.inf, result, x)))
    return rarely(strange, ends, result)
