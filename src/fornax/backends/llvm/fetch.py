"""What is brought to the caches before it is read, where the processor does not foresee it.

A kernel that goes over each row more than once, as a softmax does, waits for memory the first time
and computes the other times, when the row is in the caches: memory rests. There a row to come is
asked for.

A loop that reads a cache line each of several rows, and then the next line of each, is one
instruction that jumps to and fro. There what follows in the same row is asked for.

A loop that adds up rows of a large array goes from page to page, several rows at a time. The rows
of its next iteration are asked for. Where running sums of pieces of rows are written, which goes
from page to page as well, rows somewhat further on are.

Where rows are worked on a few at a time, as `compiler/row_blocks.py` does, those that follow these
are asked for.

Lanes that read anywhere in one row, and then in the next, ask for that from end to end.

Processors foresee less of what is read from its end to its start: what lies a page further down is
asked for.

Blocks of which threads take turns ask for what the same thread reads next.

Where rows are read beside others that are the same for all of them, the latter leave the first
cache between two rows, and their way back into it hides the order of what comes from memory. What
lies a page further on is asked for.

Where a loop reads an array in several rows at once, a page or more apart, as stencils do, all but
one of them are in the caches, and what these answer hides the order of what comes from memory. What
lies two pages further on in the row that comes first is asked for.

Blocks of a matrix are a few lines of many rows, far from one another. While one is worked on, the
next two are asked for, each line twice: so many at once are more than the processor keeps account
of, and it drops some. (Measured: x + y.T takes 0.87 of the time with both.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.estimate import trips
from fornax.compiler.loop.ir import (
    COMPARE,
    WIDTH,
    Alloc,
    Axis,
    Buffer,
    Expr,
    For,
    If,
    Kernel,
    Store,
)
from fornax.compiler.loop.rewrite import expressions, walk
from fornax.compiler.target import Target

#: bytes of the shortest rows: the processor itself foresees what follows within a page or two
SHORTEST = 8192
#: bytes at least between a row and the one asked for: what is asked for needs time to arrive
FAR = 16384
#: bytes of pieces of rows between what is read and what is asked for, where sums run down them
SOON = 65536
#: operations on each of the elements of a cache line that take as long as it takes to arrive
DEAR = 11
#: operations that are part of the instruction that uses them, or none
FREE = {*COMPARE, "neg", "bitcast"}
#: bytes of a cache line, and of the rows of which one line is read at a time
LINE, PAGE = 64, 4096
#: bytes between what the first of several rows reads and what is asked for
STENCIL = 8192
#: cache lines of a row between what is read and what is asked for
AHEAD = 2
#: bytes at least between a block of a few lines of many rows and the one asked for
SHORT = 256
#: share of the first cache that rows take which are the same for all, where others are asked for
BESIDE = 0.5


def fetched(kernel: Kernel, target: Target) -> dict[Expr, tuple[int, ...]]:
    """Loads beside which memory is asked for something, and how many elements further on that is
    than what they read."""
    found: dict[Expr, int] = {}
    next_blocks: dict[Expr, int] = {}
    sums: dict[Buffer, list[tuple[int, dict[Expr, int]]]] = {}
    blocks: dict[Expr, int] = {}  # of rows that are worked on a few at a time
    for outer in walk(kernel.body):
        if isinstance(outer, For) and any(isinstance(s, Alloc) for s in outer.body):
            next_blocks.update(next_block(outer, target))
            if outer.kind == "serial":
                blocks.update(next_rows(outer, target))
        if isinstance(outer, For) and outer.kind in ("serial", "parallel") and not outer.reverse:
            loops = [s for s in outer.body if isinstance(s, For) and s.kind == "vector"]
            along = list(along_rows(outer))
            if len(along) > 1:
                found.update(again(outer, along, target))
            for loop in loops:
                found.update(anywhere(outer, loop, target))
            for loop in loops:
                found.update(downwards(outer, loop, target))
                found.update(told(loop))
            for loop in inner_vectors(outer):
                found.update(rows_at_once(loop, target))
            if len(loops) == 1:
                rows = added_up(outer, loops[0], target)
                for buffer in {node.data for node in rows}:
                    asked = {n: k for n, k in rows.items() if n.data is buffer}
                    sums.setdefault(buffer, []).append((trips(outer), asked))
                found.update(beside(outer, loops[0], target))
                found.update(running_down(outer, loops[0], target))
        if isinstance(outer, For) and outer.kind == "vector":
            for inner in outer.body:
                if isinstance(inner, For) and inner.kind == "serial":
                    found.update(to_and_fro(outer, inner, target))
    # of several loops over the same rows the longest asks, and those before it, which are the first
    # to read some of them: others find them in the second cache
    for places in sums.values():
        longest = max(count for count, _ in places)
        for count, rows in places:
            found.update(rows)
            if count == longest:
                break
    found.update(blocks)
    return {
        **{node: (step, 2 * step) for node, step in next_blocks.items()},
        **{node: (step,) for node, step in found.items() if step},
    }


def next_rows(blocks: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` of rows of which a few are gone through again and again. All but the
    first ask for those of the next block, for memory must not rest; it asks for 0."""
    found: dict[Expr, int] = {}
    seen: set[Buffer] = set()
    for rows in walk(blocks.body):
        extent = rows.axis.extent if isinstance(rows, For) and rows.kind == "serial" else None
        if not isinstance(rows, For) or not isinstance(extent, int):
            continue
        for loop in (s for s in rows.body if isinstance(s, For) and s.kind == "vector"):
            large: set[Buffer] = set()
            for node, size, moves in reads(reachable(expressions((loop,)))):
                step = moves.get(blocks.axis, 0)
                fits = step == moves.get(rows.axis, 0) * extent and moves.get(loop.axis) == 1
                if step * size >= extent * SHORTEST and fits and node.data.size * size > target.l2:
                    found[node] = step if node.data in seen else 0
                    large.add(node.data)
            seen |= large
    again = {node.data for node, step in found.items() if step}
    return {node: step for node, step in found.items() if node.data in again}


