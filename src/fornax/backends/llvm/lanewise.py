"""Loads and stores at an address of its own for each lane: gathers and scatters.

By the instructions that the processor has for that. Where they are made of many small steps
(`Target.gathers` is false), lanes at known distances are loaded and stored one by one, in half of
the time; loads at computed offsets are not, for taking the offsets out of a register, or through
memory, takes longer than the small steps. Those of AVX-512 are a tenth more than those of AVX2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fornax.backends.llvm.addresses import (
    Access,
    address,
    fetch,
    finish,
    loaded_type,
    memory_type,
    overload,
    scalar_sum,
    shuffle,
)
from fornax.backends.llvm.instructions import type_of
from fornax.backends.llvm.scope import Value
from fornax.compiler.loop import affine
from fornax.compiler.loop.ir import WIDTH, Buffer, Expr, Store

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values

#: the dtype of offsets, if it holds them: twice as many fit a register, and one instruction
NARROW = "int32"
#: AVX2's gathers at narrow offsets, by LLVM's name of the element
SHORT = {"i32": "d.d", "float": "d.ps", "i64": "d.q", "double": "d.pd"}
SHORT_BITS = 256


def gather(e: Values, node: Expr, found: Access, condition: Value | None, safe: bool) -> Value:
    """Load from an address per lane. Inactive lanes read the first element of the buffer instead:
    cheaper than a branch around each lane, which is what masks become without AVX-512."""
    buffer, vector = node.data, e.vector_loop
    lanes = vector.lanes
    kind, align = loaded_type(node.dtype, lanes), max(WIDTH[buffer.dtype] // 8, 1)
    if condition is None and one_by_one(e, found):
        pointers = distances(e, buffer, found, lanes)
        depth = max(e.load_depth(pointer.depth, buffer, safe) for pointer in pointers)
        element, name = loaded_type(node.dtype, 1), "poison"
        for lane, pointer in enumerate(pointers):
            one = e.put(depth, f"load {element}, ptr {pointer.name}, align {align}")
            name = e.put(depth, f"insertelement {kind} {name}, {element} {one}, i64 {lane}")
        return Value(finish(e, name, node.dtype, lanes, depth), lanes, depth)
    if node in e.fetches:
        place = Value(vector.base, 1, vector.depth)
        row = address(e, buffer, found.scalar, found.constant)
        here = f"getelementptr {memory_type(buffer.dtype)}, ptr {row.name}, i64 {place.name}"
        depth = max(row.depth, place.depth)
        pointer = Value(e.put(depth, here), 1, depth)
        fetch(e, pointer, e.fetches[node], lanes, WIDTH[buffer.dtype] // 8, depth)
    places = Places(e, buffer, found, condition, lanes)
    depth = e.load_depth(places.depth, buffer, condition is not None or safe)
    if is_short(e, node, places):
        name = short_gathers(e, node, places, depth)
    else:
        at = places.pointers().name
        name = e.put(
            depth,
            f"call {kind} @llvm.masked.gather.{overload(kind)}.v{lanes}p0(<{lanes} x ptr> align "
            f"{align} {at}, <{lanes} x i1> splat (i1 true), {kind} poison)",
        )
    return Value(finish(e, name, node.dtype, lanes, depth), lanes, depth)


def scatter(e: Values, store: Store, found: Access, condition: Value | None, name: str) -> None:
    """Store to an address per lane."""
    buffer, lanes, lines = store.buffer, e.vector_loop.lanes, e.scopes[-1].lines
    kind, align = loaded_type(store.value.dtype, lanes), max(WIDTH[buffer.dtype] // 8, 1)
    if condition is None and one_by_one(e, found):
        element = loaded_type(store.value.dtype, 1)
        for lane, place in enumerate(distances(e, buffer, found, lanes)):
            one = e.put(e.scopes[-1].depth, f"extractelement {kind} {name}, i64 {lane}")
            lines.append(f"  store {element} {one}, ptr {place.name}, align {align}")
        return
    at = Places(e, buffer, found, None, lanes).pointers()
    mask = "splat (i1 true)" if condition is None else condition.name
    lines.append(
        f"  call void @llvm.masked.scatter.{overload(kind)}.v{lanes}p0({kind} {name}, "
        f"<{lanes} x ptr> align {align} {at.name}, <{lanes} x i1> {mask})"
    )


def one_by_one(e: Values, found: Access) -> bool:
    """Whether to load or store lanes one by one: they need no addresses of their own where the
    distances between them are known."""
    return not e.target.gathers and not found.lanes


def distances(e: Values, buffer: Buffer, found: Access, lanes: int) -> list[Value]:
    """The addresses of lanes at equal distances."""
    steps = (found.constant + lane * found.stride for lane in range(lanes))
    return [address(e, buffer, found.scalar, step) for step in steps]


def is_short(e: Values, node: Expr, places: Places) -> bool:
    """Whether to load with several of AVX2's gathers."""
    if e.target.gathers or e.target.name != "avx512" or places.dtype != NARROW:
        return False
    kind = loaded_type(node.dtype, 1)
    return kind in SHORT and places.lanes % (SHORT_BITS // WIDTH[node.dtype]) == 0


def short_gathers(e: Values, node: Expr, places: Places, depth: int) -> str:
    """Lanes loaded with several gathers of `SHORT_BITS`, and put together."""
    kind, size, lanes = loaded_type(node.dtype, 1), WIDTH[node.dtype] // 8, places.lanes
    width = SHORT_BITS // (8 * size)
    whole = f"<{width} x {kind}>"
    ones = f"bitcast (<{width} x i{8 * size}> splat (i{8 * size} -1) to {whole})"
    parts = []
    for first in range(0, lanes, width):
        order = range(first, first + width)
        offsets = shuffle(e, places.offsets.name, places.dtype, lanes, order, depth)
        parts.append(
            e.put(
                depth,
                f"call {whole} @llvm.x86.avx2.gather.{SHORT[kind]}.256({whole} zeroinitializer, "
                f"ptr {places.start.name}, <{width} x i32> {offsets}, {whole} {ones}, i8 {size})",
            )
        )
    while len(parts) > 1:
        joined, half = ", ".join(f"i32 {k}" for k in range(2 * width)), f"<{width} x {kind}>"
        parts = [
            e.put(depth, f"shufflevector {half} {x}, {half} {y}, <{2 * width} x i32> <{joined}>")
            for x, y in zip(parts[::2], parts[1::2], strict=True)
        ]
        width *= 2
    return parts[0]


def reach(found: Access, lanes: int) -> int:
    """The most that the lanes' own part of an offset can be, up or down."""
    varying = (abs(c) * max(-part.low, part.high) for part, c in found.lanes)
    return abs(found.stride) * (lanes - 1) + sum(varying)


# --- vectors of offsets -----------------------------------------------------------------------
class Places:
    """Where lanes are: offsets from a `start`; where `condition` is false, the first element."""

    def __init__(
        self, e: Values, buffer: Buffer, found: Access, condition: Value | None, lanes: int
    ):
        self.e, self.buffer, self.lanes = e, buffer, lanes
        most = affine.limits(NARROW)[1]
        if condition is None:
            self.dtype = NARROW if reach(found, lanes) <= most else "int64"
            self.start = address(e, buffer, found.scalar, found.constant)
            self.offsets = lane_offsets(e, found, lanes, self.dtype)
        else:
            self.dtype = NARROW if buffer.size <= most else "int64"
            self.start = Value(e.base[buffer])
            self.offsets = active_offsets(e, found, condition, lanes, self.dtype)
        self.depth = max(self.start.depth, self.offsets.depth)

    def pointers(self) -> Value:
        """Addresses of all lanes."""
        offsets = f"{type_of(self.dtype, self.lanes)} {self.offsets.name}"
        kind = memory_type(self.buffer.dtype)
        text = f"getelementptr {kind}, ptr {self.start.name}, {offsets}"
        return Value(self.e.put(self.depth, text), self.lanes, self.depth)


def active_offsets(
    e: Values, found: Access, condition: Value, lanes: int, dtype: str = "int64"
) -> Value:
    """Offsets of all lanes; where `condition` is false, 0."""
    kind = type_of(dtype, lanes)
    offsets = lane_offsets(e, found, lanes, dtype)
    start = scalar_sum(e, found.scalar, found.constant)
    depth = max(start.depth, offsets.depth, condition.depth)
    if dtype != "int64":
        start = truncated(e, start, dtype)
    first = e.widened(start, dtype, lanes)
    exact = " nsw" if dtype == "int64" else ""
    total = e.put(depth, f"add{exact} {kind} {first}, {offsets.name}")
    mask = f"<{lanes} x i1> {condition.name}"
    name = e.put(depth, f"select {mask}, {kind} {total}, {kind} zeroinitializer")
    return Value(name, lanes, depth)


def lane_offsets(e: Values, found: Access, lanes: int, dtype: str = "int64") -> Value:
    """Offsets of all lanes from the scalar part of the address, as a vector."""
    total = None
    kind, element = type_of(dtype, lanes), type_of(dtype)
    exact = " nsw" if dtype == "int64" else ""
    if found.stride:
        steps = ", ".join(f"{element} {affine.wrap(k * found.stride, dtype)}" for k in range(lanes))
        total = Value(f"<{steps}>", lanes)
    for part, coefficient in found.lanes:
        value = e.value(part) if dtype == "int64" else narrow(e, part, dtype)
        name, depth = value.name, value.depth
        if coefficient != 1:
            coefficient = affine.wrap(coefficient, dtype)
            name = e.put(depth, f"mul{exact} {kind} {name}, splat ({element} {coefficient})")
        if total is not None:
            depth = max(depth, total.depth)
            name = e.put(depth, f"add{exact} {kind} {total.name}, {name}")
        total = Value(name, lanes, depth)
    if total is None:  # one address, but a mask that varies
        total = Value("zeroinitializer", lanes)
    return total


def narrow(e: Values, part: Expr, dtype: str) -> Value:
    """The lowest bits of an index: what it was made from, if that is known."""
    if part.kind == "op" and part.data == "cast" and part.args[0].dtype in (dtype, f"u{dtype}"):
        inner = e.known.get(part.args[0])
        if inner is not None and inner.lanes > 1:
            return inner
    return truncated(e, e.value(part), dtype)


def truncated(e: Values, value: Value, dtype: str) -> Value:
    if not value.name.startswith("%"):
        return Value(str(affine.wrap(int(value.name), dtype)), 1, value.depth)
    wide, kind = type_of("int64", value.lanes), type_of(dtype, value.lanes)
    name = e.put(value.depth, f"trunc {wide} {value.name} to {kind}")
    return Value(name, value.lanes, value.depth)
