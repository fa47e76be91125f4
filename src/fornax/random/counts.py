"""Distributions over whole numbers: geometric, Poisson, binomial, multinomial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.lax import elementwise as lax
from fornax.lax.broadcasting import full
from fornax.lax.loops import while_loop
from fornax.lax.reductions import cumsum
from fornax.lax.scans import scan
from fornax.lax.selection import select
from fornax.numpy.promotion import as_dtype, broadcast_to, check, promote_inexact
from fornax.primitives.random import THREEFRY, generator_of, random_clone_p, random_split
from fornax.random.keys import typed
from fornax.random.sampler import (
    check_shape,
    common_shape,
    float_dtype,
    integer_dtype,
    sampler,
    shape_of,
)
from fornax.random.uniform_family import _unit
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["binomial", "geometric", "multinomial", "poisson"]


def geometric(
    key: Any,
    p: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """How many trials it takes until one of probability `p` succeeds, as integers.

    p: floats that broadcast to `shape`. dtype: an integer dtype (ValueError for others).
    """
    keys, _ = typed("geometric", key)
    dtype = integer_dtype("geometric", dtype)
    shape = common_shape("geometric", shape, p)
    check("geometric", p)
    (p,) = promote_inexact(p)
    return _geometric(keys, p, shape=shape, dtype=dtype)


@sampler
def _geometric(key, p, *, shape, dtype):
    u = _unit(key, shape=shape, dtype=typeof(p).dtype)
    u = fnp.where(fnp.equal(u, 0), 1, u)
    return as_dtype(fnp.floor(fnp.log(u) / fnp.log1p(fnp.negative(p))) + 1, dtype)


# --- Poisson -----------------------------------------------------------------------------------
def poisson(
    key: Any,
    lam: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Integers k of probability lam^k exp(-lam) / k!.

    lam: numbers that broadcast to `shape`. dtype: an integer dtype.
    """
    keys, _ = typed("poisson", key)
    generator = generator_of(typeof(keys).dtype)
    if generator is not THREEFRY:
        raise NotImplementedError(
            located(
                f"`poisson` is only implemented for the threefry2x32 RNG, not {generator.name}",
                "it draws in loops that end at different times for different elements",
                "a key of random.key(seed, impl='threefry2x32') for this draw",
            )
        )
    dtype = requested(dtype, int)
    shape = typeof(lam).shape if shape is None else shape_of(shape)
    check_shape("poisson", shape, typeof(lam).shape)
    return _poisson(keys, as_dtype(lam, dtypes.float32), shape=shape, dtype=dtype)


@sampler
def _poisson(key, lam, *, shape, dtype):
    lam = broadcast_to(fnp.asarray(lam), shape)
    small = fnp.logical_or(fnp.isnan(lam), lam < 10)
    few = fnp.where(small, lam, np.float32(0))
    many = fnp.where(small, np.float32(1e5), lam)
    again = random_clone_p.bind(key)[0]  # one of the two is taken
    result = select(
        small, _poisson_by_product(key, few, dtype), _poisson_by_rejection(again, many, dtype)
    )
    return fnp.where(lam == 0, dtype.type(0), result)


def _poisson_by_product(key: Any, lam: Any, dtype: Any) -> Any:
    """Knuth: how many uniform numbers can be multiplied before exp(-lam) is reached."""
    shape = typeof(lam).shape
    limit = dtype.type(dtypes.iinfo(dtype).max)

    def body(state):
        i, k, key, log_product = state
        key, part = random_split(key, (2,))
        k = select(log_product > -lam, k + 1, k)
        u = _unit(part, shape=shape, dtype=dtypes.float32)
        return i + 1, k, key, log_product + fnp.log(u)

    def going(state):
        i, _, _, log_product = state
        return fnp.logical_and(fnp.any(log_product > -lam), i < limit)

    start = (0, full(shape, dtype.type(0)), key, full(shape, np.float32(0)))
    return as_dtype(while_loop(going, body, start)[1] - 1, dtype)


