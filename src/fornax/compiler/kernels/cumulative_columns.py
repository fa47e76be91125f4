"""Cumulative operations along another axis than the innermost: lanes along rows, steps from row to
row. A few columns that are long are cut into blocks of rows (`tall`), many are shared as columns.
"""

from __future__ import annotations

from math import gcd, prod

from fornax.compiler.kernels.arithmetic import power_of_two
from fornax.compiler.kernels.product import Index, split
from fornax.compiler.kernels.scan import WORTH_A_THREAD, Scan, State
from fornax.compiler.loop.ir import WIDTH, Alloc, Axis, Buffer, Carried, Expr, For, Statement

#: Most columns whose running values are kept in L1 when the axis is not innermost.
COLUMNS = 1024
#: So many rows at once where a running value has several parts: they stay in registers meanwhile.
TOGETHER = 4
#: So many vectors of running values hide the latency of the operation.
ABREAST = 4


def across(scan: Scan) -> None:
    """Lanes along the innermost axis, a serial loop along the scanned one."""
    k, b, shape = scan.k, scan.b, scan.shape
    last = max(d for d, n in enumerate(shape) if n > 1)
    outer = tuple(1 if d == last else n for d, n in enumerate(shape) if d != scan.axis)
    width, lines = shape[last], prod(outer)
    together = TOGETHER if scan.states > 1 else 1
    lanes = 4 * k.target.lanes(scan.part)
    share = -(-width // max(1, k.threads // lines))
    chunk = min(width, max(lanes, min(COLUMNS, -(-share // lanes) * lanes)))
    pieces = -(-width // chunk)
    task = Axis(lines * pieces, "task")
    line = b.idiv(b.axis(task), b.index(pieces))
    if scan.reverse and prod(shape[scan.axis + 1 : last]) == 1:  # as in `whole`
        line = b.sub(b.index(lines - 1), line)
    base = b.mul(b.imod(b.axis(task), b.index(pieces)), b.index(chunk))
    left = b.min(b.index(chunk), b.sub(b.index(width), base))
    extent = left if width % chunk else chunk
    wide = min(lanes, power_of_two(chunk))

    def index(lane: Axis, step: Expr) -> Index:
        at = list(split(b, line, outer))
        at.insert(scan.axis, scan.along(step))
        at[last] = b.add(base, b.axis(lane))
        return tuple(at)

    def run(lane: Axis, first: Expr, count: int, start: State) -> tuple[For, State]:
        """The loop over `count` rows, and the state of a lane after them."""
        step, carries = Axis(count, "step"), scan.carries("total")
        here = index(lane, b.add(first, b.axis(step)))
        items = scan.read(here)
        new = scan.step(tuple(map(b.carry, carries)), items)
        write = scan.write(here, scan.result(new, items))
        return For(step, write, scan.carried(carries, start, new)), tuple(map(b.final, carries))

    if chunk <= lanes:
        lane = Axis(extent, "lane")
        loop, _ = run(lane, b.index(0), scan.length, scan.start())
        body: tuple[Statement, ...] = (For(lane, (loop,), kind="vector", lanes=wide),)
    else:
        totals = k.scratch("totals", scan.part, (scan.states, chunk))

        def rows(first: Expr, count: int) -> For:
            lane = Axis(extent, "lane")
            before = scan.load(totals, b.axis(lane))
            if count == 1 == scan.states:
                here = index(lane, first)
                items = scan.read(here)
                after = scan.step(before, items)
                body = scan.write(here, scan.result(after, items))
            else:
                loop, after = run(lane, first, count, before)
                body = (loop,)
            body += scan.save(totals, after, b.axis(lane))
            return For(lane, body, kind="vector", lanes=wide)

        clear, group = Axis(chunk, "lane"), Axis(scan.length // together, "group")
        start = scan.save(totals, scan.start(), b.axis(clear))
        first = b.mul(b.axis(group), b.index(together))
        clears = For(clear, start, kind="vector", lanes=wide)
        body = (clears, For(group, (rows(first, together),)))
        rest = scan.length % together
        if rest:
            body += (rows(b.index(scan.length - rest), rest),)
    grain = max(1, WORTH_A_THREAD // (scan.length * chunk))
    k.emit((For(task, body, kind="parallel"),), task.length, grain)


def tall(scan: Scan, lines: int, width: int, blocks: int) -> None:
    """Few columns, cut into blocks of rows. One nest combines what each block holds; one runs
    through it from what those before it hold, behind the first one as long as the block is in the
    caches. Where a row fills few vectors, pieces of a block run side by side. The number of threads
    has no say in any of this."""
    k, b = scan.k, scan.b
    lanes = k.target.lanes(scan.part)
    # so many rows are whole vectors, and several of them
    period = lanes // gcd(lanes, width) if width < lanes else 1
    period *= power_of_two(-(-ABREAST * lanes // (period * width)))
    side = max(1, min(ABREAST // -(-width // lanes), scan.length // (blocks * period)))
    pieces = blocks * side
    length = rows = scan.length // pieces // period * period
    totals = k.workspace("totals", scan.part, (scan.states, lines, pieces, width))
    task, grain = Axis(lines * blocks, "task"), max(1, WORTH_A_THREAD // (rows * side * width))
    line, block = b.idiv(b.axis(task), b.index(blocks)), b.imod(b.axis(task), b.index(blocks))

    def index(line: Expr, position: Expr, column: Expr) -> Index:
        before, after = scan.shape[: scan.axis], scan.shape[scan.axis + 1 :]
        return (*split(b, line, before), scan.along(position), *split(b, column, after))

    piece, step = Axis(side, "piece"), Axis(rows // period, "step")
    column, each = Axis(width, "column"), Axis(period, "each")
    here = b.add(b.mul(block, b.index(side)), b.axis(piece))
    # upwards in memory in any case, as `in_blocks`
    lane = Axis(lanes if width < lanes else width, "lane")
    vectors = range(0, period * width, lane.length)
    partial = Buffer(
        "partial", scan.part, (scan.states, period * width), (period * width, 1), "local"
    )
    each_loops: list[tuple[For, ...]] = []
    saves: tuple[Statement, ...] = ()
    for first in vectors:
        element = b.add(b.axis(lane), b.index(first))
        row = b.add(b.mul(b.axis(step), b.index(period)), b.idiv(element, b.index(width)))
        row = b.sub(b.index(rows - 1), row) if scan.reverse else row
        position = b.add(b.mul(here, b.index(rows)), row)
        items = scan.read(index(line, position, b.imod(element, b.index(width))))
        loops, total = scan.combined(step, items)
        each_loops.append(loops)
        saves += scan.save(partial, total, element)
    together = [
        For(step, (), tuple(c for loop in loops for c in loop.carries))
        for loops in zip(*each_loops, strict=True)
    ]
    inner: tuple[Statement, ...] = (
        Alloc(partial),
        For(lane, (*together, *saves), kind="vector", lanes=power_of_two(lane.length)),
    )
    at = b.add(b.mul(b.axis(each), b.index(width)), b.axis(column))
    loop, total = merged(scan, each, scan.load(partial, at))
    store = scan.save(totals, total, line, here, b.axis(column))
    inner += (For(column, (loop, *store), kind="vector", lanes=power_of_two(width)),)
    k.emit((For(task, (For(piece, inner),), kind="parallel"),), task.length, grain)

    def through(line: Expr, first: int | Expr, side: int, rows: int) -> For:
        """Runs through pieces from the `first` on."""
        column, step, each = Axis(width, "column"), Axis(rows, "step"), Axis(first, "before")
        held = scan.load(totals, line, b.axis(each), b.axis(column))
        before, start = merged(scan, each, held)
        stores: tuple[Statement, ...] = ()
        steps: list[Carried] = []
        for n in range(side):
            here = b.add(b.index(first), b.index(n))
            if n:
                held = scan.load(totals, line, b.sub(here, b.index(1)), b.axis(column))
                start = scan.merge(start, held)
            base = b.mul(here, b.index(length))
            place = index(line, b.add(base, b.axis(step)), b.axis(column))
            items, carries = scan.read(place), scan.carries("total")
            new = scan.step(tuple(map(b.carry, carries)), items)
            # small numbers added up by themselves lose less, if what is lost is not kept
            apart = scan.states == scan.numbers
            steps += scan.carried(carries, scan.start() if apart else start, new)
            stores += scan.write(
                place, scan.result(scan.merge(start, new) if apart else new, items)
            )
        loop = For(step, stores, tuple(steps))
        return For(column, (before, loop), kind="vector", lanes=power_of_two(width))

    large = prod(scan.shape) * scan.numbers * WIDTH[scan.part] // 8 >= k.target.streamed
    body = (through(line, b.mul(block, b.index(side)), side, rows),)
    k.emit((For(task, body, kind="parallel"),), task.length, grain, follows=large)
    rest = scan.length - pieces * rows
    if rest:
        one = Axis(lines, "line")
        k.emit((For(one, (through(b.axis(one), pieces, 1, rest),)),))


def merged(scan: Scan, axis: Axis, states: State) -> tuple[For, State]:
    """The loop that combines states in their order, and the one after it."""
    b, carries = scan.b, scan.carries("total")
    after = scan.merge(tuple(map(b.carry, carries)), states)
    return For(axis, (), scan.carried(carries, scan.start(), after)), tuple(map(b.final, carries))
