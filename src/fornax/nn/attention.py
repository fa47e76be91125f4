"""Attention: weighted means of values, with weights from queries and keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.lax.selection import stop_gradient
from fornax.nn.normalization import logsumexp, softmax
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["dot_product_attention"]


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
):
    """softmax(query keyᵀ * scale + bias) value, per head.

    query: (B, T, N, H) or (T, N, H). key, value: (B, S, K, H) or (S, K, H), where K divides N:
    N / K neighbouring query heads share a head of keys and values. bias: added to the logits,
    broadcasts to (B, N, T, S). mask: booleans that broadcast likewise; false positions do not
    count. scale: 1 / sqrt(H) by default. is_causal: a query attends to keys not after it.
    query_seq_lengths, key_value_seq_lengths: int32 of shape (B,), positions beyond do not count.
    local_window_size: how many positions to the left and right a query attends to.
    implementation: None or "xla", which are the same here. return_residual: give also the
    log-sum-exp of the logits, (B, T, N) or (T, N).

    Raises ValueError for shapes and dtypes that do not fit.
    """
    if implementation not in (None, "xla"):
        raise ValueError(
            located(
                f"Unsupported implementation option: {implementation}",
                attempt="implementation=None",
            )
        )
    out_shape = fnp.shape(query)
    query, key, value = (_four_dimensions(x) for x in (query, key, value))
    bias = None if bias is None else _four_dimensions(bias)
    mask = None if mask is None else _four_dimensions(mask)
    lengths = [None if x is None else fnp.asarray(x) for x in (
        query_seq_lengths, key_value_seq_lengths)]  # fmt: skip
    batch, size, groups, width = key.shape
    _check("value", value, (batch, size, groups, width), key.dtype)
    _check("query", query, (batch, None, None, width), key.dtype)
    _check("mask", mask, (None,) * 4, dtypes.bool_)
    _check("bias", bias, (None,) * 4, None)
    for name, x in zip(("query_seq_lengths", "key_value_seq_lengths"), lengths, strict=True):
        _check(name, x, (batch,), dtypes.int32)
    steps, heads = query.shape[1:3]
    if heads % groups:
        raise ValueError(
            located(
                "The number of query heads must be a multiple of key/value heads, but got "
                f"{heads} vs {groups}",
                attempt="as many query heads as key heads, or a multiple of them",
            )
        )
    scale = 1 / np.sqrt(width) if scale is None else scale
    # letters: Batch, query Time, key Size, key head K, query head of a group G, width H
    grouped = fnp.reshape(query, (batch, steps, groups, heads // groups, width))
    wide = fnp.promote_types(query.dtype, np.float32)
    logits = fnp.einsum("BTKGH,BSKH->BKGTS", grouped, key, preferred_element_type=wide)
    logits = fnp.reshape(logits, (batch, heads, steps, size)) * wide.type(scale)
    if bias is not None:
        logits = (logits + bias).astype(logits.dtype)
    allowed = _allowed(mask, is_causal, lengths, local_window_size, steps, size)
    if allowed is not None:
        logits = fnp.where(allowed, logits, wide.type(-0.7 * float(np.finfo(np.float32).max)))
    logits = logits.astype(np.float32)
    weights = softmax(logits).astype(key.dtype)
    weights = fnp.reshape(weights, (batch, groups, heads // groups, steps, size))
    out = fnp.einsum("BKGTS,BSKH->BTKGH", weights, value)
    out = fnp.reshape(out, (batch, steps, heads, width))
    if lengths[0] is not None:
        inside = fnp.arange(steps)[None, :] < lengths[0][:, None]
        out = out * inside[:, :, None, None].astype(out.dtype)
    out = fnp.reshape(out, out_shape)
    if not return_residual:
        return out
    residual = fnp.transpose(logsumexp(logits, axis=-1).astype(key.dtype), (0, 2, 1))
    return out, stop_gradient(fnp.reshape(residual, out_shape[:-1]))


def _four_dimensions(x: Any) -> Any:
    x = fnp.asarray(x)
    return fnp.reshape(x, (1,) * (4 - x.ndim) + x.shape) if x.ndim < 4 else x


def _check(name: str, x: Any, shape: Sequence[int | None], dtype: Any) -> None:
    if x is None:
        return
    if x.ndim != len(shape):
        raise ValueError(
            located(
                f"{name} ndim should be {len(shape)}, but got {x.ndim}",
                attempt=f"{name}[None] for a missing batch dimension",
            )
        )
    if dtype is not None and x.dtype != dtype:
        raise ValueError(
            located(
                f"{name} dtype should be {dtype}, but got {x.dtype}",
                attempt=f"{name}.astype({str(dtype)!r})",
            )
        )
    if any(n is not None and n != m for n, m in zip(shape, x.shape, strict=True)):
        wanted = [-1 if n is None else n for n in shape]
        raise ValueError(
            located(
                f"{name} shape should be {wanted}: but got {x.shape}",
                attempt="reshape or swapaxes: batch, length, heads, size of a head",
            )
        )


def _allowed(
    mask: Any,
    is_causal: bool,
    lengths: Sequence[Any],
    window: int | tuple[int, int] | None,
    steps: int,
    size: int,
) -> Any:
    """Which keys a query may attend to, in a shape that broadcasts to (B, N, T, S), or None."""
    t, s = fnp.arange(steps)[:, None], fnp.arange(size)[None, :]
    masks = [] if mask is None else [mask]
    if is_causal:
        masks.append((s <= t)[None, None])
    if window is not None:
        left, right = (window, window) if isinstance(window, int) else window
        masks.append(((t <= s + left) & (t >= s - right))[None, None])
    for positions, length in zip((t, s), lengths, strict=True):
        if length is not None:
            masks.append(positions[None, None] < length[:, None, None, None])
    if not masks:
        return None
    allowed = masks[0]
    for other in masks[1:]:
        allowed = allowed & other
    return allowed
