"""Loads: addresses by affine analysis, and the cheapest access each stride allows.

Buffers are one-dimensional here (`simplify` flattens them), so the index is the offset, in
elements. Its linear form tells what one step of the vector loop does to the address: nothing (one
scalar load), the next element (a vector load), the previous one (load and reverse), a few elements
on (load all and shuffle), or anything else (gather).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fornax.backends.llvm import lanewise, masks
from fornax.backends.llvm.addresses import (
    Access,
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
from fornax.compiler.loop.estimate import MOST_INTERLEAVED
from fornax.compiler.loop.ir import WIDTH, Expr

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values


class Guard(NamedTuple):
    """What a masked load carries: where to read, and the value to use elsewhere."""

    mask: Expr
    other: Expr


def load_needs(node: Expr) -> list[Expr]:
    return [*parts(node.args[0]), *node.args[1:]]


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
