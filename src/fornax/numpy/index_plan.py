"""What an index expression means: the plan that reading and writing at an index both follow."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fornax import _native
from fornax.errors import NonConcreteBooleanIndexError
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import creation
from fornax.numpy.promotion import broadcast_shapes
from fornax.primitives.true_positions import true_positions
from fornax.record import record
from fornax.scalars import dtypes
from fornax.source import located

Array = _native.Array
_INTEGER_TYPES = (int, np.integer)


class Range(NamedTuple):
    """Positions start, start + step, …: `size` of them. `step` may be negative."""

    start: int
    size: int
    step: int


class Point(NamedTuple):
    """One position: a Python integer, or a traced integer scalar. The dimension goes away."""

    value: Any


class Points(NamedTuple):
    """Positions given by an integer array; all of an index are broadcast together."""

    value: Any


@record
class Plan:
    """One entry per dimension of the operand, and how the result is laid out.

    new_axes: dimensions of size 1 to insert into the operand first (for scalar booleans).
    entries: what is read along each dimension of the operand after that.
    layout: the dimensions of the result in order: None for a new one of size 1, a number for what
        is left of that operand dimension, "points" for those of the broadcast index arrays.
    points_shape: the shape that the index arrays broadcast to.
    """

    new_axes: tuple[int, ...]
    entries: list[Range | Point | Points]
    layout: list[Any]
    points_shape: tuple[int, ...]

    def result_shape(self) -> tuple[int, ...]:
        """The shape of what is read."""
        shape: list[int] = []
        for place in self.layout:
            if place is None:
                shape.append(1)
            elif place == "points":
                shape.extend(self.points_shape)
            else:
                shape.append(self.entries[place].size)
        return tuple(shape)


def plan_of(shape: Sequence[int], index: Any) -> Plan:
    """The plan of an index expression into an array of `shape`.

    Raises IndexError or TypeError for what is no index, or does not fit the shape.
    """
    items = _as_tuple(index)
    parts = [_part(item, position) for position, item in enumerate(items)]
    consumed = sum(_consumes(p) for p in parts)
    if consumed > len(shape):
        raise IndexError(
            located(
                f"Too many indices: array is {len(shape)}-dimensional, but {consumed} were indexed",
                attempt=f"at most {len(shape)} indices; ... stands for those that are left out",
            )
        )
    if sum(p is Ellipsis for p in parts) > 1:
        raise IndexError(
            located(
                "an index can only have a single ellipsis ('...')",
                attempt="one ..., and : for the other dimensions",
            )
        )
    if not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    has_points = any(isinstance(p, Points | _Mask) for p in parts)

    entries: list[Range | Point | Points] = []
    layout: list[Any] = []
    new_axes: list[int] = []
    advanced: list[int] = []  # positions, in the expanded expression, of what acts as an array
    dimension = 0  # of the operand as given
    place = 0  # in the expanded expression
    for position, part in enumerate(parts):
        if part is None:
            layout.append(None)
            place += 1
        elif part is Ellipsis:
            for n in shape[dimension : dimension + len(shape) - consumed]:
                layout.append(len(entries))
                entries.append(Range(0, n, 1))
            dimension += len(shape) - consumed
            place += 1  # it separates index arrays even if it stands for no dimension
        elif isinstance(part, slice):
            layout.append(len(entries))
            entries.append(_range(part, shape[dimension]))
            dimension += 1
            place += 1
        elif isinstance(part, Point):
            if isinstance(part.value, int) and shape[dimension] == 0 and not has_points:
                raise IndexError(
                    located(
                        f"index is out of bounds for axis {dimension} with size 0",
                        attempt="x.at[...].get(mode='fill'), or ask x.size first",
                    )
                )
            entries.append(part)
            if has_points:
                advanced.append(place)
                layout.append("points")
            dimension += 1
            place += 1
        elif isinstance(part, Points):
            entries.append(part)
            advanced.append(place)
            layout.append("points")
            dimension += 1
            place += 1
        elif part.value.ndim == 0:  # True reads everything once, False not at all
            new_axes.append(len(entries))
            entries.append(Points(np.zeros(int(part.value), np.int32)))
            advanced.append(place)
            layout.append("points")
            place += 1
        else:
            mask = part.value
            expected = tuple(shape[dimension : dimension + mask.ndim])
            if mask.shape != expected:
                raise IndexError(
                    located(
                        f"boolean index did not match shape of indexed array in index {position}: "
                        f"got {mask.shape}, expected {list(expected)}",
                        attempt="numpy.broadcast_to(mask, x.shape), or a mask for the leading "
                        "dimensions",
                    )
                )
            entries.extend(Points(p.astype(np.int32, copy=False)) for p in true_positions(mask))
            advanced.append(place)
            layout.append("points")
            dimension += mask.ndim
            place += 1
    points_shape = broadcast_shapes(
        *(typeof(e.value).shape for e in entries if isinstance(e, Points))
    )
    if has_points:
        layout = _with_points_together(layout, advanced)
    return Plan(tuple(new_axes), entries, layout, points_shape)


def _with_points_together(layout: list[Any], advanced: list[int]) -> list[Any]:
    """Dimensions of index arrays stay in place if the arrays are side by side, else go first."""
    adjacent = advanced[-1] - advanced[0] == len(advanced) - 1
    first = layout.index("points") if adjacent else 0
    rest = [place for place in layout if place != "points"]
    before = len([p for p in layout[:first] if p != "points"])
    return [*rest[:before], "points", *rest[before:]]


class _Mask(NamedTuple):
    value: np.ndarray


def _consumes(part: Any) -> int:
    if isinstance(part, _Mask):
        return part.value.ndim
    return 0 if part is None or part is Ellipsis else 1


def _as_tuple(index: Any) -> tuple:
    if isinstance(index, tuple):
        return index
    if isinstance(index, list) and index:
        raise TypeError(
            located(
                "Using a non-tuple sequence for multidimensional indexing is not allowed; use "
                "`arr[array(seq)]` instead of `arr[seq]`.",
                why="a list could mean an index array or one index per dimension",
                attempt="x[numpy.array(indices)], or x[tuple(indices)]",
            )
        )
    return (index,)


def _part(item: Any, position: int) -> Any:
    """An item of an index expression in its normal form."""
    kind = type(item)
    if item is None or item is Ellipsis or kind is slice:
        return item
    if kind is bool or kind is np.bool_:
        return _Mask(np.asarray(item))
    if isinstance(item, _INTEGER_TYPES):
        return Point(operator.index(item))
    if isinstance(item, str):
        raise TypeError(
            located(
                f"JAX does not support string indexing; got idx={item!r}",
                attempt="a dict of arrays, or a NamedTuple, for parts that have names",
            )
        )
    if isinstance(item, list | tuple):
        item = creation.asarray(item) if len(item) else np.zeros(0, np.int32)
    elif hasattr(item, "__jax_array__"):
        item = item.__jax_array__()
    if isinstance(item, np.ndarray | np.generic | Array | Tracer | float | complex):
        return _array_part(item)
    if hasattr(item, "__index__"):
        return Point(operator.index(item))
    raise IndexError(
        located(
            "only integers, slices (`:`), ellipsis (`...`), newaxis (`None`) and integer or "
            f"boolean arrays are valid indices. Got {item}",
            attempt="numpy.array(indices) for positions; a float index needs astype(int)",
        )
    )


def _array_part(item: Any) -> Any:
    dtype = item.dtype if hasattr(item, "dtype") else np.asarray(item).dtype
    if dtype == dtypes.bool_:
        if isinstance(item, Tracer):
            raise NonConcreteBooleanIndexError(
                located(
                    f"Array boolean indices must be concrete; got {typeof(item).short()}",
                    why="how many elements a mask selects would be the shape of the result, and "
                    "shapes must be known while the function is traced",
                    attempt="numpy.where(mask, x, other), or x.at[...].set with numpy.where, or "
                    "numpy.nonzero(mask, size=...)",
                )
            )
        return _Mask(np.asarray(item))
    if not dtypes.is_integer(dtype):
        raise TypeError(
            located(
                f"Indexer must have integer or boolean type, got indexer with type {dtype}",
                attempt="indices.astype(int), or // instead of / where they are computed",
            )
        )
    if isinstance(item, Tracer):
        return Points(item) if item.shape else Point(item)
    return Points(item) if item.shape else Point(int(np.asarray(item)))


def _range(part: slice, n: int) -> Range:
    """A slice of static integers as positions."""
    if any(isinstance(v, Tracer) for v in (part.start, part.stop, part.step)):
        raise IndexError(
            located(
                f"Slice entries must be static integers. Got {part}",
                why="the size of a slice is a shape, and shapes must be known while the function "
                "is traced",
                attempt="lax.dynamic_slice with a static size, or lax.dynamic_update_slice",
            )
        )
    fields = (None if v is None else operator.index(v) for v in (part.start, part.stop, part.step))
    start, stop, step = slice(*fields).indices(n)
    size = len(range(start, stop, step))
    if size == 0:
        return Range(0, 0, 1)
    return Range(start, size, 1 if size == 1 else step)
