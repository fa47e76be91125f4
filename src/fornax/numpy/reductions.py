"""Reductions over axes: sums, products, extremes and where they are, tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.basis import broadcast_in_dim, reduce_sum
from fornax.ir.primitive import REGISTRY
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.lazy import Table
from fornax.numpy import ufuncs
from fornax.numpy.axes import (
    canonical_axis,
    keep_dims,
    refuse_out,
    separate_axes,
)
from fornax.numpy.creation import asarray
from fornax.numpy.promotion import as_dtype, check, concrete_form, scalar
from fornax.primitives import argreduce, reduce  # noqa: F401  (fill the registry)
from fornax.primitives.select import where as select_where
from fornax.primitives.shape import reshape
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "max", "min", "prod", "ptp",
    "sum",
]  # fmt: skip

#: what reductions over axes of vmap do
_named_axes = Table("fornax.lax", {"parallel": ("axis_size", "pmax", "pmin", "psum")})


def _reduce(
    name: str,
    a: Any,
    axis: Any,
    dtype: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
    operation: Callable[[Any, tuple[int, ...]], Any],
    combine: Callable[[Any, Any], Any],
    neutral: Callable[[Any], Any],
    accumulate: Callable[[Any], Any] | None = None,
    has_identity: bool = True,
    across: str | None = None,
) -> Any:
    check(name, a)
    a = concrete_form(a)
    type = typeof(a)
    axes, over = separate_axes(axis, type.ndim)
    if over and across is None:
        raise NotImplementedError(
            located(
                f"Named reductions not implemented for jnp.{name}()",
                "only sums, means, variances and extremes are taken across the examples of vmap",
                f"lax.all_gather(x, {over[0]!r}), and {name} over the dimension that it makes",
            )
        )
    out_dtype = type.dtype
    if dtype is not None:
        out_dtype = requested(dtype)
    elif accumulate is not None:
        out_dtype = accumulate(type.dtype)
    if not has_identity and initial is None:
        if where is not None:
            raise ValueError(
                located(
                    f"reduction operation {name} does not have an identity, so "
                    "to use a where mask one has to specify 'initial'",
                    attempt="initial=..., a number that no element is beyond",
                )
            )
        if 0 in [type.shape[k] for k in axes]:
            raise ValueError(
                located(
                    f"zero-size array to reduction operation {name} which has no identity",
                    attempt="initial=..., or ask x.size first",
                )
            )
    # small floats are summed in float32 and rounded once
    wide = out_dtype
    if accumulate is not None and dtypes.is_inexact(out_dtype) and out_dtype.itemsize < 4:
        wide = dtypes.float32
    x = as_dtype(a, wide)
    if where is not None:
        x = select_where(where_mask(where, typeof(x).shape), x, scalar(neutral(wide), wide))
    result = operation(x, axes) if axes else asarray(x)
    if over:
        result = _named_axes[across](result, over)
    if initial is not None:
        result = combine(as_dtype(initial, wide), result)
    result = as_dtype(result, out_dtype)
    return keep_dims(result, type.shape, axes) if keepdims else result


def where_mask(where: Any, shape: tuple[int, ...]) -> Any:
    mask = asarray(where)
    if typeof(mask).dtype != dtypes.bool_:
        raise ValueError(
            located(
                f"where must be None or a boolean array; got where.dtype={typeof(mask).dtype}",
                "it says of every element whether it counts",
                "a comparison such as x != 0, or where.astype(bool)",
            )
        )
    old = typeof(mask).shape
    return broadcast_in_dim(mask, shape, range(len(shape) - len(old), len(shape)))


def _bind(primitive: str) -> Callable[[Any, tuple[int, ...]], Any]:
    p = REGISTRY[primitive]
    return lambda x, axes: p.bind(x, axes=tuple(sorted(axes)))[0]


def sum_dtype(dtype: Any) -> Any:
    """Bool and small integers are summed in the default integer of their sign."""
    if dtype == dtypes.bool_:
        return dtypes.canonical(int)
    if dtypes.is_integer(dtype):
        default = dtypes.canonical(np.uint64 if dtypes.is_unsigned_integer(dtype) else np.int64)
        return default if default.itemsize > dtype.itemsize else dtype
    return dtype


@eager(static="axis dtype out keepdims promote_integers")
def sum(
    a,
    axis=None,
    dtype=None,
    out=None,
    keepdims=False,
    initial=None,
    where=None,
    promote_integers=True,
):  # noqa: A001, E501
    """The sum over `axis` (all axes by default).

    a: array. where: mask of the elements to count. Small integers are summed as int32 (int64).
    """
    refuse_out("sum", out)
    return _reduce(
        "sum", a, axis, dtype, keepdims, initial, where,
        lambda x, axes: _sum_bool(x, axes), ufuncs.add, lambda _: 0,
        sum_dtype if promote_integers else lambda d: d, across="psum",
    )  # fmt: skip


def _sum_bool(x: Any, axes: tuple[int, ...]) -> Any:
    if typeof(x).dtype == dtypes.bool_:
        return _bind("reduce_or")(x, axes)
    return reduce_sum(x, tuple(sorted(axes)))


@eager(static="axis dtype out keepdims promote_integers")
def prod(
    a,
    axis=None,
    dtype=None,
    out=None,
    keepdims=False,
    initial=None,
    where=None,
    promote_integers=True,
):  # noqa: E501
    """The product over `axis` (all axes by default)."""
    refuse_out("prod", out)
    return _reduce(
        "prod", a, axis, dtype, keepdims, initial, where,
        _bind("reduce_prod"), ufuncs.multiply, lambda _: 1,
        sum_dtype if promote_integers else lambda d: d,
    )  # fmt: skip


@eager(static="axis out keepdims")
def max(a, axis=None, out=None, keepdims=False, initial=None, where=None):  # noqa: A001
    """The largest element over `axis`; NaN if there is one."""
    refuse_out("max", out)
    return _reduce(
        "max", a, axis, None, keepdims, initial, where, _bind("reduce_max"), ufuncs.maximum,
        dtypes.least, has_identity=False, across="pmax",
    )  # fmt: skip


@eager(static="axis out keepdims")
def min(a, axis=None, out=None, keepdims=False, initial=None, where=None):  # noqa: A001
    """The smallest element over `axis`; NaN if there is one."""
    refuse_out("min", out)
    return _reduce(
        "min", a, axis, None, keepdims, initial, where, _bind("reduce_min"), ufuncs.minimum,
        dtypes.greatest, has_identity=False, across="pmin",
    )  # fmt: skip


amax, amin = max, min


def _as_bool(a: Any) -> Any:
    a = concrete_form(a)
    return a if typeof(a).dtype == dtypes.bool_ else ufuncs.not_equal(a, 0)


@eager(static="axis out keepdims")
def all(a, axis=None, out=None, keepdims=False, *, where=None):  # noqa: A001
    """Whether all elements over `axis` are true (not zero)."""
    refuse_out("all", out)
    check("all", a)
    return _reduce(
        "all", _as_bool(a), axis, None, keepdims, None, where, _bind("reduce_and"),
        ufuncs.logical_and, lambda _: True,
    )  # fmt: skip


@eager(static="axis out keepdims")
def any(a, axis=None, out=None, keepdims=False, *, where=None):  # noqa: A001
    """Whether any element over `axis` is true (not zero)."""
    refuse_out("any", out)
    check("any", a)
    return _reduce(
        "any", _as_bool(a), axis, None, keepdims, None, where, _bind("reduce_or"),
        ufuncs.logical_or, lambda _: False,
    )  # fmt: skip


def count_of(type: Any, axes: tuple[Any, ...], where: Any, keepdims: bool, dtype: Any) -> Any:
    """How many elements each result is made of."""
    if where is None:
        size = math.prod(
            _named_axes["axis_size"](k) if isinstance(k, str) else type.shape[k] for k in axes
        )
        return scalar(float(size), dtypes.real_dtype(dtype))
    mask = where_mask(where, type.shape)
    return sum(as_dtype(mask, dtypes.real_dtype(dtype)), axes, keepdims=keepdims)


@eager(static="axis out keepdims")
def ptp(a, axis=None, out=None, keepdims=False):
    """The largest minus the smallest element over `axis`."""
    return ufuncs.subtract(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


@eager(static="axis keepdims")
def count_nonzero(a, axis=None, keepdims=False):
    """How many elements over `axis` are not zero."""
    check("count_nonzero", a)
    return sum(_as_bool(a), axis, dtype=dtypes.canonical(int), keepdims=keepdims)


def _arg(name: str, a: Any, axis: Any, keepdims: bool) -> Any:
    check(name, a)
    a = concrete_form(a)
    shape = typeof(a).shape
    if axis is None:
        a, dim = reshape(a, (typeof(a).size,)), 0
    else:
        dim = canonical_axis(axis, len(shape))
    if typeof(a).shape[dim] == 0:
        raise ValueError(
            located(
                f"attempt to get {name} of an empty sequence",
                attempt=f"ask x.size first, or x.{name}(initial) on an axis that is not empty",
            )
        )
    index = dtypes.canonical(int)
    result = REGISTRY[name].bind(a, axes=(dim,), index_dtype=index)[0]
    if keepdims:
        axes = range(len(shape)) if axis is None else (dim,)
        result = keep_dims(result, shape, axes)
    return result


@eager(static="axis out keepdims")
def argmax(a, axis=None, out=None, keepdims=None):
    """The index of the largest element (the first one; NaN is the largest)."""
    refuse_out("argmax", out)
    return _arg("argmax", a, axis, bool(keepdims))


@eager(static="axis out keepdims")
def argmin(a, axis=None, out=None, keepdims=None):
    """The index of the smallest element (the first one; NaN is the smallest)."""
    refuse_out("argmin", out)
    return _arg("argmin", a, axis, bool(keepdims))
