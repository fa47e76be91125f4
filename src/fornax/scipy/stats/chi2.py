"""The chi-squared distribution of `df` degrees of freedom.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

import math

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x, df, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, df, loc, scale = numbers("chi2.logpdf", x, df, loc, scale)
    z, half = (x - loc) / scale, df / 2
    shape = special.gammaln(half) + math.log(2) * half + fnp.log(scale)
    return fnp.where(x < loc, -np.inf, (half - 1) * fnp.log(z) - z / 2 - shape)


pdf = exponential_of(logpdf)


def cdf(x, df, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, df, loc, scale = numbers("chi2.cdf", x, df, loc, scale)
    return special.gammainc(df / 2, fnp.clip((x - loc) / (2 * scale), 0, np.inf))


def logcdf(x, df, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`."""
    return fnp.log(cdf(x, df, loc, scale))


def sf(x, df, loc=0, scale=1):
    """The probability of numbers above `x`."""
    x, df, loc, scale = numbers("chi2.sf", x, df, loc, scale)
    return special.gammaincc(df / 2, fnp.clip((x - loc) / (2 * scale), 0, np.inf))


def logsf(x, df, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    return fnp.log(sf(x, df, loc, scale))
