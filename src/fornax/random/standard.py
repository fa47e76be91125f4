"""The standard normal and exponential distributions, which others are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.primitives.elementwise import log1p_p, mul_p, neg_p
from fornax.primitives.quantile import erf_inv_giles_p
from fornax.random.sampler import sampler
from fornax.random.uniform_family import _uniform, unit_interval

__all__ = ["standard_exponential", "standard_normal"]


@sampler
def _normal_real(key: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    # the inverse of the distribution function, at uniform numbers in (-1, 1)
    low = np.nextafter(dtype.type(-1), dtype.type(0), dtype=dtype)
    u = _uniform(key, low, dtype.type(1), shape=shape, dtype=dtype)
    return mul_p(dtype.type(np.sqrt(2)), erf_inv_giles_p(u))


@sampler
def _exponential(key: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    return neg_p(log1p_p(neg_p(unit_interval(key, shape, dtype))))


standard_normal, standard_exponential = _normal_real, _exponential
