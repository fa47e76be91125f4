"""Sums of squared deviations, as variances are made of, in one pass over what they are of.

    s = sum(x);  q = sum((x - c)²), where c comes from s

reads x twice, and an array larger than the caches comes from memory both times. Instead x is cut
into blocks, each with its own sum and its own deviations from its own mean m, both made while the
block is in the caches (Chan, Golub and LeVeque, 1983: Algorithms for computing the
sample variance):

    s = sum of the blocks' s;  q = sum of the blocks' (sum((x - m)²) + n (m - c)²)

No term of q is negative, so nothing cancels, whatever c is; m, which is rounded, is corrected by
the mean of x - m. The blocks depend on shapes alone; where these divide into none of about equal
size, the last block is smaller.

Where columns are added up, m is the mean of a block's first rows, an eighth of them, so that one
loop over the block adds up x - m and (x - m)². As these rows are part of the block, what the
correction takes away is at most eight times what it leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fornax.compiler.two_stages import is_flat, merged
from fornax.ir.basis import broadcast_in_dim, reduce_sum
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.compare import lt_p
from fornax.primitives.composite import optimization_barrier_p
from fornax.primitives.elementwise import abs_p, add_p, max_p, min_p, mul_p, square_p, sub_p
from fornax.primitives.select import where
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_p
from fornax.transforms.stage import Stage

#: bytes from which on an array is read once rather than twice
LARGE = 1 << 22
#: bytes that stay in the caches from one loop over them to the next
ROW = 1 << 16
#: elements of a block where neighbours in memory are added up, rows of one where they are not, and
#: more while it has so few bytes
BLOCK, ROWS, FULL = 1 << 13, 128, 1 << 18
#: rows of more elements than so many blocks are cut themselves
LONG = 4
#: of so many elements of a block of rows the mean of one is near that of all
FIRST = 8
#: most steps from a sum to what deviations are from
FAR = 16

#: what is added up, and along which dimensions
Sum = tuple[Var, tuple[int, ...]]


class Piece(NamedTuple):
    """Blocks of equal size that follow one another along a dimension."""

    begin: int
    parts: int
    length: int


class Blocks(NamedTuple):
    """Blocks of an array that is seen in a shape."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]  #: the dimensions that are added up
    axis: int  #: that of them which is cut
    pieces: tuple[Piece, ...]


class Deviations(NamedTuple):
    """`centre` fills, by a broadcast to `places`, what the deviations of `of` are from."""

    of: Sum
    centre: Var
    places: tuple[int, ...]
    blocks: Blocks


def deviations(
    squares: Atom,
    axes: tuple[int, ...],
    definition: Mapping[Atom, Equation],
    sums: Mapping[tuple[Atom, tuple[int, ...]], Var],
) -> Deviations | None:
    """How `squares`, which are added up along `axes`, are deviations that depend on a sum."""
    root = squared(squares, definition)
    difference = None if root is None else definition.get(root)
    if difference is None or difference.primitive.name != "sub":
        return None
    for x, filled in (difference.inputs, difference.inputs[::-1]):
        total = sums.get((x, axes))
        spread = definition.get(filled)
        if total is None or spread is None or spread.primitive.name != "broadcast_in_dim":
            continue
        (centre,), places = spread.inputs, tuple(spread.params["broadcast_dimensions"])
        same = all(n == 1 for d, n in zip(places, centre.type.shape, strict=True) if d in axes)
        if not same or not depends(centre, total, definition):
            continue
        if not isinstance(x, Var) or not isinstance(centre, Var):
            continue
        shape, reduced, moved = merged(x.type.shape, axes)
        if x.type.size > shape[-1] > LONG * BLOCK and len(reduced) == len(shape):
            if is_flat(x, definition):  # or else a block would be a piece of each of the rows
                shape, reduced, moved = (x.type.size,), (0,), (0,) * len(moved)
        found = blocks(x.type.update(shape=shape), reduced)
        if found is not None:
            return Deviations((x, axes), centre, tuple([moved[d] for d in places]), found)
    return None


def squared(value: Atom, definition: Mapping[Atom, Equation]) -> Atom | None:
    """What a value is the square of."""
    made = definition.get(value)
    if made is None:
        return None
    name = made.primitive.name
    twice = name == "mul" and made.inputs[0] is made.inputs[1]
    return made.inputs[0] if twice or name == "square" or made.params.get("y") == 2 else None


