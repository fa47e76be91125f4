"""Choosing elements, and finding the places of those chosen."""

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
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import array, asarray
from fornax.numpy.indexing import take
from fornax.numpy.joining import stack
from fornax.numpy.promotion import (
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
    scalar,
)
from fornax.numpy.shaping import broadcast_arrays, ravel, reshape
from fornax.primitives.iota import iota
from fornax.primitives.select import where as select_where
from fornax.primitives.true_positions import true_positions, true_positions_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "argwhere", "choose", "clip", "compress", "extract", "flatnonzero", "nan_to_num", "nonzero",
    "select", "where",
]  # fmt: skip


@eager(static="size fill_value")
def where(condition, x=None, y=None, /, *, size=None, fill_value=None):
    """x where `condition` is true, else y; with the condition alone, `nonzero(condition)`."""
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise TypeError(
            located(
                "Either both or neither of the x and y arguments should be provided to where",
                attempt="where(condition, x, y), or where(condition) for the positions",
            )
        )
    check("where", condition, x, y)
    condition, x, y = concrete_form(condition), concrete_form(x), concrete_form(y)
    if typeof(condition).dtype != dtypes.bool_:
        condition = ufuncs.not_equal(condition, 0)
    x, y = promote_dtypes(x, y)
    shapes = [s for s in (typeof(v).shape for v in (condition, x, y)) if s]
    if len(set(shapes)) == 1 and typeof(x).shape == typeof(y).shape:
        return select_where(condition, asarray(x), asarray(y))
    condition, x, y = broadcast_arrays(condition, x, y)
    return select_where(condition, x, y)


@eager
def select(condlist, choicelist, default=0):
    """The choice of the first condition that is true, else `default`."""
    if len(condlist) != len(choicelist):
        raise ValueError(
            located(
                f"condlist must have length equal to choicelist ({len(condlist)} vs "
                f"{len(choicelist)})",
                attempt="one choice for each condition, and default= for the rest",
            )
        )
    if not condlist:
        raise ValueError(
            located(
                "condlist must be non-empty",
                attempt="at least one condition; full_like for a constant",
            )
        )
    choices = promote_dtypes(*choicelist, default)
    result = choices[-1]
    for condition, choice in zip(reversed(condlist), reversed(choices[:-1]), strict=True):
        result = where(condition, choice, result)
    return result


@eager
def clip(arr=None, /, min=None, max=None):
    """Every element limited to [min, max]; either may be None."""
    if arr is None:
        raise ValueError(
            located(
                "At most one of a_min and a_max may be None",
                attempt="clip(x, lowest, highest), or minimum or maximum for one bound",
            )
        )
    check("clip", arr)
    if any(dtypes.is_complex(typeof(v).dtype) for v in (arr, min, max) if v is not None):
        raise ValueError(
            located(
                "Clip received a complex value: complex numbers have no order",
                attempt="clip x.real and x.imag, each by itself",
            )
        )
    result = asarray(concrete_form(arr))
    if min is not None:
        result = ufuncs.maximum(min, result)
    if max is not None:
        result = ufuncs.minimum(max, result)
    return result


