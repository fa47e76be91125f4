"""Loads and stores: addresses by affine analysis, and the cheapest access each stride allows.

Buffers are one-dimensional here (`simplify` flattens them), so the index is the offset, in
elements. Its linear form tells what one step of the vector loop does to the address: nothing (one
scalar load), the next element (a vector load), the previous one (load and reverse), a few elements
on (load all and shuffle), or anything else (gather).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fornax.backends.llvm import compaction, edges, lanewise, masks
from fornax.backends.llvm.addresses import (
    Access,
    Terms,
    access,
    address,
    fetch,
    finish,
    inside,
    loaded_type,
    memory_type,
    overload,
    parts,
    scalar_sum,
)
from fornax.backends.llvm.instructions import type_of
from fornax.backends.llvm.scope import Value
from fornax.backends.llvm.squares import ASIDE, exchanged, read_in_pieces, square_steps
from fornax.compiler.loop.estimate import MOST_INTERLEAVED
from fornax.compiler.loop.ir import WIDTH, Buffer, Expr, Store
from fornax.errors import InternalError

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values


class Guard(NamedTuple):
    """What a masked load carries: where to read, and the value to use elsewhere."""

    mask: Expr
    other: Expr


def load_needs(node: Expr) -> list[Expr]:
    return [*parts(node.args[0]), *node.args[1:]]


# --- loads ------------------------------------------------------------------------------------
def load(e: Values, node: Expr) -> None:
    """Emit a load and make its value known."""
    buffer, offset = node.data, node.args[0]
    guard = None
    if node.masked:
        guard = Guard(*node.args[1:])
        if buffer.size == 0:
            e.remember(node, e.value(guard.other))
            return
    held = e.known.get(("held", buffer, offset, node.dtype)) if guard is None else None
    if held is not None:
        e.remember(node, Value(held.name, 1, len(e.scopes) - 1))
        e.readers.setdefault(buffer, {})[node] = None
        return
    found = access(e, offset)
    safe = inside(offset, buffer)
    varying = bool(found.stride or found.lanes) or (
        guard is not None and e.is_varying(guard.mask) and not safe
    )
    if not varying:
        value = uniform_load(e, node, found, guard, safe)
    else:
        value = vector_load(e, node, found, guard, safe)
    e.remember(node, value)
    if buffer in e.written:
        e.readers.setdefault(buffer, {})[node] = None


def plain_load(e: Values, pointer: Value, node: Expr, lanes: int, depth: int) -> str:
    return finish(e, raw_load(e, pointer, node, lanes, depth), node.dtype, lanes, depth)


def raw_load(e: Values, pointer: Value, node: Expr, lanes: int, depth: int) -> str:
    """What is in memory: of a bool its byte."""
    align = max(WIDTH[node.data.dtype] // 8, 1)
    return e.put(depth, f"load {loaded_type(node.dtype, lanes)}, ptr {pointer.name}, align {align}")


def picked(
    e: Values, node: Expr, names: Sequence[str], lanes: int, order: Sequence[int], depth: int
) -> Value:
    """Lanes out of one or two raw vectors of `lanes`. Of bools bytes are moved: to move bits takes
    several instructions for each."""
    kind = loaded_type(node.dtype, lanes)
    second = names[1] if len(names) > 1 else "poison"
    listed = ", ".join(f"i32 {k}" for k in order)
    name = e.put(
        depth,
        f"shufflevector {kind} {names[0]}, {kind} {second}, <{len(order)} x i32> <{listed}>",
    )
    return Value(finish(e, name, node.dtype, len(order), depth), len(order), depth)


def uniform_load(e: Values, node: Expr, found: Access, guard: Guard | None, safe: bool) -> Value:
    buffer = node.data
    if guard is None or safe:
        pointer = address(e, buffer, found.scalar, found.constant)
        depth = e.load_depth(pointer.depth, buffer, safe)
        name = plain_load(e, pointer, node, 1, depth)
    else:
        # the offset 0 always exists: read that where the mask is false
        offset, condition = scalar_sum(e, found.scalar, found.constant), e.value(guard.mask)
        depth = max(offset.depth, condition.depth)
        chosen = e.put(depth, f"select i1 {condition.name}, i64 {offset.name}, i64 0")
        kind = memory_type(buffer.dtype)
        name = e.put(depth, f"getelementptr {kind}, ptr {e.base[buffer]}, i64 {chosen}")
        pointer = Value(name, 1, depth)
        depth = e.load_depth(depth, buffer, True)
        name = plain_load(e, pointer, node, 1, depth)
    result = Value(name, 1, depth)
    return result if guard is None else choose(e, node, guard, result)


def choose(e: Values, node: Expr, guard: Guard, value: Value) -> Value:
    """select(mask, value, other)."""
    condition, rest = e.value(guard.mask), e.value(guard.other)
    lanes = max(v.lanes for v in (condition, value, rest))
    depth = e.depth_of((condition, value, rest))
    chosen = e.widened(condition, "bool", lanes)
    kind = type_of(node.dtype, lanes)
    x, y = e.widened(value, node.dtype, lanes), e.widened(rest, node.dtype, lanes)
    name = e.put(depth, f"select {type_of('bool', lanes)} {chosen}, {kind} {x}, {kind} {y}")
    return Value(name, lanes, depth)


def vector_load(e: Values, node: Expr, found: Access, guard: Guard | None, safe: bool) -> Value:
    buffer, lanes = node.data, e.vector_loop.lanes
    partial = e.vector_loop.partial  # a tail: lanes beyond the end must not be read
    active = e.mask is not None and not safe
    plain = not partial and not active and (guard is None or safe)
    result = None
    if not found.lanes and plain:
        result = strided_load(e, node, found, lanes)
    elif not found.lanes and found.stride == 1 and WIDTH[buffer.dtype] in e.target.masked_bits:
        conditions = [e.mask] if e.mask is not None else []
        if guard is not None and not safe:
            conditions += [e.value(part) for part in conjuncts(guard.mask)]
        result = masked_load(e, node, found, conditions, lanes)
        if guard is not None and not safe and is_zero(guard.other):
            return result  # as masked loads are where they read nothing
    if result is None:
        conditions = [e.mask] if e.mask is not None and (partial or not safe) else []
        if guard is not None and not safe:
            conditions.append(e.value(guard.mask))
        condition = masks.both(e, conditions, lanes) if conditions else None
        result = lanewise.gather(e, node, found, condition, safe)
    return result if guard is None else choose(e, node, guard, result)


def conjuncts(mask: Expr) -> list[Expr]:
    """Conditions that a mask is the conjunction of."""
    found: dict[Expr, None] = {}
    pending = [mask]
    while pending:
        node = pending.pop()
        if node.kind == "op" and node.data == "and":
            pending += node.args
        else:
            found.setdefault(node)
    return list(found)


def is_zero(x: Expr) -> bool:
    """Whether all bits of a value are known to be zero."""
    return x.kind == "const" and not x.data and math.copysign(1.0, x.data) > 0


def strided_load(e: Values, node: Expr, found: Access, lanes: int) -> Value | None:
    buffer, stride, constant = node.data, found.stride, found.constant
    if stride == 1:
        pointer = address(e, buffer, found.scalar, constant)
        depth = e.load_depth(pointer.depth, buffer, False)
        if node in e.fetches:
            fetch(e, pointer, e.fetches[node], lanes, WIDTH[buffer.dtype] // 8, depth)
        return Value(plain_load(e, pointer, node, lanes, depth), lanes, depth)
    if stride == -1:
        pointer = address(e, buffer, found.scalar, constant - lanes + 1)
        depth = e.load_depth(pointer.depth, buffer, False)
        if node in e.fetches:
            fetch(e, pointer, e.fetches[node], lanes, WIDTH[buffer.dtype] // 8, depth, down=True)
        name = raw_load(e, pointer, node, lanes, depth)
        return picked(e, node, [name], lanes, range(lanes - 1, -1, -1), depth)
    if not 2 <= stride <= MOST_INTERLEAVED:
        return None
    shift = constant % stride
    offset = node.args[0]
    beyond = offset.high - shift + stride - buffer.size
    if offset.low - shift < 0 or shift + beyond >= stride:
        return None
    pointer = address(e, buffer, found.scalar, constant - shift)
    depth = e.load_depth(pointer.depth, buffer, False)
    if beyond > 0:
        return ending_window(e, node, pointer, Window(stride, shift, beyond), depth)
    key = ("window", pointer.name, stride, node.dtype)
    wide = e.known.get(key)
    if wide is None or buffer in e.written:
        name = raw_load(e, pointer, node, lanes * stride, depth)
        wide = e.remember(key, Value(name, lanes * stride, depth))
    order = range(shift, lanes * stride, stride)
    return picked(e, node, [wide.name], lanes * stride, order, depth)


class Window(NamedTuple):
    """What lanes at a distance of `stride` are picked from: the element `shift` of as many for
    each. The last of these may lie `beyond` the end of the buffer, by so many elements."""

    stride: int
    shift: int
    beyond: int


def ending_window(e: Values, node: Expr, pointer: Value, window: Window, depth: int) -> Value:
    """The lanes of a window of which the last elements may not be read: its second half is read
    from somewhat before, to where the buffer ends."""
    stride, shift, beyond = window
    half = e.vector_loop.lanes // 2
    size = half * stride
    at = (size - beyond) * WIDTH[node.data.dtype] // 8
    later = e.put(depth, f"getelementptr i8, ptr {pointer.name}, i64 {at}")
    pointers = pointer, Value(later, 1, depth)
    halves = [raw_load(e, one, node, size, depth) for one in pointers]
    order = [k * stride + shift for k in range(half)]
    order += [size + beyond + k for k in order]
    return picked(e, node, halves, size, order, depth)


def masked_load(e: Values, node: Expr, found: Access, conditions: list[Value], lanes: int) -> Value:
    pointer = address(e, node.data, found.scalar, found.constant)
    whole = [c for c in conditions if c.lanes == 1]
    if whole:
        first, *others = whole
        for other in others:
            depth = max(first.depth, other.depth)
            first = Value(e.put(depth, f"and i1 {first.name}, {other.name}"), 1, depth)
        conditions = [first, *(c for c in conditions if c.lanes > 1)]
        # where nothing is read the address is one that exists: others cost hundreds of cycles
        depth = max(pointer.depth, first.depth)
        text = f"select i1 {first.name}, ptr {pointer.name}, ptr {e.base[node.data]}"
        pointer = Value(e.put(depth, text), 1, depth)
    condition = masks.both(e, conditions, lanes)
    depth = e.load_depth(max(pointer.depth, condition.depth), node.data, False)
    if node in e.fetches:
        fetch(e, pointer, e.fetches[node], lanes, WIDTH[node.data.dtype] // 8, depth)
    kind = loaded_type(node.dtype, lanes)
    align = max(WIDTH[node.data.dtype] // 8, 1)
    name = e.put(
        depth,
        f"call {kind} @llvm.masked.load.{overload(kind)}.p0(ptr align {align} {pointer.name}, "
        f"<{lanes} x i1> {condition.name}, {kind} zeroinitializer)",
    )
    return Value(finish(e, name, node.dtype, lanes, depth), lanes, depth)


# --- stores -----------------------------------------------------------------------------------
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


def streaming(e: Values, buffer: Buffer, terms: Terms, constant: int, lanes: int) -> str:
    """How a whole vector is stored past the caches, or "" if it is not, or may not be aligned.

    The vector axis itself counts in steps of `lanes`.
    """
    if buffer not in e.streams:
        return ""
    size = WIDTH[buffer.dtype] // 8
    whole, axis = min(lanes * size, e.target.vector_bits // 8), e.vector_loop.axis
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
    pointer = address(e, buffer, group[0].found.scalar, group[0].found.constant)
    align = max(WIDTH[buffer.dtype] // 8, 1)
    e.scopes[-1].lines.append(f"  store {wide} {mixed}, ptr {pointer.name}, align {align}")


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
