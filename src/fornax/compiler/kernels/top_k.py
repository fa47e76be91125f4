"""`top_k`: one pass that keeps the best of a line; sorting whole lines where `k` is large.

The best so far are two sorted arrays, ranks and positions. A rank is the bit pattern of an element
as an unsigned integer, least where the element is largest. Most elements do not qualify: blocks of
a line are compared with the last of the best, in vectors, and looked into only where one qualifies:
a comparison gives the block a word of bits, of which those set are followed.
An element is inserted by one pass over the arrays, in vectors, to a second pair of arrays. It goes
behind those of equal rank, so the earlier of equal elements comes first.

Few long lines are cut into chunks; the best of all chunks, in order, are then a line of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fornax.compiler.kernels import keys
from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.radix import CHUNK, WORTH_A_THREAD, Lines, Radix, Stage
from fornax.compiler.loop.ir import (
    WIDTH,
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    If,
    Statement,
    Store,
    While,
)
from fornax.record import record

#: most elements that are kept while a line is read
KEPT = 512
#: registers in a block of a line; it has at most 64 elements
BLOCK = 4


def top_k(k: KernelContext) -> None:
    """Emit the nests of a `top_k`. Parameters: `k`, `axis`."""
    lines = Lines(k, tuple(k.inputs[0].shape), k.params["axis"])
    count = k.params["k"]
    if 0 in lines.shape or not count:
        return
    if count <= min(KEPT, max(lines.length // 4, 16)):
        Best(lines, count).emit()
    else:
        by_digits(lines, count)


def rank(k: KernelContext, bits: Sequence[Expr]) -> keys.Part:
    """An unsigned integer that is least for the largest element."""
    (part,) = keys.key(k.b, bits, k.inputs[0].dtype.name, total=True)
    last = k.b.const((1 << part.bits) - 1, part.value.dtype)
    return keys.Part(k.b.xor(part.value, last), part.bits)


def by_digits(lines: Lines, count: int) -> None:
    """A sort of ranks, of which the first are the result."""
    k = lines.k
    name = k.inputs[0].dtype.name
    (piece,) = keys.pieces(name)

    def source(line: Expr, at: Expr, before: Sequence[Expr] | None) -> list[Expr]:
        bits = keys.read_bits(k, 0, lines.index(line, at))
        return [bits[0], k.b.cast(at, "int32")]

    def sink(line: Expr, at: Expr, moved: Sequence[Expr]) -> tuple[Statement, ...]:
        index = lines.index(line, at)
        return (*keys.write_bits(k, 0, index, moved[:1]), *k.store(1, index, moved[1]))

    bits = rank(k, [k.b.const(0, piece)]).bits
    stage = Stage((piece, "int32"), bits, source, lambda element: rank(k, [element]).value)
    Radix(lines, [stage], sink, count).emit()


@record(frozen=True)
class Source:
    """A line, or a part of one, to find the best of.

    Attributes:
      extent: how many elements it has.
      rank, position: of the element at a place in it.
    """

    extent: int | Expr
    rank: Callable[[Expr], Expr]
    position: Callable[[Expr], Expr]


class Best:
    """The nests of a `top_k` that keeps the best elements."""

    def __init__(self, lines: Lines, count: int):
        k = self.k = lines.k
        self.b, self.lines, self.count = k.b, lines, count
        (piece,) = keys.pieces(k.inputs[0].dtype.name)
        self.dtype = rank(k, [k.b.const(0, piece)]).value.dtype
        most = max(WIDTH[self.dtype], 32)
        self.lanes = k.target.vector_bits // most
        # one more in front, so that every element has one before it
        shape = (2, count + 1)
        self.ranks = k.scratch("ranks", self.dtype, shape)
        self.positions = k.scratch("positions", "int32", shape)
        self.side = k.scratch("side", "int64", (1,))

    def emit(self) -> None:
        b, k, lines = self.b, self.k, self.lines
        chunks = 1
        if lines.count < k.threads:
            chunks = max(1, min(k.threads, lines.length // max(CHUNK, 4 * self.count)))
        if chunks == 1:
            axis = Axis(lines.count, "line")
            line = b.axis(axis)
            source = Source(lines.length, lambda at: self.read(line, at), lambda at: at)
            body = (*self.find(source), self.results(line))
            grain = max(1, WORTH_A_THREAD // lines.length)
            k.emit((For(axis, body, kind="parallel"),), axis.extent, grain)
            return
        shape = (lines.count, chunks * self.count)
        ranks = k.workspace("chunk_ranks", self.dtype, shape)
        positions = k.workspace("chunk_positions", "int32", shape)
        task = Axis(lines.count * chunks, "task")
        line = b.idiv(b.axis(task), b.index(chunks))
        chunk = b.imod(b.axis(task), b.index(chunks))
        size = lines.length // chunks  # the last chunk takes the rest
        begin = b.mul(chunk, b.index(size))
        last = b.eq(chunk, b.index(chunks - 1))
        extent = b.add(b.index(size), b.select(last, b.index(lines.length % chunks), b.index(0)))
        part = Source(
            extent_of(extent),
            lambda at: self.read(line, b.add(begin, at)),
            lambda at: b.add(begin, at),
        )
        one = Axis(self.count, "best")
        place = (line, b.add(b.mul(chunk, b.index(self.count)), b.axis(one)))
        found = self.kept(b.axis(one))
        saves = (Store(ranks, place, found[0]), Store(positions, place, found[1]))
        body = (*self.find(part), self.vector(one, saves))
        k.emit((For(task, body, kind="parallel"),), task.extent, 1)

        axis = Axis(lines.count, "line")
        line = b.axis(axis)
        joined = Source(
            chunks * self.count,
            lambda at: b.load(ranks, (line, at)),
            lambda at: b.cast(b.load(positions, (line, at)), "int64"),
        )
        body = (*self.find(joined), self.results(line))
        k.emit((For(axis, body, kind="parallel"),), axis.extent, 1)

    # --- pieces ---
    def read(self, line: Expr, at: Expr) -> Expr:
        return rank(self.k, keys.read_bits(self.k, 0, self.lines.index(line, at))).value

    def vector(self, axis: Axis, body: Sequence[Statement], carries=()) -> For:
        return For(axis, tuple(body), tuple(carries), kind="vector", lanes=self.lanes)

    def now(self) -> Expr:
        return self.b.load(self.side, (self.b.index(0),))

    def kept(self, at: Expr) -> tuple[Expr, Expr]:
        """Rank and position of one of the best."""
        place = (self.now(), self.b.add(at, self.b.index(1)))
        return self.b.load(self.ranks, place), self.b.load(self.positions, place)

    def results(self, line: Expr) -> For:
        """Write the best of a line."""
        k, axis = self.k, Axis(self.count, "best")
        at = self.b.axis(axis)
        position = self.kept(at)[1]
        source = self.lines.index(line, self.b.cast(position, "int64"))
        index = self.lines.index(line, at)
        value = keys.read_bits(k, 0, source)
        return For(axis, (*keys.write_bits(k, 0, index, value), *k.store(1, index, position)))

    def insert(self, rank: Expr, position: Expr, filled: Expr) -> tuple[Statement, ...]:
        """Put an element where it belongs among the best, of which there are `filled`."""
        b, axis = self.b, Axis(self.count, "best")
        side = self.now()
        other = b.sub(b.index(1), side)
        at, after = b.axis(axis), b.add(b.axis(axis), b.index(1))

        def old(buffer: Buffer, place: Expr) -> Expr:
            return b.load(buffer, (side, place))

        here = b.or_(b.lt(rank, old(self.ranks, after)), b.ge(at, filled))
        # the one before moves here if the new one goes before that
        before = b.and_(b.gt(at, b.index(0)), b.lt(rank, old(self.ranks, at)))
        before = b.or_(before, b.gt(at, filled))
        stores = []
        for buffer, new in ((self.ranks, rank), (self.positions, b.cast(position, "int32"))):
            moved = b.select(before, old(buffer, at), new)
            stores.append(Store(buffer, (other, after), b.select(here, moved, old(buffer, after))))
        return self.vector(axis, stores), Store(self.side, (b.index(0),), other)

    def find(self, source: Source) -> tuple[Statement, ...]:
        """Find the best of a source, which has at least as many."""
        b, count = self.b, self.count
        first = Axis(count, "i")
        at = b.axis(first)
        zero = (b.index(0),)
        start: list[Statement] = [Store(self.side, zero, b.index(0))]
        clear = Axis(count + 1, "best")
        for side in (0, 1):
            for buffer in (self.ranks, self.positions):
                place = (b.index(side), b.axis(clear))
                start.append(For(clear, (Store(buffer, place, b.const(0, buffer.dtype)),)))
                clear = Axis(count + 1, "best")
        start.append(For(first, self.insert(source.rank(at), source.position(at), at)))

        width = BLOCK * self.lanes
        left = b.sub(b.index(source.extent), b.index(count))
        whole, rest = b.idiv(left, b.index(width)), b.imod(left, b.index(width))
        block = Axis(extent_of(whole), "block")
        begin = b.add(b.index(count), b.mul(b.axis(block), b.index(width)))
        start.append(For(block, self.look(source, begin, width)))
        begin = b.add(b.index(count), b.mul(whole, b.index(width)))
        return (*start, *self.look(source, begin, extent_of(rest)))

    def look(self, source: Source, begin: Expr, width: int | Expr) -> tuple[Statement, ...]:
        """Go through a block if its least rank is less than that of the last of the best."""
        b = self.b
        if width == 0:
            return ()
        lane, carry = Axis(width, "lane"), Carry(self.dtype, "least")
        worst = b.const((1 << WIDTH[self.dtype]) - 1, self.dtype)
        here = source.rank(b.add(begin, b.axis(lane)))
        least = Carried(carry, worst, b.min(b.carry(carry), here), "min")
        lanes = BLOCK * self.lanes if width == BLOCK * self.lanes else self.lanes
        scan = For(lane, (), (least,), kind="vector", lanes=lanes)
        last = self.kept(b.index(self.count - 1))[0]
        return scan, If(b.lt(b.final(carry), last), self.better(source, begin, width, lanes))

    def better(
        self, source: Source, begin: Expr, width: int | Expr, lanes: int
    ) -> tuple[Statement, ...]:
        """Insert what qualifies in a block: every element has a bit, and those set are followed."""
        b = self.b
        last = self.kept(b.index(self.count - 1))[0]
        lane, marks, left = Axis(width, "lane"), Carry("uint64", "marks"), Carry("uint64", "left")
        one, none = b.const(1, "uint64"), b.const(0, "uint64")
        here = b.lt(source.rank(b.add(begin, b.axis(lane))), last)
        bit = b.select(here, b.op("shl", one, b.cast(b.axis(lane), "uint64")), none)
        mark = Carried(marks, none, b.op("or", b.carry(marks), bit), "or")
        rest = b.carry(left)
        lowest = b.op("and", rest, b.sub(none, rest))
        number = b.sub(b.index(63), b.cast(b.op("clz", lowest), "int64"))
        at = b.add(begin, number)
        value = source.rank(at)
        insert = self.insert(value, source.position(at), b.index(self.count))
        # the best may have become better since the bit was set
        follow = While(
            b.op("ne", rest, none),
            (Carried(left, b.final(marks), b.xor(rest, lowest)),),
            (If(b.lt(value, last), insert),),
        )
        return For(lane, (), (mark,), kind="vector", lanes=lanes), follow


def extent_of(extent: Expr) -> int | Expr:
    """An extent as an Axis takes it."""
    return extent.data if extent.kind == "const" else extent
