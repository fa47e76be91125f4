"""What the universal functions of `fornax.numpy` do faster than one element after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.nn.normalization import logsumexp
from fornax.numpy import reductions, running, ufuncs
from fornax.numpy.axes import canonical_axes, keep_dims
from fornax.numpy.creation import asarray, full_like
from fornax.numpy.promotion import as_dtype
from fornax.numpy.selection import where as select_where
from fornax.primitives.reduce import reduce_and_p, reduce_or_p, reduce_xor_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["BUILT_IN"]


def _masked(a: Any, where: Any, neutral: Any) -> Any:
    """`a` with a neutral number where it does not count."""
    return a if where is None else select_where(where, a, full_like(a, neutral))


def _bitwise(primitive: Any, combine: Callable, neutral: int) -> Callable:
    def reduce(a, axis, dtype, keepdims, initial, where):
        a = asarray(a)
        if dtype is not None:
            dtype = requested(dtype)
        for found, error in ((typeof(a).dtype, ValueError), (dtype, TypeError)):
            if found is not None and not dtypes.is_integer(found) and found != dtypes.bool_:
                raise error(
                    located(
                        f"{combine.__name__}.reduce of integers only, got {found.name}",
                        attempt="x.astype(int)",
                    )
                )
        a = _masked(a if dtype is None else as_dtype(a, dtype), where, neutral)
        shape = typeof(a).shape
        axes = canonical_axes(axis, len(shape))
        result = primitive.bind(a, axes=tuple(sorted(axes)))[0]
        if initial is not None:
            result = combine(as_dtype(asarray(initial), typeof(a).dtype), result)
        return keep_dims(result, shape, axes) if keepdims else result

    return reduce


def _logical(primitive: Any, combine: Callable, neutral: bool) -> Callable:
    bits = _bitwise(primitive, combine, neutral)

    def reduce(a, axis, dtype, keepdims, initial, where):
        result = bits(ufuncs.not_equal(a, 0), axis, None, keepdims, initial, where)
        return result if dtype is None else as_dtype(result, requested(dtype))

    return reduce


def _extreme(function: Callable) -> Callable:
    def reduce(a, axis, dtype, keepdims, initial, where):
        if dtype is not None:
            a = as_dtype(asarray(a), requested(dtype))
        return function(a, axis, keepdims=keepdims, initial=initial, where=where)

    return reduce


def _log_sum(combine: Callable, power: float) -> Callable:
    def reduce(a, axis, dtype, keepdims, initial, where):
        scaled = a if power == np.e else ufuncs.multiply(a, np.log(power))
        result = logsumexp(scaled, axis, keepdims=keepdims, where=where)
        if power != np.e:
            result = ufuncs.divide(result, np.log(power))
        return result if initial is None else combine(initial, result)

    return reduce


def _add_at(a, indices, b):
    a = asarray(a)
    if typeof(a).dtype != dtypes.bool_:
        return a.at[indices].add(b)
    return a.at[indices].max(as_dtype(asarray(b), dtypes.bool_))


def _multiply_at(a, indices, b):
    a = asarray(a)
    if typeof(a).dtype != dtypes.bool_:
        return a.at[indices].multiply(b)
    return a.at[indices].min(as_dtype(asarray(b), dtypes.bool_))


def _subtract_at(a, indices, b):
    return asarray(a).at[indices].subtract(b)


#: name -> (number of arguments, identity, ways)
BUILT_IN: dict[str, tuple[int, Any, dict[str, Callable]]] = {
    "negative": (1, None, {}),
    "add": (2, 0, {"reduce": reductions.sum, "accumulate": running.cumsum, "at": _add_at}),
    "multiply": (
        2, 1,
        {"reduce": reductions.prod, "accumulate": running.cumprod, "at": _multiply_at},
    ),
    "subtract": (2, None, {"at": _subtract_at}),
    "minimum": (2, None, {"reduce": _extreme(reductions.min)}),
    "maximum": (2, None, {"reduce": _extreme(reductions.max)}),
    "bitwise_and": (2, -1, {"reduce": _bitwise(reduce_and_p, ufuncs.bitwise_and, -1)}),
    "bitwise_or": (2, 0, {"reduce": _bitwise(reduce_or_p, ufuncs.bitwise_or, 0)}),
    "bitwise_xor": (2, 0, {"reduce": _bitwise(reduce_xor_p, ufuncs.bitwise_xor, 0)}),
    "logical_and": (2, True, {"reduce": _logical(reduce_and_p, ufuncs.logical_and, True)}),
    "logical_or": (2, False, {"reduce": _logical(reduce_or_p, ufuncs.logical_or, False)}),
    "logical_xor": (2, False, {"reduce": _logical(reduce_xor_p, ufuncs.logical_xor, False)}),
    "logaddexp": (2, -np.inf, {"reduce": _log_sum(ufuncs.logaddexp, np.e)}),
    "logaddexp2": (2, -np.inf, {"reduce": _log_sum(ufuncs.logaddexp2, 2.0)}),
}  # fmt: skip
