"""Products of a matrix with few rows, limited by reading the matrix once.

`lines` puts the lanes of vectors along the depth and sums them at the end: for operands that both
run along the depth. `stream` puts them along the columns and reads the matrix row by row, in the
order of memory, several rows at a time, with the sums in a cache: for matrices too large for it.
For a single row `read_through` reads it from end to end. All cut the depth into shares where there
are too few results for all threads.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from fornax.compiler.kernels.arithmetic import Arithmetic, Parts, balanced
from fornax.compiler.kernels.context import weight
from fornax.compiler.kernels.product import Product, Side, split
from fornax.compiler.kernels.update import around
from fornax.compiler.loop.ir import (
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    If,
    Statement,
    Store,
)

#: Fewer multiplications than this are not worth a thread: they wait for memory.
WORTH_A_THREAD = 1 << 17
#: Fewest steps of the depth worth a share of their own.
WORTH_A_SPLIT = 1 << 14
#: Tasks that keep the threads of most machines busy.
ENOUGH = 16
#: Operations that may be repeated for every tile that reads an operand.
LIGHT = 3
#: Sums kept in L1 while rows stream by: for up to FEW rows, where reading limits. More rows read a
#: page or more of a row at once; their sums stay in L2.
FEW, STREAM_SUMS, STREAM_COLUMNS = 4, 2048, 4096
#: Rows of the matrix that are read side by side.
STREAM_ROWS = 16
#: Rows that are read from end to end side by side: processors foresee what is read of so many.
STREAMS = 8
#: Bytes of a matrix that are worth a share of their own.
SHARE = 1 << 17


def shares_of(p: Product, tasks: int) -> int:
    """How many shares to cut the depth into, given the tasks there are without. The number of
    threads has no say: it must not change the order of additions."""
    work = p.batch * p.rows * p.columns * p.depth
    if tasks >= ENOUGH or work < 2 * WORTH_A_THREAD:
        return 1
    return max(1, min(ENOUGH // tasks, p.depth // WORTH_A_SPLIT))


def lines(p: Product, sums: Arithmetic) -> None:
    """Every element of the result is a dot product with lanes along the depth.

    Small tiles of the result are summed at once, so that an operand in cache is reused and several
    streams of memory are read. All columns of a few are: the matrix with many rows streams by once.
    A long sum with few results is cut into a share for each thread.
    """
    if p.columns > p.rows:
        p = p.swap()
    k, b = p.k, p.k.b
    rows, columns = tile_of(p)
    row_tiles, column_tiles = -(-p.rows // rows), -(-p.columns // columns)
    tiles = p.batch * row_tiles * column_tiles
    shares = shares_of(p, tiles)
    steps = -(-p.depth // shares)
    shares = -(-p.depth // steps)
    task = Axis(tiles * shares, "task")
    share = b.imod(b.axis(task), b.index(shares))
    flat = b.idiv(b.axis(task), b.index(shares))
    column = b.imod(flat, b.index(column_tiles))
    flat = b.idiv(flat, b.index(column_tiles))
    row = b.imod(flat, b.index(row_tiles))
    matrix = b.idiv(flat, b.index(row_tiles))
    batch = split(b, matrix, p.batch_extents)

    first = b.mul(share, b.index(steps))
    length = b.min(b.index(steps), b.sub(b.index(p.depth), first))
    step = Axis(length, "depth")
    depth = split(b, b.add(first, b.axis(step)), p.depth_extents)
    row_at = [b.add(b.mul(row, b.index(rows)), b.index(r)) for r in range(rows)]
    column_at = [b.add(b.mul(column, b.index(columns)), b.index(c)) for c in range(columns)]

    left = staged(p, p.left, sums, p.row_extents, column_tiles)
    right = staged(p, p.right, sums, p.column_extents, row_tiles)
    position = b.add(first, b.axis(step))

    def read(side: Side, copy: Buffer | None, at: Expr, extents: tuple[int, ...]) -> Parts:
        here = b.min(at, b.index(prod(extents) - 1))
        if copy is not None:
            return (b.load(copy, (matrix, here, position)),)
        return sums.widen(b, side.value(batch, split(b, here, extents), depth))

    x = [read(p.left, left, at, p.row_extents) for at in row_at]
    y = [read(p.right, right, at, p.column_extents) for at in column_at]
    carries = [[Carry(sums.dtype, f"s{r}_{c}") for c in range(columns)] for r in range(rows)]
    # column by column: registers hold a vector of every row and of one column beside the sums
    carried = tuple(
        Carried(row[c], sums.zero(b)[0], b.add(b.carry(row[c]), b.mul(x[r][0], y[c][0])), "add")
        for c in range(columns)
        for r, row in enumerate(carries)
    )
    loop = For(step, (), carried, kind="vector", lanes=k.target.lanes(sums.dtype))
    partial = None
    if shares > 1:
        partial = k.workspace("partial", sums.dtype, (shares, p.batch, p.rows, p.columns))
    stores: list[Statement] = []
    for r, group in enumerate(carries):
        for c, carry in enumerate(group):
            at = row_at[r], column_at[c]
            write = finish(p, sums, partial, share, matrix, *at, b.final(carry))
            whole = b.and_(b.lt(at[0], b.index(p.rows)), b.lt(at[1], b.index(p.columns)))
            stores += write if whole.kind == "const" else (If(whole, write),)
    work = p.batch * p.rows * p.columns * p.depth
    grain = max(1, WORTH_A_THREAD * tiles * shares // work)
    k.emit((For(task, (loop, *stores), kind="parallel"),), tiles * shares, grain)
    if partial is not None:
        add_shares(p, sums, partial)


def tile_of(p: Product) -> tuple[int, int]:
    """Rows and columns of a tile: three quarters of the registers hold sums, or fewer where there
    are too few columns to read for more rows."""
    many = p.k.target.registers >= 32
    columns = balanced(p.columns, 8 if many else 4)
    room = (24 if columns > 2 else 12) if many else 8
    return balanced(p.rows, min(room // columns, 6 if columns > 1 else STREAMS)), columns


def staged(
    p: Product, side: Side, sums: Arithmetic, extents: tuple[int, ...], readers: int
) -> Buffer | None:
    """A copy of an operand that is costly to compute and read by several tiles."""
    k, b = p.k, p.k.b
    axes = [Axis(n, "i") for n in (p.batch, prod(extents), p.depth)]
    batch, free, depth = (
        split(b, b.axis(axis), dims)
        for axis, dims in zip(axes, (p.batch_extents, extents, p.depth_extents), strict=True)
    )
    (value,) = sums.widen(b, side.value(batch, free, depth))
    if readers == 1 or side.buffer is not None or weight(value) <= LIGHT:
        return None
    copy = k.workspace(f"operand{side.operand}", sums.dtype, tuple(a.length for a in axes))
    k.emit(around(axes, (Store(copy, tuple(b.axis(a) for a in axes), value),)))
    return copy


def add_shares(p: Product, sums: Arithmetic, partial: Buffer) -> None:
    """Sum the shares of every element, in order, and store it."""
    k, b = p.k, p.k.b
    batch, row, column = Axis(p.batch, "batch"), Axis(p.rows, "row"), Axis(p.columns, "column")
    share = Axis(partial.shape[0], "share")
    carry = Carry(sums.dtype, "sum")
    at = tuple(b.axis(a) for a in (share, batch, row, column))
    total = b.add(b.carry(carry), b.load(partial, at))
    loop = For(share, (), (Carried(carry, sums.zero(b)[0], total),))
    value = sums.result(b, (b.final(carry),), k.outputs[0].dtype_name)
    store = p.place(
        split(b, b.axis(batch), p.batch_extents),
        split(b, b.axis(row), p.row_extents),
        split(b, b.axis(column), p.column_extents),
        value,
    )
    k.emit((For(batch, (For(row, (For(column, (loop, *store)),)),)),))


def stream_vectors(p: Product) -> int:
    """Vectors of columns at once: their sums take half of the registers; 0 for too many rows."""
    most = p.k.target.registers // 2 // p.rows
    return min(4, 1 << most.bit_length() - 1) if most else 0


def stream(p: Product, sums: Arithmetic) -> None:
    """Sums of a chunk of columns stay in a cache while rows of the matrix stream by."""
    k, b = p.k, p.k.b
    lanes = stream_vectors(p) * k.target.lanes(sums.dtype)
    most = max(lanes, STREAM_SUMS // p.rows if p.rows <= FEW else STREAM_COLUMNS)
    width = balanced(p.columns, max(lanes, min(most, -(-p.columns // k.threads))))
    width = min(-(-width // lanes) * lanes, p.columns)
    chunks = -(-p.columns // width)
    shares = shares_of(p, p.batch * -(-p.columns // most))
    steps = -(-p.depth // shares)
    shares = -(-p.depth // steps)
    task = Axis(p.batch * chunks * shares, "task")
    share = b.imod(b.axis(task), b.index(shares))
    flat = b.idiv(b.axis(task), b.index(shares))
    chunk = b.imod(flat, b.index(chunks))
    matrix = b.idiv(flat, b.index(chunks))
    batch = split(b, matrix, p.batch_extents)
    first = b.mul(share, b.index(steps))
    # the last chunk overlaps the one before it; what they share is computed twice, stored once
    begin = b.min(b.mul(chunk, b.index(width)), b.index(p.columns - width))
    # a cache line between the rows: all sums of a column are used at once, from different sets
    apart = k.target.lanes(sums.dtype) if p.rows > FEW else 0
    totals = k.scratch("totals", sums.dtype, (p.rows, width + apart))
    near = k.scratch("near", sums.dtype, (p.rows, STREAM_ROWS))

    def factors(depth: Expr, count: Expr) -> For:
        """Copy what `count` rows of the matrix, from `depth` on, are multiplied by."""
        r = Axis(p.rows, "r")
        n = Axis(count, "n")
        at = split(b, b.add(depth, b.axis(n)), p.depth_extents)
        row = split(b, b.axis(r), p.row_extents)
        (x,) = sums.widen(b, p.left.value(batch, row, at))
        copy = Store(near, (b.axis(r), b.axis(n)), x)
        return For(r, (For(n, (copy,), kind="vector", lanes=k.target.lanes(sums.dtype)),))

    def rows_at_once(depth: Expr, count: Expr) -> For:
        """Add `count` rows of the matrix, from `depth` on, to the totals."""
        lane, n = Axis(width, "lane"), Axis(count, "n")
        column = split(b, b.add(begin, b.axis(lane)), p.column_extents)
        at = split(b, b.add(depth, b.axis(n)), p.depth_extents)
        y = sums.widen(b, p.right.value(batch, column, at))
        carried = []
        for r in range(p.rows):
            x = b.load(near, (b.index(r), b.axis(n)))
            carry = Carry(sums.dtype, f"s{r}")
            (total,) = sums.accumulate(b, (b.carry(carry),), (x,), y)
            carried.append(Carried(carry, b.load(totals, (b.index(r), b.axis(lane))), total))
        stores = tuple(
            Store(totals, (b.index(r), b.axis(lane)), b.final(one.carry))
            for r, one in enumerate(carried)
        )
        return For(lane, (For(n, (), tuple(carried)), *stores), kind="vector", lanes=lanes)

    clear, r_axis = Axis(width, "lane"), Axis(p.rows, "r")
    zero = Store(totals, (b.axis(r_axis), b.axis(clear)), sums.zero(b)[0])
    body: list[Statement] = [For(r_axis, (For(clear, (zero,), kind="vector", lanes=lanes),))]

    length = b.min(b.index(steps), b.sub(b.index(p.depth), first))
    groups = b.idiv(length, b.index(STREAM_ROWS))
    done = b.mul(groups, b.index(STREAM_ROWS))
    for count, extent, start in (
        (b.index(STREAM_ROWS), groups, first),
        (b.sub(length, done), b.index(1), b.add(first, done)),
    ):
        axis = Axis(extent, "rows")
        if axis.extent != 0 and not (count.kind == "const" and count.data == 0):
            depth = b.add(start, b.mul(b.axis(axis), b.index(STREAM_ROWS)))
            body.append(For(axis, (factors(depth, count), rows_at_once(depth, count))))

    partial = None
    if shares > 1:
        partial = k.workspace("partial", sums.dtype, (shares, p.batch, p.rows, p.columns))
    row, lane = Axis(p.rows, "r"), Axis(width, "lane")
    column = b.add(begin, b.axis(lane))
    total = b.load(totals, (b.axis(row), b.axis(lane)))
    mine = b.ge(column, b.mul(chunk, b.index(width))) if p.columns % width else None
    store = finish(p, sums, partial, share, matrix, b.axis(row), column, total, mine)
    body.append(For(row, (For(lane, store, kind="vector", lanes=lanes),)))
    grain = max(1, WORTH_A_THREAD * task.length // (p.batch * p.rows * p.columns * p.depth))
    k.emit((For(task, tuple(body), kind="parallel"),), task.length, grain)
    if partial is not None:
        add_shares(p, sums, partial)


def read_through(p: Product, sums: Arithmetic) -> None:
    """One row times a matrix. Every task reads rows that lie together, from end to end: where
    memory limits, that takes half of the time of parts of rows, which wait at every page.

    Sums of all columns stay in a cache. While that is L1, one row of the matrix after the other is
    added to them, else several side by side, each by an instruction of its own: processors foresee
    what an instruction reads next. Rows of few vectors are added several at a time, too.
    """
    k, b = p.k, p.k.b
    size, lanes = p.columns * sums.bytes, k.target.lanes(sums.dtype)
    wide = 4 * size > k.target.l1
    lanes *= 2 if wide else 4
    together = STREAMS if wide or p.columns <= lanes else 1
    # as in `shares_of`, but by what is read
    shares = max(1, min(ENOUGH // p.batch, p.depth * size // SHARE))
    steps = -(-p.depth // shares // together) * together
    shares = -(-p.depth // steps)
    task = Axis(p.batch * shares, "task")
    share, matrix = b.imod(b.axis(task), b.index(shares)), b.idiv(b.axis(task), b.index(shares))
    batch, row = split(b, matrix, p.batch_extents), split(b, b.index(0), p.row_extents)
    first = b.mul(share, b.index(steps))
    length = b.min(b.index(steps), b.sub(b.index(p.depth), first))
    totals = k.scratch("totals", sums.dtype, (p.columns,))

    def along_columns(make: Callable[[Expr], tuple[Statement, ...]]) -> For:
        lane = Axis(p.columns, "lane")
        return For(lane, make(b.axis(lane)), kind="vector", lanes=lanes)

    def add(begin: Expr, rows: int) -> For:
        def one(column: Expr) -> tuple[Statement, ...]:
            total: Parts = (b.load(totals, (column,)),)
            for n in range(rows):
                depth = split(b, b.add(begin, b.index(n)), p.depth_extents)
                x = sums.widen(b, p.left.value(batch, row, depth))
                y = sums.widen(b, p.right.value(batch, split(b, column, p.column_extents), depth))
                total = sums.accumulate(b, total, x, y)
            return (Store(totals, (column,), total[0]),)

        return along_columns(one)

    body = [along_columns(lambda column: (Store(totals, (column,), sums.zero(b)[0]),))]
    done = b.mul(b.idiv(length, b.index(together)), b.index(together))
    for rows, start, count in (together, first, done), (1, b.add(first, done), b.sub(length, done)):
        extent = b.idiv(count, b.index(rows))
        step = Axis(extent, "step")
        if step.extent != 0:
            body.append(For(step, (add(b.add(start, b.mul(b.axis(step), b.index(rows))), rows),)))

    partial = None
    if shares > 1:
        partial = k.workspace("partial", sums.dtype, (shares, p.batch, 1, p.columns))

    def write(column: Expr) -> tuple[Statement, ...]:
        total = b.load(totals, (column,))
        return finish(p, sums, partial, share, matrix, b.index(0), column, total)

    body.append(along_columns(write))
    grain = max(1, SHARE * task.length // (p.batch * p.depth * size))
    k.emit((For(task, tuple(body), kind="parallel"),), task.length, grain)
    if partial is not None:
        add_shares(p, sums, partial)


def finish(
    p: Product,
    sums: Arithmetic,
    partial: Buffer | None,
    share: Expr,
    matrix: Expr,
    row: Expr,
    column: Expr,
    total: Expr,
    mask: Expr | None = None,
) -> tuple[Statement, ...]:
    """Store a sum as an element of the result, or as what `share` contributes to it."""
    b = p.k.b
    if partial is not None:
        return (Store(partial, (share, matrix, row, column), total, mask),)
    value = sums.result(b, (total,), p.k.outputs[0].dtype_name)
    return p.place(
        split(b, matrix, p.batch_extents),
        split(b, row, p.row_extents),
        split(b, column, p.column_extents),
        value,
        mask,
    )
