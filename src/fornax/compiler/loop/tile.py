"""Changing the shape of loop nests: collapsing loops into one, splitting, tiling transposes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import (
    STORAGE,
    UNSIGNED,
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
from fornax.compiler.loop.nests import nest_of
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk
from fornax.compiler.target import Target
from fornax.record import record

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: blocks in which a transposed array is read: bytes of each of its rows, and how many of these at
#: once. What lies there beside them is asked for meanwhile, and 64 rows with a large power of two
#: between them are what the second cache holds of them
RUN, ROWS = 64, 64
#: the least extents that are worth blocks, unless what is read is FAR bytes
LEAST = 32
#: strides, in bytes per step, from which few neighbours are in one cache line
FAR = 32
#: reads that are transposed into local memory; more would not fit the first cache
MOST_STAGED = 3


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
    nest = nest_of(loop)
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
        size *= loop.axis.length
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
            size *= loop.axis.length
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


# --- transposes -------------------------------------------------------------------------------
@record(frozen=True)
class Transpose:
    """An element-wise nest that reads along one axis (`across`) and writes along another
    (`along`); `loads` are the reads that run along `across`."""

    nest: tuple[For, ...]
    across: For
    along: For
    loads: tuple[Expr, ...]
    block: tuple[int, int]  #: steps of `across` and of `along` in one block


def tile_transposes(kernel: Kernel, target: Target) -> Kernel:
    """Tile element-wise nests that read along one axis and write along another: block by block,
    what is read across is first transposed into local memory, register by register, so that both
    sides use whole cache lines and whole vectors."""
    for statement in kernel.body:
        found = transposed(statement)
        if found is not None:
            kernel = Transposer(found, target).kernel(kernel)
    return kernel


def transposed(statement: Statement) -> Transpose | None:
    """How to tile a nest, if it is a transposing one."""
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
    stores = [s for s in body if isinstance(s, Store)]
    if len(nest) < 2 or not plain or len(stores) < len(body):
        return None
    written = {s.buffer for s in stores}
    loads = [n for n in reachable(expressions(body)) if n.kind == "load"]
    if any(n.data in written for n in loads):
        return None
    along = next((loop for loop in nest if coefficient(stores[0].index[0], loop.axis) == 1), None)
    if along is None or along.axis.length < LEAST:
        return None
    by_loop: dict[For, list[Expr]] = {}
    for load in loads:
        offset = load.args[0]
        size = WIDTH[load.data.dtype] // 8
        step = coefficient(offset, along.axis) * size
        across = next((loop for loop in nest if coefficient(offset, loop.axis) == 1), None)
        if across is None or across is along:
            continue
        if across.axis.length < LEAST and across.axis.length * size < FAR:
            continue
        if not load.masked and abs(step) >= FAR and not linear_parts([offset]):
            by_loop.setdefault(across, []).append(load)
    if not by_loop:
        return None
    across = max(by_loop, key=lambda loop: len(by_loop[loop]))
    staged = tuple(by_loop[across][:MOST_STAGED])
    run = RUN * 8 // max(WIDTH[load.data.dtype] for load in staged)
    if across.axis.length <= 2 * run:
        run = across.axis.length
    block = side(across.axis.length, run), side(along.axis.length, ROWS)
    return Transpose(tuple(nest), across, along, staged, block)


def side(extent: int, most: int) -> int:
    """A side of blocks: at most so long, half of it if only that divides the extent."""
    return most if extent % most == 0 or extent % (most // 2) else most // 2


class Transposer(Rewriter):
    """Rebuilds one nest in blocks."""

    def __init__(self, found: Transpose, target: Target):
        super().__init__(Builder())
        self.found = found
        self.target = target

    def statement(self, old: Statement) -> Iterator[Statement]:
        found, b = self.found, self.b
        if old is not found.nest[0]:
            if isinstance(old, For):
                b.axis(old.axis)
            yield from super().statement(old)
            return
        outer = [loop.axis for loop in found.nest if loop not in (found.across, found.along)]
        for axis in outer:
            b.axis(axis)
        across, rows = self.block(found.across, found.block[0])
        along, columns = self.block(found.along, found.block[1])
        body: tuple[Statement, ...] = ()
        staged = {}
        for number, load in enumerate(found.loads):
            size = found.block[0] * found.block[1]
            dtype: DtypeName = load.data.dtype
            # squares of truth values are squares of bytes: masks would be turned bit by bit
            dtype = "uint8" if dtype == "bool" else dtype
            local = Buffer(f"tile{number}", dtype, (size,), (1,), "local")
            staged[load] = local
            body += (Alloc(local), *self.fill(load, local, across, along, rows, columns))
        row, column = Axis(rows, found.across.axis.name), Axis(columns, found.along.axis.name)
        place = b.add(b.mul(b.axis(row), b.index(found.block[1])), b.axis(column))
        copy = self.at(across, b.axis(row), along, b.axis(column))
        for load, local in staged.items():
            if load.dtype == "bool":
                copy.memo[load] = b.ne(b.load(local, (place,)), b.const(0, "uint8"))
            else:
                copy.memo[load] = b.node("load", load.dtype, local, (place,))
        inner = For(column, copy.statements(found.nest[-1].body))
        body += (For(row, (inner,)),)
        # the next block that is read lies beside this one, in the same pages
        for axis in reversed([*outer, along, across]):
            body = (For(axis, body),) if axis.extent != 1 else body
        yield from body

    def block(self, loop: For, size: int) -> tuple[Axis, int | Expr]:
        """The axis over blocks of a loop, and the extent of one block."""
        b, extent = self.b, loop.axis.length
        blocks = Axis(-(-extent // size), loop.axis.name + "_block")
        if extent % size == 0:
            b.axis(blocks)
            return blocks, size
        left = b.sub(b.index(extent), b.mul(b.axis(blocks), b.index(size)))
        return blocks, b.min(left, b.index(size))

    def at(self, across: Axis, row: Expr, along: Axis, column: Expr) -> Rewriter:
        """A rewriter for one point of a block."""
        b, found = self.b, self.found
        height, width = map(b.index, found.block)
        copy = Rewriter(b)
        copy.bound["axis", found.across.axis] = b.add(b.mul(b.axis(across), height), row)
        copy.bound["axis", found.along.axis] = b.add(b.mul(b.axis(along), width), column)
        return copy

    def fill(
        self, load: Expr, local: Buffer, across: Axis, along: Axis, rows: int | Expr,
        columns: int | Expr,
    ) -> tuple[Statement, ...]:  # fmt: skip
        """local[row, column] = load: as many columns at once as a register has lanes, so that the
        back end can transpose squares of them in registers. Few columns are open at a time, each
        read over its whole length: large powers of two as strides put them all in one cache set."""
        b = self.b
        lanes = self.target.lanes(local.dtype)
        while lanes > self.found.block[0]:  # squares of narrow rows are smaller
            lanes //= 2
        raw = local.dtype in STORAGE or load.dtype == "bool"
        dtype = UNSIGNED[WIDTH[local.dtype]] if raw else load.dtype

        def along_rows(column: Expr, *unrolled: Axis) -> For:
            row = Axis(rows, "row")
            place = b.add(b.mul(b.axis(row), b.index(self.found.block[1])), column)
            offset = self.at(across, b.axis(row), along, column)(load.args[0])
            value = b.node("load", dtype, load.data, (offset,))
            body: Statement = Store(local, (place,), value)
            for axis in unrolled:
                body = For(axis, (body,), kind="unroll")
            return For(row, (body,), kind="vector", lanes=lanes)

        count = b.idiv(b.index(columns), b.index(lanes))
        rest = b.imod(b.index(columns), b.index(lanes))
        group = Axis(count, "group")
        left = Axis(rest, "left")
        step = Axis(lanes, "step")
        first = b.mul(b.axis(group), b.index(lanes))
        body: tuple[Statement, ...] = ()
        if group.extent != 0:
            squares = along_rows(b.add(first, b.axis(step)), step)
            body = (For(group, (squares,)),) if group.extent != 1 else (squares,)
        if left.extent != 0:
            single = along_rows(b.add(b.mul(count, b.index(lanes)), b.axis(left)))
            body += (For(left, (single,)),) if left.extent != 1 else (single,)
        return body
