"""Running sums, products, extremes and log-sums of exponentials along one axis.

Three shapes of loop, all with the running values in registers:

* the axis is not innermost: lanes run along the innermost axis, the serial loop along `axis`;
* it is innermost: several lines run side by side, which hides the latency of the operation;
* few long lines: every line is cut into segments. One nest reduces each segment, one combines the
  totals, one runs through the segments, side by side, each from the total before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from math import prod

from fornax.compiler.kernels.context import KernelContext, parts, weight
from fornax.compiler.kernels.product import Index, split
from fornax.compiler.loop.builder import Builder, Value, identity
from fornax.compiler.loop.ir import (
    COMBINERS,
    COMPLEX,
    STORAGE,
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
)

#: Lines that run side by side when the axis is innermost.
ABREAST = 8
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
        return tuple(Carry(self.part, name) for _ in range(2 if self.complex else 1))

    def value(self, expressions: tuple[Expr, ...]) -> Value:
        return Pair(*expressions) if self.complex else expressions[0]

    def along(self, position: Expr) -> Expr:
        """The index along the axis of the `position`-th element to combine."""
        return self.b.sub(self.b.index(self.length - 1), position) if self.reverse else position

    def step(
        self, index: Callable[[Expr], Index], axis: Axis, first: Expr, start: Value, name: str
    ) -> tuple[tuple[Carried, ...], tuple[Statement, ...]]:
        """The carries and stores that run through elements first + axis of one line."""
        b = self.b
        carries = self.carries(name)
        old = self.value(tuple(b.carry(c) for c in carries))
        at = index(self.along(b.add(first, b.axis(axis))))
        new = self.combine(old, self.k.operand(0, at))
        stores = self.k.store(0, at, b.cast(new, self.dtype))
        carried = zip(carries, parts(start), parts(new), strict=True)
        return tuple(Carried(c, s, n) for c, s, n in carried), stores


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
    if lines < ABREAST and segments > 1 and scan.combiner != "logaddexp" and is_cheap(scan):
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
    outer = tuple(n for d, n in enumerate(shape[:-1]) if d != scan.axis)
    lanes = k.target.lanes(scan.part)
    last = next(d for d in reversed(range(len(shape))) if shape[d] > 1)
    outer = tuple(1 if d == last else n for d, n in enumerate(shape) if d != scan.axis)
    width = shape[last]
    chunk = min(4 * lanes, 1 << (width - 1).bit_length())
    chunks = width // chunk
    lines = prod(outer)

    def nest(line: Expr, base: Expr, extent: int) -> tuple[Statement, ...]:
        lane, step = Axis(extent, "lane"), Axis(scan.length, "step")

        def index(along: Expr) -> Index:
            at = list(split(b, line, outer))
            at.insert(scan.axis, along)
            at[last] = b.add(base, b.axis(lane))
            return tuple(at)

        carried, stores = scan.step(index, step, b.index(0), scan.start(), "total")
        loop = For(step, stores, carried)
        return (For(lane, (loop,), kind="vector", lanes=min(chunk, extent_lanes(extent))),)

    pieces = chunks + (width % chunk > 0)
    task = Axis(lines * pieces, "task")
    line = b.idiv(b.axis(task), b.index(pieces))
    piece = b.imod(b.axis(task), b.index(pieces))
    base = b.mul(piece, b.index(chunk))
    if width % chunk == 0:
        body = nest(line, base, chunk)
    elif chunks == 0:
        body = nest(line, base, width)
    else:
        body = (
            If(
                b.lt(piece, b.index(chunks)),
                nest(line, base, chunk),
                nest(line, b.index(chunks * chunk), width % chunk),
            ),
        )
    grain = max(1, WORTH_A_THREAD // (scan.length * chunk))
    k.emit((For(task, body, kind="parallel"),), task.extent, grain)


def extent_lanes(extent: int) -> int:
    """Lanes for a loop of `extent` iterations: the power of two that covers it."""
    return 1 << (extent - 1).bit_length()


def abreast(scan: Scan, lines: int) -> None:
    """Several lines side by side, the scanned axis being innermost."""
    k, b = scan.k, scan.b
    group = min(ABREAST, lines)
    task = Axis(-(-lines // group), "task")
    first = b.mul(b.axis(task), b.index(group))

    def nest(count: int) -> tuple[Statement, ...]:
        step = Axis(scan.length, "step")
        runs = [
            scan.step(
                line_index(scan, b.add(first, b.index(n))), step, b.index(0), scan.start(), "t"
            )
            for n in range(count)
        ]
        return (run_together(step, runs),)

    body = nest(group)
    if lines % group:
        body = (If(b.lt(b.axis(task), b.index(lines // group)), body, nest(lines % group)),)
    grain = max(1, WORTH_A_THREAD // (scan.length * group))
    k.emit((For(task, body, kind="parallel"),), task.extent, grain)


def line_index(scan: Scan, line: Expr) -> Callable[[Expr], Index]:
    """The index of an element of a line, given its index along the axis."""
    outer = split(scan.b, line, scan.shape[: scan.axis])
    after = (scan.b.index(0),) * (len(scan.shape) - scan.axis - 1)
    return lambda along: (*outer, along, *after)


def run_together(step: Axis, runs: list) -> For:
    """One loop that steps several lines."""
    stores = tuple(s for _, statements in runs for s in statements)
    return For(step, stores, tuple(c for carried, _ in runs for c in carried))


def in_segments(scan: Scan, lines: int, segments: int) -> None:
    """Cut every line into segments that run side by side and in parallel."""
    k, b = scan.k, scan.b
    length = scan.length // segments
    count = 2 if scan.complex else 1
    totals = k.workspace("totals", scan.part, (lines, segments, count))
    before = k.workspace("before", scan.part, (lines, segments + 1, count))
    emit_totals(scan, totals, length)
    emit_before(scan, totals, before)

    def start(line: Expr, segment: Expr) -> Value:
        at = (line, segment)
        return scan.value(tuple(b.load(before, (*at, b.index(p))) for p in range(count)))

    tasks = -(-segments // ABREAST)
    group = -(-segments // tasks)
    while segments % group:  # at most ABREAST steps: a group of one always fits
        group -= 1
    tasks = segments // group
    task, step = Axis(lines * tasks, "task"), Axis(length, "step")
    line = b.idiv(b.axis(task), b.index(tasks))
    first = b.mul(b.imod(b.axis(task), b.index(tasks)), b.index(group))
    runs = []
    for n in range(group):
        segment = b.add(first, b.index(n))
        base = b.mul(segment, b.index(length))
        runs.append(scan.step(line_index(scan, line), step, base, start(line, segment), "t"))
    grain = max(1, WORTH_A_THREAD // (length * group))
    k.emit((For(task, (run_together(step, runs),), kind="parallel"),), task.extent, grain)

    rest = scan.length - length * segments
    if rest:
        line, step = Axis(lines, "line"), Axis(rest, "step")
        index = line_index(scan, b.axis(line))
        begin = start(b.axis(line), b.index(segments))
        run = scan.step(index, step, b.index(length * segments), begin, "t")
        k.emit((For(line, (run_together(step, [run]),)),))


def emit_totals(scan: Scan, totals: Buffer, length: int) -> None:
    """totals[line, segment]: everything in the segment, combined."""
    k, b = scan.k, scan.b
    lines, segments, count = totals.shape
    task, step = Axis(lines * segments, "task"), Axis(length, "step")
    line = b.idiv(b.axis(task), b.index(segments))
    segment = b.imod(b.axis(task), b.index(segments))
    at = scan.along(b.add(b.mul(segment, b.index(length)), b.axis(step)))
    x = k.operand(0, line_index(scan, line)(at))
    carries = scan.carries("total")
    old = scan.value(tuple(b.carry(c) for c in carries))
    new = scan.combine(old, x)
    free = count == 1 and scan.combiner in COMBINERS  # lanes may combine in any order
    carried = tuple(
        Carried(c, s, n, scan.combiner if free else None)
        for c, s, n in zip(carries, parts(scan.start()), parts(new), strict=True)
    )
    stores = tuple(
        Store(totals, (line, segment, b.index(p)), b.final(c)) for p, c in enumerate(carries)
    )
    grain = max(1, WORTH_A_THREAD // length)
    loop = For(step, (), carried)
    k.emit((For(task, (loop, *stores), kind="parallel"),), task.extent, grain)


def emit_before(scan: Scan, totals: Buffer, before: Buffer) -> None:
    """before[line, segment]: everything before the segment, combined."""
    k, b = scan.k, scan.b
    lines, segments, count = totals.shape
    line, step = Axis(lines, "line"), Axis(segments, "segment")
    carries = scan.carries("total")
    at = (b.axis(line), b.axis(step))
    x = scan.value(tuple(b.load(totals, (*at, b.index(p))) for p in range(count)))
    old = tuple(b.carry(c) for c in carries)
    new = scan.combine(scan.value(old), x)
    carried = zip(carries, parts(scan.start()), parts(new), strict=True)
    loop = For(
        step,
        tuple(Store(before, (*at, b.index(p)), value) for p, value in enumerate(old)),
        tuple(Carried(c, s, n) for c, s, n in carried),
    )
    end = tuple(
        Store(before, (b.axis(line), b.index(segments), b.index(p)), b.final(c))
        for p, c in enumerate(carries)
    )
    k.emit((For(line, (loop, *end)),))


KERNELS: dict[str, Callable[[KernelContext], None]] = {
    name: partial(cumulative, combiner=combiner) for name, combiner in COMBINER.items()
}
