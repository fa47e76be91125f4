"""Formats that exist in memory only, as integer operations on their bits.

`widen` and `narrow` convert between the bits of an element and the dtype it is computed in, for
each row of `scalars.formats`. They round to nearest even and keep infinities and NaN, bit for bit
like ml_dtypes; no float on the way is denormal, for those may be flushed.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Expr, is_float
from fornax.scalars.formats import (
    FINITE,
    FORMATS,
    IEEE,
    NAN_ONLY,
    ONE_ZERO,
    POWERS,
    UPPER_HALF,
    Format,
)

#: bits of a float32: infinity, a NaN, the least number above which 2^-127 is no nearest power
INFINITY, QUIET, LEAST = 0x7F800000, 0x7FC00000, 0x00400000


def bits(b: Builder, value: int) -> Expr:
    return b.const(value, "uint32")


def widen(b: Builder, raw: Expr, dtype: str) -> Expr:
    """The value of the bits `raw` of a `dtype` element, in the dtype it is computed in."""
    row = FORMATS[dtype]
    if row.is_float:
        word = b.cast(raw, "uint32")
        if row.bits < 8:
            word = b.and_(word, bits(b, (1 << row.bits) - 1))
        return WIDEN[row.special](b, word, row)
    if not row.is_signed:
        return b.and_(raw, b.const((1 << row.bits) - 1, "uint8"))
    above = b.const(8 - row.bits, "int8")
    signed = b.bitcast(raw, dtype="int8")
    return b.shr_arithmetic(b.shl(signed, above), above)


def widen_upper(b: Builder, word: Expr, row: Format) -> Expr:
    return b.bitcast(b.shl(word, bits(b, 16)), dtype="float32")


def widen_power(b: Builder, word: Expr, row: Format) -> Expr:
    least = b.select(b.eq(word, bits(b, 0)), bits(b, LEAST), b.shl(word, bits(b, 23)))
    found = b.select(b.eq(word, bits(b, row.nan)), bits(b, QUIET), least)
    return b.bitcast(found, dtype="float32")


def widen_number(b: Builder, word: Expr, row: Format) -> Expr:
    sign, size, moved, found = parts(b, word, row)
    return b.bitcast(b.or_(found, sign), dtype="float32")


def widen_with_nan(b: Builder, word: Expr, row: Format) -> Expr:
    sign, size, moved, found = parts(b, word, row)
    special = b.eq(size, bits(b, row.nan))
    return b.bitcast(b.or_(b.select(special, bits(b, QUIET), found), sign), dtype="float32")


def widen_one_zero(b: Builder, word: Expr, row: Format) -> Expr:
    sign, size, moved, number = parts(b, word, row)
    found = b.bitcast(b.or_(number, sign), dtype="float32")
    nan = b.bitcast(bits(b, 0xFFC00000), dtype="float32")
    return b.select(b.eq(word, bits(b, row.nan)), nan, found)


def widen_ieee(b: Builder, word: Expr, row: Format) -> Expr:
    sign, size, moved, found = parts(b, word, row)
    special = b.ge(size, bits(b, row.top))
    found = b.select(special, b.or_(moved, bits(b, INFINITY)), found)
    return b.bitcast(b.or_(found, sign), dtype="float32")


def parts(b: Builder, word: Expr, row: Format) -> tuple[Expr, Expr, Expr, Expr]:
    """The sign in its place in a float32; the bits without it, also in their place there; and the
    bits of the number that they are."""
    top = 1 << (row.bits - 1)
    sign = b.shl(b.and_(word, bits(b, top)), bits(b, 32 - row.bits))
    size = b.and_(word, bits(b, top - 1))
    moved = b.shl(size, bits(b, 23 - row.mantissa))
    # normal numbers: another exponent. Subnormal ones are what a number of the same mantissa has
    # above its power of two
    normal = b.add(moved, bits(b, (127 - row.bias) << 23))
    power = bits(b, (128 - row.bias) << 23)
    above = b.bitcast(b.or_(moved, power), dtype="float32")
    small = b.bitcast(b.sub(above, b.bitcast(power, dtype="float32")), dtype="uint32")
    return sign, size, moved, b.select(b.lt(size, bits(b, 1 << row.mantissa)), small, normal)


def rounded(b: Builder, x: Expr, pairs: bool) -> Expr:
    """The float32 x rounded to a bfloat16, in place: as `widen` of `narrow`."""
    if is_short(x):
        return x
    return b.bitcast(b.and_(upper_half(b, x, pairs), bits(b, 0xFFFF0000)), dtype="float32")


def upper_half(b: Builder, x: Expr, pairs: bool) -> Expr:
    """A word whose upper half are the bits of the float32 x rounded to bfloat16."""
    word = b.bitcast(x, dtype="uint32")
    if is_short(x):
        return word
    if pairs:  # one half of a word is what to add to an even number, the other is 1 where it is odd
        both = b.or_(b.and_(word, bits(b, 0x10000)), bits(b, 0x7FFF))
        total = b.op("pair_dot", both, bits(b, 0x10001), b.cast(word, "int32"))
        up = b.cast(total, "uint32")
    else:
        odd = b.and_(b.shr_logical(word, bits(b, 16)), bits(b, 1))
        up = b.add(b.add(word, bits(b, 0x7FFF)), odd)
    if has_short_nan(x):
        return up
    return b.select(b.ne(x, x), b.or_(word, bits(b, QUIET)), up)


#: operations of floats whose NaN is the usual one or that of an operand
ARITHMETIC = {
    "add", "sub", "mul", "div", "fma", "neg", "abs", "min", "max", "sqrt", "copysign",
    "floor", "ceil", "trunc", "round_even", "select", "rarely",
}  # fmt: skip
#: expressions that are looked at before a NaN is taken for any
FAR = 256


def is_short(x: Expr) -> bool:
    """Whether the float32 x is known to be a bfloat16: one of some, perhaps with another sign, or
    times a power of two that makes no denormal number of it."""
    seen = {x}
    stack = [x]
    while stack:
        node = stack.pop()
        operands = node.args
        if node.kind == "const":
            if not is_short_number(node.data):
                return False
        elif node.kind != "op" or len(seen) > FAR:
            return False
        elif node.data == "bitcast":
            if not ends_in_zeros(node.args[0]):
                return False
            continue
        elif node.data == "mul":
            factor, other = sorted(node.args, key=lambda a: a.kind != "const")
            if factor.kind != "const" or not is_power(factor.data):
                return False
            operands = (other,)
        elif node.data in ("select", "rarely"):
            operands = node.args[1:]
        elif node.data == "copysign":
            operands = node.args[:1]
        elif node.data not in ("neg", "abs", "min", "max"):
            return False
        for a in operands:
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return True


def is_short_number(value: float) -> bool:
    """Whether the lower half of the bits of a float32 is zero."""
    return not struct.unpack("<I", struct.pack("<f", value))[0] & 0xFFFF


def is_power(value: float) -> bool:
    """Whether a number is 1, 2, 4 …, or one of their negatives."""
    return abs(value) >= 1.0 and math.isfinite(value) and abs(math.frexp(value)[0]) == 0.5


def has_short_nan(x: Expr) -> bool:
    """Whether a NaN that the float32 x may be has zeros in the lower half of its bits, so that
    adding to these cannot make a number of it: x is computed from bfloat16s and constants."""
    seen = {x}
    stack = [x]
    while stack:
        node = stack.pop()
        if node.kind in ("const", "table"):
            continue
        if node.kind != "op" or len(seen) > FAR:
            return False
        if node.data == "bitcast":
            if not ends_in_zeros(node.args[0]):
                return False
        elif node.data in ARITHMETIC:
            operands = [a for a in node.args if a.dtype == "float32" and a not in seen]
            seen.update(operands)
            stack += operands
        elif node.data != "cast" or is_float(node.args[0].dtype):
            return False
    return True


def ends_in_zeros(word: Expr) -> bool:
    """Whether the lower half of a word of 32 bits is known to be zero."""
    if word.kind != "op" or word.data not in ("shl", "and") or word.args[1].kind != "const":
        return False
    number = word.args[1].data
    return 16 <= number < 32 if word.data == "shl" else number & 0xFFFF == 0


def narrow(b: Builder, x: Expr, dtype: str, pairs: bool) -> Expr:
    """The bits of x, of the dtype that `dtype` is computed in, rounded to `dtype`.

    `pairs`: `adds_pairs` of `Target`."""
    row = FORMATS[dtype]
    if row.special == UPPER_HALF:
        return b.cast(b.shr_logical(upper_half(b, x, pairs), bits(b, 16)), row.raw)
    if row.is_float:
        return b.cast(NARROW[row.special](b, x, row), row.raw)
    return b.and_(b.bitcast(x, dtype="uint8"), b.const((1 << row.bits) - 1, "uint8"))


def narrow_power(b: Builder, x: Expr, row: Format) -> Expr:
    """The nearest power of two, the upper one of two; NaN of what is not positive. What lies above
    the least power gives the next."""
    word = b.bitcast(x, dtype="uint32")
    denormal = b.cast(b.lt(word, bits(b, 1 << 23)), "uint32")
    found = b.shr_logical(b.add(word, b.sub(bits(b, LEAST), denormal)), bits(b, 23))
    positive = b.lt(b.sub(word, bits(b, 1)), bits(b, INFINITY - 1))
    return b.select(positive, found, bits(b, row.nan))


def narrow_one_zero(b: Builder, x: Expr, row: Format) -> Expr:
    sign, result = magnitude(b, x, row)
    found = b.select(b.eq(result, bits(b, 0)), result, b.or_(result, sign))
    lost = b.or_(b.ne(x, x), b.gt(result, bits(b, row.top)))
    return b.select(lost, bits(b, row.nan), found)


def narrow_finite(b: Builder, x: Expr, row: Format) -> Expr:
    sign, result = magnitude(b, x, row)
    found = b.or_(b.min(result, bits(b, row.top)), sign)
    return b.select(b.ne(x, x), bits(b, row.nan), found)


def narrow_number(b: Builder, x: Expr, row: Format) -> Expr:
    sign, result = magnitude(b, x, row)
    result = b.min(result, bits(b, row.top))
    result = b.select(b.ne(x, x), bits(b, row.nan), result)
    return b.or_(result, sign)


def magnitude(b: Builder, x: Expr, row: Format) -> tuple[Expr, Expr]:
    """The sign in its place, and the bits without it of x rounded; they go on beyond the largest
    number."""
    word = b.bitcast(x, dtype="uint32")
    dropped = 23 - row.mantissa
    size = b.and_(word, bits(b, 0x7FFFFFFF))
    sign = b.shl(b.shr_logical(word, bits(b, 31)), bits(b, row.bits - 1))
    # normal numbers: move the exponent and round the mantissa in integers
    moved = b.sub(size, bits(b, (127 - row.bias) << 23))
    odd = b.and_(b.shr_logical(moved, bits(b, dropped)), bits(b, 1))
    half = bits(b, (1 << (dropped - 1)) - 1)
    normal = b.shr_logical(b.add(moved, b.add(odd, half)), bits(b, dropped))
    # subnormal ones: adding a power of two makes the hardware round at the right place
    magic = 2.0 ** (24 - row.bias - row.mantissa)
    total = b.add(b.bitcast(size, dtype="float32"), b.const(magic, "float32"))
    offset = b.bitcast(b.const(magic, "float32"), dtype="uint32")
    subnormal = b.sub(b.bitcast(total, dtype="uint32"), offset)
    small = b.lt(size, bits(b, (128 - row.bias) << 23))
    return sign, b.select(small, subnormal, normal)


Widening = Callable[[Builder, Expr, Format], Expr]
#: what is special in a format -> the float32 of its bits
WIDEN: dict[str, Widening] = {
    UPPER_HALF: widen_upper, POWERS: widen_power, FINITE: widen_number, NAN_ONLY: widen_with_nan,
    ONE_ZERO: widen_one_zero, IEEE: widen_ieee,
}  # fmt: skip
#: what is special in a format -> the bits, as uint32, of a float32; the upper half has a way of
#: its own
NARROW: dict[str, Widening] = {
    POWERS: narrow_power, FINITE: narrow_finite, NAN_ONLY: narrow_number,
    ONE_ZERO: narrow_one_zero, IEEE: narrow_number,
}  # fmt: skip
