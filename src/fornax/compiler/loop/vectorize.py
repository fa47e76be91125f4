"""Which loops run in vectors, and how wide.

For every nest the cheapest choice by `estimate`: along the axis that stores and loads run through
memory, which makes row reductions horizontal (partial results per lane) and column reductions
vertical (one result per lane, a register tile of columns). Nests that already have vector or
unrolled loops are left as they are.
"""

from __future__ import annotations

from collections import Counter

from fornax._native import reachable
from fornax.compiler.loop import affine, compaction
from fornax.compiler.loop.columns import along_rows
from fornax.compiler.loop.estimate import MOST_INTERLEAVED, Estimate, trips
from fornax.compiler.loop.interior import interior
from fornax.compiler.loop.ir import (
    COMBINERS,
    MATH,
    Alloc,
    Axis,
    Buffer,
    Expr,
    For,
    If,
    Kernel,
    Statement,
    Store,
    While,
)
from fornax.compiler.loop.ordered import ordered
from fornax.compiler.loop.overlap import overlapping
from fornax.compiler.loop.reading import in_order_of_reading
from fornax.compiler.loop.rewrite import expressions, walk
from fornax.compiler.loop.running import is_scan, running
from fornax.compiler.loop.split import split
from fornax.compiler.loop.stage import stage, staged
from fornax.compiler.loop.sums import block_sums
from fornax.compiler.loop.tile import collapse, tile_transposes
from fornax.compiler.target import Target

#: registers' worth of lanes per iteration for loops of few instructions
UNROLL = 4
#: loops with more instructions than this run one register at a time: the values of two iterations
#: would find no room. Where they do, the processor works on one while the other waits for itself
HEAVY = 40
#: times as many for targets with 32 registers,
ROOMY = 4
#: and with more than this two
MEDIUM = 16
#: where there are 32 registers, loops without carries that run so often take four up to so many
#: instructions: that some values find no room costs less than waiting, and pays for longer code
OFTEN, WIDE = 1 << 20, 120
#: loops that need few values at once, as random numbers do, find room for several registers of them
#: up to so many instructions
LONG = 400
#: a vector of elements that lie a few apart is picked from as many registers. More than so many of
#: them in an iteration, or those of two vectors from three, are read in no order that the processor
#: foresees
PICKED = 8
#: values that a mathematical function keeps at once
OWN = 4
#: loops that run so rarely in all use one register: more code would cost more than it saves
RARE = 4096


def vectorize(kernel: Kernel, target: Target) -> Kernel:
    """The flat kernel with collapsed loops, tiled transposes and marked vector loops."""
    if not is_marked(kernel.body):
        kernel = collapse(interior(overlapping(split(kernel), target)))
        kernel = ordered(in_order_of_reading(tile_transposes(kernel, target), target))
    estimate = Estimate(kernel.body, target)
    chosen: set[For] = set()
    pending = list(estimate.children[None])
    while pending:
        loop = pending.pop()
        if not is_marked((loop,)):
            cost = choose(estimate, loop, chosen)
            found = staged(kernel.body, target, cost)
            if found is not None:
                return stage(kernel, found, target)
        elif isinstance(loop, While) or loop.kind in ("serial", "parallel"):
            pending += estimate.children[loop]
    if not chosen:
        return kernel
    lanes = {loop: lanes_of(estimate, loop) for loop in chosen}
    body = marked(kernel.body, lanes)
    kernel = Kernel(kernel.name, kernel.buffers, body, kernel.extent, kernel.grain)
    return block_sums(along_rows(kernel, target), target)


def is_marked(body: tuple[Statement, ...]) -> bool:
    """Whether a kernel has vector or unrolled loops of its own."""
    return any(isinstance(s, For) and s.kind in ("vector", "unroll") for s in walk(body))


