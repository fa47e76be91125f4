"""An array with values written at an index, or combined with those there: what `x.at[…]` does."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from fornax import _native, settings
from fornax.ir.primitive import Primitive
from fornax.ir.trace import Tracer, current
from fornax.ir.types import typeof
from fornax.lax.slicing import normalized_index
from fornax.numpy import creation
from fornax.numpy.dynamic_slices import Windows, has_windows
from fornax.numpy.index_plan import Plan, Point, Points, Range, plan_of
from fornax.numpy.indexing import index_dtype, index_vectors, numpy_index
from fornax.numpy.promotion import as_dtype, broadcast_to, concrete_form, is_arraylike, joint_dtype
from fornax.primitives.convert import convert_element_type
from fornax.primitives.dynamic_slice import dynamic_update_slice
from fornax.primitives.elementwise import add_p, max_p, min_p, mul_p, sub_p
from fornax.primitives.scatter import (
    scatter,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
    scatter_sub_p,
)
from fornax.primitives.shape import expand_dims, reshape, rev
from fornax.primitives.slice import slice_
from fornax.primitives.windows import CLIP, GatherScatterMode, ScatterDimensionNumbers
from fornax.runtime.transfers import check_callers
from fornax.scalars import dtypes
from fornax.source import located


class Place:
    """Where a plan writes, in the terms of scatter."""

    def __init__(self, x: Any, plan: Plan, wrap: bool):
        self.shape = typeof(x).shape
        self.plan = plan
        self.operand = expand_dims(x, plan.new_axes)
        shape = typeof(self.operand).shape
        batch: list[int] = []  # sizes of the dimensions of the index array
        window: list[int] = []  # which dimensions of the updates run inside a window
        # operand dimension -> (index component, where its last dimension ends in `batch`)
        columns: dict[int, tuple[Any, int]] = {}
        rank = 0  # of the updates
        #: dimensions of the updates that run against the order of the operand
        self.backwards: list[int] = []
        self.update_shape: tuple[int, ...] = ()
        for place in plan.layout:
            if place is None:
                continue
            if place == "points":
                for d, entry in enumerate(plan.entries):
                    if isinstance(entry, Points):
                        columns[d] = (entry.value, len(batch) + len(plan.points_shape))
                batch.extend(plan.points_shape)
                self.update_shape += plan.points_shape
                rank += len(plan.points_shape)
                continue
            entry = plan.entries[place]
            if abs(entry.step) == 1:
                first = entry.start if entry.step > 0 else entry.start - entry.size + 1
                if entry.size != shape[place]:
                    columns[place] = (np.int32(first), 0)
                if entry.step < 0:
                    self.backwards.append(rank)
                window.append(rank)
            else:
                steps = entry.start + entry.step * np.arange(entry.size)
                batch.append(entry.size)
                columns[place] = (steps.astype(np.int32), len(batch))
            self.update_shape += (entry.size,)
            rank += 1
        for d, entry in enumerate(plan.entries):
            if isinstance(entry, Point):
                columns[d] = (entry.value, 0)
        dims = sorted(columns)
        values = [columns[d][0] for d in dims]
        dtype = index_dtype(shape, values)
        aligned = []
        for d, value in zip(dims, values, strict=True):
            column = normalized_index(value, shape[d], dtype, wrap)
            behind = len(batch) - columns[d][1]
            if typeof(column).shape and behind:
                column = reshape(column, (*typeof(column).shape, *[1] * behind))
            aligned.append(column)
        #: whether there is one index vector only, so that no two updates meet
        self.single = not batch
        self.indices = index_vectors(aligned, batch) if aligned else np.zeros((*batch, 0), np.int32)
        inserted = tuple(
            d for d, e in enumerate(plan.entries)
            if not isinstance(e, Range) or abs(e.step) != 1
        )  # fmt: skip
        self.numbers = ScatterDimensionNumbers(tuple(window), inserted, tuple(dims))

    def updates(self, values: Any) -> Any:
        """Values of the shape of the result, as updates."""
        return rev(reshape(values, self.update_shape), self.backwards)

    def finish(self, x: Any) -> Any:
        return reshape(x, self.shape)


def updated(
    x: Any,
    index: Any,
    values: Any,
    primitive: Any,
    are_sorted: bool,
    unique: bool,
    mode: Any,
    wrap: bool,
) -> Any:
    """`x` with `values` combined into x[index]."""
    parsed = GatherScatterMode.from_any(mode)
    if settings.guarding:
        check_callers((values,))
    values = concrete_form(values)
    if type(x) is _native.Array and parsed is not CLIP and wrap and current() is None:
        result = _updated_eagerly(x, index, values, _NUMPY[primitive])
        if result is not None:
            return result
    if has_windows(index):
        windows = Windows(x, index, False)  # JAX does not count from the end in writes
        part = updated(
            windows.part, windows.index, values, primitive, are_sorted, unique, mode, wrap
        )
        return windows.written(part, parsed is CLIP)
    x_type = typeof(x)
    plan = plan_of(x_type.shape, index)
    if not is_arraylike(values):
        values = creation.asarray(values)
    dtype, _ = joint_dtype(x_type, typeof(values))
    if dtype != x_type.dtype:
        warnings.warn(
            "scatter inputs have incompatible types: cannot safely cast value from "
            f"dtype={dtypes.short_name(typeof(values).dtype)} to "
            f"dtype={dtypes.short_name(x_type.dtype)}. In a future release this will result in an "
            "error.",
            FutureWarning,
            stacklevel=3,
        )
    values = as_dtype(values, dtype)
    shape = plan.result_shape()
    if len(typeof(values).shape) > len(shape):
        raise ValueError(
            located(
                "Cannot broadcast to shape with fewer dimensions: "
                f"arr_shape={typeof(values).shape} shape={shape}",
                attempt=f"sum or squeeze the values down to at most {len(shape)} dimensions",
            )
        )
    values = broadcast_to(values, shape)
    operand = x if dtype == x_type.dtype else convert_element_type(x, dtype, False)
    if primitive is scatter_p or _is_large(operand, values):
        result = _set_block(operand, plan, values, parsed, wrap, _COMBINED[primitive])
        if result is not None:
            return _as_before(result, x_type)
    place = Place(operand, plan, wrap)
    result = scatter(
        primitive, place.operand, place.indices, place.updates(values), place.numbers, parsed,
        unique or place.single, are_sorted or place.single,
    )  # fmt: skip
    return _as_before(place.finish(result), x_type)


#: the NumPy function of each operation
_NUMPY = {
    scatter_p: None, scatter_add_p: np.add, scatter_sub_p: np.subtract,
    scatter_mul_p: np.multiply, scatter_min_p: np.minimum, scatter_max_p: np.maximum,
}  # fmt: skip
#: and what combines a block with values
_COMBINED = {
    scatter_p: None, scatter_add_p: add_p, scatter_sub_p: sub_p, scatter_mul_p: mul_p,
    scatter_min_p: min_p, scatter_max_p: max_p,
}  # fmt: skip
#: of a larger share of the array, a block is combined with values and written
_SHARE = 4
#: arrays larger than this are left to operations, which may be compiled
_SMALL = 1 << 18


def _updated_eagerly(x: Any, index: Any, values: Any, combine: np.ufunc | None) -> Any:
    """The update through NumPy; None if anything about it is out of the ordinary."""
    plain = numpy_index(index)
    if plain is NotImplemented or x.size > _SMALL or not is_arraylike(values):
        return None
    if isinstance(values, Tracer) or (combine is not None and x.dtype == np.bool_):
        return None
    dtype, _ = joint_dtype(x.aval, typeof(values))
    if dtype != x.dtype:
        return None
    given = np.asarray(as_dtype(values, dtype))
    result = np.array(x.numpy_view())
    try:
        if given.ndim > np.ndim(result[plain]):
            return None
        if combine is None:
            result[plain] = given
        else:
            combine.at(result, plain, given)
    except (IndexError, ValueError):
        return None
    return _native.from_numpy(result, x.weak_type)


def _as_before(result: Any, type: Any) -> Any:
    now = typeof(result)
    if now.dtype == type.dtype and now.weak_type == type.weak_type:
        return result
    return convert_element_type(result, type.dtype, type.weak_type)


def _is_large(x: Any, values: Any) -> bool:
    """Whether an update of an array of numbers touches so much of it that the result is rather a
    new array than the old one changed in a few places."""
    shapes = typeof(x).shape, typeof(values).shape
    return typeof(x).dtype != np.bool_ and _SHARE * math.prod(shapes[1]) > math.prod(shapes[0])


def _set_block(
    x: Any,
    plan: Plan,
    values: Any,
    mode: GatherScatterMode,
    wrap: bool,
    combined: Primitive | None,
) -> Any:
    """Writing to static positions that form a block, as a dynamic_update_slice; else None."""
    shape = typeof(x).shape
    starts, lengths, backwards = [], [], []
    for d, (entry, n) in enumerate(zip(plan.entries, shape, strict=False)):
        if isinstance(entry, Range):
            if abs(entry.step) != 1:
                return None
            starts.append(entry.start if entry.step > 0 else entry.start - entry.size + 1)
            lengths.append(entry.size)
            if entry.step < 0:
                backwards.append(d)
        elif isinstance(entry, Point) and isinstance(entry.value, int):
            place = entry.value + n if wrap and entry.value < 0 else entry.value
            if not 0 <= place < n and mode is not CLIP:
                return x
            starts.append(min(max(place, 0), n - 1))
            lengths.append(1)
        else:
            return None
    if 0 in lengths:
        return x
    block = rev(reshape(values, lengths), backwards)
    if combined is not None:
        ends = [start + length for start, length in zip(starts, lengths, strict=True)]
        (block,) = combined.bind(slice_(x, starts, ends), block)
    if tuple(lengths) == shape:
        return block if isinstance(block, _native.Array | Tracer) else creation.asarray(block)
    return dynamic_update_slice(x, block, [np.int32(s) for s in starts])
