"""How many samples lie where: counts and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.errors import ConcretizationTypeError
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import reductions, ufuncs
from fornax.numpy.creation import asarray, full
from fornax.numpy.promotion import (
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
    scalar,
)
from fornax.numpy.ranges import linspace
from fornax.numpy.selection import where
from fornax.numpy.shaping import ravel, reshape
from fornax.numpy.sorting import searchsorted
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["bincount", "histogram", "histogram2d", "histogram_bin_edges", "histogramdd"]


def bincount(x, weights=None, minlength=0, *, length=None, out_sharding=None):
    """How often each of 0, 1, … occurs in x, or the sum of the weights where it does.

    length: how many to count, needed under transformations; negative numbers count as 0.
    """
    check("bincount", x)
    x = asarray(concrete_form(x))
    if not (dtypes.is_integer(typeof(x).dtype) or typeof(x).dtype == dtypes.bool_):
        raise TypeError(
            located(
                f"x argument to bincount must have an integer type; got {typeof(x).dtype}",
                attempt="x.astype(int), or numpy.histogram for floats",
            )
        )
    if typeof(x).ndim != 1:
        raise ValueError(located("only 1-dimensional input supported.", attempt="x.ravel()"))
    minlength = static_integer(minlength, "minlength")
    if minlength < 0:
        raise ValueError(
            located("'minlength' must not be negative", attempt="minlength=0, the default")
        )
    if length is None:
        if isinstance(x, Tracer):
            raise x._refuse(
                ConcretizationTypeError, "The length argument of bincount must be given",
                "bincount(x, length=n), n being one more than the largest number to count",
            )  # fmt: skip
        largest = int(reductions.max(x)) + 1 if typeof(x).size else 0
        length = max(minlength, largest)
    else:
        length = max(static_integer(length, "length"), 0)
    x = ufuncs.maximum(as_dtype(x, dtypes.canonical(int)), 0)
    if weights is None:
        weights = full(typeof(x).shape, 1, dtypes.canonical(int))
    else:
        check("bincount", weights)
        weights = asarray(weights)
        if typeof(weights).shape != typeof(x).shape:
            raise ValueError(
                located(
                    "shape of weights must match shape of x.",
                    attempt="one weight for each element of x",
                )
            )
    return full((length,), 0, typeof(weights).dtype).at[x].add(weights, mode="drop")


def _concrete_range(low: Any, high: Any) -> tuple[Any, Any]:
    empty = ufuncs.equal(low, high)
    return where(empty, ufuncs.subtract(low, 0.5), low), where(empty, ufuncs.add(high, 0.5), high)


def histogram_bin_edges(a, bins=10, range=None, weights=None):
    """The edges of `bins` equal bins over `range` (the extremes of a), or `bins` if an array.

    Raises ValueError for the range of an array without elements.
    """
    del weights  # of no consequence: only equal bins and given ones are supported
    if isinstance(bins, str):
        raise NotImplementedError(
            located(
                "histogram_bin_edges: string values for `bins` are not supported",
                attempt="bins=10, or the edges as an array",
            )
        )
    check("histogram_bin_edges", a, *([] if isinstance(bins, Sequence) else [bins]))
    (a,) = promote_inexact(concrete_form(a))
    a = asarray(a)
    dtype = typeof(a).dtype
    bins = asarray(bins)
    if typeof(bins).ndim == 1:
        return as_dtype(bins, dtype)
    count = static_integer(bins, "bins")
    if range is None:
        low, high = reductions.min(a), reductions.max(a)
    else:
        low, high = (range[0], range[1])
    low, high = _concrete_range(as_dtype(asarray(low), dtype), as_dtype(asarray(high), dtype))
    return linspace(low, high, count + 1, dtype=dtype)


def histogram(a, bins=10, range=None, weights=None, density=None):
    """(counts per bin, edges). The last bin includes its right edge; others count outside."""
    if weights is None:
        check("histogram", a)
        (a,) = promote_inexact(concrete_form(a))
        weights = full(typeof(a).shape, 1, typeof(a).dtype)
    else:
        check("histogram", a, weights)
        if typeof(a).shape != typeof(weights).shape:
            raise ValueError(
                located(
                    "weights should have the same shape as a.",
                    attempt="numpy.broadcast_to(weights, a.shape)",
                )
            )
        a, weights = promote_inexact(concrete_form(a), concrete_form(weights))
    a, weights = ravel(a), ravel(weights)
    edges = histogram_bin_edges(a, bins, range)
    n = typeof(edges).shape[0]
    place = searchsorted(edges, a, side="right")
    place = where(ufuncs.equal(a, edges[-1]), n - 1, place)
    counts = full((n,), 0, typeof(weights).dtype).at[place].add(weights, mode="drop")[1:]
    if density:
        width = ufuncs.subtract(edges[1:], edges[:-1])
        counts = ufuncs.divide(ufuncs.divide(counts, width), reductions.sum(counts))
    return counts, edges


def histogram2d(x, y, bins=10, range=None, weights=None, density=None):
    """(counts, edges along x, edges along y) of points in the plane."""
    check("histogram2d", x, y)
    if (
        not isinstance(bins, Sequence | int)
        and np.ndim(bins) == 1
        or (isinstance(bins, Sequence) and len(bins) not in (1, 2))
    ):
        bins = [asarray(bins)] * 2
    points = asarray([ravel(v) for v in promote_dtypes(asarray(x), asarray(y))]).T
    counts, edges = histogramdd(points, bins, range, weights, density)
    return counts, edges[0], edges[1]


def histogramdd(sample, bins=10, range=None, weights=None, density=None):
    """(counts, list of edges) of the points in the rows of `sample`."""
    check("histogramdd", sample)
    (sample,) = promote_inexact(concrete_form(sample))
    sample = asarray(sample)
    if typeof(sample).ndim != 2:
        raise ValueError(
            located(
                f"histogramdd: sample must have two dimensions, got {typeof(sample).ndim}",
                attempt="sample of shape (points, dimensions); x[:, None] for one dimension",
            )
        )
    n, rank = typeof(sample).shape
    if weights is not None and typeof(asarray(weights)).shape != (n,):
        raise ValueError(
            located(
                "weights should have one element per point.",
                attempt="one weight for each row of the sample",
            )
        )
    per_axis = list(bins) if isinstance(bins, Sequence) else [bins] * rank
    if len(per_axis) != rank:
        raise ValueError(
            located(
                "The dimension of bins must be equal to the dimension of the sample.",
                attempt="one entry of bins for each column of the sample",
            )
        )
    if range is not None and len(range) != rank:
        raise ValueError(
            located(
                f"Expected {rank} ranges, got {len(range)}",
                attempt="one (low, high) for each column of the sample",
            )
        )
    edges, flat = [], scalar(0, dtypes.canonical(int))
    sizes = []
    for k, count in enumerate(per_axis):
        column = sample[:, k]
        edge = histogram_bin_edges(column, count, None if range is None else range[k])
        m = typeof(edge).shape[0]
        place = searchsorted(edge, column, side="right")
        place = where(ufuncs.equal(column, edge[-1]), m - 1, place)
        flat = ufuncs.add(ufuncs.multiply(flat, m + 1), place)
        sizes.append(m + 1)
        edges.append(edge)
    counts = bincount(flat, weights, length=int(np.prod(sizes)))
    counts = reshape(counts, sizes)[(slice(1, -1),) * rank]
    if density:
        counts = ufuncs.divide(counts, reductions.sum(counts))
        for k, edge in enumerate(edges):
            width = ufuncs.subtract(edge[1:], edge[:-1])
            counts = ufuncs.divide(
                counts, reshape(width, [-1 if d == k else 1 for d in _count(rank)])
            )
    return counts, edges


def _count(n: int) -> list[int]:
    return np.arange(n).tolist()  # `range` is a parameter of histograms
