"""Running sums, products, extremes and log-sums of exponentials along one axis.

Three shapes of loop:

* the axis is not innermost: lanes run along the innermost axis, the serial loop along `axis`
  (`cumulative_columns`);
* it is innermost: lanes share a line where that is possible (`loop/running`), several lines run
  side by side elsewhere (`cumulative_lines.whole`);
* few long lines, or few columns: every line is cut into blocks. One nest reduces each block, one
  runs through it from what those before it hold, while it is in the caches. Where lanes cannot
  share a line, the blocks are fewer segments, and a third nest combines their totals.
"""

from __future__ import annotations

from functools import partial
from math import prod

from fornax.compiler.kernels.context import KernelContext, weight
from fornax.compiler.kernels.cumulative_columns import across, tall
from fornax.compiler.kernels.cumulative_lines import in_blocks, in_segments, segments_of, whole
from fornax.compiler.kernels.scan import Exponentials, Scan
from fornax.compiler.loop.ir import WIDTH, Axis

#: Bytes of a block of a line that threads share, of which the second cache holds two;
BLOCK = 1 << 18
#: elements that one has at least, and how many such blocks are worth cutting a line for;
LEAST, WORTH = 1 << 13, 8
#: how many there are of smaller ones, and at most: each adds up what those before it hold.
SOME, MANY = 64, 1 << 10
#: So many lines are as good as blocks,
FEW = 8
#: or so many of several columns, or columns that fill more vectors than this.
ENOUGH, NARROW = 4, 4


def cumulative(k: KernelContext, combiner: str) -> None:
    """Emit the nests of a cumulative operation. Parameters: `axis`, `reverse`."""
    scan = (Exponentials if combiner == "exponentials" else Scan)(k, combiner)
    if 0 in scan.shape:
        return
    lines, inner = prod(scan.shape[: scan.axis]), prod(scan.shape[scan.axis + 1 :])
    cheap = is_cheap(scan)
    blocks = blocks_of(scan, inner) if lines < FEW and cheap else 0
    if inner > 1:
        if blocks and lines < ENOUGH and inner <= NARROW * k.target.lanes(scan.part):
            tall(scan, lines, inner, blocks)
        else:
            across(scan)
        return
    segments = 0 if scan.in_lanes else segments_of(scan, lines)
    if scan.in_lanes and blocks:
        in_blocks(scan, lines, blocks)
    elif segments and cheap:
        in_segments(scan, lines, segments)
    else:
        whole(scan, lines)


def blocks_of(scan: Scan, inner: int) -> int:
    """How many blocks to cut a line of `inner` columns into; 0 for a short one."""
    elements = scan.length * inner
    if elements < WORTH * LEAST:
        return 0
    size = elements * scan.numbers * WIDTH[scan.part] // 8
    return min(MANY, max(size // BLOCK, min(SOME, elements // LEAST)))


def is_cheap(scan: Scan) -> bool:
    """True where reading the operand twice costs little."""
    if scan.k.operand_buffer(0) is not None:
        return True
    axes = [Axis(max(n, 2), "i") for n in scan.shape]
    return weight(scan.k.operand(0, [scan.b.axis(a) for a in axes])) <= 4


cumsum = partial(cumulative, combiner="add")
cumprod = partial(cumulative, combiner="mul")
cummax = partial(cumulative, combiner="max")
cummin = partial(cumulative, combiner="min")
cumlogsumexp = partial(cumulative, combiner="exponentials")
cumsumexp = partial(cumulative, combiner="exponentials")
