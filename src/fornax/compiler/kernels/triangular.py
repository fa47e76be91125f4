"""`triangular_solve` of small matrices.

All flags come to one system, c x = b for each column of b: `coefficient` and `unknown` say where
the elements of c and x lie. Rows of x are found one after the other. Within a matrix, lanes are the
columns of b; where these are few they are the rows that are still to be found, from all of which a
row is subtracted as soon as it is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.matrices import ACROSS, Stack, Tile
from fornax.compiler.loop.builder import Value
from fornax.compiler.loop.ir import COMPLEX, Axis, Expr, For, Statement

#: as `ACROSS`, where within a matrix the columns of b fill a vector
WIDE = 1 << 15


def triangular_solve(k: KernelContext) -> None:
    """Emit the nest of a `triangular_solve`."""
    if not k.outputs[0].size:
        return
    Solve(k).emit()


class Solve:
    """The nest of a solve."""

    def __init__(self, k: KernelContext):
        self.k, self.b, self.params = k, k.b, k.params
        self.left: bool = k.params["left_side"]
        #: whether the coefficient of row i and column j is a[j, i]
        self.turned = self.left == k.params["transpose_a"]
        self.forward = k.params["lower"] != self.turned
        self.rows, self.columns = k.inputs[1].shape[-2:]
        self.n = self.rows if self.left else self.columns
        self.count = self.columns if self.left else self.rows
        dtype = k.inputs[0].dtype_name
        wide = 2 * self.count > k.target.lanes(COMPLEX.get(dtype, dtype))
        self.stack = Stack(k, self.n * (self.n + self.count), WIDE if wide else ACROSS)
        self.narrow = not (wide or self.stack.across)
        self.steps = Axis(self.n, "step")
        self.a: Tile | None = None

    def emit(self) -> None:
        stack, n = self.stack, self.n
        body: list[Statement] = []
        if stack.across:
            self.a = Tile(stack, "a", n, n)
            body += stack.fill(self.a, 0)
        elif self.narrow and not self.turned:
            self.a = Tile(stack, "a", n, n)
            body += stack.fill(self.a, 0, turned=True)
        #: whether a row of the tile is a column of b: always where lanes are matrices
        self.as_b = stack.across or self.left != self.narrow
        shape = (self.rows, self.columns) if self.as_b else (self.columns, self.rows)
        self.x = Tile(stack, "x", *shape)
        body += stack.fill(self.x, 1, turned=not self.as_b)
        loop = self.by_subtraction() if self.narrow else self.by_sums()
        body += stack.work([loop])
        body += stack.finish(0, self.rows, self.columns, self.result, turned=not self.as_b)
        stack.emit(body, n * (n * (self.count + 1) + 10 * self.count))

    # --- where elements lie ---
    def coefficient(self, row: Expr, column: Expr) -> Value:
        first, second = (column, row) if self.turned else (row, column)
        if self.a is None:
            found = self.stack.element(0, 0, first, second)
        elif self.stack.across:
            found = self.a.load(first, second)
        else:
            found = self.a.load(second, first)
        return self.stack.conjugate(found) if self.params["conjugate_a"] else found

    def unknown(self, row: Expr, column: Expr) -> tuple[Expr, Expr]:
        """The place in the tile of an element of x."""
        return (row, column) if self.left == self.as_b else (column, row)

    def result(self, row: Expr, column: Expr) -> Value:
        return self.x.load(*((row, column) if self.as_b else (column, row)))

    def found(self, value: Value, row: Expr) -> Value:
        if self.params["unit_diagonal"]:
            return value
        return self.b.div(value, self.coefficient(row, row))

    def at(self, step: Expr) -> Expr:
        """The row that is found in a step."""
        return step if self.forward else self.b.sub(self.b.index(self.n - 1), step)

    # --- ways ---
    def by_sums(self) -> For:
        """What is known is subtracted from a row at once."""
        b, stack = self.b, self.stack
        step = b.axis(self.steps)
        row = self.at(step)

        def solved(columns: list[Expr]) -> Sequence[Statement]:
            before = Axis(step, "before")
            other = self.at(b.axis(before))
            factor = self.coefficient(row, other)
            places = [self.unknown(row, column) for column in columns]
            terms = [b.mul(factor, self.x.load(*self.unknown(other, c))) for c in columns]
            loop, left = stack.sums(before, [self.x.load(*place) for place in places], terms)
            stores: list[Statement] = []
            for place, value in zip(places, left, strict=True):
                stores += self.x.store(*place, self.found(value, row))
            return [loop, *stores]

        body = stack.along(b.index(0), b.index(self.count), self.count, solved)
        return For(self.steps, tuple(body))

    def by_subtraction(self) -> For:
        """What has been found is subtracted from all rows that are still to be."""
        b, stack = self.b, self.stack
        step, column = b.axis(self.steps), Axis(self.count, "column")
        row, which = self.at(step), b.axis(column)
        place = self.unknown(row, which)

        def rest(others: list[Expr]) -> Sequence[Statement]:
            stores: list[Statement] = []
            for other in others:
                at = self.unknown(other, which)
                term = b.mul(self.coefficient(other, row), self.x.load(*place))
                stores += self.x.store(*at, b.sub(self.x.load(*at), term))
            return stores

        left = b.sub(b.index(self.n - 1), step)
        first = b.add(step, b.index(1)) if self.forward else b.index(0)
        known, before = stack.held(self.x.load(*place))
        here = (*before, *self.x.store(*place, self.found(known, row)))
        body = (*here, *stack.along(first, left, self.n, rest))
        return For(self.steps, (For(column, body),))
