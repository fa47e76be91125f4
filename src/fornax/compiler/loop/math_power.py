"""Powers and roots: pow, rsqrt, cbrt, hypot."""

from __future__ import annotations

import math

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop import math_tables
from fornax.compiler.loop.math_arithmetic import (
    Term,
    at_least,
    bias_and,
    clamp,
    copysign,
    exponent_of,
    fma,
    from_low_bits,
    horner,
    nearest,
    quick_two_sum,
    rarely,
    sqrt,
    two_product,
    two_sum,
    where,
)
from fornax.compiler.loop.math_exponential import RANGE, RANGE2, exp_of_sum
from fornax.compiler.loop.math_logarithm import decompose, exponent_and_bits
from fornax.compiler.loop.math_pieces import log2_by_pieces, log2_sum


def rsqrt(x: Term) -> Term:
    return 1.0 / sqrt(x)


def root(x: Term) -> Term:
    """The square root of a float32, by products and sums: they can be many at once where the one
    unit that divides and takes roots is busy with divisions.

    An estimate g of 14 digits of the root and h of half its inverse become twice as exact; g plus
    its error over 2 g is the rounded root for every significand (`tests/loop/test_root.py` tries
    all). Zeros, tiny and infinite numbers and what is below zero take the usual way.
    """
    inverse = x.op("inverse_root")
    g, h = x * inverse, inverse * 0.5
    r = fma(-g, h, x.like(0.5))
    g, h = fma(g, r, g), fma(h, r, h)
    result = fma(fma(-g, g, x), h, g)
    low, infinite = 27 << 23, x.format.exponent_mask  # from 2^-100
    return rarely((x.bits - low) >= infinite - low, sqrt(x), result)


# --- pow --------------------------------------------------------------------------------------
def pow_(x: Term, y: Term) -> Term:
    """|x|^y by logarithm and exponential with spare digits, then C99's special cases."""
    if x.dtype == "float32":
        return pow_float32(x, y)
    x, y = comparable(x, y)
    return special_power(x, y, pow_float64(abs(x), bounded(y)))


def comparable(x: Term, y: Term) -> tuple[Term, Term]:
    """x and y with which comparisons give what they give for the denormals that may be flushed:
    x^0 is 1 even where x is 0, infinite or NaN."""
    tiny, y = without_denormals(y)
    return where(tiny, without_denormals(x)[1], x), y


def bounded(y: Term) -> Term:
    """An exponent as good as an infinite one, without making 0 · inf."""
    return clamp(y, -1e30, 1e30)


def special_power(x: Term, y: Term, power: Term) -> Term:
    """x^y by that of |x|."""
    whole = y == y.op("trunc")
    half = y * 0.5
    odd = whole & (half != half.op("trunc"))
    flip = where(odd, x.bits & x.format.sign, 0)
    power = (power.bits | flip).real
    undefined = (x < 0.0) & (x > -math.inf) & ~whole
    return where((x == 1.0) | (y == 0.0), 1.0, where(undefined, math.nan, power))


def without_denormals(x: Term) -> tuple[Term, Term]:
    """Whether x is denormal, and x, or then the smallest normal number of its sign.

    By its bits: denormals may be taken for zero in all that computes with floats.
    """
    form = x.format
    sign, least = x.bits & form.sign, 1 << form.mantissa
    tiny = (x.bits ^ sign) - 1 < least - 1  # zero becomes the largest
    return tiny, where(tiny, (sign | least).real, x)


def log_ends(size: Term, logarithm: Term) -> Term:
    """The logarithm of a size, right for zero, infinity and NaN too."""
    return where(size == 0.0, -math.inf, where(size < math.inf, logarithm, size))


def pow_float32(x: Term, y: Term) -> Term:
    """By powers of two. What is not usual, as a zero, is replaced before and mended after, or is
    computed with more care: all of that is jumped over."""
    by_parts = x.target.tables and x.target.fused
    strange = unusual(abs(x) if by_parts else x, y, 64.0 if by_parts else math.inf)
    plain, exponent = comparable(x, y)
    base, lift = lifted(abs(plain))
    if by_parts:
        power, far = power_of_parts(abs(x), y)
        strange = strange | far
        power = rarely(strange, power_wide(base, lift, bounded(exponent)), power)
        strange = strange | (x.bits >= x.format.sign)
    else:
        base = rarely(strange, base, x)
        lift = rarely(strange, lift, x.like(bias_and(x.format, 0)))
        power = power_wide(base, lift, rarely(strange, bounded(exponent), y))
    return rarely(strange, special_power(plain, exponent, power), power)


def unusual(x: Term, y: Term, most: float) -> Term:
    """Whether a base is no positive normal number, or an exponent none or as large as `most`."""
    form = x.format
    least = 1 << form.mantissa
    base = x.bits - least >= form.exponent_mask - least
    return base | ((y.bits & (form.sign - 1)) - least >= y.like(most).bits - least)


def power_of_parts(size: Term, y: Term) -> tuple[Term, Term]:
    """size^y of usual numbers and y below 64, for which the logarithm is a sum of two float32 whose
    error is still small times y; and whether that may be no normal number."""
    w, low = log2_sum(*exponent_and_bits(size), math_tables.LOG2)
    w, error = two_product(y, w)
    t = w + w.format.magic
    f = (w - (t - w.format.magic)) + fma(y, low, error)
    bits = horner(f, table.EXP2_SHORT["float32"]).bits + (t.bits << w.format.mantissa)
    return bits.real, ~(abs(w) < 126.0)


