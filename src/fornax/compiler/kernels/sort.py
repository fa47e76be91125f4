"""`sort`: short lines through a network, few or long ones by merges, some by their digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fornax.compiler.kernels import keys, merge, network
from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.merge import Merge
from fornax.compiler.kernels.network import LONGEST, Network
from fornax.compiler.kernels.radix import WORTH_A_THREAD, Lines, Radix, Stage
from fornax.compiler.kernels.words import Words
from fornax.compiler.loop.ir import WIDTH, Axis, Carried, Carry, Expr, For, If, Statement

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: keys of so many bits are sorted by their digits in two passes
FEW_BITS = 16


def sort(k: KernelContext) -> None:
    """Emit the nests of a `sort`. Parameters: `dimension`, `num_keys`; it is always stable."""
    lines = Lines(k, tuple(k.inputs[0].shape), k.params["dimension"])
    if 0 in lines.shape:
        return
    num_keys = k.params["num_keys"]
    words = Words(lines, num_keys)
    if merges(words):
        Merge(lines, num_keys).emit()
    elif lines.length <= LONGEST:
        Network(lines, num_keys).emit()
    else:
        by_digits(lines, num_keys)
    if len(k.inputs) == 1 and k.inputs[0].dtype_name in keys.INFINITY:
        restore(lines)


def merges(words: Words) -> bool:
    """Whether to sort by merges: lines that are too few to fill the lanes of a network, and long
    ones whose digits take more passes than they are worth."""
    lines = words.lines
    if not merge.suits(words):
        return False
    if lines.length > LONGEST:
        # results that are not in the words are fetched from where they lie: from a cache, then
        near = 2 * lines.length * WIDTH[words.dtypes[0]] // 8 <= lines.k.target.l2
        return sum(words.key_bits) > FEW_BITS and (words.plain or near)
    if lines.count == 1:
        return lines.length > 2 * words.widest_lanes
    return merge.cost(words) < network.cost(words)


def key_bits(k: KernelContext, i: int) -> tuple[int, ...]:
    """How many bits each part of the key of operand `i` has."""
    dtype = k.inputs[i].dtype_name
    zeros = [k.b.const(0, piece) for piece in keys.pieces(dtype)]
    return tuple(part.bits for part in keys.key(k.b, zeros, dtype))


def by_digits(lines: Lines, num_keys: int) -> None:
    """A radix sort. One real key moves by itself or with the only other operand; otherwise
    positions move and the operands follow at the end."""
    k = lines.k
    bits = [(i, part, n) for i in range(num_keys) for part, n in enumerate(key_bits(k, i))]
    others = [i for i in range(len(k.inputs)) if i or len(bits) > 1]
    alone = len(bits) == 1
    payload = [keys.pieces(k.inputs[i].dtype_name) for i in others]
    if alone and len(others) <= 1 and all(len(pieces) == 1 for pieces in payload):
        together(lines, bits[0][2])
        return
    stages = [positions(lines, i, part, n) for i, part, n in reversed(bits)]

    def sink(line: Expr, at: Expr, moved: Sequence[Expr]) -> tuple[Statement, ...]:
        source = lines.index(line, k.b.cast(moved[-1], "int64"))
        return tuple(
            statement
            for i in range(len(k.inputs))
            for statement in keys.write_bits(
                k, i, lines.index(line, at), keys.read_bits(k, i, source)
            )
        )

    Radix(lines, stages, sink).emit()


def together(lines: Lines, bits: int) -> None:
    """The elements of all operands move together; the first is the key."""
    k = lines.k
    names = [t.dtype_name for t in k.inputs]

    # a key that says what the value is moves alone, and is made only once
    inverted = len(names) == 1 and names[0] in keys.INVERTIBLE

    def made(element: Expr) -> Expr:
        return keys.key(k.b, (element,), names[0])[0].value

    def source(line: Expr, at: Expr, before: Sequence[Expr] | None) -> list[Expr]:
        found = [keys.read_bits(k, i, lines.index(line, at))[0] for i in range(len(names))]
        return [made(found[0])] if inverted else found

    def key(element: Expr) -> Expr:
        return element if inverted else made(element)

    def sink(line: Expr, at: Expr, moved: Sequence[Expr]) -> tuple[Statement, ...]:
        index = lines.index(line, at)
        values = [keys.value_bits(k.b, moved[0], names[0])] if inverted else moved
        written = (keys.write_bits(k, j, index, (bits,)) for j, bits in enumerate(values))
        return tuple(statement for statements in written for statement in statements)

    dtypes = tuple(keys.pieces(name)[0] for name in names)
    Radix(lines, [Stage(dtypes, bits, source, key)], sink).emit()


def restore(lines: Lines) -> None:
    """Write zeros and NaNs again, in the order and with the bits that they came with: their keys
    do not tell them apart. Nothing is to do in lines without NaNs and negative zeros."""
    k, b = lines.k, lines.k.b
    dtype = k.inputs[0].dtype_name
    axis = Axis(lines.count, "line")
    line = b.axis(axis)

    def look(at: Expr) -> tuple[Expr, Expr, Expr, Expr]:
        """(bits, below zero, zero, NaN) of an element."""
        (found,) = keys.read_bits(k, 0, lines.index(line, at))
        sign = b.const(1 << (WIDTH[dtype] - 1), found.dtype)
        size = b.and_(found, b.sub(sign, b.const(1, sign.dtype)))
        is_nan = b.gt(size, b.const(keys.INFINITY[dtype], size.dtype))
        below = b.and_(b.gt(found, sign), b.not_(is_nan))
        return found, below, b.eq(size, b.const(0, size.dtype)), is_nan

    i = Axis(lines.length, "i")
    found, below, is_zero, is_nan = look(b.axis(i))
    odd = b.or_(is_nan, b.and_(is_zero, b.ne(found, b.const(0, found.dtype))))
    counter: DtypeName = "int32" if lines.length < 1 << 31 else "int64"
    carries = [Carry(counter, name) for name in ("below", "nans", "odd")]
    none = b.const(0, counter)
    steps = tuple(
        Carried(c, none, b.add(b.carry(c), b.cast(flag, counter)), "add")
        for c, flag in zip(carries, (below, is_nan, odd), strict=True)
    )
    lanes = k.target.lanes(counter) if lines.contiguous else 1
    kind = "vector" if lanes > 1 else "serial"
    count = For(i, (), steps, kind=kind, lanes=lanes)
    first, nans, any_odd = (b.final(c) for c in carries)

    j = Axis(lines.length, "i")
    found, _, is_zero, is_nan = look(b.axis(j))
    places = [Carry("int64", name) for name in ("zero", "nan")]
    starts = b.cast(first, "int64"), b.sub(b.index(lines.length), b.cast(nans, "int64"))
    flags = is_zero, is_nan
    body = tuple(
        If(flag, tuple(keys.write_bits(k, 0, lines.index(line, b.carry(place)), (found,))))
        for flag, place in zip(flags, places, strict=True)
    )
    moved = tuple(
        Carried(c, start, b.add(b.carry(c), b.cast(flag, "int64")))
        for c, start, flag in zip(places, starts, flags, strict=True)
    )
    again = If(b.ne(any_odd, none), (For(j, body, moved),))
    grain = max(1, WORTH_A_THREAD // lines.length)
    k.emit((For(axis, (count, again), kind="parallel"),), axis.length, grain)


def positions(lines: Lines, i: int, part: int, bits: int) -> Stage:
    """A stage that orders positions by one part of the key of operand `i`."""
    k = lines.k
    name = k.inputs[i].dtype_name
    counter: DtypeName = "int32" if lines.length < 1 << 31 else "int64"

    def source(line: Expr, at: Expr, before: Sequence[Expr] | None) -> list[Expr]:
        position = at if before is None else k.b.cast(before[-1], "int64")
        bits = keys.read_bits(k, i, lines.index(line, position))
        return [keys.key(k.b, bits, name)[part].value, k.b.cast(position, counter)]

    zeros = [k.b.const(0, piece) for piece in keys.pieces(name)]
    dtype = keys.key(k.b, zeros, name)[part].value.dtype
    return Stage((dtype, counter), bits, source, lambda element: element)
