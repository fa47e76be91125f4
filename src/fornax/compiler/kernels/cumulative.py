"""Running sums, products, extremes and log-sums of exponentials along one axis.

Three shapes of loop:

* the axis is not innermost: lanes run along the innermost axis, the serial loop along `axis`;
* it is innermost: lanes share a line where that is possible (`loop/running`), several lines run
  side by side elsewhere (`cumulative_lines.whole`);
* few long lines: every line is cut into blocks. One nest reduces each block, one runs through it
  from what those before it hold, while it is in the caches. Where lanes cannot share a line, the
  blocks are fewer segments, and a third nest combines their totals.
"""

from __future__ import annotations

from functools import partial
from math import prod

from fornax.compiler.kernels.arithmetic import power_of_two
from fornax.compiler.kernels.context import KernelContext, weight
from fornax.compiler.kernels.cumulative_lines import in_blocks, in_segments, segments_of, whole
from fornax.compiler.kernels.product import Index, split
from fornax.compiler.kernels.scan import WORTH_A_THREAD, Exponentials, Scan, State
from fornax.compiler.loop.ir import WIDTH, Axis, Expr, For, Statement

#: Most columns whose running values are kept in L1 when the axis is not innermost.
COLUMNS = 1024
#: So many rows at once where a running value has several parts: they stay in registers meanwhile.
TOGETHER = 4
#: Bytes of a block of a line that threads share, of which the second cache holds two;
BLOCK = 1 << 18
#: elements that one has at least, and how many such blocks are worth cutting a line for;
LEAST, WORTH = 1 << 13, 8
#: how many there are of smaller ones, and at most: each adds up what those before it hold.
SOME, MANY = 64, 1 << 10
#: So many lines are as good as blocks.
FEW = 8


def cumulative(k: KernelContext, combiner: str) -> None:
    """Emit the nests of a cumulative operation. Parameters: `axis`, `reverse`."""
    scan = (Exponentials if combiner == "exponentials" else Scan)(k, combiner)
    if 0 in scan.shape:
        return
    inner = prod(scan.shape[scan.axis + 1 :])
    if inner > 1:
        across(scan)
        return
    lines = prod(scan.shape[: scan.axis])
    segments = 0 if scan.in_lanes else segments_of(scan, lines)
    if not is_cheap(scan):
        whole(scan, lines)
    elif scan.in_lanes and lines < FEW and scan.length >= WORTH * LEAST:
        size = scan.length * scan.numbers * WIDTH[scan.part] // 8
        in_blocks(scan, lines, min(MANY, max(size // BLOCK, min(SOME, scan.length // LEAST))))
    elif segments:
        in_segments(scan, lines, segments)
    else:
        whole(scan, lines)


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


cumsum = partial(cumulative, combiner="add")
cumprod = partial(cumulative, combiner="mul")
cummax = partial(cumulative, combiner="max")
cummin = partial(cumulative, combiner="min")
cumlogsumexp = partial(cumulative, combiner="exponentials")
cumsumexp = partial(cumulative, combiner="exponentials")
