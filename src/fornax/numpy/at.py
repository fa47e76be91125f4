"""Writing at an index: x.at[index].set(values) and its relatives, put_along_axis.

Arrays never change: each of these gives a new array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.ir.types import typeof
from fornax.lax.gathering import scatter_apply
from fornax.lax.shapes import canonical_axis
from fornax.numpy import creation, ufuncs
from fornax.numpy.dynamic_slices import Windows, has_windows
from fornax.numpy.index_plan import plan_of
from fornax.numpy.indexing import rewriting_take
from fornax.numpy.promotion import broadcast_shapes, broadcast_to, check, concrete_form
from fornax.numpy.updating import Place, updated
from fornax.primitives.scatter import (
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
    scatter_sub_p,
)
from fornax.primitives.shape import reshape
from fornax.primitives.windows import CLIP, GatherScatterMode
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["put_along_axis"]


class IndexUpdateHelper:
    """What `x.at` gives: index it to say where to write."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    def __getitem__(self, index: Any) -> IndexUpdateRef:
        return IndexUpdateRef(self.array, index)

    def __repr__(self) -> str:
        return f"_IndexUpdateHelper({self.array!r})"


class IndexUpdateRef:
    """What `x.at[index]` gives: the operations at that place.

    All of them take indices_are_sorted and unique_indices (promises), mode ("drop" is the default
    for writing; "clip" moves indices inside; for reading also "fill") and wrap_negative_indices
    (whether negative indices count from the end). Values are converted to the array's dtype and
    broadcast to the shape of `x[index]`.
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any):
        self.array = array
        self.index = index

    def __repr__(self) -> str:
        return f"_IndexUpdateRef({self.array!r}, {self.index!r})"

    def get(
        self, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        fill_value: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """`x[index]`, with a choice of what happens out of bounds."""
        return rewriting_take(
            self.array, self.index, indices_are_sorted, unique_indices, mode, fill_value,
            wrap_negative_indices,
        )  # fmt: skip

    def set(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] = values. Of values for one place the last one stays."""
        return updated(
            self.array, self.index, values, scatter_p, indices_are_sorted, unique_indices, mode,
            wrap_negative_indices,
        )  # fmt: skip

    def add(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] += values. Values for one place add up."""
        return updated(
            self.array, self.index, values, scatter_add_p, indices_are_sorted, unique_indices,
            mode, wrap_negative_indices,
        )  # fmt: skip

    def subtract(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] -= values."""
        return updated(
            self.array, self.index, values, scatter_sub_p, indices_are_sorted, unique_indices,
            mode, wrap_negative_indices,
        )  # fmt: skip

    def multiply(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] *= values."""
        return updated(
            self.array, self.index, values, scatter_mul_p, indices_are_sorted, unique_indices,
            mode, wrap_negative_indices,
        )  # fmt: skip

    mul = multiply

    def divide(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] /= values."""
        return ufuncs.divide(
            self.array,
            updated(
                creation.ones_like(self.array), self.index, values, scatter_mul_p,
                indices_are_sorted, unique_indices, mode, wrap_negative_indices,
            ),
        )  # fmt: skip

    def power(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] **= values."""
        return ufuncs.power(
            self.array,
            updated(
                creation.ones_like(self.array), self.index, values, scatter_mul_p,
                indices_are_sorted, unique_indices, mode, wrap_negative_indices,
            ),
        )  # fmt: skip

    def min(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] = minimum(x[index], values)."""
        return updated(
            self.array, self.index, values, scatter_min_p, indices_are_sorted, unique_indices,
            mode, wrap_negative_indices,
        )  # fmt: skip

    def max(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] = maximum(x[index], values)."""
        return updated(
            self.array, self.index, values, scatter_max_p, indices_are_sorted, unique_indices,
            mode, wrap_negative_indices,
        )  # fmt: skip

    def apply(
        self, func: Callable[[Any], Any], *, indices_are_sorted: bool = False,
        unique_indices: bool = False, mode: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """x with x[index] = func(x[index]), for a function of one element.

        A place that is addressed several times is changed several times. Not differentiable.
        """
        x = self.array
        if has_windows(self.index):
            windows = Windows(x, self.index, False)
            part = IndexUpdateRef(windows.part, windows.index).apply(func, mode=mode)
            return windows.written(part, GatherScatterMode.from_any(mode) is CLIP)
        place = Place(x, plan_of(typeof(x).shape, self.index), wrap_negative_indices)
        return place.finish(
            scatter_apply(
                place.operand, place.indices, func, place.numbers,
                update_shape=place.update_shape, mode=mode,
                indices_are_sorted=indices_are_sorted or place.single,
                unique_indices=unique_indices or place.single,
            )
        )  # fmt: skip


def put_along_axis(
    arr: Any,
    indices: Any,
    values: Any,
    axis: int | None,
    inplace: bool = True,
    *,
    mode: str | None = None,
) -> Any:
    """`arr` with result[i, indices[i, j, k], k] = values[i, j, k] for axis 1, and so on.

    Args:
      arr: array.
      indices: integer array of as many dimensions.
      values: array that broadcasts to the shape of `indices`.
      axis: None for a vector of indices into all elements in row-major order.
      inplace: must be False, for arrays do not change.
      mode: out of bounds is dropped by default, or moved inside with "clip".
    """
    if inplace:
        raise ValueError(
            located(
                "put_along_axis cannot modify arrays in-place, because arrays are immutable.",
                attempt="pass inplace=False, which returns an updated array",
            )
        )
    check("put_along_axis", arr, indices, values)
    arr, indices, values = map(concrete_form, (arr, indices, values))
    shape = typeof(arr).shape
    if axis is None:
        flat = reshape(arr, (math.prod(shape),))
        return reshape(put_along_axis(flat, indices, values, 0, False, mode=mode), shape)
    positions = typeof(indices)
    if positions.ndim != len(shape):
        raise ValueError(
            located(
                "put_along_axis arguments 'arr' and 'indices' must have same ndim. Got "
                f"arr.ndim={len(shape)} and indices.ndim={positions.ndim}.",
                attempt=f"indices[..., None] or expand_dims, until both have {len(shape)} "
                "dimensions",
            )
        )
    if not dtypes.is_integer(positions.dtype):
        raise TypeError(
            located(
                "Indexer must have integer or boolean type, got indexer with type "
                f"{positions.dtype}",
                attempt="indices.astype(int)",
            )
        )
    try:
        values = broadcast_to(values, positions.shape)
    except ValueError:
        raise ValueError(
            located(
                "put_along_axis argument 'values' must be broadcastable to 'indices'. Got "
                f"values.shape={typeof(values).shape} and indices.shape={positions.shape}.",
                attempt="values of the shape of indices, or a scalar",
            )
        ) from None
    axis = canonical_axis(axis, len(shape))
    full = broadcast_shapes(
        positions.shape, tuple(1 if d == axis else n for d, n in enumerate(shape))
    )
    index: list[Any] = []
    for d, n in enumerate(shape):
        if d == axis:
            index.append(indices)
        else:
            along = [1] * len(shape)
            along[d] = n
            index.append(np.arange(n, dtype=np.int32).reshape(along))
    return IndexUpdateRef(arr, tuple(index)).set(broadcast_to(values, full), mode=mode)
