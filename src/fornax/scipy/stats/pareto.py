"""The Pareto distribution: numbers from 1 on whose density falls as a power.

Every function takes arrays of numbers, broadcasts and promotes them.

`b` is the exponent of the probability of larger numbers; `loc` moves the numbers, `scale` stretches
them.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy.stats.arguments import exponential_of, numbers, outside

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x, b, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, b, loc, scale = numbers("pareto.logpdf", x, b, loc, scale, strong=True)
    size = fnp.log(scale / b) + (b + 1) * fnp.log((x - loc) / scale)
    return fnp.where(x < loc + scale, -np.inf, -size)


pdf = exponential_of(logpdf)


def cdf(x, b, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, b, loc, scale = numbers("pareto.cdf", x, b, loc, scale, strong=True)
    return fnp.where(x < loc + scale, 0.0, 1 - fnp.power((x - loc) / scale, -b))


def logcdf(x, b, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`."""
    x, b, loc, scale = numbers("pareto.logcdf", x, b, loc, scale)
    return fnp.where(x < loc + scale, -np.inf, fnp.log1p(-fnp.power((x - loc) / scale, -b)))


def logsf(x, b, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    x, b, loc, scale = numbers("pareto.logsf", x, b, loc, scale, strong=True)
    return fnp.where(x < loc + scale, 0.0, -b * fnp.log((x - loc) / scale))


sf = exponential_of(logsf)


def ppf(q, b, loc=0, scale=1):
    """The number that lies above a fraction `q` of the distribution."""
    q, b, loc, scale = numbers("pareto.ppf", q, b, loc, scale)
    return fnp.where(outside(q), np.nan, loc + scale * fnp.power(1 - q, -1 / b))
