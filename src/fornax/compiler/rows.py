"""Groups that work on rows and others that add up these rows, in one pass over memory.

The gradient of a normalization computes rows of one result from rows of its operands, and adds up
the columns of something made from the same rows. As groups over other domains these are kernels of
their own, and memory is read again. Where the columns are added up in parts of rows (`two_stages`),
one kernel does both: it takes a part's rows one after the other and keeps the part's sums beside.

    for row:              y[row, j] = f(x[row, j])
    for part: for j:      s[part, j] = sum of g(x[part · R + r, j]) over r         become

    for part:
        for r:            y[part · R + r, j] = f(…);  c[j] += g(…)
        for j:            s[part, j] = c[j]

Where little is done to a row, several are worked on in one loop, which then reads and writes at
several places at a time and takes each sum from the cache once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any, NamedTuple, TypeGuard

from fornax._native import reachable
from fornax.compiler import emit
from fornax.compiler.emit import Draft, Place
from fornax.compiler.groups import Fusion, Group
from fornax.compiler.kernels.context import buffers_of
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import (
    Alloc,
    Axis,
    Buffer,
    Carry,
    Expr,
    For,
    Kernel,
    Statement,
    Store,
    row_major,
)
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk
from fornax.compiler.order import Node
from fornax.compiler.row_blocks import in_blocks
from fornax.compiler.target import Target
from fornax.compiler.two_stages import FEW_PIECES, STREAMED
from fornax.ir.jaxpr import Var

#: bytes of sums that stay in the caches while rows pass
MOST = 64 << 10
#: rows worked on side by side where that takes at most so many operations an element
ABREAST, LIGHT = 4, 4
#: combiners of one value whose order is that of the rows
COMBINERS = ("add", "mul", "min", "max", "and", "or")


# --- which groups -----------------------------------------------------------------------------
def with_sums(fusion: Fusion) -> Fusion:
    """The fusion with groups over rows and those that add up their rows made one group each."""
    groups = {group: place for place, group in enumerate(fusion.groups)}
    sums = {g: parts for g in groups if (parts := parts_of(g, fusion)) is not None}
    if not sums:
        return fusion
    near: dict[Group, set[Group | None]] = {}
    for var, readers in fusion.readers.items():
        if var.type.size * var.type.dtype.itemsize >= STREAMED and not readers.isdisjoint(sums):
            for other in readers & sums.keys():
                near.setdefault(other, set()).update(readers, (fusion.stored.get(var),))
    places: dict[Node, int] = dict(groups.items())
    for group, place in groups.items():
        places |= dict.fromkeys(group.parts, place)

    def is_ready(group: Group, place: int, made: Group) -> bool:
        """Whether what a group needs is there at a place, or made with it."""
        return all(places.get(g, len(groups)) < place or g is made for g in group.needs)

    found: dict[Group, list[Group]] = {}
    for other, (count, length) in sums.items():
        fitting = [
            (groups[group], group) for group in near.get(other, ())
            if group is not None and group in groups and is_plain(group) and group not in sums
            and is_ready(other, first := min(groups[group], groups[other]), group)
            and is_ready(group, first, group)
            and count * length in accumulate(group.shape[:-1], mul)
        ]  # fmt: skip
        if fitting:
            found.setdefault(min(fitting)[1], []).append(other)
    if not found:
        return fusion
    kept = dict(groups)
    for rows, others in found.items():
        place = min(groups[group] for group in (rows, *others))
        others = [other for other in others if is_ready(other, place, rows)]
        joined = together((rows, *others))
        for group in (rows, *others):
            del kept[group]
        kept[joined] = min(groups[group] for group in (rows, *others))
    stored = fusion.stored | {v: g for g in kept if g.together for v in g.members}
    return Fusion(sorted(kept, key=kept.__getitem__), stored, fusion.definition, fusion.readers)


def is_plain(group: Group) -> bool:
    """Whether a group is one nest over rows."""
    plain = group.equation is None and group.chain is None and not group.unrolled
    return plain and len(group.shape) > 1 and 0 not in group.shape


def parts_of(group: Group, fusion: Fusion) -> tuple[int, int] | None:
    """(parts, rows of each) where all that a group computes are reductions of parts of rows, of
    which there are enough for threads."""
    if not is_plain(group):
        return None
    found: set[tuple[int, int]] = set()
    size = 0
    for var in group.members:
        made = fusion.definition[var]
        while made.primitive.name == "optimization_barrier":
            before = fusion.definition.get(made.inputs[made.outputs.index(var)])
            if before is None:
                return None
            made, var = before, before.outputs[0]
        if not made.primitive.name.startswith("reduce_") or var.type.shape != group.shape:
            return None
        if tuple(made.params.get("axes", ())) != (1,):
            return None
        count, length, *_ = made.inputs[0].type.shape
        found.add((count, length))
        size += prod(group.shape[1:]) * var.type.dtype.itemsize
    if len(found) > 1 or size > MOST or group.shape[0] < FEW_PIECES:
        return None
    return found.pop()


def together(parts: tuple[Group, ...]) -> Group:
    first = parts[0]
    return Group(
        first.number, first.shape, first.axes, first.index,
        [v for part in parts for v in part.members], has_reduction=True,
        work=sum(part.work for part in parts), together=parts,
    )  # fmt: skip


# --- their kernel -----------------------------------------------------------------------------
def drafts(
    fusion: Fusion, group: Group, in_memory: set[Var], target: Target, threads: int, repeated: bool
) -> list[Draft]:
    """The kernel of a group made of others; where they do not fit together, theirs."""
    first, *others = group.together
    made: list[Draft] = []
    read: set[Place] = set()
    for part in others:
        made += emit.drafts(fusion, part, in_memory, target, threads, repeated)
        read.update(place for draft in made for place in draft.places)
    in_memory.update(v for v in first.members if v in read)
    (rows,) = emit.drafts(fusion, first, in_memory, target, threads, repeated)
    # what is read of a row after it has been worked on must still be there
    rows = Draft(
        rows.kernel,
        rows.places,
        {v: [o for o in operands if o not in read] for v, operands in rows.in_place.items()},
    )
    found = joined(rows, made, target)
    return [found] if found else [rows, *(Draft(d.kernel, d.places, {}) for d in made)]


class Sums(NamedTuple):
    """A nest of sums of parts of rows: loops over parts, over what is inside of a row, over the
    rows of a part, and stores of what the last one has found."""

    part: For
    inside: tuple[For, ...]
    rows: For
    stores: tuple[Store, ...]

    @property
    def domain(self) -> tuple[int, ...]:
        return tuple(s.axis.length for s in (self.part, self.rows, *self.inside))


def sums_of(kernel: Kernel) -> Sums | None:
    """A kernel as sums of parts of rows, if it is that."""
    nest: list[For] = []
    body = kernel.body
    while len(body) == 1 and is_simple(body[0]):
        nest.append(body[0])
        body = body[0].body
    if len(nest) < 2 or not body or not isinstance(body[0], For):
        return None
    rows, stores = body[0], body[1:]
    plain = rows.kind == "serial" and not rows.reverse and not rows.body
    plain_stores = tuple(s for s in stores if is_store(s))
    if not plain or not isinstance(rows.axis.extent, int) or len(plain_stores) < len(stores):
        return None
    if not all(c.combiner in COMBINERS and c.start.kind == "const" for c in rows.carries):
        return None
    if any(node.kind == "load" for node in reachable(expressions(stores))):
        return None
    return Sums(nest[0], tuple(nest[1:]), rows, plain_stores)


def is_simple(statement: Statement) -> TypeGuard[For]:
    """Whether a statement is a loop that only repeats its body."""
    if not isinstance(statement, For) or statement.kind != "serial":
        return False
    plain = not statement.carries and not statement.reverse
    return plain and isinstance(statement.axis.extent, int)


def is_store(statement: Statement) -> TypeGuard[Store]:
    return isinstance(statement, Store) and statement.mask is None


def rows_of(kernel: Kernel, count: int) -> list[For] | None:
    """The outer loops of a kernel, which run over so many rows."""
    outer: list[For] = []
    body = kernel.body
    while count > 1:
        if len(body) != 1 or not is_simple(body[0]) or count % body[0].axis.length:
            return None
        outer.append(body[0])
        count //= body[0].axis.length
        body = body[0].body
    return outer


def elements_of(body: tuple[Statement, ...], shape: list[int]) -> list[For] | None:
    """The loops of a nest over `shape` at the end of a body, which does nothing but store."""
    loops: list[For] = []
    for extent in shape:
        last = body[-1]
        if not is_simple(last) or last.axis.extent != extent or (loops and len(body) > 1):
            return None
        loops.append(last)
        body = last.body
    return loops if all(map(is_store, body)) else None


def is_light(row: For, elements: For, sums: Sequence[Sums]) -> bool:
    """Whether so little is done to the elements of a row, and nothing else, that sums and what all
    rows have in common would come and go more often than arrays."""
    roots = [*expressions(elements.body), *(c.next for s in sums for c in s.rows.carries)]
    work = sum(n.kind == "op" and n.dtype != "int64" for n in reachable(roots))
    return len(row.body) == 1 and work <= LIGHT


def joined(rows: Draft, made: list[Draft], target: Target) -> Draft | None:
    """One kernel of one over rows and of others that add them up; None where they do not fit."""
    sums = [found for draft in made if (found := sums_of(draft.kernel)) is not None]
    domains = {found.domain for found in sums}
    if len(sums) < len(made) or len(domains) > 1:
        return None
    count, length, *shape = domains.pop()
    outer = rows_of(rows.kernel, count * length)
    loops = elements_of(outer[-1].body, shape) if outer else None
    if not outer or loops is None:
        return None
    b = Builder()
    buffers: dict[Buffer, Buffer] = {}
    named: dict[Place, Buffer] = {}
    for draft in (rows, *made):
        for old, place in zip(draft.kernel.buffers, draft.places, strict=True):
            new = Buffer(f"b{len(named)}", old.dtype, old.shape, old.strides, old.role)
            buffers[old] = named.setdefault(place, new)
    held: dict[Carry, Buffer] = {}
    for found in sums:
        for c in found.rows.carries:
            strides = row_major(tuple(shape))
            name, dtype = f"sum{len(held)}", c.carry.dtype
            held[c.carry] = Buffer(name, dtype, tuple(shape), strides, "local")
    several = ABREAST if is_light(outer[-1], loops[-1], sums) and not length % ABREAST else 1
    part, step = Axis(count, "part"), Axis(length // several, "row")

    def copy_of(
        found: Sums, at: Sequence[Expr], stored: dict[tuple[Any, ...], Expr], row: Expr
    ) -> Rewriter:
        """What copies the expressions of sums for the elements `at` of a row."""
        copy = Elements(b, buffers, stored)
        copy.bind("axis", found.part.axis, b.axis(part))
        copy.bind("axis", found.rows.axis, row)
        for loop, place in zip(found.inside, at, strict=True):
            copy.bind("axis", loop.axis, place)
        for c in found.rows.carries:
            value = b.node("load", c.carry.dtype, held[c.carry], tuple(at))
            copy.bind("carry", c.carry, value)
            copy.bind("final", c.carry, value)
        return copy

    def over(make: Callable[[Rewriter, Sums, tuple[Expr, ...]], Iterable[Statement]]) -> Statement:
        """A nest over the elements of sums."""
        axes = [Axis(n) for n in shape]
        at = tuple(map(b.axis, axes))
        body = tuple(
            s for found in sums for s in make(copy_of(found, at, {}, b.axis(step)), found, at)
        )
        for axis in reversed(axes):
            body = (For(axis, body),)
        return body[0]

    def added(stores: tuple[Store, ...]) -> Iterator[Statement]:
        """The stores that add elements of a row, given those that made them."""
        stored = {(s.buffer, *s.index): s.value for s in stores}
        at = tuple(b.axis(loop.axis) for loop in loops)
        for found in sums:
            copy = copy_of(found, at, stored, b.axis(step))
            for c in found.rows.carries:
                yield Store(held[c.carry], at, copy(c.next))

    def of_row(row: Expr) -> Rows:
        """What copies the work on a row."""
        copy = Rows(b, buffers, loops[-1], added)
        position = b.add(b.mul(b.axis(part), b.index(length)), row)
        for loop in reversed(outer):
            extent = b.index(loop.axis.extent)
            copy.bind("axis", loop.axis, position if loop is outer[0] else b.imod(position, extent))
            position = b.idiv(position, extent)
        return copy

    def abreast() -> tuple[Statement, ...]:
        """One loop over the elements of several rows, each some way after the one before."""
        axes = [Axis(n) for n in shape]
        at = tuple(map(b.axis, axes))
        body: tuple[Statement, ...] = ()
        totals: dict[Carry, Expr] = {}
        for k in range(several):
            row = b.add(b.axis(step), b.index(k * (length // several)))
            work = of_row(row)
            for loop, place in zip(loops, at, strict=True):
                work.bind("axis", loop.axis, place)
            stores = tuple(s for s in work.statements(loops[-1].body) if isinstance(s, Store))
            body += stores
            stored = {(s.buffer, *s.index): s.value for s in stores}
            for found in sums:
                copy = copy_of(found, at, stored, row)
                for carry, total in totals.items():
                    copy.bind("carry", carry, total)
                totals |= {c.carry: copy(c.next) for c in found.rows.carries}
        body += tuple(Store(held[carry], at, total) for carry, total in totals.items())
        for axis in reversed(axes):
            body = (For(axis, body),)
        return body

    inside = abreast() if several > 1 else of_row(b.axis(step)).statements(outer[-1].body)
    written = {(s.buffer, *s.index) for s in walk(inside) if isinstance(s, Store)}
    results = {s.buffer for s in walk(inside) if isinstance(s, Store)} - {*held.values()}
    for node in reachable(expressions(inside)):
        if node.kind == "load" and node.data in results and (node.data, *node.args) not in written:
            return None  # an element that is made later, or by another thread
    body = (
        For(part, (
            *map(Alloc, held.values()),
            over(lambda copy, found, at: (
                Store(held[c.carry], at, copy(c.start)) for c in found.rows.carries
            )),
            in_blocks(b, For(step, inside), target),
            over(lambda copy, found, _: copy.statements(found.stores)),
        )),
    )  # fmt: skip
    kernel = Kernel("k0", buffers_of(body), body)
    places = {buffer: place for place, buffer in named.items()}
    return Draft(kernel, tuple(places[k] for k in kernel.buffers), rows.in_place)


class Elements(Rewriter):
    """Copies expressions; what is `stored` at (buffer, *index) need not be loaded."""

    def __init__(
        self, b: Builder, buffers: dict[Buffer, Buffer], stored: dict[tuple[Any, ...], Expr]
    ):
        super().__init__(b)
        self.buffers = buffers
        self.stored = stored

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if node.kind != "load" or node.masked:
            return None
        found = self.stored.get((self.buffers[node.data], *args))
        exact = found is not None and found.dtype == node.data.dtype
        return found if exact else None


class Rows(Rewriter):
    """Copies a kernel of rows; `more` gives what follows the stores of its loop `last`."""

    def __init__(
        self, b: Builder, buffers: dict[Buffer, Buffer], last: For,
        more: Callable[[tuple[Store, ...]], Iterable[Statement]],
    ):  # fmt: skip
        super().__init__(b)
        self.buffers = buffers
        self.last = last
        self.more = more

    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, For):
            self.b.axis(old.axis)
        if not isinstance(old, For) or old is not self.last:
            yield from super().statement(old)
            return
        stores = tuple(s for s in self.statements(old.body) if isinstance(s, Store))
        yield For(old.axis, (*stores, *self.more(stores)))
