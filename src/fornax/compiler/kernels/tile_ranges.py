"""Runs of tiles: even shares of them for tasks, and loops over them."""

from __future__ import annotations

from collections.abc import Callable

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Expr, For, If, Statement
from fornax.record import record


@record(frozen=True)
class Range:
    """A run of tiles: `first` … `end`, at most `most` of them."""

    first: Expr
    end: Expr
    most: int
    exact: bool

    @staticmethod
    def piece(b: Builder, tiles: int, pieces: int, piece: Expr) -> Range:
        """The `piece`-th of `pieces` even shares of `tiles`."""
        count, total = b.index(pieces), b.index(tiles)
        first = b.idiv(b.mul(piece, total), count)
        end = b.idiv(b.mul(b.add(piece, b.index(1)), total), count)
        return Range(first, end, -(-tiles // pieces), tiles % pieces == 0)

    def loop(
        self, b: Builder, step: int, body: Callable[[Range], tuple[Statement, ...]], name: str
    ) -> For:
        """Loop over the range `step` tiles at a time; `body` makes statements of a sub-range."""
        axis = Axis(-(-self.most // step), name)
        first = b.add(self.first, b.mul(b.axis(axis), b.index(step)))
        exact = self.exact and self.most % step == 0
        end = b.add(first, b.index(step)) if exact else b.min(b.add(first, b.index(step)), self.end)
        statements: tuple[Statement, ...] = tuple(
            body(Range(first, end, min(step, self.most), exact))
        )
        if step == 1 and not self.exact:
            statements = (If(b.lt(first, self.end), statements),)
        return For(axis, statements)
