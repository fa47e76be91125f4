"""The Gumbel distribution of the largest of many numbers.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them; where it is not positive, the result is NaN.
"""

from __future__ import annotations

import numpy as np

from fornax import nn
from fornax import numpy as fnp
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, loc, scale = numbers("gumbel_r.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return fnp.where(scale > 0, -fnp.log(scale) - (z + fnp.exp(-z)), np.nan)


pdf = exponential_of(logpdf)


def logcdf(x, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`."""
    x, loc, scale = numbers("gumbel_r.logcdf", x, loc, scale)
    return fnp.where(scale > 0, -fnp.exp((loc - x) / scale), np.nan)


cdf = exponential_of(logcdf)


def logsf(x, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    x, loc, scale = numbers("gumbel_r.logsf", x, loc, scale)
    return fnp.where(scale > 0, nn.log1mexp(fnp.exp((loc - x) / scale)), np.nan)


def sf(x, loc=0, scale=1):
    """The probability of numbers above `x`."""
    x, loc, scale = numbers("gumbel_r.sf", x, loc, scale)
    return fnp.where(scale > 0, 1 - fnp.exp(-fnp.exp((loc - x) / scale)), np.nan)


def ppf(p, loc=0, scale=1):
    """The number that lies above a fraction `p` of the distribution; NaN for 0 and 1."""
    p, loc, scale = numbers("gumbel_r.ppf", p, loc, scale)
    return fnp.where((p > 0) & (p < 1), loc - scale * fnp.log(-fnp.log(p)), np.nan)