def marked(body: tuple[Statement, ...], lanes: dict[For, int]) -> tuple[Statement, ...]:
    """The statements with the chosen loops made vector loops."""

    def mark(statement: Statement) -> Statement:
        if isinstance(statement, For):
            inner = marked(statement.body, lanes)
            width = lanes.get(statement, statement.lanes)
            kind = "vector" if statement in lanes else statement.kind
            if kind == "vector":
                inner = tuple(side_by_side(s, statement.axis) for s in inner)
            return For(statement.axis, inner, statement.carries, kind, width, statement.reverse)
        if isinstance(statement, While):
            inner = marked(statement.body, lanes)
            return While(statement.condition, statement.carries, inner)
        if isinstance(statement, If):
            inner = marked(statement.body, lanes)
            return If(statement.condition, inner, marked(statement.orelse, lanes))
        return statement

    return tuple(map(mark, body))


def side_by_side(statement: Statement, lane: Axis) -> Statement:
    """A loop in a vector loop that writes the few elements between those of neighbouring lanes is
    unrolled: they are written together then."""
    if not isinstance(statement, For) or statement.kind != "serial" or statement.carries:
        return statement
    extent, stores = statement.axis.extent, statement.body
    if not isinstance(extent, int) or not 1 < extent <= MOST_INTERLEAVED:
        return statement
    for store in stores:
        if not isinstance(store, Store) or len(store.index) != 1 or store.mask is not None:
            return statement
        terms = affine.linear(store.index[0])[0]
        steps = {part.data: by for part, by in terms if part.kind == "axis"}
        if steps.get(statement.axis) != 1 or steps.get(lane) != extent:
            return statement
    return For(statement.axis, stores, kind="unroll", reverse=statement.reverse)


