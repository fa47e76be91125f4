"""Sort keys: every dtype as unsigned integers that order the way its values do.

A key is one `Part` for each number that is compared, the most significant first: one for reals, two
for complex numbers. -0 and 0 have equal keys, and so have all NaNs, which come last; a `total` key
tells all bit patterns apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fornax.compiler.kernels.context import KernelContext, parts
from fornax.compiler.loop.builder import Builder, Value, compute_dtype
from fornax.compiler.loop.ir import (
    COMPLEX,
    REAL,
    SIGNED,
    STORAGE,
    UNSIGNED,
    WIDTH,
    Expr,
    Pair,
    Statement,
    Store,
    is_float,
)
from fornax.record import record
from fornax.scalars.formats import FORMATS

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: bit pattern of infinity: larger magnitudes are NaNs
INFINITY = {
    "float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000, "float64": 0x7FF << 52,
}  # fmt: skip
#: dtypes whose keys can be turned back into values, except for zeros and NaNs
INVERTIBLE = frozenset(
    ("bool", *INFINITY, *(f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)))
)


@record(frozen=True)
class Part:
    """An unsigned integer of which only the lowest `bits` bits are ever set."""

    value: Expr
    bits: int


def unsigned(dtype: str) -> DtypeName:
    """The dtype in which the bits of a real dtype are held."""
    return UNSIGNED[WIDTH[dtype]]


def pieces(dtype: str) -> tuple[DtypeName, ...]:
    """The dtypes of the bit patterns that an element of `dtype` consists of."""
    part = COMPLEX.get(dtype)
    return (unsigned(dtype),) if part is None else (unsigned(part),) * 2


# --- bit patterns -----------------------------------------------------------------------------
def to_bits(b: Builder, value: Value, dtype: str) -> tuple[Expr, ...]:
    """The bit patterns of a value, one for each of `pieces`."""
    if isinstance(value, Pair):
        return tuple(b.bitcast(part, dtype=unsigned(part.dtype)) for part in value)
    if dtype == "bool":
        return (b.cast(value, "uint8"),)
    if dtype in STORAGE and is_float(dtype):
        value = b.op("cast", value, dtype=REAL[dtype])
    to = unsigned(dtype)
    return (value if value.dtype == to else b.op("bitcast", value, dtype=to),)


def from_bits(b: Builder, bits: Sequence[Expr], dtype: str) -> Value:
    """The value with these bit patterns."""
    if dtype in COMPLEX:
        real, imag = (b.bitcast(part, dtype=COMPLEX[dtype]) for part in bits)
        return Pair(real, imag)
    (one,) = bits
    if dtype == "bool":
        return b.cast(one, "bool")
    if dtype in STORAGE and is_float(dtype):
        return b.op("cast", b.op("bitcast", one, dtype=REAL[dtype]), dtype=STORAGE[dtype])
    to = compute_dtype(dtype)
    return one if one.dtype == to else b.op("bitcast", one, dtype=to)


def read_bits(k: KernelContext, i: int, index: Sequence[Expr]) -> tuple[Expr, ...]:
    """The bit patterns of an element of operand `i`; narrow floats are not widened on the way."""
    dtype, buffer = k.inputs[i].dtype_name, k.operand_buffer(i)
    if buffer is not None and dtype in STORAGE and is_float(dtype):
        at = tuple(k.b.index(0) if n == 1 else p for n, p in zip(buffer.shape, index, strict=True))
        return (k.b.node("load", unsigned(dtype), buffer, at),)
    return to_bits(k.b, k.operand(i, index), dtype)


def write_bits(
    k: KernelContext, j: int, index: Sequence[Expr], bits: Sequence[Expr]
) -> tuple[Statement, ...]:
    """Write the bit patterns of an element of result `j`."""
    dtype = k.outputs[j].dtype_name
    if dtype in STORAGE and is_float(dtype):
        return (Store(k.output_buffer(j), tuple(index), bits[0]),)
    return k.store(j, index, from_bits(k.b, bits, dtype))


# --- keys -------------------------------------------------------------------------------------
def key(b: Builder, bits: Sequence[Expr], dtype: str, total: bool = False) -> tuple[Part, ...]:
    """The key of an element given by its bit patterns."""
    if dtype in COMPLEX:
        return tuple(Part(of_float(b, part, COMPLEX[dtype], total), WIDTH[COMPLEX[dtype]])
                     for part in bits)  # fmt: skip
    (one,) = bits
    if dtype == "bool":
        return (Part(one, 1),)
    width = FORMATS[dtype].bits if dtype in FORMATS else WIDTH[dtype]
    if is_float(dtype):
        if dtype not in INFINITY and not total:  # formats of 8 bits have NaNs of many kinds
            (wide,) = parts(from_bits(b, bits, dtype))
            wide = b.bitcast(wide, dtype="uint32")
            return (Part(of_float(b, wide, "float32", total), 32),)
        if dtype in FORMATS and not FORMATS[dtype].is_signed:
            return (Part(one, width),)
        if width < 8:  # the sign is to be the first of all bits
            one = b.shl(one, b.const(8 - width, one.dtype))
        return (Part(of_float(b, one, dtype, total), WIDTH[dtype]),)
    if dtype.startswith("int"):
        one = b.xor(one, b.const(1 << (width - 1), one.dtype))
    if width < 8:
        one = b.and_(one, b.const((1 << width) - 1, one.dtype))
    return (Part(one, width),)


def of_float(b: Builder, bits: Expr, dtype: str, total: bool) -> Expr:
    """Negative numbers reversed, below the positive ones."""
    raw, width = bits.dtype, WIDTH[dtype]
    sign = b.const(1 << (width - 1), raw)
    size = b.and_(bits, b.const((1 << (width - 1)) - 1, raw))
    if not total:
        bits = b.select(b.eq(size, b.const(0, raw)), b.const(0, raw), bits)
    negative = b.shr_arithmetic(
        b.bitcast(bits, dtype=SIGNED[width]), b.const(width - 1, SIGNED[width])
    )
    found = b.xor(bits, b.or_(b.bitcast(negative, dtype=raw), sign))
    if total:
        return found
    last = b.const((1 << width) - 1, raw)
    return b.select(b.gt(size, b.const(INFINITY[dtype], raw)), last, found)


def to_float(b: Builder, found: Expr) -> Expr:
    """The bits of the float with this key of `of_float`; those of 0 and of one NaN where several
    have it."""
    raw = found.dtype
    width = WIDTH[raw]
    negative = b.bitcast(b.not_(found), dtype=SIGNED[width])
    below = b.shr_arithmetic(negative, b.const(width - 1, SIGNED[width]))
    return b.xor(found, b.or_(b.bitcast(below, dtype=raw), b.const(1 << (width - 1), raw)))


def value_bits(b: Builder, found: Expr, dtype: str) -> Expr:
    """The bits of the number of a dtype of `INVERTIBLE` with this key."""
    found = b.cast(found, unsigned(dtype))
    if dtype in INFINITY:
        return to_float(b, found)
    if dtype.startswith("int"):
        return b.xor(found, b.const(1 << (int(dtype[3:]) - 1), found.dtype))
    return found
