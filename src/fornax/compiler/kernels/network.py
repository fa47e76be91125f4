"""Sorting networks: short lines, one in each lane.

The lines are transposed into a tile with a row for each position and a lane for each line, and
compared and exchanged row by row: first runs of a few rows in registers, then runs twice as long
with every merge, several steps of a merge at a time. A merge first compares a row with its mirror
image, then rows at half the distance each time.

What is compared are words (`words`). Rows past the end hold the largest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fornax.compiler.kernels import keys
from fornax.compiler.kernels.arithmetic import power_of_two
from fornax.compiler.kernels.radix import WORTH_A_THREAD, Lines
from fornax.compiler.kernels.words import Element, Rows, Words
from fornax.compiler.loop.ir import Axis, Expr, For, Statement, Store

#: longest lines that are sorted so
LONGEST = 1024


def cost(words: Words) -> int:
    """About how many operations of vectors the nest takes."""
    count = words.lines.count
    groups = -(-count // min(words.widest_lanes, 1 << (count.bit_length() - 1)))
    rows = power_of_two(words.lines.length)
    levels = rows.bit_length() - 1
    return groups * rows * (levels * (levels + 1) // 2 + 4)


class Network(Words):
    """The nest of a sort of short lines."""

    def __init__(self, lines: Lines, num_keys: int):
        super().__init__(lines, num_keys)
        k = self.k
        self.rows = power_of_two(lines.length)
        self.lanes = min(self.widest_lanes, 1 << (lines.count.bit_length() - 1))
        self.tiles = [
            [k.scratch(f"tile{side}_{w}", dtype, (self.rows, self.lanes))
             for w, dtype in enumerate(self.dtypes)]
            for side in (0, 1)
        ]  # fmt: skip
        # how many rows are in registers at once
        room = k.target.registers // (2 * len(self.dtypes))
        self.most = min(self.rows, max(4, 1 << (room.bit_length() - 1)))

    # --- the nest ---
    def emit(self) -> None:
        b, count = self.b, self.lines.count
        group = Axis(-(-count // self.lanes), "group")
        # the last group overlaps the one before
        first = b.min(b.mul(b.axis(group), b.index(self.lanes)), b.index(count - self.lanes))
        body = [*self.fill(first)]
        runs = self.most
        side = self.sort_runs(body)
        while runs < self.rows:
            runs *= 2
            side = self.merge(body, side, runs)
        body += self.finish(first, side)
        grain = max(1, WORTH_A_THREAD // (self.rows * self.lanes))
        self.k.emit((For(group, tuple(body), kind="parallel"),), group.length, grain)

    def across(self, body: Sequence[Statement], lane: Axis) -> For:
        """A loop over the lanes of the tile."""
        if self.lanes == 1:
            return For(lane, tuple(body))
        return For(lane, tuple(body), kind="vector", lanes=self.lanes)

    def saves(self, side: int, rows: Sequence[tuple[Expr, Expr, Element]]) -> list[Statement]:
        """Store elements at (row, lane), word by word."""
        return [
            Store(tile, (row, lane), element[w])
            for w, tile in enumerate(self.tiles[side])
            for row, lane, element in rows
        ]

    # --- in and out ---
    def fill(self, first: Expr) -> tuple[Statement, ...]:
        """Read the lines into the tile."""
        b, n = self.b, self.lines.length
        row, lane = Axis(n, "row"), Axis(self.lanes, "lane")
        at = b.axis(row)
        if self.lines.contiguous:  # vectors of a line, transposed on their way to the tile
            numbers = [b.index(p) for p in range(self.lanes)]
            rows = [(at, p, self.word(b.add(first, p), at)) for p in numbers]
            loop = self.along(row, self.saves(0, rows))
        else:
            element = self.word(b.add(first, b.axis(lane)), at)
            loop = For(row, (self.across(self.saves(0, [(at, b.axis(lane), element)]), lane),))
        if n == self.rows:
            return (loop,)
        rest, lane = Axis(self.rows - n, "row"), Axis(self.lanes, "lane")
        at = b.add(b.index(n), b.axis(rest))
        pad = self.saves(0, [(at, b.axis(lane), self.past())])
        return loop, For(rest, (self.across(pad, lane),))

    def along(self, axis: Axis, body: Sequence[Statement]) -> For:
        """A loop along the lines, in as many lanes as there are lines."""
        if self.lanes == 1:
            return For(axis, tuple(body))
        return For(axis, tuple(body), kind="vector", lanes=self.lanes)

    def finish(self, first: Expr, side: int) -> tuple[Statement, ...]:
        """Write the results, several rows at a time, which the stores then transpose."""
        b, n = self.b, self.lines.length
        together = self.lanes if self.lines.contiguous and self.lanes <= n else 1
        block, lane = Axis(n // together, "block"), Axis(self.lanes, "lane")
        start = b.mul(b.axis(block), b.index(together))
        body = [For(block, (self.across(self.write(first, side, start, together, lane), lane),))]
        if n % together:
            lane, done = Axis(self.lanes, "lane"), b.index(n - n % together)
            body.append(self.across(self.write(first, side, done, n % together, lane), lane))
        return tuple(body)

    def write(self, first: Expr, side: int, start: Expr, count: int, lane: Axis) -> list[Statement]:
        """Write `count` rows of all results from row `start`."""
        b, k = self.b, self.k
        line = b.add(first, b.axis(lane))
        rows = [b.add(start, b.index(p)) for p in range(count)]
        elements = [self.load(side, row, lane) for row in rows]
        statements: list[Statement] = []
        for j in range(len(k.outputs)):
            for row, element in zip(rows, elements, strict=True):
                bits = self.bits(j, line, element)
                statements += keys.write_bits(k, j, self.lines.index(line, row), bits)
        return statements

    def load(self, side: int, row: Expr, lane: Axis) -> Element:
        return tuple(self.b.load(tile, (row, self.b.axis(lane))) for tile in self.tiles[side])

    # --- steps ---
    def step(
        self,
        side: int,
        blocks: int,
        inside: int,
        places: Callable[[Expr, Expr], list[Expr]],
        change: Callable[[Rows], None],
    ) -> For:
        """Change rows that belong together, in registers, on their way to the other tile.

        `places(block, r)` gives the rows for r in range(inside); `change` takes them as a list.
        """
        block, r, lane = Axis(blocks, "block"), Axis(inside, "r"), Axis(self.lanes, "lane")
        at = places(self.b.axis(block), self.b.axis(r))
        rows = [self.load(side, row, lane) for row in at]
        change(rows)
        here = self.b.axis(lane)
        saves = self.saves(1 - side, [(p, here, e) for p, e in zip(at, rows, strict=True)])
        return For(block, (For(r, (self.across(saves, lane),)),))

    def sort_runs(self, body: list[Statement]) -> int:
        """Sort runs of `most` rows; the tile they are in afterwards."""
        b, most = self.b, self.most

        def places(block: Expr, r: Expr) -> list[Expr]:
            start = b.mul(block, b.index(most))
            return [b.add(start, b.index(p)) for p in range(most)]

        def change(rows: Rows) -> None:
            self.sorted_runs(rows, most)

        body.append(self.step(0, self.rows // most, 1, places, change))
        return 1

    def merge(self, body: list[Statement], side: int, run: int) -> int:
        """Merge sorted runs in pairs into runs of `run` rows; the tile they are in afterwards."""
        b, blocks = self.b, self.rows // run
        count = min(self.most, run)
        gap = run // count

        def mirrors(block: Expr, r: Expr) -> list[Expr]:
            start = b.mul(block, b.index(run))
            low = [b.add_index(start, r, c * gap) for c in range(count // 2)]
            last = b.sub(b.add(start, b.index(run - 1)), r)
            high = [b.sub(last, b.index(c * gap)) for c in reversed(range(count // 2))]
            return [*low, *high]

        def first(rows: Rows) -> None:
            self.mirrored(rows, count)
            self.halved(rows, count // 4)

        body.append(self.step(side, blocks, gap, mirrors, first))
        side, distance = 1 - side, gap // 2
        while distance:
            count = min(self.most, 2 * distance)
            span, gap = 2 * distance, 2 * distance // count

            def places(
                block: Expr, r: Expr, span: int = span, gap: int = gap, count: int = count
            ) -> list[Expr]:
                start = b.mul(block, b.index(span))
                return [b.add_index(start, r, c * gap) for c in range(count)]

            def rest(rows: Rows, count: int = count) -> None:
                self.halved(rows, count // 2)

            body.append(self.step(side, self.rows // span, gap, places, rest))
            side, distance = 1 - side, gap // 2
        return side