def choose(estimate: Estimate, loop: For | While, chosen: set[For]) -> float:
    """The least cost of a loop, adding the loops to vectorize for it to `chosen`."""
    if isinstance(loop, For) and loop.kind in ("vector", "unroll"):
        return estimate.loop_cost(loop)
    inner: set[For] = set()
    below = sum(choose(estimate, child, inner) for child in estimate.children[loop])
    count, one = trips(loop), estimate.own_cost(loop, None, 1) + below + 1
    cost = count * one
    if isinstance(loop, For) and is_compaction(estimate, loop):
        chosen.add(loop)
        steps = -(-count // compaction.lanes(loop, estimate.target))
        return steps * (estimate.own_cost(loop, None, 1) + 1)
    if isinstance(loop, For) and is_legal(estimate, loop):
        native = estimate.native(loop)
        steps, rest = divmod(count, native)
        if rest and estimate.masks(loop):
            steps, rest = steps + 1, 0
        combine = 3 * native.bit_length() * len(loop.carries)
        vector = steps * (estimate.vector_cost(loop, loop, native) + 1) + rest * one + combine
        if vector < cost:
            chosen.add(loop)
            return vector
    chosen |= inner
    return cost


def is_compaction(estimate: Estimate, loop: For) -> bool:
    """True for a loop that writes some of its values one behind the other, if lanes can."""
    if not estimate.target.compacts or loop.kind != "serial":
        return False
    return compaction.chosen(loop) is not None and trips(loop) > 1


def is_legal(estimate: Estimate, loop: For) -> bool:
    """True when the iterations of a loop may run side by side."""
    if loop.kind != "serial" or loop.reverse or trips(loop) < 2:
        return False
    if any(carried.combiner not in COMBINERS for carried in loop.carries):
        return False
    if running(loop) and not is_scan(loop):
        return False
    written: dict[Buffer, list[Expr]] = {}
    for statement in walk(loop.body):
        if isinstance(statement, Alloc):
            return False
        if isinstance(statement, For) and statement.kind != "serial":
            return False
        if isinstance(statement, For) and isinstance(statement.axis.extent, Expr):
            if statement.axis.extent in estimate.varying(loop):
                return False
        if isinstance(statement, Store):
            stride = estimate.stride(statement.index[0], loop)
            if stride == 0 or (stride is None and statement.buffer in written):
                return False
            written.setdefault(statement.buffer, []).append(statement.index[0])
    if not written:
        return True
    roots = [*expressions(loop.body), *(c.next for c in loop.carries)]
    for node in reachable(roots):
        if node.kind == "load" and node.data in written:
            # read, change, write in place is fine; reading other elements is not
            if any(index is not node.args[0] for index in written[node.data]):
                return False
            if estimate.stride(node.args[0], loop) is None:
                return False
    return True


def runs(estimate: Estimate, loop: For) -> int:
    """How often the innermost body of a loop is executed."""
    total = inner_runs(estimate, loop)
    outer = estimate.parent[loop]
    while outer is not None:
        total *= trips(outer)
        outer = estimate.parent[outer]
    return total


def inner_runs(estimate: Estimate, loop: For | While) -> int:
    inside = (inner_runs(estimate, child) for child in estimate.children[loop])
    return trips(loop) * max(inside, default=1)


def instructions(estimate: Estimate, loop: For) -> list[Expr]:
    """What every lane of a vector loop computes, in its order, without addresses."""
    varying = estimate.varying(loop)
    return [
        node
        for node in estimate.nodes
        if node in varying
        and node.kind in ("op", "load")
        and not (node.dtype == "int64" and affine.is_sum(node))
    ]


def alive(computed: list[Expr]) -> int:
    """How many values are needed at once, at most, with what functions keep for themselves."""
    last: dict[Expr, int] = {}
    for place, node in enumerate(computed):
        last[node] = place
        for operand in node.args:
            if operand in last:
                last[operand] = place
    ends = Counter(last.values())
    most = now = 0
    for place, node in enumerate(computed):
        now += 1
        most = max(most, now + (OWN if node.data in MATH else 0))
        now -= ends[place]
    return most


def furthest(estimate: Estimate, computed: list[Expr], loop: For) -> int:
    """How far apart, in elements, neighbouring lanes read at most, where they pick that from whole
    registers; 0 where they read nothing so, or write so, too: then there is enough between."""
    stores = [s for s in walk(loop.body) if isinstance(s, Store)]
    if any(estimate.stride(s.index[0], loop) not in (0, 1) for s in stores):
        return 0
    strides = [estimate.stride(n.args[0], loop) for n in computed if n.kind == "load"]
    return max((by for by in strides if by is not None and by <= MOST_INTERLEAVED), default=0)


def lanes_of(estimate: Estimate, loop: For) -> int:
    """Lanes for a vector loop: whole registers, several for short bodies, a divisor if possible."""
    if compaction.chosen(loop) is not None:
        return compaction.lanes(loop, estimate.target)
    native = estimate.native(loop)
    computed = instructions(estimate, loop)
    work = sum(20 if node.data in MATH else 1 for node in computed)
    inside = [s for s in walk((loop,)) if isinstance(s, For | While)]
    carries = sum(len(s.carries) for s in inside)
    registers, often = estimate.target.registers, runs(estimate, loop)
    roomy = registers >= 32
    heavy = HEAVY * (ROOMY if roomy else 1)
    fits = MEDIUM < work <= LONG and UNROLL * (alive(computed) + carries) <= registers
    vectors = UNROLL if work <= MEDIUM else 2 if work <= heavy or fits else 1
    if any(s is not loop and s.carries for s in inside) and work <= MEDIUM:
        # a register tile: its accumulators should fill half of the registers
        room = registers // 2
        while vectors * 2 * carries <= room and vectors < 16:
            vectors *= 2
    elif fits and often >= OFTEN:
        vectors = UNROLL
    elif loop.carries and work <= heavy:
        vectors = max(vectors, 2)
    elif roomy and work <= WIDE and often >= OFTEN and len(inside) == 1:
        vectors = UNROLL
    if any(isinstance(s, While) for s in inside):
        vectors = 1  # it runs until the last lane is done
    if often <= RARE or running(loop):  # the steps of several registers overlap by themselves
        vectors = 1
    if (apart := furthest(estimate, computed, loop)) > 1:
        vectors = min(vectors, 1 if apart & 1 else PICKED // apart)
    extent = loop.axis.extent
    if isinstance(extent, int):
        while vectors > 1 and native * vectors > extent:
            vectors //= 2
        even = vectors
        while even > 1 and extent % (native * even):
            even //= 2
        if extent % (native * even) == 0 and (2 * even >= vectors or extent < 4 * native * vectors):
            vectors = even
    return native * vectors
