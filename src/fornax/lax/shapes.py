"""Changes of shape and order: reshape, squeeze, rev, pad, concatenate, iota and others.

Functions of `lax` do not promote dtypes and do not broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fornax.ir.basis import transpose as _transpose
from fornax.ir.requested import requested
from fornax.ir.static import static_integer, static_integers
from fornax.ir.types import typeof
from fornax.numpy.promotion import as_value
from fornax.primitives import concatenate as _concatenate
from fornax.primitives import iota as _iota
from fornax.primitives import pad as _pad
from fornax.primitives import shape as _shape
from fornax.primitives import stacking as _stacking
from fornax.source import located

__all__ = [
    "broadcasted_iota",
    "collapse",
    "concatenate",
    "expand_dims",
    "iota",
    "pad",
    "reshape",
    "rev",
    "split",
    "squeeze",
    "stack",
    "tile",
    "unstack",
]


def canonical_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front. Raises ValueError if it is out of bounds."""
    axis = static_integer(axis, "axis")
    if not -rank <= axis < rank:
        raise ValueError(
            located(
                f"axis {axis} is out of bounds for array of dimension {rank}",
                f"its axes are {-rank} to {rank - 1}" if rank else "a number has no axes",
                "an axis in that range" if rank else "reshape(x, (1,)) first",
            )
        )
    return axis + rank if axis < 0 else axis


