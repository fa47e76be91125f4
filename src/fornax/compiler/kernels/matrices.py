"""Stacks of small matrices: how they lie in local memory while a kernel works on them.

Two ways, and the same steps of an algorithm for both:

* across: a lane for each matrix. What belongs to one element of several matrices is a vector, and
  every loop of the algorithm is a serial one around vectors.
* within: one matrix at a time, with lanes along its rows.

Local copies ("tiles") are transposed on their way where that is needed: `lanes` vectors at once,
which change places in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING

from fornax.compiler.kernels.context import KernelContext, parts
from fornax.compiler.kernels.product import split
from fornax.compiler.loop.builder import Value
from fornax.compiler.loop.ir import (
    COMPLEX,
    REAL,
    WIDTH,
    Axis,
    Carried,
    Carry,
    Expr,
    For,
    Pair,
    Statement,
    Store,
)

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: operations on vectors that are worth a thread
WORTH_A_THREAD = 20_000
#: bytes of the tiles of matrices in lanes: they stay in the second cache
ACROSS = 1 << 17 | 1 << 16
#: registers of a row that are computed at once within a matrix
TOGETHER = 4
#: rows or columns that share what they read where lanes are matrices
ABREAST = 4


class Tile:
    """Local memory of matrices of `rows` x `columns`, a buffer for each part of their elements."""

    def __init__(
        self, stack: Stack, name: str, rows: int, columns: int, dtype: DtypeName | None = None
    ):
        self.stack = stack
        self.dtype = dtype
        shape: tuple[int, ...] = (rows, columns, stack.lanes)
        if not stack.across:
            shape = (rows, -(-columns // stack.vector) * stack.vector)
        self.buffers = [
            stack.k.scratch(f"{name}{part}", dtype or stack.part, shape)
            for part in range(2 if stack.is_complex and dtype is None else 1)
        ]

    def at(self, row: Expr, column: Expr) -> tuple[Expr, ...]:
        return (row, column, self.stack.lane) if self.stack.across else (row, column)

    def load(self, row: Expr, column: Expr) -> Value:
        loaded = [self.stack.b.load(m, self.at(row, column)) for m in self.buffers]
        return joined(loaded)

    def store(self, row: Expr, column: Expr, value: Value) -> tuple[Store, ...]:
        return self.put(self.at(row, column), value)

    def put(self, at: tuple[Expr, ...], value: Value) -> tuple[Store, ...]:
        pairs = zip(self.buffers, parts(value), strict=True)
        return tuple(Store(buffer, at, part) for buffer, part in pairs)


class Stack:
    """The matrices of the operands of an operation.

    elements: of all tiles of one matrix. most: bytes of tiles up to which lanes are matrices.
    """

    def __init__(self, k: KernelContext, elements: int, most: int = ACROSS):
        self.k, self.b = k, k.b
        type = k.inputs[0]
        self.shape = tuple(type.shape[:-2])
        self.count = prod(self.shape)
        self.is_complex = type.dtype_name in COMPLEX
        self.part = COMPLEX.get(type.dtype_name) or REAL[type.dtype_name]
        #: elements in a register
        self.vector = k.target.lanes(self.part)
        size = elements * (2 if self.is_complex else 1) * WIDTH[self.part] // 8
        self.across = self.count >= max(2, self.vector // 2) and size * self.vector <= most
        self.lanes = min(self.vector, 1 << (self.count.bit_length() - 1)) if self.across else 1
        self.axis = Axis(self.lanes, "lane")
        self.lane = self.b.axis(self.axis)
        self.task = Axis(-(-self.count // self.lanes), "task")
        # the last group overlaps the one before
        first = self.b.mul(self.b.axis(self.task), self.b.index(self.lanes))
        self.first = self.b.min(first, self.b.index(self.count - self.lanes))

    def place(self, lane: int | Expr) -> tuple[Expr, ...]:
        """The index in the stack of the matrix of a lane."""
        return split(self.b, self.b.add(self.first, self.b.index(lane)), self.shape)

    def element(self, i: int, lane: int | Expr, row: Expr, column: Expr) -> Value:
        return self.k.operand(i, (*self.place(lane), row, column))

    def emit(self, body: Sequence[Statement], operations: int) -> None:
        """The nest: `operations` is how many one matrix takes."""
        each = operations if self.across else -(-operations // self.vector)
        grain = max(1, WORTH_A_THREAD // each)
        self.k.emit((For(self.task, tuple(body), kind="parallel"),), self.task.length, grain)

    # --- in and out ---
    def fill(self, tile: Tile, i: int, turned: bool = False) -> list[Statement]:
        """Copy operand `i` to a tile; its transpose, within a matrix, if `turned`."""
        b = self.b
        rows, columns = self.k.inputs[i].shape[-2:]
        if self.across:  # vectors of a matrix, transposed on their way
            element = Axis(rows * columns, "element")
            at = b.axis(element)
            row, column = b.idiv(at, b.index(columns)), b.imod(at, b.index(columns))
            stores = [
                store
                for p in range(self.lanes)
                for store in tile.put((row, column, b.index(p)), self.element(i, p, row, column))
            ]
            return [self.vectors(element, stores, self.lanes)]
        if not turned:
            line, along = Axis(rows, "row"), Axis(columns, "column")
            here = (b.axis(line), b.axis(along))
            copy = tile.put(here, self.element(i, 0, *here))
            return [For(line, (self.vectors(along, copy),))]

        def square(first: Expr, count: int) -> For:
            column = Axis(columns, "column")
            here = b.axis(column)
            stores: list[Statement] = []
            for p in range(count):
                row = b.add(first, b.index(p))
                stores += tile.put((here, row), self.element(i, 0, row, here))
            return self.vectors(column, stores, count)

        return self.in_squares(rows, columns, square)

    def in_squares(
        self, rows: int, columns: int, square: Callable[[Expr, int], For]
    ) -> list[Statement]:
        """Loops over blocks of as many rows as change places in registers."""
        b = self.b
        size = min(self.vector, 1 << (min(rows, columns).bit_length() - 1))
        block = Axis(rows // size, "block")
        body: list[Statement] = [For(block, (square(b.mul(b.axis(block), b.index(size)), size),))]
        if rows % size:
            body.append(square(b.index(rows - size), size))  # some of them again
        return body

    def finish(
        self, j: int, rows: int, columns: int, value: Callable[[Expr, Expr], Value], turned: bool
    ) -> list[Statement]:
        """Write result `j`, of `rows` x `columns` elements; `turned`: neighbours in a tile are
        those of a column."""
        b = self.b
        vector = rows == 1 and len(self.k.outputs[j].shape) == len(self.shape) + 1

        def write(lane: int | Expr, row: Expr, column: Expr) -> tuple[Store, ...]:
            place = (column,) if vector else (row, column)
            return self.k.store(j, (*self.place(lane), *place), value(row, column))

        if self.across:  # several elements, which stores transpose

            def some(first: Expr, count: int) -> For:
                stores: list[Statement] = []
                for p in range(count):
                    at = b.add(first, b.index(p))
                    row, column = b.idiv(at, b.index(columns)), b.imod(at, b.index(columns))
                    stores += write(self.lane, row, column)
                return self.vectors(self.axis, stores, self.lanes)

            size = rows * columns
            together = min(self.lanes, size)
            block = Axis(size // together, "block")
            first = b.mul(b.axis(block), b.index(together))
            body: list[Statement] = [For(block, (some(first, together),))]
            if size % together:
                body.append(some(b.index(size - size % together), size % together))
            return body
        if not turned:
            row, column = Axis(rows, "row"), Axis(columns, "column")
            return [For(row, (self.vectors(column, write(0, b.axis(row), b.axis(column))),))]

        def square(first: Expr, count: int) -> For:
            row = Axis(rows, "row")
            stores: list[Statement] = []
            for p in range(count):
                stores += write(0, b.axis(row), b.add(first, b.index(p)))
            return self.vectors(row, stores, count)

        return self.in_squares(columns, rows, square)

    # --- loops ---
    def vectors(self, axis: Axis, body: Sequence[Statement], lanes: int = 0) -> For:
        """A loop in lanes along a row of memory."""
        lanes = lanes or min(self.vector, 1 << (axis.length.bit_length() - 1))
        return For(axis, tuple(body)) if lanes == 1 else For(axis, tuple(body), (), "vector", lanes)

    def work(self, body: Sequence[Statement]) -> list[Statement]:
        """The steps of an algorithm, for all lanes."""
        return [self.vectors(self.axis, body, self.lanes)] if self.across else list(body)

    def along(
        self, first: Expr, left: Expr, most: int,
        body: Callable[[list[Expr]], Sequence[Statement]],
    ) -> list[Statement]:  # fmt: skip
        """`body` of `left` places of a row, `most` at most, from `first` on: some at a time, which
        share what they read."""
        b = self.b
        if not self.across:
            place = Axis(left, "place")
            if place.extent == 0:
                return []
            lanes = min(TOGETHER * self.vector, 1 << (most.bit_length() - 1))
            return [self.vectors(place, body([b.add(first, b.axis(place))]), lanes)]
        blocks, rest = b.idiv(left, b.index(ABREAST)), b.imod(left, b.index(ABREAST))
        loops: list[Statement] = []
        for extent, count, begin in (
            (blocks, ABREAST, first),
            (rest, 1, b.add(first, b.mul(blocks, b.index(ABREAST)))),
        ):
            axis = Axis(extent, "place")
            if axis.extent != 0:
                start = b.add(begin, b.mul(b.axis(axis), b.index(count)))
                loops.append(
                    For(axis, tuple(body([b.add(start, b.index(p)) for p in range(count)])))
                )
        return loops

    def sums(
        self, axis: Axis, starts: Sequence[Value], terms: Sequence[Value]
    ) -> tuple[For, list[Value]]:
        """The loop over `axis` that subtracts terms from starts, and what is left."""
        b = self.b
        carried: list[Carried] = []
        results: list[Value] = []
        for start, term in zip(starts, terms, strict=True):
            carries = [Carry(self.part, "left") for _ in parts(start)]
            now = [b.carry(c) for c in carries]
            after = b.sub(joined(now), term)
            carried += map(Carried, carries, parts(start), parts(after))
            finals = [b.final(c) for c in carries]
            results.append(joined(finals))
        return For(axis, (), tuple(carried)), results

    def divided(self, value: Value, by: Expr) -> Value:
        """A value divided by a real one."""
        return joined([self.b.div(part, by) for part in parts(value)])

    def times(self, value: Value, factor: Expr) -> Value:
        """A value times a real one."""
        return joined([self.b.mul(part, factor) for part in parts(value)])

    def complete(self, real: Expr) -> Value:
        """A real value as one of the dtype of the matrices."""
        return Pair(real, self.b.const(0.0, self.part)) if self.is_complex else real

    def held(self, value: Value) -> tuple[Value, tuple[Store, ...]]:
        """A complex value kept aside while the parts it was made of are overwritten, and the
        statements that put it there."""
        if not isinstance(value, Pair):
            return value, ()
        none, tile = self.b.index(0), Tile(self, "held", 1, 1)
        return tile.load(none, none), tile.store(none, none, value)

    def conjugate(self, value: Value) -> Value:
        return Pair(value.real, self.b.neg(value.imag)) if isinstance(value, Pair) else value

    def real(self, value: Value) -> Expr:
        return value.real if isinstance(value, Pair) else value


def joined(found: Sequence[Expr]) -> Value:
    """A value of its parts."""
    return Pair(*found) if len(found) == 2 else found[0]
