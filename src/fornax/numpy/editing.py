"""Arrays with elements deleted, inserted, replaced, partly ordered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.primitive import REGISTRY
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.at import put_along_axis
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray, full
from fornax.numpy.indexing import take
from fornax.numpy.joining import concatenate
from fornax.numpy.promotion import as_dtype, check, concrete_form
from fornax.numpy.rearranging import resize
from fornax.numpy.selection import flatnonzero, where
from fornax.numpy.shaping import broadcast_to, moveaxis, ravel, reshape
from fornax.numpy.sorting import argsort, sort
from fornax.primitives.iota import iota
from fornax.primitives.sort import top_k_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["argpartition", "delete", "insert", "partition", "place", "put", "trim_zeros"]


def _line(name: str, arr: Any, axis: Any) -> tuple[Any, int]:
    check(name, arr)
    arr = asarray(concrete_form(arr))
    if axis is None:
        return ravel(arr), 0
    return arr, canonical_axis(axis, typeof(arr).ndim)


def _concrete(name: str, obj: Any) -> np.ndarray:
    if isinstance(obj, Tracer):
        static_integer(obj, "obj") if not typeof(obj).shape else np.asarray(obj)
    return np.asarray(obj)


def delete(arr, obj, axis=None, *, assume_unique_indices=False):
    """`arr` without the slices `obj` (index, slice, indices or mask) along `axis`.

    Several indices must be concrete, because the shape of the result depends on them, unless they
    are promised to be unique.
    """
    arr, axis = _line("delete", arr, axis)
    n = typeof(arr).shape[axis]
    if isinstance(obj, int):
        if not -n <= obj < n:
            raise ValueError(
                located(
                    f"delete: index {obj} is out of bounds for axis of size {n}",
                    attempt=f"indices from {-n} to {n - 1}",
                )
            )
        obj = int(obj)  # True is an index, too
    elif not isinstance(obj, slice):
        check("delete", arr, obj)
    if isinstance(obj, slice):
        keep = np.setdiff1d(np.arange(n), np.arange(n)[obj])
        return take(arr, keep, axis, mode="clip")
    if isinstance(obj, Tracer) and (not typeof(obj).shape or assume_unique_indices):
        gone = ravel(obj)
        gone = sort(where(ufuncs.less(gone, 0), ufuncs.add(gone, n), gone))
        count = typeof(gone).shape[0]
        places = iota(dtypes.canonical(int), (n - count,), 0)
        # the k-th index counts places that the k before it have emptied
        shifted = ufuncs.subtract(gone, np.arange(count))
        passed = ufuncs.greater_equal(reshape(places, (-1, 1)), reshape(shifted, (1, -1)))
        from_ = ufuncs.add(places, REGISTRY["reduce_sum"].bind(
            as_dtype(passed, dtypes.canonical(int)), axes=(1,))[0])  # fmt: skip
        return take(arr, from_, axis, mode="clip")
    gone = _concrete("delete", obj)
    if gone.dtype == bool:
        if gone.shape != (n,):
            raise ValueError(located("delete: for boolean indices, obj must be one-dimensional "
f"with length matching specified axis, {n}",
attempt=f"a mask of {n} booleans, or the positions as integers"))  # fmt: skip
        return take(arr, np.nonzero(~gone)[0], axis, mode="clip")
    if not np.issubdtype(gone.dtype, np.integer):
        raise ValueError(
            located(
                f"delete: indices must be integers or booleans, got {gone.dtype}",
                attempt="obj.astype(int)",
            )
        )
    gone = gone.astype(np.int64)
    if gone.size and (gone.min() < -n or gone.max() >= n):
        raise IndexError(
            located(
                f"delete: index {gone.tolist()} is out of bounds for axis of size {n}",
                attempt=f"indices from {-n} to {n - 1}",
            )
        )
    keep = np.setdiff1d(np.arange(n), gone % max(n, 1))
    return take(arr, keep, axis, mode="clip")


def insert(arr, obj, values, axis=None):
    """`arr` with `values` inserted before the indices `obj` along `axis`."""
    check("insert", arr, values)
    arr, axis = _line("insert", arr, axis)
    values = as_dtype(asarray(concrete_form(values)), typeof(arr).dtype)
    n = typeof(arr).shape[axis]
    if isinstance(obj, slice):
        obj = np.arange(n)[obj]
    if not isinstance(obj, Tracer):
        obj = np.asarray(obj)
        if obj.dtype == bool:
            obj = np.nonzero(obj)[0]
    single = not typeof(obj).shape
    values = _at_rank(values, typeof(arr).ndim)
    if single:  # NumPy: a lone index takes the first dimension of the values along the axis
        values = moveaxis(values, 0, axis)
    count = typeof(values).shape[axis] if single else max(
        typeof(obj).size, typeof(values).shape[axis] if typeof(obj).size == 1 else typeof(obj).size
    )  # fmt: skip
    shape = [count if k == axis else m for k, m in enumerate(typeof(arr).shape)]
    values = broadcast_to(values, shape)
    places = broadcast_to(ravel(obj), (count,)) if isinstance(obj, Tracer) else np.broadcast_to(
        np.ravel(obj), (count,)
    )  # fmt: skip
    total = n + count
    whole = moveaxis(arr, axis, 0)
    added = moveaxis(values, axis, 0)
    if isinstance(places, Tracer):
        places = ufuncs.minimum(
            ufuncs.maximum(where(ufuncs.less(places, 0), ufuncs.add(places, n), places), 0), n
        )
        order = argsort(places)
        rank = argsort(order)
        targets = ufuncs.add(places, rank)
        taken = broadcast_to(asarray(False), (total,)).at[targets].set(True)
        rest = flatnonzero(ufuncs.logical_not(taken), size=n)
        empty = broadcast_to(as_dtype(0, typeof(arr).dtype), (total, *typeof(whole).shape[1:]))
        return moveaxis(empty.at[rest].set(whole).at[targets].set(added), 0, axis)
    if count and (places.min() < -n or places.max() > n):
        raise IndexError(
            located(
                f"insert: index {places.tolist()} is out of bounds for axis of size {n}",
                attempt=f"indices from {-n} to {n}; {n} appends",
            )
        )
    places = np.where(places < 0, places + n, places)
    order = np.argsort(places, kind="stable")
    targets = np.empty(count, np.int64)
    targets[order] = places[order] + np.arange(count)
    source = np.empty(total, np.int64)
    taken = np.zeros(total, bool)
    taken[targets] = True
    source[targets] = n + np.arange(count)
    source[~taken] = np.arange(n)
    joined = REGISTRY["concatenate"].bind(whole, added, dimension=0)[0]
    return moveaxis(take(joined, source, 0, mode="clip"), 0, axis)


def _at_rank(x: Any, rank: int) -> Any:
    return (
        reshape(x, (1,) * (rank - typeof(x).ndim) + typeof(x).shape) if typeof(x).ndim < rank else x
    )


def put(a, ind, v, mode=None, *, inplace=True):
    """A copy of `a` with v at the flat indices `ind`; `inplace` must be False.

    v is repeated if it is too short. mode: 'clip' (default) or 'wrap' for indices out of bounds.
    """
    if inplace:
        raise ValueError(
            located("put cannot change its argument", why="arrays do not change",
                    attempt="pass inplace=False and use the result")
        )  # fmt: skip
    check("put", a, ind, v)
    a, ind, v = (asarray(concrete_form(x)) for x in (a, ind, v))
    if mode not in (None, "clip", "wrap"):
        raise NotImplementedError(
            located(
                f"put: mode must be None, 'clip' or 'wrap', got {mode!r}",
                attempt="mode='clip' or 'wrap'",
            )
        )
    n = typeof(a).size
    if not n or not typeof(ind).size or not typeof(v).size:
        return a
    ind = ravel(ind)
    count = typeof(ind).size
    v = resize(v, count) if typeof(v).size < count else ravel(v)[:count]
    if mode == "wrap":
        ind = ufuncs.remainder(ind, n)
    else:
        ind = ufuncs.minimum(ufuncs.maximum(ind, 0), n - 1)
    flat = ravel(a).at[ind].set(as_dtype(v, typeof(a).dtype), mode="drop")
    return reshape(flat, typeof(a).shape)


def place(arr, mask, vals, *, inplace=True):
    """A copy of `arr` with vals, in order, where mask is true; `inplace` must be False."""
    if inplace:
        raise ValueError(
            located("place cannot change its argument", why="arrays do not change",
                    attempt="pass inplace=False and use the result")
        )  # fmt: skip
    check("place", arr, mask, vals)
    arr, mask, vals = (asarray(concrete_form(x)) for x in (arr, mask, vals))
    if typeof(arr).size != typeof(mask).size:
        raise ValueError(
            located(
                "place: arr and mask must be the same size",
                attempt="numpy.broadcast_to(mask, arr.shape)",
            )
        )
    if not typeof(vals).size:
        raise ValueError(
            located(
                "place: Cannot place values from an empty array",
                attempt="at least one value, or skip the call where nothing is to be placed",
            )
        )
    mask = reshape(mask, typeof(arr).shape)
    if typeof(mask).dtype != dtypes.bool_:
        mask = ufuncs.not_equal(mask, 0)
    n = typeof(arr).size
    if not n:
        return arr
    rank = REGISTRY["cumsum"].bind(
        as_dtype(ravel(mask), dtypes.canonical(int)), axis=0, reverse=False
    )[0]
    chosen = take(
        ravel(vals), ufuncs.remainder(ufuncs.subtract(rank, 1), typeof(vals).size), mode="clip"
    )
    return where(mask, as_dtype(reshape(chosen, typeof(arr).shape), typeof(arr).dtype), arr)


def trim_zeros(filt, trim="fb", axis=None):
    """Without the zeros at the front ('f') and back ('b') along `axis` (all by default).

    Needs concrete values: the shape of the result depends on them.
    """
    filt = asarray(filt)
    values = np.asarray(filt)
    rank = values.ndim
    axes = range(rank) if axis is None else (
        [canonical_axis(k, rank) for k in axis] if isinstance(axis, Sequence) else
        [canonical_axis(axis, rank)]
    )  # fmt: skip
    for k in axes:
        others = tuple(d for d in range(rank) if d != k)
        used = np.nonzero((values != 0).any(others))[0]
        n = values.shape[k]
        low, high = (used[0], used[-1] + 1) if len(used) else (n, n)
        part = [slice(None)] * rank
        part[k] = slice(int(low) if "f" in trim else 0, int(high) if "b" in trim else n)
        if not len(used) and "f" not in trim:
            part[k] = slice(0, 0)
        filt, values = filt[tuple(part)], values[tuple(part)]
    return filt


# --- order ------------------------------------------------------------------------------------
def partition(a, kth, axis=-1):
    """The kth + 1 smallest elements in order along `axis`, then the others from the largest down.

    kth: an integer within the axis. Raises ValueError for one outside of it, NotImplementedError
    for complex arrays.
    """
    a, kth, axis = _partitioned("partition", a, kth, axis)
    bottom = ufuncs.negative(_smallest(a, kth + 1)[0])
    if dtypes.is_unsigned_integer(typeof(a).dtype):
        bottom = ufuncs.subtract(bottom, 1)
    top = top_k_p.bind(a, k=typeof(a).shape[-1] - kth - 1, axis=typeof(a).ndim - 1)[0]
    return moveaxis(concatenate([bottom, top], -1), -1, axis)


def argpartition(a, kth, axis=-1):
    """The indices of the kth + 1 smallest elements in order along `axis`, then the other indices.

    kth: an integer within the axis. Raises ValueError for one outside of it, NotImplementedError
    for complex arrays.
    """
    a, kth, axis = _partitioned("argpartition", a, kth, axis)
    bottom = _smallest(a, kth + 1)[1]
    others = put_along_axis(full(typeof(a).shape, 1.0), bottom, 0.0, -1, inplace=False)
    top = top_k_p.bind(others, k=typeof(a).shape[-1] - kth - 1, axis=typeof(a).ndim - 1)[1]
    return moveaxis(concatenate([bottom, top], -1), -1, axis)


def _partitioned(name: str, a: Any, kth: Any, axis: Any) -> tuple[Any, int, int]:
    """(the array with `axis` last, kth and axis counted from the front)."""
    check(name, a)
    a = asarray(concrete_form(a))
    if dtypes.is_complex(typeof(a).dtype):
        raise NotImplementedError(
            located(
                f"{name}: complex values are not supported",
                attempt=f"sort or argsort, or {name} of abs(x) or x.real",
            )
        )
    axis = canonical_axis(axis, typeof(a).ndim)
    n = typeof(a).shape[axis]
    kth = static_integer(kth, "kth")
    if not -n <= kth < n:
        raise ValueError(
            located(
                f"kth {kth} is out of bounds for axis of size {n}",
                attempt=f"kth from {-n} to {n - 1}",
            )
        )
    return moveaxis(a, axis, -1), kth + n if kth < 0 else kth, axis


def _smallest(a: Any, k: int) -> list[Any]:
    """(negated, their positions): the k smallest elements of the last dimension.

    Unsigned numbers are negated after adding one, which makes 0 the largest.
    """
    if dtypes.is_unsigned_integer(typeof(a).dtype):
        a = ufuncs.add(a, 1)
    return top_k_p.bind(ufuncs.negative(a), k=k, axis=typeof(a).ndim - 1)
