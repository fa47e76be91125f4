"""`cholesky` of small matrices, row by row of the transposed factor.

Row k of it is what is left of column k of the matrix when the rows before have been subtracted,
each times its element k, divided by the root of its first element.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.matrices import Stack, Tile
from fornax.compiler.loop.builder import Value
from fornax.compiler.loop.ir import Axis, Expr, For, Pair, Statement, Store


def cholesky(k: KernelContext) -> None:
    """Emit the nest of a `cholesky`."""
    n = k.inputs[0].shape[-1]
    if not k.inputs[0].size:
        return
    stack = Stack(k, n * n)
    b = k.b
    tile = Tile(stack, "factor", n, n)
    #: 1, or NaN where a matrix is not positive definite
    fine = k.scratch("fine", stack.part, (stack.lanes,))
    at_fine = (stack.lane if stack.across else b.index(0),)
    one, none = b.const(1.0, stack.part), b.const(math.nan, stack.part)

    # across, a tile is as the matrix is; within, rows of a tile are its columns
    def load(row: Expr, column: Expr) -> Value:
        return tile.load(column, row) if stack.across else tile.load(row, column)

    def store(row: Expr, column: Expr, value: Value) -> tuple[Store, ...]:
        return tile.store(*((column, row) if stack.across else (row, column)), value)

    step = Axis(n, "step")
    here = b.axis(step)

    def subtracted(places: list[Expr]) -> Sequence[Statement]:
        before = Axis(here, "before")
        row = b.axis(before)
        mine = stack.conjugate(load(row, here))
        starts = [load(here, place) for place in places]
        loop, left = stack.sums(before, starts, [b.mul(load(row, p), mine) for p in places])
        stores = [store(here, p, value) for p, value in zip(places, left, strict=True)]
        return [loop, *(s for group in stores for s in group)]

    pivot = stack.real(load(here, here))
    root = b.sqrt(pivot)

    def scaled(places: list[Expr]) -> Sequence[Statement]:
        stores: list[Statement] = []
        for place in places:
            value = load(here, place)
            stores += store(here, place, stack.divided(value, size()))
        return stores

    diagonal = k.scratch("diagonal", stack.part, (stack.lanes,))

    def size() -> Expr:
        return b.load(diagonal, at_fine)

    zero = b.const(0.0, stack.part)
    after, rest = b.add(here, b.index(1)), b.sub(b.index(n - 1), here)
    steps = [
        *stack.along(here, b.sub(b.index(n), here), n, subtracted),
        Store(fine, at_fine, b.select(b.gt(pivot, zero), b.load(fine, at_fine), none)),
        Store(diagonal, at_fine, root),
        *store(here, here, Pair(size(), zero) if stack.is_complex else size()),
        *stack.along(after, rest, n, scaled),
    ]

    def result(row: Expr, column: Expr) -> Value:
        value = tile.load(row, column) if stack.across else tile.load(column, row)
        inside, factor = b.ge(row, column), b.load(fine, at_fine)
        nothing: Value = Pair(zero, zero) if stack.is_complex else zero
        kept = b.select(inside, value, nothing)
        if isinstance(kept, Pair):
            return Pair(b.mul(kept.real, factor), b.mul(kept.imag, factor))
        return b.mul(kept, factor)

    body = [
        *stack.fill(tile, 0, turned=True),
        *stack.work([Store(fine, at_fine, one), For(step, tuple(steps))]),
        *stack.finish(0, n, n, result, turned=True),
    ]
    stack.emit(body, n * n * (n + 20))
