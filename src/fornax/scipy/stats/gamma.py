"""The gamma distribution of shape `a`.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x, a, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, a, loc, scale = numbers("gamma.logpdf", x, a, loc, scale, strong=True)
    inside = x >= loc
    z = fnp.where(inside, (x - loc) / scale, 1)
    shape = special.gammaln(a) + fnp.log(scale)
    return fnp.where(inside, special.xlogy(a - 1, z) - z - shape, -np.inf)


pdf = exponential_of(logpdf)


def cdf(x, a, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, a, loc, scale = numbers("gamma.cdf", x, a, loc, scale, strong=True)
    return special.gammainc(a, fnp.clip((x - loc) / scale, 0, np.inf))


def logcdf(x, a, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`."""
    return fnp.log(cdf(x, a, loc, scale))


def sf(x, a, loc=0, scale=1):
    """The probability of numbers above `x`."""
    x, a, loc, scale = numbers("gamma.sf", x, a, loc, scale)
    z = (x - loc) / scale
    return fnp.where(z < 0, 1, special.gammaincc(a, z))


def logsf(x, a, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    return fnp.log(sf(x, a, loc, scale))
