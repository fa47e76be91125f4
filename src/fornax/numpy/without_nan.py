"""Reductions and running sums that leave out what is no number."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.creation import full
from fornax.numpy.moments import mean, var
from fornax.numpy.promotion import check, concrete_form, scalar
from fornax.numpy.reductions import all, argmax, argmin, max, min, prod, sum, where_mask
from fornax.numpy.running import running
from fornax.primitives.select import where as select_where
from fornax.scalars import dtypes

__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod",
    "nanstd", "nansum", "nanvar",
]  # fmt: skip


@eager(static="axis dtype out")
def nancumsum(a, axis=None, dtype=None, out=None):
    """Running sums, NaN counting as 0."""
    return running("cumsum", a, axis, dtype, fill=0)


@eager(static="axis dtype out")
def nancumprod(a, axis=None, dtype=None, out=None):
    """Running products, NaN counting as 1."""
    return running("cumprod", a, axis, dtype, fill=1)


def _without_nan(a: Any, fill: Any) -> tuple[Any, Any]:
    a = concrete_form(a)
    dtype = typeof(a).dtype
    if not dtypes.is_inexact(dtype):
        return a, None
    missing = ufuncs.isnan(a)
    return select_where(missing, scalar(fill, dtype), a), missing


@eager(static="axis dtype out keepdims")
def nansum(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    """`sum`, NaN counting as 0."""
    check("nansum", a)
    return sum(_without_nan(a, 0)[0], axis, dtype, out, keepdims, initial, where)


@eager(static="axis dtype out keepdims")
def nanprod(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    """`prod`, NaN counting as 1."""
    check("nanprod", a)
    return prod(_without_nan(a, 1)[0], axis, dtype, out, keepdims, initial, where)


def _nan_extreme(function, fill, a, axis, out, keepdims, initial, where):
    filled, missing = _without_nan(a, fill)
    result = function(filled, axis, out, keepdims, initial, where)
    if missing is None or initial is not None:
        return result
    empty = all(missing, axis, keepdims=keepdims)
    return select_where(empty, scalar(np.nan, typeof(result).dtype), result)


@eager(static="axis out keepdims")
def nanmax(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    """`max` of the elements that are numbers."""
    check("nanmax", a)
    return _nan_extreme(max, -np.inf, a, axis, out, keepdims, initial, where)


@eager(static="axis out keepdims")
def nanmin(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    """`min` of the elements that are numbers."""
    check("nanmin", a)
    return _nan_extreme(min, np.inf, a, axis, out, keepdims, initial, where)


def _present(a: Any, where: Any) -> Any:
    a = concrete_form(a)
    present = (
        ufuncs.logical_not(ufuncs.isnan(a))
        if dtypes.is_inexact(typeof(a).dtype)
        else (full(typeof(a).shape, True))
    )
    return (
        present
        if where is None
        else ufuncs.logical_and(present, where_mask(where, typeof(a).shape))
    )


@eager(static="axis dtype out keepdims")
def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, where=None):
    """`mean` of the elements that are numbers."""
    check("nanmean", a)
    return mean(a, axis, dtype, out, keepdims, where=_present(a, where))


@eager(static="axis dtype out ddof keepdims")
def nanvar(
    a,
    axis=None,
    dtype=None,
    out=None,
    ddof=0,
    keepdims=False,
    where=None,
    mean=None,
):
    """`var` of the elements that are numbers; NaN where fewer than ddof + 1 are."""
    check("nanvar", a)
    present = _present(a, where)
    result = var(a, axis, dtype, out, ddof, keepdims, where=present, mean=mean)
    enough = ufuncs.greater(sum(present, axis, keepdims=keepdims), ddof)
    return select_where(enough, result, scalar(np.nan, typeof(result).dtype))


@eager(static="axis dtype out ddof keepdims")
def nanstd(
    a,
    axis=None,
    dtype=None,
    out=None,
    ddof=0,
    keepdims=False,
    where=None,
    mean=None,
):
    """`std` of the elements that are numbers."""
    return ufuncs.sqrt(nanvar(a, axis, dtype, out, ddof, keepdims, where, mean))


@eager(static="axis out keepdims")
def nanargmax(a, axis=None, out=None, keepdims=None):
    """`argmax` of the elements that are numbers; -1 where there is none."""
    return _nan_arg(argmax, -np.inf, a, axis, out, keepdims)


@eager(static="axis out keepdims")
def nanargmin(a, axis=None, out=None, keepdims=None):
    """`argmin` of the elements that are numbers; -1 where there is none."""
    return _nan_arg(argmin, np.inf, a, axis, out, keepdims)


def _nan_arg(function, fill, a, axis, out, keepdims):
    check(function.__name__, a)
    filled, missing = _without_nan(a, fill)
    result = function(filled, axis, out, keepdims)
    if missing is None:
        return result
    empty = all(missing, axis, keepdims=bool(keepdims))
    return select_where(empty, scalar(-1, typeof(result).dtype), result)
