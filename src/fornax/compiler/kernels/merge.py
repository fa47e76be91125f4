"""Sorting by merges of blocks: lines that fill the lanes of vectors by themselves.

A block is a square, as many vectors as a vector has lanes, and is sorted and merged by a network
whose steps are between vectors only: elements far apart are compared in the square as it lies in
memory, elements of one vector in the square transposed, and every stage stores its square
transposed for the next one.

Blocks in order are runs, and runs are merged in pairs, a block of results at a time. The second run
of a pair falls, right behind the first one, which rises. Of the block at the head of the one and
the block at the end of the other, the lesser elements, place by place, are the next block of
results, and the first place where the second run has the lesser one says where both go on. A run
that has ended needs no care: behind its end lies the far end of the other one, whose elements are
not among the lesser ones.

Falling runs are made by the same code as rising ones, from words all whose bits are inverted.

Every level of merges costs the same, whatever the values are. Long lines are cut into chunks whose
runs stay in a cache, or are made by a thread each; after that, nests merge what the chunks made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fornax.compiler.kernels import keys
from fornax.compiler.kernels.product import split
from fornax.compiler.kernels.radix import WORTH_A_THREAD, Lines
from fornax.compiler.kernels.words import Rows, Words
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
)

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: fewest lanes for which squares are worth their transposition
FEWEST = 8
#: fewest elements of a line worth a thread
CHUNK = 1 << 14


def suits(words: Words) -> bool:
    """Whether elements can be sorted so: one word each, many to a vector."""
    return len(words.dtypes) == 1 and words.widest_lanes >= FEWEST


def cost(words: Words) -> int:
    """About how many operations of vectors the nests take: as measured, in those of networks."""
    lines, lanes = words.lines, words.widest_lanes
    bits = lanes.bit_length() - 1
    blocks = -(-lines.length // (lanes * lanes))
    levels = (blocks - 1).bit_length()
    found = blocks * lanes * bits * (5 * bits + 6 * levels)
    return lines.count * (found if lines.contiguous else found + 6 * lines.length)


class Merge(Words):
    """The nests of a sort by merges."""

    def __init__(self, lines: Lines, num_keys: int):
        super().__init__(lines, num_keys)
        k, n = self.k, lines.length
        (self.dtype,) = self.dtypes
        self.lanes = k.target.lanes(self.dtype)
        self.block = self.lanes * self.lanes
        self.blocks = -(-n // self.block)
        self.chunk = self.chunk_blocks()
        self.chunks = -(-self.blocks // self.chunk)
        shape = (2 * self.blocks * self.block,)
        self.data = (
            k.scratch("merged", self.dtype, shape)
            if self.chunks == 1
            else k.workspace("merged", self.dtype, (lines.count, *shape))
        )
        square = (self.lanes, self.lanes)
        self.squares = [k.scratch(name, self.dtype, square) for name in ("even", "odd")]

    def chunk_blocks(self) -> int:
        """How many blocks make a chunk."""
        k, count, size = self.k, self.lines.count, WIDTH[self.dtype] // 8
        if 1 < count >= k.threads:  # each line by one thread, which needs memory for one only
            return self.blocks
        chunks = max(1, min(k.threads, self.lines.length // CHUNK))
        near = max(1, k.target.l2 // (4 * size * self.block))
        return min(-(-self.blocks // chunks), near)

    # --- the nests ---
    def emit(self) -> None:
        b = self.b
        if self.chunks == 1:
            axis = Axis(self.lines.count, "line")
            line, none = b.axis(axis), b.index(0)
            body = (*self.runs(line, none), *self.write(line, none, self.levels(self.blocks)))
            grain = max(1, WORTH_A_THREAD // self.lines.length)
            self.k.emit((For(axis, body, kind="parallel"),), axis.length, grain)
            return
        self.tasks(self.runs)
        length, side = self.chunk, self.levels(self.chunk)
        while length < self.blocks:
            self.tasks(partial(self.slice, length=length, side=side))
            length, side = 2 * length, side + 1
        self.tasks(lambda line, chunk: self.write(line, chunk, side))

    def tasks(self, body: Callable[[Expr, Expr], Sequence[Statement]]) -> None:
        """A nest that runs `body` for every chunk of every line."""
        b = self.b
        axis = Axis(self.lines.count * self.chunks, "task")
        line, chunk = split(b, b.axis(axis), (self.lines.count, self.chunks))
        self.k.emit((For(axis, tuple(body(line, chunk)), kind="parallel"),), axis.length, 1)

    @staticmethod
    def levels(blocks: int) -> int:
        """How often runs are merged in pairs until one is left."""
        return (blocks - 1).bit_length()

    # --- places in memory ---
    def extent(self, chunk: Expr) -> tuple[Expr, Expr]:
        """The blocks [begin, end) of a chunk."""
        b = self.b
        begin = b.mul(chunk, b.index(self.chunk))
        return begin, b.min(b.add(begin, b.index(self.chunk)), b.index(self.blocks))

    def place(self, line: Expr, side: Expr, block: Expr, at: Expr) -> tuple[Expr, ...]:
        """The index of an element of a block, on one of two sides."""
        b = self.b
        start = b.add(b.mul(side, b.index(self.blocks)), block)
        index = b.add(b.mul(start, b.index(self.block)), at)
        return (index,) if self.chunks == 1 else (line, index)

    def across(self, body: Callable[[Expr], Sequence[Statement]]) -> For:
        """A loop over the lanes of a square."""
        lane = Axis(self.lanes, "lane")
        return For(lane, tuple(body(self.b.axis(lane))), kind="vector", lanes=self.lanes)

    def along(self, extent: int | Expr, body: Callable[[Expr], Sequence[Statement]]) -> For:
        """A loop along a line."""
        i = Axis(extent, "i")
        return For(i, tuple(body(self.b.axis(i))), kind="vector", lanes=self.lanes)

    # --- in and out ---
    def runs(self, line: Expr, chunk: Expr) -> tuple[Statement, ...]:
        """Read a chunk, sort its blocks, and merge them into one run."""
        b, none = self.b, self.b.index(0)
        begin, end = self.extent(chunk)
        start = b.mul(begin, b.index(self.block))
        stop = b.min(b.mul(end, b.index(self.block)), b.index(self.lines.length))

        def copy(i: Expr) -> Sequence[Statement]:
            (word,) = self.word(line, b.add(start, i))
            return (Store(self.data, self.place(line, none, begin, i), word),)

        body: list[Statement] = [self.along(b.sub(stop, start), copy)]
        n, size = self.lines.length, self.blocks * self.block
        if n < size:
            (past,) = self.past()

            def pad(i: Expr) -> Sequence[Statement]:
                at = b.add(b.index(n), i)
                return (Store(self.data, self.place(line, none, none, at), past),)

            pads = self.along(size - n, pad)
            body.append(If(b.eq(end, b.index(self.blocks)), (pads,)) if self.chunks > 1 else pads)
        axis = Axis(b.sub(end, begin), "block")
        number = b.axis(axis)
        inverted = b.add(b.popcount(number), b.popcount(chunk))
        falls = number if self.chunk > 1 else chunk
        body.append(For(axis, self.sort_block(line, b.add(begin, number), inverted, falls)))
        levels = Axis(self.levels(self.chunk), "level")
        if levels.extent:
            body.append(For(levels, (self.level(line, begin, end, b.axis(levels), chunk),)))
        return tuple(body)

    def write(self, line: Expr, chunk: Expr, side: int) -> tuple[Statement, ...]:
        """Write the results of a chunk."""
        b, k, n = self.b, self.k, self.lines.length
        length = self.chunk * self.block
        start = b.mul(chunk, b.index(length))
        extent = n if self.chunks == 1 else b.min(b.sub(b.index(n), start), b.index(length))

        def results(i: Expr) -> Sequence[Statement]:
            at = b.add(start, i)
            place = self.place(line, b.index(side & 1), b.index(0), at)
            element = (b.load(self.data, place),)
            return [
                statement
                for j in range(len(k.outputs))
                for statement in keys.write_bits(
                    k, j, self.lines.index(line, at), self.bits(j, line, element)
                )
            ]

        return (self.along(extent, results),)

    # --- sorting and merging ---
    def transposed(self, rows: Rows, square: Buffer, lane: Expr) -> list[Statement]:
        """Store a square transposed."""
        return [
            Store(square, (lane, self.b.index(r)), element) for r, (element,) in enumerate(rows)
        ]

    def ones(self, number: Expr) -> Expr:
        """What inverts words for odd numbers, and leaves them as they are for even ones."""
        b = self.b
        odd = b.cast(b.and_(number, b.index(1)), self.dtype)
        return b.sub(b.const(0, self.dtype), odd)

    def finish(self, line: Expr, side: Expr, block: Expr) -> For:
        """The last steps of merges, between elements of one vector, to a block in its order."""
        b = self.b

        def near(lane: Expr) -> Sequence[Statement]:
            rows: Rows = [(b.load(self.squares[1], (b.index(r), lane)),) for r in range(self.lanes)]
            self.halved(rows, self.lanes // 2)
            return [
                Store(self.data, self.inside(line, side, block, lane, b.index(r)), element)
                for r, (element,) in enumerate(rows)
            ]

        return self.across(near)

    def invert(self, line: Expr, side: Expr, begin: Expr, end: Expr, falls: Expr) -> If:
        """Invert the words of blocks [begin, end) for an odd `falls`.

        Not on the way to memory: LLVM would look through all steps for bits that are known.
        """
        b = self.b

        def inverted(i: Expr) -> Sequence[Statement]:
            place = self.place(line, side, begin, i)
            return (Store(self.data, place, b.not_(b.load(self.data, place))),)

        odd = b.ne(b.and_(falls, b.index(1)), b.index(0))
        return If(odd, (self.along(b.mul(b.sub(end, begin), b.index(self.block)), inverted),))

    def inside(
        self, line: Expr, side: Expr, block: Expr, row: Expr, column: Expr
    ) -> tuple[Expr, ...]:
        """The index of an element of the square that a block is."""
        b = self.b
        return self.place(line, side, block, b.add(b.mul(row, b.index(self.lanes)), column))

    def sort_block(
        self, line: Expr, block: Expr, number: Expr, falls: Expr
    ) -> tuple[Statement, ...]:
        """Sort one block: its columns, then runs of vectors. Its words are inverted for an odd
        `number`, and it falls for an odd `falls`."""
        b, lanes, side = self.b, self.lanes, self.b.index(0)
        even, odd = self.squares
        inverted = self.ones(number)

        def first(lane: Expr) -> Sequence[Statement]:
            places = [self.inside(line, side, block, b.index(r), lane) for r in range(lanes)]
            rows: Rows = [(b.xor(b.load(self.data, place), inverted),) for place in places]
            self.sorted_runs(rows, lanes)
            return self.transposed(rows, even, lane)

        def far(lane: Expr, run: int) -> Sequence[Statement]:
            rows: Rows = []
            for r in range(lanes):
                within = r % run
                if within < run // 2:
                    index = b.index(r), lane
                else:  # the mirror image of the lower half; its own order does not matter any more
                    mirror = r - within + run - 1 - (within - run // 2)
                    index = b.index(mirror), b.sub(b.index(lanes - 1), lane)
                rows.append((b.load(even, index),))
            self.halved(rows, run // 2)
            return self.transposed(rows, odd, lane)

        def near(lane: Expr) -> Sequence[Statement]:
            rows: Rows = [(b.load(odd, (b.index(r), lane)),) for r in range(lanes)]
            self.halved(rows, lanes // 2)
            return self.transposed(rows, even, lane)

        # one piece of code for the later steps of all merges but the last
        doubled = Axis(self.lanes.bit_length() - 2, "doubled")
        fars = [
            If(
                b.eq(b.axis(doubled), b.index(k)),
                (self.across(partial(far, run=2 << k)),),
            )
            for k in range(doubled.length)
        ]
        return (
            self.across(first),
            For(doubled, (*fars, self.across(near))),
            self.across(lambda lane: far(lane, lanes)),
            self.finish(line, side, block),
            self.invert(line, side, block, b.add(block, b.index(1)), falls),
        )

    def level(self, line: Expr, begin: Expr, end: Expr, number: Expr, chunk: Expr) -> For:
        """Merge the runs of a chunk [begin, end) in pairs; they have 2**number blocks."""
        b, one = self.b, self.b.index(1)
        twice = b.shl(b.index(2), number)
        count = b.shr_logical(b.sub(b.add(b.sub(end, begin), twice), one), b.add(number, one))
        pair = Axis(count, "pair")
        start = b.add(begin, b.mul(b.axis(pair), twice))
        stop = b.min(b.add(start, twice), end)
        rows = b.index(0), b.sub(stop, start)
        last = b.eq(number, b.index(self.levels(self.chunk) - 1))
        falls = b.select(last, chunk, b.axis(pair))
        side = b.and_(number, one)
        rising = b.mul(b.shl(one, number), b.index(self.block))
        merged = self.merge(line, start, rising, stop, rows, b.index(0), side, falls)
        return For(pair, merged)

    def slice(self, line: Expr, chunk: Expr, length: int, side: int) -> tuple[Statement, ...]:
        """A chunk of what comes of merging runs of `length` blocks in pairs."""
        b, size = self.b, self.block
        begin, end = self.extent(chunk)
        twice = b.index(2 * length)
        pair = b.idiv(begin, twice)
        start = b.mul(pair, twice)
        middle, stop = (
            b.min(b.add(start, n), b.index(self.blocks)) for n in (b.index(length), twice)
        )
        source = b.index(side & 1)

        # how many of the first elements come from the first run: bounds that are halved
        wanted = b.mul(b.sub(begin, start), b.index(size))
        first, second = (
            b.mul(b.sub(q, p), b.index(size)) for p, q in ((start, middle), (middle, stop))
        )
        low, high = Carry("int64", "low"), Carry("int64", "high")
        least, most = b.carry(low), b.carry(high)
        half = b.shr_logical(b.add(least, most), b.index(1))
        ahead, behind = (
            b.load(self.data, self.place(line, source, block, at))
            for block, at in ((start, half), (stop, b.min(b.sub(half, wanted), b.index(-1))))
        )
        open_ = b.lt(least, most)
        more = b.and_(open_, b.le(ahead, behind))
        carries = (
            Carried(
                low,
                b.max(b.sub(wanted, second), b.index(0)),
                b.select(more, b.add(half, b.index(1)), least),
            ),
            Carried(high, b.min(wanted, first), b.select(b.and_(open_, b.not_(more)), half, most)),
        )
        search = For(Axis((length * size).bit_length(), "step"), (), carries)
        rows = b.sub(begin, start), b.sub(end, start)
        return search, *self.merge(line, start, first, stop, rows, b.final(low), source, pair)

    def merge(
        self,
        line: Expr,
        begin: Expr,
        rising: Expr,
        end: Expr,
        rows: tuple[Expr, Expr],
        taken: Expr,
        side: Expr,
        falls: Expr,
    ) -> tuple[Statement, ...]:
        """Some rows of blocks of what comes of merging the runs that the blocks [begin, end)
        consist of: `rising` elements, if there are as many, and a falling run. Of the elements
        before those rows, `taken` come from the first run. The result falls for an odd `falls`."""
        b, lanes = self.b, self.lanes
        count: DtypeName = "int32" if WIDTH[self.dtype] == 32 else "int64"
        step = Axis(b.sub(rows[1], rows[0]), "step")
        number = b.add(rows[0], b.axis(step))
        total, lesser = Carry("int64", "taken"), Carry(count, "lesser")
        start = b.carry(total)

        lane, other = Axis(lanes, "lane"), b.xor(side, b.index(1))

        def heads(lane: Expr, r: int) -> list[Expr]:
            at = b.add_index(start, lane, r * lanes)
            last = b.sub(b.sub(end, number), b.index(1))
            return [b.load(self.data, self.place(line, side, block, at)) for block in (begin, last)]

        def far(lane: Expr) -> Sequence[Statement]:
            least: Rows = [(b.min(*heads(lane, r)),) for r in range(lanes)]
            self.halved(least, lanes // 2)
            return self.transposed(least, self.squares[1], lane)

        # first, for the next step waits for it
        none = b.const(self.block, count)
        places = []
        for r in range(lanes):
            place = b.cast(b.add_index(b.axis(lane), r * lanes), count)
            places.append(b.select(b.gt(*heads(b.axis(lane), r)), place, none))
        while len(places) > 1:
            places = [b.min(p, q) for p, q in zip(places[::2], places[1::2], strict=True)]
        counted = Carried(lesser, none, b.min(b.carry(lesser), places[0]), "min")
        body = (
            For(lane, (), (counted,), kind="vector", lanes=lanes),
            self.across(far),
            self.finish(line, other, b.add(begin, number)),
        )
        # equal elements behind the end of the first run are the second one's
        after = b.min(b.add(start, b.cast(b.final(lesser), "int64")), rising)
        return (
            For(step, body, (Carried(total, taken, after),)),
            self.invert(line, other, b.add(begin, rows[0]), b.add(begin, rows[1]), falls),
        )
