"""Running values in lanes (`loop/running`).

The total so far is in every lane of a register. A register of new values is combined within itself
by a tree: in step k the second half of each 2^(k+1) lanes gets the last lane of the first half.
The order of additions along that tree keeps running sums of positive numbers from decreasing. The
total grows by the last lane: one operation from register to register, whatever the tree takes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fornax.backends.llvm import masks
from fornax.backends.llvm.addresses import shuffle
from fornax.backends.llvm.instructions import operation, splat, type_of
from fornax.backends.llvm.scope import Value
from fornax.compiler.loop.builder import identity
from fornax.compiler.loop.ir import WIDTH, Carried, Expr

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values


def emit(e: Values, node: Expr, carried: Carried) -> None:
    """Make the lanes of a running value known, and its new total."""
    dtype, lanes = node.dtype, e.vector_loop.lanes
    first = node.args[0]
    x = node.args[first.kind == "carry" and first.data is carried.carry]
    total, value = e.bound["carry", carried.carry], e.known[x]
    depth = e.depth_of([total, value, *([e.mask] if e.mask else [])])
    put, kind, name = partial(e.put, depth), type_of(dtype, lanes), e.widened(value, dtype, lanes)
    if e.mask is not None:
        neutral = splat(identity(node.data, dtype), dtype, lanes)
        name = put(f"select <{lanes} x i1> {e.mask.name}, {kind} {name}, {kind} {neutral}")
    width = min(lanes, e.target.vector_bits // WIDTH[dtype])
    kind = type_of(dtype, width)

    def combine(one: str, other: str) -> str:
        return operation(node, [one, other], width, e.target.vector_bits, put)

    sums, results = total.name, []
    if width < lanes:
        sums = shuffle(e, sums, dtype, lanes, range(width), depth)
    for begin in range(0, lanes, width):
        part = name
        if width < lanes:
            part = shuffle(e, name, dtype, lanes, range(begin, begin + width), depth)
        half = 1
        while half < width:
            order = [lane // (2 * half) * 2 * half + half - 1 for lane in range(width)]
            both = combine(shuffle(e, part, dtype, width, order, depth), part)
            mask = seconds(e, width, half)
            part = put(f"select <{width} x i1> {mask}, {kind} {both}, {kind} {part}")
            half *= 2
        results.append(combine(sums, part))
        last = shuffle(e, part, dtype, width, [width - 1] * width, depth)
        sums = combine(sums, last)
    size = width
    while len(results) > 1:
        kind, joined = type_of(dtype, size), ", ".join(f"i32 {k}" for k in range(2 * size))
        results = [
            put(f"shufflevector {kind} {one}, {kind} {other}, <{2 * size} x i32> <{joined}>")
            for one, other in zip(results[::2], results[1::2], strict=True)
        ]
        size *= 2
    if width < lanes:
        sums = shuffle(e, sums, dtype, width, [0] * lanes, depth)
    e.remember(node, Value(results[0], lanes, depth))
    e.remember(("total", carried.carry), Value(sums, lanes, depth))
    e.inherit(node)


def seconds(e: Values, width: int, half: int) -> str:
    """The mask of the second half of every `2 * half` lanes. Where operations leave lanes as they
    were at no cost, LLVM is not told the mask: it would make a shuffle of the choice."""
    flags = [bool(lane & half) for lane in range(width)]
    if not e.target.merges or width < 8:
        return masks.constant(flags).name
    key = ("seconds", width, half)
    if key not in e.known:
        bits = sum(flag << lane for lane, flag in enumerate(flags))
        hidden = e.put(0, f'call i{width} asm "", "=r,0"(i{width} {bits})')
        e.remember(key, Value(e.put(0, f"bitcast i{width} {hidden} to <{width} x i1>"), width))
    return e.known[key].name