def _poisson_by_rejection(key: Any, lam: Any, dtype: Any) -> Any:
    """Hörmann, "The transformed rejection method for generating Poisson random variables", 1993."""
    shape = typeof(lam).shape
    limit = dtype.type(dtypes.iinfo(dtype).max)
    log_lam = lax.log(lam)
    b = 0.931 + 2.53 * lax.sqrt(lam)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)

    def body(state):
        i, found, accepted, key = state
        key, u_key, v_key = random_split(key, (3,))
        u = _unit(u_key, shape=shape, dtype=dtypes.float32) - 0.5
        v = _unit(v_key, shape=shape, dtype=dtypes.float32)
        rest = 0.5 - abs(u)
        k = lax.floor((2 * a / rest + b) * u + lam + 0.43)
        s = lax.log(v * inverse_alpha / (a / (rest * rest) + b))
        t = -lam + k * log_lam - lax.lgamma(k + 1)
        inside = (rest >= 0.07) & (v <= v_r)
        outside = (k < 0) | ((rest < 0.013) & (v > rest))
        accept = inside | (~outside & (s <= t))
        return i + 1, select(accept, k, found), accepted | accept, key

    def going(state):
        i, _, accepted, _ = state
        return fnp.logical_and(fnp.any(~accepted), i < limit)

    start = (0, full(shape, np.float32(-1)), full(shape, np.False_), key)
    return as_dtype(while_loop(going, body, start)[1], dtype)


# --- binomial ----------------------------------------------------------------------------------
def binomial(key: Any, n: Any, p: Any, shape: Sequence[int] | None = None, dtype: Any = None):
    """How many of `n` trials of probability `p` succeed, as floats.

    n, p: numbers that broadcast to `shape`. NaN where n is negative or p outside of [0, 1].
    dtype: a floating dtype (ValueError for others).
    """
    keys, _ = typed("binomial", key)
    check("binomial", n, p)
    dtype = float_dtype("binomial", dtype)
    shape = common_shape("binomial", shape, n, p)
    (p,) = promote_inexact(p)
    return _binomial(keys, as_dtype(n, typeof(p).dtype), p, shape=shape, dtype=dtype)


@sampler
def _binomial(key, count, prob, *, shape, dtype):
    count = broadcast_to(fnp.asarray(count), shape)
    prob = broadcast_to(fnp.asarray(prob), shape)
    kind = prob.dtype.type
    low = prob < 0.5
    q = fnp.where(low, prob, 1.0 - prob)  # the rarer outcome is counted
    no_count = fnp.isnan(count) | (count < 0.0)
    endless = fnp.isinf(count)
    no_number, negative = fnp.isnan(q), q < 0.0
    q = fnp.where(no_number | negative, kind(0.01), q)
    few = no_count | (count * q <= 10.0)
    count = fnp.floor(count)
    limit = dtype.type(dtypes.finfo(dtype).max)
    again = random_clone_p.bind(key)[0]  # one of the two is taken
    samples = select(
        few,
        _binomial_by_inversion(key, fnp.where(few, count, kind(0)), q, dtype, limit),
        _binomial_by_rejection(
            again, fnp.where(few, kind(1e4), count), fnp.where(few, kind(0.5), q), dtype, limit
        ),
    )
    invalid = negative | no_number | no_count
    samples = fnp.where(invalid, dtype.type(np.nan), samples)
    samples = fnp.where(endless & ~invalid, dtype.type(np.inf), samples)
    as_is = low | no_count | no_number | endless
    return fnp.where(as_is, samples, as_dtype(count, dtype) - samples)


def _binomial_by_inversion(key: Any, count: Any, prob: Any, dtype: Any, limit: Any) -> Any:
    """How many geometric numbers fit into `count`."""
    shape, kind = typeof(prob).shape, typeof(prob).dtype
    log_failure = fnp.log1p(-prob)

    def body(state):
        i, number, total, key = state
        part, key = random_split(key, (2,))
        number = select(total <= count, number + 1, number)
        u = _unit(part, shape=shape, dtype=kind)
        return i + 1, number, total + fnp.ceil(fnp.log(u) / log_failure), key

    def going(state):
        i, _, total, _ = state
        return fnp.logical_and(fnp.any(total <= count), i < limit)

    zero = full(shape, kind.type(0))
    return as_dtype(while_loop(going, body, (0, zero, zero, key))[1] - 1, dtype)


