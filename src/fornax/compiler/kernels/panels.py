"""Where a matrix product reads its operands from: in place, or packed.

Packing copies an operand once into the order in which the register tiles read it. It widens narrow
dtypes and evaluates what is fused into the operand, so that the inner loops have no strides. A
source answers `read`; `fill` gives the statements that pack one tile of one matrix (none for an
operand read in place). A packed source holds the whole operand, or, `near` where it is used, only
the tiles of one block, which then stay in the cache they were packed into.

A tile is `width` rows of the left operand or columns of the right one. Where tiles do not fit, the
last one overlaps the one before it: what both compute is the same, so nothing needs a mask. Only a
matrix narrower than a tile sticks out; it is filled up with zeros. Depth is cut into `blocks` of
`depth` steps each; the last one overlaps the one before it, too, and what both have is left out of
its sums (`done`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fornax.compiler.kernels.arithmetic import Arithmetic, Parts, power_of_two
from fornax.compiler.kernels.product import Index, Side, split, split_near
from fornax.compiler.kernels.tile_ranges import Range
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Buffer, Expr, For, Statement, Store
from fornax.record import record

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: Steps of the depth that are transposed at once.
CHUNK = 64

#: Steps of the depth that are copied together, and the bytes of a cache line.
STEPS, LINE = 16, 64

Allocate = Callable[[str, "DtypeName", tuple[int, ...]], Buffer]


@record(frozen=True)
class Cut:
    """How one side is cut: free extents into tiles of `width`, depth into `blocks` of `depth`."""

    side: Side
    sums: Arithmetic
    batch_extents: tuple[int, ...]
    free_extents: tuple[int, ...]
    depth_extents: tuple[int, ...]
    free: int
    total: int  # all of the depth
    width: int
    blocks: int
    depth: int

    @property
    def b(self) -> Builder:
        return self.side.k.b

    @property
    def uneven(self) -> bool:
        """The last block of the depth overlaps the one before it."""
        return self.blocks * self.depth != self.total

    @property
    def tiles(self) -> int:
        return -(-self.free // self.width)

    @property
    def sticks_out(self) -> bool:
        """The matrix is narrower than its one tile."""
        return self.free < self.width

    def transposes_squares(self, lanes: int) -> bool:
        """Vectors along the depth read whole, fill the rows of a tile, and need no masks."""
        whole = self.depth >= lanes and self.width % lanes == 0
        plain = not self.sticks_out and self.sums.parts == 1
        return whole and plain and lanes >= 4 and sum(n > 1 for n in self.depth_extents) <= 1

    def first(self, tile: Expr) -> Expr:
        """The free index at which a tile begins."""
        b = self.b
        base = b.mul(tile, b.index(self.width))
        if self.free % self.width == 0 or self.sticks_out:
            return base
        return b.min(base, b.index(self.free - self.width))

    def element(
        self, batch: Index, base: Expr, offset: Expr, depth: Index, mask: Expr | None = None
    ) -> Parts:
        """The element at free index base + offset and `depth`, widened."""
        b = self.b
        free = split_near(b, base, offset, self.width, self.free_extents)
        value = self.side.value(batch, free, depth, mask)
        return self.sums.widen(b, value)

    def depth_index(self, block: Expr, step: Expr) -> Index:
        """The index of `step` in `block`, one expression per dimension of the depth."""
        return split_near(self.b, self.begin(block), step, self.depth, self.depth_extents)

    def begin(self, block: Expr) -> Expr:
        """The position in the whole depth at which a block begins."""
        b = self.b
        begin = b.mul(block, b.index(self.depth))
        return b.min(begin, b.index(self.total - self.depth)) if self.uneven else begin

    def done(self, block: Expr) -> Expr:
        """Steps of a block that the one before it has."""
        return self.b.sub(self.b.mul(block, self.b.index(self.depth)), self.begin(block))

    def flat_depth(self, block: Expr, step: Expr) -> Expr:
        """The position in the whole depth of `step` in `block`."""
        return self.b.add(self.begin(block), step)


@record(frozen=True)
class Spot:
    """A tile of a matrix: `slot` counts from the first tile that is held near, `block` is the block
    of the depth, None for all of them."""

    batch: Expr
    tile: Expr
    slot: Expr
    block: Expr | None

    @property
    def one_block(self) -> Expr:
        """The block of the depth, where it is read."""
        assert self.block is not None, "reads are of one block of the depth"
        return self.block


Make = Callable[[Spot], tuple[Statement, ...]]
#: Makes statements for each of several tiles.
Each = Callable[[Make], tuple[Statement, ...]]


def pieces(width: int, masked: bool) -> list[int]:
    """Powers of two that add up to `width`: vectors without masks, where there is no mask yet."""
    if masked:
        return [width]
    return [1 << bit for bit in reversed(range(width.bit_length())) if width >> bit & 1]


class InPlace:
    """Read the operand where it is."""

    packed, near, narrow = False, False, False

    def __init__(self, cut: Cut):
        self.cut = cut

    def fill(
        self, each: Each, block: Expr | None, units: Range | None = None
    ) -> tuple[Statement, ...]:
        return ()

    def read(self, at: Spot, step: Expr, offset: Expr) -> Parts:
        cut, b = self.cut, self.cut.b
        index = split(b, at.batch, cut.batch_extents)
        depth = cut.depth_index(at.one_block, step)
        mask = b.lt(offset, b.index(cut.free)) if cut.sticks_out else None
        return cut.element(index, cut.first(at.tile), offset, depth, mask)


class Panels:
    """Packed as panels [batch, block, tile, depth step, part, offset in the tile].

    `batched` panels exist for every matrix of the batch; others hold one matrix at a time, or
    `near` tiles of one block of the depth.
    """

    packed = True

    def __init__(
        self, cut: Cut, name: str, allocate: Allocate, batch: int, along: str, near: int = 0
    ):
        self.cut = cut
        self.batched = batch > 1 and not near
        self.near = near > 0
        self.along = along
        held = (1, 1, near) if near else (batch, cut.blocks, cut.tiles)
        shape = (*held, cut.depth, cut.sums.parts, cut.width)
        self.buffer = allocate(name, cut.sums.packed, shape)

    def _place(self, at: Spot, block: Expr) -> Index:
        zero = self.cut.b.index(0)
        if self.near:
            return zero, zero, at.slot
        return at.batch if self.batched else zero, block, at.tile

    def read(self, at: Spot, step: Expr, offset: Expr) -> Parts:
        b = self.cut.b
        index = (*self._place(at, at.one_block), step)
        return tuple(
            b.load(self.buffer, (*index, b.index(part), offset))
            for part in range(self.cut.sums.parts)
        )

    @property
    def narrow(self) -> bool:
        """A step of a tile is a part of a cache line."""
        return self.along == "free" and self.cut.width * self.cut.sums.bytes < LINE

    @property
    def steps(self) -> int:
        """Steps of narrow tiles that are packed together, for one tile after the other."""
        return min(STEPS, self.cut.depth)

    @property
    def units(self) -> int:
        """Parts that packing one block can be shared out in: groups of steps, or tiles."""
        return -(-self.cut.depth // self.steps) if self.narrow else self.cut.tiles

    def fill(
        self, each: Each, block: Expr | None, units: Range | None = None
    ) -> tuple[Statement, ...]:
        """Pack one block, or all of them; of narrow tiles only these groups of steps."""
        cut, b = self.cut, self.cut.b
        every, step = Axis(cut.blocks, "block"), Axis(cut.depth, "step")
        here = b.axis(every) if block is None else block
        if self.narrow:
            groups = units or Range.piece(b, self.units, 1, b.index(0))
            body: tuple[Statement, ...] = (
                groups.loop(b, 1, lambda r: each(self._group(here, r.first)), "steps"),
            )
        elif self.along == "depth":
            body = each(lambda at: (self._transpose(at, here),))
        else:
            body = each(lambda at: (For(step, self._step(at, here, b.axis(step))),))
        return body if block is not None else (For(every, body),)

    def _group(self, block: Expr, group: Expr) -> Make:
        """Pack a group of steps: few rows of memory are read, each from end to end, and whole cache
        lines are written. The last group overlaps the one before it where they do not fit."""
        cut, b, size = self.cut, self.cut.b, self.steps
        first = b.mul(group, b.index(size))
        if cut.depth % size:
            first = b.min(first, b.index(cut.depth - size))
        step = Axis(size, "step")
        at_step = b.add(first, b.axis(step))
        return lambda at: (For(step, self._step(at, block, at_step)),)

    def _step(self, at: Spot, block: Expr, step: Expr) -> tuple[Statement, ...]:
        """Pack one step of the depth of a tile."""
        cut, b = self.cut, self.cut.b
        write: list[Statement] = []
        base = 0
        # one vector with a mask where all instructions take masks
        for width in pieces(cut.width, cut.sticks_out or 8 in cut.side.k.target.masked_bits):
            lane = Axis(width, "w")
            offset = b.add(b.axis(lane), b.index(base))
            body = self._write(at, block, step, offset)
            write.append(For(lane, body, kind="vector", lanes=power_of_two(width)))
            base += width
        return tuple(write)

    def _transpose(self, at: Spot, block: Expr) -> Statement:
        """Pack one block of a tile whose neighbours in memory are steps of the depth.

        A few cache lines of every row at a time, so that what is written stays in L1. The last
        chunk overlaps the one before it where the chunks do not fit.
        """
        cut, b = self.cut, self.cut.b
        lanes = cut.side.k.target.lanes(cut.sums.dtype)
        if cut.transposes_squares(lanes):
            return self._squares(at, block, lanes)
        size = min(CHUNK, cut.depth)
        unroll = next(n for n in (8, 4, 2, 1) if size % n == 0)
        chunk, lane = Axis(-(-cut.depth // size), "chunk"), Axis(cut.width, "w")
        group, one = Axis(size // unroll, "group"), Axis(unroll, "one")
        first = b.min(b.mul(b.axis(chunk), b.index(size)), b.index(cut.depth - size))
        step = b.add_index(first, b.mul(b.axis(group), b.index(unroll)), b.axis(one))
        body = self._write(at, block, step, b.axis(lane))
        inner = For(group, (For(one, body, kind="unroll"),))
        return For(chunk, (For(lane, (inner,)),))

    def _squares(self, at: Spot, block: Expr, lanes: int) -> Statement:
        """The same by squares of as many steps and rows as a vector has lanes, which the back end
        transposes in registers."""
        cut, b = self.cut, self.cut.b
        size = min(CHUNK, cut.depth // lanes * lanes)
        chunk = Axis(-(-cut.depth // size), "chunk")
        square, one = Axis(cut.width // lanes, "square"), Axis(lanes, "one")
        within = Axis(size, "step")
        first = b.min(b.mul(b.axis(chunk), b.index(size)), b.index(cut.depth - size))
        offset = b.add(b.mul(b.axis(square), b.index(lanes)), b.axis(one))
        body = self._write(at, block, b.add(first, b.axis(within)), offset)
        inner = For(within, (For(one, body, kind="unroll"),), kind="vector", lanes=lanes)
        return For(chunk, (For(square, (inner,)),))

    def _write(self, at: Spot, block: Expr, step: Expr, offset: Expr) -> tuple[Statement, ...]:
        """Pack one element."""
        cut, b = self.cut, self.cut.b
        base = cut.first(at.tile)
        mask = b.lt(offset, b.index(cut.free)) if cut.sticks_out else None
        index = split(b, at.batch, cut.batch_extents)
        values = cut.element(index, base, offset, cut.depth_index(block, step), mask)
        where = (*self._place(at, block), step)
        return tuple(
            Store(self.buffer, (*where, b.index(part), offset), value)
            for part, value in enumerate(values)
        )


class Lines:
    """Packed as lines [batch, free, depth]: neighbours along the depth stay neighbours.

    For left operands, whose elements are read one at a time, when they run along the depth. Held
    `near` are lines of that many tiles, of one block of the depth.
    """

    packed, narrow = True, False

    def __init__(self, cut: Cut, name: str, allocate: Allocate, batch: int, near: int = 0):
        self.cut = cut
        self.batched = batch > 1 and not near
        self.near = near > 0
        lanes = cut.side.k.target.lanes(cut.sums.dtype)
        steps = cut.depth if near else cut.total
        self.steps = -(-steps // lanes) * lanes
        # An odd number of cache lines, so that the lines of a tile do not share cache sets.
        stride = self.steps + (lanes if self.steps // lanes % 2 == 0 else 0)
        self.lanes = 2 * lanes
        held = (1, near * cut.width) if near else (batch, max(cut.free, cut.width))
        self.buffer = allocate(name, cut.sums.packed, (*held, stride))

    def _line(self, at: Spot, offset: Expr) -> Index:
        cut, b = self.cut, self.cut.b
        if self.near:
            return b.index(0), b.add(b.mul(at.slot, b.index(cut.width)), offset)
        return at.batch if self.batched else b.index(0), b.add(cut.first(at.tile), offset)

    def read(self, at: Spot, step: Expr, offset: Expr) -> Parts:
        position = step if self.near else self.cut.flat_depth(at.one_block, step)
        return (self.cut.b.load(self.buffer, (*self._line(at, offset), position)),)

    @property
    def units(self) -> int:
        return self.cut.tiles

    def fill(
        self, each: Each, block: Expr | None, units: Range | None = None
    ) -> tuple[Statement, ...]:
        """Pack tiles."""
        return each(self._fill)

    def _fill(self, at: Spot) -> tuple[Statement, ...]:
        """Pack one tile. Lines past the end repeat the last one: their sums are thrown away."""
        cut, b = self.cut, self.cut.b
        line = Axis(cut.width, "line")
        step = Axis(cut.total if at.block is None else cut.depth, "step")
        row = b.add(cut.first(at.tile), b.axis(line))
        here = b.min(row, b.index(cut.free - 1)) if cut.sticks_out else row
        index = split(b, at.batch, cut.batch_extents)
        where = self._line(at, b.axis(line))
        depth = split(b, b.axis(step), cut.depth_extents)
        if at.block is not None:
            depth = cut.depth_index(at.block, b.axis(step))
        (value,) = cut.element(index, here, b.index(0), depth)
        copy = Store(self.buffer, (*where, b.axis(step)), value)
        return (For(line, (For(step, (copy,), kind="vector", lanes=self.lanes),)),)


Source = InPlace | Panels | Lines
