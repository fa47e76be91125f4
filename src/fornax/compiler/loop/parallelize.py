"""The parallel loop of a kernel, and how little of it is worth a thread.

The outermost loop becomes parallel when its iterations are independent. A single long vector loop
is cut into blocks first; an outer loop of few iterations is merged with the one inside it. What is
computed before the loop, for all of its iterations, each thread computes for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.estimate import UNIT, Estimate, trips
from fornax.compiler.loop.ir import (
    WIDTH,
    Alloc,
    Axis,
    Buffer,
    Expr,
    For,
    Kernel,
    Statement,
    Store,
    While,
)
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk
from fornax.compiler.target import Target

#: nanoseconds of work below which a thread is not worth waking
GRAIN = 20_000.0
#: nanoseconds of work in one block of a long vector loop
BLOCK = 4_000.0
#: bytes per nanosecond that one thread moves of memory that is not in its caches,
BANDWIDTH = 25.0
#: which hold so many bytes
CACHED = 3 << 19
#: an outer loop with fewer iterations than this is merged with the next
FEW = 64
#: how much longer a thread works on its iterations than on what it computes before them
LONGER = 16


def parallelize(kernel: Kernel, target: Target) -> Kernel:
    """The kernel with its outermost loop parallel, if it has one and that pays."""
    if any(isinstance(s, For) and s.kind == "parallel" for s in walk(kernel.body)):
        return kernel
    loop, before = kernel.body[-1] if kernel.body else None, kernel.body[:-1]
    if not isinstance(loop, For) or any(isinstance(s, Store) for s in walk(before)):
        return kernel
    written = {s.buffer for s in walk((loop,)) if isinstance(s, Store)}
    if any(n.kind == "load" and n.data in written for n in reachable(expressions(before))):
        return kernel
    if not isinstance(loop.axis.extent, int) or not is_independent(loop):
        return kernel
    estimate = Estimate(kernel.body, target)
    cost = max(estimate.loop_cost(loop) * UNIT, memory_time(kernel.body))
    if cost < 2 * GRAIN:
        return kernel
    first = sum(estimate.loop_cost(s) for s in before if isinstance(s, For | While)) * UNIT
    if first * 2 * LONGER > cost:
        return kernel
    each = cost / max(trips(loop), 1)
    inner = nested(loop) if loop.kind != "vector" and loop.axis.length < FEW else None
    if loop.kind == "vector":
        lanes = loop.lanes
        size = lanes * max(1, int(BLOCK / (each * lanes)))
        if size >= lanes * 2:
            size = 1 << (size.bit_length() - 1)  # divides more extents
        copy: Rewriter = Blocks(loop, size)
        each *= size
    elif inner is not None:
        copy = Merged(loop, inner)
        each /= inner.axis.length
    else:
        copy = Marked(loop)
    body = copy.statements(kernel.body)
    grain = max(1, int(max(GRAIN, LONGER * first) / each))
    extent = next(s.axis.length for s in body if isinstance(s, For) and s.kind == "parallel")
    return Kernel(kernel.name, kernel.buffers, body, extent, grain)


def memory_time(body: tuple[Statement, ...]) -> float:
    """Nanoseconds that one thread takes to move what statements read and write, if that is more
    than its own caches hold."""
    extents = {s.axis: trips(s) for s in walk(body) if isinstance(s, For)}
    moved: dict[Buffer, int] = {}

    def touch(buffer: Buffer, offset: Expr) -> None:
        axes = [n.data for n in reachable((offset,)) if n.kind == "axis"]
        elements = min(buffer.size, prod(extents.get(axis, 1) for axis in axes))
        size = elements * WIDTH[buffer.dtype] // 8
        moved[buffer] = max(moved.get(buffer, 0), size)

    for statement in walk(body):
        if isinstance(statement, Store):
            touch(statement.buffer, statement.index[0])
    for node in reachable(expressions(body)):
        if node.kind == "load":
            touch(node.data, node.args[0])
    total = sum(size for buffer, size in moved.items() if buffer.role not in ("local", "scratch"))
    return total / BANDWIDTH if total > CACHED else 0.0


def nested(loop: For) -> For | None:
    """The loop inside `loop` that could be merged with it."""
    if len(loop.body) != 1 or not isinstance(loop.body[0], For):
        return None
    inner = loop.body[0]
    fine = inner.kind == "serial" and not inner.carries and not inner.reverse
    fine = fine and isinstance(inner.axis.extent, int) and is_independent(inner)
    return inner if fine else None


def is_independent(loop: For) -> bool:
    """True when iterations neither share carries nor touch what others write."""
    if loop.carries or loop.reverse or loop.kind not in ("serial", "vector"):
        return False
    inside = {s.axis for s in walk(loop.body) if isinstance(s, For)}
    local = {s.buffer for s in walk(loop.body) if isinstance(s, Alloc)}
    written: dict[Buffer, set[Expr]] = {}
    for statement in walk(loop.body):
        if not isinstance(statement, Store) or statement.buffer in local:
            continue
        if statement.buffer.role == "scratch":
            continue
        if not distinct(statement.index[0], loop, inside):
            return False
        written.setdefault(statement.buffer, set()).add(statement.index[0])
    for node in reachable(expressions(loop.body)):
        if node.kind == "load" and written.get(node.data, {node.args[0]}) != {node.args[0]}:
            return False
    return True


def distinct(offset: Expr, loop: For, inside: set[Axis]) -> bool:
    """True when different iterations of `loop` store to different elements.

    Its step exceeds all that axes of smaller steps can move, and the step of each axis with a
    larger one all that those before it can: as for the digits of a number.
    """
    steps: dict[Axis, int] = {}
    for part, coefficient in affine.linear(offset)[0]:
        if part.kind != "axis":
            if affine.depends_on_axis(part, {loop.axis, *inside}):
                return False
        elif part.data is loop.axis or part.data in inside:
            steps[part.data] = abs(coefficient)
    pieces = {r[0]: (a, *r[1:]) for a in steps if (r := ragged(a)) is not None}
    reach, counts = 0, False
    for axis in sorted(steps, key=lambda a: (steps[a], a is loop.axis)):
        counts = counts or axis is loop.axis
        if counts and steps[axis] <= reach:
            return False
        reach += steps[axis] * affine.last_value(axis)
        if axis in pieces:  # blocks and their insides together cover the extent once
            piece, size, extent = pieces[axis]
            if steps[axis] == size * steps[piece]:
                reach = min(
                    reach,
                    reach
                    - steps[axis] * affine.last_value(axis)
                    + steps[piece] * (extent - 1 - affine.last_value(piece)),
                )
    return counts


def ragged(axis: Axis) -> tuple[Axis, int, int] | None:
    """(axis over blocks, block size, extent of both) where `axis` counts min(size, what is left)
    inside of a block."""
    extent = axis.extent
    if not isinstance(extent, Expr) or extent.kind != "op" or extent.data != "min":
        return None
    left, size = extent.args
    terms, constant = affine.linear(left)
    if size.kind != "const" or len(terms) != 1 or terms[0][0].kind != "axis":
        return None
    part, coefficient = terms[0]
    return (part.data, size.data, constant) if coefficient == -size.data else None


class Marked(Rewriter):
    """Makes one loop parallel."""

    def __init__(self, loop: For):
        super().__init__(Builder())
        self.target_loop = loop

    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, For):
            self.b.axis(old.axis)
        if old is not self.target_loop:
            yield from super().statement(old)
            return
        new = self.loop(old)
        yield For(new.axis, new.body, kind="parallel")


class Blocks(Rewriter):
    """Cuts a vector loop into parallel blocks of `size` iterations."""

    def __init__(self, loop: For, size: int):
        super().__init__(Builder())
        self.target_loop = loop
        self.size = size

    def statement(self, old: Statement) -> Iterator[Statement]:
        if not isinstance(old, For) or old is not self.target_loop:
            yield from super().statement(old)
            return
        b, extent, size = self.b, old.axis.length, self.size
        block = Axis(-(-extent // size), old.axis.name + "_block")
        begin = b.mul(b.axis(block), b.index(size))
        left = b.min(b.sub(b.index(extent), begin), b.index(size))
        inner = Axis(left, old.axis.name)
        if extent % size == 0:
            inner = Axis(size, old.axis.name)
        self.bind("axis", old.axis, b.add(begin, b.axis(inner)))
        body = For(inner, self.statements(old.body), (), "vector", old.lanes)
        yield For(block, (body,), kind="parallel")


class Merged(Rewriter):
    """Merges two loops into a parallel one."""

    def __init__(self, outer: For, inner: For):
        super().__init__(Builder())
        self.outer = outer
        self.inner = inner

    def statement(self, old: Statement) -> Iterator[Statement]:
        if old is not self.outer:
            if isinstance(old, For):
                self.b.axis(old.axis)
            yield from super().statement(old)
            return
        b, count = self.b, self.inner.axis.length
        axis = Axis(self.outer.axis.length * count, self.inner.axis.name)
        both = b.axis(axis)
        self.bind("axis", self.outer.axis, b.idiv(both, b.index(count)))
        self.bind("axis", self.inner.axis, b.imod(both, b.index(count)))
        yield For(axis, self.statements(self.inner.body), kind="parallel")
