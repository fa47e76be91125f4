"""Rows of results that are made of rows of arrays, one behind the other, become loops over these.

The index of a row of tiles, of a Kronecker product, or of another reshaped array that takes the
same elements several times, is divided by the length of what repeats. A loop over the pieces, with
one in it over a piece, reads from end to end what lanes would gather.
"""

from __future__ import annotations

from collections.abc import Iterator

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, For, Kernel, Statement, Store
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk

#: the shortest pieces: lanes gather shorter ones in fewer steps
SHORTEST = 32
#: an outermost loop, which threads share, is cut into no fewer pieces
FEW = 64


def split(kernel: Kernel) -> Kernel:
    """The flat kernel with such loops cut into pieces, longest first."""
    while pieces := {
        loop: length
        for loop in walk(kernel.body)
        if isinstance(loop, For) and (length := piece(loop, loop in kernel.body))
    }:
        kernel = Splitter(pieces).kernel(kernel)
    return kernel


def piece(loop: For, is_outermost: bool) -> int:
    """The length of the pieces of an innermost loop along which results lie in memory, or 0."""
    extent = loop.axis.extent
    if loop.kind != "serial" or loop.carries or loop.reverse or not isinstance(extent, int):
        return 0
    stores = [s for s in loop.body if isinstance(s, Store)]
    if not stores or len(stores) < len(loop.body):
        return 0
    for store in stores:
        steps = {p.data: by for p, by in affine.linear(store.index[0])[0] if p.kind == "axis"}
        if steps.get(loop.axis) != 1:
            return 0
    loads = [node for node in reachable(expressions(loop.body)) if node.kind == "load"]
    lengths = {
        node.args[1].data
        for node in reachable(load.args[0] for load in loads)
        if node.kind == "op" and node.data in ("idiv", "imod") and node.args[1].kind == "const"
        and node.args[0].kind == "axis" and node.args[0].data is loop.axis
    }  # fmt: skip
    longest = max(lengths, default=0)
    if longest < SHORTEST or extent % longest or any(longest % length for length in lengths):
        return 0
    return 0 if is_outermost and extent < FEW * longest else longest


class Splitter(Rewriter):
    """Cuts loops into pieces of the given lengths."""

    def __init__(self, pieces: dict[For, int]):
        super().__init__(Builder())
        self.pieces = pieces

    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, For):
            self.b.axis(old.axis)
        if not isinstance(old, For) or old not in self.pieces:
            yield from super().statement(old)
            return
        b, length = self.b, self.pieces[old]
        outer = Axis(old.axis.length // length, old.axis.name + "_piece")
        inner = Axis(length, old.axis.name)
        self.bind("axis", old.axis, b.add(b.mul(b.axis(outer), b.index(length)), b.axis(inner)))
        yield For(outer, (For(inner, self.statements(old.body)),))
