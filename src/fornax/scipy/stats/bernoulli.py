"""The Bernoulli distribution: 1 with probability `p`, else 0.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers, outside

__all__ = ["cdf", "logpmf", "pmf", "ppf"]


def logpmf(k, p, loc=0):
    """The logarithm of the probability of `k`."""
    k, p, loc = numbers("bernoulli.logpmf", k, p, loc, strong=True)
    x = k - loc
    total = special.xlogy(x, p) + special.xlog1py(1 - x, -p)
    return fnp.where((x < 0) | (x > 1), -np.inf, total)


pmf = exponential_of(logpmf)


def cdf(k, p):
    """The probability of numbers up to `k`; NaN if `p` is none."""
    k, p = numbers("bernoulli.cdf", k, p, strong=True)
    found = fnp.where(k < 0, 0, fnp.where(k < 1, 1 - p, 1))
    return fnp.where(fnp.isnan(k) | outside(p), np.nan, found)


def ppf(q, p):
    """The least number that at least a fraction `q` of the distribution reaches."""
    q, p = numbers("bernoulli.ppf", q, p)
    found = fnp.where(q <= 1 - p, 0, 1).astype(q.dtype)
    return fnp.where(outside(q) | outside(p), np.nan, found)
