"""Addresses by affine analysis: what one step of the vector loop does to an offset; and what loads
and stores share besides.

Buffers are one-dimensional here (`simplify` flattens them), so the index is the offset, in
elements; its linear form tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fornax.backends.llvm.instructions import LLVM, type_of
from fornax.backends.llvm.scope import Value
from fornax.compiler.loop import affine
from fornax.compiler.loop.ir import WIDTH, Buffer, Expr

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values

#: bytes of a cache line
LINE = 64

Terms = tuple[tuple[Expr, int], ...]


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


def finish(e: Values, name: str, dtype: str, lanes: int, depth: int) -> str:
    """A bool is read as a byte."""
    if dtype != "bool":
        return name
    kind = loaded_type(dtype, lanes)
    zero = "0" if lanes == 1 else "zeroinitializer"
    return e.put(depth, f"icmp ne {kind} {name}, {zero}")


def overload(kind: str) -> str:
    """<8 x float> -> v8f32"""
    count, _, element = kind[1:-1].partition(" x ")
    return f"v{count}" + {"half": "f16", "float": "f32", "double": "f64"}.get(element, element)


def fetch(
    e: Values, pointer: Value, steps: tuple[int, ...], lanes: int, size: int, depth: int,
    down: bool = False,
) -> None:  # fmt: skip
    """Ask for the elements that lie so many `steps` further on than `lanes` of `size` bytes at
    `pointer`.

    They may begin anywhere in a line: with the ends of pieces as long as a line, all lines but the
    first are asked for, which holds the end of what lies before. Where a loop goes `down`, it is
    the other way round, and what is asked for goes to the first cache: to the second one only, it
    comes too late. (Measured; upwards, it takes room in the first one.)"""
    whole, level = lanes * size, 3 if down else 2
    lines = range(0 if down else min(LINE, whole) - 1, whole, LINE)
    for place in (step * size + line for step in steps for line in lines):
        further = e.put(depth, f"getelementptr i8, ptr {pointer.name}, i64 {place}")
        e.scopes[depth].lines.append(
            f"  call void @llvm.prefetch.p0(ptr {further}, i32 0, i32 {level}, i32 1)"
        )


def shuffle(e: Values, name: str, dtype: str, lanes: int, order: Sequence[int], depth: int) -> str:
    kind = type_of(dtype, lanes)
    picked = ", ".join(f"i32 {k}" for k in order)
    count = len(order)
    return e.put(depth, f"shufflevector {kind} {name}, {kind} poison, <{count} x i32> <{picked}>")
