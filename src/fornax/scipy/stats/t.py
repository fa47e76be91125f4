"""Student's distribution of `df` degrees of freedom.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers, `scale` stretches them.
"""

from __future__ import annotations

import math

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["logpdf", "pdf"]


def logpdf(x, df, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, df, loc, scale = numbers("t.logpdf", x, df, loc, scale)
    half = df / 2
    size = special.gammaln(half) + fnp.log(math.pi * df * scale * scale) / 2
    size = size - special.gammaln(half + 0.5)
    return -(size + (half + 0.5) * fnp.log1p(fnp.square((x - loc) / scale) / df))


pdf = exponential_of(logpdf)
