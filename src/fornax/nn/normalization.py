"""Functions of whole axes: softmax and its relatives, standardize, one_hot."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np

from fornax.api.custom import custom_jvp
from fornax.api.eager import eager
from fornax.ir.basis import instantiate
from fornax.ir.requested import requested
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.elementwise import rsqrt
from fornax.lax.parallel import axis_index, axis_size
from fornax.lax.selection import stop_gradient
from fornax.lax.shapes import broadcasted_iota, canonical_axis, expand_dims
from fornax.numpy import moments, reductions
from fornax.numpy import ufuncs as fnp
from fornax.numpy.axes import canonical_axes, dimensions
from fornax.numpy.creation import asarray
from fornax.numpy.promotion import as_dtype, check, promote_inexact
from fornax.numpy.selection import clip, where
from fornax.numpy.shaping import broadcast_to, squeeze
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["log_softmax", "logmeanexp", "logsumexp", "one_hot", "softmax", "standardize"]

_where = where  # also the name of an argument


@eager(static="axis keepdims return_sign")
def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False, where=None):
    """log(sum(b * exp(a))) without overflow.

    a: array. axis: an int or several, or names of axes of vmap; None for all. b: factors that
    broadcast with a. keepdims: keep reduced dimensions with size 1. return_sign: give (log of the
    sum's size, its sign); otherwise negative sums give NaN. where: booleans that say which elements
    count.
    """
    check("logsumexp", a)
    if where is not None:
        a = _where(where, a, 0)
    if b is None:
        a = asarray(promote_inexact(a)[0])
    else:
        check("logsumexp", b)
        a, b = promote_inexact(a, b)
        a = _where(fnp.not_equal(b, 0), a, -np.inf)
    axes = canonical_axes(axis, typeof(a).ndim, named=True)
    top = reductions.max(fnp.real(a), axes, keepdims=True, where=where, initial=-np.inf)
    top = stop_gradient(_where(fnp.isfinite(top), top, 0))
    terms = fnp.exp(fnp.subtract(a, top))
    if b is not None:
        terms = fnp.multiply(terms, b)
    total = reductions.sum(terms, axes, keepdims=keepdims, where=where)
    if not keepdims:
        top = squeeze(top, dimensions(axes))
    sign = fnp.sign(total)
    is_complex = dtypes.is_complex(typeof(total).dtype)
    if return_sign or not is_complex:
        total = fnp.absolute(total)
    out = fnp.add(fnp.log(total), top)
    if return_sign:
        return out, sign
    if b is not None and not is_complex:
        out = _where(fnp.less(sign, 0), np.nan, out)
    return out


@eager(static="axis keepdims")
def logmeanexp(x, axis=None, where=None, keepdims=False):
    """log(mean(exp(x))) without overflow. See `logsumexp`."""
    total = logsumexp(x, axis=axis, where=where, keepdims=keepdims)
    ones = as_dtype(1, typeof(total).dtype)
    counted = broadcast_to(ones, typeof(x).shape)
    count = reductions.sum(counted, axis, where=where, keepdims=keepdims)
    return fnp.subtract(total, fnp.log(count))


@eager(static="axis")
def softmax(x, axis=-1, where=None):
    """exp(x) over its sum along `axis`.

    axis: an int or several, None for all. where: booleans that say which elements count; the
    result is 0 where they are false.
    """
    check("softmax", x)
    axes = None if axis is None else canonical_axes(axis, typeof(x).ndim, named=True)
    return _softmax(x, axes, where)


@functools.partial(custom_jvp, nondiff_argnums=(1,))
def _softmax(x, axis, where):
    top = reductions.max(x, axis, where=where, initial=-np.inf, keepdims=True)
    safe = x if where is None else _where(where, x, -np.inf)
    terms = fnp.exp(fnp.subtract(safe, top))
    result = fnp.divide(terms, reductions.sum(terms, axis, where=where, keepdims=True))
    return result if where is None else _where(where, result, 0)


@_softmax.defjvp
def _softmax_jvp(axis, primals, tangents):
    (x, where), (g, _) = primals, tangents
    y = _softmax(x, axis, where)
    g = instantiate(g)
    inner = reductions.sum(fnp.multiply(y, g), axis, where=where, keepdims=True)
    return y, fnp.multiply(y, fnp.subtract(g, inner))


@eager(static="axis")
def log_softmax(x, axis=-1, where=None):
    """log(softmax(x)) without underflow; -inf where `where` is false. See `softmax`."""
    check("log_softmax", x)
    x = asarray(x)
    top = reductions.max(x, axis, where=where, initial=-np.inf, keepdims=True)
    safe = x if where is None else _where(where, x, -np.inf)
    shifted = fnp.subtract(safe, stop_gradient(top))
    total = reductions.sum(fnp.exp(shifted), axis, where=where, keepdims=True)
    result = fnp.subtract(shifted, fnp.log(total))
    return result if where is None else _where(where, result, -np.inf)


@eager(static="axis algorithm")
def standardize(
    x, axis=-1, mean=None, variance=None, epsilon=1e-5, where=None, *, algorithm="fast"
):
    """(x - mean) / sqrt(variance + epsilon), with mean and variance along `axis`.

    mean, variance: to be used instead of those of x. where: booleans that say which elements they
    are computed from. algorithm: "fast" computes the variance as mean(x²) - mean², "stable" from
    differences to the mean. Raises ValueError for another algorithm.
    """
    check("standardize", x)
    if mean is None:
        mean = moments.mean(x, axis, keepdims=True, where=where)
    if variance is None:
        if algorithm == "stable":
            squares = fnp.square(fnp.subtract(x, mean))
            variance = moments.mean(squares, axis, keepdims=True, where=where)
        elif algorithm == "fast":
            squares = moments.mean(fnp.square(x), axis, keepdims=True, where=where)
            variance = clip(fnp.subtract(squares, fnp.square(mean)), 0)
        else:
            raise ValueError(
                located(
                    f"Unknown algorithm '{algorithm}'. Expected 'fast' or 'stable'.",
                    attempt="algorithm='stable'",
                )
            )
    return fnp.multiply(fnp.subtract(x, mean), rsqrt(fnp.add(variance, epsilon)))


def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: Any = -1) -> Any:
    """1 at the index x along a new axis of size num_classes, 0 elsewhere.

    x: integers of any shape; indices out of range give zeros. dtype: the result's, the default
    floating dtype if None. axis: where the new axis goes, or the name of a mapped axis of size
    num_classes.
    """
    num_classes = static_integer(num_classes, "the num_classes argument of nn.one_hot")
    x = asarray(x)
    if not dtypes.is_integer(x.dtype):
        warnings.warn(
            f"one_hot input should be integer-typed; got dtype={x.dtype}",
            DeprecationWarning, stacklevel=2,
        )  # fmt: skip
    dtype = requested(dtype, float)
    try:
        place = canonical_axis(axis, x.ndim + 1)
    except TypeError:
        size = axis_size(axis)
        if size != num_classes:
            raise ValueError(
                located(
                    f"Expected num_classes to match the size of axis {axis}, but {num_classes} != "
                    f"{size}",
                    attempt=f"num_classes={size}, the size of the axis",
                )
            ) from None
        return as_dtype(fnp.equal(x, axis_index(axis)), dtype)
    shape = [1] * x.ndim
    shape.insert(place, num_classes)
    classes = broadcasted_iota(x.dtype, shape, place)
    return as_dtype(fnp.equal(expand_dims(x, (place,)), classes), dtype)
