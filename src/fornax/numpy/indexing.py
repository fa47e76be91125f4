"""Reading at an index: x[...], take, take_along_axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import _native, settings
from fornax.api.eager import eager
from fornax.ir.basis import broadcast_in_dim, zeros
from fornax.ir.trace import Tracer, current
from fornax.ir.types import typeof
from fornax.lax.shapes import canonical_axis
from fornax.lax.slicing import normalized_index
from fornax.numpy import ufuncs
from fornax.numpy.dynamic_slices import Windows, chosen, has_windows
from fornax.numpy.index_plan import Plan, Point, Points, Range, plan_of
from fornax.numpy.promotion import broadcast_shapes, check, concrete_form
from fornax.primitives.concatenate import concatenate
from fornax.primitives.dynamic_slice import dynamic_slice
from fornax.primitives.gather import gather
from fornax.primitives.shape import expand_dims, reshape, rev, squeeze
from fornax.primitives.slice import slice_
from fornax.primitives.windows import (
    CLIP,
    FILL_OR_DROP,
    ONE_HOT,
    PROMISE_IN_BOUNDS,
    GatherDimensionNumbers,
    GatherScatterMode,
    fill_constant,
)
from fornax.runtime.transfers import check_callers
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["take", "take_along_axis"]

Array = _native.Array
_from_numpy = _native.from_numpy
#: index arrays longer than this go to an operation, which may be compiled
_SMALL = 1 << 14


# --- concrete arrays at concrete places: NumPy knows how ----------------------------------------
_BASIC = frozenset((int, type(None), type(Ellipsis), bool))


def numpy_index(index: Any) -> Any:
    """An index expression in NumPy's terms; NotImplemented if it holds anything but small concrete
    arrays, integers, slices of integers, None and Ellipsis."""
    kind = type(index)
    if kind in _BASIC:
        return index
    if kind is slice:
        for v in (index.start, index.stop, index.step):
            if v is not None and type(v) is not int:
                return NotImplemented
        return index
    if kind is Array:
        index = index.numpy_view()
    if kind is Array or kind is np.ndarray:
        plain = index.dtype.kind in "iub" and index.size <= _SMALL
        return index if plain and (index.ndim or index.dtype.kind != "b") else NotImplemented
    if kind is tuple:
        items = tuple(map(numpy_index, index))
        return NotImplemented if any(i is NotImplemented for i in items) else items
    return NotImplemented


def rewriting_take(
    x: Any,
    index: Any,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
    wrap_negative_indices: bool = True,
) -> Any:
    """x[index], for any index expression of NumPy.

    Args:
      x: array.
      index: integers, slices, None, Ellipsis, integer or boolean arrays, or a tuple of those.
      indices_are_sorted, unique_indices: promises of the caller.
      mode: what reading out of bounds gives: by default and for "clip" the nearest element, for
        "fill" the fill value.
      fill_value: for mode "fill"; None for NaN, the least integer, the largest unsigned one.
      wrap_negative_indices: whether negative indices count from the end.

    Raises IndexError or TypeError for an index that does not fit, NonConcreteBooleanIndexError for
    a traced boolean mask.
    """
    if settings.guarding:
        check_callers(index if type(index) is tuple else (index,))
    if mode is None and type(x) is Array and current() is None and wrap_negative_indices:
        plain = numpy_index(index)
        if plain is not NotImplemented:
            try:
                return _from_numpy(x.numpy_view()[plain], x.weak_type, True)
            except IndexError:
                pass  # out of bounds, which is allowed here, or an error to explain
    parsed = PROMISE_IN_BOUNDS if mode is None else GatherScatterMode.from_any(mode)
    if has_windows(index):
        windows = Windows(x, index, wrap_negative_indices)
        part = rewriting_take(
            windows.part, windows.index, indices_are_sorted, unique_indices, mode, fill_value,
            wrap_negative_indices,
        )  # fmt: skip
        if parsed not in (FILL_OR_DROP, ONE_HOT):
            return part
        found = typeof(part)
        filler = fill_constant(found.dtype, 0 if parsed is ONE_HOT else fill_value)
        return chosen(windows.inside, part, broadcast_in_dim(filler, found.shape, ()))
    plan = plan_of(typeof(x).shape, index)
    return read(
        x, plan, parsed, fill_value, wrap_negative_indices, unique_indices, indices_are_sorted
    )


# --- following a plan ---------------------------------------------------------------------------
def read(
    x: Any,
    plan: Plan,
    mode: GatherScatterMode,
    fill_value: Any = None,
    wrap: bool = True,
    unique: bool = False,
    are_sorted: bool = False,
) -> Any:
    """The elements of `x` that a plan addresses, laid out as the plan says."""
    fills = mode in (FILL_OR_DROP, ONE_HOT)
    if 0 in plan.result_shape():  # so that indices into an empty dimension do no harm
        return zeros(typeof(x).update(shape=plan.result_shape()))
    x = expand_dims(x, plan.new_axes)
    shape = typeof(x).shape
    # ranges and static points become a slice; those that may be outside and are not to be clipped
    # stay for gather
    entries: list[Any] = list(plan.entries)
    starts, limits, steps = [0] * len(shape), list(shape), [1] * len(shape)
    backwards, gone = [], []
    for d, (entry, n) in enumerate(zip(plan.entries, shape, strict=True)):
        if isinstance(entry, Range):
            first = entry.start if entry.step > 0 else entry.start + (entry.size - 1) * entry.step
            starts[d], steps[d] = first, abs(entry.step)
            limits[d] = first + max(entry.size - 1, 0) * steps[d] + min(entry.size, 1)
            if entry.step < 0:
                backwards.append(d)
        elif isinstance(entry, Point) and isinstance(entry.value, int):
            place = entry.value + n if wrap and entry.value < 0 else entry.value
            if 0 <= place < n or (n and not fills):
                starts[d] = min(max(place, 0), n - 1)
                limits[d] = starts[d] + 1
                gone.append(d)
    x = squeeze(rev(slice_(x, starts, limits, steps), backwards), gone)
    left = [d for d in range(len(shape)) if d not in gone]
    number = {d: k for k, d in enumerate(left)}
    indexed = [d for d in left if not isinstance(entries[d], Range)]
    layout = [p if p is None or p == "points" else number[p] for p in plan.layout]
    values = [entries[d].value for d in indexed]
    dims = [number[d] for d in indexed]
    if indexed and all(isinstance(entries[d], Point) for d in indexed) and not fills:
        x = _at_points(x, dims, values, wrap)
    elif indexed:
        x = _gathered(x, dims, values, plan, layout, mode, fill_value, wrap, unique, are_sorted)
    return _with_new_dimensions(x, plan, layout)


def _with_new_dimensions(x: Any, plan: Plan, layout: Sequence[Any]) -> Any:
    places, k = [], 0
    for place in layout:
        if place is None:
            places.append(k)
        k += len(plan.points_shape) if place == "points" else 1
    return expand_dims(x, places)


def _at_points(x: Any, dims: Sequence[int], values: Sequence[Any], wrap: bool) -> Any:
    """One element along each of `dims`, at traced places that are clipped."""
    shape = typeof(x).shape
    dtype = index_dtype(shape, values)
    starts: list[Any] = [dtype.type(0)] * len(shape)
    lengths = list(shape)
    for d, value in zip(dims, values, strict=True):
        starts[d] = normalized_index(value, shape[d], dtype, wrap)
        lengths[d] = 1
    return squeeze(dynamic_slice(x, starts, lengths), dims)


def _gathered(
    x: Any, dims: Sequence[int], values: Sequence[Any], plan: Plan, layout: Sequence[Any],
    mode: GatherScatterMode, fill_value: Any, wrap: bool, unique: bool, are_sorted: bool,
) -> Any:  # fmt: skip
    """`x` read at index arrays along `dims`, whole along the others."""
    type = typeof(x)
    batch = plan.points_shape
    without_new = [p for p in layout if p is not None]
    first = without_new.index("points") if "points" in without_new else 0
    rank = len(batch) + type.ndim - len(dims)
    offset_dims = tuple(d for d in range(rank) if not first <= d < first + len(batch))
    lengths = tuple(1 if d in dims else n for d, n in enumerate(type.shape))
    dtype = index_dtype(type.shape, values)
    columns = [
        normalized_index(v, type.shape[d], dtype, wrap) for d, v in zip(dims, values, strict=True)
    ]
    numbers = GatherDimensionNumbers(offset_dims, tuple(sorted(dims)), tuple(dims))
    single = not batch
    return gather(
        x, index_vectors(columns, batch), numbers, lengths, mode, _plain(fill_value, type.dtype),
        unique or single, are_sorted or single,
    )  # fmt: skip


def _plain(fill_value: Any, dtype: Any) -> Any:
    """A fill value as a hashable number; None stands for the default, so for NaN."""
    if fill_value is None:
        return None
    scalar = fill_constant(dtype, np.asarray(fill_value)).item()
    return None if scalar != scalar and dtypes.is_floating(dtype) else scalar


def index_dtype(shape: Sequence[int], values: Sequence[Any]) -> np.dtype:
    """The dtype that index arithmetic is done in: int32 unless something needs more."""
    wide = any(typeof(v).dtype.itemsize == 8 and not typeof(v).weak_type for v in values)
    return dtypes.int64 if wide or any(n >= 2**31 for n in shape) else dtypes.int32


def index_vectors(columns: Sequence[Any], batch: Sequence[int]) -> Any:
    """Index arrays that broadcast to `batch`, side by side along a new last dimension."""
    if all(isinstance(c, np.ndarray | np.generic) for c in columns):
        if len(columns) == 1:
            return np.broadcast_to(columns[0], batch)[..., None]
        return np.stack([np.broadcast_to(c, batch) for c in columns], axis=-1)
    last = []
    for column in columns:
        rank = typeof(column).ndim
        dims = range(len(batch) - rank, len(batch))
        last.append(broadcast_in_dim(column, (*batch, 1), tuple(dims)))
    return concatenate(last, len(batch))


# --- functions ----------------------------------------------------------------------------------
@eager(static="axis out mode unique_indices indices_are_sorted fill_value")
def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Any:
    """The elements of `a` at `indices` along `axis`.

    Args:
      a: array.
      indices: integer array of any shape.
      axis: None to take from all elements in row-major order.
      out: not supported.
      mode: out of bounds gives the fill value ("fill", the default), the nearest element ("clip",
        which does not count from the end) or indices modulo the size ("wrap").
      fill_value: None for NaN, the least integer, the largest unsigned one.
    """
    if out is not None:
        raise NotImplementedError(
            located(
                "The 'out' argument to jnp.take is not supported.", attempt="x = numpy.take(...)"
            )
        )
    check("take", a, indices)
    a, indices = concrete_form(a), concrete_form(indices)
    if axis is None:
        a, axis = reshape(a, (typeof(a).size,)), 0
    shape, positions = typeof(a).shape, typeof(indices)
    axis = canonical_axis(axis, len(shape))
    n = shape[axis]
    if mode == "raise":
        raise NotImplementedError(
            located(
                "The 'raise' mode to jnp.take is not supported.",
                attempt="mode='fill', which marks what is out of range by nan, or 'clip'",
            )
        )
    if mode not in (None, "fill", "clip", "wrap"):
        raise ValueError(
            located(f"Invalid mode '{mode}' for np.take", attempt="mode='fill', 'clip' or 'wrap'")
        )
    if not dtypes.is_integer(positions.dtype):
        raise ValueError(
            located("indices must have an integer type", attempt="indices.astype(int)")
        )
    if n == 0 and positions.size != 0:
        raise IndexError(
            located(
                "Cannot do a non-empty jnp.take() from an empty axis.",
                attempt="ask x.size first, or pad the axis to one element",
            )
        )
    if mode == "wrap" and n:
        indices = _modulo(indices, n)
    entries: list[Any] = [Range(0, size, 1) for size in shape]
    entries[axis] = Points(indices)
    layout: list[Any] = list(range(len(shape)))
    layout[axis] = "points"
    plan = Plan((), entries, layout, positions.shape)
    parsed = CLIP if mode in ("clip", "wrap") else FILL_OR_DROP
    return read(a, plan, parsed, fill_value, mode != "clip", unique_indices, indices_are_sorted)


def _modulo(indices: Any, n: int) -> Any:
    if not isinstance(indices, Tracer):
        return np.asarray(np.asarray(indices) % n, np.int32)
    return ufuncs.remainder(indices, n)


@eager(static="axis mode fill_value wrap_negative_indices")
def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
    *,
    wrap_negative_indices: bool | None = None,
) -> Any:
    """result[i, j, k] = arr[i, indices[i, j, k], k] for axis 1, and so on for others.

    Args:
      arr: array.
      indices: integer array of as many dimensions, which broadcast with those of `arr` except for
        `axis`.
      axis: None for a vector of indices into all elements in row-major order.
      mode: out of bounds gives the fill value ("fill", the default) or the nearest element.
      fill_value: None for NaN, the least integer, the largest unsigned one.
      wrap_negative_indices: whether negative indices count from the end; by default unless the mode
        promises that there are none.
    """
    check("take_along_axis", arr, indices)
    arr, indices = concrete_form(arr), concrete_form(indices)
    type, positions = typeof(arr), typeof(indices)
    if not dtypes.is_integer(positions.dtype):
        raise TypeError(
            located(
                "take_along_axis indices must be of integer type, got "
                f"{getattr(positions.dtype, 'name', positions.dtype)}",
                attempt="indices.astype(int), or numpy.argsort, which gives integers",
            )
        )
    if axis is None:
        if positions.ndim != 1:
            raise ValueError(
                located(
                    f"take_along_axis indices must be 1D if axis=None, got shape {positions.shape}",
                    attempt="indices.ravel(), or an axis",
                )
            )
        arr, axis = reshape(arr, (type.size,)), 0
        type = typeof(arr)
    axis = canonical_axis(axis, type.ndim)
    if positions.ndim != type.ndim:
        raise ValueError(
            located(
                "indices and arr must have the same number of dimensions; "
                f"{positions.ndim} vs. {type.ndim}",
                attempt="numpy.expand_dims(indices, axis), as argmax(..., keepdims=True) gives "
                "them",
            )
        )
    others = [d for d in range(type.ndim) if d != axis]
    shape = list(
        broadcast_shapes(
            tuple(n for d, n in enumerate(type.shape) if d != axis),
            tuple(n for d, n in enumerate(positions.shape) if d != axis),
        )
    )
    shape.insert(axis, positions.shape[axis])
    parsed = FILL_OR_DROP if mode is None else GatherScatterMode.from_any(mode)
    if 0 in shape or type.shape[axis] == 0:
        return zeros(type.update(shape=shape))
    whole = [d for d in others if positions.shape[d] == 1 and type.shape[d] != 1]
    together = [d for d in others if positions.shape[d] == type.shape[d] != 1]
    batch = [d for d in range(type.ndim) if d not in whole]
    wrap = parsed is not PROMISE_IN_BOUNDS
    if wrap_negative_indices is not None:
        wrap = wrap_negative_indices
    dtype = index_dtype(type.shape, [indices])
    column = normalized_index(indices, type.shape[axis], dtype, wrap)
    column = reshape(column, (*(positions.shape[d] for d in batch), 1))
    numbers = GatherDimensionNumbers(
        offset_dims=tuple(whole),
        collapsed_slice_dims=tuple(d for d in batch if d not in together),
        start_index_map=(axis,),
        operand_batching_dims=tuple(together),
        start_indices_batching_dims=tuple(batch.index(d) for d in together),
    )
    lengths = [n if d in whole else 1 for d, n in enumerate(type.shape)]
    return gather(arr, column, numbers, lengths, parsed, _plain(fill_value, type.dtype))
