"""What samples say: the commonest value, ranks, the error of the mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fornax import lax
from fornax import numpy as fnp
from fornax.api.vmap import vmap
from fornax.ir.static import static_integer
from fornax.numpy.axes import canonical_axis
from fornax.numpy.promotion import check
from fornax.scalars import dtypes
from fornax.scipy.stats.arguments import numbers
from fornax.source import located

__all__ = ["mode", "rankdata", "sem"]

_POLICIES = ("propagate", "omit", "raise")
_METHODS = ("average", "min", "max", "dense", "ordinal")


class ModeResult(NamedTuple):
    """The commonest values, and how often they occur."""

    mode: Any
    count: Any


def _check_policy(name: str, nan_policy: str) -> None:
    if nan_policy not in _POLICIES:
        raise ValueError(
            located(
                f"Illegal nan_policy value {nan_policy!r}; expected one of "
                "{'propagate', 'omit', 'raise'}",
                attempt="nan_policy='propagate', the only one that is implemented",
            )
        )
    if nan_policy != "propagate":
        raise NotImplementedError(
            located(
                f"Logic for `nan_policy` of {nan_policy} is not implemented in {name}",
                "how many values are left, or whether one is NaN, depends on the values",
                "nan_policy='propagate', after numpy.isnan outside of transformations",
            )
        )


def mode(a, axis=0, nan_policy="propagate", keepdims=False):
    """The commonest value along an axis (all values for None), the smallest of several, as a pair
    (mode, count).

    keepdims: keep the dimension, of size 1. Raises ValueError for an unknown `nan_policy`,
    NotImplementedError for any but "propagate".
    """
    check("mode", a)
    x = fnp.atleast_1d(a)
    _check_policy("mode", nan_policy)
    shape = list(x.shape)
    if axis is None:
        x, axis = fnp.ravel(x), 0
        shape = [1] * len(shape) if keepdims else []
    else:
        axis = static_integer(axis, "axis")
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(
                located(
                    f"axis {axis} is out of bounds for array of dimension {x.ndim}",
                    attempt=f"an axis from {-x.ndim} to {x.ndim - 1}",
                )
            )
        axis %= x.ndim
        shape[axis : axis + 1] = [1] if keepdims else []
    columns = fnp.reshape(fnp.moveaxis(x, axis, 0), (x.shape[axis], -1 if x.size else 0))
    if not x.shape[axis]:
        dtype = dtypes.canonical(np.float64)
        return ModeResult(fnp.full(shape, np.nan, dtype), fnp.zeros(shape, dtype))

    def commonest(values: Any) -> tuple[Any, Any]:
        line = fnp.sort(values)
        counts = fnp.searchsorted(line, line, side="right") - fnp.searchsorted(line, line)
        return line[fnp.argmax(counts)], fnp.max(counts)

    values, counts = vmap(commonest, in_axes=1)(columns)
    return ModeResult(fnp.reshape(values, shape), fnp.reshape(counts, shape))


def rankdata(a, method="average", *, axis=None, nan_policy="propagate"):
    """The place of each value in sorted order, from 1, as floats; all NaN if a value is.

    method: what equal values get: the "average", the "min" or the "max" of their places, their
    place among distinct values ("dense"), or places in the order in which they come ("ordinal").
    axis: rank along it; without it, the array is flattened. Raises ValueError for an unknown
    `method` or `nan_policy`, NotImplementedError for any policy but "propagate".
    """
    check("rankdata", a)
    _check_policy("rankdata", nan_policy)
    if method not in _METHODS:
        raise ValueError(
            located(f"unknown method '{method}'", attempt=f"one of {', '.join(_METHODS)}")
        )
    if axis is not None:
        return fnp.apply_along_axis(rankdata, axis, a, method)
    x = fnp.ravel(a)
    dtype = dtypes.canonical(np.float64)
    if method == "ordinal":
        order = fnp.argsort(x, stable=True)
        places = fnp.zeros(x.size, order.dtype).at[order].set(fnp.arange(1, x.size + 1))
    else:
        line = fnp.sort(x)
        before = fnp.searchsorted(line, x)
        if method == "dense":
            first = fnp.concatenate([fnp.ones(min(x.size, 1), bool), line[1:] != line[:-1]])
            places = fnp.cumsum(first)[before]
        elif method == "min":
            places = before + 1
        else:
            places = fnp.searchsorted(line, x, side="right")
            if method == "average":
                places = 0.5 * (before + places + 1).astype(dtype)
    return fnp.where(fnp.any(fnp.isnan(x)), np.nan, places.astype(dtype))


def sem(a, axis=0, ddof=1, nan_policy="propagate", *, keepdims=False):
    """The standard error of the mean along an axis (of all values for None).

    ddof: what is subtracted from the number of values. nan_policy: "propagate", or "omit" to leave
    out NaN; ValueError for others.
    """
    (x,) = numbers("sem", a)
    if nan_policy == "propagate":
        count = x.size if axis is None else x.shape[canonical_axis(axis, x.ndim)]
        return fnp.std(x, axis, ddof=ddof, keepdims=keepdims) / lax.sqrt(
            fnp.asarray(count, x.dtype)
        )
    if nan_policy != "omit":
        raise ValueError(
            located(f"{nan_policy} is not supported", attempt="nan_policy='omit' to leave out NaN")
        )
    count = fnp.sum(~fnp.isnan(x), axis, keepdims=keepdims)
    deviation = fnp.nanstd(x, axis, ddof=ddof, keepdims=keepdims)
    return deviation / fnp.sqrt(count).astype(x.dtype)