def depends(value: Atom, on: Var, definition: Mapping[Atom, Equation]) -> bool:
    pending, steps = [value], 0
    while pending and steps < FAR:
        one = pending.pop()
        if one is on:
            return True
        steps += 1
        if one in definition:
            pending += definition[one].inputs
    return False


def blocks(type: ArrayType, axes: tuple[int, ...]) -> Blocks | None:
    """Into which blocks to cut an array; None where that does not pay."""
    if type.dtype.kind != "f" or type.dtype.itemsize < 4 or type.size * type.dtype.itemsize < LARGE:
        return None
    axis, last = min(axes), len(type.shape) - 1
    reduced = prod(type.shape[a] for a in axes)
    if last in axes and reduced * type.dtype.itemsize <= ROW:
        return None  # a row stays in the caches anyway
    if last in axes and reduced // type.shape[axis] > LONG * BLOCK:
        axis = last
    inside = reduced // type.shape[axis]
    row = prod(n for d, n in enumerate(type.shape) if d not in axes and d > axis)
    rows = max(ROWS, FULL // (row * type.dtype.itemsize))
    length = max(1, (BLOCK if last in axes else rows) // inside)
    extent = type.shape[axis]
    parts = -(-extent // length)
    if parts == 1:
        return None
    for equal in range(parts, 2 * parts):
        if extent % equal == 0:
            return Blocks(type.shape, axes, axis, (Piece(0, equal, extent // equal),))
    whole = extent // length
    rest = Piece(whole * length, 1, extent - whole * length)
    return Blocks(type.shape, axes, axis, (Piece(0, whole, length), rest))


def in_blocks(
    x: Any, axes: tuple[int, ...], axis: int, piece: Piece
) -> tuple[Any, tuple[int, ...]]:
    """A piece of `x` with dimension `axis` cut in two, blocks and places in these, and the
    dimensions that are added up in a block."""
    shape = typeof(x).shape
    begin, parts, length = piece
    if parts * length != shape[axis]:
        start, end = [0] * len(shape), list(shape)
        start[axis], end[axis] = begin, begin + parts * length
        (x,) = slice_p.bind(x, start_indices=(*start,), limit_indices=(*end,), strides=None)
    x = reshape(x, (*shape[:axis], parts, length, *shape[axis + 1 :]))
    return x, tuple(a + (a >= axis) for a in axes)


@lru_cache(256)
def sums_of_blocks(type: ArrayType, found: Blocks) -> Jaxpr:
    """The program that gives, for each piece, what deviations in its blocks are from and the sums
    of these, and the sum of all."""
    trace = Stage(purpose="the sums of blocks")
    shape, axes, axis, pieces = found
    across = sum(d not in axes for d in range(axis))
    with new_trace(trace):
        whole = reshape(trace.new_input(type), shape)
        results: list[Any] = []
        totals = []
        for piece in pieces:
            x, inside = in_blocks(whole, axes, axis, piece)
            count = prod(typeof(x).shape[d] for d in inside)
            if len(shape) - 1 in axes:
                partial = reduce_sum(x, inside)
                near = mul_p(partial, constant(1 / count, type))
                rest = from_near(x, near, inside)[1]
            else:
                near = of_first(x, inside)
                rest = from_near(x, near, inside)[1]
                partial = add_p(mul_p(near, constant(count, type)), rest)
            results += near, rest
            totals.append(reduce_sum(partial, (across,)))
        return trace.finish([*results, reduce(add_p, totals)], "sums")


def constant(value: float, type: ArrayType) -> np.generic:
    return type.dtype.type(value)


def of_first(x: Any, inside: tuple[int, ...]) -> Any:
    """The mean of the first elements of each block, or 0 where it is so large that sums of it are
    not finite."""
    shape = list(typeof(x).shape)
    left = max(1, prod(shape[d] for d in inside) // FIRST)
    for d in reversed(inside):
        shape[d] = min(shape[d], left)
        left = max(1, left // shape[d])
    (some,) = slice_p.bind(
        x, start_indices=(0,) * len(shape), limit_indices=tuple(shape), strides=None
    )
    count = prod(shape[d] for d in inside)
    mean = mul_p(reduce_sum(some, inside), constant(1 / count, typeof(x)))
    most = np.finfo(typeof(x).dtype).max / (2 * prod(typeof(x).shape[d] for d in inside))
    is_small = lt_p(abs_p(mean), constant(most, typeof(x)))
    return where(is_small, mean, constant(0, typeof(x)))


def from_near(x: Any, near: Any, inside: tuple[int, ...]) -> tuple[Any, Any]:
    """The deviations in blocks from what is near their means, and the sums of these."""
    shape = typeof(x).shape
    kept = [d for d in range(len(shape)) if d not in inside]
    apart = sub_p(x, broadcast_in_dim(near, shape, kept))
    return apart, reduce_sum(apart, inside)


@lru_cache(256)
def squares_of_blocks(
    type: ArrayType,
    nears: tuple[ArrayType, ...],
    middle: ArrayType,
    places: tuple[int, ...],
    found: Blocks,
) -> Jaxpr:
    """The program that adds up squared deviations, given the centre and, for each piece, what those
    in its blocks are from, of types `nears`, and their sums."""
    shape, axes, axis, pieces = found
    across = sum(d not in axes for d in range(axis))
    trace = Stage(purpose="the deviations in blocks")
    with new_trace(trace):
        whole, centre = reshape(trace.new_input(type), shape), trace.new_input(middle)
        given = [(trace.new_input(near), trace.new_input(near)) for near in nears]
        totals = []
        for piece, (near, rest) in zip(pieces, given, strict=True):
            x, inside = in_blocks(whole, axes, axis, piece)
            off = from_centre(centre, near, inside, places, axis)
            terms = squares_of(x, inside, near, rest, off)
            totals.append(reduce_sum(terms, (across,)))
        return trace.finish([reduce(add_p, totals)], "squares")


def squares_of(x: Any, inside: tuple[int, ...], near: Any, rest: Any, off: Any) -> Any:
    """The sums of squared deviations of blocks from a centre, from which `near` is `off`."""
    type, count = typeof(x), prod(typeof(x).shape[d] for d in inside)
    share = constant(1 / count, type)
    apart, _ = from_near(x, near, inside)
    # of equal numbers both terms are the same: rounding must not make less than zero of them,
    # nor NaN where both overflow
    most, zero = (
        broadcast_in_dim(constant(n, type), typeof(near).shape, ())
        for n in (np.finfo(type.dtype).max, 0)
    )
    correction = min_p(mul_p(rest, mul_p(rest, share)), most)
    squares = max_p(sub_p(reduce_sum(square_p(apart), inside), correction), zero)
    # they are made while the block is in the caches, not where they are added up
    (squares,) = optimization_barrier_p.bind(squares)
    off = add_p(off, mul_p(rest, share))
    return add_p(squares, mul_p(square_p(off), constant(count, type)))


def from_centre(
    centre: Any, near: Any, inside: tuple[int, ...], places: tuple[int, ...], axis: int
) -> Any:
    """How far what is near the means of blocks is from the centre."""
    mine = [k for k, d in enumerate(places) if d + (d >= axis) not in inside]
    smaller = reshape(centre, tuple(typeof(centre).shape[k] for k in mine))
    kept = [d for d in range(len(typeof(near).shape) + len(inside)) if d not in inside]
    at = [kept.index(places[k] + (places[k] >= axis)) for k in mine]
    return sub_p(near, broadcast_in_dim(smaller, typeof(near).shape, at))


def spliced(
    program: Jaxpr, given: Sequence[Atom], result: Var
) -> tuple[list[Equation], tuple[Atom, ...]]:
    """The equations of a program of what is given, whose last output is `result`, and its other
    outputs."""
    env: dict[Atom, Atom] = dict(zip(program.inputs, given, strict=True))
    *partial, total = program.outputs
    made = []
    for e in program.equations:
        outputs = tuple(result if v is total else Var(v.type) for v in e.outputs)
        inputs: Sequence[Atom] = tuple(env.get(a, a) for a in e.inputs)
        made.append(e.replace(inputs=inputs, outputs=outputs))
        env.update(zip(e.outputs, outputs, strict=True))
    return made, tuple(env[v] for v in partial)
