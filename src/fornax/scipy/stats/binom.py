"""The binomial distribution: successes among `n` trials, each with probability `p`.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["logpmf", "pmf"]


def logpmf(k, n, p, loc=0):
    """The logarithm of the probability of `k`."""
    k, n, p, loc = numbers("binom.logpmf", k, n, p, loc)
    y = k - loc
    ways = special.gammaln(n + 1) - (special.gammaln(y + 1) + special.gammaln(n - y + 1))
    powers = special.xlogy(y, p) + special.xlog1py(n - y, -p)
    certain = ((y == 0) & (n == 0)) | (powers == 0)
    total = fnp.where(certain, 0.0, ways + powers)
    return fnp.where((k >= loc) & (k < loc + n + 1), total, -np.inf)


pmf = exponential_of(logpmf)
