"""The Laplace distribution.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

from fornax import numpy as fnp
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "logpdf", "pdf"]


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, loc, scale = numbers("laplace.logpdf", x, loc, scale)
    return -(fnp.abs(x - loc) / scale + fnp.log(2 * scale))


pdf = exponential_of(logpdf)


def cdf(x, loc=0, scale=1):
    """The probability of numbers below `x`."""
    x, loc, scale = numbers("laplace.cdf", x, loc, scale)
    z = (x - loc) / scale
    return fnp.where(z <= 0, 0.5 * fnp.exp(z), 1 - 0.5 * fnp.exp(-z))
