"""What is decided of a tiled matrix product before it is written: the register tile, the pieces for
threads, the blocks for caches, and whether operands are read in place or packed, near or once.
"""

from __future__ import annotations

from fornax.compiler.kernels.arithmetic import Arithmetic, balanced, choose_tile, room_on_the_right
from fornax.compiler.kernels.context import weight
from fornax.compiler.kernels.panels import Cut, InPlace, Lines, Panels, Source
from fornax.compiler.kernels.product import Product, Side
from fornax.compiler.loop.ir import Axis, Carry, Expr, Store

#: Fewer multiplications than this are not worth a thread.
WORTH_A_THREAD = 1 << 19
#: multiplications that take as long as reading an element that is not in the first cache
READ_ONCE = 8
#: Most elements that every thread packs for itself rather than wait for the others.
PACKED_ALONE = 1 << 15
#: Pieces for each thread where there is enough work: one that is held up takes fewer.
SPARE_PIECES = 4
#: Multiplications done in the time of reading an element once more, or of packing it near.
READ, PACK_LEFT, PACK_RIGHT = 4, 16, 40
#: The part of a thread's work by which it may be held up.
HELD_UP = 0.1
#: Matrices of at most this many multiplications are always read in place.
TINY = 1 << 12
#: Operands that take at most this many operations an element are packed near, again and again:
#: reading an element again takes hardly more than reading a copy of it.
NEAR = 4
#: Tiles that read a row of the left operand: so few do not pay for a copy of it.
FEW_READERS = 2
#: So many tiles of columns at most make it worth while to compute a part of the last one only.
FEW_COLUMN_TILES = 16
#: Bytes of a cache line, and of the memory that one way of the first cache covers.
LINE, PAGE = 64, 4096
#: Steps of the depth that are added up one by one, up to twice as many where that is all. Sums of
#: so many are added to one another: rounding errors grow with the root of either number, not of
#: their product.
RUN = 512
#: An epilogue of at most this many operations is repeated for every row of a tile.
LIGHT = 6


