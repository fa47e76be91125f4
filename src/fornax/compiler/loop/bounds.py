"""What the test of a loop says about its carries holds in its body: they get bounds there.

A remainder of a number that is not negative is a mask, and its sign needs no repair. In loops that
are lanes of others nothing is known: the body runs for lanes whose own test has failed as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import INTEGERS, Carry, Expr, For, Kernel, Statement, While
from fornax.compiler.loop.rewrite import Rewriter, walk
from fornax.compiler.target import Target

#: how a comparison with a constant bounds what stands on its left: (side, distance)
LIMITS = {"ge": ("low", 0), "gt": ("low", 1), "le": ("high", 0), "lt": ("high", -1)}
#: the same comparison with its sides exchanged
TURNED = {"ge": "le", "gt": "lt", "le": "ge", "lt": "gt"}


def bound(kernel: Kernel, target: Target) -> Kernel:
    """The kernel with bounds of carries in the bodies of the loops that test them."""
    if not any(isinstance(s, While) for s in walk(kernel.body)):
        return kernel
    return Bounder(Builder()).kernel(kernel)


class Bounder(Rewriter):
    in_lanes = False

    def loop(self, old: For) -> For:
        before, self.in_lanes = self.in_lanes, self.in_lanes or old.kind == "vector"
        new = super().loop(old)
        self.in_lanes = before
        return new

    def statement(self, old: Statement) -> Iterator[Statement]:
        if not isinstance(old, While) or self.in_lanes:
            yield from super().statement(old)
            return
        starts = self.starts(old.carries)
        condition = self(old.condition)
        known = bounds_in(condition)
        outside = self.memo
        self.memo = {}
        for carry, (low, high) in known.items():
            least, most = (self.b.const(k, carry.dtype) for k in (low, high))
            self.bound["carry", carry] = self.b.node("carry", carry.dtype, carry, (least, most))
        body = self.statements(old.body)
        steps = self.steps(old.carries, starts)
        for carry in known:
            del self.bound["carry", carry]
        self.memo = outside
        yield While(condition, steps, body)


def bounds_in(condition: Expr) -> dict[Carry, tuple[int, int]]:
    """The least and the largest value that a condition allows each integer carry to have."""
    found: dict[Carry, tuple[int, int]] = {}
    pending = [condition]
    while pending:
        node = pending.pop()
        if node.kind != "op":
            continue
        if node.data == "and":
            pending.extend(node.args)
            continue
        if node.data not in LIMITS:
            continue
        name, (x, y) = node.data, node.args
        if x.kind == "const":
            name, x, y = TURNED[name], y, x
        if x.kind != "carry" or y.kind != "const" or x.dtype not in INTEGERS:
            continue
        low, high = found.get(x.data, affine.limits(x.dtype))
        side, distance = LIMITS[name]
        if side == "low":
            low = max(low, y.data + distance)
        else:
            high = min(high, y.data + distance)
        found[x.data] = low, high
    return {carry: limits for carry, limits in found.items() if limits[0] <= limits[1]}
