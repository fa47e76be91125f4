"""The logistic distribution.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "isf", "logpdf", "pdf", "ppf", "sf"]


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, loc, scale = numbers("logistic.logpdf", x, loc, scale)
    half = (x - loc) / scale / 2
    return -2 * fnp.logaddexp(half, -half) - fnp.log(scale)


pdf = exponential_of(logpdf)


def cdf(x, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, loc, scale = numbers("logistic.cdf", x, loc, scale)
    return special.expit((x - loc) / scale)


def sf(x, loc=0, scale=1):
    """The probability of numbers above `x`."""
    x, loc, scale = numbers("logistic.sf", x, loc, scale)
    return special.expit(-((x - loc) / scale))


def ppf(x, loc=0, scale=1):
    """The number that lies above a fraction `x` of the distribution."""
    x, loc, scale = numbers("logistic.ppf", x, loc, scale)
    return special.logit(x) * scale + loc


def isf(x, loc=0, scale=1):
    """The number that lies below a fraction `x` of the distribution."""
    x, loc, scale = numbers("logistic.isf", x, loc, scale)
    return -special.logit(x) * scale + loc
