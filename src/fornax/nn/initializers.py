"""Initialisers of weights: functions of (key, shape, dtype)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax import random
from fornax.numpy.promotion import scalar
from fornax.scalars import dtypes

__all__ = [
    "constant", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "kaiming_normal",
    "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones", "truncated_normal",
    "uniform", "variance_scaling", "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

Initializer = Callable[..., Any]


def _dtype(dtype: Any) -> Any:
    return dtypes.canonical(float if dtype is None else dtype)


def zeros(key, shape, dtype=None, out_sharding=None):
    """All zeros. key: not used."""
    return fnp.zeros(shape, _dtype(dtype))


def ones(key, shape, dtype=None, out_sharding=None):
    """All ones. key: not used."""
    return fnp.ones(shape, _dtype(dtype))


def constant(value, dtype=None) -> Initializer:
    """An initialiser that gives `value` everywhere."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        return fnp.full(shape, value, _dtype(dtype))

    return init


def uniform(scale=1e-2, dtype=None) -> Initializer:
    """An initialiser that draws uniformly from [0, scale)."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        dtype = _dtype(dtype)
        return random.uniform(key, shape, dtype) * fnp.asarray(scale, dtype)

    return init


def normal(stddev=1e-2, dtype=None) -> Initializer:
    """An initialiser that draws from the normal distribution with standard deviation `stddev`."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        dtype = _dtype(dtype)
        return random.normal(key, shape, dtype) * fnp.asarray(stddev, dtype)

    return init


def truncated_normal(stddev=1e-2, dtype=None, lower=-2.0, upper=2.0) -> Initializer:
    """An initialiser that draws from the normal distribution cut at `lower` and `upper`.

    The bounds count standard deviations before scaling; `stddev` is that of the uncut distribution.
    """

    def init(key, shape, dtype=dtype, out_sharding=None):
        dtype = _dtype(dtype)
        return random.truncated_normal(key, lower, upper, shape, dtype) * fnp.asarray(stddev, dtype)

    return init


def _fans(shape: Sequence[int], in_axis: Any, out_axis: Any, batch_axis: Any) -> tuple[float, float]:
    """(inputs, outputs) per unit, times the size of the receptive field."""
    rank = len(shape)
    if rank <= 1:
        raise ValueError(
            f"Can't compute input and output sizes of a {rank}-dimensional weights tensor. Must be "
            "at least 2D."
        )

    def axes(axis: Any) -> list[int]:
        return [a % rank for a in ((axis,) if isinstance(axis, int) else axis)]

    inputs = math.prod(shape[a] for a in axes(in_axis))
    outputs = math.prod(shape[a] for a in axes(out_axis))
    batch = math.prod(shape[a] for a in axes(batch_axis))
    field = math.prod(shape) / max(inputs * outputs * batch, 1)
    return inputs * field, outputs * field


def variance_scaling(
    scale, mode, distribution, in_axis=-2, out_axis=-1, batch_axis=(), dtype=None
) -> Initializer:
    """An initialiser whose variance is scale / n.

    mode: n is "fan_in", "fan_out", "fan_avg" or "fan_geo_avg". distribution: "truncated_normal",
    "normal" or "uniform". in_axis, out_axis, batch_axis: the dimensions of inputs, outputs, and
    those to leave out. Raises ValueError for other names and for fewer than two dimensions.
    """

    def init(key, shape, dtype=dtype, out_sharding=None):
        dtype = _dtype(dtype)
        real = dtypes.real_dtype(dtype)
        fan_in, fan_out = _fans(shape, in_axis, out_axis, batch_axis)
        counts = {
            "fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": (fan_in * fan_out) ** 0.5,
        }  # fmt: skip
        if mode not in counts:
            raise ValueError(f"invalid mode for variance scaling initializer: {mode}")
        variance = fnp.asarray(scale / counts[mode] if counts[mode] else np.inf, real)
        if distribution == "normal":
            return random.normal(key, shape, dtype) * fnp.sqrt(variance).astype(dtype)
        if distribution == "uniform":
            draw = random.uniform(key, shape, dtype, -1)
            return draw * fnp.sqrt(3 * variance).astype(dtype)
        if distribution == "truncated_normal":
            # the standard deviation of the normal distribution cut at two of its own
            stddev = fnp.sqrt(variance) / scalar(0.87962566103423978, real)
            return random.truncated_normal(key, -2, 2, shape, dtype) * stddev.astype(dtype)
        raise ValueError(
            f"invalid distribution for variance scaling initializer: {distribution}"
        )

    return init


def _scaled(name: str, scale: float, mode: str, distribution: str, source: str) -> Initializer:
    def make(in_axis=-2, out_axis=-1, batch_axis=(), dtype=None) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"`variance_scaling({scale}, {mode!r}, {distribution!r})` ({source})."
    return make


_GLOROT, _HE = "Glorot and Bengio 2010", "He et al. 2015"
_LECUN = "LeCun et al. 1998"
glorot_uniform = _scaled("glorot_uniform", 1.0, "fan_avg", "uniform", _GLOROT)
glorot_normal = _scaled("glorot_normal", 1.0, "fan_avg", "truncated_normal", _GLOROT)
lecun_uniform = _scaled("lecun_uniform", 1.0, "fan_in", "uniform", _LECUN)
lecun_normal = _scaled("lecun_normal", 1.0, "fan_in", "truncated_normal", _LECUN)
he_uniform = _scaled("he_uniform", 2.0, "fan_in", "uniform", _HE)
he_normal = _scaled("he_normal", 2.0, "fan_in", "truncated_normal", _HE)
xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
