"""Quantiles of samples: medians, percentiles, with weights and without NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.types import typeof
from fornax.numpy import reductions, ufuncs
from fornax.numpy.axes import canonical_axes
from fornax.numpy.creation import asarray, full
from fornax.numpy.indexing import take_along_axis
from fornax.numpy.promotion import (
    as_dtype,
    check,
    concrete_form,
    promote_inexact,
    scalar,
)
from fornax.numpy.running import cumsum
from fornax.numpy.selection import where
from fornax.numpy.shaping import broadcast_to, expand_dims, moveaxis, reshape
from fornax.primitives.sort import sort_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"]


_METHODS = ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf")


def quantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """The values below which the parts q (in [0, 1]) of the elements over `axis` lie.

    q: number or 1-D array, whose dimension comes first in the result. method: 'linear', 'lower',
    'higher', 'midpoint', 'nearest'; 'inverted_cdf' with `weights`. NaN gives NaN. Raises TypeError
    for q that are no floats, and where there are no elements.
    """
    return _quantile("quantile", a, q, axis, out, overwrite_input, method, keepdims, weights, False)


def nanquantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """`quantile` of the elements that are numbers.

    Raises IndexError where there are no elements at all, TypeError where they are missing in one
    of several quantiles.
    """
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
    kind = typeof(concrete_form(q)).dtype
    if not dtypes.is_floating(kind):
        raise TypeError(
            located(
                f"{name}: q does not accept dtype {kind.name}",
                "it is a part of all elements, from 0.0 to 1.0",
                f"float(q), or {name.replace('quantile', 'percentile')} for percent",
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
        # classes are those of what JAX looks the elements up with
        single = skip_nan and not kept and not keepdims
        raise (IndexError if single else TypeError)(
            located(
                f"{name}: an array of shape {shape} has no elements over axis {axis}",
                "there is no value below which a part of them lies",
                "numpy.nan, where that is meant",
            )
        )
    if weights is not None or method == "inverted_cdf":
        w = (
            full(shape, 1, wide)
            if weights is None
            else _spread(as_dtype(asarray(weights), wide), a, axis)
        )
        result = _weighted(x, last(w), q, skip_nan)
    else:
        result = _between(x, q, method, skip_nan)
    result = as_dtype(result, dtype)
    if keepdims and not shape:
        result = reshape(result, (*q_shape, 1))  # as in JAX: a number counts as one element
    elif keepdims:
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
    return sort_p.bind(x, *others, dimension=last, is_stable=True, num_keys=1)


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
    running = cumsum(weights, -1)
    total = running[..., -1]
    wanted = ufuncs.multiply(q, total)
    reached = ufuncs.greater_equal(running, expand_dims(wanted, -1))
    reached = ufuncs.logical_and(reached, ufuncs.greater(running, 0))
    result = _pick(x, reductions.argmax(reached, -1))
    bad = reductions.all(missing, -1) if skip_nan else reductions.any(missing, -1)
    return where(bad, np.nan, result)
