"""Values that neighbouring loops would compute twice stay in local memory.

A softmax takes the exponentials of a row for their sum, and again for the quotients. The first of
two such loops stores what both compute, if that is dear, a row of it is small, and both go through
memory one element after the other; the second loop reads it. What a loop keeps takes the place of
what it reads last: a row less is in the first cache.
"""

from __future__ import annotations

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.estimate import MATH_WEIGHT, WEIGHTS
from fornax.compiler.loop.ir import (
    MATH,
    WIDTH,
    Alloc,
    Axis,
    Buffer,
    Carried,
    Expr,
    For,
    Kernel,
    Statement,
    Store,
)
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk

#: least work, in about as many vector instructions, of what is kept
DEAR = 8.0
#: loops of fewer iterations compute again
SHORTEST = 64
#: most bytes of one kept row,
LARGEST = 1 << 16
#: and of all that a kernel keeps: they are on the stack
MOST = 1 << 17


def keep(b: Builder, kernel: Kernel) -> Kernel:
    """The flat kernel, made with `b`, with what sibling loops have in common kept."""
    body = Keeper(b).statements(kernel.body)
    return Kernel(kernel.name, kernel.buffers, body, kernel.extent, kernel.grain)


class Keeper:
    def __init__(self, b: Builder):
        self.b = b
        self.count = self.bytes = 0
        self.kept: set[Buffer] = set()

    def statements(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """The statements with their own loops kept from computing twice, and those inside."""
        found: list[Statement] = []
        for statement in body:
            if isinstance(statement, For):
                inner = self.statements(statement.body)
                if inner != statement.body:
                    statement = For(
                        statement.axis, inner, statement.carries, statement.kind, statement.lanes,
                        statement.reverse,
                    )  # fmt: skip
                elif is_plain(statement):
                    statement = self.reuse(found, statement)
            found.append(statement)
        return self.in_place(found)

    def in_place(self, body: list[Statement]) -> tuple[Statement, ...]:
        """The statements with what a loop keeps in place of what it is the last to read."""
        uses: dict[Buffer, list[int]] = {}
        for place, statement in enumerate(body):
            for buffer in self.kept & touched(statement):
                uses.setdefault(buffer, []).append(place)
        taken: dict[Buffer, Buffer] = {}
        for new, (first, *_, last) in ((b, at) for b, at in uses.items() if len(at) > 1):
            for old, at in uses.items():
                if at[-1] != first or at[0] == first or (old.dtype, old.shape) != (
                    new.dtype, new.shape,
                ):  # fmt: skip
                    continue
                loop = self.from_kept(body[first], new, old)
                if loop is not None:
                    body[first] = loop
                    taken[new] = taken.get(old, old)
                    at[-1] = last
                    break
        if not taken:
            return tuple(body)
        copy = Rewriter(self.b)
        copy.buffers.update(taken)
        kept = [s for s in body if not isinstance(s, Alloc) or s.buffer not in taken]
        return copy.statements(kept)

    def from_kept(self, loop: Statement, new: Buffer, old: Buffer) -> For | None:
        """The loop with carries that read what it keeps last, where nothing else that comes after
        that reads `old`."""
        if not isinstance(loop, For) or not isinstance(loop.body[-1], Store):
            return None
        store = loop.body[-1]
        if store.buffer is not new:
            return None
        value = self.b.node("load", store.value.dtype, new, store.index)
        copy = Rewriter(self.b, {store.value: value})
        carries = tuple(Carried(c.carry, c.start, copy(c.next), c.combiner) for c in loop.carries)
        if any(n.kind == "load" and n.data is old for n in reachable([c.next for c in carries])):
            return None
        return For(loop.axis, loop.body, carries, loop.kind, loop.lanes, loop.reverse)

    def reuse(self, before: list[Statement], loop: For) -> For:
        """`loop` reading what an earlier loop computes; that loop is made to keep it."""
        place = -1
        while (place := place + 1) < len(before):
            first = before[place]
            if not isinstance(first, For) or not is_plain(first):
                continue
            if first.axis.extent != loop.axis.extent:
                continue
            common = self.common(first, loop)
            written = {s.buffer for s in walk(before[place:]) if isinstance(s, Store)}
            allocs, stores, memo = [], [], {}
            for node, same in common.items():
                if any(n.kind == "load" and n.data in written for n in reachable((same,))):
                    continue  # what it is computed from changes in between
                kept = self.kept_in(first, same)
                if kept is not None:
                    memo[node] = self.b.node("load", node.dtype, kept, (self.b.axis(loop.axis),))
                    continue
                size = loop.axis.length * WIDTH[same.dtype] // 8
                if self.bytes + size > MOST:
                    continue
                self.bytes += size
                self.count += 1
                local = Buffer(f"kept{self.count}", same.dtype, (loop.axis.length,), (1,), "local")
                self.kept.add(local)
                allocs.append(Alloc(local))
                stores.append(Store(local, (self.b.axis(first.axis),), same))
                memo[node] = self.b.node("load", node.dtype, local, (self.b.axis(loop.axis),))
            if stores:
                keeping = (*first.body, *stores)
                before[place] = For(first.axis, keeping, first.carries, first.kind, first.lanes)
                before[place:place] = allocs
                place += len(allocs)
            if memo:
                loop = Rewriter(self.b, memo).loop(loop)
        return loop

    def kept_in(self, first: For, same: Expr) -> Buffer | None:
        """Where the earlier loop keeps a value already."""
        for s in first.body:
            if isinstance(s, Store) and s.value is same and s.buffer.role == "local":
                if s.index == (self.b.axis(first.axis),):
                    return s.buffer
        return None

    def common(self, first: For, loop: For) -> dict[Expr, Expr]:
        """Dear expressions of `loop` that `first` computes for the same element."""
        known = set(reachable(roots(first)))
        rename = Rewriter(self.b, {self.b.axis(loop.axis): self.b.axis(first.axis)})
        rename.bound["axis", loop.axis] = self.b.axis(first.axis)
        found: dict[Expr, Expr] = {}
        seen: set[Expr] = set()
        stack = list(roots(loop))
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if is_dear(node, loop.axis):
                same = rename(node)
                if same in known:
                    found[node] = same
                    continue
            stack.extend(node.args)
        return found


def touched(statement: Statement) -> set[Buffer]:
    """The buffers that a statement reads or writes."""
    nodes = reachable(expressions((statement,)))
    stores = {s.buffer for s in walk((statement,)) if isinstance(s, Store)}
    return stores | {node.data for node in nodes if node.kind == "load"}


def is_plain(loop: For) -> bool:
    """A serial loop of known extent around stores and carries only."""
    extent = loop.axis.extent
    return (
        isinstance(extent, int)
        and extent >= SHORTEST
        and loop.kind == "serial"
        and not loop.reverse
        and all(isinstance(s, Store) for s in loop.body)
    )


def roots(loop: For) -> list[Expr]:
    return [*expressions(loop.body), *(carried.next for carried in loop.carries)]


def is_dear(node: Expr, axis: Axis) -> bool:
    """What takes work for the loop's element, and is read from neighbours in memory."""
    if node.kind != "op" or node.dtype == "bool":
        return False
    if axis.length * WIDTH[node.dtype] // 8 > LARGEST:
        return False
    nodes = reachable((node,))
    moving: set[Expr] = set()
    work = 0.0
    for n in nodes:
        if (n.kind == "axis" and n.data is axis) or not moving.isdisjoint(n.args):
            moving.add(n)
            if n.kind == "load" or (n.kind == "op" and n.dtype != "int64"):
                work += MATH_WEIGHT if n.data in MATH else WEIGHTS.get(n.data, 1.0)
    if work < DEAR:
        return False
    along = False
    for n in nodes:
        if n.kind == "load":
            step = stride(n.args[0], axis)
            if step not in (0, 1):
                return False
            along |= step == 1
        elif n.kind == "carry":
            return False
    return along


def stride(offset: Expr, axis: Axis) -> int | None:
    """Elements between neighbouring iterations; None if they vary."""
    step = 0
    for part, coefficient in affine.linear(offset)[0]:
        if part.kind == "axis" and part.data is axis:
            step = coefficient
        elif affine.depends_on_axis(part, {axis}):
            return None
    return step
