"""Transposing a square of vectors: in registers, or on the way there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fornax.backends.llvm.addresses import access, address, loaded_type
from fornax.compiler.loop.ir import WIDTH

if TYPE_CHECKING:
    from fornax.backends.llvm.stores import Pending
    from fornax.backends.llvm.values import Values

#: bits of a piece, within which instructions exchange elements at no other cost, and of the
#: registers that pieces of several rows are read to: what joins more takes longer than it saves
PIECE, JOINED = 128, 256
#: bits of the narrowest elements read in pieces: with narrower ones, more rows than the ways of the
#: first cache are open at a time
NARROWEST = 32
#: memory that no array shares: what is stored there changes nothing that is still to be read
ASIDE = ("local", "scratch")


def square_steps(lanes: int, bits: int) -> list[tuple[int, tuple[list[int], list[int]]]]:
    """How to transpose a square: for each step the distance of the rows that go together, and which
    elements of both make the first and the second of two new ones.

    Only what instructions do without a register for an order: pairs within pieces of 128 bits, then
    every other one of these pieces. Such a register would be filled outside of all loops, and taken
    from the sums of a loop beside this one.
    """
    piece = min(lanes, PIECE // bits)
    half = [n for first in range(0, lanes, piece) for n in range(first, first + piece // 2)]
    pairs = [at for n in half for at in (n, lanes + n)]
    steps = []
    bit = piece // 2
    while bit:
        steps.append((bit, (pairs, [n + piece // 2 for n in pairs])))
        bit //= 2
    every = [n for n in range(2 * lanes) if not n // piece & 1]
    bit = piece
    while bit < lanes:
        steps.append((bit, (every, [n + piece for n in every])))
        bit *= 2
    return steps


def read_in_pieces(e: Values, group: list[Pending]) -> bool:
    """Store a square of what was only read, transposed, if this is one: pieces of several rows are
    read to one register each, which leaves exchanges within pieces. (Measured: a third of the time
    of whole rows, whose pieces have to change registers.)"""
    target, stride = group[0].store.buffer, group[0].found.stride
    bits, lanes = WIDTH[target.dtype], len(group)
    if bits < NARROWEST:
        return False
    rows = []
    for one in group:
        value = one.store.value
        if value.kind != "load" or value.masked or value.data.role in ASIDE:
            return False
        found = access(e, value.args[0])
        if WIDTH[value.data.dtype] != bits or found.stride != 1 or found.lanes:
            return False
        rows.append(address(e, value.data, found.scalar, found.constant).name)
    dtype, scope = group[0].store.value.dtype, e.scopes[-1]
    piece, count = min(lanes, PIECE // bits), min(lanes, JOINED // bits, e.target.lanes(dtype))
    narrow, wide = loaded_type(dtype, piece), loaded_type(dtype, count)
    every = ", ".join(f"i32 {n}" for n in range(count))
    steps = [step for step in square_steps(count, bits) if step[0] < piece]
    for top in range(0, lanes, count):
        found = group[top].found
        results = address(e, target, found.scalar, found.constant).name
        # a loop: the processor foresees the next line of what one instruction reads end to end
        again, leave, left, after = map(e.fresh, ("L", "L", "%i", "%n"))
        scope.lines += [
            f"  br label %{again}",
            f"{again}:",
            f"  {left} = phi i64 [ 0, %{scope.block} ], [ {after}, %{again} ]",
        ]
        scope.block = again
        width = stride * bits // 8
        begin = e.put(scope.depth, f"mul nsw i64 {left}, {bits // 8}")
        below = e.put(scope.depth, f"mul nsw i64 {left}, {width}")
        held = []
        for row in range(top, top + piece):
            parts = []
            for place in rows[row : top + count : piece]:
                pointer = e.put(scope.depth, f"getelementptr i8, ptr {place}, i64 {begin}")
                parts.append(e.put(scope.depth, f"load {narrow}, ptr {pointer}, align {bits // 8}"))
            if len(parts) > 1:
                both = ", ".join(f"{narrow} {part}" for part in parts)
                parts = [e.put(scope.depth, f"shufflevector {both}, <{count} x i32> <{every}>")]
            held += parts
        for k, name in enumerate(exchanged(e, held, wide, count, steps)):
            pointer = e.put(scope.depth, f"getelementptr i8, ptr {results}, i64 {below}")
            pointer = e.put(scope.depth, f"getelementptr i8, ptr {pointer}, i64 {k * width}")
            scope.lines.append(f"  store {wide} {name}, ptr {pointer}, align {bits // 8}")
        more = e.fresh("%v")
        scope.lines += [
            f"  {after} = add nsw i64 {left}, {piece}",
            f"  {more} = icmp slt i64 {after}, {lanes}",
            f"  br i1 {more}, label %{again}, label %{leave}",
            f"{leave}:",
        ]
        scope.block = leave
    return True


def exchanged(
    e: Values, rows: list[str], kind: str, lanes: int,
    steps: list[tuple[int, tuple[list[int], list[int]]]],
) -> list[str]:  # fmt: skip
    """The rows after such steps."""
    for bit, orders in steps:
        moved = list(rows)
        for k in range(len(rows)):
            if not k & bit:
                for target, order in zip((k, k | bit), orders, strict=True):
                    picked = ", ".join(f"i32 {n}" for n in order)
                    moved[target] = e.put(
                        e.scopes[-1].depth,
                        f"shufflevector {kind} {rows[k]}, {kind} {rows[k | bit]}, "
                        f"<{lanes} x i32> <{picked}>",
                    )
        rows = moved
    return rows
