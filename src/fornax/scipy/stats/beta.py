"""The beta distribution of shapes `a` and `b`.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x, a, b, loc=0, scale=1):
    """The logarithm of the density at `x`; NaN for shapes or scales that are not positive."""
    x, a, b, loc, scale = numbers("beta.logpdf", x, a, b, loc, scale)
    z = (x - loc) / scale
    total = special.xlogy(a - 1, z) + special.xlog1py(b - 1, -z)
    total = total - special.betaln(a, b) - fnp.log(scale)
    total = fnp.where((x > loc + scale) | (x < loc), -np.inf, total)
    return fnp.where((a <= 0) | (b <= 0) | (scale <= 0), np.nan, total)


pdf = exponential_of(logpdf)


def cdf(x, a, b, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, a, b, loc, scale = numbers("beta.cdf", x, a, b, loc, scale)
    return special.betainc(a, b, fnp.clip((x - loc) / scale, 0, 1))


def logcdf(x, a, b, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`."""
    return fnp.log(cdf(x, a, b, loc, scale))


def sf(x, a, b, loc=0, scale=1):
    """The probability of numbers above `x`."""
    x, a, b, loc, scale = numbers("beta.sf", x, a, b, loc, scale)
    return special.betainc(b, a, 1 - fnp.clip((x - loc) / scale, 0, 1))


def logsf(x, a, b, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    return fnp.log(sf(x, a, b, loc, scale))
