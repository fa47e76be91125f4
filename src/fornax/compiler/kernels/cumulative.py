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
from fornax.compiler.kernels.scan import WORTH_A_THREAD, Exponentials, Scan
from fornax.compiler.loop.ir import WIDTH, Axis, For, Statement

#: Most columns whose running values are kept in L1 when the axis is not innermost.
COLUMNS = 1024
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
    lanes = 4 * k.target.lanes(scan.part)
    share = -(-width // max(1, k.threads // lines))
    chunk = min(width, max(lanes, min(COLUMNS, -(-share // lanes) * lanes)))
    pieces = -(-width // chunk)
    task, step = Axis(lines * pieces, "task"), Axis(scan.length, "step")
    line = b.idiv(b.axis(task), b.index(pieces))
    if scan.reverse and prod(shape[scan.axis + 1 : last]) == 1:  # as in `whole`
        line = b.sub(b.index(lines - 1), line)
    base = b.mul(b.imod(b.axis(task), b.index(pieces)), b.index(chunk))
    left = b.min(b.index(chunk), b.sub(b.index(width), base))
    extent = left if width % chunk else chunk
    wide = min(lanes, power_of_two(chunk))

    def index(lane: Axis) -> Index:
        at = list(split(b, line, outer))
        at.insert(scan.axis, scan.along(b.axis(step)))
        at[last] = b.add(base, b.axis(lane))
        return tuple(at)

    lane = Axis(extent, "lane")
    here = index(lane)
    items = scan.read(here)
    if chunk <= lanes:
        carries = scan.carries("total")
        new = scan.step(tuple(map(b.carry, carries)), items)
        write = scan.write(here, scan.result(new, items))
        loop = For(step, write, scan.carried(carries, scan.start(), new))
        body: tuple[Statement, ...] = (For(lane, (loop,), kind="vector", lanes=wide),)
    else:
        totals = k.scratch("totals", scan.part, (scan.states, chunk))
        clear = Axis(chunk, "lane")
        new = scan.step(scan.load(totals, b.axis(lane)), items)
        write = scan.write(here, scan.result(new, items)) + scan.save(totals, new, b.axis(lane))
        start = scan.save(totals, scan.start(), b.axis(clear))
        clears = For(clear, start, kind="vector", lanes=wide)
        body = (clears, For(step, (For(lane, write, kind="vector", lanes=wide),)))
    grain = max(1, WORTH_A_THREAD // (scan.length * chunk))
    k.emit((For(task, body, kind="parallel"),), task.length, grain)


cumsum = partial(cumulative, combiner="add")
cumprod = partial(cumulative, combiner="mul")
cummax = partial(cumulative, combiner="max")
cummin = partial(cumulative, combiner="min")
cumlogsumexp = partial(cumulative, combiner="exponentials")
cumsumexp = partial(cumulative, combiner="exponentials")
