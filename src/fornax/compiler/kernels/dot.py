"""`dot_general`: chooses how to multiply by the shape of the product.

Tiles of the result in registers (`gemm`) are the general way. Where there are too few columns for
the lanes of a vector, or where both operands of a small result run along the depth, the lanes go
along the depth instead (`lines`, for many long ones with a few `line_groups`). A few rows times a
large matrix read it row by row (`stream`, for a single one `read_through`). A result with a single
column is computed as one with a single row when the left operand runs along its rows.
"""

from __future__ import annotations

from fornax.compiler.kernels.arithmetic import Arithmetic, arithmetic, paired
from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.gemm import tiled
from fornax.compiler.kernels.line_groups import line_groups, prefers_groups
from fornax.compiler.kernels.lines import (
    ENOUGH,
    FEW,
    STREAMS,
    lines,
    read_through,
    stream,
    stream_vectors,
)
from fornax.compiler.kernels.product import Product, product
from fornax.compiler.kernels.update import around
from fornax.compiler.loop.ir import Axis, is_float

#: Depth below which lanes along the depth do not pay.
SHALLOW = 32
#: Depth from which on lanes along the depth beat packing a matrix for few rows; four times as much
#: beat vectors of columns that are half empty.
DEEP = 256
#: Rows and columns that may lie between lanes along the depth: what they jump over is read, too.
NARROW = 4
#: Depth from which on even full vectors of so few columns are slower than all threads.
LONG = 1 << 16
#: Bytes of a row that have to follow one another for more than FEW rows to be streamed.
PAGE = 4096


def dot_general(k: KernelContext) -> None:
    """Emit the nests of a `dot_general`.

    Parameters: `dimension_numbers` ((left, right contracted), (left, right batch)) and
    `preferred_element_type`, which the output type already shows. Result dimensions: batch, free
    dimensions of the left operand, free dimensions of the right one.
    """
    p = product(k)
    sums = arithmetic(k.inputs, k.outputs[0], k.target)
    if p.batch * p.rows * p.columns == 0:
        return
    if p.depth == 0:
        emit_zeros(p, sums)
        return
    if p.columns == 1 and p.left.runs_along == "free" and p.rows > 1:
        p = p.swap()
    if prefers_lines(p, sums):
        (line_groups if prefers_groups(p, sums) else lines)(p, sums)
    elif prefers_stream(p, sums):
        (read_through if reads_through(p) else stream)(p, sums)
    else:
        words = paired(sums, k.inputs, p.depth, k.target)
        tiled(*((p, sums) if words is None else (p.paired(), words)))


def prefers_lines(p: Product, sums: Arithmetic) -> bool:
    """True where lanes along the depth beat lanes along the columns."""
    k = p.k
    if sums.parts == 2 or sums.logical or p.depth < SHALLOW:
        return False
    along = p.left.runs_along, p.right.runs_along
    if max(p.rows, p.columns) <= NARROW and p.depth >= DEEP and is_float(sums.dtype):
        # vectors of columns that are nearly empty wait for their own additions, on one thread
        return p.rows * p.columns < NARROW**2 or (p.batch == 1 and p.depth >= LONG)
    if p.columns == 1 or p.rows == 1:
        # one element of the matrix per multiplication: read it in the order of memory
        matrix = along[0] if p.columns == 1 else along[1]
        return matrix != "free" or p.rows == p.columns
    if along != ("depth", "depth"):
        return False
    # packing the right operand costs about 1.5 steps an element, adding up lanes 10 a result
    few, many = sorted((p.rows, p.columns))
    lanes = k.target.lanes(sums.dtype)
    if (p.rows < lanes and p.depth >= DEEP) or (2 * p.columns <= lanes and p.depth >= 4 * DEEP):
        return True
    return few <= 3 or (few <= 32 and 10 * p.rows < p.depth and many * p.depth <= k.target.l2 // 8)


def prefers_stream(p: Product, sums: Arithmetic) -> bool:
    """True for few rows times a matrix that runs along its columns and fills the caches."""
    vectors = stream_vectors(p)
    if not vectors or sums.parts == 2 or p.right.runs_along != "free":
        return False
    least, size = vectors * p.k.target.lanes(sums.dtype), p.depth * p.columns * sums.bytes
    if reads_through(p):  # in a cache it takes a quarter longer, out of it half of the time
        return p.columns >= least and 4 * size >= p.k.target.l2
    if p.rows > FEW:
        least = max(least, PAGE // sums.bytes)
    return p.columns >= least and size > p.k.target.l2


def reads_through(p: Product) -> bool:
    """True for one row times a matrix with rows enough for all shares."""
    return p.rows == 1 and p.depth >= ENOUGH * STREAMS


def emit_zeros(p: Product, sums: Arithmetic) -> None:
    """An empty sum is zero."""
    k, b = p.k, p.k.b
    axes = [Axis(n, "i") for n in k.outputs[0].shape]
    value = sums.result(b, sums.zero(b), k.outputs[0].dtype_name)
    k.emit(around(axes, k.store(0, [b.axis(a) for a in axes], value)))
