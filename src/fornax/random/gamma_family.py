"""The gamma distribution, by rejection, and distributions made of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from fornax import numpy as fnp
from fornax.api.custom import custom_jvp
from fornax.api.vmap import vmap
from fornax.ir.basis import instantiate
from fornax.ir.types import typeof
from fornax.lax import elementwise as lax
from fornax.lax.loops import while_loop
from fornax.lax.scans import map as one_by_one
from fornax.lax.selection import select
from fornax.numpy.promotion import as_dtype, broadcast_to
from fornax.primitives.gamma import random_gamma_grad_p
from fornax.primitives.random import THREEFRY, generator_of, random_split
from fornax.primitives.shape import reshape
from fornax.random.keys import typed
from fornax.random.sampler import (
    check_cast,
    check_shape,
    common_shape,
    float_dtype,
    sampler,
    shape_of,
)
from fornax.random.standard import standard_exponential, standard_normal
from fornax.random.uniform_family import unit_interval
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["beta", "chisquare", "dirichlet", "f", "gamma", "loggamma", "t"]


def gamma(
    key: Any,
    a: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Numbers of density proportional to x^(a - 1) exp(-x) for x >= 0. Differentiable in a.

    a: floats that broadcast to `shape`, or give the shape. dtype: a floating dtype (ValueError for
    others). For small a use `loggamma`, whose results do not round to zero.
    """
    return _checked_gamma("gamma", key, a, shape, dtype, log_space=False)


