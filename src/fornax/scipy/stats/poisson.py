"""The Poisson distribution of mean `mu`.

Every function takes arrays of numbers, broadcasts and promotes them.

`loc` moves the numbers.
"""

from __future__ import annotations

import math

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers

__all__ = ["cdf", "entropy", "logpmf", "pmf"]


def logpmf(k, mu, loc=0):
    """The logarithm of the probability of `k`; -infinity if it is no integer."""
    k, mu, loc = numbers("poisson.logpmf", k, mu, loc)
    x = k - loc
    total = special.xlogy(x, mu) - special.gammaln(x + 1) - mu
    return fnp.where((x < 0) | (fnp.round(k) != k), -np.inf, total)


pmf = exponential_of(logpmf)


def cdf(k, mu, loc=0):
    """The probability of numbers up to `k`."""
    k, mu, loc = numbers("poisson.cdf", k, mu, loc, strong=True)
    x = k - loc
    return fnp.where(x < 0, 0, special.gammaincc(fnp.floor(1 + x), mu))


def entropy(mu, loc=0):
    """The entropy, in nats: summed up to a mean of 100, from there on by its expansion."""
    mu, loc = numbers("poisson.entropy", mu, loc)
    flat = fnp.ravel(mu)
    few = _summed(flat, 35, fnp.ceil(flat + 20))
    many = _summed(flat, 250, fnp.ceil(flat + 10 * fnp.sqrt(flat) + 20))
    expanded = 0.5 * fnp.log(2 * math.pi * math.e * flat) - 1 / (12 * flat)
    found = fnp.where(flat < 10, few, fnp.where(flat < 100, many, expanded))
    found = fnp.reshape(fnp.where(flat == 0, 0, found), mu.shape)
    return fnp.broadcast_to(found, fnp.broadcast_shapes(mu.shape, loc.shape))


def _summed(mu, count, stop):
    """The entropy from the probabilities of 0 to `stop`, below `count`."""
    k = fnp.arange(count, dtype=mu.dtype)[:, None]
    return fnp.sum(special.entr(fnp.where(k < stop, pmf(k, mu), 0)), axis=0)
