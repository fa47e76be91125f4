"""`cholesky` of small matrices, row by row of the transposed factor.

Row k of it is what is left of column k of the matrix when the rows before have been subtracted,
each times its element k, divided by the root of its first element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.matrices import Stack, Tile
from fornax.compiler.loop.builder import Value
from fornax.compiler.loop.ir import Axis, Expr, For, Statement, Store


def cholesky(k: KernelContext) -> None:
    """Emit the nest of a `cholesky`."""
    n = k.inputs[0].shape[-1]
    if not k.inputs[0].size:
        return
    b, stack = k.b, Stack(k, n * n)
    tile = Tile(stack, "factor", n, n)
    # 1, or NaN where a matrix is not positive definite; the root of the step
    fine = k.scratch("fine", stack.part, (stack.lanes,))
    root = k.scratch("root", stack.part, (stack.lanes,))
    lane = (stack.lane if stack.across else b.index(0),)
    step = Axis(n, "step")
    here = b.axis(step)
    zero = b.const(0.0, stack.part)

    # where lanes are matrices a tile is as they are; else its rows are their columns
    def load(row: Expr, column: Expr) -> Value:
        return tile.load(column, row) if stack.across else tile.load(row, column)

    def store(row: Expr, column: Expr, value: Value) -> tuple[Store, ...]:
        return tile.store(*((column, row) if stack.across else (row, column)), value)

    def subtracted(places: list[Expr]) -> Sequence[Statement]:
        before = Axis(here, "before")
        row = b.axis(before)
        mine = stack.conjugate(load(row, here))
        starts = [load(here, place) for place in places]
        loop, left = stack.sums(before, starts, [b.mul(load(row, p), mine) for p in places])
        stores = [store(here, p, value) for p, value in zip(places, left, strict=True)]
        return [loop, *(s for group in stores for s in group)]

    def scaled(places: list[Expr]) -> Sequence[Statement]:
        size = b.load(root, lane)
        stores = [store(here, p, stack.divided(load(here, p), size)) for p in places]
        return [s for group in stores for s in group]

    def result(row: Expr, column: Expr) -> Value:
        value = load(column, row)
        kept = b.select(b.ge(row, column), value, stack.complete(zero))
        return stack.times(kept, b.load(fine, lane))

    pivot = stack.real(load(here, here))
    wrong = b.select(b.gt(pivot, zero), b.load(fine, lane), b.const(math.nan, stack.part))
    after, rest = b.add(here, b.index(1)), b.sub(b.index(n - 1), here)
    steps = (
        *stack.along(here, b.sub(b.index(n), here), n, subtracted),
        Store(fine, lane, wrong),
        Store(root, lane, b.sqrt(pivot)),
        *store(here, here, stack.complete(b.load(root, lane))),
        *stack.along(after, rest, n, scaled),
    )
    body = [
        *stack.fill(tile, 0, turned=True),
        *stack.work([Store(fine, lane, b.const(1.0, stack.part)), For(step, steps)]),
        *stack.finish(0, n, n, result, turned=True),
    ]
    stack.emit(body, n * n * (n + 20))
