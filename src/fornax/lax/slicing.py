"""Contiguous parts of arrays: slices at static places and at places that may be traced.

Functions of `lax` do not promote dtypes. Out-of-range starts of dynamic slices are moved so that
the slice fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import _native
from fornax.ir.static import static_integer, static_integers
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.lax.shapes import canonical_axis
from fornax.primitives import dynamic_slice as _dynamic
from fornax.primitives import slice as _slice
from fornax.primitives.compare import lt_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.elementwise import add_p
from fornax.primitives.select import where
from fornax.primitives.shape import reshape, squeeze
from fornax.primitives.windows import wide_index
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "dynamic_index_in_dim",
    "dynamic_slice",
    "dynamic_slice_in_dim",
    "dynamic_update_index_in_dim",
    "dynamic_update_slice",
    "dynamic_update_slice_in_dim",
    "index_in_dim",
    "slice",
    "slice_in_dim",
]


# --- static slices ----------------------------------------------------------------------------
def slice(
    operand: Any,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Any:
    """Elements start, start + stride, … below limit, along every dimension.

    Args:
      operand: array.
      start_indices, limit_indices: one non-negative integer per dimension, within the shape.
      strides: one positive integer per dimension, or None for 1.

    Raises TypeError for indices that do not fit.
    """
    steps = None if strides is None else static_integers(strides, "strides")
    starts = static_integers(start_indices, "start_indices")
    limits = static_integers(limit_indices, "limit_indices")
    return _slice.slice_p.bind(operand, start_indices=starts, limit_indices=limits, strides=steps)[
        0
    ]


def slice_in_dim(
    operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0
) -> Any:
    """`slice` along one dimension. Negative indices count from the end; None means the end."""
    shape = typeof(operand).shape
    axis = canonical_axis(axis, len(shape))
    n = shape[axis]
    start = 0 if start_index is None else static_integer(start_index, "start_index")
    limit = n if limit_index is None else static_integer(limit_index, "limit_index")
    starts, limits, steps = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis] = start + n if start < 0 else start
    limits[axis] = limit + n if limit < 0 else limit
    steps[axis] = static_integer(stride, "stride")
    return slice(operand, starts, limits, steps)


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """One element along `axis`. Raises IndexError if the static index is out of bounds."""
    shape = typeof(operand).shape
    axis = canonical_axis(axis, len(shape))
    index, n = static_integer(index, "index"), shape[axis]
    place = index + n if index < 0 else index
    if not 0 <= place < n:
        raise IndexError(
            located(
                f"index {index} is out of bounds for axis {axis} with size {n}",
                attempt=f"an index from {-n} to {n - 1}",
            )
        )
    piece = slice_in_dim(operand, place, place + 1, 1, axis)
    return piece if keepdims else squeeze(piece, (axis,))


# --- dynamic slices ---------------------------------------------------------------------------
def _start_indices(
    name: str, operand: Any, starts: Any, allow_negative: bool | Sequence[bool]
) -> list[Any]:
    """Start indices as scalars of one integer dtype, negative ones counted from the end."""
    shape = typeof(operand).shape
    if isinstance(starts, _native.Array | np.ndarray | Tracer):
        if typeof(starts).ndim != 1:
            raise ValueError(
                located(
                    f"start indices must be a one-dimensional array, got {typeof(starts).short()}",
                    attempt="a tuple of scalars, or a vector of integers",
                )
            )
        count = typeof(starts).shape[0]
        starts = [squeeze(_slice.slice_(starts, (i,), (i + 1,)), (0,)) for i in range(count)]
    starts = list(starts)
    if len(starts) != len(shape):
        raise ValueError(
            located(
                "Length of slice indices must match number of operand dimensions "
                f"({len(starts)} vs {shape})",
                attempt="one index for each of the dimensions",
            )
        )
    types = [typeof(s) for s in starts]
    strong = {t.dtype for s, t in zip(starts, types, strict=True) if not t.weak_type}
    if len(strong) > 1 or not all(dtypes.is_integer(t.dtype) for t in types):
        names = ", ".join(dtypes.short_name(t.dtype) for t in types)
        raise TypeError(
            located(
                f"index arguments to {name} must be integers of the same type, got: {names}",
                attempt="i.astype(int) for all of them",
            )
        )
    dtype = strong.pop() if strong else dtypes.int32
    if dtype.itemsize < 4:
        dtype = dtypes.int32
    negative = [allow_negative] * len(shape) if isinstance(allow_negative, bool) else allow_negative
    return [
        normalized_index(s, n, dtype, wrap)
        for s, n, wrap in zip(starts, shape, negative, strict=True)
    ]


def normalized_index(index: Any, size: int, dtype: Any, wrap: bool = True) -> Any:
    """An integer index (any shape) as `dtype`, negative values counted from the end."""
    if not isinstance(index, Tracer):
        if isinstance(index, np.ndarray) and index.dtype == dtype and index.ndim:
            if not wrap or not index.size or index.min() >= 0:
                return index
        wide = wide_index(index)
        if wrap:
            wide = np.where(wide < 0, wide + size, wide)
        info = dtypes.iinfo(dtype)
        return np.clip(wide, info.min, info.max).astype(dtype)[()]
    type = typeof(index)
    if type.dtype != dtype or type.weak_type:
        index = convert_element_type(index, dtype, False)
    if not wrap or dtypes.is_unsigned_integer(type.dtype):
        return index
    zero, extent = dtype.type(0), dtype.type(size)
    return where(lt_p(index, zero), add_p(index, extent), index)


def dynamic_slice(
    operand: Any,
    start_indices: Any,
    slice_sizes: Sequence[int],
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """The slice of static sizes at start indices that may be traced.

    Args:
      operand: array.
      start_indices: one integer scalar per dimension, or a vector of them. A slice that would
        reach over the end is moved back.
      slice_sizes: the shape of the result.
      allow_negative_indices: whether negative indices count from the end (overall or per
        dimension); otherwise they are moved to 0.

    Raises TypeError or ValueError for arguments that do not fit.
    """
    starts = _start_indices("dynamic_slice", operand, start_indices, allow_negative_indices)
    lengths = static_integers(slice_sizes, "slice_sizes")
    return _dynamic.dynamic_slice_p.bind(operand, *starts, slice_sizes=lengths)[0]


def dynamic_slice_in_dim(
    operand: Any,
    start_index: Any,
    slice_size: int,
    axis: int = 0,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """`dynamic_slice` along one dimension, all of the others."""
    shape = typeof(operand).shape
    axis = canonical_axis(axis, len(shape))
    starts: list[Any] = [0] * len(shape)
    lengths = list(shape)
    starts[axis], lengths[axis] = start_index, static_integer(slice_size, "slice_size")
    return dynamic_slice(operand, starts, lengths, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: Any,
    index: Any,
    axis: int = 0,
    keepdims: bool = True,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """One element along `axis` at an index that may be traced."""
    piece = dynamic_slice_in_dim(
        operand, index, 1, axis, allow_negative_indices=allow_negative_indices
    )
    axis = canonical_axis(axis, typeof(operand).ndim)
    return piece if keepdims else squeeze(piece, (axis,))


def dynamic_update_slice(
    operand: Any,
    update: Any,
    start_indices: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """`operand` with the slice at `start_indices` replaced by `update`, of the same dtype.

    The place is found as by `dynamic_slice`. Raises TypeError or ValueError for arguments that do
    not fit.
    """
    starts = _start_indices("dynamic_update_slice", operand, start_indices, allow_negative_indices)
    return _dynamic.dynamic_update_slice(operand, update, starts)


def dynamic_update_slice_in_dim(
    operand: Any, update: Any, start_index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """`dynamic_update_slice` along one dimension."""
    shape = typeof(operand).shape
    axis = canonical_axis(axis, len(shape))
    starts: list[Any] = [0] * len(shape)
    starts[axis] = start_index
    return dynamic_update_slice(
        operand, update, starts, allow_negative_indices=allow_negative_indices
    )


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """`operand` with one element along `axis` replaced; `update` may lack that dimension."""
    rank = typeof(operand).ndim
    axis = canonical_axis(axis, rank)
    shape = typeof(update).shape
    if len(shape) != rank:
        if len(shape) + 1 != rank:
            raise TypeError(
                located(
                    f"update of shape {shape} does not fit one element along axis {axis} of an "
                    f"operand of shape {typeof(operand).shape}",
                    attempt="lax.squeeze or reshape, so that the update is one element along the "
                    "axis",
                )
            )
        update = reshape(update, (*shape[:axis], 1, *shape[axis:]))
    return dynamic_update_slice_in_dim(
        operand, update, index, axis, allow_negative_indices=allow_negative_indices
    )