class Decisions:
    """The sizes and sources of one product, from which its statements follow."""

    def __init__(self, p: Product, sums: Arithmetic):
        self.p, self.sums, self.k, self.b = p, sums, p.k, p.k.b
        self.tile = choose_tile(self.k.target, sums, p.row_extents, p.column_extents, p.depth)
        self.row_tiles = -(-p.rows // self.tile.rows)
        self.column_tiles = -(-p.columns // self.tile.columns)
        self.narrow = self._narrow()
        # with few rows or columns, reading the elements of the other operand takes longest
        self.work = p.batch * max(p.rows, READ_ONCE) * max(p.columns, READ_ONCE) * p.depth
        self._choose_pieces()
        self._choose_blocks()
        self._choose_sources()
        self.light = self._is_light()
        #: pieces of all matrices, and how many of them are worth a thread
        self.tasks = p.batch * self.pieces
        self.grain = max(1, WORTH_A_THREAD * self.tasks // max(self.work, 1))

    def _narrow(self) -> int:
        """Columns of the last tile where at most half of its vectors are needed; 0: all of them."""
        columns = self.tile.columns
        last = self.tile.last(self.p.columns, self.k.target.lanes(self.sums.dtype))
        few = self.column_tiles <= FEW_COLUMN_TILES and self.p.columns > columns
        return last if few and last < columns and self.sums.parts == 1 else 0

    def _choose_pieces(self) -> None:
        """Cut each matrix so that the pieces of all matrices keep the threads equally busy."""
        p = self.p
        threads = self.k.threads if self.work >= 2 * WORTH_A_THREAD else 1
        pieces = 1 if p.batch % threads == 0 or p.batch >= 8 * threads else threads
        small = p.depth * (p.rows + p.columns) <= PACKED_ALONE
        self.alone = pieces == 1 or small
        near = not small and not self.k.hoists
        # a tile of a left operand that runs along its rows is read a part of a cache line at a time
        along = p.left.runs_along == "depth"
        self.left_near = near and along and p.left.weight() <= NEAR
        self.right_near = near and p.right.weight() <= NEAR
        most = 1
        if not self.alone:
            most = max(1, min(SPARE_PIECES, self.work // (2 * pieces * WORTH_A_THREAD)))
        # Whole tiles go to pieces, evenly to threads. Every piece reads again, or packs, what it
        # does not share out, and a thread that is held up keeps the others waiting for one piece.
        left = p.rows * (READ if self._left_in_place() else PACK_LEFT)
        right = p.columns * (PACK_RIGHT if self.right_near and not self._right_in_place() else READ)
        choices = []
        for along_rows, tiles in ((True, self.row_tiles), (False, self.column_tiles)):
            shared, repeated = (left, right) if along_rows else (right, left)
            idle = -(-tiles // pieces) * pieces / tiles
            for n in range(pieces, max(min(pieces * most, tiles), pieces) + 1, pieces):
                again = (shared + n * repeated) / (p.rows * p.columns)
                choices.append((idle + again + HELD_UP * pieces / n, n, along_rows))
        _, count, self.along_rows = min(choices, key=lambda c: c[0])
        self.pieces = min(count, self.row_tiles if self.along_rows else self.column_tiles)

    def _choose_blocks(self) -> None:
        """Sizes of blocks: a block of the right operand takes a part of the second cache, sums
        that wait for the next block of the depth another one. Depth is cut only where the columns
        of one tile alone would take too much: the left operand streams by."""
        p, sums, target, tile = self.p, self.sums, self.k.target, self.tile
        size = p.rows * p.columns * p.depth
        left = size <= TINY or self._left_in_place()
        right = size <= (TINY if p.right.runs_along == "free" else TINY // 8)
        right = right or self._right_in_place()
        room = room_on_the_right(target)
        most = max(room // (tile.columns * sums.bytes), 64)
        blocks = 1 if 2 * p.depth <= 3 * most else -(-p.depth // most)
        even = [n for n in range(blocks, 2 * blocks) if p.depth % n == 0]
        plain = sum(n > 1 for n in p.depth_extents) <= 1
        if not (even or plain):
            left = right = False
        # blocks that do not reach from one run of memory into the next
        runs = [n for n in even if self._run(p.depth // n) % (p.depth // n) == 0]
        if runs and not plain:
            blocks = runs[0]
        elif even and (left or right or even[0] <= blocks * 5 // 4):
            blocks = even[0]
        self.block = -(-p.depth // blocks)
        self.blocks = -(-p.depth // self.block)
        self.runs = 1
        if self.block > 2 * RUN and (plain or not (left or right)):
            least = -(-self.block // RUN)
            self.runs = next((n for n in range(least, 2 * least) if self.block % n == 0), least)
        self.left_in_place, self.right_in_place = left, right
        rows, columns = self.row_tiles, self.column_tiles
        if self.along_rows:
            rows = -(-rows // self.pieces)
        else:
            columns = -(-columns // self.pieces)
        self.wide = balanced(columns, max(1, room // (self.block * tile.columns * sums.bytes)))
        self.tall = rows
        if self.blocks > 1:
            waiting = self.wide * tile.rows * tile.columns * sums.bytes
            self.tall = balanced(rows, max(1, room * 2 // waiting))
        # packing again for every block of columns takes longer than reading a copy
        self.left_near = self.left_near and self.wide == columns

    def _run(self, least: int) -> int:
        """Steps of the depth, at least so many, that belong to its last dimensions alone."""
        run = 1
        for extent in reversed(self.p.depth_extents):
            run *= extent
            if run >= least:
                break
        return run

    def _choose_sources(self) -> None:
        p, sums = self.p, self.sums
        shared = self.k.scratch if self.alone else self.k.workspace
        copies = 1 if self.alone else p.batch
        left_cut = self._cut(p.left, p.row_extents, p.rows, self.tile.rows)
        right_cut = self._cut(p.right, p.column_extents, p.columns, self.tile.columns)
        self.left: Source
        self.right: Source
        near, allocate = (1, self.k.scratch) if self.left_near else (0, shared)
        if self.left_in_place:
            self.left = InPlace(left_cut)
        elif p.left.runs_along == "depth" and sums.parts == 1:
            self.left = Lines(left_cut, "left", allocate, copies, near)
        else:
            self.left = Panels(left_cut, "left", allocate, copies, p.left.runs_along, near)
        near, allocate = (self.wide, self.k.scratch) if self.right_near else (0, shared)
        if self.right_in_place:
            self.right = InPlace(right_cut)
        else:
            self.right = Panels(right_cut, "right", allocate, copies, p.right.runs_along, near)

    def _cut(self, side: Side, extents: tuple[int, ...], free: int, width: int) -> Cut:
        p = self.p
        return Cut(
            side, self.sums, p.batch_extents, extents, p.depth_extents, free, p.depth,
            width, self.blocks, self.block,
        )  # fmt: skip

    def _plain(self, side: Side) -> bool:
        """The operand is memory that holds exactly what is multiplied."""
        return side.buffer is not None and side.dtype == self.sums.dtype

    def _left_in_place(self) -> bool:
        p, side = self.p, self.p.left
        if not self._plain(side) or sum(n > 1 for n in p.depth_extents) > 1:
            return False
        if p.rows * p.depth * self.sums.bytes <= self.k.target.l1 // 2:
            return True
        if side.runs_along != "depth":
            # a block of the depth lies together, and is no larger than that of the right operand
            dense = self._row_after_row(side, p.rows) and p.rows <= self.tile.columns
            return dense and self.column_tiles <= FEW_READERS
        # rows that lie a multiple of a page apart throw one another out of the first cache
        return self.column_tiles <= FEW_READERS or not self._crowded(side)

    def _crowded(self, side: Side) -> bool:
        """True when the rows of a tile share so few sets of the first cache that they do not
        stay there together."""
        stride = next(
            (side.buffer.strides[d] for d in reversed(side.free)
             if side.buffer is not None and self.k.inputs[side.operand].shape[d] > 1), 0,
        )  # fmt: skip
        lines = [stride * self.sums.bytes * r % PAGE // LINE for r in range(self.tile.rows)]
        return max(map(lines.count, lines)) > max(1, self.k.target.l1 // PAGE * 3 // 4)

    def _right_in_place(self) -> bool:
        p, side = self.p, self.p.right
        if side.runs_along != "free" or self.sums.parts == 2:
            return False
        if self.row_tiles == 1:  # every element is read once
            return True
        if not self._plain(side) or sum(n > 1 for n in p.depth_extents) > 1:
            return False
        if self.column_tiles <= FEW_READERS and self._row_after_row(side, p.columns):
            return True  # tiles of a copy would lie just as it does
        small = p.depth * p.columns * self.sums.bytes <= self.k.target.l2 * 5 // 16
        return small or self.row_tiles == 2

    def _row_after_row(self, side: Side, free: int) -> bool:
        """The next step of the depth follows in memory where the free elements of one end."""
        assert side.buffer is not None
        steps = [
            side.buffer.strides[d] for d in side.depth
            if self.k.inputs[side.operand].shape[d] > 1
        ]  # fmt: skip
        return side.runs_along == "free" and steps == [free]

    def _is_light(self) -> bool:
        """True when the epilogue is short enough to be repeated for every row of a tile."""
        b, p = self.b, self.p

        def place(extents: tuple[int, ...]) -> tuple[Expr, ...]:
            return tuple(b.axis(Axis(max(n, 2), "i")) for n in extents)

        sums = tuple(b.carry(Carry(self.sums.dtype)) for _ in range(self.sums.parts))
        value = self.sums.result(b, sums, self.k.outputs[0].dtype_name)
        probe = p.place(
            place(p.batch_extents), place(p.row_extents), place(p.column_extents), value
        )
        return weight(*(s.value for s in probe if isinstance(s, Store))) <= LIGHT
