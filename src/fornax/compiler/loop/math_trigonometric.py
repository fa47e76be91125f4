"""sin, cos, tan, right for every argument.

An argument is first reduced: x = (n + offset) · period + r with |r| at most half a period. The
period is pi for sin and cos (offset 0 and 1/2), which then need one polynomial, and pi/2 for tan.

* |x| < `LIMIT`: r = ((x - m P1) - m P2) - m P3 with the period in three parts (Cody and Waite).
  With fma the first difference is exact whatever the parts are.
* beyond: the fraction of x / (2 pi) by exact products of x with the digits of 1/(2 pi) that
  matter (Payne and Hanek): digits whose product with x is a whole number are left out, and which
  they are depends on the exponent of x. Selecting among constants replaces a table.
"""

from __future__ import annotations

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop.math_arithmetic import (
    FORMATS,
    Term,
    fma,
    horner,
    nearest,
    quick_two_sum,
    rarely,
    two_product,
    two_sum,
    where,
)
from fornax.record import record

LIMIT = {"float32": 2.0**17, "float64": 2.0**45}
ONE_OVER_PI = 0.3183098861837907


@record(frozen=True)
class Period:
    """x = (n + offset) · pi · `scale` + r; `precise` asks for the rounding error of r too."""

    scale: float
    offset: float
    precise: bool


SIN = Period(1.0, 0.0, False)
COS = Period(1.0, 0.5, False)
TAN = Period(0.5, 0.0, True)


def reduce(x: Term, period: Period) -> tuple[Term, Term, Term]:
    """(r, its rounding error or zero, bits whose lowest is the parity of n)."""
    near = near_reduction(x, period)
    exact = far_reduction_float32 if x.dtype == "float32" else far_reduction_float64
    far = exact(x, period)
    is_far = abs(x) >= LIMIT[x.dtype]
    r, low, t = (rarely(is_far, a, b) for a, b in zip(far, near, strict=True))
    return r, low, t.bits


def round_with(x: Term, factor: float, period: Period, magic: float) -> tuple[Term, Term]:
    """(magic + n, n + offset) for the nearest n + offset to x · factor."""
    if period.offset:
        t = fma(x, factor, x.like(-period.offset)) + magic
        return t, (t - magic) + period.offset
    t = fma(x, factor, x.like(magic))
    return t, t - magic


def near_reduction(x: Term, period: Period) -> tuple[Term, Term, Term]:
    """(r, its rounding error, magic + n) for |x| < `LIMIT`."""
    form = x.format
    factor = ONE_OVER_PI / period.scale
    if x.dtype == "float32" and not x.target.fused:
        wide = x.cast("float64")
        _, m = round_with(wide, factor, period, FORMATS["float64"].magic)
        large, small = (p * period.scale for p in table.PI_SHORT_PARTS["float64"])
        n = (m - period.offset).cast("float32")
        return *narrow((wide - m * large) - m * small), n + form.magic
    t, m = round_with(x, factor, period, form.magic)
    first, second, third = (p * period.scale for p in table.PI_PARTS[x.dtype])
    if x.target.fused:
        exact = fma(m, -first, x)
        if not period.precise:
            r = fma(m, -third, fma(m, -second, exact))
            return r, r.like(0.0), t
    else:
        product, error = two_product(m, first)
        exact = (x - product) - error
    product, error = two_product(m, -second)
    r, low = two_sum(exact, product)
    return *two_sum(r, fma(m, -third, low + error)), t


def narrow(r: Term) -> tuple[Term, Term]:
    """A float64 as a sum of two float32."""
    high = r.cast("float32")
    return high, (r - high.cast("float64")).cast("float32")


def far_reduction_float32(x: Term, period: Period) -> tuple[Term, Term, Term]:
    """In float64, where the product with 29 digits is exact. Good from 2^16 on."""
    wide = x.cast("float64")
    size = abs(wide)
    windows = table.TURN_WINDOWS["float64"]
    digits = [wide.like(c) for c in windows[:3]]
    for window, exponent in ((1, 50), (2, 77), (3, 104)):
        beyond = size >= 2.0**exponent
        digits = [where(beyond, windows[3 * window + k], digit) for k, digit in enumerate(digits)]
    product = wide * digits[0]
    turn = fma(wide, digits[1], product - nearest(product))
    turn = fma(wide, digits[2], turn - nearest(turn))
    steps = 2.0 / period.scale  # periods in a turn
    n = nearest(turn * steps - period.offset)
    rest = turn - (n + period.offset) * (1.0 / steps)
    r = rest * table.TWO_PI_PARTS["float64"][0]
    return *narrow(r), n.cast("float32") + x.format.magic


def far_reduction_float64(x: Term, period: Period) -> tuple[Term, Term, Term]:
    """With the digits of 1/(2 pi) in chunks of 53; sums carry their errors to 2^-150."""
    digits = [x.like(c) for c in table.TURN_DIGITS["float64"]]
    for shift in (16, 8, 4, 2, 1):  # leave out `shift` chunks where x is large enough
        beyond = abs(x) >= 2.0 ** (52 + 53 * shift)
        x = where(beyond, x * 2.0 ** (-53 * shift), x)
        count = shift + 4 if shift < 16 else 20  # as many as the smaller shifts still need
        digits = [
            where(beyond, digits[i + shift], digits[i]) if i + shift < len(digits) else digits[i]
            for i in range(count)
        ]
    products = [two_product(x * 2.0 ** (-53 * k), digits[k]) for k in range(4)]
    (p0, q0), (p1, q1), (p2, q2), (p3, q3) = products
    tail = fma(x * 2.0**-212, digits[4], q3)
    turn = p0 - nearest(p0)
    first, *others = q0 - nearest(q0), p1 - nearest(p1), q1, p2
    turn, low = two_sum(turn, first)
    turn = turn - nearest(turn)
    for value in others:
        turn, error = two_sum(turn, value)
        low, error = two_sum(low, error)
        tail = tail + error
        turn = turn - nearest(turn)
    for value in (q2, p3):
        low, error = two_sum(low, value)
        tail = tail + error
    turn, low = two_sum(turn, low)
    steps = 2.0 / period.scale
    n = nearest(turn * steps - period.offset)
    rest, low = two_sum(turn - (n + period.offset) * (1.0 / steps), low)
    low = low + tail
    high_pi, low_pi = table.TWO_PI_PARTS["float64"]
    product, error = two_product(rest, high_pi)
    low = fma(low, high_pi, rest * low_pi) + error
    return *quick_two_sum(product, low), n + x.format.magic


def sine_of(r: Term, parity: Term) -> Term:
    """sin(r), |r| <= pi/2, with its sign flipped where the parity bit is set."""
    z = r * r
    tuned_for_fma = r.target.fused or r.dtype == "float64"
    _, *coefficients = table.SIN[r.dtype if tuned_for_fma else "float32_plain"]
    s = fma(r * z, horner(z, coefficients), r)
    return (s.bits ^ (parity << (r.format.width - 1))).real


def sin(x: Term) -> Term:
    r, _, parity = reduce(x, SIN)
    return where(x == 0.0, x, sine_of(r, parity))


def cos(x: Term) -> Term:
    r, _, parity = reduce(abs(x), COS)
    return -sine_of(r, parity)


def tan(x: Term) -> Term:
    r, low, parity = reduce(x, TAN)
    z = r * r
    t = r + fma(r * z, horner(z, table.TAN[r.dtype][1:]), fma(z, low, low))
    odd = (parity & 1) != 0
    return where(x == 0.0, x, where(odd, -1.0, t) / where(odd, t, 1.0))
