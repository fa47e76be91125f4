"""Error functions: erf, erfc, erf_inv."""

from __future__ import annotations

import math

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop import math_tables
from fornax.compiler.loop.math_arithmetic import (
    Term,
    at_most,
    copysign,
    fma,
    from_low_bits,
    half_inverse_root,
    horner,
    sqrt,
    two_product,
    two_sum,
    where,
)
from fornax.compiler.loop.math_exponential import (
    LN2,
    LOG2_E,
    exp_of_sum,
    exp_short,
    reduced_expm1,
)
from fornax.compiler.loop.math_logarithm import decompose, exponent_and_bits, log_of
from fornax.compiler.loop.math_pieces import odd_by_pieces

TWO_OVER_ROOT_PI = 1.1283791670955126

#: erf is ±1 beyond.
ERF_LIMIT = {"float32": 3.93, "float64": 5.95}


def log_erfc(size: Term) -> Term:
    """log(erfc x) for 0 <= x <= `ERF_LIMIT`, accurate to its last digit near zero."""
    high, *rest = table.ERF_LOG[size.dtype]
    return fma(size, high, size * horner(size, rest))


def erf(x: Term) -> Term:
    """1 - e^q with a polynomial q = log(erfc |x|): one formula, accurate down to zero because
    e^q - 1 is formed without cancellation."""
    if x.target.tables and x.dtype == "float32":
        return odd_by_pieces(x, math_tables.ERF)
    q = log_erfc(at_most(abs(x), ERF_LIMIT[x.dtype]))
    shift = x.format.magic + x.format.bias
    t = fma(q, LOG2_E, x.like(shift))
    r = fma(t - shift, -LN2, q)
    scale = from_low_bits(t)
    p = reduced_expm1(r, table.EXPM1_NARROW[x.dtype])
    return copysign(fma(p, -scale, 1.0 - scale), x)


def erfc(x: Term) -> Term:
    if x.dtype == "float32":
        return erfc_short(x.cast("float64")).cast("float32")
    size = at_most(abs(x), 27.3)
    result = erfc_positive(size)
    return where(x < 0.0, 2.0 - result, result)


def erfc_positive(size: Term) -> Term:
    """float64 erfc of 0 <= x <= 27.3: e^log(erfc x) up to 0.75, then e^(-x²) times a polynomial
    in 1/(x + 2.5), with the rounding error of x² in the exponent."""
    small = size < 0.75
    q = log_erfc(at_most(size, 0.75))
    square, low = two_product(size, size)
    bottom, bottom_low = two_sum(size, size.like(2.5))
    p = 1.0 / bottom
    error = fma(p, -bottom, p.like(1.0)) - p * bottom_low  # of p, relative
    low = fma(error, fma(p, 4.5, p.like(1.0)), -low)  # 1 + 4.5 p: d log / d log p, roughly
    exponent, low = where(small, q, -square), where(small, 0.0, low)
    factor = where(small, 1.0, p * horner(p, table.ERFC["float64"]))
    return exp_of_sum(exponent, low, factor)


def erfc_short(x: Term) -> Term:
    """erfc for float32, computed in float64 with short polynomials."""
    size = at_most(abs(x), 10.1)
    p = 1.0 / (size + 2.5)
    factor = p * horner(p, table.ERFC["float64_short"])
    result = factor * exp_short(-size * size)
    return where(x < 0.0, 2.0 - result, result)


def erf_inv(x: Term) -> Term:
    size = abs(x)
    result = (inverse_float32 if x.dtype == "float32" else inverse_float64)(size)
    ends = where(size == 1.0, math.inf, x.like(math.nan))
    return copysign(where(size < 1.0, result, ends), x)


def inverse_float32(size: Term) -> Term:
    """|x| times a polynomial in w = -log(1 - x²), or in its root where w is large."""
    one = fma(size, -size, size.like(1.0))
    if not size.target.fused:
        one = (1.0 - size) * (size + 1.0)
    k, bits = exponent_and_bits(one)
    w = -log_of(k, bits.real - 1.0)
    root = sqrt(w)
    product, error = two_product(root, root)
    rounding = ((w - product) - error) * half_inverse_root(w)
    tail = horner(root - 3.0, table.ERF_INV_TAIL["float32"]) + rounding
    first, *rest = table.ERF_INV_MIDDLE["float32"]
    middle = horner(w, rest)
    low = w < 3.6
    return fma(size, where(low, first, root), size * where(low, middle, tail))


def inverse_float64(size: Term) -> Term:
    """A polynomial in x² up to 1/2; beyond, one step of Halley's method on erfc."""
    z = size * size
    small = size * horner(z, table.ERF_INV_SMALL["float64"])
    complement = 1.0 - size
    w = -log_of(*decompose(complement * (size + 1.0)))
    root = sqrt(w)
    tail = root + horner(root - 3.0, table.ERF_INV_TAIL["float64"])
    first, *rest = table.ERF_INV_MIDDLE["float32"]
    start = size * where(w < 5.0, first + horner(w, rest), tail)
    error = complement - erfc_positive(start)
    slope = TWO_OVER_ROOT_PI * exp_of_sum(-start * start, start * 0.0)
    step = error / slope
    large = start - step / fma(start, step, 1.0)
    return where(size < 0.5, small, large)
