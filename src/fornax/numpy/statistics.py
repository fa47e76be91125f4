"""Statistics of samples: quantiles, covariances, counts and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.errors import ConcretizationTypeError
from fornax.ir.primitive import REGISTRY
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import reductions, ufuncs
from fornax.numpy.creation import asarray, full, linspace
from fornax.numpy.indexing import take_along_axis
from fornax.numpy.matrices import diag
from fornax.numpy.products import dot
from fornax.numpy.promotion import (
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
    scalar,
)
from fornax.numpy.reductions import canonical_axes
from fornax.numpy.selection import searchsorted, where
from fornax.numpy.shaping import (
    atleast_2d,
    broadcast_to,
    concatenate,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
)  # fmt: skip
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "bincount", "corrcoef", "cov", "histogram", "histogram2d", "histogram_bin_edges",
    "histogramdd", "median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile",
]  # fmt: skip

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf")


# --- quantiles --------------------------------------------------------------------------------
def quantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """The values below which the parts q (in [0, 1]) of the elements over `axis` lie.

    q: number or 1-D array, whose dimension comes first in the result. method: 'linear', 'lower',
    'higher', 'midpoint', 'nearest'; 'inverted_cdf' with `weights`. NaN gives NaN.
    """
    return _quantile("quantile", a, q, axis, out, overwrite_input, method, keepdims, weights, False)


def nanquantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """`quantile` of the elements that are numbers."""
    return _quantile(
        "nanquantile", a, q, axis, out, overwrite_input, method, keepdims, weights, True
    )


def percentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None, out_sharding=None,
):  # fmt: skip
    """`quantile` with q in percent."""
    check("percentile", a, q)
    part = ufuncs.divide(promote_inexact(concrete_form(q))[0], 100)
    return quantile(a, part, axis, out, overwrite_input, method, keepdims, weights=weights)


def nanpercentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """`nanquantile` with q in percent."""
    check("nanpercentile", a, q)
    part = ufuncs.divide(promote_inexact(concrete_form(q))[0], 100)
    return nanquantile(a, part, axis, out, overwrite_input, method, keepdims, weights=weights)


@eager(static="axis out overwrite_input keepdims")
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The middle element in sorted order over `axis`, the mean of two for an even count."""
    check("median", a)
    return quantile(a, 0.5, axis, out, overwrite_input, keepdims=keepdims, method="midpoint")


