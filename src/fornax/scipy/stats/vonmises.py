"""The von Mises distribution on angles: density proportional to exp(kappa cos x).

Every function takes arrays of numbers, broadcasts and promotes them. Where kappa is not positive,
the result is NaN.
"""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["logpdf", "pdf"]


def logpdf(x, kappa):
    """The logarithm of the density at the angle `x`."""
    x, kappa = numbers("vonmises.logpdf", x, kappa)
    size = fnp.log(2 * np.pi * special.i0e(kappa))
    return fnp.where(kappa > 0, kappa * (fnp.cos(x) - 1) - size, np.nan)


pdf = exponential_of(logpdf)
