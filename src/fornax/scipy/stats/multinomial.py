"""The multinomial distribution: how often each of several outcomes comes up among `n` trials."""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.numpy.promotion import check, promote_dtypes
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers
from fornax.source import located

__all__ = ["logpmf", "pmf"]


def logpmf(x, n, p):
    """The logarithm of the probability of the counts `x`, integers, whose last dimension has the
    outcomes.

    n: their sum, an integer. p: probabilities, like x. Raises ValueError for floats as counts.
    """
    (p,) = numbers("multinomial.logpmf", p)
    check("multinomial.logpmf", x, n)
    x, n = (fnp.asarray(a) for a in promote_dtypes(x, n))
    if not fnp.issubdtype(x.dtype, np.integer):
        raise ValueError(
            located(
                f"x and n must be of integer type; got x.dtype={x.dtype}, n.dtype={n.dtype}",
                "outcomes are counted",
                "x.astype(int)",
            )
        )
    counts, total = x.astype(p.dtype), n.astype(p.dtype)
    each = special.xlogy(counts, p) - special.gammaln(counts + 1)
    logarithm = special.gammaln(total + 1) + fnp.sum(each, -1)
    return fnp.where(fnp.sum(counts) == total, logarithm, -np.inf)


pmf = exponential_of(logpmf)
