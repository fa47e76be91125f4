"""Order: elements sorted, and places in what is sorted."""

from __future__ import annotations

from typing import Any

from fornax.api.eager import eager
from fornax.ir.primitive import REGISTRY
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray, full
from fornax.numpy.indexing import take
from fornax.numpy.promotion import (
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
)
from fornax.numpy.selection import where
from fornax.numpy.shaping import ravel
from fornax.primitives.composite import optimization_barrier_p
from fornax.primitives.iota import iota
from fornax.primitives.sort import sort_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["argsort", "digitize", "lexsort", "searchsorted", "sort", "sort_complex"]


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
    index = iota(dtypes.canonical(int), typeof(a).shape, axis)
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


def lexsort(keys, axis=-1):
    """The indices that sort by several keys, the last of them first."""
    keys = [asarray(k) for k in keys]
    if not keys:
        raise TypeError(
            located(
                "need sequence of keys with len > 0 in lexsort",
                attempt="lexsort((least_important, most_important))",
            )
        )
    if len({typeof(k).shape for k in keys}) > 1:
        raise ValueError(
            located(
                "all keys need to be the same shape", attempt="numpy.broadcast_arrays(*keys) first"
            )
        )
    shape = typeof(keys[0]).shape
    index = dtypes.canonical(int)
    if not shape:
        return as_dtype(asarray(0), index)
    axis = canonical_axis(axis, len(shape))
    *_, places = sort_p.bind(
        *reversed(keys),
        iota(index, shape, axis),
        dimension=axis,
        is_stable=True,
        num_keys=len(keys),
    )
    return places
