"""The uniform distribution between `loc` and `loc + scale`.

Every function takes arrays of numbers, broadcasts and promotes them."""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy.stats.arguments import exponential_of, numbers, outside

__all__ = ["cdf", "logpdf", "pdf", "ppf"]


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, loc, scale = numbers("uniform.logpdf", x, loc, scale)
    return fnp.where((x > loc + scale) | (x < loc), -np.inf, -fnp.log(scale))


pdf = exponential_of(logpdf)


def cdf(x, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, loc, scale = numbers("uniform.cdf", x, loc, scale)
    inside = (x >= loc) & (x <= loc + scale)
    beyond = fnp.where(x > loc + scale, 1, 0).astype(x.dtype)
    return fnp.where(inside, (x - loc) / scale, beyond)


def ppf(q, loc=0, scale=1):
    """The number that lies above a fraction `q` of the distribution; NaN if that is none."""
    q, loc, scale = numbers("uniform.ppf", q, loc, scale)
    return fnp.where(outside(q), np.nan, loc + scale * q)
