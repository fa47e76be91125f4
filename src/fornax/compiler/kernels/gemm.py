"""The tiled matrix product: a register-tile micro-kernel inside loops that keep its data in cache.

    parallel: matrix of the batch, piece of its rows or columns
      block of columns, block of rows         sums between blocks of the depth stay in L2
        block of the depth                    a block of the right operand stays in L2
          tile of rows                        a tile of the left operand stays in L1
            tile of columns
              vector: columns of the tile     the micro-kernel: all sums in registers
                step of the depth

Both operands are read in place or packed (`panels`): near where they are used where reading them
again is cheap, so that the copy never leaves the cache; once for all threads where it is not. Sums
stay in a scratch accumulator between blocks of the depth. The epilogue runs on a finished tile: on
the registers where it is light, else row by row from the scratch. Tiles that do not fit overlap
(`panels`); of the last columns whole vectors that the tile before has computed are left out.
"""

from __future__ import annotations

from fornax.compiler.kernels.arithmetic import (
    Arithmetic,
    Parts,
    balanced,
    choose_tile,
    room_on_the_right,
)
from fornax.compiler.kernels.context import weight
from fornax.compiler.kernels.panels import (
    Cut,
    InPlace,
    Lines,
    Make,
    Panels,
    Source,
    Spot,
)
from fornax.compiler.kernels.product import Product, Side, split, split_near
from fornax.compiler.kernels.tile_ranges import Range
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


