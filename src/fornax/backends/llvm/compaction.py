"""Vector loops that write some of their lanes one behind the other (`loop/compaction`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fornax.backends.llvm.addresses import Access, address, overload
from fornax.backends.llvm.instructions import steps
from fornax.backends.llvm.scope import Value, Vector
from fornax.compiler.loop.ir import WIDTH, Expr, For, Store

if TYPE_CHECKING:
    from fornax.backends.llvm.loops import Loops
    from fornax.backends.llvm.values import Values


def emit(e: Loops, loop: For, condition: Expr) -> None:
    """The whole vectors, then the rest one by one; places are the same in both. The last iteration
    is always one of the rest: what it writes stays, chosen or not."""
    extent, lanes, depth = loop.axis.extent, loop.lanes, e.scopes[-1].depth
    values = [e.value(c.start) for c in loop.carries]
    if isinstance(extent, int):
        most = max(extent - 1, 0)
        count, end = str(extent), str(most - most % lanes)
    else:
        count = e.value(extent).name
        before = e.put(depth, f"add i64 {count}, -1")
        before = e.put(depth, f"call i64 @llvm.smax.i64(i64 {before}, i64 0)")
        end = e.put(depth, f"and i64 {before}, {-lanes}")
    e.chosen = condition
    if end != "0":
        values = e.counted(
            loop.axis, loop.body, loop.carries, "0", end, lanes, values, end[0] != "%",
            vector=lambda base, depth: Vector(loop.axis, lanes, base, depth),
        )  # fmt: skip
    e.chosen = None
    if end != count:
        values = e.counted(loop.axis, loop.body, loop.carries, end, count, 1, values, end[0] != "%")
    e.bind("final", loop.carries, values)


def number(e: Values, chosen: Expr) -> tuple[str, str]:
    """The mask of the chosen lanes, and how many they are."""
    lanes, depth = e.vector_loop.lanes, e.scopes[-1].depth
    mask = e.widened(e.value(chosen), "bool", lanes)
    key = ("number", mask)
    if key not in e.known:
        bits = e.put(depth, f"bitcast <{lanes} x i1> {mask} to i{lanes}")
        found = e.put(depth, f"call i{lanes} @llvm.ctpop.i{lanes}(i{lanes} {bits})")
        e.remember(key, Value(e.put(depth, f"zext i{lanes} {found} to i64"), 1, depth))
    return mask, e.known[key].name


def step(e: Values, chosen: Expr, place: Value) -> str:
    """The place behind the chosen lanes."""
    return e.put(e.scopes[-1].depth, f"add i64 {place.name}, {number(e, chosen)[1]}")


def store(e: Values, chosen: Expr, store: Store, found: Access, kind: str, name: str) -> None:
    """Store the chosen lanes one behind the other. They are pushed together in a register, and
    stored under a mask of the first ones: one instruction for both takes ten times as long on some
    processors."""
    lanes, depth, overloaded = e.vector_loop.lanes, e.scopes[-1].depth, overload(kind)
    mask, count = number(e, chosen)
    pushed = e.put(
        depth,
        f"call {kind} @llvm.experimental.vector.compress.{overloaded}({kind} {name}, "
        f"<{lanes} x i1> {mask}, {kind} poison)",
    )
    short = Value(e.put(depth, f"trunc i64 {count} to i32"), 1, depth)
    limit, places = e.widened(short, "int32", lanes), steps(lanes, "i32", 1, 32)
    first = e.put(depth, f"icmp ult <{lanes} x i32> {places}, {limit}")
    pointer, align = (
        address(e, store.buffer, found.scalar, found.constant),
        WIDTH[store.buffer.dtype] // 8,
    )
    e.scopes[-1].lines.append(
        f"  call void @llvm.masked.store.{overloaded}.p0({kind} {pushed}, "
        f"ptr align {align} {pointer.name}, <{lanes} x i1> {first})"
    )
