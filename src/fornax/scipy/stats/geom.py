"""The geometric distribution: trials until one succeeds, each with probability `p`.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["logpmf", "pmf"]


def logpmf(k, p, loc=0):
    """The logarithm of the probability of `k`."""
    k, p, loc = numbers("geom.logpmf", k, p, loc, strong=True)
    x = k - loc
    return fnp.where(x <= 0, -np.inf, special.xlog1py(x - 1, -p) + fnp.log(p))


pmf = exponential_of(logpmf)
