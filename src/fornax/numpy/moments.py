"""Means, variances and their relatives over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.basis import broadcast_in_dim, transpose
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.axes import canonical_axes, refuse_out
from fornax.numpy.creation import full
from fornax.numpy.promotion import as_dtype, check, concrete_form, promote_inexact, scalar
from fornax.numpy.reductions import count_of, sum
from fornax.primitives.select import where as select_where
from fornax.scalars import dtypes
from fornax.scalars.promotion import inexact
from fornax.source import located

__all__ = ["average", "mean", "std", "var"]


def _mean_dtype(dtype: Any) -> Any:
    return inexact(dtype)


def variance_dtype(given: Any, asked: Any) -> Any:
    """The dtype in which a variance is computed."""
    if asked is None:
        return _mean_dtype(given)
    dtype = requested(asked)
    if dtypes.is_complex(given) and not dtypes.is_complex(dtype):
        raise ValueError(
            located(
                "jax.numpy.var does not yet support real dtype parameters when computing the "
                f"variance of an array of complex values: {given.name} as {dtype.name}",
                "deviations of complex numbers are complex",
                "var(x).astype(dtype)",
            )
        )
    return _mean_dtype(dtype)


@eager(static="axis dtype out keepdims")
def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=None):
    """The arithmetic mean over `axis`."""
    refuse_out("mean", out)
    check("mean", a)
    a = concrete_form(a)
    type = typeof(a)
    axes = canonical_axes(axis, type.ndim, named=True)
    result_dtype = _mean_dtype(type.dtype) if dtype is None else requested(dtype)
    wide = _mean_dtype(result_dtype)
    wide = dtypes.float32 if wide.itemsize < 4 else wide
    total = sum(as_dtype(a, wide), axes, keepdims=keepdims, where=where)
    return as_dtype(ufuncs.divide(total, count_of(type, axes, where, keepdims, wide)), result_dtype)


@eager(static="axis dtype out ddof keepdims correction")
def var(
    a,
    axis=None,
    dtype=None,
    out=None,
    ddof=0,
    keepdims=False,
    *,
    where=None,
    mean=None,
    correction=None,
):
    """The variance over `axis`: the mean squared distance from the mean, with N - ddof for N."""
    refuse_out("var", out)
    if correction is not None and not (isinstance(ddof, int) and ddof == 0):
        raise ValueError(
            located(
                f"ddof and correction can't be provided simultaneously: got ddof={ddof!r} and "
                f"correction={correction!r}",
                "they are two names of what is taken off the number of elements",
                "correction alone",
            )
        )
    check("var", a)
    a = concrete_form(a)
    type = typeof(a)
    axes = canonical_axes(axis, type.ndim, named=True)
    computed = variance_dtype(type.dtype, dtype)
    wide = dtypes.float32 if computed.itemsize < 4 else computed
    x = as_dtype(a, wide)
    center = _mean(x, axes, keepdims=True, where=where) if mean is None else mean
    centered = ufuncs.subtract(x, center)
    if dtypes.is_complex(computed):
        squares = ufuncs.real(ufuncs.multiply(centered, ufuncs.conjugate(centered)))
        if dtype is None:
            computed = dtypes.real_dtype(computed)
    else:
        squares = ufuncs.square(centered)
    total = sum(squares, axes, keepdims=keepdims, where=where)
    count = count_of(type, axes, where, keepdims, wide)
    removed = ddof if correction is None else correction
    count = (
        ufuncs.subtract(count, removed)
        if where is not None
        else scalar(float(count) - removed, dtypes.real_dtype(wide))
    )
    result = ufuncs.divide(total, count)
    missing = scalar(np.nan, typeof(result).dtype)
    result = select_where(ufuncs.greater(count, 0), result, missing)
    return as_dtype(result, computed)


_mean = mean


@eager(static="axis dtype out ddof keepdims correction")
def std(
    a,
    axis=None,
    dtype=None,
    out=None,
    ddof=0,
    keepdims=False,
    *,
    where=None,
    mean=None,
    correction=None,
):
    """The standard deviation over `axis`."""
    refuse_out("std", out)
    return ufuncs.sqrt(
        var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    )


@eager(static="axis returned keepdims")
def average(a, axis=None, weights=None, returned=False, keepdims=False):
    """The mean weighted by `weights` (of the shape of `a`, or 1-D along `axis`)."""
    check("average", a)
    if weights is None:
        result = mean(a, axis, keepdims=keepdims)
        total = full(
            typeof(result).shape, typeof(a).size / typeof(result).size, typeof(result).dtype
        )
        return (result, total) if returned else result
    a, weights = promote_inexact(concrete_form(a), concrete_form(weights))
    type, shape = typeof(a), typeof(weights).shape
    if shape != type.shape:
        if axis is None:
            raise ValueError(
                located(
                    "1D weights expected when shapes of a and weights differ.",
                    attempt=f"weights of shape {shape}, or a vector along the axis",
                )
            )
        axes = canonical_axes(axis, type.ndim)
        if shape != tuple(type.shape[k] for k in axes):
            raise ValueError(
                located(
                    "Length of weights not compatible with specified axis.",
                    attempt="one weight for each element along the axis",
                )
            )
        order = sorted(range(len(axes)), key=axes.__getitem__)
        weights = transpose(weights, tuple(order))
        weights = broadcast_in_dim(weights, type.shape, tuple(sorted(axes)))
    total = sum(weights, axis, keepdims=keepdims)
    result = ufuncs.divide(sum(ufuncs.multiply(a, weights), axis, keepdims=keepdims), total)
    return (result, total) if returned else result