@eager(static="axis out overwrite_input keepdims")
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The median of the elements that are numbers."""
    check("nanmedian", a)
    return nanquantile(a, 0.5, axis, out, overwrite_input, keepdims=keepdims, method="midpoint")


def _quantile(name, a, q, axis, out, overwrite, method, keepdims, weights, skip_nan):
    check(name, a, q)
    if overwrite or out is not None:
        raise ValueError(
            located(
                f"{name}: 'out' and overwrite_input are not supported: arrays do not change",
                attempt=f"x = {name}(...)",
            )
        )
    if method not in _METHODS:
        raise ValueError(
            located(
                f"{name}: method must be one of {', '.join(_METHODS)}, got {method!r}",
                attempt="method='linear', the default",
            )
        )
    if weights is not None and method != "inverted_cdf":
        raise ValueError(
            located(
                f"{name}: weights need method='inverted_cdf', got {method!r}",
                attempt="method='inverted_cdf'",
            )
        )
    (a,) = promote_inexact(concrete_form(a))
    a, _ = promote_inexact(a, concrete_form(q))
    a = asarray(a)
    dtype = typeof(a).dtype
    if dtypes.is_complex(dtype):
        raise ValueError(
            located(
                f"{name}: complex numbers have no order", attempt=f"{name} of abs(x), or of x.real"
            )
        )
    wide = dtypes.float32 if dtype.itemsize < 4 else dtype
    a, q = as_dtype(a, wide), as_dtype(asarray(concrete_form(q)), wide)
    q_shape = typeof(q).shape
    if len(q_shape) > 1:
        raise ValueError(
            located(
                f"q must be have rank <= 1, got shape {q_shape}",
                attempt="q.ravel(), and reshape the result",
            )
        )
    shape = typeof(a).shape
    axes = canonical_axes(axis, len(shape))
    kept = [n for k, n in enumerate(shape) if k not in axes]
    count = int(np.prod([shape[k] for k in axes]))

    def last(x):
        return reshape(moveaxis(x, axes, range(len(kept), len(shape))), (*kept, count))

    x = last(a)
    q = reshape(q, (*q_shape, *(1,) * len(kept)))
    if count == 0:
        result = full((*q_shape, *kept), np.nan, wide)
    elif weights is not None or method == "inverted_cdf":
        w = (
            full(shape, 1, wide)
            if weights is None
            else _spread(as_dtype(asarray(weights), wide), a, axis)
        )
        result = _weighted(x, last(w), q, skip_nan)
    else:
        result = _between(x, q, method, skip_nan)
    result = as_dtype(result, dtype)
    if keepdims:
        result = reshape(result, (*q_shape, *(1 if k in axes else n for k, n in enumerate(shape))))
    return result


def _spread(weights: Any, a: Any, axis: Any) -> Any:
    """Weights in the shape of `a`."""
    shape, own = typeof(a).shape, typeof(weights).shape
    if own == shape:
        return weights
    if axis is None or not isinstance(axis, int) or len(own) != 1 or own[0] != shape[axis]:
        raise ValueError(
            located(
                f"weights of shape {own} do not fit an array of shape {shape}, axis {axis}",
                attempt=f"weights of shape {shape}, or a vector along the axis",
            )
        )
    return broadcast_to(
        reshape(weights, [-1 if k == axis % len(shape) else 1 for k in range(len(shape))]), shape
    )


def _ordered(x: Any, *others: Any) -> list[Any]:
    last = typeof(x).ndim - 1
    return REGISTRY["sort"].bind(x, *others, dimension=last, is_stable=True, num_keys=1)


def _pick(x: Any, places: Any) -> Any:
    """x[..., place], for places (of the shape of q) + (the shape of x without its last)."""
    lead = typeof(x).shape[:-1]
    extra = typeof(places).ndim - len(lead)
    if extra:
        moved = moveaxis(places, 0, -1)
        return moveaxis(take_along_axis(x, moved, -1, mode="clip"), -1, 0)
    return take_along_axis(x, expand_dims(places, -1), -1, mode="clip")[..., 0]


def _between(x: Any, q: Any, method: str, skip_nan: bool) -> Any:
    real = typeof(x).dtype
    index = dtypes.canonical(int)
    n = typeof(x).shape[-1]
    missing = ufuncs.isnan(x)
    (x,) = _ordered(x)
    if skip_nan:
        counts = reductions.sum(ufuncs.logical_not(missing), -1, dtype=real)
        top = ufuncs.subtract(counts, 1)
    else:
        top = scalar(n - 1, real)
    place = ufuncs.multiply(q, top)
    low, high = ufuncs.floor(place), ufuncs.ceil(place)
    if skip_nan:
        low, high = (ufuncs.maximum(0, ufuncs.minimum(v, top)) for v in (low, high))
    else:
        low, high = (ufuncs.maximum(0, ufuncs.minimum(v, n - 1)) for v in (low, high))
    shape = (*typeof(q).shape[: typeof(q).ndim - (typeof(x).ndim - 1)], *typeof(x).shape[:-1])
    share = broadcast_to(ufuncs.subtract(place, low), shape)
    below, above = (_pick(x, as_dtype(broadcast_to(v, shape), index)) for v in (low, high))
    if method == "lower":
        result = below
    elif method == "higher":
        result = above
    elif method == "midpoint":
        result = ufuncs.multiply(ufuncs.add(below, above), 0.5)
    elif method == "nearest":
        result = where(ufuncs.less_equal(share, 0.5), below, above)
    else:
        result = ufuncs.add(
            ufuncs.multiply(below, ufuncs.subtract(1, share)), ufuncs.multiply(above, share)
        )
    bad = ufuncs.equal(top, -1) if skip_nan else reductions.any(missing, -1)
    return where(bad, np.nan, result)


def _weighted(x: Any, weights: Any, q: Any, skip_nan: bool) -> Any:
    """The first element where the running weight reaches the part q of the whole."""
    missing = ufuncs.isnan(x)
    if skip_nan:
        weights = where(missing, 0, weights)
    x, weights = _ordered(x, weights)
    running = reductions.cumsum(weights, -1)
    total = running[..., -1]
    wanted = ufuncs.multiply(q, total)
    reached = ufuncs.greater_equal(running, expand_dims(wanted, -1))
    reached = ufuncs.logical_and(reached, ufuncs.greater(running, 0))
    result = _pick(x, reductions.argmax(reached, -1))
    bad = reductions.all(missing, -1) if skip_nan else reductions.any(missing, -1)
    return where(bad, np.nan, result)


# --- covariance -------------------------------------------------------------------------------
@eager(static="rowvar bias ddof dtype")
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, dtype=None):
    """The covariance matrix of variables in the rows of m (columns if not `rowvar`)."""
    given = [v for v in (m, y) if v is not None]
    check("cov", *given)
    arrays = promote_inexact(*(concrete_form(v) for v in given))
    arrays = [asarray(v) for v in arrays]
    if any(typeof(v).ndim > 2 for v in arrays):
        raise ValueError(located("m has more than 2 dimensions" if typeof(arrays[0]).ndim > 2 else
                         "y has more than 2 dimensions",
attempt="reshape to (variables, observations), or vmap over the other dimensions"))  # fmt: skip
    if dtype is not None:
        arrays = [as_dtype(v, dtypes.canonical(dtype)) for v in arrays]
    parts = []
    for position, v in enumerate(arrays):
        v = atleast_2d(v)
        parts.append(v.T if not rowvar and (typeof(v).shape[0] != 1 or position) else v)
    if y is None and typeof(parts[0]).shape[0] == 0:
        return full((0, 0), 0, typeof(parts[0]).dtype)
    x = parts[0] if y is None else concatenate(parts, 0)
    if ddof is None:
        ddof = 0 if bias else 1
    w = _weights(x, fweights, aweights)
    if w is None:
        average, total = reductions.mean(x, 1), typeof(x).shape[1]
        norm = total - ddof
    else:
        average, total = reductions.average(x, 1, w, returned=True)
        total = total[0]
        if aweights is None:
            norm = ufuncs.subtract(total, ddof)
        elif ddof == 0:
            norm = total
        else:
            spread = reductions.sum(ufuncs.multiply(w, aweights))
            norm = ufuncs.subtract(total, ufuncs.divide(ufuncs.multiply(ddof, spread), total))
    x = ufuncs.subtract(x, expand_dims(average, 1))
    other = x if w is None else ufuncs.multiply(x, expand_dims(w, 0))
    product = ufuncs.true_divide(dot(x, ufuncs.conj(other.T)), norm)
    size = typeof(product).shape
    return reshape(product, ()) if size == (1, 1) else product


def _weights(x: Any, fweights: Any, aweights: Any) -> Any:
    n = typeof(x).shape[1]
    weights = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        check("cov", given)
        given = asarray(given)
        if typeof(given).ndim != 1:
            raise RuntimeError(
                located(f"cannot handle multidimensional {name}", attempt=f"{name}.ravel()")
            )
        if typeof(given).shape[0] != n:
            raise RuntimeError(
                located(
                    f"incompatible numbers of samples and {name}",
                    attempt=f"one of {name} for each observation",
                )
            )
        if name == "fweights" and not dtypes.is_integer(typeof(given).dtype):
            raise TypeError(
                located(
                    "fweights must be integer.",
                    attempt="aweights for weights that are no counts, or astype(int)",
                )
            )
        given = ufuncs.absolute(given)
        weights = given if weights is None else ufuncs.multiply(weights, given)
    return weights


@eager(static="rowvar dtype")
def corrcoef(x, y=None, rowvar=True, dtype=None):
    """The correlation coefficients of the variables in the rows of x (columns if not `rowvar`)."""
    check("corrcoef", x)
    c = cov(x, y, rowvar, dtype=dtype)
    if not typeof(c).shape:
        return ufuncs.divide(c, c)
    spread = ufuncs.sqrt(ufuncs.real(diag(c)))
    c = ufuncs.divide(c, expand_dims(spread, 1))
    c = ufuncs.divide(c, expand_dims(spread, 0))
    if dtypes.is_complex(typeof(c).dtype):
        parts = [
            ufuncs.minimum(1, ufuncs.maximum(-1, part)) for part in (ufuncs.real(c), ufuncs.imag(c))
        ]
        return REGISTRY["complex"].bind(*parts)[0]
    return ufuncs.minimum(1, ufuncs.maximum(-1, c))


# --- counts -----------------------------------------------------------------------------------
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
    """The edges of `bins` equal bins over `range` (the extremes of a), or `bins` if an array."""
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
        low, high = (reductions.min(a), reductions.max(a)) if typeof(a).size else (0.0, 1.0)
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
