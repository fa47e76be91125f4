"""Changing the shape of loop nests: collapsing loops into one, splitting, tiling transposes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Carried, Expr, For, Kernel, Statement, Store
from fornax.compiler.loop.rewrite import Rewriter, expressions, reachable, walk

#: side of the blocks in which a transposed array is read
BLOCK = 32
#: strides, in bytes per step, from which neighbours are in different cache lines
FAR = 64


# --- collapsing -------------------------------------------------------------------------------
def collapse(kernel: Kernel) -> Kernel:
    """Nested loops whose accesses run through memory as one loop would become one loop."""
    groups: list[list[For]] = []
    for statement in walk(kernel.body):
        if isinstance(statement, For) and not any(statement in g for g in groups):
            groups += chains(statement)
    groups = [g for g in groups if len(g) > 1]
    if not groups:
        return kernel
    return Collapser(groups).kernel(kernel)


def chains(loop: For) -> list[list[For]]:
    """The perfect nest that starts with `loop`, cut into groups of loops that can be one."""
    nest = [loop]
    while mergeable(nest[-1]):
        nest.append(nest[-1].body[0])
    if len(nest) == 1:
        return [nest]
    offsets, used = address_use(nest[-1].body, nest[-1].carries)
    groups = [[nest[-1]]]
    for outer in reversed(nest[:-1]):
        group = groups[-1]
        if joins(outer, group, offsets, used):
            group.insert(0, outer)
        else:
            groups.append([outer])
    return groups


def mergeable(outer: For) -> bool:
    """True when a loop holds nothing but one more loop, which may continue its reductions."""
    if len(outer.body) != 1 or not isinstance(outer.body[0], For):
        return False
    inner = outer.body[0]
    if outer.kind != "serial" or inner.kind != "serial" or outer.reverse or inner.reverse:
        return False
    if isinstance(outer.axis.extent, Expr) or isinstance(inner.axis.extent, Expr):
        return False
    if len(outer.carries) != len(inner.carries):
        return False
    return all(
        c.start.kind == "carry" and c.start.data is o.carry
        and o.next.kind == "final" and o.next.data is c.carry
        for o, c in zip(outer.carries, inner.carries, strict=True)
    )  # fmt: skip


def address_use(
    body: Iterable[Statement], carries: Iterable[Carried]
) -> tuple[list[Expr], set[Axis]]:
    """(offsets of all accesses, axes used for anything but linear terms of an offset)."""
    body = tuple(body)
    offsets = [s.index[0] for s in walk(body) if isinstance(s, Store)]
    indices = set(offsets)
    roots = [e for e in expressions(body) if e not in indices]
    roots += [c.next for c in carries]
    pending, seen = [*roots, *linear_parts(offsets)], set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.kind == "load":
            offsets.append(node.args[0])
            pending.extend(node.args[1:])
            pending.extend(linear_parts([node.args[0]]))
        else:
            pending.extend(node.args)
    # an offset that is also a value (of an index array, say) is in `seen` as that value
    return offsets, {node.data for node in seen if node.kind == "axis"}


def linear_parts(offsets: Iterable[Expr]) -> list[Expr]:
    parts = [part for offset in offsets for part, _ in affine.linear(offset)[0]]
    return [part for part in parts if part.kind != "axis"]


def coefficient(offset: Expr, axis: Axis) -> int:
    for part, scale in affine.linear(offset)[0]:
        if part.kind == "axis" and part.data is axis:
            return scale
    return 0


def joins(outer: For, group: list[For], offsets: list[Expr], used: set[Axis]) -> bool:
    """True when every access moves by one step of `outer` as by all steps of the group."""
    if outer.axis in used or any(loop.axis in used for loop in group):
        return False
    size = 1
    for loop in group:
        size *= loop.axis.extent
    last = group[-1].axis
    return all(coefficient(o, outer.axis) == size * coefficient(o, last) for o in offsets)


class Collapser(Rewriter):
    """Replaces groups of nested loops by single ones."""

    def __init__(self, groups: list[list[For]]):
        super().__init__(Builder())
        self.group = {group[0]: group for group in groups}

    def statement(self, old: Statement) -> Iterator[Statement]:
        group = self.group.get(old) if isinstance(old, For) else None
        if group is None:
            if isinstance(old, For):
                self.b.axis(old.axis)
            yield from super().statement(old)
            return
        b, size = self.b, 1
        # an axis may be the variable of other loops, too: what is known of it here ends here
        before, self.memo = self.memo, {}
        for loop in group:
            size *= loop.axis.extent
        first, last = group[0], group[-1]
        axis = Axis(size, last.axis.name)
        rest = b.axis(axis)
        for loop in reversed(group):
            extent = b.index(loop.axis.extent)
            node = rest if loop is first else b.imod(rest, extent)
            self.bound["axis", loop.axis] = node
            rest = b.idiv(rest, extent)
        starts = [(c.carry, self(c.start)) for c in first.carries]
        for loop in group[1:]:  # the carries of all loops of the group become those of the first
            for kept, carried in zip(first.carries, loop.carries, strict=True):
                self.bound["carry", carried.carry] = b.carry(kept.carry)
        body = self.statements(last.body)
        carries = tuple(
            Carried(carry, start, self(inner.next), inner.combiner)
            for inner, (carry, start) in zip(last.carries, starts, strict=True)
        )
        for loop in group:
            del self.bound["axis", loop.axis]
        self.memo = before
        yield For(axis, body, carries)


# --- splitting --------------------------------------------------------------------------------
class Splitter(Rewriter):
    """Splits loops into blocks: `order` lists, outermost first, the loops that replace a perfect
    nest, each as (old loop, block size or None, kind); a loop split in two is listed twice, first
    for its blocks (size set) and then for the inside of a block (size 0)."""

    def __init__(self, nest: list[For], order: list[tuple[For, int | None]]):
        super().__init__(Builder())
        self.nest = nest
        self.order = order

    def statement(self, old: Statement) -> Iterator[Statement]:
        if old is not self.nest[0]:
            if isinstance(old, For):
                self.b.axis(old.axis)
            yield from super().statement(old)
            return
        b = self.b
        loops: list[Axis] = []
        blocks: dict[For, tuple[Expr, int]] = {}
        for loop, size in self.order:
            extent, name = loop.axis.extent, loop.axis.name
            if size:
                axis = Axis(-(-extent // size), name + "_block")
                blocks[loop] = b.axis(axis), size
            elif size == 0:
                block, size = blocks[loop]
                begin = b.mul(block, b.index(size))
                if extent % size == 0:
                    axis = Axis(size, name)
                else:
                    left = b.min(b.sub(b.index(extent), begin), b.index(size))
                    axis = Axis(left.data if left.kind == "const" else left, name)
                self.bound["axis", loop.axis] = b.add(begin, b.axis(axis))
            else:
                axis = Axis(extent, name)
                self.bound["axis", loop.axis] = b.axis(axis)
            loops.append(axis)
        body = self.statements(self.nest[-1].body)
        for axis in reversed(loops):
            if axis.extent != 1:
                body = (For(axis, body),)
        yield from body


def tile_transposes(kernel: Kernel) -> Kernel:
    """Tile element-wise nests that read along one axis and write along another, so that both
    sides use whole cache lines."""
    for statement in kernel.body:
        found = transposed(statement)
        if found is not None:
            kernel = Splitter(*found).kernel(kernel)
    return kernel


def transposed(statement: Statement) -> tuple[list[For], list[tuple[For, int | None]]] | None:
    """The nest and the loop order to tile it with, if it is a transposing one."""
    if not isinstance(statement, For):
        return None
    nest = [statement]
    while len(nest[-1].body) == 1 and isinstance(nest[-1].body[0], For):
        nest.append(nest[-1].body[0])
    body = nest[-1].body
    plain = all(
        loop.kind == "serial" and not loop.carries and not loop.reverse
        and isinstance(loop.axis.extent, int)
        for loop in nest
    )  # fmt: skip
    if len(nest) < 2 or not plain or not all(isinstance(s, Store) for s in body):
        return None
    written = {s.buffer for s in body}
    loads = [n for n in reachable(expressions(body)) if n.kind == "load"]
    if any(n.data in written for n in loads):
        return None
    along = next((loop for loop in nest if coefficient(body[0].index[0], loop.axis) == 1), None)
    if along is None or along.axis.extent < BLOCK:
        return None
    for load in loads:
        step = coefficient(load.args[0], along.axis)
        across = next((loop for loop in nest if coefficient(load.args[0], loop.axis) == 1), None)
        if abs(step) * 4 < FAR or across is None or across.axis.extent < BLOCK:
            continue
        rest = [(loop, None) for loop in nest if loop is not along and loop is not across]
        return nest, [*rest, (across, BLOCK), (along, BLOCK), (across, 0), (along, 0)]
    return None