class Gemm:
    """The plan of one product: sizes, sources, and the statements that follow from them."""

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
        self.spill: Buffer | None = None

    # --- decisions ---
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
        if (left or right) and not even:
            left = right = False
        # blocks that do not reach from one run of memory into the next
        runs = [n for n in even if self._run(p.depth // n) % (p.depth // n) == 0]
        plain = sum(n > 1 for n in p.depth_extents) <= 1
        if runs and not plain:
            blocks = runs[0]
        elif even and (left or right or even[0] <= blocks * 5 // 4):
            blocks = even[0]
        self.blocks, self.block = blocks, -(-p.depth // blocks)
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
        if blocks > 1:
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

    # --- nests ---
    def emit(self) -> None:
        """Emit the packing nest, where operands are packed for all pieces, and the product."""
        p, b = self.p, self.b
        tasks = p.batch * self.pieces
        grain = max(1, WORTH_A_THREAD * tasks // max(self.work, 1))
        sources = [s for s in (self.left, self.right) if not isinstance(s, InPlace) and not s.near]
        task = Axis(tasks, "task")
        batch = b.idiv(b.axis(task), b.index(self.pieces))
        piece = b.imod(b.axis(task), b.index(self.pieces))
        whole = b.index(0)
        rows = Range.piece(b, self.row_tiles, *(
            (self.pieces, piece) if self.along_rows else (1, whole)
        ))  # fmt: skip
        columns = Range.piece(b, self.column_tiles, *(
            (1, whole) if self.along_rows else (self.pieces, piece)
        ))  # fmt: skip
        body: tuple[Statement, ...] = ()
        if self.alone:
            for source, tiles in ((self.left, rows), (self.right, columns)):
                if source in sources:
                    body += self.k.prepare(self._fill(source, batch, tiles))
        elif sources:
            self._emit_packing(sources, grain)
        body += self._blocks(batch, rows, columns)
        self.k.emit((For(task, body, kind="parallel"),), tasks, grain)

    def _emit_packing(self, sources: list[Panels | Lines], grain: int) -> None:
        """One nest packs all operands: every task packs an even share of each."""
        b = self.b
        shares = min(4 * self.pieces, min(s.units for s in sources))
        task = Axis(self.p.batch * shares, "task")
        batch = b.idiv(b.axis(task), b.index(shares))
        share = b.imod(b.axis(task), b.index(shares))
        body: tuple[Statement, ...] = ()
        for source in sources:
            part = Range.piece(b, source.units, shares, share)
            if source.narrow:
                whole = Range.piece(b, source.cut.tiles, 1, b.index(0))
                body += self._fill(source, batch, whole, units=part)
            else:
                body += self._fill(source, batch, part)
        self.k.emit((For(task, body, kind="parallel"),), task.length, grain)

    def _fill(
        self,
        source: Source,
        batch: Expr,
        tiles: Range,
        block: Expr | None = None,
        units: Range | None = None,
    ) -> tuple[Statement, ...]:
        """Pack a range of tiles, or `units` of them."""
        b = self.b

        def each(make: Make) -> tuple[Statement, ...]:
            def one(t: Range) -> tuple[Statement, ...]:
                return make(Spot(batch, t.first, b.sub(t.first, tiles.first), block))

            return (tiles.loop(b, 1, one, "pack"),)

        return source.fill(each, block, units)

    def _blocks(self, batch: Expr, rows: Range, columns: Range) -> tuple[Statement, ...]:
        """The cache blocks of one piece of one matrix."""
        b, tile = self.b, self.tile
        accumulator = None
        if self.blocks > 1:
            accumulator = self.k.scratch(
                "sums", self.sums.dtype,
                (self.tall, self.wide, self.sums.parts, tile.rows, tile.columns),
            )  # fmt: skip

        def block(row_block: Range, column_block: Range) -> tuple[Statement, ...]:
            depth = Axis(self.blocks, "block")

            def slot(tiles: Range, start: Range) -> Spot:
                return Spot(batch, tiles.first, b.sub(tiles.first, start.first), b.axis(depth))

            def one(row: Range) -> tuple[Statement, ...]:
                at_row = slot(row, row)
                packing: tuple[Statement, ...] = ()
                if self.left.near:
                    packing = self.left.fill(lambda make: make(at_row), at_row.block)

                def at(column: Range) -> tuple[Statement, ...]:
                    where = (
                        b.sub(row.first, row_block.first),
                        b.sub(column.first, column_block.first),
                    )
                    spots = slot(row, row), slot(column, column_block)
                    whole = self._tile(*spots, accumulator, where, self.tile.columns)
                    if not self.narrow:
                        return whole
                    last = b.eq(column.first, b.index(self.column_tiles - 1))
                    part = self._tile(*spots, accumulator, where, self.narrow)
                    return (If(last, part, whole),)

                return *packing, column_block.loop(b, 1, at, "column")

            packing: tuple[Statement, ...] = ()
            if self.right.near:
                packing = self._fill(self.right, batch, column_block, b.axis(depth))
            return (For(depth, (*packing, row_block.loop(b, 1, one, "row"))),)

        def across(column_block: Range) -> tuple[Statement, ...]:
            return (rows.loop(b, self.tall, lambda r: block(r, column_block), "tall"),)

        return (columns.loop(b, self.wide, across, "wide"),)

    # --- one register tile ---
    def _tile(
        self, row: Spot, column: Spot, accumulator: Buffer | None, where: tuple[Expr, Expr],
        width: int,
    ) -> tuple[Statement, ...]:  # fmt: skip
        """Multiply the last `width` columns of one tile over one block of the depth; `where` it is
        among the sums that wait."""
        b, tile = self.b, self.tile
        axis = Axis(width, "lane")
        lane = b.add(b.axis(axis), b.index(tile.columns - width))
        direct = self.light and not self.right.cut.sticks_out
        buffer, head = accumulator, where
        if accumulator is None and (self.runs > 1 or not direct):
            if self.spill is None:
                self.spill = self.k.scratch(
                    "tile", self.sums.dtype, (1, 1, self.sums.parts, tile.rows, tile.columns)
                )
            buffer, head = self.spill, (b.index(0), b.index(0))

        def slot(part: int, r: Expr, at: Expr) -> tuple[Expr, ...]:
            return (*head, b.index(part), r, at)

        def waiting(r: Expr, at: Expr) -> Parts:
            assert buffer is not None, "sums that are not stored at once wait in memory"
            return tuple(b.load(buffer, slot(part, r, at)) for part in range(self.sums.parts))

        def kept(r: int) -> Parts:
            return waiting(b.index(r), lane)

        run = Axis(self.runs, "run")
        loop, totals = self._depth_loop(row, column, lane, b.axis(run))
        loops: tuple[Statement, ...] = (loop,)
        first = b.eq(b.axis(run), b.index(0))
        if accumulator is not None:
            first = b.and_(first, b.eq(row.one_block, b.index(0)))
        if self.runs > 1 or accumulator is not None:
            totals = [
                tuple(
                    b.select(first, new, total)
                    for new, total in zip(sums, self.sums.add(b, kept(r), sums), strict=True)
                )
                for r, sums in enumerate(totals)
            ]
        saves = tuple(
            Store(buffer, slot(part, b.index(r), lane), value)
            for r, total in enumerate(totals)
            for part, value in enumerate(total)
            if buffer is not None
        )
        if self.runs > 1:
            loops, saves = (For(run, (loop, *saves)),), ()
            totals = [kept(r) for r in range(tile.rows)]
        last = b.eq(row.one_block, b.index(self.blocks - 1))
        if direct:
            placed = tuple(
                s
                for r, total in enumerate(totals)
                for s in self._place(row, column, b.index(r), lane, total, None)
            )
            if accumulator is not None:
                placed = (If(last, placed, saves),)
            return (For(axis, (*loops, *placed), kind="vector", lanes=width),)
        row_axis, out_lane = Axis(tile.rows, "r"), Axis(width, "lane")
        at = b.axis(row_axis), b.add(b.axis(out_lane), b.index(tile.columns - width))
        finish: tuple[Statement, ...] = self._finish(row, column, *at, waiting(*at), out_lane)
        finish = (For(row_axis, finish),)
        if accumulator is not None:
            finish = (If(last, finish),)
        return For(axis, (*loops, *saves), kind="vector", lanes=width), *finish

    def _depth_loop(
        self, row: Spot, column: Spot, lane: Expr, run: Expr
    ) -> tuple[For, list[Parts]]:
        """The micro-kernel: one loop over a run of the depth, all sums of the tile carried."""
        b, rows = self.b, self.tile.rows
        length = -(-self.block // self.runs)
        before = b.mul(run, b.index(length))
        rest = b.min(b.sub(b.index(self.block), before), b.index(length))
        step = Axis(rest, "depth") if self.block % length else Axis(length, "depth")
        depth = b.add(before, b.axis(step))
        carries = [
            tuple(Carry(self.sums.dtype, f"s{r}") for _ in range(self.sums.parts))
            for r in range(rows)
        ]
        y = self.right.read(column, depth, lane)
        carried: list[Carried] = []
        for r, group in enumerate(carries):
            x = self.left.read(row, depth, b.index(r))
            total = self.sums.accumulate(b, tuple(b.carry(c) for c in group), x, y)
            carried += [
                Carried(c, s, n) for c, s, n in zip(group, self.sums.zero(b), total, strict=True)
            ]
        kind = "unroll" if self.block <= 8 and rows * self.block <= 64 else "serial"
        loop = For(step, (), tuple(carried), kind=kind)
        return loop, [tuple(b.final(c) for c in group) for group in carries]

    def _place(
        self, at: Spot, beside: Spot, r: Expr, lane: Expr, sums: Parts, mask: Expr | None
    ) -> tuple[Statement, ...]:
        """Write one finished element of a tile."""
        p, b, tile = self.p, self.b, self.tile
        row, column = at.tile, beside.tile
        row_index = split_near(b, self.left.cut.first(row), r, tile.rows, p.row_extents)
        column_index = split_near(
            b, self.right.cut.first(column), lane, tile.columns, p.column_extents
        )
        value = self.sums.result(b, sums, self.k.outputs[0].dtype_name)
        if self.k.adds:  # not where a tile overlaps the one before it
            for cut, first, offset in ((self.left.cut, row, r), (self.right.cut, column, lane)):
                if cut.free % cut.width and not cut.sticks_out:
                    new = b.ge(b.add(cut.first(first), offset), b.mul(first, b.index(cut.width)))
                    mask = new if mask is None else b.and_(mask, new)
        return p.place(split(b, at.batch, p.batch_extents), row_index, column_index, value, mask)

    def _finish(
        self, row: Spot, column: Spot, r: Expr, lane: Expr, sums: Parts, axis: Axis
    ) -> tuple[Statement, ...]:
        """Write row `r` of a tile whose sums wait in scratch; `axis` is that of the lanes."""
        b, cut = self.b, self.right.cut
        mask = b.lt(lane, b.index(cut.free)) if cut.sticks_out else None
        stores = self._place(row, column, r, lane, sums, mask)
        return (For(axis, stores, kind="vector", lanes=axis.length),)


def tiled(p: Product, sums: Arithmetic) -> None:
    """Emit the tiled product."""
    Gemm(p, sums).emit()
