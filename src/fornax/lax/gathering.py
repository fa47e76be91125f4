"""gather and the scatter family: many slices at places given by an array of indices.

Functions of `lax` do not promote dtypes. `GatherScatterMode` says what happens out of bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim
from fornax.ir.static import static_integers
from fornax.ir.types import ArrayType, typeof
from fornax.lax.shapes import canonical_axis
from fornax.lax.slicing import normalized_index
from fornax.primitives import gather as _gather
from fornax.primitives import scatter as _scatter
from fornax.primitives.concatenate import concatenate
from fornax.primitives.shape import reshape
from fornax.primitives.windows import (
    FILL_OR_DROP,
    PROMISE_IN_BOUNDS,
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    fill_constant,
)
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.stage import stage

__all__ = [
    "GatherDimensionNumbers",
    "GatherScatterMode",
    "ScatterDimensionNumbers",
    "gather",
    "index_take",
    "scatter",
    "scatter_add",
    "scatter_apply",
    "scatter_max",
    "scatter_min",
    "scatter_mul",
    "scatter_sub",
]


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
) -> Any:
    """Slices of `operand` at places given by index vectors.

    Args:
      operand: array.
      start_indices: integer array; its last dimension holds one index vector.
      dimension_numbers: which dimension is which, see `GatherDimensionNumbers`.
      slice_sizes: the size of a slice, per operand dimension.
      unique_indices, indices_are_sorted: promises that may make it faster.
      mode: what to do with slices that are not inside, see `GatherScatterMode`; None promises
        that there are none.
      fill_value: what "fill" reads out of bounds; None for NaN, the least integer, the largest
        unsigned integer, or True.
    """
    parsed = PROMISE_IN_BOUNDS if mode is None else GatherScatterMode.from_any(mode)
    if parsed is FILL_OR_DROP and fill_value is not None:
        fill_value = _static_scalar(fill_value, typeof(operand).dtype)
    elif parsed is not FILL_OR_DROP:
        fill_value = None
    numbers = _numbers(GatherDimensionNumbers, dimension_numbers)
    sizes = static_integers(slice_sizes, "slice_sizes")
    return _gather.gather(
        operand, start_indices, numbers, sizes, parsed, fill_value, unique_indices,
        indices_are_sorted,
    )  # fmt: skip


def _integers(values: Sequence[int]) -> tuple[int, ...]:
    return static_integers(values, "dimension_numbers")


def _numbers(kind: type, given: Any) -> Any:
    """`given` as dimension numbers of a kind, their fields as tuples of integers."""
    if not isinstance(given, kind | tuple) or len(given) > len(kind._fields):
        raise TypeError(
            located(
                f"dimension_numbers: a {kind.__name__} is needed, got {given!r:.80}",
                "it says which dimension of which operand is which",
                f"lax.{kind.__name__}({', '.join(f'{name}=...' for name in kind._fields)})",
            )
        )
    return kind(*map(_integers, given))


def _static_scalar(value: Any, dtype: Any) -> Any:
    """A fill value as a Python scalar; NaN as None where that means the same."""
    scalar = fill_constant(dtype, np.asarray(value)).item()
    return None if scalar != scalar and not isinstance(scalar, complex) else scalar


def _scatter_with(
    primitive: Any, operand: Any, indices: Any, updates: Any, numbers: Any,
    indices_are_sorted: bool, unique_indices: bool, mode: Any, **program: Any,
) -> Any:  # fmt: skip
    return _scatter.scatter(
        primitive, operand, indices, updates, _numbers(ScatterDimensionNumbers, numbers),
        GatherScatterMode.from_any(mode), unique_indices, indices_are_sorted, **program,
    )  # fmt: skip


def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """`operand` with windows at index vectors replaced by `updates`; the last one wins.

    Args:
      operand: array.
      scatter_indices: integer array; its last dimension holds one index vector.
      updates: array of the operand's dtype.
      dimension_numbers: which dimension is which, see `ScatterDimensionNumbers`.
      indices_are_sorted, unique_indices: promises that may make it faster.
      mode: what to do with windows that are not inside: "drop" (the default), "clip", …
    """
    return _scatter_with(
        _scatter.scatter_p, operand, scatter_indices, updates, dimension_numbers,
        indices_are_sorted, unique_indices, mode,
    )  # fmt: skip


def scatter_add(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Like `scatter`, but adds the updates to what is there."""
    return _scatter_with(
        _scatter.scatter_add_p, operand, scatter_indices, updates, dimension_numbers,
        indices_are_sorted, unique_indices, mode,
    )  # fmt: skip


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Like `scatter`, but subtracts the updates from what is there."""
    return _scatter_with(
        _scatter.scatter_sub_p, operand, scatter_indices, updates, dimension_numbers,
        indices_are_sorted, unique_indices, mode,
    )  # fmt: skip


def scatter_mul(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Like `scatter`, but multiplies. Differentiable only with `unique_indices`."""
    return _scatter_with(
        _scatter.scatter_mul_p, operand, scatter_indices, updates, dimension_numbers,
        indices_are_sorted, unique_indices, mode,
    )  # fmt: skip


