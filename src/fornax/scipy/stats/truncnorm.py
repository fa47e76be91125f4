"""The normal distribution between `a` and `b`, in standard deviations from the mean.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats import norm
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def _log_mass(a, b):
    """The logarithm of the probability between a and b, without cancellation in the tails."""
    a, b = fnp.broadcast_arrays(a, b)
    right = a > 0
    low, high = fnp.where(right, -b, a), fnp.where(right, -a, b)  # the left tail is exact
    pair = fnp.stack([special.log_ndtr(high), special.log_ndtr(low)])
    signs = fnp.stack([fnp.ones_like(low), -fnp.ones_like(low)])
    tail = special.logsumexp(pair, axis=0, b=signs)
    centre = fnp.log1p(-special.ndtr(a) - special.ndtr(-b))
    return fnp.where((b <= 0) | right, tail, centre)


def logpdf(x, a, b, loc=0, scale=1):
    """The logarithm of the density at `x`; NaN unless a < b."""
    x, a, b, loc, scale = numbers("truncnorm.logpdf", x, a, b, loc, scale)
    z = (x - loc) / scale
    total = norm.logpdf(x, loc, scale) - _log_mass(a, b)
    total = fnp.where((z < a) | (z > b), -np.inf, total)
    return fnp.where(a >= b, np.nan, total)


pdf = exponential_of(logpdf)


def logcdf(x, a, b, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`; NaN unless a < b."""
    x, a, b, loc, scale = numbers("truncnorm.logcdf", x, a, b, loc, scale)
    x, a, b = fnp.broadcast_arrays(x, a, b)
    z = (x - loc) / scale
    whole = _log_mass(a, b)
    below, above = _log_mass(a, z) - whole, _log_mass(z, b) - whole
    exact = fnp.where(below > -0.1, fnp.log1p(-fnp.exp(above)), below)
    found = fnp.where(z >= b, 0, fnp.where(z <= a, -np.inf, exact))
    return fnp.where(a >= b, np.nan, found)


cdf = exponential_of(logcdf)


def logsf(x, a, b, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    x, a, b, loc, scale = numbers("truncnorm.logsf", x, a, b, loc, scale)
    return logcdf(-x, -b, -a, -loc, scale)


sf = exponential_of(logsf)
