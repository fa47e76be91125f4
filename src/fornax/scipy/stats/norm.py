"""The normal distribution. Every function takes arrays of numbers, broadcasts and promotes them.

`loc` is the mean, `scale` the standard deviation.
"""

from __future__ import annotations

import math
from typing import Any

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of
from fornax.scipy.stats.arguments import numbers as _numbers

__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def _standard(name: str, x: Any, loc: Any, scale: Any) -> Any:
    x, loc, scale = _numbers(name, x, loc, scale)
    return fnp.divide(fnp.subtract(x, loc), scale)


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density at `x`."""
    x, loc, scale = _numbers("norm.logpdf", x, loc, scale)
    square = fnp.square(fnp.divide(fnp.subtract(x, loc), scale))
    log_scale = fnp.log(fnp.square(scale))
    total = fnp.add(fnp.add(square, log_scale), math.log(2 * math.pi))
    return fnp.multiply(-0.5, total)


pdf = exponential_of(logpdf)


def cdf(x, loc=0, scale=1):
    """The probability of numbers below `x`."""
    return special.ndtr(_standard("norm.cdf", x, loc, scale))


def logcdf(x, loc=0, scale=1):
    """The logarithm of the probability of numbers below `x`."""
    return special.log_ndtr(_standard("norm.logcdf", x, loc, scale))


def sf(x, loc=0, scale=1):
    """The probability of numbers above `x`."""
    return special.ndtr(fnp.negative(_standard("norm.sf", x, loc, scale)))


def logsf(x, loc=0, scale=1):
    """The logarithm of the probability of numbers above `x`."""
    return special.log_ndtr(fnp.negative(_standard("norm.logsf", x, loc, scale)))


def ppf(q, loc=0, scale=1):
    """The number that lies above a fraction `q` of the distribution: the inverse of cdf."""
    q, loc, scale = _numbers("norm.ppf", q, loc, scale)
    return fnp.add(fnp.multiply(special.ndtri(q), scale), loc)


def isf(q, loc=0, scale=1):
    """The number that lies below a fraction `q` of the distribution: the inverse of sf."""
    return ppf(fnp.subtract(1, q), loc, scale)
