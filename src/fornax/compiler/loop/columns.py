"""Reductions of columns that walk along rows.

With its lanes along a row and its results in registers, a reduction over rows reads a few cache
lines of a row, then of the next, a whole row further on: no processor foresees that. Where an array
does not fit the caches, the results of a longer piece of a row lie in local memory instead, and
several rows pass at once:

    vector j: for i: c <- max(c, x[i, j])      becomes
    for piece of j:  for i in steps of 2:
        vector j in the piece:  c[j] = max(max(c[j], x[i, j]), x[i + 1, j])

Sums of exponentials take the largest of the rows that pass at once first, and then what is added up
is made smaller once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.estimate import trips
from fornax.compiler.loop.ir import (
    MATH,
    WIDTH,
    Alloc,
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    Kernel,
    Statement,
    Store,
    is_float,
)
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk
from fornax.compiler.loop.schedule import exponent, exponentials
from fornax.compiler.target import Target

#: most bytes of a row that are read before going on to the next, and of results meanwhile: shorter
#: pieces would leave the first cache less often, but of longer ones the processor foresees more
PIECE = 16 << 10
ROOM = 32 << 10
#: as few bytes as LEAST where threads would share less than so many pieces otherwise
PIECES, LEAST = 4, 512
#: rows at least so many bytes apart, or further where a vector holds so much of one, and at least
#: so many of them
FAR, FURTHER, HELD = 640, 2048, 0.75
MANY = 64
#: registers of which results keep the processor busy while they wait for one another
FEW = 4
#: arrays of so many times the second cache
LARGE = 4
#: rows that are read at once, and operations in one iteration for which they become fewer
ROWS, BODY = 8, 128


def along_rows(kernel: Kernel, target: Target) -> Kernel:
    """The kernel, with marked vector loops, whose reductions of columns walk along rows."""
    found = [
        s for s in walk(kernel.body)
        if isinstance(s, For) and s.kind == "vector" and walks_down(s, target)
    ]  # fmt: skip
    return Along(found, target).kernel(kernel) if found else kernel


def walks_down(loop: For, target: Target) -> bool:
    """Whether a vector loop holds reductions that jump from row to row of a large array."""
    if loop.carries or loop.reverse or not isinstance(loop.axis.extent, int):
        return False
    rows = 0
    written = set()
    for statement in loop.body:
        if isinstance(statement, For):
            plain = statement.kind == "serial" and not statement.reverse
            if not plain or not isinstance(statement.axis.extent, int):
                return False
            if not all(isinstance(s, Store) for s in statement.body):
                return False
            if any(c.combiner in (None, "cmul") for c in statement.carries):
                return False
            rows = max(rows, statement.axis.extent if statement.carries else 0)
            written |= {s.buffer for s in statement.body if isinstance(s, Store)}
        elif isinstance(statement, Store):
            written.add(statement.buffer)
        else:
            return False
    if rows < MANY:
        return False
    loops = [s.axis for s in loop.body if isinstance(s, For)]
    near = waits(loop, target)
    far = False
    for node in reachable(expressions(loop.body)):
        if node.kind != "load":
            continue
        if node.data in written or node.masked:
            return False
        steps = {p.data: c for p, c in affine.linear(node.args[0])[0] if p.kind == "axis"}
        size = WIDTH[node.data.dtype] // 8
        if steps.get(loop.axis, 0) not in (0, 1):
            return False
        jump = max((abs(steps.get(axis, 0)) for axis in loops), default=0) * size
        if steps.get(loop.axis) == 1 and jump:
            least = FURTHER if loop.lanes >= HELD * loop.axis.extent else FAR
            if jump < least and not near:
                return False
            far |= node.data.size * size >= LARGE * target.l2
    return far


def waits(loop: For, target: Target) -> bool:
    """Whether results of few registers, of one where there is only one result, wait for one another
    in every row, and rows are gone through more than once."""
    extent, register = loop.axis.length, target.vector_bits // 32
    if not any(isinstance(s, For) and len(s.carries) > 1 for s in loop.body):
        return loop.lanes <= register < extent
    few = loop.lanes < FEW * register or extent % loop.lanes > 0
    return few and extent > loop.lanes


def rows_at_once(loop: For) -> int:
    """How many rows a loop over rows goes through at once: that many places in memory are asked for
    at a time, and results are read and stored less often. Few if there is much to compute."""
    nodes = reachable([*expressions(loop.body), *(c.next for c in loop.carries)])
    work = sum(20 if n.data in MATH else 1 for n in nodes if n.kind == "op" and n.dtype != "int64")
    count = ROWS if loop.carries else 1
    while count > 1 and (count * work > BODY or count > loop.axis.length):
        count //= 2
    return count


class Along(Rewriter):
    """Rebuilds the loops in `found`."""

    def __init__(self, found: list[For], target: Target):
        super().__init__(Builder())
        self.found = found
        self.target = target
        self.count = 0
        self.around = 1  #: iterations of the loops around

    def statement(self, old: Statement) -> Iterator[Statement]:
        if not isinstance(old, For) or old not in self.found:
            times = trips(old) if isinstance(old, For) else 1
            if isinstance(old, For):
                self.b.axis(old.axis)
            self.around *= times
            yield from super().statement(old)
            self.around //= times
            return
        b, extent = self.b, old.axis.length
        read = {WIDTH[n.data.dtype] for n in reachable(expressions(old.body)) if n.kind == "load"}
        held = [WIDTH[c.carry.dtype] for s in old.body if isinstance(s, For) for c in s.carries]
        self.lanes = min(old.lanes, self.target.vector_bits // max(read | {*held}))
        longest = min(PIECE * 8 // max(read), ROOM * 8 // max(sum(held), 1), extent)
        longest = min(longest, max(extent * self.around // PIECES, LEAST * 8 // max(read)))
        count = -(-extent // max(longest, self.lanes))
        size = -(-extent // (count * self.lanes)) * self.lanes
        pieces = Axis(-(-extent // size), old.axis.name + "_piece")
        first = b.mul(b.axis(pieces) if pieces.length > 1 else b.index(0), b.index(size))
        left = b.min(b.sub(b.index(extent), first), b.index(size))
        self.piece = (old, size, first, left)
        self.places: dict[Carry, Buffer] = {}
        self.outside = self.memo
        body: list[Statement] = []
        for statement in old.body:
            if isinstance(statement, For):
                body += self.down(statement)
            else:
                body.append(self.across(self.along(statement)))
        self.memo = self.outside
        if pieces.extent == 1:
            yield from body
        else:
            yield For(pieces, tuple(body))

    def along(self, statement: Statement) -> Callable[[Expr], tuple[Statement, ...]]:
        return lambda column: self.statements((statement,))

    def across(self, make: Callable[[Expr], tuple[Statement, ...]]) -> For:
        """A loop over the columns of the piece, with an axis of its own and what depends on it."""
        b, (old, size, first, left) = self.b, self.piece
        columns = Axis(size if old.axis.length % size == 0 else left, old.axis.name)
        column = b.axis(columns)
        self.memo = dict(self.outside)
        self.bind("axis", old.axis, b.add(first, column))
        for carry, local in self.places.items():
            value = b.node("load", carry.dtype, local, (column,))
            self.bind("carry", carry, value)
            self.bind("final", carry, value)
        return For(columns, make(column), kind="vector", lanes=self.lanes)

    def down(self, loop: For) -> list[Statement]:
        """A loop over rows around one over columns; what it carries lies in local memory."""
        b, size = self.b, self.piece[1]
        mine = {}
        for carried in loop.carries:
            self.count += 1
            dtype = carried.carry.dtype
            mine[carried.carry] = Buffer(f"column{self.count}", dtype, (size,), (1,), "local")
        made: list[Statement] = [Alloc(local) for local in mine.values()]
        if mine:
            made.append(
                self.across(
                    lambda column: tuple(
                        Store(mine[c.carry], (column,), self(c.start)) for c in loop.carries
                    )
                )
            )
        self.places |= mine
        count = rows_at_once(loop)
        whole, rest = divmod(loop.axis.length, count)
        blocks = Axis(whole, loop.axis.name + ("_block" if count > 1 else ""))
        made += self.rows(loop, blocks, count, b.mul(b.axis(blocks), b.index(count)), mine)
        if rest:
            made += self.rows(loop, Axis(1), rest, b.index(whole * count), mine)
        return made

    def rows(
        self, loop: For, blocks: Axis, count: int, first: Expr, mine: dict[Carry, Buffer]
    ) -> list[Statement]:
        """A loop over blocks of so many rows from `first`."""
        b = self.b

        def row(column: Expr) -> tuple[Statement, ...]:
            step = Axis(count, loop.axis.name)
            self.bind("axis", loop.axis, b.add(first, b.axis(step)))
            starts = [self(b.carry(c.carry)) for c in loop.carries]
            carries = [Carry(c.carry.dtype, c.carry.name) for c in loop.carries]
            for old, carry in zip(loop.carries, carries, strict=True):
                self.bind("carry", old.carry, b.carry(carry))
            body = self.statements(loop.body)
            nexts = [self(c.next) for c in loop.carries]
            values = list(map(b.final, carries))
            for k, old in enumerate(loop.carries):
                if old.combiner == "exponentials" and k + 1 < len(nexts):
                    inside = tuple(map(b.carry, carries[k : k + 2]))
                    term = exponent(b, inside, tuple(nexts[k : k + 2]))
                    if term is not None:
                        at = [Rewriter(b, {b.axis(step): b.index(r)})(term) for r in range(count)]
                        values[k : k + 2] = exponentials(b, tuple(starts[k : k + 2]), at)
            for k, old in enumerate(loop.carries):
                if old.combiner == "add" and is_float(old.carry.dtype):  # rounded less often
                    values[k] = b.op("add", starts[k], values[k])
                    starts[k] = b.const(0.0, old.carry.dtype)
            carried = tuple(
                Carried(carry, start, following)
                for old, carry, start, following, value in zip(
                    loop.carries, carries, starts, nexts, values, strict=True
                )
                if old.combiner != "exponentials" or value.kind == "final"
            )
            # the place of an extreme is stored before the extreme that decides about it
            stores = [
                Store(mine[old.carry], (column,), value)
                for old, value in zip(loop.carries, values, strict=True)
            ]
            return (For(step, body, carried, "unroll"), *reversed(stores))

        inner = self.across(row)
        return [inner] if blocks.extent == 1 else [For(blocks, (inner,))]
