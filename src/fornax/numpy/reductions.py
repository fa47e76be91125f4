"""Reductions over axes: sums, extremes, moments, tests; and running ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.basis import broadcast_in_dim, reduce_sum
from fornax.ir.primitive import REGISTRY
from fornax.ir.requested import requested
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.creation import asarray, full
from fornax.numpy.promotion import as_dtype, check, concrete_form, promote_inexact, scalar
from fornax.primitives import argreduce, cumulative, reduce, sort  # noqa: F401  (fill the registry)
from fornax.primitives.select import where as select_where
from fornax.primitives.shape import reshape
from fornax.scalars import dtypes
from fornax.scalars.promotion import inexact
from fornax.source import located

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "count_nonzero", "cumprod",
    "cumsum", "cumulative_prod", "cumulative_sum", "max", "mean", "min", "nanargmax",
    "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd",
    "nansum", "nanvar", "prod", "ptp", "std", "sum", "var",
]  # fmt: skip


def canonical_axis(axis: Any, rank: int) -> int:
    """An axis in 0 … rank-1. Raises AxisError (a ValueError and IndexError) out of bounds."""
    axis = static_integer(axis, "the axis argument")
    if not -rank <= axis < rank:
        error = np.exceptions.AxisError(
            located(
                f"axis {axis} is out of bounds for array of dimension {rank}",
                f"its axes are {-rank} to {rank - 1}" if rank else "a number has no axes",
                "keepdims=True or x[:, None] where a dimension got lost" if rank else
                "numpy.atleast_1d(x), or axis=None",
            )
        )  # fmt: skip
        error.axis, error.ndim = axis, rank
        raise error
    return axis % rank


def canonical_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """Axes from None (all), an int or a sequence. Raises ValueError for duplicates."""
    if axis is None:
        return tuple(range(rank))
    if isinstance(axis, Sequence | set | frozenset):
        axes = tuple(canonical_axis(a, rank) for a in axis)
        if len(set(axes)) != len(axes):
            raise ValueError(
                located(f"duplicate value in 'axis': {tuple(axis)}", attempt="name each axis once")
            )
        return axes
    return (canonical_axis(axis, rank),)


def _no_out(name: str, out: Any) -> None:
    if out is not None:
        raise NotImplementedError(
            located(
                f"The 'out' argument to {name} is not supported: arrays do not change",
                "a result is a new array; inside jit its memory may be that of an argument",
                f"x = {name}(...), or x.at[...].set(...); donate_argnums to reuse memory",
            )
        )


def keep_dims(result: Any, shape: tuple[int, ...], axes: Sequence[int]) -> Any:
    """The reduced array with its reduced axes as dimensions of 1."""
    full_shape = [1 if k in axes else n for k, n in enumerate(shape)]
    return broadcast_in_dim(result, full_shape, [k for k in range(len(shape)) if k not in axes])


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
) -> Any:
    check(name, a)
    a = concrete_form(a)
    type = typeof(a)
    axes = canonical_axes(axis, type.ndim)
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


def _sum_dtype(dtype: Any) -> Any:
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
    _no_out("sum", out)
    return _reduce(
        "sum", a, axis, dtype, keepdims, initial, where,
        lambda x, axes: _sum_bool(x, axes), ufuncs.add, lambda _: 0,
        _sum_dtype if promote_integers else lambda d: d,
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
    _no_out("prod", out)
    return _reduce(
        "prod", a, axis, dtype, keepdims, initial, where,
        _bind("reduce_prod"), ufuncs.multiply, lambda _: 1,
        _sum_dtype if promote_integers else lambda d: d,
    )  # fmt: skip


def _lowest(dtype: Any) -> Any:
    if dtype == dtypes.bool_:
        return False
    return dtypes.iinfo(dtype).min if dtypes.is_integer(dtype) else -np.inf


def _highest(dtype: Any) -> Any:
    if dtype == dtypes.bool_:
        return True
    return dtypes.iinfo(dtype).max if dtypes.is_integer(dtype) else np.inf


@eager(static="axis out keepdims")
def max(a, axis=None, out=None, keepdims=False, initial=None, where=None):  # noqa: A001
    """The largest element over `axis`; NaN if there is one."""
    _no_out("max", out)
    return _reduce(
        "max", a, axis, None, keepdims, initial, where, _bind("reduce_max"), ufuncs.maximum,
        _lowest, has_identity=False,
    )  # fmt: skip


@eager(static="axis out keepdims")
def min(a, axis=None, out=None, keepdims=False, initial=None, where=None):  # noqa: A001
    """The smallest element over `axis`; NaN if there is one."""
    _no_out("min", out)
    return _reduce(
        "min", a, axis, None, keepdims, initial, where, _bind("reduce_min"), ufuncs.minimum,
        _highest, has_identity=False,
    )  # fmt: skip


amax, amin = max, min


def _as_bool(a: Any) -> Any:
    a = concrete_form(a)
    return a if typeof(a).dtype == dtypes.bool_ else ufuncs.not_equal(a, 0)


@eager(static="axis out keepdims")
def all(a, axis=None, out=None, keepdims=False, *, where=None):  # noqa: A001
    """Whether all elements over `axis` are true (not zero)."""
    _no_out("all", out)
    check("all", a)
    return _reduce(
        "all", _as_bool(a), axis, None, keepdims, None, where, _bind("reduce_and"),
        ufuncs.logical_and, lambda _: True,
    )  # fmt: skip


@eager(static="axis out keepdims")
def any(a, axis=None, out=None, keepdims=False, *, where=None):  # noqa: A001
    """Whether any element over `axis` is true (not zero)."""
    _no_out("any", out)
    check("any", a)
    return _reduce(
        "any", _as_bool(a), axis, None, keepdims, None, where, _bind("reduce_or"),
        ufuncs.logical_or, lambda _: False,
    )  # fmt: skip


def _count(type: Any, axes: tuple[int, ...], where: Any, keepdims: bool, dtype: Any) -> Any:
    """How many elements each result is made of."""
    if where is None:
        size = 1
        for k in axes:
            size *= type.shape[k]
        return scalar(float(size), dtypes.real_dtype(dtype))
    mask = where_mask(where, type.shape)
    return sum(as_dtype(mask, dtypes.real_dtype(dtype)), axes, keepdims=keepdims)


def _mean_dtype(dtype: Any) -> Any:
    return inexact(dtype)


@eager(static="axis dtype out keepdims")
def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=None):
    """The arithmetic mean over `axis`."""
    _no_out("mean", out)
    check("mean", a)
    a = concrete_form(a)
    type = typeof(a)
    axes = canonical_axes(axis, type.ndim)
    result_dtype = _mean_dtype(type.dtype) if dtype is None else requested(dtype)
    wide = _mean_dtype(result_dtype)
    wide = dtypes.float32 if wide.itemsize < 4 else wide
    total = sum(as_dtype(a, wide), axes, keepdims=keepdims, where=where)
    return as_dtype(ufuncs.divide(total, _count(type, axes, where, keepdims, wide)), result_dtype)


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
):  # noqa: E501
    """The variance over `axis`: the mean squared distance from the mean, with N - ddof for N."""
    _no_out("var", out)
    check("var", a)
    a = concrete_form(a)
    type = typeof(a)
    axes = canonical_axes(axis, type.ndim)
    computed = _mean_dtype(type.dtype if dtype is None else requested(dtype))
    wide = dtypes.float32 if computed.itemsize < 4 else computed
    x = as_dtype(a, wide)
    center = _mean(x, axes, keepdims=True, where=where) if mean is None else mean
    centered = ufuncs.subtract(x, center)
    if dtypes.is_complex(computed):
        squares = ufuncs.real(ufuncs.multiply(centered, ufuncs.conjugate(centered)))
        computed = dtypes.real_dtype(computed)
    else:
        squares = ufuncs.square(centered)
    total = sum(squares, axes, keepdims=keepdims, where=where)
    count = _count(type, axes, where, keepdims, wide)
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
):  # noqa: E501
    """The standard deviation over `axis`."""
    _no_out("std", out)
    return ufuncs.sqrt(
        var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    )


@eager(static="axis out keepdims")
def ptp(a, axis=None, out=None, keepdims=False):
    """The largest minus the smallest element over `axis`."""
    return ufuncs.subtract(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


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
        weights = REGISTRY["transpose"].bind(weights, permutation=tuple(order))[0]
        weights = broadcast_in_dim(weights, type.shape, tuple(sorted(axes)))
    total = sum(weights, axis, keepdims=keepdims)
    result = ufuncs.divide(sum(ufuncs.multiply(a, weights), axis, keepdims=keepdims), total)
    return (result, total) if returned else result


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
    _no_out("argmax", out)
    return _arg("argmax", a, axis, bool(keepdims))


@eager(static="axis out keepdims")
def argmin(a, axis=None, out=None, keepdims=None):
    """The index of the smallest element (the first one; NaN is the smallest)."""
    _no_out("argmin", out)
    return _arg("argmin", a, axis, bool(keepdims))


def _cumulative(name: str, a: Any, axis: Any, dtype: Any, fill: Any = None) -> Any:
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
    _no_out("cumsum", out)
    return _cumulative("cumsum", a, axis, dtype)


@eager(static="axis dtype out")
def cumprod(a, axis=None, dtype=None, out=None):
    """Running products along `axis` (of the flattened array by default)."""
    _no_out("cumprod", out)
    return _cumulative("cumprod", a, axis, dtype)


@eager(static="axis dtype out")
def nancumsum(a, axis=None, dtype=None, out=None):
    """Running sums, NaN counting as 0."""
    return _cumulative("cumsum", a, axis, dtype, fill=0)


@eager(static="axis dtype out")
def nancumprod(a, axis=None, dtype=None, out=None):
    """Running products, NaN counting as 1."""
    return _cumulative("cumprod", a, axis, dtype, fill=1)


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
    result = function(x, axis, _sum_dtype(typeof(x).dtype) if dtype is None else dtype)
    if include_initial:
        shape = list(typeof(result).shape)
        shape[axis] = 1
        first = full(shape, start, typeof(result).dtype)
        return REGISTRY["concatenate"].bind(first, result, dimension=axis)[0]
    return result


@eager(static="axis dtype include_initial")
def cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False):
    """Running sums along `axis`, with a leading 0 if `include_initial`."""
    return _array_api_cumulative(cumsum, x, axis, dtype, include_initial, 0)


@eager(static="axis dtype include_initial")
def cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False):
    """Running products along `axis`, with a leading 1 if `include_initial`."""
    return _array_api_cumulative(cumprod, x, axis, dtype, include_initial, 1)


# --- NaN counts as missing --------------------------------------------------------------------
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
