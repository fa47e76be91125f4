"""Choosing, ordering and comparing elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.errors import ConcretizationTypeError
from fornax.ir.primitive import REGISTRY
from fornax.ir.requested import requested
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import reductions, ufuncs
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import array, asarray, full
from fornax.numpy.indexing import take
from fornax.numpy.joining import concatenate, stack
from fornax.numpy.promotion import (
    align,
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
    scalar,
)
from fornax.numpy.shaping import broadcast_arrays, broadcast_to, ravel, reshape
from fornax.primitives import iota as _iota
from fornax.primitives import sort as _sort  # noqa: F401  (fill the registry)
from fornax.primitives.composite import optimization_barrier_p
from fornax.primitives.select import where as select_where
from fornax.primitives.sort import sort_p
from fornax.primitives.true_positions import true_positions, true_positions_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "allclose", "argsort", "argwhere", "array_equal", "array_equiv", "choose", "clip", "compress",
    "diff", "digitize", "extract", "flatnonzero", "isclose", "isin", "nan_to_num", "nonzero",
    "searchsorted", "select", "sort", "sort_complex", "where",
]  # fmt: skip


@eager(static="size fill_value")
def where(condition, x=None, y=None, /, *, size=None, fill_value=None):
    """x where `condition` is true, else y; with the condition alone, `nonzero(condition)`."""
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise TypeError(
            located(
                "Either both or neither of the x and y arguments should be provided to where",
                attempt="where(condition, x, y), or where(condition) for the positions",
            )
        )
    check("where", condition, x, y)
    condition, x, y = concrete_form(condition), concrete_form(x), concrete_form(y)
    if typeof(condition).dtype != dtypes.bool_:
        condition = ufuncs.not_equal(condition, 0)
    x, y = promote_dtypes(x, y)
    shapes = [s for s in (typeof(v).shape for v in (condition, x, y)) if s]
    if len(set(shapes)) == 1 and typeof(x).shape == typeof(y).shape:
        return select_where(condition, asarray(x), asarray(y))
    condition, x, y = broadcast_arrays(condition, x, y)
    return select_where(condition, x, y)


@eager
def select(condlist, choicelist, default=0):
    """The choice of the first condition that is true, else `default`."""
    if len(condlist) != len(choicelist):
        raise ValueError(
            located(
                f"condlist must have length equal to choicelist ({len(condlist)} vs "
                f"{len(choicelist)})",
                attempt="one choice for each condition, and default= for the rest",
            )
        )
    if not condlist:
        raise ValueError(
            located(
                "condlist must be non-empty",
                attempt="at least one condition; full_like for a constant",
            )
        )
    choices = promote_dtypes(*choicelist, default)
    result = choices[-1]
    for condition, choice in zip(reversed(condlist), reversed(choices[:-1]), strict=True):
        result = where(condition, choice, result)
    return result


@eager
def clip(arr=None, /, min=None, max=None):
    """Every element limited to [min, max]; either may be None."""
    if arr is None:
        raise ValueError(
            located(
                "At most one of a_min and a_max may be None",
                attempt="clip(x, lowest, highest), or minimum or maximum for one bound",
            )
        )
    check("clip", arr)
    if any(dtypes.is_complex(typeof(v).dtype) for v in (arr, min, max) if v is not None):
        raise ValueError(
            located(
                "Clip received a complex value: complex numbers have no order",
                attempt="clip x.real and x.imag, each by itself",
            )
        )
    result = asarray(concrete_form(arr))
    if min is not None:
        result = ufuncs.maximum(min, result)
    if max is not None:
        result = ufuncs.minimum(max, result)
    return result


@eager(static="copy")
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """NaN replaced by `nan`, infinities by the largest finite numbers."""
    check("nan_to_num", x)
    x = asarray(concrete_form(x))
    dtype = typeof(x).dtype
    if not dtypes.is_inexact(dtype):
        return x
    if dtypes.is_complex(dtype):
        parts = [
            nan_to_num(part, copy, nan, posinf, neginf) for part in (ufuncs.real(x), ufuncs.imag(x))
        ]
        return REGISTRY["complex"].bind(*parts)[0]
    limits = dtypes.finfo(dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    x = where(ufuncs.isnan(x), as_dtype(nan, dtype), x)
    x = where(ufuncs.isposinf(x), as_dtype(high, dtype), x)
    return where(ufuncs.isneginf(x), as_dtype(low, dtype), x)


# --- places of elements -----------------------------------------------------------------------
def _mask(name: str, condition: Any) -> Any:
    check(name, condition)
    condition = asarray(concrete_form(condition))
    return condition if typeof(condition).dtype == dtypes.bool_ else ufuncs.not_equal(condition, 0)


def nonzero(a, *, size=None, fill_value=None):
    """The indices of the elements that are not zero, one array per dimension.

    Their number depends on the values: under a transformation give `size`, the length of the
    result; missing places are filled with `fill_value` (0).
    """
    mask = _mask("nonzero", a)
    shape = typeof(mask).shape
    if not shape:
        raise ValueError(
            located(
                "Calling nonzero on 0d arrays is not allowed. Use atleast_1d(a).nonzero()",
                attempt="numpy.atleast_1d(x).nonzero()",
            )
        )
    index = dtypes.canonical(int)
    if isinstance(mask, Tracer) and size is None:
        raise mask._refuse(
            ConcretizationTypeError, "The size argument of nonzero must be statically specified",
            "nonzero(x, size=n, fill_value=...), or where(condition, x, y)",
        )  # fmt: skip
    if not isinstance(mask, Tracer) and not isinstance(size, Tracer):
        places = true_positions(mask.numpy_view())
        count = len(places[0])
        if size is None:
            return tuple(array(p.astype(index, copy=False)) for p in places)
        fills = _fills(fill_value, len(shape))
        results = []
        for place, fill in zip(places, fills, strict=True):
            out = np.full((size,), fill, index)
            out[: min(size, count)] = place[:size]
            results.append(array(out))
        return tuple(results)
    size = static_integer(size, "size")
    flat = reshape(mask, (-1,))
    wanted = _iota.iota(index, (size,), 0)
    found, total = true_positions_p.bind(flat, wanted=size, index_dtype=index)
    present = ufuncs.less(wanted, total)
    results = []
    step = 1
    for extent, fill in zip(reversed(shape), reversed(_fills(fill_value, len(shape))), strict=True):
        place = ufuncs.remainder(ufuncs.floor_divide(found, step), max(extent, 1))
        results.append(where(present, as_dtype(place, index), scalar(int(fill), index)))
        step *= max(extent, 1)
    return tuple(reversed(results))


def _fills(fill_value: Any, rank: int) -> list[int]:
    if fill_value is None:
        return [0] * rank
    if isinstance(fill_value, Sequence):
        return [int(v) for v in fill_value]
    return [int(fill_value)] * rank


def flatnonzero(a, *, size=None, fill_value=None):
    """The indices into the flattened array of the elements that are not zero."""
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a, *, size=None, fill_value=None):
    """The indices of the elements that are not zero, one row each."""
    if not typeof(concrete_form(a)).shape:
        places = nonzero(reshape(a, (1,)), size=size, fill_value=fill_value)
        return stack(places, axis=1)[:, :0]
    places = nonzero(a, size=size, fill_value=fill_value)
    return stack(places, axis=1)


def compress(condition, a, axis=None, *, size=None, fill_value=0, out=None):
    """The slices along `axis` where the 1-D `condition` is true, which counts as false behind its
    end.

    size: how many, filled up with fill_value. Raises ValueError for a condition of another rank, or
    true behind the end of the axis, and a size larger than that of both.
    """
    check("compress", condition, a, fill_value)
    condition, a = asarray(concrete_form(condition)), asarray(concrete_form(a))
    if typeof(condition).ndim != 1:
        raise ValueError(
            located("condition must be a 1D array", attempt="condition.ravel(), or where")
        )
    if axis is None:
        a, axis = ravel(a), 0
    axis = canonical_axis(axis, typeof(a).ndim)
    n = min(typeof(a).shape[axis], typeof(condition).shape[0])
    condition, extra = condition[:n], condition[n:]
    if size is None and typeof(extra).size and reductions.any(extra):
        raise ValueError(
            located(
                "condition contains entries that are out of bounds",
                f"the axis has {typeof(a).shape[axis]} elements",
                "condition[:n] for an axis of size n",
            )
        )
    if size is not None and not 0 <= size <= n:
        raise ValueError(
            located(
                "size must be positive and not greater than the size of the array axis; got "
                f"{size=} for a.shape[axis]={n}",
                attempt=f"a size from 0 to {n}",
            )
        )
    places = flatnonzero(condition, size=size)
    result = take(a, places, axis)
    if size is None:
        return result
    count = reductions.sum(_mask("compress", condition))
    rank = typeof(result).ndim
    axis = canonical_axis(axis, rank)
    present = ufuncs.less(_iota.iota(dtypes.canonical(int), typeof(result).shape, axis), count)
    return where(present, result, as_dtype(fill_value, typeof(result).dtype))


def compress_method(a, condition, axis=None, out=None):
    """The slices along `axis` where the 1-D `condition` is true."""
    return compress(condition, a, axis, out=out)


def extract(condition, arr, *, size=None, fill_value=0):
    """The elements where `condition` is true, in one dimension."""
    return compress(ravel(condition), arr, size=size, fill_value=fill_value)


def choose(a, choices, out=None, mode="raise"):
    """choices[a] element by element. mode: 'raise' (concrete only), 'wrap' or 'clip'."""
    n = len(choices)
    a, *arrays = broadcast_arrays(a, *promote_dtypes(*choices))
    if mode == "raise":
        if isinstance(a, Tracer):
            raise a._refuse(
                ConcretizationTypeError,
                "choose with mode='raise' checks that the indices are in range",
                "mode='clip' or mode='wrap'",
            )
        values = a.numpy_view()
        if ((values < 0) | (values >= n)).any():
            raise ValueError(
                located(
                    "invalid entry in choice array",
                    attempt="mode='clip' or 'wrap', or more choices",
                )
            )
    elif mode == "wrap":
        a = ufuncs.remainder(a, n)
    a = clip(a, 0, n - 1)
    result = arrays[0]
    for k in range(1, n):
        result = where(ufuncs.equal(a, k), arrays[k], result)
    return result


# --- order ------------------------------------------------------------------------------------
@eager(static="axis kind order stable descending")
def sort(a, axis=-1, *, kind=None, order=None, stable=True, descending=False):
    """The elements in ascending order along `axis` (of the flattened array for None).

    Raises TypeError for NumPy's `kind` and `order`.
    """
    check("sort", a)
    _check_order("sort", kind, order)
    a = asarray(concrete_form(a))
    if axis is None:
        a, axis = ravel(a), 0
    axis = canonical_axis(axis, typeof(a).ndim)
    (result,) = sort_p.bind(a, dimension=axis, is_stable=bool(stable), num_keys=1)
    return _reversed(result, axis) if descending else result


def _check_order(name: str, kind: Any, order: Any) -> None:
    """Raise TypeError for the ways to sort that only NumPy has."""
    if kind is not None:
        raise TypeError(
            located(
                f"'kind' argument to {name} is not supported.",
                attempt="stable=True or stable=False",
            )
        )
    if order is not None:
        raise TypeError(
            located(
                f"'order' argument to {name} is not supported.",
                "it names fields, which arrays do not have",
                "numpy.lexsort, for several keys",
            )
        )


def _reversed(x: Any, axis: int) -> Any:
    return REGISTRY["rev"].bind(x, dimensions=(axis,))[0]


@eager(static="axis kind order stable descending dtype")
def argsort(a, axis=-1, *, kind=None, order=None, stable=True, descending=False, dtype=None):
    """The indices that sort the array along `axis`, as integers of `dtype`.

    stable: of equal elements the earlier comes first. Otherwise it does in ascending order, and
    comes last in descending order. Raises TypeError for NumPy's `kind` and `order`.
    """
    check("argsort", a)
    _check_order("argsort", kind, order)
    a = asarray(concrete_form(a))
    if axis is None:
        a, axis = ravel(a), 0
    axis = canonical_axis(axis, typeof(a).ndim)
    if descending and stable:
        a = _reversed(a, axis)
    index = _iota.iota(dtypes.canonical(int), typeof(a).shape, axis)
    _, places = sort_p.bind(a, index, dimension=axis, is_stable=bool(stable), num_keys=1)
    if descending:
        places = _reversed(places, axis)
        if stable:
            places = ufuncs.subtract(typeof(a).shape[axis] - 1, places)
    return places if dtype is None else as_dtype(places, requested(dtype))


def sort_complex(a):
    """Sorted along the last dimension, as complex numbers."""
    a = sort(a)
    return as_dtype(a, dtypes.complex_dtype(typeof(a).dtype))


@eager(static="side method")
def searchsorted(a, v, side="left", sorter=None, *, method="scan"):
    """Where to insert `v` into the sorted 1-D array `a` to keep it sorted."""
    check("searchsorted", a, v)
    if side not in ("left", "right"):
        raise ValueError(
            located(
                f"{side!r} is an invalid value for argument 'side': 'left' or 'right'",
                attempt="side='left', the default",
            )
        )
    a, v = promote_dtypes(concrete_form(a), concrete_form(v))
    a, v = asarray(a), asarray(v)
    if typeof(a).ndim != 1:
        raise ValueError(
            located(
                "a should be 1-dimensional",
                attempt="vmap(numpy.searchsorted) for several sorted arrays, or a.ravel()",
            )
        )
    if sorter is not None:
        a = take(a, sorter)
    n = typeof(a).shape[0]
    index = dtypes.canonical(int)
    shape = typeof(v).shape
    if n == 0:
        return full(shape, 0, index)
    # Halving a large array would jump about in it: the middles lie far apart, and many of them in
    # the same places of the caches. Every 32nd element, side by side, says which 32 to look into.
    tables = [a]
    while typeof(tables[-1]).shape[0] > _TABLE:
        chosen = tables[-1][_BLOCK - 1 :: _BLOCK]
        tables.append(optimization_barrier_p.bind(chosen)[0])
    top = tables.pop()
    n = typeof(top).shape[0]
    low = _halve(top, v, side, full(shape, 0, index), full(shape, n, index), n)
    for table in reversed(tables):
        low = ufuncs.multiply(low, _BLOCK)
        high = ufuncs.minimum(ufuncs.add(low, _BLOCK), typeof(table).shape[0])
        low = _halve(table, v, side, low, high, _BLOCK)
    return low


#: longest table that `searchsorted` halves as a whole, and the part of longer ones that it does
_TABLE = 1024
_BLOCK = 32


def _halve(a: Any, v: Any, side: str, low: Any, high: Any, most: int) -> Any:
    """Where to insert `v` into `a`, known to be in [low, high], which is at most so long."""
    for _ in range(most.bit_length()):
        middle = ufuncs.floor_divide(ufuncs.add(low, high), 2)
        pivot = take(a, middle, mode="clip")
        before = _before(pivot, v, side)
        open_ = ufuncs.less(low, high)
        low, high = (
            where(ufuncs.logical_and(open_, before), ufuncs.add(middle, 1), low),
            where(ufuncs.logical_and(open_, ufuncs.logical_not(before)), middle, high),
        )
    return low


def _before(pivot: Any, v: Any, side: str) -> Any:
    """Whether v belongs behind pivot; NaN is larger than every number."""
    if side == "left":
        result = ufuncs.less(pivot, v)
        if dtypes.is_inexact(typeof(v).dtype):
            nan = ufuncs.logical_and(ufuncs.isnan(v), ufuncs.logical_not(ufuncs.isnan(pivot)))
            result = ufuncs.logical_or(result, nan)
        return result
    result = ufuncs.less_equal(pivot, v)
    if dtypes.is_inexact(typeof(v).dtype):
        result = ufuncs.logical_or(result, ufuncs.isnan(v))
    return result


@eager(static="right method")
def digitize(x, bins, right=False, *, method=None):
    """The number of the bin that each element of x falls into."""
    bins = asarray(bins)
    if typeof(bins).ndim != 1:
        raise ValueError(
            located(
                f"digitize: bins must be a 1-dimensional array; got {bins.shape}",
                attempt="bins.ravel(), sorted",
            )
        )
    side = "left" if right else "right"
    n = typeof(bins).shape[0]
    if n == 0:
        return full(typeof(asarray(x)).shape, 0, dtypes.canonical(int))
    rising = searchsorted(bins, x, side)
    flipped = _reversed(bins, 0)
    falling = ufuncs.subtract(n, searchsorted(flipped, x, "right" if right else "left"))
    return where(ufuncs.greater_equal(bins[-1], bins[0]), rising, falling)


@eager(static="n axis")
def diff(a, n=1, axis=-1, prepend=None, append=None):
    """Differences of neighbours along `axis`, taken n times."""
    check("diff", a)
    a = asarray(concrete_form(a))
    if n < 0:
        raise ValueError(
            located(
                f"order must be non-negative but got {n}",
                attempt="n=0 for x itself; cumsum for the other way",
            )
        )
    if not typeof(a).shape:
        raise ValueError(
            located(
                f"diff requires input that is at least one dimensional; got {a}",
                attempt="numpy.atleast_1d(a)",
            )
        )
    axis = canonical_axis(axis, typeof(a).ndim)

    def edge(x):
        x = asarray(x)
        if not typeof(x).shape:
            x = broadcast_to(x, [1 if k == axis else m for k, m in enumerate(typeof(a).shape)])
        return x

    ends = [edge(x) if x is not None else None for x in (prepend, append)]
    parts = [p for p in (ends[0], a, ends[1]) if p is not None]
    if len(parts) > 1:
        a = concatenate(parts, axis)
    for _ in range(n):
        m = typeof(a).shape[axis]
        before = tuple(
            slice(None, m - 1) if k == axis else slice(None) for k in range(typeof(a).ndim)
        )
        behind = tuple(slice(1, None) if k == axis else slice(None) for k in range(typeof(a).ndim))
        change = ufuncs.not_equal if typeof(a).dtype == dtypes.bool_ else ufuncs.subtract
        a = change(a[behind], a[before])
    return a


# --- comparison -------------------------------------------------------------------------------
@eager(static="equal_nan")
def isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """|a - b| <= atol + rtol |b|, element by element; equal infinities are close."""
    check("isclose", a, b)
    a, b = align(*promote_dtypes(concrete_form(a), concrete_form(b)))
    dtype = typeof(a).dtype
    if not dtypes.is_inexact(dtype):
        a, b = promote_inexact(a, b)
        dtype = typeof(a).dtype
    real = dtypes.real_dtype(dtype)
    bound = ufuncs.add(
        as_dtype(atol, real), ufuncs.multiply(as_dtype(rtol, real), ufuncs.absolute(b))
    )
    close = ufuncs.less_equal(ufuncs.absolute(ufuncs.subtract(a, b)), bound)
    finite = ufuncs.logical_and(ufuncs.isfinite(a), ufuncs.isfinite(b))
    result = ufuncs.logical_or(ufuncs.logical_and(close, finite), ufuncs.equal(a, b))
    if equal_nan:
        both = ufuncs.logical_and(ufuncs.isnan(a), ufuncs.isnan(b))
        result = ufuncs.logical_or(result, both)
    return result


@eager(static="equal_nan")
def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close."""
    return reductions.all(isclose(a, b, rtol, atol, equal_nan))


@eager(static="equal_nan")
def array_equal(a1, a2, equal_nan=False):
    """Whether the shapes and all elements are equal."""
    try:
        a1, a2 = asarray(a1), asarray(a2)
    except TypeError:
        return array(False)
    if typeof(a1).shape != typeof(a2).shape:
        return array(False)
    same = ufuncs.equal(a1, a2)
    if equal_nan:
        same = ufuncs.logical_or(same, ufuncs.logical_and(ufuncs.isnan(a1), ufuncs.isnan(a2)))
    return reductions.all(same)


def array_equiv(a1, a2):
    """Whether the arrays broadcast to one another and all elements are equal."""
    try:
        return reductions.all(ufuncs.equal(a1, a2))
    except ValueError:
        return array(False)


@eager(static="assume_unique invert method")
def isin(element, test_elements, assume_unique=False, invert=False, *, method="auto"):
    """Whether each element is among `test_elements`."""
    check("isin", element, test_elements)
    element, tests = (asarray(x) for x in promote_dtypes(asarray(element), asarray(test_elements)))
    column = reshape(element, (*typeof(element).shape, 1))
    found = reductions.any(ufuncs.equal(column, ravel(tests)), -1)
    return ufuncs.logical_not(found) if invert else found
