"""Stable radix sort of lines, from the least significant digit.

A stage moves arrays (the bits that are compared, and what goes with them) to and fro between two
halves of a buffer, once for each digit. Digits in which all keys of a line agree are left out, so
which half holds the elements is known at run time only: `sides` says it for every digit.

Many lines are sorted side by side, each by one thread. Few long lines are cut into chunks: every
chunk counts its digits, and from the counts of all chunks follows where each one puts its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.product import split
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
from fornax.record import record

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: most bits of a digit: more buckets are more places in memory that are written in turn
DIGIT = 8
#: how many bytes ahead of each bucket's end memory is fetched, and for lines of how many bytes
AHEAD = 128
FAR = 1 << 16
#: shortest chunk of a line worth a thread
CHUNK = 1 << 15
#: elements that are worth a thread of their own
WORTH_A_THREAD = 1 << 13

Index = tuple[Expr, ...]


@record(frozen=True)
class Lines:
    """The lines of an array along one axis."""

    k: KernelContext
    shape: tuple[int, ...]
    axis: int

    @property
    def length(self) -> int:
        return self.shape[self.axis]

    @property
    def others(self) -> tuple[int, ...]:
        return self.shape[: self.axis] + self.shape[self.axis + 1 :]

    @property
    def count(self) -> int:
        count = 1
        for extent in self.others:
            count *= extent
        return count

    @property
    def contiguous(self) -> bool:
        """Whether neighbours in a line are neighbours in memory."""
        return all(n == 1 for n in self.shape[self.axis + 1 :])

    def index(self, line: Expr, at: Expr) -> Index:
        """The index of element `at` of a line."""
        index = list(split(self.k.b, line, self.others))
        index.insert(self.axis, at)
        return tuple(index)


@record(frozen=True)
class Stage:
    """One sort by one key.

    Attributes:
      dtypes: of the arrays that are moved; the key is made from the first.
      bits: how many bits the key has.
      source: (line, position, what the stage before moved there) -> elements to move.
      key: element of the first array -> unsigned key.
    """

    dtypes: tuple[DtypeName, ...]
    bits: int
    source: Callable[[Expr, Expr, Sequence[Expr] | None], Sequence[Expr]]
    key: Callable[[Expr], Expr]


#: (line, position, elements moved by the last stage) -> statements that write the results
Sink = Callable[[Expr, Expr, Sequence[Expr]], tuple[Statement, ...]]


def digits(bits: int) -> list[tuple[int, int]]:
    """(lowest bit, number of bits) of every digit."""
    count = max(1, -(-bits // DIGIT))
    width = -(-bits // count)
    return [(k * width, min(width, bits - k * width)) for k in range(count)]


def chunks_of(lines: Lines, threads: int) -> int:
    """Into how many chunks to cut every line."""
    if lines.count >= threads:
        return 1
    return max(1, min(threads, lines.length // CHUNK))


class Radix:
    """The nests of a sort in one or more stages over the same lines."""

    def __init__(
        self, lines: Lines, stages: Sequence[Stage], sink: Sink, wanted: int | None = None
    ):
        """wanted: how many elements of each line are results, if not all."""
        k = self.k = lines.k
        self.b = k.b
        self.lines, self.stages, self.sink = lines, stages, sink
        n = lines.length
        self.wanted = n if wanted is None else wanted
        self.chunks = chunks_of(lines, k.threads)
        self.size = -(-n // self.chunks)
        self.digits = [digits(stage.bits) for stage in stages]
        passes = max(len(d) for d in self.digits)
        buckets = 1 << max(width for d in self.digits for _, width in d)
        self.counter: DtypeName = "int32" if n < 1 << 31 else "int64"
        memory, many = (k.scratch, ()) if self.chunks == 1 else (k.workspace, (lines.count,))
        tasks = () if self.chunks == 1 else (lines.count * self.chunks,)
        self.moved: dict[tuple[str, int], Buffer] = {}
        for stage in stages:
            for position, dtype in enumerate(stage.dtypes):
                name = f"moved{position}_{dtype}"
                key = (dtype, position)
                self.moved[key] = self.moved.get(key) or memory(name, dtype, (*many, 2 * n))
        counted = passes if self.chunks == 1 else 1
        self.counts = memory("counts", self.counter, (*tasks, counted, buckets))
        self.differing = memory("differing", "uint64", (*tasks, 1))
        self.sides = memory("sides", "int64", (*many, passes + 1))
        self.places = k.scratch("places", self.counter, (buckets,))

    def emit(self) -> None:
        if self.chunks == 1:
            self.whole_lines()
        else:
            self.in_chunks()

    # --- the two ways ---
    def whole_lines(self) -> None:
        """Every line by one thread, in one nest."""
        b, n = self.b, self.lines.length
        axis = Axis(self.lines.count, "line")
        line = b.axis(axis)
        body: list[Statement] = []
        for number in range(len(self.stages)):
            body += self.count_all(number, line, b.index(0), line)
            body += self.decide(number, line, 1)
            for p in range(len(self.digits[number])):
                move = (*self.find_places(number, p, b.index(0), line), *self.move(number, p, line))
                body.append(If(self.active(p, line), move))
        body += self.finish(line, b.index(0))
        grain = max(1, WORTH_A_THREAD // max(n, 1))
        self.k.emit((For(axis, tuple(body), kind="parallel"),), axis.length, grain)

    def in_chunks(self) -> None:
        """Chunks of lines side by side, one nest after the other."""
        b = self.b
        for number in range(len(self.stages)):
            self.tasks(partial(self.count_all, number))
            axis = Axis(self.lines.count, "line")
            self.k.emit((For(axis, self.decide(number, b.axis(axis), self.chunks)),))
            for p in range(len(self.digits[number])):
                if p:
                    self.tasks(partial(self.count_again, number, p))
                self.tasks(partial(self.find_and_move, number, p))
        self.tasks(lambda line, chunk, task: self.finish(line, chunk))

    def count_again(
        self, number: int, p: int, line: Expr, chunk: Expr, task: Expr
    ) -> tuple[Statement, ...]:
        return (If(self.active(p, line), self.count(number, p, line, chunk, task)),)

    def find_and_move(
        self, number: int, p: int, line: Expr, chunk: Expr, task: Expr
    ) -> tuple[Statement, ...]:
        places = self.find_places(number, p, chunk, line)
        return (If(self.active(p, line), (*places, *self.move(number, p, line, chunk))),)

    def tasks(self, body: Callable[[Expr, Expr, Expr], Sequence[Statement]]) -> None:
        """A nest that runs `body` for every chunk of every line."""
        b = self.b
        axis = Axis(self.lines.count * self.chunks, "task")
        line, chunk = split(b, b.axis(axis), (self.lines.count, self.chunks))
        statements = tuple(body(line, chunk, b.axis(axis)))
        self.k.emit((For(axis, statements, kind="parallel"),), axis.length, 1)

    # --- places in memory ---
    def lead(self, outer: Expr) -> Index:
        return () if self.chunks == 1 else (outer,)

    def range(self, chunk: Expr, length: int | None = None) -> tuple[Axis, Expr]:
        """A loop over a chunk of the first `length` elements, and the position that it is at."""
        b, length = self.b, self.lines.length if length is None else length
        if self.chunks == 1:
            axis = Axis(length, "i")
            return axis, b.axis(axis)
        begin = b.mul(chunk, b.index(self.size))
        left = b.sub(b.index(length), begin)
        extent = b.max(b.min(left, b.index(self.size)), b.index(0))
        axis = Axis(extent, "i")
        return axis, b.add(begin, b.axis(axis))

    def half(self, line: Expr, p: int) -> Expr:
        """Where the elements begin that pass `p` reads."""
        side = self.b.load(self.sides, (*self.lead(line), self.b.index(p)))
        return self.b.mul(side, self.b.index(self.lines.length))

    def buffers(self, number: int) -> list[Buffer]:
        return [self.moved[d, i] for i, d in enumerate(self.stages[number].dtypes)]

    def load(self, number: int, line: Expr, at: Expr) -> list[Expr]:
        return [self.b.load(m, (*self.lead(line), at)) for m in self.buffers(number)]

    def save(
        self, number: int, line: Expr, at: Expr, values: Sequence[Expr], scattered: bool = False
    ) -> tuple[Statement, ...]:
        stores = []
        for memory, value in zip(self.buffers(number), values, strict=True):
            size = WIDTH[memory.dtype] // 8
            far = scattered and self.lines.length * size >= FAR
            at_once = (*self.lead(line), at)
            stores.append(Store(memory, at_once, value, ahead=AHEAD // size if far else 0))
        return tuple(stores)

    def digit(self, number: int, p: int, element: Expr) -> Expr:
        b, (shift, width) = self.b, self.digits[number][p]
        key = self.stages[number].key(element)
        found = b.shr_logical(key, b.const(shift, key.dtype)) if shift else key
        return b.cast(b.and_(found, b.const((1 << width) - 1, key.dtype)), "int64")

    def active(self, p: int, line: Expr) -> Expr:
        """Whether pass `p` moves anything."""
        now, after = (
            self.b.load(self.sides, (*self.lead(line), self.b.index(q))) for q in (p, p + 1)
        )
        return self.b.ne(now, after)

    # --- the steps ---
    def clear(self, counts: Sequence[Index]) -> tuple[Statement, ...]:
        b, buckets = self.b, self.counts.shape[-1]
        axis = Axis(buckets, "d")
        zero = b.const(0, self.counter)
        stores = tuple(Store(self.counts, (*at, b.axis(axis)), zero) for at in counts)
        lanes = min(self.k.target.lanes(self.counter), buckets)
        return (For(axis, stores, kind="vector", lanes=lanes),)

    def increment(self, at: Index) -> Store:
        b = self.b
        return Store(self.counts, at, b.add(b.load(self.counts, at), b.const(1, self.counter)))

    def count_all(self, number: int, line: Expr, chunk: Expr, task: Expr) -> tuple[Statement, ...]:
        """Fetch the elements, count their digits (only the first ones of chunks: the others'
        chunks change) and find out in which bits keys differ."""
        b, stage = self.b, self.stages[number]
        passes = len(self.digits[number]) if self.chunks == 1 else 1
        rows = [(*self.lead(task), b.index(p)) for p in range(passes)]

        def fetch(at: Expr) -> list[Expr]:
            if not number:
                return list(stage.source(line, at, None))
            last = len(self.digits[number - 1])
            half = self.half(line, last)
            return list(stage.source(line, at, self.load(number - 1, line, b.add(half, at))))

        axis, at = self.range(chunk)
        values = fetch(at)
        key = stage.key(values[0])
        # later stages overwrite what the first element was while others still compare with it
        other = b.const(0, key.dtype) if number else stage.key(fetch(b.index(0))[0])
        carry = Carry(key.dtype, "differing")
        differs = b.or_(b.carry(carry), b.xor(key, other))
        body: list[Statement] = [
            self.increment((*row, self.digit(number, p, values[0]))) for p, row in enumerate(rows)
        ]
        body += self.save(number, line, at, values)
        loop = For(axis, tuple(body), (Carried(carry, b.const(0, key.dtype), differs, "or"),))
        found = b.cast(b.final(carry), "uint64")
        note = Store(self.differing, (*self.lead(task), b.index(0)), found)
        return (*self.clear(rows), loop, note)

    def decide(self, number: int, line: Expr, chunks: int) -> tuple[Statement, ...]:
        """Which passes there are: `sides` changes at those."""
        b = self.b

        def differing(c: int) -> Expr:
            task = b.add(b.mul(line, b.index(chunks)), b.index(c))
            return b.load(self.differing, (*self.lead(task), b.index(0)))

        total = differing(0)
        for c in range(1, chunks):
            total = b.or_(total, differing(c))
        side = b.index(0)
        stores = [Store(self.sides, (*self.lead(line), b.index(0)), side)]
        for p, (shift, width) in enumerate(self.digits[number]):
            mask = b.const(((1 << width) - 1) << shift, "uint64")
            moves = b.ne(b.and_(total, mask), b.const(0, "uint64"))
            side = b.xor(side, b.cast(moves, "int64"))
            stores.append(Store(self.sides, (*self.lead(line), b.index(p + 1)), side))
        return tuple(stores)

    def count(
        self, number: int, p: int, line: Expr, chunk: Expr, task: Expr
    ) -> tuple[Statement, ...]:
        """Count digit `p` of a chunk as the elements lie now."""
        b = self.b
        axis, at = self.range(chunk)
        first = self.load(number, line, b.add(self.half(line, p), at))[0]
        row = (*self.lead(task), b.index(0))
        loop = For(axis, (self.increment((*row, self.digit(number, p, first))),))
        return (*self.clear([row]), loop)

    def find_places(self, number: int, p: int, chunk: Expr, line: Expr) -> tuple[Statement, ...]:
        """Where the first element of every bucket goes: behind those of lower buckets, and those
        of the same bucket in chunks before."""
        b = self.b
        _, width = self.digits[number][p]
        axis = Axis(1 << width, "d")
        carry = Carry(self.counter, "place")
        place = total = previous = b.carry(carry)
        row = b.index(p if self.chunks == 1 else 0)
        for c in range(self.chunks):
            task = b.add(b.mul(line, b.index(self.chunks)), b.index(c))
            count = b.load(self.counts, (*self.lead(task), row, b.axis(axis)))
            total = b.add(total, count)
            if c:
                before = b.lt(b.index(c - 1), chunk)
                place = b.add(place, b.select(before, previous, b.const(0, self.counter)))
            previous = count
        store = Store(self.places, (b.axis(axis),), place)
        start = b.const(0, self.counter)
        return (For(axis, (store,), (Carried(carry, start, total),)),)

    def move(
        self, number: int, p: int, line: Expr, chunk: Expr | None = None
    ) -> tuple[Statement, ...]:
        """Bring the elements of a chunk to the other half, to their places for digit `p`."""
        b = self.b
        axis, at = self.range(b.index(0) if chunk is None else chunk)
        values = self.load(number, line, b.add(self.half(line, p), at))
        where = (self.digit(number, p, values[0]),)
        place = b.load(self.places, where)
        target = b.add(self.half(line, p + 1), b.cast(place, "int64"))
        after = Store(self.places, where, b.add(place, b.const(1, self.counter)))
        return (For(axis, (*self.save(number, line, target, values, True), after)),)

    def finish(self, line: Expr, chunk: Expr) -> tuple[Statement, ...]:
        """Write the results."""
        b, number = self.b, len(self.stages) - 1
        axis, at = self.range(chunk, self.wanted)
        half = self.half(line, len(self.digits[number]))
        body = self.sink(line, at, self.load(number, line, b.add(half, at)))
        if not self.lines.contiguous:
            return (For(axis, body),)
        widest = max(WIDTH[d] for d in self.stages[number].dtypes)
        lanes = self.k.target.vector_bits // max(widest, 32)
        return (For(axis, body, kind="vector", lanes=lanes),)
