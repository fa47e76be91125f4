"""Bits, uniform numbers and what is a step away from them: integers, coins, signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.lax.broadcasting import broadcast_to_rank
from fornax.numpy.promotion import as_dtype, broadcast_to
from fornax.primitives.convert import bitcast_convert_type_p, convert_element_type
from fornax.primitives.elementwise import add_p, mul_p, or_p, rem_p, shift_right_logical_p, sub_p
from fornax.primitives.random import random_bits, random_split
from fornax.random.keys import typed
from fornax.random.sampler import (
    check_shape,
    float_dtype,
    integer_dtype,
    sampler,
    shape_of,
)
from fornax.runtime.transfers import takes_arrays
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["bernoulli", "bits", "rademacher", "randint", "uniform"]


def bits(key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None):
    """Random bits as unsigned integers of `dtype` (uint32 by default).

    key: a random key. shape: the result's shape. Raises ValueError for another kind of dtype.
    """
    keys, _ = typed("bits", key)
    chosen = requested(dtype, np.uint64)
    if not dtypes.is_unsigned_integer(chosen):
        raise ValueError(
            located(
                f"dtype argument to `bits` must be an unsigned int dtype, got {chosen}",
                attempt="'uint32', and random.randint for signed integers",
            )
        )
    return random_bits(keys, chosen.itemsize * 8, shape_of(shape))


@takes_arrays("shape dtype out_sharding")
def uniform(
    key: Any,
    shape: Sequence[int] = (),
    dtype: Any = None,
    minval: Any = 0.0,
    maxval: Any = 1.0,
    *,
    out_sharding: Any = None,
):
    """Floats spread evenly over [minval, maxval).

    key: a random key. shape: the result's shape, which minval and maxval broadcast to. dtype: a
    floating dtype. Raises ValueError for other dtypes and shapes that do not fit.
    """
    keys, _ = typed("uniform", key)
    dtype = float_dtype("uniform", dtype)
    shape = shape_of(shape)
    if isinstance(minval, float | int) and isinstance(maxval, float | int):
        if minval == 0 and maxval == 1:
            return _unit(keys, shape=shape, dtype=dtype)
    return _uniform(keys, minval, maxval, shape=shape, dtype=dtype)


def unit_interval(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Floats in [0, 1): random bits as the mantissa of a float in [1, 2)."""
    info = dtypes.finfo(dtype)
    if info.bits < 8:
        raise TypeError(
            located(
                f"uniform only accepts 8-, 16-, 32-, or 64-bit dtypes, got {dtype.name}",
                "random bits come in bytes",
                f"uniform(key, shape).astype('{dtype.name}')",
            )
        )
    drawn = 8 if info.nmant < 8 else info.bits
    unsigned = np.dtype(f"uint{info.bits}")
    words = random_bits(key, drawn, shape)
    if drawn != info.bits:
        words = convert_element_type(words, unsigned)
    mantissa = shift_right_logical_p(words, unsigned.type(drawn - info.nmant))
    one = dtype.type(1)
    floats = or_p(mantissa, np.asarray(one).view(unsigned)[()])
    return sub_p(bitcast_convert_type_p.bind(floats, new_dtype=dtype)[0], one)


@sampler(exact=True)
def _unit(key, *, shape, dtype):
    return unit_interval(key, shape, dtype)


@sampler
def _uniform(key, minval, maxval, *, shape, dtype):
    check_shape("uniform", shape, typeof(minval).shape, typeof(maxval).shape)
    floats = unit_interval(key, shape, dtype)
    low, high = (
        x if not typeof(x).shape else broadcast_to_rank(x, len(shape))
        for x in (as_dtype(minval, dtype), as_dtype(maxval, dtype))
    )
    return fnp.maximum(low, fnp.add(fnp.multiply(floats, fnp.subtract(high, low)), low))


def bernoulli(
    key: Any,
    p: Any = 0.5,
    shape: Sequence[int] | None = None,
    mode: str = "low",
    *,
    out_sharding: Any = None,
):
    """Booleans that are true with probability `p`.

    p: floats. shape: the result's shape, that of p by default. mode: "high" spends twice the bits,
    for very small probabilities. Raises TypeError for p that is not floating, ValueError for an
    unknown mode.
    """
    if mode not in ("high", "low"):
        raise ValueError(
            located(
                f"got mode={mode!r}, expected 'high' or 'low'", attempt="mode='low', the default"
            )
        )
    keys, _ = typed("bernoulli", key)
    type = typeof(p)
    if not dtypes.is_floating(type.dtype):
        raise TypeError(
            located(
                f"bernoulli probability `p` must have a floating dtype, got {type.dtype}.",
                attempt="p / 1.0, or p.astype('float32')",
            )
        )
    shape = type.shape if shape is None else shape_of(shape)
    check_shape("bernoulli", shape, type.shape)
    return _bernoulli(keys, as_dtype(p, type.dtype), shape=shape, mode=mode)


