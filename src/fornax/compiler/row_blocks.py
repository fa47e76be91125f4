"""Rows worked on a few at a time, where sums of their columns lie beside them.

A row that is gone through several times, and in the end added to sums of its columns, meets what is
the same for all rows: those sums, scales, shifts. Where they are long, they come from the second
cache again for every row, and sums go back there. Instead a few rows are gone through for all but
the last time, and what is known of each is kept. Then pieces of them are, so narrow that what lies
beside a piece stays in the first cache from row to row:

    for row: …; for j: s[j] += f(x[row, j], c)           becomes

    for block:
        for k:                      …; kept[k] = c
        for piece: for k: for j:    s[piece, j] += f(x[block, k, piece, j], kept[k])
"""

from __future__ import annotations

from collections.abc import Iterator

from fornax._native import reachable
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import WIDTH, Alloc, Axis, Buffer, Expr, For, Statement, Store
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk
from fornax.compiler.target import Target

#: most rows of a block: what is to come of so many more has room in the second cache
MOST = 4
#: share of the first cache for what lies beside a piece, and from which on pieces pay
SHARE = 0.5
#: elements of the narrowest piece
NARROW = 128


def in_blocks(b: Builder, rows: For, target: Target) -> For:
    """The loop over rows in blocks, where that pays."""
    *before, last = rows.body
    extent = rows.axis.length
    count = next((n for n in range(min(MOST, extent), 1, -1) if extent % n == 0), 1)
    if count == 1 or not isinstance(last, For):
        return rows
    again = any(isinstance(s, For) for s in before)
    if not again or any(isinstance(s, Alloc) for s in walk(before)):
        return rows
    if not all(isinstance(s, Store) for s in last.body):
        return rows
    room = int(SHARE * target.l1)
    beside = sum(WIDTH[buffer.dtype] // 8 for buffer in same_for_all(rows, last))
    if last.axis.length * beside <= room or room < NARROW * beside:
        return rows
    width = 1 << (room // beside).bit_length() - 1
    last = forwarded(b, before, last)
    written = {s.buffer for s in walk(before) if isinstance(s, Store)}
    if any(buffer in written for buffer, _ in accesses(last)):
        return rows
    return Blocks(b, rows, last, count).loop(tuple(before), width)


def forwarded(b: Builder, before: list[Statement], last: For) -> For:
    """The last loop with what is stored in front of it rather than read from there."""
    stored = {(s.buffer, *s.index): s.value for s in before if isinstance(s, Store)}
    nodes = reachable(expressions(last.body))
    known = {n: stored.get((n.data, *n.args)) for n in nodes if n.kind == "load"}
    exact = {n: v for n, v in known.items() if v is not None and v.dtype == n.data.dtype}
    return Rewriter(b, exact).loop(last)


def same_for_all(rows: For, last: For) -> set[Buffer]:
    """The buffers of which the same elements are used for each row."""
    found: set[Buffer] = set()
    for buffer, index in accesses(last):
        axes = {n.data for n in reachable(index) if n.kind == "axis"}
        if last.axis in axes and rows.axis not in axes:
            found.add(buffer)
    return found


def accesses(loop: For) -> Iterator[tuple[Buffer, tuple[Expr, ...]]]:
    for node in reachable(expressions(loop.body)):
        if node.kind == "load":
            yield node.data, node.args
    for store in loop.body:
        if isinstance(store, Store):
            yield store.buffer, store.index


class Blocks:
    def __init__(self, b: Builder, rows: For, last: For, count: int):
        self.b = b
        self.rows = rows
        self.last = last
        self.count = count
        self.block = Axis(rows.axis.length // count, "block")
        self.values = known_before(last)
        self.kept = [
            Buffer(f"row{k}", value.dtype, (count,), (1,), "local")
            for k, value in enumerate(self.values)
        ]

    def loop(self, before: tuple[Statement, ...], width: int) -> For:
        row = Axis(self.count, "row")
        copy = Rewriter(self.b)
        self.bind(copy, row)
        first = copy.statements(before)
        at = (self.b.axis(row),)
        kept = zip(self.kept, self.values, strict=True)
        stores = [Store(buffer, at, copy(value)) for buffer, value in kept]
        body: list[Statement] = [*map(Alloc, self.kept), For(row, (*first, *stores))]
        pieces, rest = divmod(self.last.axis.length, width)
        piece = Axis(pieces, "piece")
        start = self.b.mul(self.b.axis(piece), self.b.index(width))
        body.append(For(piece, (self.piece(start, width),)))
        if rest:
            body.append(self.piece(self.b.index(pieces * width), rest))
        return For(self.block, tuple(body))

    def bind(self, copy: Rewriter, row: Axis) -> None:
        b = self.b
        place = b.add(b.mul(b.axis(self.block), b.index(self.count)), b.axis(row))
        copy.bind("axis", self.rows.axis, place)

    def piece(self, start: Expr, width: int) -> For:
        """What is done last, for a piece of the rows of a block."""
        b = self.b
        row, inside = Axis(self.count, "row"), Axis(width)
        kept = zip(self.kept, self.values, strict=True)
        copy = Rewriter(
            b, {v: b.node("load", v.dtype, buffer, (b.axis(row),)) for buffer, v in kept}
        )
        self.bind(copy, row)
        copy.bind("axis", self.last.axis, b.add(start, b.axis(inside)))
        return For(row, (For(inside, copy.statements(self.last.body)),))


def known_before(loop: For) -> list[Expr]:
    """The values that a loop takes from loops before it, as far as they are made before it."""
    nodes = reachable(expressions(loop.body))
    varying: set[Expr] = set()
    later: set[Expr] = set()
    for node in nodes:
        own = node.kind == "axis" and node.data is loop.axis
        if own or node.dtype == "bool" or not varying.isdisjoint(node.args):
            varying.add(node)
        if node.kind == "final" or not later.isdisjoint(node.args):
            later.add(node)
    used = [a for node in nodes if node in varying for a in node.args]
    used += expressions(loop.body)
    return [n for n in dict.fromkeys(used) if n in later and n not in varying]
