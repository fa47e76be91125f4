"""The normal distribution and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.requested import requested
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.elementwise import exp, integer_pow, log, nextafter, sqrt
from fornax.lax.selection import select, stop_gradient
from fornax.numpy.promotion import as_dtype, broadcast_to
from fornax.primitives.elementwise import mul_p
from fornax.primitives.quantile import erf_inv_giles_p
from fornax.primitives.random import random_split
from fornax.primitives.special import erf_p
from fornax.random.gamma_family import _gamma
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
from fornax.random.uniform_family import _rademacher, _uniform, _unit
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "ball", "double_sided_maxwell", "generalized_normal", "lognormal", "maxwell", "normal",
    "rayleigh", "truncated_normal", "wald",
]  # fmt: skip


def normal(key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None):
    """Normal numbers of mean 0 and variance 1; for complex dtypes, the parts have variance 1/2.

    key: a random key. shape: the result's shape. dtype: a floating or complex dtype. Raises
    ValueError for others.
    """
    keys, _ = typed("normal", key)
    dtype = _inexact_dtype("normal", dtype)
    return _normal(keys, shape=shape_of(shape), dtype=dtype)


def _inexact_dtype(name: str, dtype: Any) -> Any:
    chosen = requested(dtype, float)
    if not dtypes.is_inexact(chosen):
        raise ValueError(
            located(
                f"dtype argument to `{name}` must be a float or complex dtype, got {chosen}",
                attempt="'float32', and astype or random.randint for integers",
            )
        )
    return chosen


@sampler
def _normal(key, *, shape, dtype):
    if not dtypes.is_complex(dtype):
        return standard_normal(key, shape=shape, dtype=dtype)
    part = dtypes.real_dtype(dtype)
    real, imaginary = (
        as_dtype(standard_normal(k, shape=shape, dtype=part), dtype)
        for k in random_split(key, (2,))
    )
    total = fnp.add(real, fnp.multiply(1j, imaginary))
    return fnp.divide(total, np.asarray(np.sqrt(2), dtype)[()])


def truncated_normal(
    key: Any,
    lower: Any,
    upper: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Normal numbers between lower and upper.

    lower, upper: bounds that broadcast to `shape`, or give the shape. dtype: a floating dtype.
    Raises ValueError for other dtypes and shapes that do not fit.
    """
    keys, _ = typed("truncated_normal", key)
    dtype = float_dtype("truncated_normal", dtype)
    shape = common_shape("truncated_normal", shape, lower, upper)
    lower, upper = as_dtype(lower, dtype), as_dtype(upper, dtype)
    return _truncated_normal(keys, lower, upper, shape=shape, dtype=dtype)


@sampler
def _truncated_normal(key, lower, upper, *, shape, dtype):
    root = dtype.type(np.sqrt(2))
    low, high = (erf_p(fnp.divide(x, root)) for x in (lower, upper))
    out = mul_p(root, erf_inv_giles_p(_uniform(key, low, high, shape=shape, dtype=dtype)))
    infinity = dtype.type(np.inf)
    return fnp.clip(
        out,
        nextafter(stop_gradient(lower), infinity),
        nextafter(stop_gradient(upper), -infinity),
    )


