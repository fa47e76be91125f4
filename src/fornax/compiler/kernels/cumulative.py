"""Running sums, products, extremes and log-sums of exponentials along one axis.

Three shapes of loop:

* the axis is not innermost: lanes run along the innermost axis, the serial loop along `axis`;
* it is innermost: several lines run side by side, which hides the latency of the operation. They
  go through a buffer on the stack, a chunk at a time, so that what is fused into the operand or
  the result is computed in vectors, and lines that share cache sets do not evict each other;
* few long lines: every line is cut into segments. One nest reduces each segment, one combines the
  totals, one runs through the segments, side by side, each from the total before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from math import prod
from typing import NamedTuple

from fornax.compiler.kernels.arithmetic import power_of_two
from fornax.compiler.kernels.context import KernelContext, parts, weight
from fornax.compiler.kernels.product import Index, split
from fornax.compiler.loop.builder import Builder, Value, identity
from fornax.compiler.loop.ir import (
    COMPLEX,
    STORAGE,
    Alloc,
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    If,
    Pair,
    Statement,
    Store,
    row_major,
)

#: Lines that run side by side when the axis is innermost.
ABREAST = 8
#: Elements of each line that are in the buffer at once.
CHUNK = 64
#: Most columns whose running values are kept in L1 when the axis is not innermost.
COLUMNS = 1024
#: Shortest segment worth cutting a line for.
SEGMENT = 1 << 9
#: Elements worth a thread of their own.
WORTH_A_THREAD = 1 << 15

COMBINER = {
    "cumsum": "add",
    "cumprod": "mul",
    "cummax": "max",
    "cummin": "min",
    "cumlogsumexp": "logaddexp",
}


class Scan:
    """A cumulative operation: what it combines with and how it indexes its array."""

    def __init__(self, k: KernelContext, combiner: str):
        self.k, self.b = k, k.b
        self.shape = k.inputs[0].shape
        self.axis = k.params["axis"] % len(self.shape)
        self.reverse = bool(k.params.get("reverse", False))
        self.dtype = k.outputs[0].dtype.name
        self.complex = self.dtype in COMPLEX
        self.part = COMPLEX.get(self.dtype) or STORAGE.get(self.dtype, self.dtype)
        if self.dtype == "bool":
            combiner = {"add": "or", "mul": "and", "max": "or", "min": "and"}[combiner]
        self.combiner = combiner
        self.parts = 2 if self.complex else 1

    @property
    def length(self) -> int:
        return self.shape[self.axis]

    def combine(self, total: Value, x: Value) -> Value:
        if self.combiner == "logaddexp":
            return logaddexp(self.b, total, x)
        return self.b.op(self.combiner, total, x)

    def start(self) -> Value:
        """What changes nothing: even the sign of a zero survives adding it to -0."""
        if self.combiner == "logaddexp":
            start = -math.inf
        elif self.combiner == "add" and "float" in self.part:
            start = -0.0
        elif self.complex and self.combiner in ("min", "max"):
            start = math.inf if self.combiner == "min" else -math.inf
            part = self.b.const(start, self.part)
            return Pair(part, part)
        else:
            start = identity(self.combiner, self.part)
        if self.complex:
            imaginary = -0.0 if self.combiner == "add" else 0.0
            return Pair(self.b.const(start, self.part), self.b.const(imaginary, self.part))
        return self.b.const(start, self.part)

    def carries(self, name: str) -> tuple[Carry, ...]:
        return tuple(Carry(self.part, name) for _ in range(self.parts))

    def value(self, expressions: tuple[Expr, ...]) -> Value:
        return Pair(*expressions) if self.complex else expressions[0]

    def read(self, index: Index) -> Value:
        return self.k.operand(0, index)

    def write(self, index: Index, value: Value) -> tuple[Statement, ...]:
        return self.k.store(0, index, self.b.cast(value, self.dtype))

    def along(self, position: Expr) -> Expr:
        """The index along the axis of the `position`-th element to combine."""
        return self.b.sub(self.b.index(self.length - 1), position) if self.reverse else position

    def load(self, buffer: Buffer, *index: Expr) -> Value:
        """A value from a buffer whose first dimension is the part."""
        b = self.b
        return self.value(tuple(b.load(buffer, (b.index(p), *index)) for p in range(self.parts)))

    def save(self, buffer: Buffer, value: Value, *index: Expr) -> tuple[Statement, ...]:
        b = self.b
        return tuple(Store(buffer, (b.index(p), *index), v) for p, v in enumerate(parts(value)))

    def carried(
        self, carries: tuple[Carry, ...], start: Value, after: Value
    ) -> tuple[Carried, ...]:
        fields = zip(carries, parts(start), parts(after), strict=True)
        return tuple(Carried(c, s, n) for c, s, n in fields)


def logaddexp(b: Builder, x: Value, y: Value) -> Value:
    """log(exp(x) + exp(y)) without overflow; complex numbers are ordered by their real parts."""
    real_x, real_y = parts(x)[0], parts(y)[0]
    larger = b.or_(b.ge(real_x, real_y), b.ne(real_x, real_x))
    most, least = b.select(larger, x, y), b.select(larger, y, x)
    top = parts(most)[0]
    infinite = b.eq(b.abs(top), b.const(math.inf, top.dtype))
    total = b.add(most, b.log1p(b.exp(b.sub(least, most))))
    return b.select(infinite, most, total)


def cumulative(k: KernelContext, combiner: str) -> None:
    """Emit the nests of a cumulative operation. Parameters: `axis`, `reverse`."""
    scan = Scan(k, combiner)
    if 0 in scan.shape:
        return
    inner = prod(scan.shape[scan.axis + 1 :])
    if inner > 1:
        across(scan)
        return
    lines = prod(scan.shape[: scan.axis])
    segments = min(ABREAST * k.threads, scan.length // SEGMENT)
    scalar = scan.complex and scan.combiner == "logaddexp"
    if lines < ABREAST and segments > 1 and not scalar and is_cheap(scan):
        in_segments(scan, lines, segments)
    else:
        abreast(scan, lines)


def is_cheap(scan: Scan) -> bool:
    """True where reading the operand twice costs little."""
    if scan.k.operand_buffer(0) is not None:
        return True
    axes = [Axis(max(n, 2), "i") for n in scan.shape]
    return weight(scan.k.operand(0, [scan.b.axis(a) for a in axes])) <= 4


def across(scan: Scan) -> None:
    """Lanes along the innermost axis, a serial loop along the scanned one."""
    k, b, shape = scan.k, scan.b, scan.shape
    last = max(d for d, n in enumerate(shape) if n > 1)
    outer = tuple(1 if d == last else n for d, n in enumerate(shape) if d != scan.axis)
    width, lines = shape[last], prod(outer)
    lanes = 4 * k.target.lanes(scan.part)
    share = -(-width // max(1, 2 * k.threads // lines))
    chunk = min(width, max(lanes, min(COLUMNS, -(-share // lanes) * lanes)))
    pieces = -(-width // chunk)
    task, step = Axis(lines * pieces, "task"), Axis(scan.length, "step")
    line = b.idiv(b.axis(task), b.index(pieces))
    base = b.mul(b.imod(b.axis(task), b.index(pieces)), b.index(chunk))
    left = b.min(b.index(chunk), b.sub(b.index(width), base))
    extent = left.data if left.kind == "const" else left
    kind = {"kind": "vector", "lanes": min(lanes, power_of_two(chunk))}

    def index(lane: Axis) -> Index:
        at = list(split(b, line, outer))
        at.insert(scan.axis, scan.along(b.axis(step)))
        at[last] = b.add(base, b.axis(lane))
        return tuple(at)

    lane = Axis(extent, "lane")
    if chunk <= lanes:
        carries = scan.carries("total")
        old = scan.value(tuple(b.carry(c) for c in carries))
        new = scan.combine(old, scan.read(index(lane)))
        loop = For(step, scan.write(index(lane), new), scan.carried(carries, scan.start(), new))
        body: tuple[Statement, ...] = (For(lane, (loop,), **kind),)
    else:
        totals = k.scratch("totals", scan.part, (scan.parts, chunk))
        clear = Axis(chunk, "lane")
        new = scan.combine(scan.load(totals, b.axis(lane)), scan.read(index(lane)))
        write = scan.write(index(lane), new) + scan.save(totals, new, b.axis(lane))
        start = scan.save(totals, scan.start(), b.axis(clear))
        body = (For(clear, start, **kind), For(step, (For(lane, write, **kind),)))
    grain = max(1, WORTH_A_THREAD // (scan.length * chunk))
    k.emit((For(task, body, kind="parallel"),), task.extent, grain)


def abreast(scan: Scan, lines: int) -> None:
    """Several whole lines side by side, the scanned axis being innermost."""
    k, b = scan.k, scan.b
    group = min(ABREAST, lines)
    task = Axis(-(-lines // group), "task")
    first = b.mul(b.axis(task), b.index(group))
    zero = b.index(0)

    def nest(count: int) -> tuple[Statement, ...]:
        return run(scan, [Line(b.add(first, b.index(n)), zero, scan.start()) for n in range(count)],
                   scan.length)  # fmt: skip

    body = nest(group)
    if lines % group:
        body = (If(b.lt(b.axis(task), b.index(lines // group)), body, nest(lines % group)),)
    grain = max(1, WORTH_A_THREAD // (scan.length * group))
    k.emit((For(task, body, kind="parallel"),), task.extent, grain)


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


def run(scan: Scan, lines: list[Line], length: int) -> tuple[Statement, ...]:
    """Scan `length` elements of every line, side by side, through a buffer."""
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


def in_segments(scan: Scan, lines: int, segments: int) -> None:
    """Cut every line into segments that run side by side and in parallel."""
    k, b = scan.k, scan.b
    length = scan.length // segments
    totals = k.workspace("totals", scan.part, (scan.parts, lines, segments))
    before = k.workspace("before", scan.part, (scan.parts, lines, segments + 1))
    emit_totals(scan, totals, length)
    emit_before(scan, totals, before)

    group = next(n for n in range(min(ABREAST, segments), 0, -1) if segments % n == 0)
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
    k.emit((For(task, run(scan, runs, length), kind="parallel"),), task.extent, grain)

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
        loop, top = reduce("max", steps[0], element(steps[0]))
        infinite = b.eq(b.abs(top), b.const(math.inf, top.dtype))
        shift = b.select(infinite, b.const(0.0, top.dtype), top)
        more, total = reduce("add", steps[1], b.exp(b.sub(element(steps[1]), shift)))
        body: tuple[Statement, ...] = (loop, more)
        value: Value = b.add(shift, b.log(total))
    elif scan.complex:
        carries = scan.carries("total")
        new = scan.combine(scan.value(tuple(b.carry(c) for c in carries)), element(steps[0]))
        body = (For(steps[0], (), scan.carried(carries, scan.start(), new)),)
        value = scan.value(tuple(b.final(c) for c in carries))
    else:
        loop, value = reduce(scan.combiner, steps[0], element(steps[0]))
        body = (loop,)
    body += scan.save(totals, value, line, segment)
    grain = max(1, WORTH_A_THREAD // length)
    k.emit((For(task, body, kind="parallel"),), task.extent, grain)


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


KERNELS: dict[str, Callable[[KernelContext], None]] = {
    name: partial(cumulative, combiner=combiner) for name, combiner in COMBINER.items()
}
