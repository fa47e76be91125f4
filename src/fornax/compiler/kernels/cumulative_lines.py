"""Cumulative operations along the innermost axis: whole lines, or segments of long ones.

A line whose running values lanes can hold is a plain loop. Other lines run side by side, one per
lane, through a buffer on the stack, a chunk at a time: what is fused into the operand or the result
is computed in vectors, and squares are transposed in registers on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from fornax.compiler.kernels.arithmetic import power_of_two
from fornax.compiler.kernels.product import Index, split
from fornax.compiler.kernels.scan import WORTH_A_THREAD, Scan, State
from fornax.compiler.loop.ir import (
    WIDTH,
    Alloc,
    Axis,
    Buffer,
    Expr,
    For,
    If,
    Statement,
    row_major,
)
from fornax.record import replace

#: Elements of each line that are in the buffer at once.
CHUNK = 64
#: Lengths of blocks are multiples of so many elements, which are whole cache lines.
ALIGNED = 64
#: Lengths of segments are multiples of so many elements.
EVEN = 16
#: Length of segments of long lines, and the shortest one worth cutting a line for.
SEGMENT, SHORTEST = 1 << 12, 1 << 6
#: Vectors of long lines that are enough for all threads.
SIDES = 8
#: How many numbers of segments are compared.
TRIED = 64


def whole(scan: Scan, lines: int) -> None:
    """Whole lines, the scanned axis being innermost."""
    k, b = scan.k, scan.b
    group = 1 if scan.in_lanes else min(k.target.lanes(scan.part), lines)
    task = Axis(-(-lines // group), "task")
    first = b.mul(b.axis(task), b.index(group))
    if scan.reverse and group == 1:
        # from end to start of all memory: processors foresee one direction, across lines too
        first = b.sub(b.index(lines - 1), first)

    def nest(count: int) -> tuple[Statement, ...]:
        if scan.in_lanes:
            return (alone(scan, Line(first, b.index(0), scan.start()), scan.length),)

        def line(n: Expr) -> Line:
            return Line(b.add(first, n), b.index(0), scan.start())

        return abreast(scan, count, line, scan.length)

    body = nest(group)
    if lines % group:
        body = (If(b.lt(b.axis(task), b.index(lines // group)), body, nest(lines % group)),)
    grain = max(1, WORTH_A_THREAD // (scan.length * group))
    k.emit((For(task, body, kind="parallel"),), task.length, grain)


class Line(NamedTuple):
    """A run of elements of a line: which line, its first element in scan order, where it starts
    from."""

    line: Expr
    base: Expr
    start: State


def place(scan: Scan, line: Expr, along: Expr) -> Index:
    """The index of an element of a line, given its index along the axis."""
    after = (scan.b.index(0),) * (len(scan.shape) - scan.axis - 1)
    return (*split(scan.b, line, scan.shape[: scan.axis]), along, *after)


def alone(scan: Scan, one: Line, length: int, ahead: int = 0) -> For:
    """Scan `length` elements of a line, which lanes can share; `ahead`: see `Store`. What the line
    starts from is added to each result: small numbers added up by themselves lose less."""
    b, step, carries = scan.b, Axis(length, "step"), scan.carries("total")
    index = place(scan, one.line, scan.along(b.add(one.base, b.axis(step))))
    new = scan.step(tuple(map(b.carry, carries)), scan.read(index))
    steps = scan.carried(carries, scan.start(), new, scan.combiner)
    result = new if one.start == scan.start() else scan.merge(one.start, new)
    stores = tuple(replace(store, ahead=ahead) for store in scan.write(index, result))
    return For(step, stores, steps)


def abreast(
    scan: Scan, count: int, line: Callable[[Expr], Line], length: int
) -> tuple[Statement, ...]:
    """Scan `length` elements of `count` lines, each of them a lane, through a buffer."""
    b, width, size = scan.b, power_of_two(count), min(CHUNK, length)
    source = local("source", scan, (scan.items, size, width))
    results = local("results", scan, (scan.numbers, size, width))
    totals = local("totals", scan, (scan.states, width))
    lane, chunk = Axis(count, "lane"), Axis(length // size, "chunk")
    start = scan.save(totals, line(b.axis(lane)).start, b.axis(lane))

    def part(first: Expr, size: int) -> tuple[Statement, ...]:
        """What is done about the elements from `first` on."""

        def copies(out: bool) -> Statement:
            """Squares of as many elements as there are lines, where these fill vectors."""
            lane, step = Axis(count, "lane"), Axis(size, "step")
            square = size % width == 0 and width == count
            each = Axis(width if square else size, "one")
            group = Axis(size // each.length, "group")
            inner = b.add(b.mul(b.axis(group), b.index(width)), b.axis(each))
            at = inner if out else b.axis(step)
            here = line(b.axis(lane))
            low = b.add(here.base, first)
            if scan.reverse:
                low = b.sub(b.index(scan.length - size), low)
            index = place(scan, here.line, b.add(low, at))
            if out:
                numbers = scan.load(results, at, b.axis(lane))
                body = scan.write(index, numbers)
                kind = "unroll" if square else "serial"
                loop = For(lane, (For(each, body, kind=kind),), kind="vector", lanes=width)
                return For(group, (loop,))
            body = scan.save(source, scan.read(index), at, b.axis(lane))
            lanes = width if square else min(2 * scan.k.target.lanes(scan.part), power_of_two(size))
            if square:
                body = (For(lane, body, kind="unroll"),)
                return For(step, body, kind="vector", lanes=lanes)
            return For(lane, (For(step, body, kind="vector", lanes=lanes),))

        lane, step, carries = Axis(count, "lane"), Axis(size, "step"), scan.carries("run")
        at = b.sub(b.index(size - 1), b.axis(step)) if scan.reverse else b.axis(step)
        item = scan.load(source, at, b.axis(lane))
        new = scan.step(tuple(map(b.carry, carries)), item)
        store = scan.save(results, scan.result(new, item), at, b.axis(lane))
        loop = For(step, store, scan.carried(carries, scan.load(totals, b.axis(lane)), new))
        keep = scan.save(totals, tuple(map(b.final, carries)), b.axis(lane))
        run = For(lane, (loop, *keep), kind="vector", lanes=width)
        return copies(False), run, copies(True)

    done = b.mul(b.axis(chunk), b.index(size))
    body: tuple[Statement, ...] = (
        Alloc(source),
        Alloc(results),
        Alloc(totals),
        For(lane, start, kind="vector", lanes=width),
        For(chunk, part(done, size)),
    )
    rest = length % size
    return (*body, *part(b.index(length - rest), rest)) if rest else body


def local(name: str, scan: Scan, shape: tuple[int, ...]) -> Buffer:
    return Buffer(name, scan.part, shape, row_major(shape), "local")


def in_blocks(scan: Scan, lines: int, blocks: int) -> None:
    """Cut lines that lanes can share into blocks. One nest combines what each of them holds; one
    runs through it from what those before it hold, block by block behind the first one where the
    caches do not hold the whole. Neither where blocks end nor the order of additions depends on
    who does what."""
    k, b = scan.k, scan.b
    length = scan.length // blocks // ALIGNED * ALIGNED
    totals = k.workspace("totals", scan.part, (scan.states, lines, blocks))
    task, grain = Axis(lines * blocks, "task"), max(1, WORTH_A_THREAD // length)
    line, block = b.idiv(b.axis(task), b.index(blocks)), b.imod(b.axis(task), b.index(blocks))
    base = b.mul(block, b.index(length))

    step = Axis(length, "step")
    # upwards in memory in any case: processors foresee that best
    at = b.sub(b.index(length - 1), b.axis(step)) if scan.reverse else b.axis(step)
    element = scan.read(place(scan, line, scan.along(b.add(base, at))))
    loops, total = scan.combined(step, element)
    body = (*loops, *scan.save(totals, total, line, block))
    k.emit((For(task, body, kind="parallel"),), task.length, grain)

    def through(
        line: Expr, base: Expr, before: int | Expr, length: int, ahead: int = 0
    ) -> tuple[Statement, ...]:
        each = Axis(before, "before")
        loops, start = scan.combined(each, scan.load(totals, line, b.axis(each)))
        return *loops, alone(scan, Line(line, base, start), length, ahead)

    large = prod(scan.shape) * scan.numbers * WIDTH[scan.part] // 8 >= k.target.streamed
    # what this thread combines next, if all are equally quick
    ahead = k.threads * length * scan.numbers * (-1 if scan.reverse else 1) if large else 0
    body = through(line, base, block, length, ahead)
    k.emit((For(task, body, kind="parallel"),), task.length, grain, follows=large)
    rest = scan.length - blocks * length
    if rest:
        one = Axis(lines, "line")
        body = through(b.axis(one), b.index(blocks * length), blocks, rest)
        k.emit((For(one, body),))


def segments_of(scan: Scan, lines: int) -> int:
    """How many segments of one length to cut a line into, so that the least is left over; 0 where
    the lines are enough as they are, or too short. The number of threads has no say: it must not
    change the order of additions."""
    lanes = scan.k.target.lanes(scan.part)
    if lines >= (SIDES if scan.length >= lanes * SEGMENT else 1) * lanes:
        return 0
    most = min(scan.length // SHORTEST, max(lanes, scan.length // SEGMENT)) // lanes
    counts = [lanes * n for n in range(most, most // 2, -1)]
    return max(counts[:TRIED], key=lambda n: n * length_of(n, scan.length), default=0)


def length_of(segments: int, length: int) -> int:
    """The length of so many equal segments of a line."""
    return length // segments // EVEN * EVEN


def in_segments(scan: Scan, lines: int, segments: int) -> None:
    """Cut every line into segments that run side by side and in parallel."""
    k, b = scan.k, scan.b
    length = length_of(segments, scan.length)
    totals = k.workspace("totals", scan.part, (scan.states, lines, segments))
    before = k.workspace("before", scan.part, (scan.states, lines, segments + 1))
    emit_totals(scan, totals, length)
    emit_before(scan, totals, before)

    lanes = k.target.lanes(scan.part)
    tasks = segments // lanes
    task = Axis(lines * tasks, "task")
    line = b.idiv(b.axis(task), b.index(tasks))
    first = b.mul(b.imod(b.axis(task), b.index(tasks)), b.index(lanes))

    def one(n: Expr) -> Line:
        segment = b.add(first, n)
        return Line(line, b.mul(segment, b.index(length)), scan.load(before, line, segment))

    grain = max(1, WORTH_A_THREAD // (length * lanes))
    body = abreast(scan, lanes, one, length)
    k.emit((For(task, body, kind="parallel"),), task.length, grain)

    rest = scan.length - length * segments
    if rest:

        def last(n: Expr) -> Line:
            return Line(n, b.index(length * segments), scan.load(before, n, b.index(segments)))

        k.emit(abreast(scan, lines, last, rest))


def emit_totals(scan: Scan, totals: Buffer, length: int) -> None:
    """totals[line, segment]: everything in the segment, combined."""
    k, b = scan.k, scan.b
    _, lines, segments = totals.shape
    task, step = Axis(lines * segments, "task"), Axis(length, "step")
    line = b.idiv(b.axis(task), b.index(segments))
    segment = b.imod(b.axis(task), b.index(segments))
    at = b.add(b.mul(segment, b.index(length)), b.axis(step))
    loops, total = scan.combined(step, scan.read(place(scan, line, scan.along(at))))
    body = (*loops, *scan.save(totals, total, line, segment))
    grain = max(1, WORTH_A_THREAD // length)
    k.emit((For(task, body, kind="parallel"),), task.length, grain)


def emit_before(scan: Scan, totals: Buffer, before: Buffer) -> None:
    """before[line, segment]: everything before the segment, combined."""
    k, b = scan.k, scan.b
    _, lines, segments = totals.shape
    line, step = Axis(lines, "line"), Axis(segments, "segment")
    carries = scan.carries("total")
    at = (b.axis(line), b.axis(step))
    old = tuple(map(b.carry, carries))
    new = scan.merge(old, scan.load(totals, *at))
    loop = For(step, scan.save(before, old, *at), scan.carried(carries, scan.start(), new))
    end = scan.save(before, tuple(map(b.final, carries)), b.axis(line), b.index(segments))
    k.emit((For(line, (loop, *end)),))
