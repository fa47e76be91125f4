"""The beta-binomial distribution: successes among `n` trials whose probability is drawn from a beta
distribution with parameters `a` and `b`.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["logpmf", "pmf"]


def logpmf(k, n, a, b, loc=0):
    """The logarithm of the probability of `k`; NaN where n is negative, a or b not positive."""
    k, n, a, b, loc = numbers("betabinom.logpmf", k, n, a, b, loc, strong=True)
    y = fnp.floor(k) - loc
    ways = -fnp.log1p(n) - special.betaln(n - y + 1, y + 1)
    total = ways + special.betaln(y + a, n - y + b) - special.betaln(a, b)
    total = fnp.where((y == 0) & (n == 0), 0.0, total)
    total = fnp.where((y < -loc) | (y > n) | (y + a <= 0), -np.inf, total)
    return fnp.where((n < 0) | (a <= 0) | (b <= 0), np.nan, total)


pmf = exponential_of(logpmf)