def lognormal(
    key: Any,
    sigma: Any = np.float32(1),  # noqa: B008
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """exp of normal numbers with standard deviation `sigma`."""
    keys, _ = typed("lognormal", key)
    dtype = _inexact_dtype("lognormal", dtype)
    shape = common_shape("lognormal", shape, sigma)
    check_cast("lognormal", dtype, sigma)
    return _lognormal(keys, as_dtype(sigma, dtype), shape=shape, dtype=dtype)


@sampler
def _lognormal(key, sigma, *, shape, dtype):
    return exp(fnp.multiply(_normal(key, shape=shape, dtype=dtype), sigma))


def maxwell(key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None):
    """Lengths of vectors of three normal numbers."""
    keys, _ = typed("maxwell", key)
    dtype = float_dtype("maxwell", dtype)
    return _maxwell(keys, shape=shape_of(shape), dtype=dtype)


@sampler
def _maxwell(key, *, shape, dtype):
    vectors = standard_normal(key, shape=(*shape, 3), dtype=dtype)
    return fnp.sqrt(fnp.sum(fnp.multiply(vectors, vectors), axis=-1))


def double_sided_maxwell(
    key: Any, loc: Any, scale: Any, shape: Sequence[int] = (), dtype: Any = None
):
    """Maxwell numbers of either sign, times `scale`, plus `loc`.

    The result has the shape `shape` followed by that of loc and scale; loc's shape twice if empty.
    """
    keys, _ = typed("double_sided_maxwell", key)
    dtype = float_dtype("double_sided_maxwell", dtype)
    parameters = common_shape("double_sided_maxwell", None, loc, scale)
    shape = (*(shape_of(shape) or parameters), *parameters)
    return _double_sided_maxwell(keys, loc, scale, shape=shape, dtype=dtype)


@sampler
def _double_sided_maxwell(key, loc, scale, *, shape, dtype):
    first, second = random_split(key, (2,))
    size = _maxwell(first, shape=shape, dtype=dtype)
    sign = _rademacher(second, shape=shape, dtype=dtype)
    return fnp.add(fnp.multiply(fnp.multiply(sign, size), scale), loc)


def rayleigh(
    key: Any,
    scale: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Lengths of vectors of two normal numbers of standard deviation `scale`."""
    keys, _ = typed("rayleigh", key)
    dtype = float_dtype("rayleigh", dtype)
    shape = common_shape("rayleigh", shape, scale)
    check_cast("rayleigh", dtype, scale)
    return _rayleigh(keys, as_dtype(scale, dtype), shape=shape, dtype=dtype)


@sampler
def _rayleigh(key, scale, *, shape, dtype):
    u = _unit(key, shape=shape, dtype=dtype)
    return fnp.multiply(broadcast_to(scale, shape), sqrt(fnp.multiply(log(u), -2)))


def wald(
    key: Any,
    mean: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """The inverse normal distribution of this mean and scale 1 (Michael, Schucany, Haas 1976)."""
    keys, _ = typed("wald", key)
    dtype = float_dtype("wald", dtype)
    shape = common_shape("wald", shape, mean)
    check_cast("wald", dtype, mean)
    return _wald(keys, as_dtype(mean, dtype), shape=shape, dtype=dtype)


@sampler
def _wald(key, mean, *, shape, dtype):
    first, second = random_split(key, (2,))
    mean = broadcast_to(mean, shape)
    y = integer_pow(standard_normal(first, shape=shape, dtype=dtype), 2)
    z = _unit(second, shape=shape, dtype=dtype)
    squared = integer_pow(mean, 2)
    root = sqrt(4 * mean * y + squared * integer_pow(y, 2))
    x = mean + squared * y / 2 - mean / 2 * root
    return select(fnp.less_equal(z, mean / (mean + x)), x, squared / x)


def generalized_normal(
    key: Any,
    p: Any,
    shape: Sequence[int] = (),
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Numbers of density proportional to exp(-|x|^p)."""
    keys, _ = typed("generalized_normal", key)
    dtype = float_dtype("generalized_normal", dtype)
    return _generalized_normal(keys, p, shape=shape_of(shape), dtype=dtype)


@sampler
def _generalized_normal(key, p, *, shape, dtype):
    first, second = random_split(key, (2,))
    inverse = fnp.divide(1, p)
    check_shape("gamma", shape, typeof(p).shape)
    size = _gamma(first, as_dtype(inverse, dtype), shape=shape, dtype=dtype, log_space=False)
    sign = _rademacher(second, shape=shape, dtype=dtype)
    return fnp.multiply(sign, fnp.power(size, inverse))


def ball(
    key: Any,
    d: int,
    p: Any = 2,
    shape: Sequence[int] = (),
    dtype: Any = None,
    *,
    out_sharding: Any = None,
):
    """Points spread evenly over the ball of radius 1 in the p-norm, in `d` dimensions.

    The result has shape (*shape, d).
    """
    keys, _ = typed("ball", key)
    dtype = float_dtype("ball", dtype)
    return _ball(keys, p, d=static_integer(d, "d"), shape=shape_of(shape), dtype=dtype)


@sampler
def _ball(key, p, *, d, shape, dtype):
    first, second = random_split(key, (2,))
    g = _generalized_normal(first, p, shape=(*shape, d), dtype=dtype)
    e = standard_exponential(second, shape=shape, dtype=dtype)
    total = fnp.add(fnp.sum(fnp.power(fnp.abs(g), p), axis=-1), e)
    return fnp.divide(g, fnp.expand_dims(fnp.power(total, fnp.divide(1, p)), -1))