@eager(static="copy")
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """NaN replaced by `nan`, infinities by the largest finite numbers."""
    check("nan_to_num", x)
    x = asarray(concrete_form(x))
    dtype = typeof(x).dtype
    if not dtypes.is_inexact(dtype):
        return x
    if dtypes.is_complex(dtype):
        parts = [
            nan_to_num(part, copy, nan, posinf, neginf) for part in (ufuncs.real(x), ufuncs.imag(x))
        ]
        return REGISTRY["complex"].bind(*parts)[0]
    limits = dtypes.finfo(dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    x = where(ufuncs.isnan(x), as_dtype(nan, dtype), x)
    x = where(ufuncs.isposinf(x), as_dtype(high, dtype), x)
    return where(ufuncs.isneginf(x), as_dtype(low, dtype), x)


# --- places of elements -----------------------------------------------------------------------
def _mask(name: str, condition: Any) -> Any:
    check(name, condition)
    condition = asarray(concrete_form(condition))
    return condition if typeof(condition).dtype == dtypes.bool_ else ufuncs.not_equal(condition, 0)


def nonzero(a, *, size=None, fill_value=None):
    """The indices of the elements that are not zero, one array per dimension.

    Their number depends on the values: under a transformation give `size`, the length of the
    result; missing places are filled with `fill_value` (0).
    """
    mask = _mask("nonzero", a)
    shape = typeof(mask).shape
    if not shape:
        raise ValueError(
            located(
                "Calling nonzero on 0d arrays is not allowed. Use atleast_1d(a).nonzero()",
                attempt="numpy.atleast_1d(x).nonzero()",
            )
        )
    index = dtypes.canonical(int)
    if isinstance(mask, Tracer) and size is None:
        raise mask._refuse(
            ConcretizationTypeError, "The size argument of nonzero must be statically specified",
            "nonzero(x, size=n, fill_value=...), or where(condition, x, y)",
        )  # fmt: skip
    if not isinstance(mask, Tracer) and not isinstance(size, Tracer):
        places = true_positions(mask.numpy_view())
        count = len(places[0])
        if size is None:
            return tuple(array(p.astype(index, copy=False)) for p in places)
        fills = _fills(fill_value, len(shape))
        results = []
        for place, fill in zip(places, fills, strict=True):
            out = np.full((size,), fill, index)
            out[: min(size, count)] = place[:size]
            results.append(array(out))
        return tuple(results)
    size = static_integer(size, "size")
    flat = reshape(mask, (-1,))
    wanted = iota(index, (size,), 0)
    found, total = true_positions_p.bind(flat, wanted=size, index_dtype=index)
    present = ufuncs.less(wanted, total)
    results = []
    step = 1
    for extent, fill in zip(reversed(shape), reversed(_fills(fill_value, len(shape))), strict=True):
        place = ufuncs.remainder(ufuncs.floor_divide(found, step), max(extent, 1))
        results.append(where(present, as_dtype(place, index), scalar(int(fill), index)))
        step *= max(extent, 1)
    return tuple(reversed(results))


def _fills(fill_value: Any, rank: int) -> list[int]:
    if fill_value is None:
        return [0] * rank
    if isinstance(fill_value, Sequence):
        return [int(v) for v in fill_value]
    return [int(fill_value)] * rank


def flatnonzero(a, *, size=None, fill_value=None):
    """The indices into the flattened array of the elements that are not zero."""
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a, *, size=None, fill_value=None):
    """The indices of the elements that are not zero, one row each."""
    if not typeof(concrete_form(a)).shape:
        places = nonzero(reshape(a, (1,)), size=size, fill_value=fill_value)
        return stack(places, axis=1)[:, :0]
    places = nonzero(a, size=size, fill_value=fill_value)
    return stack(places, axis=1)


def compress(condition, a, axis=None, *, size=None, fill_value=0, out=None):
    """The slices along `axis` where the 1-D `condition` is true, which counts as false behind its
    end.

    size: how many, filled up with fill_value. Raises ValueError for a condition of another rank, or
    true behind the end of the axis, and a size larger than that of both.
    """
    check("compress", condition, a, fill_value)
    condition, a = asarray(concrete_form(condition)), asarray(concrete_form(a))
    if typeof(condition).ndim != 1:
        raise ValueError(
            located("condition must be a 1D array", attempt="condition.ravel(), or where")
        )
    if axis is None:
        a, axis = ravel(a), 0
    axis = canonical_axis(axis, typeof(a).ndim)
    n = min(typeof(a).shape[axis], typeof(condition).shape[0])
    condition, extra = condition[:n], condition[n:]
    if size is None and typeof(extra).size and reductions.any(extra):
        raise ValueError(
            located(
                "condition contains entries that are out of bounds",
                f"the axis has {typeof(a).shape[axis]} elements",
                "condition[:n] for an axis of size n",
            )
        )
    if size is not None and not 0 <= size <= n:
        raise ValueError(
            located(
                "size must be positive and not greater than the size of the array axis; got "
                f"{size=} for a.shape[axis]={n}",
                attempt=f"a size from 0 to {n}",
            )
        )
    places = flatnonzero(condition, size=size)
    result = take(a, places, axis)
    if size is None:
        return result
    count = reductions.sum(_mask("compress", condition))
    rank = typeof(result).ndim
    axis = canonical_axis(axis, rank)
    present = ufuncs.less(iota(dtypes.canonical(int), typeof(result).shape, axis), count)
    return where(present, result, as_dtype(fill_value, typeof(result).dtype))


def compress_method(a, condition, axis=None, out=None):
    """The slices along `axis` where the 1-D `condition` is true."""
    return compress(condition, a, axis, out=out)


def extract(condition, arr, *, size=None, fill_value=0):
    """The elements where `condition` is true, in one dimension."""
    return compress(ravel(condition), arr, size=size, fill_value=fill_value)


def choose(a, choices, out=None, mode="raise"):
    """choices[a] element by element. mode: 'raise' (concrete only), 'wrap' or 'clip'."""
    n = len(choices)
    a, *arrays = broadcast_arrays(a, *promote_dtypes(*choices))
    if mode == "raise":
        if isinstance(a, Tracer):
            raise a._refuse(
                ConcretizationTypeError,
                "choose with mode='raise' checks that the indices are in range",
                "mode='clip' or mode='wrap'",
            )
        values = a.numpy_view()
        if ((values < 0) | (values >= n)).any():
            raise ValueError(
                located(
                    "invalid entry in choice array",
                    attempt="mode='clip' or 'wrap', or more choices",
                )
            )
    elif mode == "wrap":
        a = ufuncs.remainder(a, n)
    a = clip(a, 0, n - 1)
    result = arrays[0]
    for k in range(1, n):
        result = where(ufuncs.equal(a, k), arrays[k], result)
    return result