def lifted(size: Term) -> tuple[Term, Term]:
    """A size as a normal number and the `lift` of `exponent_of` with which its logarithm is right,
    also where it is zero, infinite or none."""
    form = size.format
    tiny = size < form.smallest_normal
    lift = where(tiny, bias_and(form, form.digits), size.like(bias_and(form, 0)))
    lift = where(size == 0.0, math.inf, where(size < math.inf, lift, -size))
    return where(tiny, size * 2.0**form.digits, size), lift


def power_wide(base: Term, lift: Term, y: Term) -> Term:
    """base^y in float64; `lift` as for `exponent_of`."""
    w = clamp(log2_wide(base, lift) * y.cast("float64"), *RANGE2["float32"])
    shift = w.format.magic + w.format.bias
    t = w + shift
    result = horner(w - (t - shift), table.EXP2_SHORT["float64"]) * from_low_bits(t)
    return result.cast("float32")


def log2_wide(x: Term, lift: Term) -> Term:
    """log2 of a float32 in float64; `lift` as for `exponent_of`."""
    k, bits = exponent_and_bits(x, lift)
    if x.target.tables and x.target.fused:
        return log2_by_pieces(k, bits, math_tables.LOG2)
    k, f = k.cast("float64"), (bits.real - 1.0).cast("float64")
    z = f * f
    even, odd = (horner(z, table.LOG2_SHORT["float64"][i::2]) for i in (0, 1))
    return fma(f, fma(f, odd, even), k)


def pow_float64(size: Term, y: Term) -> Term:
    """e^(y log(size)), the logarithm as a sum of two floats, good to 2^-64."""
    high, low = precise_log(size)
    high, low = log_ends(size, high), where((size > 0.0) & (size < math.inf), low, 0.0)
    w, rest = two_product(y, high)
    rest = fma(y, low, rest)
    rest = where(abs(w) < 800.0, rest, 0.0)
    return exp_of_sum(clamp(w, *RANGE["float64"]), rest)


def precise_log(x: Term) -> tuple[Term, Term]:
    """log x as a sum of two float64, for positive finite x.

    With s = f / (2 + f): 2 s + 2/3 s³ + s^5 G(s²), the first two terms to twice the digits.
    """
    k, f = decompose(x)
    bottom, bottom_low = quick_two_sum(f.like(2.0), f)
    inverse = 1.0 / bottom
    s = f * inverse
    product, error = two_product(s, bottom)
    s_low = (((f - product) - error) - s * bottom_low) * inverse
    z, z_low = two_product(s, s)
    z_low = fma(s + s, s_low, z_low)
    cube, cube_low = two_product(z, s)
    cube_low = fma(z_low, s, fma(z, s_low, cube_low))
    third, third_low = two_product(cube, 2 / 3)
    third_low = fma(cube, TWO_THIRDS_REST, fma(cube_low, 2 / 3, third_low))
    tail = fma(cube * z, horner(z, table.POW_LOG["float64"]), third_low)
    high_ln2, low_ln2 = table.LN2_PARTS["float64"]
    total, low = two_sum(k * high_ln2, s + s)
    total, error = two_sum(total, third)
    low = (low + error) + fma(k, low_ln2, fma(s_low, 2.0, tail))
    return quick_two_sum(total, low)


TWO_THIRDS_REST = 3.700743415417188e-17  # 2/3 - float(2/3)


# --- roots ------------------------------------------------------------------------------------
def cbrt(x: Term) -> Term:
    """By iteration on 1/cbrt (no division), then one step with the exact remainder."""
    form = x.format
    size = abs(x)
    tiny = size < form.smallest_normal
    lift = 24 if x.dtype == "float32" else 54
    bits = where(tiny, size * 2.0**lift, size).bits
    k = exponent_of(bits, where(tiny, size.like(bias_and(form, lift)), bias_and(form, 0)))
    third = nearest((k - 1.0) * (1 / 3))  # floor(k / 3)
    power = k - 3.0 * third + (form.magic + form.bias)
    m = ((bits & ((1 << form.mantissa) - 1)) | from_low_bits(power).bits).real  # in [1, 8)
    r = horner(m, table.INVERSE_CBRT[x.dtype])
    e = 1.0 - m * r * (r * r)
    r = fma(r * e, fma(e, fma(e, 14 / 81, x.like(2 / 9)), 1 / 3), r)
    if x.dtype == "float64":
        e = 1.0 - m * r * (r * r)
        r = fma(r * e, fma(e, 2 / 9, x.like(1 / 3)), r)
    y = m * (r * r)
    square, square_low = two_product(y, y)
    product, product_low = two_product(square, y)
    rest = ((m - product) - product_low) - square_low * y
    y = fma(rest, r * r * (1 / 3), y) * from_low_bits(third + (form.magic + form.bias))
    return where((size > 0.0) & (size < math.inf), copysign(y, x), x)


def hypot(x: Term, y: Term) -> Term:
    """sqrt(x² + y²) of the operands scaled by a power of two so that nothing overflows."""
    form = x.format
    x, y = abs(x), abs(y)
    larger = x > y
    a, b = where(larger, x, y), where(larger, y, x)
    field = at_least((a.bits & form.exponent_mask).real, form.smallest_normal)
    scale = (field.bits.like(2 * form.one + (1 << form.mantissa)) - field.bits).real
    a, b = a * scale, b * scale  # in [2, 4) and below
    root = sqrt(fma(a, a, b * b)) * 0.5 * field
    return where((x == math.inf) | (y == math.inf), math.inf, root)
