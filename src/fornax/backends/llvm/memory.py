"""Loads and stores: addresses by affine analysis, and the cheapest access each stride allows.

Buffers are one-dimensional here (`simplify` flattens them), so the index is the offset, in
elements. Its linear form tells what one step of the vector loop does to the address: nothing (one
scalar load), the next element (a vector load), the previous one (load and reverse), a few elements
on (load all and shuffle), or anything else (gather).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fornax.backends.llvm import masks
from fornax.backends.llvm.instructions import LLVM, type_of
from fornax.backends.llvm.scope import Value
from fornax.backends.llvm.squares import square_steps
from fornax.compiler.loop import affine
from fornax.compiler.loop.ir import WIDTH, Buffer, Expr, Store
from fornax.errors import InternalError

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values

Terms = tuple[tuple[Expr, int], ...]
#: bytes of a cache line
LINE = 64
#: strides up to this are loaded as one piece and shuffled
MOST_INTERLEAVED = 4


class Access(NamedTuple):
    """How the lanes of a vector loop touch memory: `uniform` and `axis` terms make a scalar
    offset, `stride` is the step from lane to lane, `lanes` holds terms that differ otherwise."""

    scalar: Terms
    constant: int
    stride: int
    lanes: Terms


def parts(offset: Expr) -> list[Expr]:
    """The non-constant parts of an offset whose values an address needs."""
    return [part for part, _ in affine.linear(offset)[0] if part.kind != "axis"]


def load_needs(node: Expr) -> list[Expr]:
    return [*parts(node.args[0]), *node.args[1:]]


def access(e: Values, offset: Expr) -> Access:
    terms, constant = affine.linear(offset)
    scalar, lanes, stride = [], [], 0
    for part, coefficient in terms:
        if not e.is_varying(part):
            scalar.append((part, coefficient))
        elif part.kind == "axis":
            stride = coefficient
            scalar.append((part, coefficient))
        else:
            lanes.append((part, coefficient))
    return Access(tuple(scalar), constant, stride, tuple(lanes))


def inside(offset: Expr, buffer: Buffer) -> bool:
    """True when the offset is known to be in bounds, so that reading is safe at any time."""
    return offset.low >= 0 and offset.high < buffer.size


# --- addresses --------------------------------------------------------------------------------
def scalar_value(e: Values, part: Expr) -> Value:
    """The scalar value of a uniform part, or the first lane of the vector axis."""
    if part.kind == "axis":
        return e.bound["axis", part.data]
    return e.value(part)


def scaled(e: Values, value: Value, coefficient: int) -> Value:
    """A scalar times a constant."""
    if coefficient == 1:
        return value
    if not value.name.startswith("%"):
        return Value(str(int(value.name) * coefficient), 1, value.depth)
    key = ("scaled", value.name, coefficient)
    found = e.known.get(key)
    if found is None:
        name = e.put(value.depth, f"mul nsw i64 {value.name}, {coefficient}")
        found = e.remember(key, Value(name, 1, value.depth))
    return Value(found.name, 1, max(found.depth, value.depth))


def scalar_sum(e: Values, terms: Terms, constant: int) -> Value:
    """The value of a linear form, outer terms first, so that partial sums leave inner loops."""
    total = None
    values = [scaled(e, scalar_value(e, part), c) for part, c in terms]
    for value in sorted(values, key=lambda v: v.depth):
        if total is None:
            total = value
            continue
        depth = max(total.depth, value.depth)
        key = ("sum", total.name, value.name)
        found = e.known.get(key)
        if found is None:
            name = e.put(depth, f"add nsw i64 {total.name}, {value.name}")
            found = e.remember(key, Value(name, 1, depth))
        total = Value(found.name, 1, max(found.depth, depth))
    if total is None:
        return Value(str(constant))
    if constant:
        name = e.put(total.depth, f"add nsw i64 {total.name}, {constant}")
        total = Value(name, 1, total.depth)
    return total


def address(e: Values, buffer: Buffer, terms: Terms, constant: int) -> Value:
    """The address of an element: one step per depth, the constant last (it costs nothing)."""
    kind = memory_type(buffer.dtype)
    pointer = Value(e.base[buffer])
    values = [scaled(e, scalar_value(e, part), c) for part, c in terms]
    if constant:
        values.append(Value(str(constant)))
    # constants of unrolled loops and the like come last, too
    values.sort(key=lambda v: v.depth if v.name.startswith("%") else 1 << 30)
    for value in values:
        key = ("address", pointer.name, value.name)
        depth = max(pointer.depth, value.depth)
        found = e.known.get(key)
        if found is None:
            text = f"getelementptr {kind}, ptr {pointer.name}, i64 {value.name}"
            found = e.remember(key, Value(e.put(depth, text), 1, depth))
        # another offset of the same number may be known further out: what is read here depends on
        # this one
        pointer = Value(found.name, 1, max(found.depth, depth))
    return pointer


def memory_type(dtype: str) -> str:
    """The LLVM type of an element in memory: a bool takes a byte, bit patterns are integers."""
    if dtype in ("float16", *LLVM) and dtype != "bool":
        return LLVM[dtype]
    return f"i{WIDTH[dtype]}"


def loaded_type(dtype: str, lanes: int) -> str:
    kind = "i8" if dtype == "bool" else LLVM[dtype]
    return kind if lanes == 1 else f"<{lanes} x {kind}>"


# --- loads ------------------------------------------------------------------------------------
def load(e: Values, node: Expr) -> None:
    """Emit a load and make its value known."""
    buffer, offset = node.data, node.args[0]
    mask = other = None
    if node.masked:
        mask, other = node.args[1:]
        if buffer.size == 0:
            e.remember(node, e.value(other))
            return
    held = e.known.get(("held", buffer, offset, node.dtype)) if mask is None else None
    if held is not None:
        e.remember(node, Value(held.name, 1, len(e.scopes) - 1))
        e.readers.setdefault(buffer, {})[node] = None
        return
    found = access(e, offset)
    safe = inside(offset, buffer)
    varying = bool(found.stride or found.lanes) or (
        mask is not None and e.is_varying(mask) and not safe
    )
    if not varying:
        value = uniform_load(e, node, found, mask, other, safe)
    else:
        value = vector_load(e, node, found, mask, other, safe)
    e.remember(node, value)
    if buffer in e.written:
        e.readers.setdefault(buffer, {})[node] = None


def finish(e: Values, name: str, dtype: str, lanes: int, depth: int) -> str:
    """A bool is read as a byte."""
    if dtype != "bool":
        return name
    kind = loaded_type(dtype, lanes)
    zero = "0" if lanes == 1 else "zeroinitializer"
    return e.put(depth, f"icmp ne {kind} {name}, {zero}")


def plain_load(e: Values, pointer: Value, node: Expr, lanes: int, depth: int) -> str:
    kind = loaded_type(node.dtype, lanes)
    align = max(WIDTH[node.data.dtype] // 8, 1)
    name = e.put(depth, f"load {kind}, ptr {pointer.name}, align {align}")
    return finish(e, name, node.dtype, lanes, depth)


def uniform_load(
    e: Values, node: Expr, found: Access, mask: Expr | None, other: Expr | None, safe: bool
) -> Value:
    buffer = node.data
    if mask is None or safe:
        pointer = address(e, buffer, found.scalar, found.constant)
        depth = e.load_depth(pointer.depth, buffer, safe)
        name = plain_load(e, pointer, node, 1, depth)
    else:
        # the offset 0 always exists: read that where the mask is false
        offset, condition = scalar_sum(e, found.scalar, found.constant), e.value(mask)
        depth = max(offset.depth, condition.depth)
        chosen = e.put(depth, f"select i1 {condition.name}, i64 {offset.name}, i64 0")
        kind = memory_type(buffer.dtype)
        name = e.put(depth, f"getelementptr {kind}, ptr {e.base[buffer]}, i64 {chosen}")
        pointer = Value(name, 1, depth)
        depth = e.load_depth(depth, buffer, True)
        name = plain_load(e, pointer, node, 1, depth)
    result = Value(name, 1, depth)
    return result if mask is None else choose(e, node, mask, result, other)


def choose(e: Values, node: Expr, mask: Expr, value: Value, other: Expr) -> Value:
    """select(mask, value, other)."""
    condition, rest = e.value(mask), e.value(other)
    lanes = max(v.lanes for v in (condition, value, rest))
    depth = e.depth_of((condition, value, rest))
    chosen = e.widened(condition, "bool", lanes)
    kind = type_of(node.dtype, lanes)
    x, y = e.widened(value, node.dtype, lanes), e.widened(rest, node.dtype, lanes)
    name = e.put(depth, f"select {type_of('bool', lanes)} {chosen}, {kind} {x}, {kind} {y}")
    return Value(name, lanes, depth)


def vector_load(
    e: Values, node: Expr, found: Access, mask: Expr | None, other: Expr | None, safe: bool
) -> Value:
    buffer, lanes = node.data, e.vector.lanes
    partial = e.vector.partial  # a tail: lanes beyond the end must not be read
    active = e.mask is not None and not safe
    plain = not partial and not active and (mask is None or safe)
    result = None
    if not found.lanes and plain:
        result = strided_load(e, node, found, lanes)
    elif not found.lanes and found.stride == 1 and WIDTH[buffer.dtype] in e.target.masked_bits:
        conditions = [e.mask] if e.mask is not None else []
        if mask is not None and not safe:
            conditions.append(e.value(mask))
        result = masked_load(e, node, found, conditions, lanes)
    if result is None:
        result = gather(e, node, found, None if safe else mask, lanes)
    return result if mask is None else choose(e, node, mask, result, other)


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
        name = plain_load(e, pointer, node, lanes, depth)
        order = range(lanes - 1, -1, -1)
        return Value(shuffle(e, name, node.dtype, lanes, order, depth), lanes, depth)
    if not 2 <= stride <= MOST_INTERLEAVED:
        return None
    shift = constant % stride
    offset = node.args[0]
    if offset.low - shift < 0 or offset.high - shift + stride > buffer.size:
        return None
    pointer = address(e, buffer, found.scalar, constant - shift)
    depth = e.load_depth(pointer.depth, buffer, False)
    key = ("window", pointer.name, stride, node.dtype)
    wide = e.known.get(key)
    if wide is None or buffer in e.written:
        name = plain_load(e, pointer, node, lanes * stride, depth)
        wide = e.remember(key, Value(name, lanes * stride, depth))
    picked = range(shift, lanes * stride, stride)
    name = shuffle(e, wide.name, node.dtype, lanes * stride, picked, depth)
    return Value(name, lanes, depth)


#: bytes that memory gives at once
LINE = 64


def fetch(e: Values, pointer: Value, step: int, lanes: int, size: int, depth: int) -> None:
    """Ask for the elements that lie `step` further on than `lanes` of `size` bytes at `pointer`."""
    for line in range(0, lanes * size, LINE):
        further = e.put(depth, f"getelementptr i8, ptr {pointer.name}, i64 {step * size + line}")
        e.scopes[depth].lines.append(
            f"  call void @llvm.prefetch.p0(ptr {further}, i32 0, i32 2, i32 1)"
        )


def shuffle(e: Values, name: str, dtype: str, lanes: int, order, depth: int) -> str:
    kind = type_of(dtype, lanes)
    picked = ", ".join(f"i32 {k}" for k in order)
    count = len(order)
    return e.put(depth, f"shufflevector {kind} {name}, {kind} poison, <{count} x i32> <{picked}>")


def masked_load(e: Values, node: Expr, found: Access, conditions: list[Value], lanes: int) -> Value:
    pointer = address(e, node.data, found.scalar, found.constant)
    condition = masks.both(e, conditions, lanes)
    depth = e.load_depth(max(pointer.depth, condition.depth), node.data, False)
    kind = loaded_type(node.dtype, lanes)
    align = max(WIDTH[node.data.dtype] // 8, 1)
    name = e.put(
        depth,
        f"call {kind} @llvm.masked.load.{overload(kind)}.p0(ptr align {align} {pointer.name}, "
        f"<{lanes} x i1> {condition.name}, {kind} zeroinitializer)",
    )
    return Value(finish(e, name, node.dtype, lanes, depth), lanes, depth)


def overload(kind: str) -> str:
    """<8 x float> -> v8f32"""
    count, _, element = kind[1:-1].partition(" x ")
    return f"v{count}" + {"half": "f16", "float": "f32", "double": "f64"}.get(element, element)


def lane_offsets(e: Values, found: Access, lanes: int) -> Value:
    """Offsets of all lanes from the scalar part of the address, as a vector of int64."""
    total = None
    kind = f"<{lanes} x i64>"
    if found.stride:
        steps = ", ".join(f"i64 {k * found.stride}" for k in range(lanes))
        total = Value(f"<{steps}>", lanes)
    for part, coefficient in found.lanes:
        value = e.value(part)
        name, depth = e.widened(value, "int64", lanes), value.depth
        if coefficient != 1:
            name = e.put(depth, f"mul nsw {kind} {name}, splat (i64 {coefficient})")
        if total is not None:
            depth = max(depth, total.depth)
            name = e.put(depth, f"add nsw {kind} {total.name}, {name}")
        total = Value(name, lanes, depth)
    if total is None:  # one address, but a mask that varies
        total = Value("zeroinitializer", lanes)
    return total


def pointers(e: Values, buffer: Buffer, found: Access, condition: Value | None, lanes: int):
    """Addresses of all lanes; where `condition` is false, that of the first element."""
    kind = memory_type(buffer.dtype)
    offsets = lane_offsets(e, found, lanes)
    if condition is None:
        start = address(e, buffer, found.scalar, found.constant)
        depth = max(start.depth, offsets.depth)
        pointer = start.name
    else:
        start = scalar_sum(e, found.scalar, found.constant)
        depth = max(start.depth, offsets.depth, condition.depth)
        first = e.widened(start, "int64", lanes)
        total = e.put(depth, f"add nsw <{lanes} x i64> {first}, {offsets.name}")
        name = e.put(
            depth,
            f"select <{lanes} x i1> {condition.name}, <{lanes} x i64> {total}, "
            f"<{lanes} x i64> zeroinitializer",
        )
        offsets, pointer = Value(name, lanes, depth), e.base[buffer]
    text = f"getelementptr {kind}, ptr {pointer}, <{lanes} x i64> {offsets.name}"
    return Value(e.put(depth, text), lanes, depth)


def gather(e: Values, node: Expr, found: Access, mask: Expr | None, lanes: int) -> Value:
    """Load from an address per lane. Inactive lanes read the first element of the buffer instead:
    cheaper than a branch around each lane, which is what masks become without AVX-512."""
    buffer = node.data
    safe = inside(node.args[0], buffer)
    conditions = []
    if e.mask is not None and (e.vector.partial or not safe):
        conditions.append(e.mask)
    if mask is not None:
        conditions.append(e.value(mask))
    condition = masks.both(e, conditions, lanes)
    at = pointers(e, buffer, found, condition, lanes)
    depth = e.load_depth(at.depth, buffer, condition is not None or safe)
    kind = loaded_type(node.dtype, lanes)
    align = max(WIDTH[buffer.dtype] // 8, 1)
    name = e.put(
        depth,
        f"call {kind} @llvm.masked.gather.{overload(kind)}.v{lanes}p0(<{lanes} x ptr> align "
        f"{align} {at.name}, <{lanes} x i1> splat (i1 true), {kind} poison)",
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
    whole = min(lanes * size, e.target.vector_bits // 8)
    steps = [
        coefficient * (lanes if part.kind == "axis" and part.data is e.vector.axis else 1)
        for part, coefficient in terms
    ]
    if whole < 16 or any(step * size % whole for step in (*steps, constant)):
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
    while rest:
        if group := interleaved(e, rest):
            store_window(e, group)
        elif group := square(e, rest):
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
    buffer, lanes = first.store.buffer, e.vector.lanes
    depth = e.scopes[-1].depth
    names = [stored(e, p.value, p.store.value.dtype, lanes) for p in group]
    kind = names[0][0]
    rows = [name for _, name in names]
    for bit, orders in square_steps(lanes, WIDTH[buffer.dtype]):
        moved = list(rows)
        for k in range(lanes):
            if not k & bit:
                for target, order in zip((k, k | bit), orders, strict=True):
                    picked = ", ".join(f"i32 {n}" for n in order)
                    moved[target] = e.put(
                        depth,
                        f"shufflevector {kind} {rows[k]}, {kind} {rows[k | bit]}, "
                        f"<{lanes} x i32> <{picked}>",
                    )
        rows = moved
        if bit == 1:
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
    group = {}
    for one in rest:
        found = one.found
        same = one.store.buffer is first.store.buffer and found.scalar == first.found.scalar
        if same and not found.lanes and found.stride == stride and one.mask is None:
            group.setdefault(found.constant, one)
    start = min(group, default=0)
    window = [group.get(start + k) for k in range(stride)]
    if first.found.lanes or None in window or first not in window:
        return None
    return window


def store_window(e: Values, group: list[Pending]) -> None:
    buffer, lanes = group[0].store.buffer, e.vector.lanes
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
    varying = found.stride or found.lanes or one.value.lanes > 1
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
    lanes = e.vector.lanes
    conditions = [c for c in (e.mask, one.mask) if c is not None]
    condition = masks.both(e, conditions, lanes)
    kind, name = stored(e, one.value, dtype, lanes)
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
    if not found.stride and not found.lanes:
        raise InternalError(f"lanes of a vector loop store to one element of {buffer.name}")
    at = pointers(e, buffer, found, None, lanes)
    mask = "splat (i1 true)" if condition is None else condition.name
    lines.append(
        f"  call void @llvm.masked.scatter.{overload(kind)}.v{lanes}p0({kind} {name}, "
        f"<{lanes} x ptr> align {align} {at.name}, <{lanes} x i1> {mask})"
    )
