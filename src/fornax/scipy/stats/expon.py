"""The exponential distribution.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy.stats.arguments import exponential_of, numbers, outside

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, loc, scale = numbers("expon.logpdf", x, loc, scale)
    return fnp.where(x < loc, -np.inf, -((x - loc) / scale + fnp.log(scale)))


pdf = exponential_of(logpdf)


def cdf(x, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, loc, scale = numbers("expon.cdf", x, loc, scale)
    return fnp.where(x < loc, 0, -fnp.expm1((loc - x) / scale))


def logcdf(x, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`."""
    return fnp.log1p(-sf(x, loc, scale))


def logsf(x, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    x, loc, scale = numbers("expon.sf", x, loc, scale)
    return fnp.where(x < loc, 0, (loc - x) / scale)


sf = exponential_of(logsf)


def ppf(q, loc=0, scale=1):
    """The number that lies above a fraction `q` of the distribution; NaN if that is none."""
    q, loc, scale = numbers("expon.ppf", q, loc, scale)
    return fnp.where(outside(q), np.nan, loc - scale * fnp.log1p(-q))
