"""Formats that exist in memory only, as integer operations on their bits.

`widen` and `narrow` convert between the bits of an element and the dtype it is computed in. They
round to nearest even and keep infinities and NaN, bit for bit like ml_dtypes.
"""

from __future__ import annotations

from typing import NamedTuple

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Expr


class Layout(NamedTuple):
    """exponent bias, mantissa bits, largest bit pattern kept by rounding, bit pattern of NaN."""

    bias: int
    mantissa: int
    overflow: int
    nan: int
    sign: int  #: position of the sign bit
    single: bool = False  #: one zero, NaN in the place of the other, no infinities


LAYOUTS = {
    "float16": Layout(15, 10, 0x7C00, 0x7E00, 15),
    "float8_e5m2": Layout(15, 2, 0x7C, 0x7E, 7),
    "float8_e4m3fn": Layout(7, 3, 0x7F, 0x7F, 7),
    "float8_e4m3fnuz": Layout(8, 3, 0x7F, 0x80, 7, True),
    "float8_e5m2fnuz": Layout(16, 2, 0x7F, 0x80, 7, True),
}
RAW = {
    "float16": "uint16", "bfloat16": "uint16", "float8_e5m2": "uint8", "float8_e4m3fn": "uint8",
    "float8_e4m3fnuz": "uint8", "float8_e5m2fnuz": "uint8", "int4": "uint8", "uint4": "uint8",
}  # fmt: skip


def bits(b: Builder, value: int) -> Expr:
    return b.const(value, "uint32")


def widen(b: Builder, raw: Expr, dtype: str) -> Expr:
    """The value of the bits `raw` of a `dtype` element: float32, or int8/uint8 for 4-bit ones."""
    if dtype == "uint4":
        return b.and_(raw, b.const(15, "uint8"))
    if dtype == "int4":
        four = b.const(4, "int8")
        signed = b.bitcast(raw, dtype="int8")
        return b.shr_arithmetic(b.shl(signed, four), four)
    word = b.cast(raw, "uint32")
    if dtype == "bfloat16":
        return b.bitcast(b.shl(word, bits(b, 16)), dtype="float32")
    layout = LAYOUTS[dtype]
    top = 1 << layout.sign
    sign = b.shl(b.and_(word, bits(b, top)), bits(b, 31 - layout.sign))
    size = b.and_(word, bits(b, top - 1))
    moved = b.shl(size, bits(b, 23 - layout.mantissa))
    # normal numbers: another exponent. Subnormal ones are what a number of the same mantissa has
    # above its power of two: no float32 on the way is denormal, for those may be flushed
    normal = b.add(moved, bits(b, (127 - layout.bias) << 23))
    power = bits(b, (128 - layout.bias) << 23)
    above = b.bitcast(b.or_(moved, power), dtype="float32")
    small = b.bitcast(b.sub(above, b.bitcast(power, dtype="float32")), dtype="uint32")
    word = b.select(b.lt(size, bits(b, 1 << layout.mantissa)), small, normal)
    if layout.single:
        found = b.bitcast(b.or_(word, sign), dtype="float32")
        nan = b.bitcast(bits(b, 0xFFC00000), dtype="float32")
        return b.select(b.eq(b.cast(raw, "uint32"), bits(b, layout.nan)), nan, found)
    if dtype == "float8_e4m3fn":
        special, found = b.eq(size, bits(b, 0x7F)), bits(b, 0x7FC00000)
    else:
        special = b.ge(size, bits(b, layout.overflow))
        found = b.or_(moved, bits(b, 0x7F800000))
    return b.bitcast(b.or_(b.select(special, found, word), sign), dtype="float32")


def rounded(b: Builder, x: Expr) -> Expr:
    """The float32 x rounded to a bfloat16, in place: as `widen` of `narrow`."""
    return b.bitcast(b.and_(upper_half(b, x), bits(b, 0xFFFF0000)), dtype="float32")


def upper_half(b: Builder, x: Expr) -> Expr:
    """A word whose upper half are the bits of the float32 x rounded to bfloat16."""
    word = b.bitcast(x, dtype="uint32")
    odd = b.and_(b.shr_logical(word, bits(b, 16)), bits(b, 1))
    up = b.add(word, b.add(odd, bits(b, 0x7FFF)))
    quiet = b.or_(b.and_(word, bits(b, 0x80000000)), bits(b, 0x7FC00000))
    return b.select(b.ne(x, x), quiet, up)


def narrow(b: Builder, x: Expr, dtype: str) -> Expr:
    """The bits of x (float32, int8 or uint8) rounded to `dtype`."""
    raw = RAW[dtype]
    if dtype in ("int4", "uint4"):
        return b.and_(b.bitcast(x, dtype="uint8"), b.const(15, "uint8"))
    if dtype == "bfloat16":
        return b.cast(b.shr_logical(upper_half(b, x), bits(b, 16)), raw)
    word = b.bitcast(x, dtype="uint32")
    is_nan = b.ne(x, x)
    layout = LAYOUTS[dtype]
    dropped = 23 - layout.mantissa
    size = b.and_(word, bits(b, 0x7FFFFFFF))
    sign = b.shl(b.shr_logical(word, bits(b, 31)), bits(b, layout.sign))
    # normal numbers: move the exponent and round the mantissa in integers
    moved = b.sub(size, bits(b, (127 - layout.bias) << 23))
    odd = b.and_(b.shr_logical(moved, bits(b, dropped)), bits(b, 1))
    half = bits(b, (1 << (dropped - 1)) - 1)
    normal = b.shr_logical(b.add(moved, b.add(odd, half)), bits(b, dropped))
    # subnormal ones: adding a power of two makes the hardware round at the right place
    magic = 2.0 ** (24 - layout.bias - layout.mantissa)
    total = b.add(b.bitcast(size, dtype="float32"), b.const(magic, "float32"))
    offset = b.bitcast(b.const(magic, "float32"), dtype="uint32")
    subnormal = b.sub(b.bitcast(total, dtype="uint32"), offset)
    small = b.lt(size, bits(b, (128 - layout.bias) << 23))
    result = b.select(small, subnormal, normal)
    if layout.single:
        found = b.select(b.eq(result, bits(b, 0)), result, b.or_(result, sign))
        lost = b.or_(is_nan, b.gt(result, bits(b, layout.overflow)))
        return b.cast(b.select(lost, bits(b, layout.nan), found), raw)
    result = b.min(result, bits(b, layout.overflow))
    result = b.select(is_nan, bits(b, layout.nan), result)
    return b.cast(b.or_(result, sign), raw)
