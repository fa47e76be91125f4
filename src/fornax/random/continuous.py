"""Continuous distributions that are functions of one uniform number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.types import typeof
from fornax.lax import elementwise as lax
from fornax.lax.selection import select
from fornax.numpy.promotion import as_dtype, broadcast_to
from fornax.primitives.family import constant
from fornax.primitives.random import random_bits
from fornax.random.keys import typed
from fornax.random.sampler import (
    check_cast,
    check_shape,
    common_shape,
    float_dtype,
    sampler,
    shape_of,
)
from fornax.random.standard import standard_exponential
from fornax.random.uniform_family import _uniform, _unit
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "cauchy", "exponential", "gumbel", "laplace", "logistic", "pareto", "triangular",
    "weibull_min",
]  # fmt: skip


def exponential(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
):
    """Numbers of density exp(-x) for x >= 0.

    key: a random key. shape: the result's shape. dtype: a floating dtype (ValueError for others).
    """
    keys, _ = typed("exponential", key)
    dtype = float_dtype("exponential", dtype)
    return standard_exponential(keys, shape=shape_of(shape), dtype=dtype)


def cauchy(key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None):
    """Numbers of density 1 / (pi (x² + 1))."""
    keys, _ = typed("cauchy", key)
    return _cauchy(keys, shape=shape_of(shape), dtype=float_dtype("cauchy", dtype))


@sampler
def _cauchy(key, *, shape, dtype):
    u = _uniform(key, float(dtypes.finfo(dtype).eps), 1.0, shape=shape, dtype=dtype)
    return lax.tan(lax.mul(constant(u, np.pi), lax.sub(u, constant(u, 0.5))))


def laplace(key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None):
    """Numbers of density exp(-|x|) / 2."""
    keys, _ = typed("laplace", key)
    return _laplace(keys, shape=shape_of(shape), dtype=float_dtype("laplace", dtype))


@sampler
def _laplace(key, *, shape, dtype):
    low = -1.0 + float(dtypes.finfo(dtype).epsneg)
    u = _uniform(key, low, 1.0, shape=shape, dtype=dtype)
    return lax.mul(lax.sign(u), lax.log1p(lax.neg(lax.abs(u))))


def logistic(key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None):
    """Numbers of density exp(-x) / (1 + exp(-x))²."""
    keys, _ = typed("logistic", key)
    return _logistic(keys, shape=shape_of(shape), dtype=float_dtype("logistic", dtype))


@sampler
def _logistic(key, *, shape, dtype):
    low = float(dtypes.finfo(dtype).tiny)
    u = _uniform(key, low, 1.0, shape=shape, dtype=dtype)
    return lax.sub(lax.log(u), lax.log1p(lax.neg(u)))


# --- Gumbel ------------------------------------------------------------------------------------
def gumbel_mode(mode: str | None) -> str:
    """The mode, "low" for None. Raises ValueError for what is none."""
    chosen = "low" if mode is None else mode
    if chosen not in ("highest", "high", "low"):
        raise ValueError(
            located(
                f"Must provide valid mode for gumbel got: {mode}", attempt="mode='high' or 'low'"
            )
        )
    return chosen


def gumbel(
    key: Any,
    shape: Sequence[int] = (),
    dtype: Any = None,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
):
    """Numbers of density exp(-x - exp(-x)).

    mode: "low" (the default) has the range of one uniform number, "high" that of two, "highest"
    that of 64 bits (for float32). Raises ValueError for another mode.
    """
    keys, _ = typed("gumbel", key)
    dtype = float_dtype("gumbel", dtype)
    return standard_gumbel(keys, shape=shape_of(shape), dtype=dtype, mode=gumbel_mode(mode))


@sampler
def _gumbel(key, *, shape, dtype, mode):
    info = dtypes.finfo(dtype)
    if mode == "low":
        u = _uniform(key, float(info.tiny), 1.0, shape=shape, dtype=dtype)
        return lax.neg(lax.log(lax.neg(lax.log(u))))
    if mode == "highest" and dtype == dtypes.float32:
        return _gumbel_of_64_bits(key, shape)
    high, low = _unit(key, shape=(2, *shape), dtype=dtype)
    fine = high + 2.0**-info.nmant * low + float(info.tiny)
    u = fnp.where(fnp.greater_equal(high, 0.5), high, fine)
    return lax.neg(lax.log(lax.neg(lax.log1p(lax.neg(u)))))


standard_gumbel = _gumbel


def _gumbel_of_64_bits(key: Any, shape: tuple[int, ...]) -> Any:
    word = dtypes.uint32.type
    high, low = random_bits(key, 32, (2, *shape))
    # of the number and its negative the smaller one is used, which has more leading zeros
    carry = as_dtype(fnp.equal(lax.bitwise_not(low), word(0xFFFFFFFF)), dtypes.uint32)
    smaller = fnp.less(high, word(1 << 31))
    x = _fraction(
        select(smaller, high, lax.add(lax.bitwise_not(high), carry)),
        select(smaller, low, lax.add(lax.bitwise_not(low), word(1))),
    )
    below = lax.neg(lax.log(lax.neg(lax.log1p(lax.neg(x)))))
    return select(smaller, below, lax.neg(lax.log(lax.neg(lax.log(x)))))


def _fraction(high: Any, low: Any) -> Any:
    """A 64-bit number in two words, over 2⁶⁴, as float32: cut off, never rounded to zero."""
    word = dtypes.uint32.type
    zeros, more = lax.clz(high), lax.clz(low)
    empty = fnp.equal(zeros, word(32))
    rest = select(
        empty, lax.shift_left(low, more), lax.shift_right_logical(low, lax.sub(word(32), zeros))
    )
    bits = lax.bitwise_or(lax.shift_left(high, zeros), rest)
    mantissa = lax.bitwise_and(lax.shift_right_logical(bits, word(8)), word((1 << 23) - 1))
    leading = select(empty, lax.add(word(32), more), zeros)
    exponent = lax.bitwise_and(
        lax.shift_left(lax.sub(word(126), leading), word(23)), word((1 << 30) - (1 << 22))
    )
    return lax.bitwise_or(exponent, mantissa).view(dtypes.float32)


# --- with parameters ---------------------------------------------------------------------------
def pareto(
    key: Any,
    b: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Numbers of density b / x^(b + 1) for x >= 1; b broadcasts to `shape`."""
    keys, _ = typed("pareto", key)
    dtype = float_dtype("pareto", dtype)
    shape = common_shape("pareto", shape, b)
    check_cast("pareto", dtype, b)
    return _pareto(keys, as_dtype(b, dtype), shape=shape, dtype=dtype)