def _binomial_by_rejection(key: Any, count: Any, prob: Any, dtype: Any, limit: Any) -> Any:
    """Hörmann, "The generation of binomial random variates", 1993: algorithm BTRS."""
    shape, kind = typeof(prob).shape, typeof(prob).dtype
    deviation = fnp.sqrt(count * prob * (1 - prob))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    c = count * prob + 0.5
    v_r = 0.92 - 4.2 / b
    r = prob / (1 - prob)
    alpha = (2.83 + 5.1 / b) * deviation
    m = fnp.floor((count + 1) * prob)

    def body(state):
        i, found, accepted, key = state
        key, u_key, v_key = random_split(key, (3,))
        u = _unit(u_key, shape=shape, dtype=kind)
        v = _unit(v_key, shape=shape, dtype=kind)
        u = u - 0.5
        rest = 0.5 - fnp.abs(u)
        inside = (rest >= 0.07) & (v <= v_r)
        k = fnp.floor((2 * a / rest + b) * u + c)
        outside = (k < 0) | (k > count)
        v = fnp.log(v * alpha / (a / (rest * rest) + b))
        bound = (
            (m + 0.5) * fnp.log((m + 1) / (r * (count - m + 1)))
            + (count + 1) * fnp.log((count - m + 1) / (count - k + 1))
            + (k + 0.5) * fnp.log(r * (count - k + 1) / (k + 1))
            + _stirling_rest(m)
            + _stirling_rest(count - m)
            - _stirling_rest(k)
            - _stirling_rest(count - k)
        )
        accept = inside | (~outside & (v <= bound))
        return i + 1, select(accept, k, found), accepted | accept, key

    def going(state):
        i, _, accepted, _ = state
        return fnp.logical_and(fnp.any(~accepted), i < limit)

    start = (0, full(shape, kind.type(-1)), full(shape, np.False_), key)
    return as_dtype(while_loop(going, body, start)[1], dtype)


def _stirling_rest(k: Any) -> Any:
    """log k! minus Stirling's formula: exact values up to 9, then the asymptotic series."""
    small = k <= 9
    k = fnp.clip(k, 0.0, 9.0)
    square = (k + 1) * (k + 1)
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
    whole = fnp.floor(k)
    exact = series
    for number, value in enumerate(_STIRLING_RESTS):
        exact = fnp.where(whole == number, value, exact)
    return fnp.where(small, exact, series)


#: log k! - (k + 1/2) log(k + 1) + (k + 1) - log(2 pi) / 2 for k = 0 … 9
_STIRLING_RESTS = tuple(
    math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - 0.5 * math.log(2 * math.pi)
    for k in range(10)
)


def multinomial(
    key: Any,
    n: Any,
    p: Any,
    *,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    unroll: int | bool = 1,
):
    """How often each outcome comes up in `n` trials with probabilities `p`, along the last axis.

    n: numbers of shape shape[:-1]. p: floats that broadcast to `shape`, by default their own.
    """
    keys, _ = typed("multinomial", key)
    check("multinomial", n, p)
    n, p = map(fnp.asarray, promote_inexact(n, p))
    shape = p.shape if shape is None else shape_of(shape)
    n, p = broadcast_to(n, shape[:-1]), broadcast_to(p, shape)

    def outcome(left, at):
        ratio, key = at
        count = binomial(key, left, fnp.clip(ratio, 0, 1), dtype=left.dtype)
        return left - count, count

    p = fnp.moveaxis(p, -1, 0)
    rest = cumsum(p, 0, reverse=True)
    ratios = p / fnp.where(rest == 0, 1, rest)
    _, counts = scan(outcome, n, (ratios, random_split(keys, (shape[-1],))), unroll=unroll)
    counts = fnp.moveaxis(counts, 0, -1)
    return counts if dtype is None else counts.astype(dtype)
