"""The negative binomial distribution: failures before `n` successes.

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
    k, n, p, loc = numbers("nbinom.logpmf", k, n, p, loc, strong=True)
    y = k - loc
    ways = special.gammaln(y + n) - special.gammaln(n) - special.gammaln(y + 1)
    total = ways + special.xlogy(n, p) + special.xlogy(y, 1 - p)
    return fnp.where(k < loc, -np.inf, total)


pmf = exponential_of(logpmf)
