"""The generalized normal distribution: density proportional to exp(-|x|^beta).

Every function takes arrays of numbers, broadcasts and promotes them.
"""

from __future__ import annotations

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "logpdf", "pdf"]


def logpdf(x, beta):
    """The logarithm of the density at `x`."""
    x, beta = numbers("gennorm.logpdf", x, beta)
    return fnp.log(0.5 * beta) - special.gammaln(1 / beta) - fnp.power(fnp.abs(x), beta)


pdf = exponential_of(logpdf)


def cdf(x, beta):
    """The probability of numbers below `x`."""
    x, beta = numbers("gennorm.cdf", x, beta)
    between = special.gammainc(1 / beta, fnp.power(fnp.abs(x), beta))
    return 0.5 * (1 + fnp.sign(x) * between)
