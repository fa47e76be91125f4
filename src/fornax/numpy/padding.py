"""pad: an array with a border, in NumPy's modes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fornax.api.vmap import vmap
from fornax.ir.primitive import REGISTRY
from fornax.ir.static import static_integer, static_integers
from fornax.ir.types import typeof
from fornax.numpy import moments, reductions, ufuncs
from fornax.numpy.creation import asarray
from fornax.numpy.indexing import take
from fornax.numpy.joining import concatenate
from fornax.numpy.promotion import as_dtype, check, concrete_form, scalar
from fornax.numpy.quantiles import median
from fornax.numpy.ranges import linspace
from fornax.numpy.shaping import broadcast_to, moveaxis
from fornax.primitives import pad as _pad  # noqa: F401  (fill the registry)
from fornax.primitives.slice import slice_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["pad"]

#: mode -> the keywords that it takes
_KEYWORDS = {
    "constant": {"constant_values"},
    "edge": set(),
    "empty": set(),
    "linear_ramp": {"end_values"},
    "maximum": {"stat_length"},
    "mean": {"stat_length"},
    "median": {"stat_length"},
    "minimum": {"stat_length"},
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
    "wrap": set(),
}
_STATISTICS = {
    "maximum": reductions.max, "mean": moments.mean, "median": median,
    "minimum": reductions.min,
}  # fmt: skip


def pad(array, pad_width, mode="constant", **kwargs):
    """`array` with a border of `pad_width` elements before and after each dimension.

    pad_width: a number, (before, after), or one such pair per dimension; or a dict from dimension
    to either. mode: 'constant' (`constant_values`), 'edge', 'empty' (zeros), 'linear_ramp'
    (`end_values`), 'maximum', 'mean', 'median', 'minimum' (`stat_length`), 'reflect', 'symmetric'
    (`reflect_type`), 'wrap', or a function (row, (before, after), axis, kwargs) -> row.
    Raises NotImplementedError for other modes, ValueError for widths or keywords that do not fit.
    """
    check("pad", array)
    array = asarray(concrete_form(array))
    rank = typeof(array).ndim
    if isinstance(pad_width, dict):
        axes = static_integers(pad_width, "an axis of pad_width")
        chosen = {k % max(rank, 1): v for k, v in zip(axes, pad_width.values(), strict=True)}
        pad_width = [chosen.get(k, (0, 0)) for k in range(rank)]
        pad_width = [(w, w) if np.ndim(w) == 0 else tuple(w) for w in pad_width]
    widths = _pairs(pad_width, rank, "pad_width", partial(static_integer, what="pad_width"))
    if any(w < 0 for pair in widths for w in pair):
        raise ValueError(
            located(
                "index can't contain negative values: pad_width must not be negative",
                attempt="x[n:-n] to cut, or lax.pad, which takes negative widths",
            )
        )
    if callable(mode):
        return _by_function(array, widths, mode, kwargs)
    if mode not in _KEYWORDS:
        raise NotImplementedError(
            located(
                f"Unimplemented padding mode {mode!r}: use one of {[*_KEYWORDS]}",
                attempt="one of these, or a function (mode=...) that fills the padding",
            )
        )
    unknown = set(kwargs) - _KEYWORDS[mode]
    if unknown:
        raise ValueError(
            located(
                f"Unsupported keyword arguments for mode {mode!r}: {sorted(unknown)}",
                attempt=f"leave them out; {mode!r} takes {sorted(_KEYWORDS[mode])}",
            )
        )
    if mode in ("constant", "empty"):
        return _constant(array, widths, kwargs.get("constant_values", 0))
    if mode == "linear_ramp":
        return _ramp(array, widths, kwargs.get("end_values", 0))
    if mode in _STATISTICS:
        return _statistic(array, widths, _STATISTICS[mode], kwargs.get("stat_length"))
    return _repeated(array, widths, mode, kwargs.get("reflect_type", "even"))


def _pairs(value: Any, rank: int, name: str, convert: Callable) -> list[tuple[Any, Any]]:
    """One (before, after) per dimension from a number, a pair, or pairs."""
    if not isinstance(value, list | tuple | np.ndarray):
        single = convert(value)
        return [(single, single)] * rank
    rows = [v if isinstance(v, list | tuple | np.ndarray) else None for v in value]
    if all(row is None for row in rows):
        ends = [convert(v) for v in value]
        if len(ends) in (1, 2):
            return [(ends[0], ends[-1])] * rank
    elif all(row is not None and len(row) in (1, 2) for row in rows):
        pairs = [(convert(row[0]), convert(row[-1])) for row in rows]
        if len(pairs) == rank:
            return pairs
        if len(pairs) == 1:
            return pairs * rank
    raise ValueError(
        located(
            f"pad: {name} must be a number, (before, after), or one such pair for each of the "
            f"{rank} dimensions, got {value!r}",
            attempt="pad(x, ((1, 1), (2, 2))): a pair for each dimension",
        )
    )


def _constant(x: Any, widths: list, values: Any) -> Any:
    dtype = typeof(x).dtype
    if hasattr(values, "shape") and values.shape:
        values = broadcast_to(values, (len(widths), 2))
        values = [(values[k, 0], values[k, 1]) for k in range(len(widths))]
    fills = _pairs(values, len(widths), "constant_values", lambda v: as_dtype(v, dtype))
    operation = REGISTRY["pad"]
    first = [fill for pair in fills for fill in pair]
    if all(fill is first[0] or _same(fill, first[0]) for fill in first):
        config = tuple((low, high, 0) for low, high in widths)
        fill = first[0] if first else scalar(0, dtype)
        return operation.bind(x, fill, padding_config=config)[0]
    for axis, ((low, high), (before, after)) in enumerate(zip(widths, fills, strict=True)):
        for end, fill in (((low, 0, 0), before), ((0, high, 0), after)):
            config = tuple(end if k == axis else (0, 0, 0) for k in range(len(widths)))
            x = operation.bind(x, fill, padding_config=config)[0]
    return x


def _same(a: Any, b: Any) -> bool:
    return isinstance(a, np.generic) and isinstance(b, np.generic) and a == b


def _part(x: Any, axis: int, start: int, stop: int) -> Any:
    full = typeof(x).shape
    starts = tuple(start if k == axis else 0 for k in range(len(full)))
    stops = tuple(stop if k == axis else n for k, n in enumerate(full))
    return slice_p.bind(x, start_indices=starts, limit_indices=stops, strides=None)[0]


def _wide(x: Any, axis: int, n: int) -> Any:
    return broadcast_to(x, [n if k == axis else m for k, m in enumerate(typeof(x).shape)])


def _join(before: Any, x: Any, after: Any, axis: int) -> Any:
    parts = [p for p in (before, x, after) if typeof(p).shape[axis]]
    return concatenate(parts, axis) if len(parts) > 1 else x


def _rounded(x: Any, dtype: Any) -> Any:
    if not dtypes.is_inexact(dtype) and dtypes.is_inexact(typeof(x).dtype):
        x = ufuncs.rint(x)
    return as_dtype(x, dtype)


def _ramp(x: Any, widths: list, ends: Any) -> Any:
    dtype = typeof(x).dtype
    ends = _pairs(ends, len(widths), "end_values", lambda v: v)
    for axis, ((low, high), (first, last)) in enumerate(zip(widths, ends, strict=True)):
        n = typeof(x).shape[axis]
        before = linspace(first, _part(x, axis, 0, 1), low, endpoint=False, dtype=dtype, axis=0)
        after = linspace(last, _part(x, axis, n - 1, n), high, endpoint=False, dtype=dtype, axis=0)
        before, after = (_squeezed(part, axis) for part in (before, after))
        x = _join(before, x, _reversed(after, axis), axis)
    return x


def _squeezed(part: Any, axis: int) -> Any:
    """linspace adds a leading dimension; the one of size 1 behind it makes room for it."""
    shape = list(typeof(part).shape)
    n = shape.pop(0)
    del shape[axis]
    flat = part.reshape((n, *shape))
    return moveaxis(flat, 0, axis)


def _reversed(x: Any, axis: int) -> Any:
    return REGISTRY["rev"].bind(x, dimensions=(axis,))[0]


def _statistic(x: Any, widths: list, statistic: Callable, length: Any) -> Any:
    lengths = [(None, None)] * len(widths)
    if length is not None:
        lengths = _pairs(
            length, len(widths), "stat_length", partial(static_integer, what="stat_length")
        )
    dtype = typeof(x).dtype
    for axis, ((low, high), counts) in enumerate(zip(widths, lengths, strict=True)):
        n = typeof(x).shape[axis]
        if 0 in counts and statistic in (reductions.max, reductions.min):
            raise ValueError(
                located(
                    "stat_length of 0 yields no value for padding",
                    attempt="stat_length of 1 or more, or None for the whole axis",
                )
            )
        first, last = (n if count is None else min(count, n) for count in counts)
        before = statistic(_part(x, axis, 0, first), axis, keepdims=True)
        after = statistic(_part(x, axis, n - last, n), axis, keepdims=True)
        before, after = (_rounded(v, dtype) for v in (before, after))
        x = _join(_wide(before, axis, low), x, _wide(after, axis, high), axis)
    return x


def _repeated(x: Any, widths: list, mode: str, kind: str) -> Any:
    """Modes that repeat elements: which ones, NumPy decides on the positions."""
    if kind not in ("even", "odd"):
        raise ValueError(
            located(
                f"pad: reflect_type must be 'even' or 'odd', got {kind!r}",
                attempt="reflect_type='even', the default",
            )
        )
    for axis, (low, high) in enumerate(widths):
        n = typeof(x).shape[axis]
        if not low and not high:
            continue
        if n == 0:
            raise ValueError(
                located(
                    f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'",
                    attempt="mode='constant', or an array with at least one element there",
                )
            )
        if kind == "odd" and mode != "wrap" and n > 1:
            x = _turned(x, axis, low, high, int(mode == "reflect"))
        else:
            before, after = _border(x, axis, low, high, mode)
            x = _join(before, x, after, axis)
    return x


def _border(x: Any, axis: int, low: int, high: int, mode: str) -> tuple[Any, Any]:
    """What lies before and after an array along an axis."""
    n = typeof(x).shape[axis]
    places = np.pad(np.arange(n), (low, high), mode=mode)
    return _taken(x, axis, places[:low]), _taken(x, axis, places[low + n :])


def _taken(x: Any, axis: int, places: np.ndarray) -> Any:
    """The elements at some places along an axis: as a slice, where they lie side by side."""
    if not len(places):
        return _part(x, axis, 0, 0)
    steps, first, last = set(np.diff(places).tolist()), int(places[0]), int(places[-1])
    if steps <= {1}:
        return _part(x, axis, first, last + 1)
    if steps == {-1}:
        return _reversed(_part(x, axis, last, first + 1), axis)
    if steps == {0}:
        return _wide(_part(x, axis, first, first + 1), axis, len(places))
    return take(x, places, axis, mode="clip")


def _turned(x: Any, axis: int, low: int, high: int, skipped: int) -> Any:
    """Odd reflections, each turning what is there about its edges; `skipped`: edge elements."""
    while low or high:
        n = typeof(x).shape[axis]
        first, last = min(low, n - skipped), min(high, n - skipped)
        before = _reversed(_part(x, axis, skipped, skipped + first), axis)
        after = _reversed(_part(x, axis, n - skipped - last, n - skipped), axis)
        before = ufuncs.subtract(ufuncs.multiply(2, _part(x, axis, 0, 1)), before)
        after = ufuncs.subtract(ufuncs.multiply(2, _part(x, axis, n - 1, n)), after)
        x = _join(before, x, after, axis)
        low, high = low - first, high - last
    return x


def _by_function(x: Any, widths: list, function: Callable, kwargs: dict) -> Any:
    x = _constant(x, widths, 0)
    for axis, pair in enumerate(widths):

        def row_function(row, pair=pair, axis=axis):
            return function(row, pair, axis, kwargs)

        rows = moveaxis(x, axis, -1)
        for _ in range(typeof(x).ndim - 1):
            row_function = vmap(row_function)
        x = moveaxis(row_function(rows), -1, axis)
    return x
