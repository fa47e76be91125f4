"""Long sums of floats, cut into blocks with totals of their own.

    for i < n: c <- c + x[i]      becomes
    for o < n / 64:
        for i < 64 / 4: p <- p + ((x[4i] + x[4i + 1]) + (x[4i + 2] + x[4i + 3]))
        c <- c + p

so that rounding errors grow with the square root of the length rather than with the length, or less
where there are more blocks than an inner one has numbers and they are cut again (N. Higham, The
accuracy of floating point summation, SIAM J. Sci. Comput. 14, 1993). Where one register holds what
is summed an addition would wait for the one before it: several numbers are added up first.

Where the sums of a loop are cut by nothing else, padding is (`clip`).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from fornax._native import reachable
from fornax.compiler.loop.builder import Builder, identity
from fornax.compiler.loop.clip import ended, ends
from fornax.compiler.loop.ir import (
    MATH,
    WIDTH,
    Axis,
    Carried,
    Carry,
    Expr,
    For,
    Kernel,
    Statement,
    is_float,
)
from fornax.compiler.loop.nests import nest_of
from fornax.compiler.loop.rewrite import Rewriter, walk
from fornax.compiler.target import Target

#: steps of a vector loop after which a sum is added to the total and starts again
STEPS = 64
#: and those of a loop whose lanes, if any, have sums of their own
BLOCK = 64
#: most numbers that are added up first, and operations in them for which it is fewer. (Only where
#: one register holds the sums: rows of several are read one after the other as processors foresee)
FIRST, BODY = 8, 64


def block_sums(kernel: Kernel, target: Target) -> Kernel:
    """The kernel, with marked vector loops, whose long sums are cut, and others end where padding
    begins."""
    sums = [
        s for s in walk(kernel.body)
        if isinstance(s, For) and is_sum(s) and (s.kind == "serial" or not s.body)
    ]  # fmt: skip
    long = {s for s in sums if size_of_blocks(s)}
    vectors = [s for s in sums if s.kind == "vector" and s not in long]
    padded = {s for s in vectors if any(ends([s]))}
    return BlockSummer(long, padded, target).kernel(kernel) if long or padded else kernel


def is_sum(loop: For) -> bool:
    """Whether a loop adds up floats, and reduces what else it carries, perhaps with loops in it."""
    last = nest_of(loop)[-1]
    if not loop.carries or last.body or loop.reverse or loop.kind not in ("serial", "vector"):
        return False
    if not isinstance(loop.axis.extent, int):
        return False
    if not any(c.combiner == "add" and is_float(c.carry.dtype) for c in last.carries):
        return False
    return all(c.combiner in ("add", "mul", "min", "max") for c in last.carries)


def size_of_blocks(loop: For) -> int:
    """Iterations of the blocks that a sum is cut into; 0 if it is short."""
    length = loop.axis.length
    if loop.kind == "vector":
        size = STEPS * loop.lanes
        return size if length >= 2 * size else 0
    inner = nest_of(loop)[1:]
    if not all(isinstance(s.axis.extent, int) for s in inner):
        return 0
    below = prod(s.axis.length for s in inner)
    size = BLOCK if below >= BLOCK else BLOCK // below
    return size if length >= 2 * size else 0


class BlockSummer(Rewriter):
    """Cuts the loops in `long`, ends those in `padded`."""

    def __init__(self, long: set[For], padded: set[For], target: Target):
        super().__init__(Builder())
        self.long = long
        self.padded = padded
        self.target = target
        self.lanes = 1  #: of the vector loop around

    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, For):
            self.b.axis(old.axis)
        if isinstance(old, For) and old in self.long:
            cut = self.vectors if old.kind == "vector" else self.numbers
            yield from cut(old)
            return
        around = self.lanes
        if isinstance(old, For) and old.kind == "vector":
            self.lanes = old.lanes
        for new in super().statement(old):
            yield ended(self.b, new) if isinstance(new, For) and old in self.padded else new
        self.lanes = around

    def vectors(self, old: For) -> Iterator[Statement]:
        """A vector loop: lanes start a block together, and what is left over is one."""
        b, size = self.b, size_of_blocks(old)
        count, rest = divmod(old.axis.length, size)
        blocks, inner = Axis(count, old.axis.name + "_block"), Axis(size, old.axis.name)
        first = b.mul(b.axis(blocks), b.index(size))
        loop = self.part(old, inner, b.add(first, b.axis(inner)), nothing(b, old))
        whole = self.totals(old, blocks, [loop], [self(c.start) for c in old.carries])
        yield whole
        values = finals(b, whole)
        if rest:
            axis = Axis(rest, old.axis.name)
            position = b.add(b.axis(axis), b.index(count * size))
            loop = self.part(old, axis, position, nothing(b, old))
            yield ended(b, loop)
            values = combined(b, old, values, finals(b, loop))
        for carried, value in zip(old.carries, values, strict=True):
            self.bind("final", carried.carry, value)

    def numbers(self, old: For) -> Iterator[Statement]:
        """A loop in which lanes, if any, have sums of their own."""
        b, length = self.b, old.axis.length
        sizes = [size_of_blocks(old)]
        while length >= 2 * BLOCK * sizes[0]:
            sizes.insert(0, sizes[0] * BLOCK)
        starts = [self(c.start) for c in old.carries]
        whole = self.level(old, sizes, b.index(0), b.index(length), starts)
        yield whole
        for carried, value in zip(old.carries, finals(b, whole), strict=True):
            self.bind("final", carried.carry, value)

    def level(
        self, old: For, sizes: list[int], first: Expr, count: Expr, starts: list[Expr]
    ) -> For:
        """The loop over blocks, of sizes[0], of `count` iterations from `first`."""
        b, (size, *smaller) = self.b, sizes
        blocks = Axis(
            b.idiv(b.add(count, b.index(size - 1)), b.index(size)), old.axis.name + "_block"
        )
        done = b.mul(b.axis(blocks), b.index(size))
        here, left = b.add(first, done), b.min(b.sub(count, done), b.index(size))
        if smaller:
            inner = self.level(old, smaller, here, left, nothing(b, old))
            return self.totals(old, blocks, [inner], starts)
        several = at_once(old, self.lanes, self.target)
        groups = b.idiv(left, b.index(several))
        taken = b.mul(groups, b.index(several))
        body: list[For] = []
        values = nothing(b, old)
        rest = b.sub(left, taken) if old.axis.length % several else b.index(0)
        for number, start, width in (groups, here, several), (rest, b.add(here, taken), 1):
            axis = Axis(number, old.axis.name)
            if axis.extent != 0:
                at = b.add(start, b.mul(b.axis(axis), b.index(width)))
                body.append(self.part(old, axis, at, values, width))
                values = finals(b, body[-1])
        return self.totals(old, blocks, body, starts)

    def totals(self, old: For, blocks: Axis, body: list[For], starts: list[Expr]) -> For:
        """The loop over blocks that adds up what they come to, last in `body`."""
        b = self.b
        totals = [Carry(c.carry.dtype, "total") for c in old.carries]
        nexts = combined(b, old, list(map(b.carry, totals)), finals(b, body[-1]))
        return For(blocks, tuple(body), tuple(map(Carried, totals, starts, nexts)))

    def part(self, old: For, axis: Axis, position: Expr, starts: list[Expr], width: int = 1) -> For:
        """The loop over a part of its range, so many numbers at a time."""
        b = self.b
        carries = [Carry(c.carry.dtype, c.carry.name) for c in old.carries]
        values: list[list[Expr]] = []
        for k in range(width):
            copy = BlockSummer(self.long, self.padded, self.target)
            copy.b, copy.lanes = b, self.lanes
            copy.bound = {**self.bound, ("axis", old.axis): b.add(position, b.index(k))}
            for c, carry in zip(old.carries, carries, strict=True):
                copy.bound["carry", c.carry] = b.carry(carry)
            body = copy.statements(old.body)
            wanted = [c.next for c in old.carries] if width == 1 else addends(old)
            values.append(list(map(copy, wanted)))
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=True)
            values = [combined(b, old, x, y) for x, y in pairs]
        nexts = (
            values[0] if width == 1 else combined(b, old, list(map(b.carry, carries)), values[0])
        )
        lanes = old.lanes
        while lanes > 1 and lanes > axis.length:
            lanes //= 2
        steps = tuple(
            Carried(carry, start, following, c.combiner)
            for c, carry, start, following in zip(old.carries, carries, starts, nexts, strict=True)
        )
        return For(axis, body, steps, "vector" if lanes > 1 else "serial", lanes)


def at_once(loop: For, lanes: int, target: Target) -> int:
    """How many numbers are added up before they are added to a sum."""
    if loop.body or loop.kind == "vector" or not addends(loop):
        return 1
    if lanes * sum(WIDTH[c.carry.dtype] for c in loop.carries) > target.vector_bits:
        return 1
    nodes = reachable(c.next for c in loop.carries)
    work = sum(20 if n.data in MATH else 1 for n in nodes if n.kind in ("op", "load"))
    several = 1
    while 2 * several <= FIRST and 2 * several * work <= BODY:
        several *= 2
    return several


def addends(loop: For) -> list[Expr]:
    """What is combined with each carry in an iteration; empty if that is not plain to see."""
    found = []
    for c in loop.carries:
        carry = [a for a in c.next.args if a.kind == "carry" and a.data is c.carry]
        others = [a for a in c.next.args if a not in carry]
        if c.next.kind != "op" or c.next.data != c.combiner or len(others) != 1:
            return []
        found += others
    return found


def combined(b: Builder, loop: For, x: list[Expr], y: list[Expr]) -> list[Expr]:
    """What the carries of a loop come to, from what two parts of it do."""
    return [b.op(how, one, other) for how, one, other in zip(combiners(loop), x, y, strict=True)]


def nothing(b: Builder, loop: For) -> list[Expr]:
    """What carries start from."""
    dtypes = [c.carry.dtype for c in loop.carries]
    return [
        b.const(identity(how, dtype), dtype)
        for how, dtype in zip(combiners(loop), dtypes, strict=True)
    ]


def combiners(loop: For) -> list[str]:
    """How the carries of a loop are reduced, which the innermost loop of its nest says."""
    return [c.combiner for c in nest_of(loop)[-1].carries if c.combiner]


def finals(b: Builder, loop: For) -> list[Expr]:
    return [b.final(c.carry) for c in loop.carries]
