"""The Cauchy distribution wrapped around the circle.

Every function takes arrays of numbers, broadcasts and promotes them. Where `c` does not lie between
0 and 1, the result is NaN.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["logpdf", "pdf"]


def logpdf(x, c):
    """The logarithm of the density at the angle `x`, from 0 to 2π."""
    x, c = numbers("wrapcauchy.logpdf", x, c)
    size = fnp.log(2 * np.pi) + fnp.log(1 + c * c - 2 * c * fnp.cos(x))
    inside = fnp.where((x >= 0) & (x <= 2 * np.pi), fnp.log(1 - c * c) - size, -np.inf)
    return fnp.where((c > 0) & (c < 1), inside, np.nan)


pdf = exponential_of(logpdf)
