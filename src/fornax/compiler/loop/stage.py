"""Operands that lanes would gather from memory, again and again, are laid out for them once.

The distance of every row of one matrix from every row of another reads both along their rows, while
the lanes should be neighbouring rows: then every lane has a sum of its own, and what is the same
for all lanes is read once. `stage` cuts the loop that becomes the lanes into blocks, turns what a
block reads into local memory, one vector for each column, and runs the loops that read it over and
over inside of the block:

    for i, j:  sum over k of f(x[i, k], y[j, k])     becomes
    for block of j:  local[k, j] = y[j, k]
                     for i:  vector j:  sum over k of f(x[i, k], local[k, j])
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.estimate import Estimate, trips
from fornax.compiler.loop.ir import (
    STORAGE,
    UNSIGNED,
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
from fornax.record import record

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: least times that an element laid out is read,
REUSED = 8
#: most of the first cache that a block takes,
CACHE = 0.5
#: and most of it in bytes: it is on the stack
MOST = 1 << 16
#: registers of the innermost sums, which hide the time that one addition takes,
ACCUMULATORS = 8
#: and the share of the registers that all carries may take
CARRIED = 0.625
#: how much cheaper than without it must be,
CHEAPER = 0.75
#: and the cost from which on code for it is worth its compilation
WORTH = 1 << 14


@record(frozen=True, eq=False)
class Staging:
    """How one nest is staged: loops of `nest` other than `vector` in `outside` stay around the
    blocks, the others go inside; `loads` with the axes inside of the lanes that they depend on."""

    nest: tuple[For, ...]
    vector: For
    outside: tuple[For, ...]
    loads: dict[Expr, tuple[Axis, ...]]
    lanes: int


def staged(body: tuple[Statement, ...], target: Target, usual: float) -> Staging | None:
    """The best way to stage the nest that is all of `body`, if that is cheaper than `usual`."""
    if len(body) != 1 or not isinstance(body[0], For) or usual < WORTH:
        return None
    nest = [body[0]]
    while is_plain(nest[-1]) and len(nest[-1].body) == 1 and isinstance(nest[-1].body[0], For):
        if not is_plain(nest[-1].body[0]):
            break
        nest.append(nest[-1].body[0])
    inner = [s for s in walk(nest[-1].body) if isinstance(s, For)]
    if not is_plain(nest[-1]) or not inner or not is_simple(nest[-1].body):
        return None
    best, least = None, CHEAPER * usual
    for vector in nest:
        found = staging(tuple(nest), vector, inner, target)
        if found is not None and found[1] < least:
            best, least = found
    return best


def is_plain(loop: For) -> bool:
    fixed = isinstance(loop.axis.extent, int)
    return fixed and loop.kind == "serial" and not loop.carries and not loop.reverse


def is_simple(body: tuple[Statement, ...]) -> bool:
    """Loops of known extents around stores to memory that is not read."""
    written = set()
    for statement in walk(body):
        if isinstance(statement, For):
            if not isinstance(statement.axis.extent, int) or statement.kind != "serial":
                return False
        elif isinstance(statement, Store) and statement.mask is None:
            written.add(statement.buffer)
        else:
            return False
    return all(n.kind != "load" or n.data not in written for n in reachable(expressions(body)))


def staging(
    nest: tuple[For, ...], vector: For, inner: list[For], target: Target
) -> tuple[Staging, float] | None:
    """How to stage a nest with the lanes along one of its loops, and what it costs then."""
    estimate = Estimate((nest[0],), target)
    loops = {loop.axis: loop for loop in (*nest, *inner)}
    axes = [loop.axis for loop in inner]
    loads: dict[Expr, tuple[Axis, ...]] = {}
    outside: set[Axis] = set()
    for node in estimate.nodes:
        if node.kind != "load" or node not in estimate.varying(vector):
            continue
        parts = dict(affine.linear(node.args[0])[0])
        used = {part.data for part in parts if part.kind == "axis"}
        if estimate.stride(node.args[0], vector) == 1:
            continue
        if node.masked or any(part.kind != "axis" for part in parts) or not used <= set(loops):
            return None
        if not used.intersection(axes):
            continue  # it is read once for each lane
        loads[node] = tuple(a for a in axes if a in used)
        outside |= {loop.axis for loop in nest if loop.axis in used}
    outside.discard(vector.axis)
    if not loads:
        return None
    around = tuple(loop for loop in nest if loop.axis in outside)
    if any(reuse(estimate, nest, node, loads[node], around) < REUSED for node in loads):
        return None
    lanes = lanes_of(estimate, vector, loads, target)
    if lanes is None:
        return None
    estimate.staged = {node.args[0] for node in loads}
    native = estimate.native(vector)
    steps = -(-vector.axis.length // native)
    runs = prod(trips(loop) for loop in nest if loop is not vector)
    filled = prod(trips(loop) for loop in around) * vector.axis.length
    cost = runs * steps * (estimate.vector_cost(nest[-1], vector, native) + 1)
    cost += filled * sum(prod(a.length for a in inside) for inside in loads.values())
    return Staging(nest, vector, around, loads, lanes), cost


def reuse(
    estimate: Estimate, nest: tuple[For, ...], node: Expr, inside: tuple[Axis, ...],
    around: tuple[For, ...],
) -> int:  # fmt: skip
    """How often an element is read once it is laid out."""
    count = prod(trips(loop) for loop in nest if loop not in around)
    lanes = [loop for loop in nest if coefficient(node.args[0], loop.axis) and loop not in around]
    count //= prod(trips(loop) for loop in lanes)
    loop = estimate.inner[node]
    while loop is not None and loop not in nest:
        if isinstance(loop, For) and loop.axis not in inside:
            count *= trips(loop)
        loop = estimate.parent[loop]
    return count


def coefficient(offset: Expr, axis: Axis) -> int:
    return sum(c for part, c in affine.linear(offset)[0] if part.data is axis)


def lanes_of(
    estimate: Estimate, vector: For, loads: dict[Expr, tuple[Axis, ...]], target: Target
) -> int | None:
    """As many lanes as the registers hold the carries of and the cache the operands of."""
    inner = [s for s in walk(vector.body) if isinstance(s, For | While)]
    carries = [WIDTH[c.carry.dtype] for loop in inner for c in loop.carries]
    sums = [
        max((WIDTH[c.carry.dtype] for c in loop.carries), default=32)
        for loop in inner if not estimate.children[loop]
    ]  # fmt: skip
    each = sum(
        prod(a.length for a in inside) * WIDTH[node.dtype] // 8 for node, inside in loads.items()
    )
    room = min(CACHE * target.l1, MOST)
    lanes = found = estimate.native(vector)
    while True:
        if each * lanes > room or lanes > vector.axis.length:
            break
        if sum(carries) * lanes > CARRIED * target.registers * target.vector_bits:
            break
        if max(sums) * lanes > ACCUMULATORS * target.vector_bits:
            break
        found, lanes = lanes, 2 * lanes
    return found if each * found <= room and found <= vector.axis.length else None


class Stager(Rewriter):
    """Rebuilds one nest."""

    def __init__(self, found: Staging, target: Target):
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
        lanes, extent = found.lanes, found.vector.axis.length
        for loop in found.outside:
            b.axis(loop.axis)
        blocks = Axis(-(-extent // lanes), found.vector.axis.name + "_block")
        first = b.mul(b.axis(blocks) if blocks.length > 1 else b.index(0), b.index(lanes))
        rows = b.min(b.sub(b.index(extent), first), b.index(lanes))
        column = Axis(rows, found.vector.axis.name)
        if extent % lanes == 0:
            column = Axis(lanes, found.vector.axis.name)
        body: list[Statement] = []
        locals: dict[Expr, Buffer] = {}
        for number, (load, inside) in enumerate(found.loads.items()):
            size = prod(a.length for a in inside) * lanes
            dtype = UNSIGNED[WIDTH[load.data.dtype]] if load.data.dtype in STORAGE else load.dtype
            kept = load.data.dtype if load.data.dtype in STORAGE else load.dtype
            local = Buffer(f"staged{number}", kept, (size,), (1,), "local")
            locals[load] = local
            body += [Alloc(local), *self.fill(load, dtype, local, inside, first, column.extent)]
        self.bound["axis", found.vector.axis] = b.add(first, b.axis(column))
        for loop in found.nest:
            if loop is not found.vector:
                b.axis(loop.axis)
        for load, inside in found.loads.items():
            place = b.add(self.place(inside, {}), b.axis(column))
            self.memo[load] = b.node("load", load.dtype, locals[load], (place,))
        within = [k for k in found.nest if k is not found.vector and k not in found.outside]
        inner: tuple[Statement, ...] = self.statements(found.nest[-1].body)
        inner = (For(column, inner, kind="vector", lanes=lanes),)
        for loop in reversed(within):
            inner = (For(loop.axis, inner),)
        whole: tuple[Statement, ...] = (*body, *inner)
        for axis in (blocks, *(loop.axis for loop in reversed(found.outside))):
            whole = (For(axis, whole),) if axis.extent != 1 else whole
        yield from whole

    def place(self, inside: tuple[Axis, ...], values: dict[Axis, Expr]) -> Expr:
        """Where the lanes for one element of the axes `inside` begin in local memory."""
        b, place = self.b, self.b.index(0)
        for axis in inside:
            value = values.get(axis, b.axis(axis))
            place = b.add(b.mul(place, b.index(axis.extent)), value)
        return b.mul(place, b.index(self.found.lanes))

    def fill(
        self, load: Expr, dtype: DtypeName, local: Buffer, inside: tuple[Axis, ...], first: Expr,
        rows: int | Expr,
    ) -> tuple[Statement, ...]:  # fmt: skip
        """local[inside, row] = load at that row: whole squares are transposed in registers."""
        b = self.b
        along = next((a for a in reversed(inside) if coefficient(load.args[0], a) == 1), inside[-1])
        native = self.target.lanes(local.dtype)

        def loops(row: Expr, around: Axis | None, kind: str, lanes: int) -> tuple[Statement, ...]:
            """The rows that `row` stands for, if need be with a loop over them inside; the loops
            have axes of their own each time."""
            fresh = {axis: Axis(axis.extent, axis.name) for axis in inside}
            values = {old: b.axis(new) for old, new in fresh.items()}
            copy = Rewriter(b)
            copy.bound = {("axis", old): value for old, value in values.items()}
            copy.bound["axis", self.found.vector.axis] = b.add(first, row)
            offset = copy(load.args[0])
            place = b.add(self.place(inside, values), row)
            body: tuple[Statement, ...] = (
                Store(local, (place,), b.node("load", dtype, load.data, (offset,))),
            )
            if around is not None:
                inner = "unroll" if kind == "vector" else "vector"
                body = (For(around, body, kind=inner, lanes=1 if inner == "unroll" else lanes),)
            outer = lanes if kind == "vector" else 1
            body = (For(fresh[along], body, kind=kind, lanes=outer),)
            for axis in reversed(inside):
                if axis is not along:
                    body = (For(fresh[axis], body),)
            return body

        if coefficient(load.args[0], along) != 1 or along.length < native:
            every = Axis(rows, "row")
            return loops(b.axis(every), every, "serial", self.found.lanes)
        whole = b.idiv(b.index(rows), b.index(native))
        group = Axis(whole, "group")
        step = Axis(native, "step")
        row = b.add(b.mul(b.axis(group), b.index(native)), b.axis(step))
        made: tuple[Statement, ...] = (For(group, loops(row, step, "vector", native)),)
        rest = b.imod(b.index(rows), b.index(native))
        if rest.kind != "const" or rest.data:
            left = Axis(rest, "left")
            row = b.add(b.mul(whole, b.index(native)), b.axis(left))
            made += (For(left, loops(row, None, "vector", native)),)
        return made


def stage(kernel: Kernel, found: Staging, target: Target) -> Kernel:
    """The kernel with its nest staged."""
    return Stager(found, target).kernel(kernel)
