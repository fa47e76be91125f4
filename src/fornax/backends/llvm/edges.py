"""Rows of results that are written past the caches and do not begin at a cache line.

What lies between their first line and their last is written past the caches, the rest as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fornax.backends.llvm.addresses import LINE, Terms, access, parts, scalar_sum
from fornax.backends.llvm.scope import Vector
from fornax.compiler.loop.ir import WIDTH, Buffer, For, Store

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values

#: rows of fewer vectors, or lines, than this are written as they are; at least 2, for what lies
#: before the first line and one vector
ENOUGH = 4


class Row(NamedTuple):
    """What elements of a row have in common: the terms of their offset without that of the axis
    along the row, the constant, and their size in bytes."""

    terms: Terms
    constant: int
    size: int


def row_of(e: Values, buffer: Buffer, terms: Terms, constant: int) -> Row:
    """The row along the vector axis that holds an element."""
    axis = e.vector_loop.axis
    rest = tuple(t for t in terms if t[0].kind != "axis" or t[0].data is not axis)
    return Row(rest, constant, WIDTH[buffer.dtype] // 8)


def row_with_edges(e: Values, loop: For) -> Row | None:
    """The row that a vector loop writes past the caches, if it is one that may begin anywhere."""
    stores = [s for s in loop.body if isinstance(s, Store)]
    extent = loop.axis.extent
    if loop.carries or not stores or len(stores) < len(loop.body):
        return None
    narrowest = min(WIDTH[s.buffer.dtype] for s in stores) // 8
    if not isinstance(extent, int) or extent < ENOUGH * max(loop.lanes, LINE // narrowest):
        return None
    if not e.streams.intersection(s.buffer for s in stores):
        return None
    rows = set()
    for store in stores:
        for part in parts(store.index[0]):
            e.value(part)
    e.vector, e.varies = Vector(loop.axis, loop.lanes, "0", len(e.scopes)), {}
    try:
        for store in stores:
            found = access(e, store.index[0])
            if found.stride != 1 or found.lanes or store.buffer not in e.streams:
                return None
            rows.add(row_of(e, store.buffer, found.scalar, found.constant))
    finally:
        e.vector, e.varies = None, {}
    row = rows.pop()
    even = all(step * row.size % LINE == 0 for step in (*(c for _, c in row.terms), row.constant))
    return None if rows or even else row


def first_line(e: Values, row: Row) -> str:
    """How many elements of a row lie before its first whole line."""
    begin = scalar_sum(e, row.terms, row.constant)
    back = e.put(begin.depth, f"sub nsw i64 0, {begin.name}")
    return e.put(begin.depth, f"and i64 {back}, {LINE // row.size - 1}")
