"""Repeating and reordering dimensions: broadcast, broadcast_in_dim, transpose, full.

Functions of `lax` do not promote dtypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import _native
from fornax.ir import basis
from fornax.ir.requested import requested
from fornax.ir.static import static_integers
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.lax.shapes import settled, sizes
from fornax.primitives.convert import convert_element_type
from fornax.source import located

__all__ = [
    "broadcast",
    "broadcast_in_dim",
    "broadcast_like",
    "broadcast_shapes",
    "broadcast_to_rank",
    "empty",
    "full",
    "full_like",
    "transpose",
]


def broadcast(operand: Any, sizes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """`operand` repeated along new leading dimensions of these sizes."""
    shape = typeof(operand).shape
    new = static_integers(sizes, "sizes")
    dims = tuple(range(len(new), len(new) + len(shape)))
    return settled(operand, basis.broadcast_in_dim(operand, (*new, *shape), dims))


def broadcast_in_dim(
    operand: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int], *,
    out_sharding: Any = None,
) -> Any:  # fmt: skip
    """`operand` with dimension i as dimension `broadcast_dimensions[i]` of `shape`, repeated.

    Raises TypeError unless the operand's sizes are 1 or those of the result.
    """
    dims = static_integers(broadcast_dimensions, "broadcast_dimensions")
    shape = sizes(shape)
    if any(n < 0 for n in shape):
        raise TypeError(
            located(
                f"broadcast_in_dim shape must have no negative element, got {shape}.",
                attempt="max(n, 0) if a size was worked out",
            )
        )
    if typeof(operand).shape == shape and dims == tuple(range(len(shape))):
        return settled(operand, operand)
    return basis.broadcast_in_dim_p.bind(operand, shape=shape, broadcast_dimensions=dims)[0]


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """`arr` repeated to the shape of `like_arr` by NumPy's rules."""
    shape, old = typeof(like_arr).shape, typeof(arr).shape
    if broadcast_shapes(old, shape) != shape:
        raise ValueError(
            located(
                f"an array of shape {old} does not broadcast to {shape}",
                attempt="numpy.broadcast_to after reshape, so that sizes are equal or 1",
            )
        )
    dims = range(len(shape) - len(old), len(shape))
    return settled(arr, basis.broadcast_in_dim(arr, shape, dims))


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """`x` with leading dimensions of size 1 up to `rank` dimensions."""
    shape = typeof(x).shape
    if len(shape) > rank:
        raise ValueError(
            located(
                f"an array of shape {shape} has more than {rank} dimensions",
                attempt="sum or squeeze it down, or a shape with as many dimensions",
            )
        )
    return basis.broadcast_in_dim(
        x, (1,) * (rank - len(shape)) + shape, range(rank - len(shape), rank)
    )


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to. Raises ValueError if there is none."""
    try:
        return np.broadcast_shapes(*map(sizes, shapes))
    except ValueError:
        raise ValueError(
            located(
                f"Incompatible shapes for broadcasting: shapes={[tuple(s) for s in shapes]}",
                "shapes are compared from the right; sizes have to be equal, or one of them 1",
                "reshape, so that sizes agree from the right",
            )
        ) from None


def transpose(operand: Any, permutation: Sequence[int]) -> Any:
    """`operand` with dimension `permutation[i]` as dimension i of the result.

    Raises TypeError unless `permutation` is one of the operand's dimensions.
    """
    permutation = static_integers(permutation, "permutation")
    if permutation == tuple(range(typeof(operand).ndim)) and isinstance(
        operand, _native.Array | Tracer
    ):
        return operand
    return basis.transpose_p.bind(operand, permutation=permutation)[0]


def full(shape: Sequence[int], fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Any:
    """An array of `shape` with every element `fill_value`.

    Args:
      shape: the sizes.
      fill_value: scalar.
      dtype: the dtype; None for that of the value.
      sharding: ignored on one device.

    Raises TypeError for a fill value that is not a scalar.
    """
    type = typeof(fill_value)
    if type.shape:
        raise TypeError(
            located(
                f"full must be called with scalar fill_value, got {type.short()}",
                attempt="numpy.broadcast_to(x, shape) to repeat an array",
            )
        )
    weak = dtype is None and type.weak_type
    wanted = type.dtype if dtype is None else requested(dtype)
    value = convert_element_type(fill_value, wanted, weak)
    return basis.broadcast_in_dim(value, sizes(shape), ())


def empty(shape: int | Sequence[int], dtype: Any, *, out_sharding: Any = None) -> Any:
    """An array whose values are unspecified (they are zeros)."""
    shape = sizes(shape) if isinstance(shape, Sequence) else sizes((shape,))
    return full(shape, 0, dtype)


def full_like(
    x: Any, fill_value: Any, dtype: Any = None, shape: Sequence[int] | None = None,
    sharding: Any = None,
) -> Any:  # fmt: skip
    """Like `full`, with the shape and dtype of `x` unless they are given."""
    like_shape = x.shape if hasattr(x, "shape") else typeof(x).shape
    like_dtype = x.dtype if hasattr(x, "dtype") else typeof(x).dtype
    weak = dtype is None and getattr(x, "weak_type", False)
    wanted = requested(dtype, like_dtype)
    value = convert_element_type(fill_value, wanted, weak)
    return basis.broadcast_in_dim(value, sizes(like_shape if shape is None else shape), ())
