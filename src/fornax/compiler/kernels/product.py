"""A `dot_general` seen as batched matrix multiplication: rows x depth times depth x columns.

Each of the four groups of dimensions (batch, rows, columns, depth) is one flat index to the loop
nests. `Side` turns flat indices back into the index of an operand, `Product.place` into that of the
result; where the dimensions are neighbours in memory the divisions cancel again.
"""

from __future__ import annotations

from math import prod

from fornax.compiler.kernels.context import KernelContext, weight
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import Axis, Buffer, Expr, Statement, is_float
from fornax.record import record

Index = tuple[Expr, ...]


def split(b: Builder, flat: Expr, extents: tuple[int, ...]) -> Index:
    """The index, one expression per dimension, of element `flat` in row-major order."""
    index: list[Expr] = []
    for extent in reversed(extents[1:]):
        index.append(b.index(0) if extent == 1 else b.imod(flat, b.index(extent)))
        flat = flat if extent == 1 else b.idiv(flat, b.index(extent))
    if extents:
        index.append(b.index(0) if extents[0] == 1 else flat)
    return tuple(reversed(index))


def split_near(b: Builder, base: Expr, offset: Expr, width: int, extents: tuple[int, ...]) -> Index:
    """`split` of base + offset, where base is a multiple of `width` and 0 <= offset < width.

    The offset moves only the last dimensions, those whose product `width` divides, which keeps
    neighbouring lanes neighbours in memory.
    """
    inner = 1
    for n in reversed(range(1, len(extents))):
        inner *= extents[n]
        if inner % width == 0:
            outer = split(b, b.idiv(base, b.index(inner)), extents[:n])
            near = b.add(b.imod(base, b.index(inner)), offset)
            return (*outer, *split(b, near, extents[n:]))
    return split(b, b.add(base, offset), extents)


@record(frozen=True)
class Side:
    """One operand: which of its dimensions are batch, free and contracted, in matching order."""

    k: KernelContext
    operand: int
    batch: tuple[int, ...]
    free: tuple[int, ...]
    depth: tuple[int, ...]

    def extents(self, dimensions: tuple[int, ...]) -> tuple[int, ...]:
        shape = self.k.inputs[self.operand].shape
        return tuple(shape[d] for d in dimensions)

    @property
    def batch_extents(self) -> tuple[int, ...]:
        return self.extents(self.batch)

    @property
    def free_extents(self) -> tuple[int, ...]:
        return self.extents(self.free)

    @property
    def depth_extents(self) -> tuple[int, ...]:
        return self.extents(self.depth)

    @property
    def dtype(self) -> str:
        return self.k.inputs[self.operand].dtype_name

    @property
    def buffer(self) -> Buffer | None:
        return self.k.operand_buffer(self.operand)

    def value(self, batch: Index, free: Index, depth: Index, mask: Expr | None = None) -> Value:
        """One element, or 0 where `mask` is false."""
        index: list[Expr] = [self.k.b.index(0)] * len(self.k.inputs[self.operand].shape)
        for dimensions, group in (
            (self.batch, batch), (self.free, free), (self.depth, depth)
        ):  # fmt: skip
            for d, expr in zip(dimensions, group, strict=True):
                index[d] = expr
        if mask is None:
            return self.k.operand(self.operand, index)
        return self.k.operand_where(self.operand, index, mask)

    @property
    def runs_along(self) -> str:
        """Which group is innermost in memory: "free", "depth" or "neither".

        An operand without neighbours (all extents 1) counts as running along its free group.
        """
        inner = self.k.contiguous_dimension(self.operand)
        if inner is None:
            long = [d for d, n in enumerate(self.k.inputs[self.operand].shape) if n > 1]
            return "free" if not long else "neither"
        if inner in self.free:
            return "free"
        return "depth" if inner in self.depth else "neither"

    def weight(self) -> int:
        """Operations and loads that it takes to compute one element."""
        b = self.k.b
        groups = (self.batch_extents, self.free_extents, self.extents(self.depth))
        places = (tuple(b.axis(Axis(max(n, 2), "i")) for n in extents) for extents in groups)
        batch, free, depth = places
        return weight(Side.value(self, batch, free, depth))