def sizes(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape as a tuple of Python integers. Raises TypeError for anything but integers."""
    try:
        return static_integers(shape, "shape")
    except TypeError:
        raise TypeError(
            located(
                "Shapes must be 1D sequences of concrete values of integer type, got "
                f"{shape!r:.80}.",
                "an array has a whole number of elements along each dimension",
                "a tuple of Python integers, such as (3,)",
            )
        ) from None


def settled(operand: Any, result: Any) -> Any:
    """The result of an operation; where it had nothing to do and was left out, the operand as an
    array of a dtype that programs have."""
    return as_value(operand) if result is operand else result


def reshape(
    operand: Any,
    new_sizes: Sequence[int],
    dimensions: Sequence[int] | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """The elements of `operand` in row-major order under another shape.

    Args:
      operand: array.
      new_sizes: the new shape, of the same total size.
      dimensions: the order in which the operand's dimensions are read; None for row-major.
      out_sharding: ignored on one device.

    Raises ValueError if the sizes do not fit, TypeError for sizes below zero.
    """
    if dimensions is not None:
        dimensions = tuple(dimensions)
        rank = typeof(operand).ndim
        if sorted(dimensions) != list(range(rank)):
            raise TypeError(
                located(
                    "reshape dimensions must be a permutation of operand dimensions, got "
                    f"dimensions {dimensions} for shape {typeof(operand).shape}.",
                    attempt="each of the dimensions once, or transpose first",
                )
            )
        operand = _transpose(operand, dimensions)
    new, old = sizes(new_sizes), typeof(operand)
    if min(new, default=0) >= 0 and math.prod(new) != old.size:
        raise ValueError(
            located(
                f"reshape total size must be unchanged, got new_sizes {new} for shape {old.shape}.",
                "a reshape keeps all elements",
                "numpy.reshape with -1 for the size that follows from the others",
            )
        )
    return settled(operand, _shape.reshape(operand, new))


def squeeze(array: Any, dimensions: Sequence[int]) -> Any:
    """`array` without the dimensions listed, which must have size 1.

    Raises ValueError for a dimension that is out of range, repeated, or not of size 1.
    """
    rank = typeof(array).ndim
    dimensions = tuple(canonical_axis(d, rank) for d in dimensions)
    if len(set(dimensions)) != len(dimensions):
        raise ValueError(
            located(f"dimensions are not unique: {dimensions}", attempt="name each dimension once")
        )
    return settled(array, _shape.squeeze(array, tuple(sorted(dimensions))))


def expand_dims(array: Any, dimensions: Sequence[int]) -> Any:
    """`array` with new dimensions of size 1 at these places of the result.

    Raises ValueError for places that are out of range or repeated.
    """
    rank = typeof(array).ndim + len(dimensions)
    places = {canonical_axis(d, rank) for d in dimensions}
    if len(places) != len(dimensions):
        raise ValueError(
            located(
                f"repeated axis in lax.expand_dims: {tuple(dimensions)}",
                attempt="each position once",
            )
        )
    return settled(array, _shape.expand_dims(array, tuple(sorted(places))))


def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """`operand` with the order of elements reversed along `dimensions` (not negative)."""
    return settled(operand, _shape.rev(operand, static_integers(dimensions, "dimensions")))


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """`operand` with dimensions start_dimension … stop_dimension - 1 merged into one.

    Raises ValueError for a range that ends before it starts.
    """
    shape = typeof(operand).shape
    first, last, _ = slice(start_dimension, stop_dimension).indices(len(shape))
    if first > last:
        raise ValueError(
            located(
                f"Invalid dimension range passed to collapse: {shape}[{start_dimension}:"
                f"{stop_dimension}]",
                "the range ends before it starts",
                f"collapse(x, {last}, {first})",
            )
        )
    merged = 1
    for n in shape[first:last]:
        merged *= n
    return settled(operand, _shape.reshape(operand, (*shape[:first], merged, *shape[last:])))


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """Consecutive pieces of these lengths along `axis`.

    Raises ValueError unless the lengths are non-negative and add up to the dimension.
    """
    axis = canonical_axis(axis, typeof(operand).ndim)
    lengths = static_integers(sizes, "sizes")
    return _shape.split_p.bind(operand, sizes=lengths, axis=axis)


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """`operand` with a border of `padding_value` around and between its elements.

    Args:
      operand: array.
      padding_value: scalar of the operand's dtype.
      padding_config: (low, high, interior) per dimension; negative low and high cut elements off.

    Raises TypeError for different dtypes, ValueError for a config that does not fit.
    """
    config = tuple(static_integers(c, "padding_config") for c in padding_config)
    return _pad.pad_p.bind(operand, padding_value, padding_config=config)[0]


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """Arrays of one dtype one behind the other along `dimension`.

    Raises ValueError for no operands, TypeError for operands that do not fit together.
    """
    operands = list(operands)
    if not operands:
        raise ValueError(
            located(
                "concatenate requires a non-empty sequences of arrays",
                attempt="ask whether the list is empty first, or lax.full for an empty array",
            )
        )
    dimension = static_integer(dimension, "dimension")
    return _concatenate.concatenate_p.bind(*operands, dimension=dimension)[0]


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape and dtype side by side along a new dimension `axis` of the result."""
    operands = list(operands)
    if not operands:
        raise ValueError(
            located(
                "stack requires a non-empty sequence of arrays",
                attempt="ask whether the list is empty first",
            )
        )
    return _stacking.stack(operands, canonical_axis(axis, typeof(operands[0]).ndim + 1))


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices of an array along `axis`, without that dimension."""
    return tuple(_stacking.unstack(x, canonical_axis(axis, typeof(x).ndim)))


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """`operand` repeated `reps[d]` times along every dimension d.

    Raises TypeError unless there is a number for each dimension.
    """
    return _stacking.tile(operand, sizes(reps))


def iota(dtype: Any, size: int) -> Any:
    """0, 1, …, size - 1 as a vector of `dtype`."""
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(
    dtype: Any, shape: Sequence[int], dimension: int, *, out_sharding: Any = None
) -> Any:
    """An array of `shape` that counts 0, 1, … along `dimension` and is constant along others.

    Raises TypeError for a dtype that is not a number, ValueError for a dimension out of range.
    """
    return _iota.iota(requested(dtype), sizes(shape), static_integer(dimension, "dimension"))
