"""Rebuilding expressions and statements with something replaced.

Graphs may be tens of thousands of nodes deep, so nothing here recurses over expressions: a node's
number is larger than its operands', hence sorting by number is a bottom-up order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from fornax._native import rewritten
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import (
    Alloc,
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    If,
    Kernel,
    Statement,
    Store,
    While,
)

_number = attrgetter("number")


class Rewriter:
    """Copies expressions into builder `b`, replacing some nodes; folds again on the way.

    `memo` holds what is already replaced: fill it to substitute nodes; `bound` does so for axes and
    carries: ("axis", axis), ("carry", carry) or ("final", carry) -> expression. `rule(node, args)`,
    given operands that are already rewritten, may return the new node, or None for a plain copy.
    With `fresh`, copied loops get axes and carries of their own.
    """

    fresh = False
    #: subclasses may define it as a method
    rule: Callable[[Expr, tuple[Expr, ...]], Expr | None] | None = None

    def __init__(
        self,
        b: Builder,
        memo: dict[Expr, Expr] | None = None,
        rule: Callable[[Expr, tuple[Expr, ...]], Expr | None] | None = None,
    ):
        self.b = b
        self.memo = {} if memo is None else memo
        if rule is not None:
            self.rule = rule
        self.buffers: dict[Buffer, Buffer] = {}
        self.bound: dict[tuple[str, Axis | Carry], Expr] = {}
        #: the axes and carries whose copies are in `memo`
        self.copied: set[tuple[str, Axis | Carry]] = set()

    def __call__(self, root: Expr) -> Expr:
        return rewritten(root, self.memo, self.rebuild)

    def rebuild(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        """The copy of one node."""
        if self.rule is not None:
            replaced = self.rule(node, args)
            if replaced is not None:
                return replaced
        b, kind = self.b, node.kind
        if kind == "op":
            return b.operation(node.data, args, node.dtype)
        if kind in ("axis", "carry", "final"):
            self.copied.add((kind, node.data))
            found = self.bound.get((kind, node.data))
            if found is not None:
                return found
            if kind == "axis":
                return b.axis(node.data)
            return b.node(kind, node.dtype, node.data, args)
        if kind == "load":
            data = self.buffers.get(node.data, node.data)
            if node.masked and args[-2].kind == "const":
                if not args[-2].data:
                    return args[-1]
                args = args[:-2]
            return b.node("load", node.dtype, data, args)
        if kind == "reduce":
            combiner, axes, component = node.data
            return b.reduce_component(combiner, axes, component, *args)
        return b.node(kind, node.dtype, node.data, args)

    # --- statements ---
    def statements(self, body: Iterable[Statement]) -> tuple[Statement, ...]:
        """The copy of a body; branches whose condition became constant disappear."""
        return tuple(new for old in body for new in self.statement(old))

    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, Store):
            mask = None if old.mask is None else self(old.mask)
            if mask is not None and mask.kind == "const":
                if not mask.data:
                    return
                mask = None
            buffer = self.buffers.get(old.buffer, old.buffer)
            index = tuple(self(i) for i in old.index)
            yield Store(buffer, index, self(old.value), mask, old.ahead)
        elif isinstance(old, For):
            yield self.loop(old)
        elif isinstance(old, If):
            condition = self(old.condition)
            if condition.kind == "const":
                yield from self.statements(old.body if condition.data else old.orelse)
            else:
                yield If(condition, self.statements(old.body), self.statements(old.orelse))
        elif isinstance(old, While):
            starts = self.starts(old.carries)
            condition, body = self(old.condition), self.statements(old.body)
            yield While(condition, self.steps(old.carries, starts), body)
        else:
            if self.fresh:
                k = old.buffer
                self.buffers[k] = Buffer(k.name, k.dtype, k.shape, k.strides, k.role)
            yield Alloc(self.buffers.get(old.buffer, old.buffer))

    def loop(self, old: For) -> For:
        axis = old.axis
        if isinstance(axis.extent, Expr) or self.fresh:
            extent = axis.extent
            if isinstance(extent, Expr):
                extent = self(extent)
            axis = Axis(extent, axis.name)
            self.bind("axis", old.axis, self.b.axis(axis))
        starts = self.starts(old.carries)
        body = self.statements(old.body)
        return For(axis, body, self.steps(old.carries, starts), old.kind, old.lanes, old.reverse)

    def starts(self, carries: tuple[Carried, ...]) -> list[tuple[Carry, Expr]]:
        """The carries of the copy of a loop and their start values."""
        starts = [(carried.carry, self(carried.start)) for carried in carries]
        if self.fresh:
            starts = [(Carry(carry.dtype, carry.name), start) for carry, start in starts]
            for carried, (carry, _) in zip(carries, starts, strict=True):
                self.bind("carry", carried.carry, self.b.carry(carry))
                self.bind("final", carried.carry, self.b.final(carry))
        return starts

    def bind(self, kind: str, data: Axis | Carry, new: Expr) -> None:
        """From here on an axis or a carry is `new`. Two loops after one another may be over one
        axis: what was replaced in the first is not what the second wants."""
        if (kind, data) in self.copied:
            stale: set[Expr] = set()
            for node in sorted(self.memo, key=_number):
                if (node.kind == kind and node.data is data) or not stale.isdisjoint(node.args):
                    stale.add(node)
            for node in stale:
                del self.memo[node]
        self.bound[kind, data] = new

    def steps(
        self, carries: tuple[Carried, ...], starts: list[tuple[Carry, Expr]]
    ) -> tuple[Carried, ...]:
        return tuple(
            Carried(carry, start, self(old.next), old.combiner)
            for old, (carry, start) in zip(carries, starts, strict=True)
        )

    def kernel(self, old: Kernel) -> Kernel:
        """The copy of a kernel."""
        buffers = tuple(self.buffers.get(k, k) for k in old.buffers)
        return Kernel(old.name, buffers, self.statements(old.body), old.extent, old.grain)


def expressions(body: Iterable[Statement], nested: bool = True) -> Iterator[Expr]:
    """The root expressions of statements, in order; with `nested`, of loop bodies too."""
    for statement in body:
        if isinstance(statement, Store):
            yield from statement.index
            yield statement.value
            if statement.mask is not None:
                yield statement.mask
        elif isinstance(statement, For | While):
            if isinstance(statement, For):
                if isinstance(statement.axis.extent, Expr):
                    yield statement.axis.extent
            else:
                yield statement.condition
            if nested:
                yield from expressions(statement.body)
            for carried in statement.carries:
                yield carried.start
                yield carried.next
        elif isinstance(statement, If):
            yield statement.condition
            if nested:
                yield from expressions(statement.body)
                yield from expressions(statement.orelse)


def walk(body: Iterable[Statement]) -> Iterator[Statement]:
    """All statements of a body, outer ones first."""
    for statement in body:
        yield statement
        if isinstance(statement, For | While):
            yield from walk(statement.body)
        elif isinstance(statement, If):
            yield from walk(statement.body)
            yield from walk(statement.orelse)