def loggamma(
    key: Any,
    a: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """The logarithms of gamma numbers, exact for small a. See `gamma`."""
    return _checked_gamma("loggamma", key, a, shape, dtype, log_space=True)


def _checked_gamma(name, key, a, shape, dtype, log_space):
    keys, _ = typed(name, key)
    dtype = float_dtype("gamma", dtype)
    shape = common_shape("gamma", shape, a)
    return _gamma(keys, as_dtype(a, dtype), shape=shape, dtype=dtype, log_space=log_space)


@sampler
def _gamma(key, a, *, shape, dtype, log_space):
    check_shape("gamma", shape, typeof(a).shape)
    a = broadcast_to(fnp.asarray(as_dtype(a, dtype)), shape)
    return (_log_samples if log_space else _samples)(key, a)


def _one_each(key: Any, a: Any, log_space: bool) -> Any:
    """One sample for each element of `a`, each from a key of its own."""
    shape = typeof(a).shape
    count = math.prod(shape)
    keys = random_split(key, (count,))
    one = functools.partial(_one_sample, log_space=log_space)
    line = reshape(a, (count,))
    if generator_of(typeof(key).dtype) is THREEFRY:
        return reshape(vmap(one)(keys, line), shape)
    # the bits of other generators depend on what is drawn together
    return reshape(one_by_one(lambda pair: one(*pair), (keys, line)), shape)


@custom_jvp
def _samples(key: Any, a: Any) -> Any:
    return _one_each(key, a, False)


@custom_jvp
def _log_samples(key: Any, a: Any) -> Any:
    return _one_each(key, a, True)


@_samples.defjvp
def _samples_jvp(primals, tangents):
    key, a = primals
    out = _samples(key, a)
    return out, lax.mul(instantiate(tangents[1]), random_gamma_grad_p(a, out))


@_log_samples.defjvp
def _log_samples_jvp(primals, tangents):
    key, a = primals
    out = _log_samples(key, a)
    size = lax.exp(out)
    tiny = typeof(out).dtype.type(dtypes.finfo(typeof(out).dtype).tiny)
    size = fnp.where(fnp.equal(size, 0), tiny, size)
    slope = lax.div(random_gamma_grad_p(a, size), size)
    return out, lax.mul(instantiate(tangents[1]), slope)


def _one_sample(key: Any, a: Any, log_space: bool) -> Any:
    """Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.

    For a < 1, a sample for a + 1 times u^(1/a) with a uniform number u.
    """
    dtype = typeof(a).dtype

    def number(value: float) -> Any:
        return dtype.type(value)

    zero, one = number(0), number(1)
    large = fnp.greater_equal(a, one)
    shifted = select(large, a, lax.add(a, one))
    d = lax.sub(shifted, number(1 / 3))
    c = lax.div(number(1 / 3), lax.sqrt(d))

    def refused(state: Any) -> Any:
        _, x_squared, v, u = state
        squeeze = lax.sub(one, lax.mul(number(0.0331), lax.mul(x_squared, x_squared)))
        exact = lax.add(
            lax.mul(x_squared, number(0.5)), lax.mul(d, lax.add(lax.sub(one, v), lax.log(v)))
        )
        return lax.bitwise_and(lax.ge(u, squeeze), lax.ge(lax.log(u), exact))

    def positive_cube_root(state: Any) -> Any:
        key, _, _ = state
        key, part = random_split(key, (2,))
        x = standard_normal(part, shape=(), dtype=dtype)
        return key, x, lax.add(one, lax.mul(x, c))

    def propose(state: Any) -> Any:
        key, x_key, u_key = random_split(state[0], (3,))
        _, x, v = while_loop(
            lambda s: lax.le(s[2], zero), positive_cube_root, (x_key, zero, number(-1))
        )
        u = unit_interval(u_key, (), dtype)
        return key, lax.mul(x, x), lax.mul(lax.mul(v, v), v), u

    key, boost_key = random_split(key, (2,))
    _, _, v, _ = while_loop(refused, propose, (key, zero, one, number(2)))
    if log_space:
        log_u = lax.neg(standard_exponential(boost_key, shape=(), dtype=dtype))
        boost = select(
            fnp.logical_or(large, lax.eq(log_u, zero)), zero, lax.mul(log_u, lax.div(one, a))
        )
        return lax.add(lax.add(lax.log(d), lax.log(v)), boost)
    u = lax.sub(one, unit_interval(boost_key, (), dtype))
    boost = select(large, one, lax.pow(u, lax.div(one, a)))
    return lax.mul(lax.mul(d, v), boost)


# --- made of gamma numbers ---------------------------------------------------------------------
def beta(
    key: Any,
    a: Any,
    b: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Numbers of density proportional to x^(a - 1) (1 - x)^(b - 1) in [0, 1]."""
    keys, _ = typed("beta", key)
    dtype = float_dtype("beta", dtype)
    check_cast("beta", dtype, a, b)
    shape = common_shape("beta", shape, a, b)
    return _beta(keys, as_dtype(a, dtype), as_dtype(b, dtype), shape=shape, dtype=dtype)


@sampler
def _beta(key, a, b, *, shape, dtype):
    first, second = random_split(key, (2,))
    log_a = _gamma(first, a, shape=shape, dtype=dtype, log_space=True)
    log_b = _gamma(second, b, shape=shape, dtype=dtype, log_space=True)
    top = lax.max(log_a, log_b)
    part_a, part_b = lax.exp(lax.sub(log_a, top)), lax.exp(lax.sub(log_b, top))
    return lax.div(part_a, lax.add(part_a, part_b))


def dirichlet(
    key: Any,
    alpha: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Vectors of positive numbers with sum 1.

    alpha: floats of shape (..., n). shape: what ... broadcasts to. The result has shape
    (*shape, n). Raises ValueError for a scalar alpha.
    """
    keys, _ = typed("dirichlet", key)
    dtype = float_dtype("dirichlet", dtype)
    type = typeof(alpha)
    if not type.shape:
        raise ValueError(
            located(
                f"dirichlet requires alpha.ndim >= 1, got alpha.ndim == {type.ndim}",
                attempt="alpha of at least one dimension: one number for each part",
            )
        )
    batch = type.shape[:-1] if shape is None else shape_of(shape)
    check_shape("dirichlet", batch, type.shape[:-1])
    return _dirichlet(keys, as_dtype(alpha, dtype), shape=(*batch, type.shape[-1]), dtype=dtype)


@sampler
def _dirichlet(key, alpha, *, shape, dtype):
    logits = _gamma(key, alpha, shape=shape, dtype=dtype, log_space=True)
    top = fnp.max(logits, axis=-1, keepdims=True)
    parts = fnp.exp(fnp.subtract(logits, top))
    return fnp.divide(parts, fnp.sum(parts, axis=-1, keepdims=True))


def chisquare(
    key: Any,
    df: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Sums of `df` squares of normal numbers; df broadcasts to `shape` and need not be whole."""
    keys, _ = typed("chisquare", key)
    dtype = float_dtype("chisquare", dtype)
    shape = common_shape("chisquare", shape, df)
    check_cast("chisquare", dtype, df)
    return _chisquare(keys, as_dtype(df, dtype), shape=shape, dtype=dtype)


@sampler
def _chisquare(key, df, *, shape, dtype):
    half = fnp.divide(df, dtype.type(2))
    return fnp.multiply(fnp.exp(_gamma(key, half, shape=shape, dtype=dtype, log_space=True)), 2)


def f(
    key: Any,
    dfnum: Any,
    dfden: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Quotients of two chi-squared numbers, each over its degrees of freedom."""
    keys, _ = typed("f", key)
    dtype = float_dtype("f", dtype)
    shape = common_shape("f", shape, dfnum, dfden)
    check_cast("f", dtype, dfnum, dfden)
    return _f(keys, as_dtype(dfnum, dtype), as_dtype(dfden, dtype), shape=shape, dtype=dtype)


@sampler
def _f(key, dfnum, dfden, *, shape, dtype):
    below, above = random_split(key, (2,))
    numerator = fnp.divide(_chisquare(above, dfnum, shape=shape, dtype=dtype), dfnum)
    denominator = fnp.divide(_chisquare(below, dfden, shape=shape, dtype=dtype), dfden)
    return fnp.divide(numerator, denominator)


def t(
    key: Any,
    df: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Student's t numbers with `df` degrees of freedom; df broadcasts to `shape`."""
    keys, _ = typed("t", key)
    dtype = float_dtype("t", dtype)
    shape = common_shape("t", shape, df)
    check_cast("t", dtype, df)
    return _t(keys, as_dtype(df, dtype), shape=shape, dtype=dtype)


@sampler
def _t(key, df, *, shape, dtype):
    first, second = random_split(key, (2,))
    n = standard_normal(first, shape=shape, dtype=dtype)
    half = fnp.divide(df, dtype.type(2))
    g = _gamma(second, half, shape=shape, dtype=dtype, log_space=False)
    return fnp.multiply(n, fnp.sqrt(fnp.divide(half, g)))
