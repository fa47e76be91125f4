"""Large reductions in two stages, where threads cannot share one stage or it would jump in memory.

    sum(x)           ->  sum(sum(reshape(x, (parts, n / parts)), along 1))
    argmax(x)        ->  the argmax of the first part whose largest element no other exceeds
    sum(x, 0)        ->  the same: few long rows make few pieces of rows for threads
    sum(x, (0, 2))   ->  sum(sum(x, 2), 0), which reads x in order

The number of parts depends on shapes alone, hence so do the results. Nothing is left to be cut in
what comes out: there are either many results then or few elements of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import ceil, prod
from typing import Any

import numpy as np

from fornax.compiler import cost
from fornax.ir.basis import broadcast_in_dim, reduce_sum
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from fornax.ir.primitive import Primitive
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.argreduce import argmax_p
from fornax.primitives.compare import eq_p
from fornax.primitives.composite import optimization_barrier_p
from fornax.primitives.elementwise import add_p, mul_p
from fornax.primitives.family import Elementwise
from fornax.primitives.iota import iota
from fornax.primitives.pad import pad
from fornax.primitives.reduce import reduce_max_p, reduce_min_p
from fornax.primitives.select import where
from fornax.primitives.shape import reshape
from fornax.scalars import dtypes
from fornax.transforms.stage import Stage

#: reductions whose partial results are rounded
ROUNDED = frozenset(("reduce_sum", "reduce_prod"))
#: and those whose are not
EXACT = frozenset(("reduce_max", "reduce_min", "reduce_and", "reduce_or"))
#: operations whose results lie in memory as their operands do
SAME_PLACES = frozenset(("reshape", "select_n", "convert_element_type", "copy"))
PLACES = frozenset(("argmax", "argmin"))
REDUCTIONS = ROUNDED | EXACT | PLACES
#: a reduction is cut if it has at most so many results, each of `cost.LARGE` elements or more,
#: into parts of about half of that at least
FEW_RESULTS = 64
#: most parts, as a multiple of those that are wanted
MANY = 4
#: reductions to more results are cut if the array has so many bytes and threads would share fewer
#: pieces of it, of so many bytes of a row:
STREAMED = 1 << 22
FEW_PIECES, PIECE = 8, 16 << 10
#: where at least so many neighbours in memory are reduced, in as many places, these come first,
ALONG = 64
#: and elsewhere there are parts of so many rows or more, until there are about so many pieces
ROWS, PIECES = 128, 32
#: elements of rows of which each is a loop of its own
LONG = 1024
#: an array of so few times the elements of one in memory is read rather than computed, and so many
#: values are looked at to find that
READ, FAR = 8, 200


def in_two_stages(
    primitive: Primitive, x: Atom, params: dict[str, Any], definition: Mapping[Atom, Equation]
) -> Jaxpr | None:
    """The program that computes a reduction of `x` in two stages; None where one does as well.
    `definition`: the equations that have made what there is."""
    name, type = primitive.name, x.type
    if name in ROUNDED:
        if type.dtype.kind not in "iub" and type.dtype.itemsize < 4:
            return None  # partial results would be rounded to it
    if dtypes.is_complex(type.dtype) or not type.size:
        return None
    how = tuple(sorted(params.items()))
    axes = params["axes"]
    reduced = prod(type.shape[a] for a in axes)
    if type.size // reduced > FEW_RESULTS:
        outside = prod(type.shape[: min(axes)])
        if type.size * type.dtype.itemsize < STREAMED or outside >= FEW_PIECES:
            return None
        if not is_read(x, definition):
            return None
        inside = neighbours(type.shape, axes)
        if inside:
            return _in_order(primitive, type, how, inside)
        shape, axes, axis, parts = parts_of_rows(type, axes)
        how = tuple(sorted({**params, "axes": axes}.items()))
        return None if parts == 1 else _program(primitive, type, how, axis, parts, shape, True)
    if reduced < cost.LARGE:
        return None
    wanted = min(ceil((FEW_RESULTS + 1) * reduced / type.size), 2 * reduced // cost.LARGE)
    shape = type.shape
    if shape[min(axes)] <= FEW_RESULTS:
        shape, axes, _ = merged(shape, axes)
    if reduced == type.size and is_flat(x, definition):
        kept = (1,) * (len(shape) - len(axes))
        shape, axes = (*kept, reduced), (len(kept),)
    how = tuple(sorted({**params, "axes": axes}.items()))
    return _program(primitive, type, how, *cut(shape, axes, wanted), shape, False)


def is_read(x: Atom, definition: Mapping[Atom, Equation]) -> bool:
    """Whether about as much as `x` is read from memory to make it: not where few elements meet each
    other, as the pairs of some points do."""
    found = made_of(x, definition, lambda made: made.primitive.has_element)
    return found is None or any(READ * var.type.size >= x.type.size for var in found)


def is_flat(x: Atom, definition: Mapping[Atom, Equation]) -> bool:
    """Whether `x` is made of arrays of its own shape and of scalars, so that one loop can count
    through it."""

    def stays_in_place(made: Equation) -> bool:
        primitive = made.primitive
        return primitive.has_element and (
            isinstance(primitive, Elementwise) or primitive.name in SAME_PLACES
        )

    def is_array(var: Var) -> bool:
        made = definition.get(var)
        if made is None or not made.primitive.has_element:
            return True
        return made.primitive.name == "broadcast_in_dim" and made.inputs[0].type.size == 1

    found = made_of(x, definition, stays_in_place)
    return found is not None and all(map(is_array, found))


def made_of(
    x: Atom, definition: Mapping[Atom, Equation], through: Callable[[Equation], bool]
) -> list[Var] | None:
    """What `x` is made of by equations that `through` holds for; None where these are many."""
    pending: list[Atom] = [x]
    seen: set[Atom] = set()
    found: list[Var] = []
    while pending:
        atom = pending.pop()
        if atom in seen or not isinstance(atom, Var):
            continue
        seen.add(atom)
        if len(seen) > FAR:
            return None
        made = definition.get(atom)
        if made is not None and through(made):
            pending += made.inputs
        else:
            found.append(atom)
    return found


def neighbours(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The last dimensions, if they are reduced, and others that are not next to them as well."""
    first = len(shape)
    while first - 1 in axes:
        first -= 1
    jumps = prod(shape[a] for a in axes if a < first)
    return tuple(range(first, len(shape))) if min(jumps, prod(shape[first:])) >= ALONG else ()


