"""Dot products of many long lines with a few: a group of lines goes through the depth in pieces.

    parallel: matrix of the batch, group of rows, tile of columns
      piece of the depth                      the columns' part of it stays in L1
        tile of rows                          reads its rows once, in pieces as long as a page
          vector: lanes along the depth       all sums of the tile in registers
            step of the piece

Between two pieces the vectors of sums wait in L1; their lanes are added at the very end. With a
tile that goes through all of the depth at once (`lines`), every tile reads the columns from L2.
"""

from __future__ import annotations

from math import prod

from fornax.compiler.kernels.arithmetic import Arithmetic, Parts, balanced
from fornax.compiler.kernels.lines import ENOUGH, WORTH_A_THREAD, finish, staged, tile_of
from fornax.compiler.kernels.product import Product, Side, split
from fornax.compiler.loop.ir import Axis, Buffer, Carried, Carry, Expr, For, If, Statement, Store

#: Bytes of a line that are read at a time, and tiles of rows that go through them in turn.
PAGE, GROUP = 4096, 8


def prefers_groups(p: Product, sums: Arithmetic) -> bool:
    """True where lines are long and fill whole vectors, and there are many tiles of them."""
    many, few = max(p.rows, p.columns), min(p.rows, p.columns)
    rows, columns = tile_of(p if p.rows == many else p.swap())
    tiles = p.batch * -(-many // rows) * -(-few // columns)
    even = p.depth % p.k.target.lanes(sums.dtype) == 0
    single = sum(n > 1 for n in p.depth_extents) == 1
    long = p.depth * sums.bytes >= 2 * PAGE
    return columns > 2 and even and single and long and tiles >= ENOUGH * GROUP


def line_groups(p: Product, sums: Arithmetic) -> None:
    """Every element of the result is a dot product with lanes along the depth."""
    if p.columns > p.rows:
        p = p.swap()
    k, b = p.k, p.k.b
    rows, columns = tile_of(p)
    lanes = k.target.lanes(sums.dtype)
    row_tiles, column_tiles = -(-p.rows // rows), -(-p.columns // columns)
    groups = -(-row_tiles // GROUP)
    vectors = p.depth // lanes
    piece = balanced(vectors, PAGE // sums.bytes // lanes)
    task = Axis(p.batch * groups * column_tiles, "task")
    column = b.mul(b.imod(b.axis(task), b.index(column_tiles)), b.index(columns))
    flat = b.idiv(b.axis(task), b.index(column_tiles))
    first = b.mul(b.imod(flat, b.index(groups)), b.index(GROUP))
    matrix = b.idiv(flat, b.index(groups))
    batch = split(b, matrix, p.batch_extents)
    tiles = b.min(b.index(GROUP), b.sub(b.index(row_tiles), first))
    first = b.mul(first, b.index(rows))
    left = staged(p, p.left, sums, p.row_extents, column_tiles)
    right = staged(p, p.right, sums, p.column_extents, row_tiles)
    totals = k.scratch("totals", sums.dtype, (GROUP * rows, columns, lanes))

    def read(
        side: Side, copy: Buffer | None, at: Expr, extents: tuple[int, ...], depth: Expr
    ) -> Parts:
        here = b.min(at, b.index(prod(extents) - 1))
        if copy is not None:
            return (b.load(copy, (matrix, here, depth)),)
        index = split(b, depth, p.depth_extents)
        return sums.widen(b, side.value(batch, split(b, here, extents), index))

    part, tile = Axis(-(-vectors // piece), "piece"), Axis(tiles, "tile")
    begin = b.mul(b.axis(part), b.index(piece))
    step = Axis(b.min(b.index(piece), b.sub(b.index(vectors), begin)), "step")
    lane = Axis(lanes, "lane")
    position = b.mul(b.add(begin, b.axis(step)), b.index(lanes))
    depth = b.add(position, b.axis(lane))
    row = b.mul(b.axis(tile), b.index(rows))
    x = [
        read(p.left, left, b.add_index(first, row, b.index(r)), p.row_extents, depth)
        for r in range(rows)
    ]
    y = [
        read(p.right, right, b.add(column, b.index(c)), p.column_extents, depth)
        for c in range(columns)
    ]
    fresh = b.eq(b.axis(part), b.index(0))
    carried, saves = [], []
    # column by column: registers hold a vector of every row and of one column beside the sums
    for c in range(columns):
        for r in range(rows):
            place = b.add(row, b.index(r)), b.index(c), b.axis(lane)
            start = b.select(fresh, sums.zero(b)[0], b.load(totals, place))
            carry = Carry(sums.dtype, f"s{r}_{c}")
            (total,) = sums.accumulate(b, (b.carry(carry),), x[r], y[c])
            carried.append(Carried(carry, start, total))
            saves.append(Store(totals, place, b.final(carry)))
    multiply = For(lane, (For(step, (), tuple(carried)), *saves), kind="vector", lanes=lanes)

    done = Axis(b.mul(tiles, b.index(rows)), "row")
    results: list[Statement] = []
    for c in range(columns):
        one, carry = Axis(lanes, "lane"), Carry(sums.dtype, "sum")
        waiting = b.load(totals, (b.axis(done), b.index(c), b.axis(one)))
        total = b.add(b.carry(carry), waiting)
        loop = For(
            one, (), (Carried(carry, sums.zero(b)[0], total, "add"),), kind="vector", lanes=lanes
        )
        at = b.add(first, b.axis(done)), b.add(column, b.index(c))
        write = finish(p, sums, None, b.index(0), matrix, *at, b.final(carry))
        whole = b.and_(b.lt(at[0], b.index(p.rows)), b.lt(at[1], b.index(p.columns)))
        results += [loop, *(write if whole.kind == "const" else (If(whole, write),))]
    body = For(part, (For(tile, (multiply,)),)), For(done, tuple(results))
    work = p.batch * p.rows * p.columns * p.depth
    grain = max(1, WORTH_A_THREAD * task.length // work)
    k.emit((For(task, body, kind="parallel"),), task.length, grain)