class PairedSide(Side):
    """An operand of bfloat16 or int16 as words of two steps of the depth, the first one in the low
    half. An odd depth is filled up with a zero."""

    buffer = None  # nothing in memory holds such words

    @property
    def dtype(self) -> str:
        return "uint32"

    @property
    def depth_extents(self) -> tuple[int, ...]:
        return (-(-prod(self.extents(self.depth)) // 2),)

    def value(self, batch: Index, free: Index, depth: Index, mask: Expr | None = None) -> Value:
        """One word, or 0 where `mask` is false."""
        b = self.k.b
        extents = self.extents(self.depth)
        first = b.mul(depth[0], b.index(2))
        second = b.add(first, b.index(1))
        low = super().value(batch, free, split(b, first, extents), mask)
        if prod(extents) % 2:
            inside = b.lt(second, b.index(prod(extents)))
            mask = inside if mask is None else b.and_(mask, inside)
        high = super().value(batch, free, split(b, second, extents), mask)
        assert isinstance(low, Expr) and isinstance(high, Expr), "words are of real numbers"
        return word(b, low, high)


def word(b: Builder, low: Expr, high: Expr) -> Expr:
    """Two bfloat16 or int16 in one word."""
    half = b.const(16, "uint32")
    if is_float(low.dtype):
        low, high = (b.bitcast(b.cast(x, "bfloat16"), dtype="uint32") for x in (low, high))
        return b.or_(b.shr_logical(low, half), b.and_(high, b.const(0xFFFF0000, "uint32")))
    low, high = (b.cast(x, "uint32") for x in (low, high))
    return b.or_(b.and_(low, b.const(0xFFFF, "uint32")), b.shl(high, half))


@record(frozen=True)
class Product:
    """sum over depth of left(batch, row, depth) * right(batch, depth, column).

    `left` is operand 0 unless `swapped`; then rows and columns change places, which is how the
    lanes of a vector can run along the free dimensions of operand 0.
    """

    k: KernelContext
    left: Side
    right: Side
    swapped: bool

    @property
    def batch_extents(self) -> tuple[int, ...]:
        return self.left.batch_extents

    @property
    def row_extents(self) -> tuple[int, ...]:
        return self.left.free_extents

    @property
    def column_extents(self) -> tuple[int, ...]:
        return self.right.free_extents

    @property
    def depth_extents(self) -> tuple[int, ...]:
        return self.left.depth_extents

    @property
    def batch(self) -> int:
        return prod(self.batch_extents)

    @property
    def rows(self) -> int:
        return prod(self.row_extents)

    @property
    def columns(self) -> int:
        return prod(self.column_extents)

    @property
    def depth(self) -> int:
        return prod(self.depth_extents)

    def swap(self) -> Product:
        """The same product with rows and columns exchanged."""
        return Product(self.k, self.right, self.left, not self.swapped)

    def paired(self) -> Product:
        """The same product of words of two steps of the depth."""
        left, right = (
            PairedSide(s.k, s.operand, s.batch, s.free, s.depth) for s in (self.left, self.right)
        )
        return Product(self.k, left, right, self.swapped)

    def place(
        self, batch: Index, row: Index, column: Index, value: Value, mask: Expr | None = None
    ) -> tuple[Statement, ...]:
        """Write one element of the result, where `mask` holds."""
        inner = (*column, *row) if self.swapped else (*row, *column)
        if mask is None:
            return self.k.store(0, (*batch, *inner), value)
        return self.k.store_where(0, (*batch, *inner), value, mask)


def product(k: KernelContext) -> Product:
    """The product that a `dot_general` asks for."""
    contracted, (left_batch, right_batch) = k.params["dimension_numbers"]
    # The order of the sum is ours to choose: that of the left operand in memory.
    pairs = sorted(zip(*contracted, strict=True))
    left_depth, right_depth = (tuple(p[side] for p in pairs) for side in (0, 1))
    sides = []
    for i, (batch, depth) in enumerate(((left_batch, left_depth), (right_batch, right_depth))):
        rank = len(k.inputs[i].shape)
        free = tuple(d for d in range(rank) if d not in batch and d not in depth)
        sides.append(Side(k, i, tuple(batch), free, tuple(depth)))
    return Product(k, sides[0], sides[1], False)
