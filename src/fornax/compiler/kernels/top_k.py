"""`top_k`: one pass that collects what may be of the best; sorting whole lines where `k` is large.

A rank is the bit pattern of an element as an unsigned integer, least where the element is largest.
The line (the first part of a long one) is cut into more groups than elements are wanted, each of
which has one that is its best; so many of these have a rank up to some bound, and few elements
besides the results get past it. Blocks of the line are compared with the bound, in vectors, and
looked into only where one passes: a comparison gives the block a word of bits, of which those set
are followed. What passes are candidates, rank and position, in the order of the line.

The place of a candidate is how many go before it: all are compared with all, in vectors. That is
done at the end, and whenever there is no room for another block of candidates, of which the best
are kept then, and the last of these is the new bound. Once there are as many candidates as are
wanted, only what is better than the bound passes, for the earlier of equal elements comes first.

Few long lines are cut into chunks; the best of all chunks, in order, are then a line of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fornax.compiler.kernels import keys
from fornax.compiler.kernels.arithmetic import power_of_two
from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.radix import CHUNK, WORTH_A_THREAD, Lines, Radix, Stage, digits
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
    extent_of,
)
from fornax.record import record

#: what comparing candidates costs by what a pass of a sort costs, for every element: it grows with
#: the square of how many are wanted
PASS = 6
#: registers in a block of a line; it has at most 64 elements
BLOCK = 4
#: groups for each element that is kept, at least, and most elements of a group
GROUPS = 2
MEMBERS = 64
#: longest lines that are copied if their elements are far apart
COPIED = 1 << 16


def top_k(k: KernelContext) -> None:
    """Emit the nests of a `top_k`. Parameters: `k`, `axis`."""
    lines = Lines(k, tuple(k.inputs[0].shape), k.params["axis"])
    count = k.params["k"]
    if 0 in lines.shape or not count:
        return
    (piece,) = keys.pieces(k.inputs[0].dtype_name)
    passes = len(digits(rank(k, [k.b.const(0, piece)]).bits))
    if count**2 <= PASS * passes * lines.length:
        Best(lines, count).emit()
    else:
        by_digits(lines, count)


def rank(k: KernelContext, bits: Sequence[Expr]) -> keys.Part:
    """An unsigned integer that is least for the largest element."""
    (part,) = keys.key(k.b, bits, k.inputs[0].dtype_name, total=True)
    last = k.b.const((1 << part.bits) - 1, part.value.dtype)
    return keys.Part(k.b.xor(part.value, last), part.bits)


def by_digits(lines: Lines, count: int) -> None:
    """A sort of ranks, of which the first are the result."""
    k = lines.k
    name = k.inputs[0].dtype_name
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
        (piece,) = keys.pieces(k.inputs[0].dtype_name)
        self.dtype = rank(k, [k.b.const(0, piece)]).value.dtype
        most = max(WIDTH[self.dtype], 32)
        self.lanes = k.target.vector_bits // most
        width = BLOCK * self.lanes
        room = -(-(2 * count + 2 * width) // self.lanes) * self.lanes
        # in the order of the line, and in their own
        self.candidates = [k.scratch("ranks", self.dtype, (room,))]
        self.candidates.append(k.scratch("positions", "int32", (room,)))
        self.ordered = [k.scratch(f"ordered_{m.name}", m.dtype, (room,)) for m in self.candidates]
        self.places = k.scratch("places", "int32", (room,))
        self.number = k.scratch("number", "int64", (1,))
        self.limit = k.scratch("limit", self.dtype, (1,))
        self.strict = k.scratch("strict", "bool", (1,))
        self.groups = max(power_of_two(GROUPS * count), self.lanes)
        self.firsts = k.scratch("firsts", self.dtype, (self.groups,))

    def emit(self) -> None:
        b, k, lines = self.b, self.k, self.lines
        chunks = 1
        if lines.count < k.threads:
            chunks = max(1, min(k.threads, lines.length // max(CHUNK, 4 * self.count)))
        if chunks == 1:
            axis = Axis(lines.count, "line")
            line = b.axis(axis)
            copy, read = self.near(line)
            source = Source(lines.length, read, lambda at: at)
            body = (*copy, *self.find(source), self.results(line))
            grain = max(1, WORTH_A_THREAD // lines.length)
            k.emit((For(axis, body, kind="parallel"),), axis.length, grain)
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
        k.emit((For(task, body, kind="parallel"),), task.length, 1)

        axis = Axis(lines.count, "line")
        line = b.axis(axis)
        joined = Source(
            chunks * self.count,
            lambda at: b.load(ranks, (line, at)),
            lambda at: b.cast(b.load(positions, (line, at)), "int64"),
        )
        body = (*self.find(joined), self.results(line))
        k.emit((For(axis, body, kind="parallel"),), axis.length, 1)

    # --- pieces ---
    def read(self, line: Expr, at: Expr) -> Expr:
        return rank(self.k, keys.read_bits(self.k, 0, self.lines.index(line, at))).value

    def near(self, line: Expr) -> tuple[tuple[Statement, ...], Callable[[Expr], Expr]]:
        """How ranks of a line are read, and a copy of them if its elements are far apart."""
        b, lines = self.b, self.lines
        if lines.contiguous or lines.length > COPIED:
            return (), lambda at: self.read(line, at)
        copy = self.k.scratch("line", self.dtype, (lines.length,))
        axis = Axis(lines.length, "i")
        store = Store(copy, (b.axis(axis),), self.read(line, b.axis(axis)))
        return (For(axis, (store,)),), lambda at: b.load(copy, (at,))

    def vector(self, axis: Axis, body: Sequence[Statement]) -> For:
        return For(axis, tuple(body), kind="vector", lanes=self.lanes)

    def state(self, buffer: Buffer) -> Expr:
        return self.b.load(buffer, (self.b.index(0),))

    def set(self, buffer: Buffer, value: Expr) -> Store:
        return Store(buffer, (self.b.index(0),), value)

    def kept(self, at: Expr) -> list[Expr]:
        """Rank and position of one of the best."""
        return [self.b.load(memory, (at,)) for memory in self.ordered]

    def results(self, line: Expr) -> For:
        """Write the best of a line."""
        k, axis = self.k, Axis(self.count, "best")
        at = self.b.axis(axis)
        position = self.kept(at)[1]
        source = self.lines.index(line, self.b.cast(position, "int64"))
        index = self.lines.index(line, at)
        value = keys.read_bits(k, 0, source)
        return For(axis, (*keys.write_bits(k, 0, index, value), *k.store(1, index, position)))

    def find(self, source: Source) -> tuple[Statement, ...]:
        """Find the best of a source, which has at least as many."""
        b, width = self.b, BLOCK * self.lanes
        bounding, bound = self.bound(source)
        start = (
            self.set(self.number, b.index(0)),
            self.set(self.limit, bound),
            self.set(self.strict, b.const(False, "bool")),
        )
        extent = b.index(source.extent)
        whole, rest = b.idiv(extent, b.index(width)), b.imod(extent, b.index(width))
        block = Axis(whole, "block")
        scan = For(block, self.look(source, b.mul(b.axis(block), b.index(width)), width))
        end = self.look(source, b.mul(whole, b.index(width)), extent_of(rest))
        return (*bounding, *start, scan, *end, *self.order())

    def bound(self, source: Source) -> tuple[tuple[Statement, ...], Expr]:
        """A rank that as many elements as are wanted do not exceed."""
        b, groups = self.b, self.groups
        worst = b.const((1 << WIDTH[self.dtype]) - 1, self.dtype)
        least = source.extent if isinstance(source.extent, int) else source.extent.low or 0
        members = min(least // groups, MEMBERS)
        if members < 2:
            return (), worst
        lanes = min(groups, BLOCK * self.lanes)
        group, member, carry = Axis(groups, "group"), Axis(members, "i"), Carry(self.dtype, "first")
        here = source.rank(b.add(b.mul(b.axis(member), b.index(groups)), b.axis(group)))
        first = Carried(carry, worst, b.min(b.carry(carry), here), "min")
        store = Store(self.firsts, (b.axis(group),), b.final(carry))
        find = For(group, (For(member, (), (first,)), store), kind="vector", lanes=lanes)

        group, other = Axis(groups, "group"), Axis(groups, "other")
        before, last = Carry("uint32", "before"), Carry(self.dtype, "last")
        mine = b.load(self.firsts, (b.axis(group),))
        less = b.cast(b.lt(b.load(self.firsts, (b.axis(other),)), mine), "uint32")
        zero = b.const(0, "uint32")
        number = Carried(before, zero, b.add(b.carry(before), less), "add")
        wanted = b.lt(b.final(before), b.const(self.count, "uint32"))
        best = b.select(wanted, mine, b.const(0, self.dtype))
        most = Carried(last, b.const(0, self.dtype), b.max(b.carry(last), best), "max")
        loop = For(group, (For(other, (), (number,)),), (most,), kind="vector", lanes=lanes)
        return (find, loop), b.final(last)

    def passes(self, rank: Expr) -> Expr:
        """Whether an element may be one of the best, by its rank."""
        b, limit = self.b, self.state(self.limit)
        equal = b.and_(b.eq(rank, limit), b.not_(self.state(self.strict)))
        return b.or_(b.lt(rank, limit), equal)

    def look(self, source: Source, begin: Expr, width: int | Expr) -> tuple[Statement, ...]:
        """Go through a block if its least rank passes."""
        b = self.b
        if width == 0:
            return ()
        lane, carry = Axis(width, "lane"), Carry(self.dtype, "least")
        worst = b.const((1 << WIDTH[self.dtype]) - 1, self.dtype)
        here = source.rank(b.add(begin, b.axis(lane)))
        least = Carried(carry, worst, b.min(b.carry(carry), here), "min")
        lanes = BLOCK * self.lanes if width == BLOCK * self.lanes else self.lanes
        scan = For(lane, (), (least,), kind="vector", lanes=lanes)
        full = b.gt(self.state(self.number), b.index(self.places.size - BLOCK * self.lanes))
        body = (*self.collect(source, begin, width, lanes), If(full, self.drop()))
        return scan, If(self.passes(b.final(carry)), body)

    def collect(
        self, source: Source, begin: Expr, width: int | Expr, lanes: int
    ) -> tuple[Statement, ...]:
        """What passes in a block as candidates: each has a bit, and those set are followed."""
        b = self.b
        lane, marks, left = Axis(width, "lane"), Carry("uint64", "marks"), Carry("uint64", "left")
        one, none = b.const(1, "uint64"), b.const(0, "uint64")
        here = self.passes(source.rank(b.add(begin, b.axis(lane))))
        bit = b.select(here, b.op("shl", one, b.cast(b.axis(lane), "uint64")), none)
        mark = Carried(marks, none, b.op("or", b.carry(marks), bit), "or")
        rest = b.carry(left)
        lowest = b.op("and", rest, b.sub(none, rest))
        at = b.add(begin, b.sub(b.index(63), b.cast(b.op("clz", lowest), "int64")))
        found = (source.rank(at), b.cast(source.position(at), "int32"))
        count = Carry("int64", "count")
        saves = tuple(
            Store(memory, (b.carry(count),), value)
            for memory, value in zip(self.candidates, found, strict=True)
        )
        steps = (
            Carried(left, b.final(marks), b.xor(rest, lowest)),
            Carried(count, self.state(self.number), b.add(b.carry(count), b.index(1))),
        )
        return (
            For(lane, (), (mark,), kind="vector", lanes=lanes),
            While(b.op("ne", rest, none), steps, saves),
            self.set(self.number, b.final(count)),
            self.set(self.strict, b.ge(b.final(count), b.index(self.count))),
        )

    def order(self) -> tuple[Statement, ...]:
        """Bring the candidates into their order."""
        b, ranks, lanes = self.b, self.candidates[0], self.lanes
        number = self.state(self.number)
        blocks = b.idiv(b.add(number, b.index(lanes - 1)), b.index(lanes))
        block, lane, other = Axis(blocks, "block"), Axis(lanes, "lane"), Axis(number, "other")
        at = b.add(b.mul(b.axis(block), b.index(lanes)), b.axis(lane))
        mine, theirs = b.load(ranks, (at,)), b.load(ranks, (b.axis(other),))
        earlier = b.lt(b.cast(b.axis(other), "int32"), b.cast(at, "int32"))
        before = b.or_(b.lt(theirs, mine), b.and_(b.eq(theirs, mine), earlier))
        place, zero = Carry("int32", "place"), b.const(0, "int32")
        count = Carried(place, zero, b.add(b.carry(place), b.cast(before, "int32")), "add")
        compare = For(other, (), (count,))
        save = Store(self.places, (at,), b.final(place))
        one = Axis(number, "i")
        target = b.cast(b.load(self.places, (b.axis(one),)), "int64")
        moves = tuple(
            Store(into, (target,), b.load(memory, (b.axis(one),)))
            for into, memory in zip(self.ordered, self.candidates, strict=True)
        )
        return For(block, (self.vector(lane, (compare, save)),)), For(one, moves)

    def drop(self) -> tuple[Statement, ...]:
        """Keep the best of the candidates only."""
        b, axis = self.b, Axis(self.count, "best")
        best = self.kept(b.axis(axis))
        back = tuple(
            Store(memory, (b.axis(axis),), value)
            for memory, value in zip(self.candidates, best, strict=True)
        )
        return (
            *self.order(),
            self.vector(axis, back),
            self.set(self.number, b.index(self.count)),
            self.set(self.limit, self.kept(b.index(self.count - 1))[0]),
        )
