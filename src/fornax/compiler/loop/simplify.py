"""Flat memory and folded expressions: the first pass of every kernel.

Buffers become one-dimensional, with the offset as their only index. The offset of a reshaped array
is a chain of divisions and remainders of loop variables; summed up with the strides it folds back
into a linear form wherever the shapes allow, which is what the later passes look for.
"""

from __future__ import annotations

from collections.abc import Iterator

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.clip import clip
from fornax.compiler.loop.ir import Alloc, Buffer, Expr, For, Kernel, Statement, Store
from fornax.compiler.loop.keep import keep
from fornax.compiler.loop.rewrite import Rewriter, walk

#: the comparison that holds where another one does not
OPPOSITE = {"lt": "ge", "ge": "lt"}


def simplify(kernel: Kernel) -> Kernel:
    """The kernel with flat buffers, folded again, without loops that do nothing or do it twice."""
    b = Builder()
    return keep(b, clip(b, Flattener(b).kernel(kernel)))


def extent_in_memory(buffer: Buffer) -> int:
    """Elements from the first to the last of a buffer, gaps included."""
    if 0 in buffer.shape:
        return 0
    reach = (
        (extent - 1) * stride for extent, stride in zip(buffer.shape, buffer.strides, strict=True)
    )
    return 1 + sum(reach)


class Flattener(Rewriter):
    def __init__(self, b: Builder):
        super().__init__(b)
        self.written: set[Buffer] = set()

    def flat(self, buffer: Buffer) -> Buffer:
        found = self.buffers.get(buffer)
        if found is None:
            size = extent_in_memory(buffer)
            found = Buffer(buffer.name, buffer.dtype, (size,), (1,), buffer.role)
            self.buffers[buffer] = found
        return found

    def offset(self, buffer: Buffer, index: tuple[Expr, ...]) -> Expr:
        return affine.sum_of(self.b, *zip(index, buffer.strides, strict=True))

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if node.kind == "op" and node.data == "select":
            then, other = unclamped(self.b, args[0], args[1]), args[2]
            if (opposite := OPPOSITE.get(args[0].data)) and args[0].args[0].dtype == "int64":
                other = unclamped(self.b, self.b.op(opposite, *args[0].args), other)
            if then is args[1] and other is args[2]:
                return None
            return self.b.op("select", args[0], then, other)
        if node.kind == "op" and node.data == "and" and node.dtype == "bool":
            # what a padded array of truth values has become
            then = unclamped(self.b, args[0], args[1])
            return None if then is args[1] else self.b.op("and", args[0], then)
        if node.kind != "load":
            return None
        buffer = node.data
        rank = len(buffer.shape)
        masked = args[rank:]
        if masked and masked[0].kind == "const":
            if not masked[0].data:
                return masked[1]
            masked = ()
        offset = self.offset(buffer, args[:rank])
        return self.b.node("load", node.dtype, self.flat(buffer), (offset, *masked))

    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, Alloc):
            yield Alloc(self.flat(old.buffer))
            return
        if isinstance(old, For):
            self.b.axis(old.axis)  # outer axes come first in sums
            if old.axis.extent == 0 and not old.carries:
                return
            if old.axis.extent == 1 and old.kind != "parallel" and self.placeless(old):
                yield from self.single(old)
                return
        if isinstance(old, Store):
            mask = None if old.mask is None else self(old.mask)
            if mask is not None and mask.kind == "const":
                if not mask.data:
                    return
                mask = None
            index = self.offset(old.buffer, tuple(map(self, old.index)))
            yield Store(self.flat(old.buffer), (index,), self(old.value), mask, old.ahead)
            return
        for new in super().statement(old):
            if isinstance(new, For) and not new.body and not new.carries:
                continue
            yield new

    def placeless(self, loop: For) -> bool:
        """True if the carries of a loop may be computed where they are used: it stores nothing,
        and nothing stores where it reads."""
        if not loop.carries:
            return True
        read = {
            n.data
            for n in reachable(e for c in loop.carries for e in (c.start, c.next))
            if n.kind == "load"
        }
        return not loop.body and not read & self.written

    def single(self, loop: For) -> Iterator[Statement]:
        """The body of a loop that runs once."""
        for carried in loop.carries:
            self.bound["carry", carried.carry] = self(carried.start)
        yield from self.statements(loop.body)
        values = [self(carried.next) for carried in loop.carries]
        for carried, value in zip(loop.carries, values, strict=True):
            self.bound["final", carried.carry] = value

    def kernel(self, old: Kernel) -> Kernel:
        self.written = {s.buffer for s in walk(old.body) if isinstance(s, Store)}
        for buffer in old.buffers:
            self.flat(buffer)
        return super().kernel(old)


def unclamped(b: Builder, condition: Expr, value: Expr) -> Expr:
    """`value`, which is wanted where `condition` holds, with loads at the indices themselves that
    the condition says are in bounds, not at clamped ones: under the condition as their mask. So
    padded arrays are read as rows."""
    low: dict[object, int] = {}  # of sums, without their constants
    high: dict[object, int] = {}
    pending = [condition]
    while pending:
        node = pending.pop()
        if node.kind != "op" or node.data not in ("and", "ge", "lt"):
            continue
        if node.data == "and":
            pending.extend(node.args)
        elif node.args[0].dtype == "int64" and node.args[1].kind == "const":
            terms, constant = affine.linear(node.args[0])
            if node.data == "ge":
                low[tuple(terms)] = node.args[1].data - constant
            else:
                high[tuple(terms)] = node.args[1].data - 1 - constant
    if not low and not high:
        return value

    def limit(node: Expr, name: str) -> tuple[Expr, int] | None:
        if node.kind != "op" or node.data != name or node.dtype != "int64":
            return None
        inner, bound = node.args
        return (inner, bound.data) if bound.kind == "const" else None

    memo: dict[Expr, Expr] = {}
    for node in reachable((value,)):
        above, inner = limit(node, "max"), node
        if above is not None:
            inner = above[0]
        below = limit(inner, "min")
        index = inner if below is None else below[0]
        if above is None and below is None:
            continue
        terms, constant = affine.linear(index)
        if any(part.kind != "axis" for part, _ in terms):
            continue  # it comes from memory: clamped, it needs no mask
        least, most = (
            known[tuple(terms)] + constant if tuple(terms) in known else bound
            for known, bound in ((low, index.low), (high, index.high))
        )
        if (above is None or least >= above[1]) and (below is None or most <= below[1]):
            memo[node] = index
    if not memo:
        return value

    def masked(node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if node.kind != "load" or args == node.args:
            return None
        mask = b.op("and", args[1], condition) if node.masked else condition
        other = args[2] if node.masked else b.const(0, node.dtype)
        return b.node("load", node.dtype, node.data, (args[0], mask, other))

    return Rewriter(b, memo, masked)(value)
