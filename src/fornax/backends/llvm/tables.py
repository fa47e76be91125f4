"""Looking numbers up in tables that lie in two registers of 512 bits."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

#: float32 of a register
LANES = 16


def register(numbers: Sequence[float]) -> str:
    """An instruction that gives float32 constants. Defined once, outside of all loops: LLVM reads
    them from memory where registers are short."""
    bits = struct.unpack(f"<{LANES}I", struct.pack(f"<{LANES}f", *numbers))
    words = ", ".join(f"i32 {word}" for word in bits)
    return f"bitcast <{LANES} x i32> <{words}> to <{LANES} x float>"


def look_up(low: str, high: str, place: str, lanes: int, put: Callable[[str], str]) -> str:
    """The numbers at `place`, modulo how many there are, for any number of lanes."""
    if lanes == 1:
        first = put(f"insertelement <{LANES} x i32> poison, i32 {place}, i64 0")
        return put(f"extractelement <{LANES} x float> {permuted(low, high, first, put)}, i64 0")
    parts = [
        permuted(low, high, part(place, lanes, begin, LANES, "i32", put), put)
        for begin in range(0, lanes, LANES)
    ]
    width = LANES
    while len(parts) > 1:
        order = orders(range(2 * width))
        pairs = zip(parts[::2], parts[1::2], strict=True)
        kind = f"<{width} x float>"
        parts = [put(f"shufflevector {kind} {x}, {kind} {y}, {order}") for x, y in pairs]
        width *= 2
    return parts[0] if lanes >= LANES else part(parts[0], LANES, 0, lanes, "float", put)


def permuted(low: str, high: str, place: str, put: Callable[[str], str]) -> str:
    kind = f"<{LANES} x float>"
    if low == high:
        function = "@llvm.x86.avx512.permvar.sf.512"
        return put(f"call {kind} {function}({kind} {low}, <{LANES} x i32> {place})")
    function = "@llvm.x86.avx512.vpermi2var.ps.512"
    return put(f"call {kind} {function}({kind} {low}, <{LANES} x i32> {place}, {kind} {high})")


def part(
    x: str, lanes: int, begin: int, count: int, element: str, put: Callable[[str], str]
) -> str:
    """`count` lanes of a vector from `begin` on; any number beyond its end."""
    if lanes == count:
        return x
    kind = f"<{lanes} x {element}>"
    places = (k if k < lanes else None for k in range(begin, begin + count))
    return put(f"shufflevector {kind} {x}, {kind} poison, {orders(places)}")


def orders(places: Iterable[int | None]) -> str:
    texts = ["i32 poison" if k is None else f"i32 {k}" for k in places]
    return f"<{len(texts)} x i32> <{', '.join(texts)}>"
