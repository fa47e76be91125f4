"""lgamma and digamma.

For y > 0: polynomials on [1, 2] reached from (0, 1) and [2, 3) by one step of the recurrence, and
the asymptotic series (with minimax coefficients) from 3 on. Negative arguments are reflected.
float32 is computed in float64 with short polynomials.
"""

from __future__ import annotations

import math

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop.math_arithmetic import (
    Term,
    fma,
    horner,
    nearest,
    two_product,
    two_sum,
    where,
)
from fornax.compiler.loop.math_logarithm import decompose, exponent_and_bits, log_of
from fornax.compiler.loop.math_power import precise_log
from fornax.record import record

LOG_PI = 1.1447298858494002
#: log(2 pi)/2 - 1/2
STIRLING_CONSTANT = 0.41893853320467274


@record
class Place:
    """Where a positive number lies, and how it reaches [1, 2]."""

    below: Term  #: y < 1: step up
    above: Term  #: 2 <= y < 3: step down
    far: Term  #: y >= 3
    offset: Term  #: the number in [1, 2], minus one; exact
    step: Term  #: what the recurrence takes the logarithm or the inverse of; y itself when far


def place(y: Term) -> Place:
    below, beyond, far = y < 1.0, y >= 2.0, y >= 3.0
    offset = where(below, y, where(beyond, y - 2.0, y - 1.0))
    step = where(below | far, y, where(beyond, y - 1.0, 1.0))
    return Place(below, beyond & ~far, far, where(far, 0.0, offset), step)


def short_log(x: Term) -> Term:
    """log x in float64 to the digits of float32, for positive finite normal x."""
    k, bits = exponent_and_bits(x)
    f = bits.real - 1.0
    s = f / (f + 2.0)
    series = horner(s * s, table.LOG2_RATIO["float64"])
    return fma(s, series, k) * math.log(2)


def sine_of_turns(size: Term) -> tuple[Term, Term]:
    """(r, sin(pi |r|)) with r the distance of a positive number from the nearest integer."""
    r = size - nearest(size)
    return r, sine(abs(r) * math.pi)


def sine(x: Term) -> Term:
    z = x * x
    return fma(x * z, horner(z, table.SIN[x.dtype][1:]), x)


# --- lgamma -----------------------------------------------------------------------------------
def lgamma(x: Term) -> Term:
    if x.dtype == "float32":
        return log_gamma(x.cast("float64"), "float64_short").cast("float32")
    return log_gamma(x, "float64")


def log_gamma(x: Term, digits: str) -> Term:
    size = abs(x)
    value = log_gamma_positive(size, digits)
    r, sine = sine_of_turns(size)
    # for x < 0: log(pi / |x sin(pi x)|) - lgamma |x|; next to 0 both signs have -log |x|
    reflected = (x < 0.0) & (size > 1e-17)
    product = where(reflected, size * sine, 1.0)
    if digits == "float64":
        high, low = precise_log(product)
        mirror = (LOG_PI - high) - (low + value)
    else:
        mirror = (LOG_PI - short_log(product)) - value
    result = where(reflected, mirror, value)
    pole = (x <= 0.0) & (r == 0.0)
    return where(size < math.inf, where(pole, math.inf, result), size)


def log_gamma_positive(y: Term, digits: str) -> Term:
    at = place(y)
    inverse = 1.0 / at.step
    tail = inverse * horner(inverse * inverse, table.STIRLING[digits])
    near = at.offset * (at.offset - 1.0) * horner(at.offset - 0.5, table.LGAMMA[digits])
    # far: (y - 1/2)(log y - 1) + log(2 pi)/2 - 1/2 + tail, without cancellation
    if digits != "float64":
        log = short_log(at.step)
        far = fma(y - 0.5, log - 1.0, tail + STIRLING_CONSTANT)
        return where(at.far, far, near + where(at.below, -log, log))
    log, log_low = precise_log(at.step)
    less, error = two_sum(log, log.like(-1.0))
    product, rest = two_product(y - 0.5, less)
    rest = fma(y - 0.5, log_low + error, rest)
    rest = where(product < 1e300, rest, 0.0)
    total, error = two_sum(product, tail + STIRLING_CONSTANT)
    far = total + where(product < 1e300, error + rest, 0.0)
    near, error = two_sum(where(at.below, -log, log), near)
    near = near + (error + where(at.below, -log_low, log_low))
    return where(at.far, far, near)


# --- digamma ----------------------------------------------------------------------------------
def digamma(x: Term) -> Term:
    if x.dtype == "float32":
        return digamma_float64(x.cast("float64"), "float64_short").cast("float32")
    return digamma_float64(x, "float64")


def digamma_float64(x: Term, digits: str) -> Term:
    negative = x < 0.0
    y = where(negative, 1.0 - x, x)
    at = place(y)
    inverse = 1.0 / at.step
    high, low = table.DIGAMMA_ZERO["float64"]
    jump = where(at.below, -inverse, where(at.above, inverse, 0.0))
    error = where(at.above, fma(inverse, -at.step, inverse.like(1.0)) * inverse, 0.0)
    factor = horner(at.offset - 0.5, table.DIGAMMA[digits])
    near = fma((at.offset - high) - low, factor, jump) + error
    z = inverse * inverse
    log = log_of(*decompose(at.step)) if digits == "float64" else short_log(at.step)
    far = log - fma(z, horner(z, table.DIGAMMA_TAIL[digits]), inverse * 0.5)
    value = where(at.far, far, near)
    # x < 0: digamma(1 - x) - pi cot(pi x)
    r, sine_r = sine_of_turns(abs(x))
    cotangent = sine((0.5 - abs(r)) * math.pi) / sine_r * math.pi
    cotangent = where((r < 0.0), cotangent, -cotangent)  # of x = -|x|
    value = where(negative, value - cotangent, value)
    pole = (x <= 0.0) & (r == 0.0)
    value = where(pole | (x == -math.inf), math.nan, value)
    return where(x < math.inf, value, x)
