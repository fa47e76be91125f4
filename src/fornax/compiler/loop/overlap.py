"""Reductions over nearly the same elements of an array run in one loop.

Sums over slices of an array that are shifted against one another, as of its differences along each
axis, are loops whose extents differ by one or two. Each of them would go through the array again,
in the caches at best. They become one loop over all that any of them reads, in which each sum takes
part where its own loop would have:

    for i < n - 1: for j < m:     s <- s + (x[i + 1, j] - x[i, j])^2
    for i < n:     for j < m - 1: t <- t + (x[i, j + 1] - x[i, j])^2

Loads under a mask read nothing and give zero elsewhere, which most sums need not even select.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder, identity
from fornax.compiler.loop.clip import is_neutral
from fornax.compiler.loop.estimate import trips
from fornax.compiler.loop.ir import (
    WIDTH,
    Axis,
    Buffer,
    Carried,
    Expr,
    For,
    Kernel,
    Statement,
)
from fornax.compiler.loop.nests import nest_of
from fornax.compiler.loop.rewrite import Rewriter
from fornax.compiler.target import Target

#: nests of fewer iterations stay apart
RARE = 1 << 14
#: iterations of a loop for each that another one has less
NEARLY = 8
#: most nests that become one
MOST = 4
COMBINED = {"add", "mul", "min", "max"}

Nest = list[For]


def overlapping(kernel: Kernel, target: Target) -> Kernel:
    """The flat kernel with such loops joined."""
    if not target.masked_bits:
        return kernel
    return Joiner(target).kernel(kernel)


class Joiner(Rewriter):
    def __init__(self, target: Target):
        super().__init__(Builder())
        self.target = target

    def statements(self, body: Iterable[Statement]) -> tuple[Statement, ...]:
        made: list[Statement] = []
        group: list[Nest] = []
        for old in (*body, None):
            nest = sums(old) if isinstance(old, For) else None
            if nest is not None and self.fits(group, nest):
                group.append(nest)
                continue
            if len(group) > 1:
                made.append(self.joined(group))
            elif group:
                made += super().statement(group[0][0])
            group = [nest] if nest is not None else []
            if old is not None and nest is None:
                made += super().statement(old)
        return tuple(made)

    def fits(self, group: list[Nest], nest: Nest) -> bool:
        """Whether a nest may become one with others."""
        if not group or len(group) == MOST or len(group[0]) != len(nest):
            return False
        for mine, others in zip(nest, zip(*group, strict=True), strict=True):
            counts = [trips(loop) for loop in (mine, *others)]
            if (max(counts) - min(counts)) * NEARLY > max(counts):
                return False
        first, second = reads(group[0]), reads(nest)
        shared = [b for b in first if b in second and WIDTH[b.dtype] in self.target.masked_bits]
        return any(len(first[b] | second[b]) == 1 for b in shared)

    def joined(self, group: list[Nest]) -> For:
        """One nest over all that these go through."""
        b, levels = self.b, list(zip(*group, strict=True))
        starts = [[self(c.start) for c in nest[0].carries] for nest in group]
        axes = [Axis(max(map(trips, loops)), loops[0].axis.name) for loops in levels]
        places = [b.axis(axis) for axis in axes]
        nexts = [self.steps_of(nest, axes, places) for nest in group]
        inner: tuple[Statement, ...] = ()
        for level in reversed(range(len(levels))):
            carries: list[Carried] = []
            for nest, begin, steps in zip(group, starts, nexts, strict=True):
                for k, one in enumerate(nest[level].carries):
                    start = b.carry(nest[level - 1].carries[k].carry) if level else begin[k]
                    last = level == len(levels) - 1
                    after = steps[k] if last else b.final(nest[level + 1].carries[k].carry)
                    carries.append(Carried(one.carry, start, after, one.combiner))
            inner = (For(axes[level], inner, tuple(carries)),)
        assert isinstance(inner[0], For), "a nest has loops"
        return inner[0]

    def steps_of(self, nest: Nest, axes: list[Axis], places: list[Expr]) -> list[Expr]:
        """The next values of a nest's carries, which take part where it would have run."""
        b, here = self.b, self.b.const(True, "bool")
        copy = Rewriter(b)
        copy.buffers, copy.bound = self.buffers, dict(self.bound)
        for loop, axis, place in zip(nest, axes, places, strict=True):
            copy.bound["axis", loop.axis] = place
            extent = loop.axis.extent
            if isinstance(extent, Expr) or extent < axis.length:
                end = self(extent) if isinstance(extent, Expr) else b.index(extent)
                here = b.and_(here, b.lt(place, end))

        def masked(node: Expr, args: tuple[Expr, ...]) -> Expr | None:
            if node.kind != "load" or here.kind == "const":
                return None
            mask = b.op("and", here, args[1]) if node.masked else here
            other = args[2] if node.masked else b.const(0, node.dtype)
            buffer = self.buffers.get(node.data, node.data)
            return b.node("load", node.dtype, buffer, (args[0], mask, other))

        def nothing(node: Expr, args: tuple[Expr, ...]) -> Expr | None:
            return b.const(0, node.dtype) if node.kind == "load" else None

        copy.rule = masked
        steps = []
        for carried in nest[-1].carries:
            assert carried.combiner is not None, "only reductions are joined"
            step = copy(carried.next)
            if here.kind != "const" and not is_neutral(b, carried, Rewriter(b, rule=nothing)(step)):
                carry, neutral = b.carry(carried.carry), identity(carried.combiner, step.dtype)
                (term,) = (a for a in step.args if a is not carry)
                term = b.select(here, term, b.const(neutral, step.dtype))
                step = b.op(carried.combiner, carry, term)
            steps.append(step)
        return steps


def sums(loop: For) -> Nest | None:
    """The perfect nest of reductions that starts with a loop, if it is one that may be joined."""
    nest = nest_of(loop, known=False)
    last = nest[-1]
    if len(nest) < 2 or last.body or not last.carries or last.kind != "serial" or last.reverse:
        return None
    if any(isinstance(inner.axis.extent, Expr) for inner in nest[1:]):
        return None
    if prod(map(trips, nest)) < RARE or any(c.start.kind != "const" for c in loop.carries):
        return None
    plain = all(
        c.combiner in COMBINED and c.next.kind == "op" and c.next.data == c.combiner
        and sum(a.kind == "carry" and a.data is c.carry for a in c.next.args) == 1
        for c in last.carries
    )  # fmt: skip
    return nest if plain else None


def reads(nest: Nest) -> dict[Buffer, set[tuple[int, ...]]]:
    """How the steps of a nest's loops move in each buffer that it reads."""
    found: dict[Buffer, set[tuple[int, ...]]] = {}
    for node in reachable(c.next for c in nest[-1].carries):
        if node.kind == "load":
            moves = {p.data: by for p, by in affine.linear(node.args[0])[0] if p.kind == "axis"}
            steps = tuple(moves.get(loop.axis, 0) for loop in nest)
            found.setdefault(node.data, set()).add(steps)
    return found
