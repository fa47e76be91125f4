"""The Cauchy distribution.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

import math

from fornax import numpy as fnp
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, loc, scale = numbers("cauchy.logpdf", x, loc, scale)
    return -(fnp.log(math.pi * scale) + fnp.log1p(fnp.square((x - loc) / scale)))


pdf = exponential_of(logpdf)


def cdf(x, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, loc, scale = numbers("cauchy.cdf", x, loc, scale)
    return 0.5 + fnp.arctan((x - loc) / scale) / math.pi


def logcdf(x, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`."""
    return fnp.log(cdf(x, loc, scale))


def sf(x, loc=0, scale=1):
    """The probability of numbers above `x`."""
    x, loc, scale = numbers("cauchy.sf", x, loc, scale)
    return cdf(-x, -loc, scale)


def logsf(x, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    return fnp.log(sf(x, loc, scale))


def ppf(q, loc=0, scale=1):
    """The number that lies above a fraction `q` of the distribution."""
    q, loc, scale = numbers("cauchy.ppf", q, loc, scale)
    return fnp.tan(math.pi * q - math.pi / 2) * scale + loc


def isf(q, loc=0, scale=1):
    """The number that lies below a fraction `q` of the distribution."""
    q, loc, scale = numbers("cauchy.isf", q, loc, scale)
    return fnp.tan(math.pi / 2 - math.pi * q) * scale + loc
