"""Softmax and its relatives, standardisation, one-hot encoding, attention."""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.ir.types import typeof
from fornax.lax.selection import stop_gradient
from fornax.numpy.promotion import promote_inexact, scalar
from fornax.scalars import dtypes

__all__ = [
    "dot_product_attention", "log_softmax", "logmeanexp", "logsumexp", "one_hot", "softmax",
    "standardize",
]  # fmt: skip


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False, where=None):
    """log(sum(b exp(a))) over `axis`, without overflow.

    b: weights, possibly negative; then `return_sign` gives (log of the absolute value, sign).
    where: mask of the elements to count.
    """
    if b is not None:
        a, b = promote_inexact(a, b)
        a = fnp.where(b != 0, a, -np.inf)
        a, b = fnp.broadcast_arrays(a, b)
    else:
        (a,) = promote_inexact(a)
    a = fnp.asarray(a)
    counted = a if where is None else fnp.where(where, a, -np.inf)
    largest = fnp.max(counted.real, axis=axis, keepdims=True, initial=-np.inf)
    largest = stop_gradient(fnp.where(fnp.isfinite(largest), largest, 0.0))
    terms = fnp.exp(counted - largest)
    if b is not None:
        terms = b * terms
    total = fnp.sum(terms, axis=axis, keepdims=keepdims)
    sign = fnp.sign(total)
    if return_sign or b is None:
        total = fnp.abs(total) if return_sign else total
    shift = largest if keepdims else fnp.squeeze(
        largest, axis=tuple(range(typeof(a).ndim)) if axis is None else axis
    )  # fmt: skip
    result = fnp.log(total) + shift
    return (result, sign) if return_sign else result


def logmeanexp(x, axis=None, where=None, keepdims=False):
    """log(mean(exp(x))) over `axis`, without overflow."""
    total = logsumexp(x, axis, keepdims=keepdims, where=where)
    if where is None:
        x = fnp.asarray(x)
        count = typeof(x).size // max(typeof(total).size, 1)
    else:
        count = fnp.sum(fnp.broadcast_to(where, typeof(fnp.asarray(x)).shape), axis, keepdims=keepdims)
    return total - fnp.log(fnp.asarray(count, typeof(total).dtype))


def softmax(x, axis=-1, where=None, initial=-np.inf):
    """exp(x) divided by its sum over `axis`; 0 where the mask `where` is false."""
    (x,) = promote_inexact(x)
    masked = x if where is None else fnp.where(where, x, -np.inf)
    largest = fnp.max(masked, axis, keepdims=True, where=where, initial=initial)
    terms = fnp.exp(masked - stop_gradient(largest))
    result = terms / fnp.sum(terms, axis, where=where, keepdims=True)
    return result if where is None else fnp.where(where, result, 0)


def log_softmax(x, axis=-1, where=None):
    """log(softmax(x)), without overflow; -inf where the mask `where` is false."""
    (x,) = promote_inexact(x)
    masked = x if where is None else fnp.where(where, x, -np.inf)
    largest = fnp.max(masked, axis, keepdims=True, where=where, initial=-np.inf)
    shifted = masked - stop_gradient(largest)
    total = fnp.log(fnp.sum(fnp.exp(shifted), axis, where=where, keepdims=True))
    result = shifted - total
    return result if where is None else fnp.where(where, result, -np.inf)


def standardize(x, axis=-1, mean=None, variance=None, epsilon=1e-5, where=None):
    """(x - mean) / sqrt(variance + epsilon), with the moments over `axis` unless given."""
    (x,) = promote_inexact(x)
    if mean is None:
        mean = fnp.mean(x, axis, keepdims=True, where=where)
    if variance is None:
        variance = fnp.mean(fnp.square(x), axis, keepdims=True, where=where) - fnp.square(mean)
    return (x - mean) / fnp.sqrt(variance + scalar(epsilon, typeof(x).dtype))


def one_hot(x, num_classes, *, dtype=None, axis=-1):
    """A vector of `num_classes` along a new `axis`: 1 at the index x, 0 elsewhere.

    x: integer array; an index out of range gives zeros. dtype: float32 (float64 with x64).
    """
    x = fnp.asarray(x)
    rank = typeof(x).ndim + 1
    axis = axis + rank if axis < 0 else axis
    if not 0 <= axis < rank:
        raise ValueError(f"one_hot: axis {axis} is out of range for a result of {rank} dimensions")
    shape = [1] * rank
    shape[axis] = num_classes
    classes = fnp.arange(num_classes, dtype=typeof(x).dtype).reshape(shape)
    return (fnp.expand_dims(x, axis) == classes).astype(dtypes.canonical(float if dtype is None else dtype))


def dot_product_attention(
    query, key, value, bias=None, mask=None, *, scale=None, is_causal=False,
    query_seq_lengths=None, key_value_seq_lengths=None, local_window_size=None,
    implementation=None, return_residual=False,
):  # fmt: skip
    """softmax(query key^T scale + bias) value, per head.

    query: (batch, length, heads, width) or without batch; key, value: (batch, keys, groups, width)
    where groups divides heads. bias, mask: broadcast to (batch, heads, length, keys). Sequence
    lengths (batch,) hide what lies beyond them; local_window_size (left, right) hides what is
    further away. Raises ValueError for shapes that do not fit.
    """
    if return_residual:
        raise NotImplementedError("dot_product_attention: return_residual=True is not supported")
    query, key, value = promote_inexact(query, key, value)
    single = typeof(query).ndim == 3
    if single:
        query, key, value = (x[None] for x in (query, key, value))
    if typeof(query).ndim != 4:
        raise ValueError(f"dot_product_attention: query must have 3 or 4 dimensions, got {query.shape}")
    batch, length, heads, width = typeof(query).shape
    keys, groups = typeof(key).shape[1:3]
    if heads % groups:
        raise ValueError(f"dot_product_attention: {groups} key heads do not divide {heads} heads")
    if groups != heads:
        key, value = (fnp.repeat(x, heads // groups, axis=2) for x in (key, value))
    factor = 1.0 / np.sqrt(width) if scale is None else scale
    scores = fnp.einsum("bqhd,bkhd->bhqk", query, key) * scalar(factor, typeof(query).dtype)
    if bias is not None:
        scores = scores + bias
    seen = None if mask is None else fnp.asarray(mask)
    rows = fnp.arange(length)[:, None]
    columns = fnp.arange(keys)[None, :]
    parts = []
    if is_causal:
        parts.append(rows >= columns)
    if local_window_size is not None:
        left, right = (local_window_size,) * 2 if isinstance(local_window_size, int) else local_window_size
        parts.append((columns >= rows - left) & (columns <= rows + right))
    if key_value_seq_lengths is not None:
        parts.append(columns[None, None] < fnp.asarray(key_value_seq_lengths)[:, None, None, None])
    if query_seq_lengths is not None:
        parts.append(rows[None, None] < fnp.asarray(query_seq_lengths)[:, None, None, None])
    for part in parts:
        seen = part if seen is None else seen & part
    if seen is not None:
        lowest = 0.7 * float(dtypes.finfo(typeof(scores).dtype).min)
        scores = fnp.where(seen, scores, lowest)
    result = fnp.einsum("bhqk,bkhd->bqhd", softmax(scores), value)
    if query_seq_lengths is not None:
        inside = fnp.arange(length)[None] < fnp.asarray(query_seq_lengths)[:, None]
        result = fnp.where(inside[:, :, None, None], result, 0)
    return result[0] if single else result
