"""Cumulative operations along the innermost axis: whole lines, or segments of long ones.

A line whose running values lanes can hold is a plain loop. Other lines run side by side, through a
buffer on the stack, a chunk at a time, so that what is fused into the operand or the result is
computed in vectors, and lines that share cache sets do not evict each other.
"""

from __future__ import annotations

import math
from math import prod
from typing import NamedTuple

from fornax.compiler.kernels.arithmetic import power_of_two
from fornax.compiler.kernels.context import parts
from fornax.compiler.kernels.product import Index, split
from fornax.compiler.kernels.scan import WORTH_A_THREAD, Scan
from fornax.compiler.loop.builder import Value, identity
from fornax.compiler.loop.ir import (
    WIDTH,
    Alloc,
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    If,
    Statement,
    row_major,
)
from fornax.record import replace

#: Lines that run side by side, which hides the latency of the operation.
ABREAST = 8
#: Elements of each line that are in the buffer at once.
CHUNK = 64
#: Lengths of blocks are multiples of so many elements, which are whole cache lines.
ALIGNED = 64


def whole(scan: Scan, lines: int) -> None:
    """Whole lines, the scanned axis being innermost."""
    k, b = scan.k, scan.b
    group = 1 if scan.in_lanes else min(ABREAST, lines)
    task = Axis(-(-lines // group), "task")
    first = b.mul(b.axis(task), b.index(group))
    if scan.reverse and group == 1:
        # from end to start of all memory: processors foresee one direction, across lines too
        first = b.sub(b.index(lines - 1), first)
    zero = b.index(0)

    def nest(count: int) -> tuple[Statement, ...]:
        return run(scan, [Line(b.add(first, b.index(n)), zero, scan.start()) for n in range(count)],
                   scan.length)  # fmt: skip

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
    start: Value


def place(scan: Scan, line: Expr, along: Expr) -> Index:
    """The index of an element of a line, given its index along the axis."""
    after = (scan.b.index(0),) * (len(scan.shape) - scan.axis - 1)
    return (*split(scan.b, line, scan.shape[: scan.axis]), along, *after)


def alone(scan: Scan, one: Line, length: int, ahead: int = 0) -> For:
    """Scan `length` elements of a line, which lanes can share; `ahead`: see `Store`. What the line
    starts from is added to each result: small numbers added up by themselves lose less."""
    b, step, carries = scan.b, Axis(length, "step"), scan.carries("total")
    index = place(scan, one.line, scan.along(b.add(one.base, b.axis(step))))
    new = scan.combine(scan.value(tuple(b.carry(c) for c in carries)), scan.read(index))
    steps = scan.carried(carries, scan.start(), new, scan.combiner)
    result = new if one.start is scan.start() else scan.combine(one.start, new)
    stores = tuple(replace(store, ahead=ahead) for store in scan.write(index, result))
    return For(step, stores, steps)


def run(scan: Scan, lines: list[Line], length: int) -> tuple[Statement, ...]:
    """Scan `length` elements of every line, side by side, through a buffer where lanes cannot."""
    if scan.in_lanes:
        return tuple(alone(scan, one, length) for one in lines)
    k, b, count = scan.k, scan.b, len(lines)
    chunk = Axis(-(-length // CHUNK), "chunk")
    done = b.mul(b.axis(chunk), b.index(CHUNK))
    size = b.min(b.index(CHUNK), b.sub(b.index(length), done))
    extent = size.data if size.kind == "const" else size
    width = min(CHUNK, length)
    lanes = min(2 * k.target.lanes(scan.part), power_of_two(width))
    in_lanes = scan.combiner == "logaddexp" and not scan.complex  # lanes along the lines
    shape = (scan.parts, width, power_of_two(count)) if in_lanes else (scan.parts, count, width)
    source = Buffer("source", scan.part, shape, row_major(shape), "local")
    result = Buffer("result", scan.part, shape, row_major(shape), "local")

    def slot(n: Expr, at: Expr) -> tuple[Expr, Expr]:
        return (at, n) if in_lanes else (n, at)

    def copies(out: bool) -> tuple[Statement, ...]:
        statements = []
        for n, one in enumerate(lines):
            lane = Axis(extent, "lane")
            low = b.add(one.base, done)
            if scan.reverse:
                low = b.sub(b.index(scan.length), b.add(low, size))
            index = place(scan, one.line, b.add(low, b.axis(lane)))
            where = slot(b.index(n), b.axis(lane))
            if out:
                body = scan.write(index, scan.load(result, *where))
            else:
                body = scan.save(source, scan.read(index), *where)
            statements.append(For(lane, body, kind="vector", lanes=lanes))
        return tuple(statements)

    step = Axis(extent, "step")
    at = b.sub(b.sub(size, b.index(1)), b.axis(step)) if scan.reverse else b.axis(step)
    outside = [scan.carries("total") for _ in lines]
    if in_lanes:
        carries, body = lanes_along_lines(scan, lines, (source, result), step, at)
        inner: tuple[Statement, ...] = (*copies(False), *body, *copies(True))
        return (Alloc(source), Alloc(result), *carries, For(chunk, inner))
    inside = [scan.carries("run") for _ in lines]
    carried: list[Carried] = []
    saves: list[Statement] = []
    for n, (before, now) in enumerate(zip(outside, inside, strict=True)):
        old = scan.value(tuple(b.carry(c) for c in now))
        new = scan.combine(old, scan.load(source, b.index(n), at))
        saves += scan.save(result, new, b.index(n), at)
        carried += scan.carried(now, scan.value(tuple(b.carry(c) for c in before)), new)
    loop = For(step, tuple(saves), tuple(carried))
    kept = [
        c
        for one, before, now in zip(lines, outside, inside, strict=True)
        for c in scan.carried(before, one.start, scan.value(tuple(b.final(c) for c in now)))
    ]
    inner = (*copies(False), loop, *copies(True))
    return Alloc(source), Alloc(result), For(chunk, inner, tuple(kept))


def lanes_along_lines(
    scan: Scan, lines: list[Line], buffers: tuple[Buffer, Buffer], step: Axis, at: Expr
) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
    """For costly operations: every line is a lane. Statements before all chunks, and for one."""
    b, count = scan.b, len(lines)
    source, result = buffers
    shape = (1, power_of_two(count))
    totals = Buffer("totals", scan.part, shape, row_major(shape), "local")
    before: tuple[Statement, ...] = (Alloc(totals),)
    for n, one in enumerate(lines):
        before += scan.save(totals, one.start, b.index(n))
    lane, carries = Axis(count, "lane"), scan.carries("run")
    new = scan.combine(b.carry(carries[0]), scan.load(source, at, b.axis(lane)))
    start = scan.load(totals, b.axis(lane))
    loop = For(step, scan.save(result, new, at, b.axis(lane)), scan.carried(carries, start, new))
    keep = scan.save(totals, b.final(carries[0]), b.axis(lane))
    return before, (For(lane, (loop, *keep), kind="vector", lanes=shape[1]),)


def in_blocks(scan: Scan, lines: int, blocks: int) -> None:
    """Cut lines that lanes can share into blocks. One nest combines what each of them holds; one
    runs through it from what those before it hold, block by block behind the first one where the
    caches do not hold the whole. Neither where blocks end nor the order of additions depends on
    who does what."""
    k, b = scan.k, scan.b
    length = scan.length // blocks // ALIGNED * ALIGNED
    totals = k.workspace("totals", scan.part, (1, lines, blocks))
    task, grain = Axis(lines * blocks, "task"), max(1, WORTH_A_THREAD // length)
    line, block = b.idiv(b.axis(task), b.index(blocks)), b.imod(b.axis(task), b.index(blocks))
    base = b.mul(block, b.index(length))

    step = Axis(length, "step")
    # upwards in memory in any case: processors foresee that best
    at = b.sub(b.index(length - 1), b.axis(step)) if scan.reverse else b.axis(step)
    element = scan.read(place(scan, line, scan.along(b.add(base, at))))
    loop, total = combined(scan, step, element)
    body = (loop, *scan.save(totals, total, line, block))
    k.emit((For(task, body, kind="parallel"),), task.length, grain)

    def through(
        line: Expr, base: Expr, before: int | Expr, length: int, ahead: int = 0
    ) -> tuple[Statement, ...]:
        each = Axis(before, "before")
        loop, start = combined(scan, each, scan.load(totals, line, b.axis(each)))
        return loop, alone(scan, Line(line, base, start), length, ahead)

    large = prod(scan.shape) * WIDTH[scan.part] // 8 >= k.target.streamed
    # what this thread combines next, if all are equally quick
    ahead = k.threads * length * (-1 if scan.reverse else 1) if large else 0
    body = through(line, base, block, length, ahead)
    k.emit((For(task, body, kind="parallel"),), task.length, grain, follows=large)
    rest = scan.length - blocks * length
    if rest:
        one = Axis(lines, "line")
        body = through(b.axis(one), b.index(blocks * length), blocks, rest)
        k.emit((For(one, body),))


def combined(scan: Scan, step: Axis, x: Value) -> tuple[For, Value]:
    """The loop over `step` that combines all `x`, and its result."""
    b, carries = scan.b, scan.carries("total")
    new = scan.combine(scan.value(tuple(b.carry(c) for c in carries)), x)
    steps = scan.carried(carries, scan.start(), new, scan.combiner)
    return For(step, (), steps), scan.value(tuple(b.final(c) for c in carries))


def in_segments(scan: Scan, lines: int, segments: int) -> None:
    """Cut every line into segments that run side by side and in parallel."""
    k, b = scan.k, scan.b
    length = scan.length // segments
    totals = k.workspace("totals", scan.part, (scan.parts, lines, segments))
    before = k.workspace("before", scan.part, (scan.parts, lines, segments + 1))
    emit_totals(scan, totals, length)
    emit_before(scan, totals, before)

    most = 1 if scan.in_lanes else min(ABREAST, segments)
    group = next(n for n in range(most, 0, -1) if segments % n == 0)
    tasks = segments // group
    task = Axis(lines * tasks, "task")
    line = b.idiv(b.axis(task), b.index(tasks))
    first = b.mul(b.imod(b.axis(task), b.index(tasks)), b.index(group))
    runs = []
    for n in range(group):
        segment = b.add(first, b.index(n))
        base = b.mul(segment, b.index(length))
        runs.append(Line(line, base, scan.load(before, line, segment)))
    grain = max(1, WORTH_A_THREAD // (length * group))
    k.emit((For(task, run(scan, runs, length), kind="parallel"),), task.length, grain)

    rest = scan.length - length * segments
    if rest:
        line_axis = Axis(lines, "line")
        line, end = b.axis(line_axis), b.index(segments)
        one = Line(line, b.index(length * segments), scan.load(before, line, end))
        k.emit((For(line_axis, run(scan, [one], rest)),))


def emit_totals(scan: Scan, totals: Buffer, length: int) -> None:
    """totals[line, segment]: everything in the segment, combined."""
    k, b = scan.k, scan.b
    _, lines, segments = totals.shape
    task = Axis(lines * segments, "task")
    line = b.idiv(b.axis(task), b.index(segments))
    segment = b.imod(b.axis(task), b.index(segments))

    def element(step: Axis) -> Value:
        at = b.add(b.mul(segment, b.index(length)), b.axis(step))
        return scan.read(place(scan, line, scan.along(at)))

    def reduce(combiner: str, step: Axis, x: Expr) -> tuple[Statement, Expr]:
        carry = Carry(x.dtype, combiner)
        start = b.const(identity(combiner, x.dtype), x.dtype)
        following = b.op(combiner, b.carry(carry), x)
        return For(step, (), (Carried(carry, start, following, combiner),)), b.final(carry)

    steps = Axis(length, "step"), Axis(length, "step")
    if scan.combiner == "logaddexp":  # the maximum first, then the sum of what is left
        loop, top = reduce("max", steps[0], *parts(element(steps[0])))
        infinite = b.eq(b.abs(top), b.const(math.inf, top.dtype))
        shift = b.select(infinite, b.const(0.0, top.dtype), top)
        more, total = reduce("add", steps[1], b.exp(b.sub(*parts(element(steps[1])), shift)))
        body: tuple[Statement, ...] = (loop, more)
        value: Value = b.add(shift, b.log(total))
    elif scan.complex:
        carries = scan.carries("total")
        new = scan.combine(scan.value(tuple(b.carry(c) for c in carries)), element(steps[0]))
        body = (For(steps[0], (), scan.carried(carries, scan.start(), new)),)
        value = scan.value(tuple(b.final(c) for c in carries))
    else:
        loop, value = reduce(scan.combiner, steps[0], *parts(element(steps[0])))
        body = (loop,)
    body += scan.save(totals, value, line, segment)
    grain = max(1, WORTH_A_THREAD // length)
    k.emit((For(task, body, kind="parallel"),), task.length, grain)


def emit_before(scan: Scan, totals: Buffer, before: Buffer) -> None:
    """before[line, segment]: everything before the segment, combined."""
    k, b = scan.k, scan.b
    _, lines, segments = totals.shape
    line, step = Axis(lines, "line"), Axis(segments, "segment")
    carries = scan.carries("total")
    at = (b.axis(line), b.axis(step))
    old = scan.value(tuple(b.carry(c) for c in carries))
    new = scan.combine(old, scan.load(totals, *at))
    loop = For(step, scan.save(before, old, *at), scan.carried(carries, scan.start(), new))
    last = scan.value(tuple(b.final(c) for c in carries))
    end = scan.save(before, last, b.axis(line), b.index(segments))
    k.emit((For(line, (loop, *end)),))
