"""`dot_general`: chooses between the tiled product and dot products along the depth.

Tiles (`gemm`) put the lanes of a vector on the columns. Where there are too few columns for that,
or where both operands of a small result run along the depth, the lanes go along the depth instead
and every element of the result is a sum over lanes (`lines`). A result with a single column is
computed as one with a single row when the left operand runs along its rows.
"""

from __future__ import annotations

from fornax.compiler.kernels.arithmetic import Arithmetic, Parts, arithmetic, balanced
from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.gemm import WORTH_A_THREAD, tiled
from fornax.compiler.kernels.product import Product, product, split
from fornax.compiler.loop.ir import Axis, Buffer, Carried, Carry, Expr, For, If, Statement, Store

#: Depth below which lanes along the depth do not pay.
SHALLOW = 32
#: Fewest steps of the depth worth a separate partial sum when there are too few results to share.
WORTH_A_SPLIT = 1 << 14


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
        lines(p, sums)
    else:
        tiled(p, sums)


def prefers_lines(p: Product, sums: Arithmetic) -> bool:
    """True where lanes along the depth beat lanes along the columns."""
    if sums.parts == 2 or sums.logical or p.depth < SHALLOW:
        return False
    along = p.left.runs_along, p.right.runs_along
    if p.columns == 1 or p.rows == 1:
        # one element of the matrix per multiplication: read it in the order of memory
        matrix = along[0] if p.columns == 1 else along[1]
        return matrix != "free" or p.rows == p.columns
    return along == ("depth", "depth") and min(p.rows, p.columns) <= 3


def emit_zeros(p: Product, sums: Arithmetic) -> None:
    """An empty sum is zero."""
    b = p.k.b
    axes = [Axis(n, "i") for n in p.k.outputs[0].shape]
    value = sums.result(b, sums.zero(b), p.k.outputs[0].dtype.name)
    body: tuple[Statement, ...] = p.k.store(0, [b.axis(a) for a in axes], value)
    for axis in reversed(axes):
        body = (For(axis, tuple(body)),)
    p.k.emit(body)


def lines(p: Product, sums: Arithmetic) -> None:
    """Every element of the result is a dot product with lanes along the depth.

    Small tiles of the result are summed at once, so that an operand in cache is reused and several
    streams of memory are read. A long sum with few results is cut into a share for each thread.
    """
    k, b = p.k, p.k.b
    room = 12 if k.target.registers >= 32 else 8
    columns = balanced(p.columns, 4)
    rows = balanced(p.rows, room // columns)
    row_tiles, column_tiles = -(-p.rows // rows), -(-p.columns // columns)
    tiles = p.batch * row_tiles * column_tiles
    work = p.batch * p.rows * p.columns * p.depth
    shares = 1
    if tiles < k.threads and work >= 2 * WORTH_A_THREAD:
        shares = max(1, min(2 * k.threads, p.depth // WORTH_A_SPLIT))
    steps = -(-p.depth // shares)

    task = Axis(tiles * shares, "task")
    share = b.imod(b.axis(task), b.index(shares))
    flat = b.idiv(b.axis(task), b.index(shares))
    column = b.imod(flat, b.index(column_tiles))
    flat = b.idiv(flat, b.index(column_tiles))
    row = b.imod(flat, b.index(row_tiles))
    matrix = b.idiv(flat, b.index(row_tiles))
    batch = split(b, matrix, p.batch_extents)

    step = Axis(steps, "depth")
    position = b.add(b.mul(share, b.index(steps)), b.axis(step))
    inside = b.lt(position, b.index(p.depth))
    depth = split(b, position, p.depth_extents)
    row_at = [b.add(b.mul(row, b.index(rows)), b.index(r)) for r in range(rows)]
    column_at = [b.add(b.mul(column, b.index(columns)), b.index(c)) for c in range(columns)]

    def read(side, at: Expr, extent: int, extents) -> Parts:
        here = split(b, b.min(at, b.index(extent - 1)), extents)
        mask = None if inside.kind == "const" else inside
        return sums.widen(b, side.value(batch, here, depth, mask))

    x = [read(p.left, at, p.rows, p.row_extents) for at in row_at]
    y = [read(p.right, at, p.columns, p.column_extents) for at in column_at]
    carries = [[Carry(sums.dtype, f"s{r}_{c}") for c in range(columns)] for r in range(rows)]
    carried = tuple(
        Carried(carry, sums.zero(b)[0], b.add(b.carry(carry), b.mul(x[r][0], y[c][0])), "add")
        for r, group in enumerate(carries)
        for c, carry in enumerate(group)
    )
    loop = For(step, (), carried, kind="vector", lanes=k.target.lanes(sums.dtype))
    dtype = k.outputs[0].dtype.name
    partial = None
    if shares > 1:
        partial = k.workspace("partial", sums.dtype, (shares, p.batch, p.rows, p.columns))
    stores: list[Statement] = []
    for r, group in enumerate(carries):
        for c, carry in enumerate(group):
            total = b.final(carry)
            if partial is not None:
                write = (Store(partial, (share, matrix, row_at[r], column_at[c]), total),)
            else:
                row_index = split(b, row_at[r], p.row_extents)
                column_index = split(b, column_at[c], p.column_extents)
                write = p.place(batch, row_index, column_index, sums.result(b, (total,), dtype))
            whole = b.and_(b.lt(row_at[r], b.index(p.rows)), b.lt(column_at[c], b.index(p.columns)))
            stores += write if whole.kind == "const" else (If(whole, write),)
    grain = max(1, WORTH_A_THREAD * tiles * shares // work)
    k.emit((For(task, (loop, *stores), kind="parallel"),), tiles * shares, grain)
    if partial is not None:
        add_shares(p, sums, partial)


def add_shares(p: Product, sums: Arithmetic, partial: Buffer) -> None:
    """Sum the shares of every element, in order, and store it."""
    k, b = p.k, p.k.b
    batch, row, column = Axis(p.batch, "batch"), Axis(p.rows, "row"), Axis(p.columns, "column")
    share = Axis(partial.shape[0], "share")
    carry = Carry(sums.dtype, "sum")
    at = tuple(b.axis(a) for a in (share, batch, row, column))
    total = b.add(b.carry(carry), b.load(partial, at))
    loop = For(share, (), (Carried(carry, sums.zero(b)[0], total),))
    value = sums.result(b, (b.final(carry),), k.outputs[0].dtype.name)
    store = p.place(
        split(b, b.axis(batch), p.batch_extents),
        split(b, b.axis(row), p.row_extents),
        split(b, b.axis(column), p.column_extents),
        value,
    )
    k.emit((For(batch, (For(row, (For(column, (loop, *store)),)),)),))