def parts_of_rows(
    type: ArrayType, axes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], int, int]:
    """How to cut the rows that are reduced: in which shape, along which dimensions they are
    reduced then, which one is cut, and into how many equal parts."""
    shape, first, last = type.shape, min(axes), max(axes)
    outside = prod(n for a, n in enumerate(shape[:last]) if a not in axes)
    there = outside * max(1, prod(shape[last + 1 :]) * type.dtype.itemsize // PIECE)
    if there >= FEW_PIECES or last + 1 == len(shape):
        return shape, axes, first, 1
    rows = prod(shape[a] for a in axes)
    most = min(PIECES // there, rows // ROWS)
    if last - first + 1 == len(axes) > 1:  # parts of neighbouring rows are simple to count through
        fitting = [
            parts for parts in range(2, min(MANY * PIECES, rows // ROWS) + 1)
            if rows % parts == 0 and shape[last] % (rows // parts) == 0
        ]  # fmt: skip
        if fitting:
            parts = max([p for p in fitting if p <= most], default=fitting[0])
            return (*shape[:first], rows, *shape[last + 1 :]), (first,), first, parts
    parts, axis = max(
        (next((p for p in range(most, 1, -1) if shape[a] % p == 0), 1), -a) for a in axes
    )
    return shape, axes, -axis, parts


def merged(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The shape with neighbouring dimensions that are reduced as one, what is reduced then, and
    where each dimension has gone. The last of all stays as it is: its loop counts through
    neighbours in memory."""
    joined: list[int] = []
    reduced: list[int] = []
    places: list[int] = []
    for a, n in enumerate(shape):
        if a in axes and a - 1 in axes and a < len(shape) - 1:
            joined[-1] *= n
        else:
            reduced += [len(joined)] if a in axes else []
            joined.append(n)
        places.append(len(joined) - 1)
    return tuple(joined), tuple(reduced), tuple(places)


def cut(shape: tuple[int, ...], axes: tuple[int, ...], wanted: int) -> tuple[int, int]:
    """Which dimension to cut and into how many parts, `wanted` or some more: the first that is long
    enough, so that each is read in order; else the longest, which is made longer.

    Rows that are few or long are cut into single ones, pairs, fours …, of which the last may be
    short, and into an even number of these: 254, 255 and 256 alike, so that reductions of shifted
    slices of an array become one loop over it.
    """
    for axis in sorted(axes):
        rows = shape[axis]
        if rows >= MANY * wanted and prod(shape[axis + 1 :]) < LONG:
            return axis, divisor(rows, wanted, MANY * wanted) or wanted
        if rows >= wanted:
            parts = ceil(rows / (1 << (rows // wanted).bit_length() - 1))
            return axis, parts + parts % 2
    return max(axes, key=lambda a: shape[a]), wanted


def divisor(extent: int, least: int, most: int) -> int:
    """The least divisor in a range, or 0."""
    return next((n for n in range(least, min(most, extent) + 1) if extent % n == 0), 0)


@lru_cache(256)
def _program(
    primitive: Primitive, type: ArrayType, params: tuple[Any, ...], axis: int, parts: int,
    shape: tuple[int, ...], stored: bool,
) -> Jaxpr:  # fmt: skip
    """The program that cuts a dimension of the array, in a `shape`, into parts; the results of
    these are `stored` where they are many."""
    trace = Stage(purpose=f"the stages of {primitive.name}")
    with new_trace(trace):
        x = trace.new_input(type)
        x = x if shape == type.shape else reshape(x, shape)
        make = extreme if primitive.name in PLACES else reduction
        return trace.finish([make(primitive, x, dict(params), axis, parts, stored)], primitive.name)


@lru_cache(256)
def _in_order(
    primitive: Primitive, type: ArrayType, params: tuple[Any, ...], inside: tuple[int, ...]
) -> Jaxpr:
    """The program that reduces neighbours in memory first."""
    trace = Stage(purpose=f"the stages of {primitive.name}")
    with new_trace(trace):
        rest = dict(params)
        outside = tuple(a for a in rest.pop("axes") if a not in inside)
        partial = primitive.bind(trace.new_input(type), axes=inside, **rest)
        result = primitive.bind(*optimization_barrier_p.bind(*partial), axes=outside, **rest)[0]
        return trace.finish([result], primitive.name)


def divided(x: Any, axis: int, parts: int, neutral: Any) -> Any:
    """`x` with dimension `axis` cut in two: parts, and elements of each."""
    shape = typeof(x).shape
    length = ceil(shape[axis] / parts)
    missing = parts * length - shape[axis]
    if missing:
        value = np.asarray(neutral, typeof(x).dtype)[()]
        x = pad(x, value, [(0, missing if a == axis else 0, 0) for a in range(len(shape))])
    return reshape(x, (*shape[:axis], parts, length, *shape[axis + 1 :]))


def reduction(
    primitive: Any, x: Any, params: dict[str, Any], axis: int, parts: int, stored: bool
) -> Any:
    axes = params.pop("axes")
    start = 0 if primitive.name == "reduce_sum" else primitive.start(typeof(x).dtype)
    x = divided(x, axis, parts, start)
    inside = tuple(a + (a >= axis) for a in axes)
    partial = primitive.bind(x, axes=inside, **params)
    if stored:  # or else both would be computed for each result
        partial = optimization_barrier_p.bind(*partial)
    place = sum(1 for a in range(axis) if a not in axes)
    return primitive.bind(*partial, axes=(place,), **params)[0]


def extreme(
    primitive: Any, x: Any, params: dict[str, Any], axis: int, parts: int, stored: bool
) -> Any:
    """The position of the first extreme along the only axis."""
    value_of, worst = reduce_max_p, dtypes.least
    if primitive is not argmax_p:
        value_of, worst = reduce_min_p, dtypes.greatest
    x = divided(x, axis, parts, worst(typeof(x).dtype))
    best = value_of.bind(x, axes=(axis + 1,))[0]
    inside = primitive.bind(x, **{**params, "axes": (axis + 1,)})[0]
    if stored:
        (best,), (inside,) = (optimization_barrier_p.bind(partial) for partial in (best, inside))
    first = primitive.bind(best, **{**params, "axes": (axis,)})[0]
    shape, index = typeof(inside).shape, params["index_dtype"]
    number = iota(index, shape, axis)
    kept = [a for a in range(len(shape)) if a != axis]
    chosen = eq_p(number, broadcast_in_dim(first, shape, kept))
    length = np.asarray(typeof(x).shape[axis + 1], index)[()]
    position = add_p(mul_p(number, length), inside)
    return reduce_sum(where(chosen, position, np.asarray(0, index)[()]), (axis,))
