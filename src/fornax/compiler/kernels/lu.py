"""`lu` of small matrices: column by column, the largest element first.

The row with the largest element of what is left of a column is exchanged with the one that is next,
and then subtracted from all below it. Where lanes are matrices, which row that is differs from lane
to lane: every row takes the place of the other, or stays, by a selection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fornax.compiler.kernels.context import KernelContext, parts
from fornax.compiler.kernels.matrices import Stack, Tile, joined
from fornax.compiler.loop.ir import Axis, Carried, Carry, Expr, For, Pair, Statement

Place = Callable[[Expr], tuple[Expr, Expr]]


def lu(k: KernelContext) -> None:
    """Emit the nests of an `lu`."""
    if k.inputs[0].size:
        Elimination(k).emit()
    elif k.outputs[2].size:
        in_order(k)


def in_order(k: KernelContext) -> None:
    """The permutation of rows without elements."""
    b = k.b
    axes = [Axis(n, "i") for n in k.outputs[2].shape]
    index = [b.axis(axis) for axis in axes]
    body: tuple[Statement, ...] = k.store(2, index, b.cast(index[-1], "int32"))
    for axis in reversed(axes):
        body = (For(axis, body),)
    k.emit(body)


class Elimination:
    """The nest of an `lu`."""

    def __init__(self, k: KernelContext):
        self.k, self.b = k, k.b
        self.rows, self.columns = k.inputs[0].shape[-2:]
        self.least = min(self.rows, self.columns)
        self.stack = Stack(k, self.rows * self.columns)
        self.tile = Tile(self.stack, "factors", self.rows, self.columns)
        self.pivots = Tile(self.stack, "pivots", 1, self.least, "int32")
        self.order = Tile(self.stack, "order", 1, self.rows, "int32")
        self.step = Axis(self.least, "step")
        self.here = self.b.axis(self.step)

    def emit(self) -> None:
        b, stack = self.b, self.stack
        row = Axis(self.rows, "row")
        none = b.index(0)
        start = self.order.store(none, b.axis(row), b.cast(b.axis(row), "int32"))
        search, pivot = self.search()
        steps = (
            *search,
            *self.pivots.store(none, self.here, pivot),
            *self.exchange(),
            *self.eliminate(),
        )
        body = [
            *stack.fill(self.tile, 0),
            *stack.work([For(row, start), For(self.step, steps)]),
            *stack.finish(0, self.rows, self.columns, self.tile.load, turned=False),
            *stack.finish(1, 1, self.least, self.pivots.load, turned=False),
            *stack.finish(2, 1, self.rows, self.order.load, turned=False),
        ]
        stack.emit(body, self.rows * self.least * (self.columns + 20))

    def below(self) -> tuple[Axis, Expr]:
        """The rows below the one of the step."""
        b = self.b
        axis = Axis(b.sub(b.index(self.rows - 1), self.here), "below")
        return axis, b.add_index(self.here, 1, b.axis(axis))

    def size(self, row: Expr) -> Expr:
        """What elements of the column are compared by: LAPACK's, of complex ones."""
        b, value = self.b, self.tile.load(row, self.here)
        if isinstance(value, Pair):
            return b.add(b.abs(value.real), b.abs(value.imag))
        return b.abs(value)

    def search(self) -> tuple[list[Statement], Expr]:
        """The loop that finds the row of the pivot, and that row, as int32."""
        b = self.b
        axis, row = self.below()
        here = b.cast(self.here, "int32")
        if axis.extent == 0:
            return [], here
        most, which = Carry(self.stack.part, "most"), Carry("int32", "which")
        size = self.size(row)
        larger = b.gt(size, b.carry(most))
        loop = For(
            axis,
            (),
            (
                Carried(most, self.size(self.here), b.select(larger, size, b.carry(most))),
                Carried(which, here, b.select(larger, b.cast(row, "int32"), b.carry(which))),
            ),
        )
        return [loop], b.final(which)

    def pivot(self) -> Expr:
        """The row that is exchanged with the one of the step, as int32."""
        found = self.pivots.load(self.b.index(0), self.here)
        assert isinstance(found, Expr)
        return found

    def exchange(self) -> list[Statement]:
        """Exchange two rows, and their places in the order."""
        b, none = self.b, self.b.index(0)
        exchanged = self.selected if self.stack.across else self.swapped

        def elements(columns: list[Expr]) -> Sequence[Statement]:
            return exchanged(self.tile, [in_column(column) for column in columns])

        body = self.stack.along(none, b.index(self.columns), self.columns, elements)
        return [*body, *exchanged(self.order, [lambda row: (none, row)])]

    def swapped(self, tile: Tile, places: Sequence[Place]) -> list[Statement]:
        """Exchange the elements at two places each, by way of a third."""
        none, other = self.b.index(0), self.b.cast(self.pivot(), "int64")
        body: list[Statement] = []
        for place in places:
            first, second = place(self.here), place(other)
            aside = Tile(self.stack, f"aside_{tile.buffers[0].name}", 1, self.columns, tile.dtype)
            third = (none, first[1] if tile is self.tile else none)
            body += aside.store(*third, tile.load(*first))
            body += tile.store(*first, tile.load(*second))
            body += tile.store(*second, aside.load(*third))
        return body

    def selected(self, tile: Tile, places: Sequence[Place]) -> list[Statement]:
        """Exchange elements with those in a row of each lane's own."""
        b = self.b
        axis, row = self.below()
        if axis.extent == 0:
            return []
        chosen = b.eq(b.cast(row, "int32"), self.pivot())
        carried: list[Carried] = []
        after: list[Statement] = []
        for place in places:
            first, value = tile.load(*place(self.here)), tile.load(*place(row))
            carries = [Carry(buffer.dtype, "found") for buffer in tile.buffers]
            for carry, start, part in zip(carries, parts(first), parts(value), strict=True):
                carried.append(Carried(carry, start, b.select(chosen, part, b.carry(carry))))
            after += tile.store(*place(self.here), joined([b.final(c) for c in carries]))
        again, row = self.below()
        chosen = b.eq(b.cast(row, "int32"), self.pivot())
        stores: list[Statement] = []
        for place in places:
            value = b.select(chosen, tile.load(*place(self.here)), tile.load(*place(row)))
            stores += tile.store(*place(row), value)
        return [For(axis, (), tuple(carried)), For(again, tuple(stores)), *after]

    def eliminate(self) -> list[Statement]:
        """Subtract the row of the step from those below."""
        b, stack, tile, here = self.b, self.stack, self.tile, self.here
        axis, row = self.below()
        if axis.extent == 0:
            return []
        pivot = tile.load(here, here)
        zero, one = b.const(0.0, stack.part), b.const(1.0, stack.part)
        none = [b.eq(part, zero) for part in parts(pivot)]
        nothing = b.and_(*none) if stack.is_complex else none[0]
        # where a column holds zeros only, they stay zeros
        safe = joined([b.select(nothing, one, stack.real(pivot)), *parts(pivot)[1:]])
        value, before = stack.held(tile.load(row, here))

        def rest(columns: list[Expr]) -> Sequence[Statement]:
            stores: list[Statement] = []
            for column in columns:
                term = b.mul(tile.load(row, here), tile.load(here, column))
                stores += tile.store(row, column, b.sub(tile.load(row, column), term))
            return stores

        first, left = b.add(here, b.index(1)), b.sub(b.index(self.columns - 1), here)
        factor = tile.store(row, here, b.div(value, safe))
        body = (*before, *factor, *stack.along(first, left, self.columns, rest))
        return [For(axis, body)]


def in_column(column: Expr) -> Place:
    """The place in a column of a row."""
    return lambda row: (row, column)