@sampler
def _pareto(key, b, *, shape, dtype):
    return lax.exp(fnp.divide(standard_exponential(key, shape=shape, dtype=dtype), b))


def weibull_min(
    key: Any, scale: Any, concentration: Any, shape: Sequence[int] = (), dtype: Any = None
):
    """scale times the power 1 / concentration of exponential numbers."""
    keys, _ = typed("weibull_min", key)
    dtype = float_dtype("weibull_min", dtype)
    return _weibull_min(keys, scale, concentration, shape=shape_of(shape), dtype=dtype)


@sampler
def _weibull_min(key, scale, concentration, *, shape, dtype):
    e = standard_exponential(key, shape=shape, dtype=dtype)
    return fnp.multiply(fnp.power(e, fnp.divide(1.0, concentration)), scale)


def triangular(
    key: Any,
    left: Any,
    mode: Any,
    right: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Numbers whose density rises from `left` to `mode` and falls to `right`, in straight lines."""
    keys, _ = typed("triangular", key)
    dtype = float_dtype("triangular", dtype)
    shape = common_shape("triangular", shape, left, mode, right)
    check_cast("triangular", dtype, left, mode, right)
    bounds = (as_dtype(x, dtype) for x in (left, mode, right))
    return _triangular(keys, *bounds, shape=shape, dtype=dtype)


@sampler
def _triangular(key, left, mode, right, *, shape, dtype):
    check_shape("triangular", shape, *(typeof(x).shape for x in (left, mode, right)))
    left, mode, right = (broadcast_to(fnp.asarray(x), shape) for x in (left, mode, right))
    u = _unit(key, shape=shape, dtype=dtype)
    width = right - left
    rising = left + lax.sqrt(u * width * (mode - left))
    falling = right - lax.sqrt((1 - u) * width * (right - mode))
    return select(fnp.less(u, (mode - left) / width), rising, falling)
