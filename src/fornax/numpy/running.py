"""Running sums and products along an axis."""

from __future__ import annotations

from typing import Any

from fornax.api.eager import eager
from fornax.ir.primitive import REGISTRY
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.axes import canonical_axis, refuse_out
from fornax.numpy.creation import full
from fornax.numpy.promotion import as_dtype, check, concrete_form, scalar
from fornax.numpy.reductions import sum_dtype
from fornax.primitives import cumulative  # noqa: F401  (fills the registry)
from fornax.primitives.concatenate import concatenate
from fornax.primitives.select import where as select_where
from fornax.primitives.shape import reshape
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["cumprod", "cumsum", "cumulative_prod", "cumulative_sum"]


def running(name: str, a: Any, axis: Any, dtype: Any, fill: Any = None) -> Any:
    check(name, a)
    a = concrete_form(a)
    type = typeof(a)
    if fill is not None and dtypes.is_inexact(type.dtype):
        a = select_where(ufuncs.isnan(a), scalar(fill, type.dtype), a)
    if axis is None:
        a, axis = reshape(a, (type.size,)), 0
    axis = canonical_axis(axis, typeof(a).ndim)
    if dtype is not None:
        wanted = requested(dtype)
    else:
        wanted = dtypes.canonical(int) if type.dtype == dtypes.bool_ else type.dtype
    return REGISTRY[name].bind(as_dtype(a, wanted), axis=axis, reverse=False)[0]


@eager(static="axis dtype out")
def cumsum(a, axis=None, dtype=None, out=None):
    """Running sums along `axis` (of the flattened array by default)."""
    refuse_out("cumsum", out)
    return running("cumsum", a, axis, dtype)


@eager(static="axis dtype out")
def cumprod(a, axis=None, dtype=None, out=None):
    """Running products along `axis` (of the flattened array by default)."""
    refuse_out("cumprod", out)
    return running("cumprod", a, axis, dtype)


def _array_api_cumulative(function, x, axis, dtype, include_initial, start):
    rank = typeof(x).ndim
    if axis is None:
        if rank != 1:
            raise ValueError(
                located(
                    "axis must be given for arrays of more than one dimension",
                    attempt="axis=0, or x.ravel()",
                )
            )
        axis = 0
    axis = canonical_axis(axis, rank)
    result = function(x, axis, dtype)
    if include_initial:
        shape = list(typeof(result).shape)
        shape[axis] = 1
        first = full(shape, start, typeof(result).dtype)
        return concatenate([first, result], axis)
    return result


@eager(static="axis dtype include_initial")
def cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False):
    """Running sums along `axis`, with a leading 0 if `include_initial`."""
    dtype = sum_dtype(typeof(x).dtype) if dtype is None else dtype
    return _array_api_cumulative(cumsum, x, axis, dtype, include_initial, 0)


@eager(static="axis dtype include_initial")
def cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False):
    """Running products along `axis`, with a leading 1 if `include_initial`."""
    return _array_api_cumulative(cumprod, x, axis, dtype, include_initial, 1)
