"""Stores: the cheapest access each stride allows, as for loads, and stores that are made together.

Those that follow one another are made after all their values are known (`prepare`, `perform`): a
few that fill a window together are interleaved, as many as there are lanes transposed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fornax.backends.llvm import compaction, edges, lanewise, masks
from fornax.backends.llvm.addresses import (
    Access,
    Terms,
    access,
    address,
    loaded_type,
    memory_type,
    overload,
    parts,
)
from fornax.backends.llvm.instructions import type_of
from fornax.backends.llvm.scope import Value
from fornax.backends.llvm.squares import ASIDE, exchanged, read_in_pieces, square_steps
from fornax.compiler.loop.estimate import MOST_INTERLEAVED
from fornax.compiler.loop.ir import WIDTH, Buffer, Store
from fornax.errors import InternalError

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values


class Pending(NamedTuple):
    """A store whose operands are computed."""

    store: Store
    found: Access
    value: Value
    mask: Value | None


def prepare(e: Values, store: Store) -> Pending:
    """Compute everything a store needs, without storing yet."""
    offset = store.index[0]
    for part in parts(offset):
        e.value(part)
    mask = None if store.mask is None else masks.value(e, store.mask)
    return Pending(store, access(e, offset), e.value(store.value), mask)


def streaming(
    e: Values, buffer: Buffer, terms: Terms, constant: int, lanes: int, count: int = 1
) -> str:
    """How whole vectors of `count` elements a lane are stored past the caches, or "" if they are
    not, or may not be aligned.

    The vector axis itself counts in steps of `lanes`.
    """
    if buffer not in e.streams:
        return ""
    size = WIDTH[buffer.dtype] // 8
    nbytes = count * lanes * size
    # three elements a lane are no power of two
    whole, axis = min(nbytes & -nbytes, e.target.vector_bits // 8), e.vector_loop.axis
    steps = [
        coefficient * (lanes if part.kind == "axis" and part.data is axis else 1)
        for part, coefficient in terms
    ]
    within = e.row is not None and e.row == edges.row_of(e, buffer, terms, constant)
    if whole < 16 or (not within and any(n * size % whole for n in (*steps, constant))):
        return ""
    return f"align {whole}, !nontemporal !0"


def stored(e: Values, value: Value, dtype: str, lanes: int) -> tuple[str, str]:
    """(type, name) of a value as it goes to memory."""
    depth = e.scopes[-1].depth
    name = e.widened(value, dtype, lanes)
    kind = loaded_type(dtype, lanes)
    if dtype == "bool":
        name = e.put(depth, f"zext {type_of(dtype, lanes)} {name} to {kind}")
    return kind, name


def perform(e: Values, pending: list[Pending]) -> None:
    """Store, several interleaved stores together."""
    rest = list(pending)
    aside = all(one.store.buffer.role in ASIDE for one in pending)
    while rest:
        if group := interleaved(e, rest):
            store_window(e, group)
        elif group := square(e, rest):
            if not (aside and read_in_pieces(e, group)):
                store_square(e, group)
        else:
            group = [rest[0]]
            store_one(e, rest[0])
        done = {id(p) for p in group}
        rest = [p for p in rest if id(p) not in done]
    for one in pending:
        e.forget(one.store.buffer)
        hold(e, one)


def hold(e: Values, one: Pending) -> None:
    """What was stored to a fixed element need not be read again: another store to memory that was
    made since is, to the processor, a reason to wait."""
    store = one.store
    buffer, dtype = store.buffer, store.value.dtype
    fixed = store.index[0].kind == "const" and store.mask is None and e.vector is None
    if fixed and buffer.dtype == dtype:
        key = "held", buffer, store.index[0], dtype
        e.remember(key, Value(one.value.name, 1, len(e.scopes) - 1))
        e.readers.setdefault(buffer, {})[key] = None


def square(e: Values, rest: list[Pending]) -> list[Pending] | None:
    """As many stores to neighbouring elements as there are lanes, whose lanes are far apart."""
    first = rest[0]
    stride, lanes = first.found.stride, e.vector.lanes if e.vector else 1
    if e.mask is not None or lanes < 4 or abs(stride) < lanes or len(rest) < lanes:
        return None
    group = rest[:lanes]
    start = first.found.constant
    for k, one in enumerate(group):
        found = one.found
        same = one.store.buffer is first.store.buffer and found.scalar == first.found.scalar
        if not same or found.lanes or found.stride != stride or one.mask is not None:
            return None
        if found.constant != start + k or one.store.buffer.dtype == "bool":
            return None
    return group


def store_square(e: Values, group: list[Pending]) -> None:
    """Transpose a square of values in registers and store it row by row."""
    first = group[0]
    buffer, lanes = first.store.buffer, e.vector_loop.lanes
    depth = e.scopes[-1].depth
    names = [stored(e, p.value, p.store.value.dtype, lanes) for p in group]
    kind = names[0][0]
    rows = [name for _, name in names]
    for step in square_steps(lanes, WIDTH[buffer.dtype]):
        rows = exchanged(e, rows, kind, lanes, [step])
        if step[0] == 1:
            rows = [fenced(e, depth, kind, lanes * WIDTH[buffer.dtype], row) for row in rows]
    align = max(WIDTH[buffer.dtype] // 8, 1)
    for lane, name in enumerate(rows):
        found = first.found
        constant = found.constant + lane * found.stride
        pointer = address(e, buffer, found.scalar, constant)
        how = streaming(e, buffer, found.scalar, constant, lanes) or f"align {align}"
        e.scopes[-1].lines.append(f"  store {kind} {name}, ptr {pointer.name}, {how}")


def fenced(e: Values, depth: int, kind: str, bits: int, name: str) -> str:
    """The same vector, behind what LLVM does not look through: it would try for long to make one
    order of several, half of all that code generation takes for a square."""
    plain = f"<{bits // 32} x float>"
    if kind != plain:
        name = e.put(depth, f"bitcast {kind} {name} to {plain}")
    fence = f"call {plain} @llvm.arithmetic.fence.v{bits // 32}f32({plain} {name})"
    name = e.put(depth, fence)
    return name if kind == plain else e.put(depth, f"bitcast {plain} {name} to {kind}")


def interleaved(e: Values, rest: list[Pending]) -> list[Pending] | None:
    """Stores that together fill a window of `stride` elements per lane, first one first."""
    first = rest[0]
    stride = first.found.stride
    if not 2 <= stride <= MOST_INTERLEAVED or e.mask is not None:
        return None
    group: dict[int, Pending] = {}
    for one in rest:
        found = one.found
        same = one.store.buffer is first.store.buffer and found.scalar == first.found.scalar
        if same and not found.lanes and found.stride == stride and one.mask is None:
            group.setdefault(found.constant, one)
    start = min(group, default=0)
    window = [group[start + k] for k in range(stride) if start + k in group]
    if first.found.lanes or len(window) < stride or first not in window:
        return None
    return window


def store_window(e: Values, group: list[Pending]) -> None:
    buffer, lanes = group[0].store.buffer, e.vector_loop.lanes
    depth = e.scopes[-1].depth
    names = [stored(e, p.value, p.store.value.dtype, lanes) for p in group]
    kind = names[0][0]
    element = loaded_type(group[0].store.value.dtype, 1)
    count = len(group)
    joined, width = names[0][1], lanes
    for k, (_, name) in enumerate(names[1:], 2):
        # append the next vector, widening it first so that both operands have one type
        order = ", ".join(f"i32 {n if n < lanes else 'poison'}" for n in range(width))
        wide = f"<{width} x {element}>"
        if width != lanes:
            name = e.put(
                depth,
                f"shufflevector {kind} {name}, {kind} poison, <{width} x i32> <{order}>",
            )
        order = ", ".join(f"i32 {n}" for n in range(k * lanes))
        joined = e.put(
            depth, f"shufflevector {wide} {joined}, {wide} {name}, <{k * lanes} x i32> <{order}>"
        )
        width = k * lanes
    order = ", ".join(
        f"i32 {part * lanes + lane}" for lane in range(lanes) for part in range(count)
    )
    wide = f"<{width} x {element}>"
    mixed = e.put(depth, f"shufflevector {wide} {joined}, {wide} poison, <{width} x i32> <{order}>")
    found = group[0].found
    pointer = address(e, buffer, found.scalar, found.constant)
    align = max(WIDTH[buffer.dtype] // 8, 1)
    how = streaming(e, buffer, found.scalar, found.constant, lanes, count) or f"align {align}"
    e.scopes[-1].lines.append(f"  store {wide} {mixed}, ptr {pointer.name}, {how}")


def store_one(e: Values, one: Pending) -> None:
    store, found = one.store, one.found
    buffer, dtype = store.buffer, store.value.dtype
    varying = found.stride or found.lanes or one.value.lanes > 1 or e.chosen is not None
    align = max(WIDTH[buffer.dtype] // 8, 1)
    lines = e.scopes[-1].lines
    if not varying:
        kind, name = stored(e, one.value, dtype, 1)
        pointer = address(e, buffer, found.scalar, found.constant)
        text = f"  store {kind} {name}, ptr {pointer.name}, align {align}"
        texts = [text]
        if store.ahead:
            element, further = memory_type(buffer.dtype), e.fresh("%ahead")
            texts = [
                f"  {further} = getelementptr {element}, ptr {pointer.name}, i64 {store.ahead}",
                f"  call void @llvm.prefetch.p0(ptr {further}, i32 1, i32 3, i32 1)",
                text,
            ]
        if one.mask is None:
            lines += texts
        else:
            e.when(one.mask, texts)
        return
    lanes = e.vector_loop.lanes
    conditions = [c for c in (e.mask, one.mask) if c is not None]
    condition = masks.both(e, conditions, lanes) if conditions else None
    kind, name = stored(e, one.value, dtype, lanes)
    if e.chosen is not None:
        compaction.store(e, e.chosen, store, found, kind, name)
        return
    if found.stride == 1 and not found.lanes:
        pointer = address(e, buffer, found.scalar, found.constant)
        if condition is None:
            how = streaming(e, buffer, found.scalar, found.constant, lanes) or f"align {align}"
            lines.append(f"  store {kind} {name}, ptr {pointer.name}, {how}")
        elif (only := masks.single_lane(condition)) is not None:
            # not for speed: LLVM 22 makes a masked store of truncated lanes with one lane active
            # a scalar store of the lane before its truncation, over what follows in memory
            depth, element = e.scopes[-1].depth, loaded_type(dtype, 1)
            name = e.put(depth, f"extractelement {kind} {name}, i64 {only}")
            pointer = address(e, buffer, found.scalar, found.constant + only)
            lines.append(f"  store {element} {name}, ptr {pointer.name}, align {align}")
        else:
            lines.append(
                f"  call void @llvm.masked.store.{overload(kind)}.p0({kind} {name}, "
                f"ptr align {align} {pointer.name}, <{lanes} x i1> {condition.name})"
            )
        return
    if found.stride == -1 and not found.lanes and condition is None:
        depth, constant = e.scopes[-1].depth, found.constant - lanes + 1
        order = ", ".join(f"i32 {lane}" for lane in range(lanes - 1, -1, -1))
        turned = f"shufflevector {kind} {name}, {kind} poison, <{lanes} x i32> <{order}>"
        name, pointer = e.put(depth, turned), address(e, buffer, found.scalar, constant)
        how = streaming(e, buffer, found.scalar, constant, lanes) or f"align {align}"
        lines.append(f"  store {kind} {name}, ptr {pointer.name}, {how}")
        return
    if not found.stride and not found.lanes:
        raise InternalError(f"lanes of a vector loop store to one element of {buffer.name}")
    lanewise.scatter(e, one.store, found, condition, name)
