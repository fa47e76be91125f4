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

from fornax.compiler.kernels.arithmetic import Arithmetic, Parts
from fornax.compiler.kernels.gemm_decisions import Decisions
from fornax.compiler.kernels.panels import InPlace, Lines, Make, Panels, Source, Spot
from fornax.compiler.kernels.product import Product, split, split_near
from fornax.compiler.kernels.tile_ranges import Range
from fornax.compiler.loop.ir import Axis, Buffer, Carried, Carry, Expr, For, If, Statement, Store


class Gemm(Decisions):
    """The statements of one product."""

    def __init__(self, p: Product, sums: Arithmetic):
        super().__init__(p, sums)
        self.spill: Buffer | None = None

    # --- nests ---
    def emit(self) -> None:
        """Emit the packing nest, where operands are packed for all pieces, and the product."""
        b = self.b
        sources = [s for s in (self.left, self.right) if not isinstance(s, InPlace) and not s.near]
        task = Axis(self.tasks, "task")
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
            self._emit_packing(sources)
        body += self._blocks(batch, rows, columns)
        self.k.emit((For(task, body, kind="parallel"),), self.tasks, self.grain)

    def _emit_packing(self, sources: list[Panels | Lines]) -> None:
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
        self.k.emit((For(task, body, kind="parallel"),), task.length, self.grain)

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
        begin = b.mul(run, b.index(length))
        end = b.min(b.add(begin, b.index(length)), b.index(self.block))
        if self.left.cut.uneven:
            begin = b.max(begin, self.left.cut.done(row.one_block))
            step = Axis(b.max(b.sub(end, begin), b.index(0)), "depth")
        else:
            step = Axis(b.sub(end, begin) if self.block % length else length, "depth")
        depth = b.add(begin, b.axis(step))
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
        kind = (
            "unroll"
            if isinstance(step.extent, int) and self.block <= 8 and rows * self.block <= 64
            else "serial"
        )
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