def scatter_min(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Like `scatter`, but keeps the smaller value."""
    return _scatter_with(
        _scatter.scatter_min_p, operand, scatter_indices, updates, dimension_numbers,
        indices_are_sorted, unique_indices, mode,
    )  # fmt: skip


def scatter_max(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Like `scatter`, but keeps the larger value."""
    return _scatter_with(
        _scatter.scatter_max_p, operand, scatter_indices, updates, dimension_numbers,
        indices_are_sorted, unique_indices, mode,
    )  # fmt: skip


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Sequence[int] = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Like `scatter`, but stores `func` of what is there; repeated indices apply it repeatedly.

    Args:
      func: from a scalar to a scalar of the operand's dtype. It must not close over traced values.
      update_shape: the shape that updates would have.

    Not differentiable.
    """
    type = ArrayType((), typeof(operand).dtype)
    program = stage(lambda old, _: [func(old)], [type, type], getattr(func, "__name__", ""))
    if program.consts:
        raise NotImplementedError(
            located(
                "scatter_apply: func must not close over arrays",
                attempt="give the array as part of the updates, or close over a number",
            )
        )
    (out,) = program.out_types
    if out.shape or out.dtype != type.dtype:
        raise TypeError(
            located(
                f"scatter_apply: func must give {type.short()} for {type.short()}, it gives "
                f"{out.short()}",
                attempt=f"astype({type.dtype.name!r}) on the result of func",
            )
        )
    updates = broadcast_in_dim(np.zeros((), type.dtype)[()], _integers(update_shape), ())
    return _scatter_with(
        _scatter.scatter_p, operand, scatter_indices, updates, dimension_numbers,
        indices_are_sorted, unique_indices, mode, update_jaxpr=program,
    )  # fmt: skip


def index_take(src: Any, idxs: Sequence[Any], axes: Sequence[int]) -> Any:
    """Slices of size 1 along `axes` at places given by vectors, one per axis; they come first."""
    shape = typeof(src).shape
    axes = tuple(canonical_axis(a, len(shape)) for a in axes)
    if len(idxs) != len(axes) or not axes or any(typeof(i).ndim != 1 for i in idxs):
        raise TypeError(
            located(
                f"index_take: one vector of indices for each axis is needed, got {len(idxs)} for "
                f"axes {axes}",
                attempt="one entry in idxs for each of axes",
            )
        )
    count = typeof(idxs[0]).shape[0]
    columns = [
        reshape(normalized_index(i, shape[a], dtypes.int32), (count, 1))
        for i, a in zip(idxs, axes, strict=True)
    ]
    lengths = [1 if d in axes else n for d, n in enumerate(shape)]
    numbers = GatherDimensionNumbers(
        tuple(range(1, len(shape) - len(axes) + 1)), tuple(sorted(axes)), axes
    )
    return gather(src, concatenate(columns, 1), numbers, lengths)