def next_block(blocks: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` that read a few cache lines of each of many rows in every block."""
    steps: dict[Expr, int] = {}
    inside = {s.axis: s for s in walk(blocks.body) if isinstance(s, For)}
    ends: dict[Buffer, list[int]] = {}
    for node in reachable(expressions(blocks.body)):
        if node.kind != "load" or node.data.role not in ("in", "inout"):
            continue
        size = WIDTH[node.data.dtype] // 8
        if node.data.size * size <= target.l2:
            continue
        row, step = None, 0
        terms, first = affine.linear(node.args[0])
        last = first
        for part, coefficient in terms:
            if part.kind == "axis" and part.data in inside:
                row = part.data if coefficient == 1 else row
                last += abs(coefficient) * affine.last_value(part.data)
            elif counts(part, blocks.axis):
                step = coefficient
        ends.setdefault(node.data, []).extend((first, last))
        if row is not None and inside[row].kind == "vector":
            length = affine.last_value(row) + 1
            if length <= step and length * size < PAGE:
                steps[node] = step * -(-SHORT // (step * size))
    far = {b for b, at in ends.items() if (max(at) - min(at)) * WIDTH[b.dtype] // 8 >= PAGE}
    return {node: step for node, step in steps.items() if node.data in far}


def counts(part: Expr, axis: Axis) -> bool:
    """Whether a part of an offset counts the steps of a loop, which may be two loops in one."""
    if part.kind == "op" and part.data == "imod":
        part = part.args[0]
    return part.kind == "axis" and part.data is axis


def reads(nodes: Iterable[Expr]) -> Iterator[tuple[Expr, int, dict[Axis, int]]]:
    """Loads from arrays, bytes of their elements, and how many of these a step of each loop is."""
    for node in nodes:
        if node.kind == "load" and node.data.role in ("in", "inout"):
            terms, _ = affine.linear(node.args[0])
            moves = {part.data: by for part, by in terms if part.kind == "axis"}
            yield node, WIDTH[node.data.dtype] // 8, moves


def to_and_fro(lanes: For, rows: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` that read no more than a cache line of each row before the next."""
    found: dict[Expr, int] = {}
    for node, size, moves in reads(reachable(expressions((rows,)))):
        if node.data.size * size <= target.l2 or lanes.lanes * size > LINE:
            continue
        if moves.get(lanes.axis) == 1 and moves.get(rows.axis, 0) * size >= PAGE:
            found[node] = AHEAD * LINE // size
    return found


def anywhere(outer: For, loop: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` at computed places in a row that is no longer than the loop."""
    found: dict[Expr, int] = {}
    extent = loop.axis.extent
    for node, size, moves in reads(reachable(expressions((loop,)))):
        if not isinstance(extent, int) or node.data.size * size <= target.l2:
            continue
        computed = [(p, c) for p, c in affine.linear(node.args[0])[0] if p.kind != "axis"]
        if not computed or loop.axis in moves or moves.get(outer.axis, 0) * size < LINE:
            continue
        reach = sum(abs(c) * (p.high - p.low) for p, c in computed)
        if moves[outer.axis] <= extent and reach < extent and extent * size <= target.l2 // 4:
            found[node] = moves[outer.axis]
    return found


def added_up(outer: For, loop: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` of rows that are combined in local memory, and no others."""
    nodes = reachable(expressions((loop,)))
    sums = {n.data for n in nodes if n.kind == "load" and n.data.role == "local"}
    if not loop.body or not all(isinstance(s, Store) and s.buffer in sums for s in loop.body):
        return {}
    found: dict[Expr, int] = {}
    for node, size, moves in reads(nodes):
        step = moves.get(outer.axis, 0)
        far = step * size >= PAGE and node.data.size * size > target.l2
        if far and moves.get(loop.axis) == 1:
            found[node] = step
    return found


def downwards(outer: For, loop: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` that go from the end of a large array to its start, row by row."""
    found: dict[Expr, int] = {}
    for node, size, moves in reads(reachable(expressions((loop,)))):
        down = moves.get(loop.axis) == -1 and moves.get(outer.axis, 0) < 0
        if down and node.data.size * size > target.l2:
            found[node] = -PAGE // size
    return found


def told(loop: For) -> dict[Expr, int]:
    """The loads of `fetched` that a store names: `Store.ahead`."""
    found: dict[Expr, int] = {}
    for store in loop.body:
        if not isinstance(store, Store) or not store.ahead:
            continue
        for node in reachable((store.value,)):
            if node.kind != "load" or node.data.role not in ("in", "inout"):
                continue
            moves = {p.data: c for p, c in affine.linear(node.args[0])[0] if p.kind == "axis"}
            if abs(moves.get(loop.axis, 0)) == 1:
                found[node] = store.ahead
    return found


def inner_vectors(outer: For) -> Iterator[For]:
    """The vector loops of a body, those in its branches too."""
    for statement in outer.body:
        if isinstance(statement, If):
            yield from inner_vectors(For(outer.axis, (*statement.body, *statement.orelse)))
        elif isinstance(statement, For) and statement.kind == "vector":
            yield statement


def rows_at_once(loop: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` of the rows that come first, of several rows of a large array."""
    if any(isinstance(s, Store) and s.buffer.role == "local" for s in loop.body):
        return {}  # a block that is laid out otherwise: see `next_block`
    rows: dict[tuple[Any, ...], list[tuple[int, Expr]]] = {}
    for node, size, moves in reads(reachable(expressions((loop,)))):
        if moves.get(loop.axis) == 1 and node.data.size * size > target.l2:
            terms, first = affine.linear(node.args[0])
            rows.setdefault((node.data, frozenset(terms)), []).append((first, node))
    found: dict[Expr, int] = {}
    for (buffer, _), places in rows.items():
        size = WIDTH[buffer.dtype] // 8
        last, leading = max(places, key=lambda place: place[0])
        between = (last - min(first for first, _ in places)) * size
        if PAGE <= between <= target.l3 // 2:
            found[leading] = STENCIL // size
    return found


def running_down(outer: For, loop: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` of rows that are combined with what is kept of the rows before them,
    where results are rows, too."""
    nodes = reachable(expressions((loop,)))
    kept = {n.data for n in nodes if n.kind == "load" and n.data.role == "scratch"}
    written = {s.buffer for s in loop.body if isinstance(s, Store)}
    if not kept & written or not all(b in kept or b.role == "out" for b in written):
        return {}
    found: dict[Expr, int] = {}
    for node, size, moves in reads(nodes):
        step, extent = moves.get(outer.axis, 0), loop.axis.extent
        far = (step < 0 or step * size >= PAGE) and node.data.size * size > target.l2
        if far and moves.get(loop.axis) == 1:
            long = extent if isinstance(extent, int) else extent.high
            found[node] = step * -(-SOON // (long * size))
    return found


def beside(outer: For, loop: For, target: Target) -> dict[Expr, int]:
    """The loads of `fetched` of rows of a large array, where each is read beside the same rows of
    others and results are written past the caches."""
    written = {s.buffer for s in loop.body if isinstance(s, Store) and s.buffer.role == "out"}
    large = any(b.size * WIDTH[b.dtype] // 8 >= target.streamed for b in written)
    if not large or not target.streams:
        return {}
    found: dict[Expr, int] = {}
    same = 0
    for node, size, moves in reads(reachable(expressions((loop,)))):
        if moves.get(loop.axis) != 1:
            continue
        if outer.axis not in moves:
            same += loop.axis.extent * size if isinstance(loop.axis.extent, int) else 0
        elif node.data.size * size >= target.streamed:
            found[node] = PAGE // size
    return found if same >= BESIDE * target.l1 else {}


def along_rows(outer: For) -> Iterator[tuple[For, int, set[Axis]]]:
    """The vector loops in `outer`, and those in blocks of a row, with the elements of the row and
    the axes along it."""
    for loop in outer.body:
        if not isinstance(loop, For) or not isinstance(loop.axis.extent, int):
            continue
        if loop.kind == "vector":
            yield loop, loop.axis.extent, {loop.axis}
        elif loop.kind == "serial" and len(loop.body) == 1:
            (block,) = loop.body
            if isinstance(block, For) and block.kind == "vector":
                if isinstance(block.axis.extent, int):
                    yield block, loop.axis.extent * block.axis.extent, {loop.axis, block.axis}


def again(outer: For, rows: list[tuple[For, int, set[Axis]]], target: Target) -> dict[Expr, int]:
    """The loads of `fetched` in the loops that follow one another in `outer`, of rows that several
    of them read. Where a loop over a row again computes for as long as a row takes to arrive, those
    over it again ask, not the first, which waits for memory anyway. Where there is none, memory is
    what takes longest, and every loop asks, for it must never rest. (Measured: what is asked for in
    one short loop, or a part of the row in each, is less than memory could bring; a loop after the
    one that computes longest asks for what that has not got.)"""
    found: dict[tuple[Any, ...], list[tuple[int, Expr]]] = {}
    for loop, extent, along in rows:
        nodes = reachable(expressions((loop,)))
        work = varying(nodes, loop)
        for node in nodes:
            if node.kind != "load" or node.data.role not in ("in", "inout", "out"):
                continue
            size = WIDTH[node.data.dtype] // 8
            if node.data.size * size <= target.l2:
                continue
            if not SHORTEST <= extent * size <= target.l2 // 4:
                continue
            terms, constant = affine.linear(node.args[0])
            moves = {p.data: c for p, c in terms if p.kind == "axis"}
            step = moves.get(outer.axis, 0)
            if moves.get(loop.axis) != 1 or step < extent:
                continue
            rest = frozenset((p, c) for p, c in terms if p.data not in along)
            key = node.data, rest, constant, step * -(-FAR // (step * size))
            found.setdefault(key, []).append((work, node))
    chosen: dict[Expr, int] = {}
    for (buffer, *_, distance), places in found.items():
        dearest = max((work for work, _ in places[1:]), default=0)
        if dearest >= DEAR:
            places = places[1:]
        elif len(places) == 1 or buffer.nbytes <= target.l3 // 2:
            continue  # what lies in the third cache comes soon enough
        chosen.update((node, distance) for _, node in places)
    return chosen


def varying(nodes: list[Expr], loop: For) -> int:
    """How many operations of a loop's body are not the same in all its iterations."""
    carries = {one.carry for one in loop.carries}
    varies: set[Expr] = set()
    for node in nodes:
        own = node.kind in ("axis", "carry") and (node.data is loop.axis or node.data in carries)
        if own or not varies.isdisjoint(node.args):
            varies.add(node)
    return sum(node.kind == "op" and node.data not in FREE for node in varies)