@sampler(exact=True)
def _bernoulli(key, p, *, shape, mode):
    dtype = typeof(p).dtype
    if mode == "low":
        return fnp.less(unit_interval(key, shape, dtype), p)
    coarse, fine = _unit(key, shape=(2, *shape), dtype=dtype)
    fine = fnp.multiply(fine, 2.0 ** -dtypes.finfo(dtype).nmant)
    return fnp.less(fine, fnp.subtract(p, coarse))


def rademacher(key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None):
    """-1 or 1 with equal probability, as integers or another `dtype`."""
    keys, _ = typed("rademacher", key)
    chosen = requested(dtype, int)
    return _rademacher(keys, shape=shape_of(shape), dtype=chosen)


@sampler(exact=True)
def _rademacher(key, *, shape, dtype):
    half = dtypes.canonical(float).type(0.5)
    coin = convert_element_type(_bernoulli(key, half, shape=shape, mode="low"), dtype)
    return as_dtype(fnp.subtract(fnp.multiply(2, coin), 1), dtype)


@takes_arrays("shape dtype out_sharding")
def randint(
    key: Any,
    shape: Sequence[int],
    minval: Any,
    maxval: Any,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Integers in minval … maxval - 1, (almost) evenly spread.

    key: a random key. shape: the result's shape, which minval and maxval broadcast to. dtype: an
    integer dtype. Where maxval <= minval the result is minval. Raises TypeError for other dtypes.
    """
    keys, _ = typed("randint", key)
    dtype = integer_dtype("randint", dtype, TypeError)
    shape = shape_of(shape)
    sampled = dtype
    info = dtypes.iinfo(dtype)
    if info.bits < 32:
        sampled = dtypes.int32
        minval = fnp.clip(fnp.asarray(minval).astype(sampled), int(info.min), int(info.max))
        maxval = fnp.clip(fnp.asarray(maxval).astype(sampled), int(info.min), int(info.max) + 1)
    else:
        minval, maxval = (_whole(x) for x in (minval, maxval))
    check_shape("randint", shape, typeof(minval).shape, typeof(maxval).shape)
    return as_dtype(_randint(keys, minval, maxval, shape=shape, dtype=sampled), dtype)


def _whole(x: Any) -> Any:
    x = fnp.asarray(x)
    return x if dtypes.is_integer(x.dtype) else x.astype(dtypes.canonical(int))


def _clipped(x: Any, dtype: Any) -> Any:
    """Integers as another integer dtype, those outside of its limits moved to the limits."""
    old, new = dtypes.iinfo(typeof(x).dtype), dtypes.iinfo(dtype)
    low, high = max(int(old.min), int(new.min)), min(int(old.max), int(new.max))
    return as_dtype(fnp.clip(x, low, high), dtype)


@sampler(exact=True)
def _randint(key, minval, maxval, *, shape, dtype):
    limit = _clipped(fnp.asarray(dtypes.iinfo(dtype).max, dtype), typeof(maxval).dtype)
    beyond = fnp.greater(maxval, limit)  # the largest integer can be drawn, too
    minval, maxval = _clipped(minval, dtype), _clipped(maxval, dtype)
    minval, maxval, beyond = (broadcast_to_rank(x, len(shape)) for x in (minval, maxval, beyond))
    width = dtypes.iinfo(dtype).bits
    unsigned = np.dtype(f"uint{width}")
    first, second = random_split(key, (2,))
    high, low = random_bits(first, width, shape), random_bits(second, width, shape)
    one = unsigned.type(1)
    span = as_dtype(fnp.subtract(maxval, minval), unsigned)
    span = fnp.where(fnp.less_equal(maxval, minval), one, span)
    more = fnp.logical_and(beyond, fnp.greater(maxval, minval))
    span = broadcast_to(fnp.where(more, fnp.add(span, one), span), shape)
    # high * 2^width + low modulo span, without leaving the width
    half = rem_p(unsigned.type(1 << width // 2), span)
    factor = rem_p(mul_p(half, half), span)
    offset = rem_p(add_p(mul_p(rem_p(high, span), factor), rem_p(low, span)), span)
    return fnp.add(minval, as_dtype(offset, dtype))
