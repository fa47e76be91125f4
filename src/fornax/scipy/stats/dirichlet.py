"""The Dirichlet distribution on vectors that add up to 1.

Every function takes arrays of numbers, broadcasts and promotes them."""

from __future__ import annotations

import numpy as np

from fornax import numpy as fnp
from fornax.scipy import special
from fornax.scipy.stats.arguments import exponential_of, numbers
from fornax.source import located

__all__ = ["logpdf", "pdf"]


def logpdf(x, alpha):
    """The logarithm of the density at `x`, whose first dimension has the components.

    alpha: a vector of concentrations. The last component of x may be left out. Raises ValueError
    for other shapes.
    """
    x, alpha = numbers("dirichlet.logpdf", x, alpha)
    if alpha.ndim != 1:
        raise ValueError(
            located(
                f"`alpha` must be one-dimensional; got alpha.shape={alpha.shape}",
                attempt="vmap(dirichlet.logpdf) for several distributions",
            )
        )
    if x.shape[0] not in (alpha.shape[0], alpha.shape[0] - 1):
        raise ValueError(
            located(
                "`x` must have either the same number of entries as `alpha` or one entry fewer; "
                f"got x.shape={x.shape}, alpha.shape={alpha.shape}",
                attempt="x of shape (len(alpha), ...)",
            )
        )
    if x.shape[0] != alpha.shape[0]:
        x = fnp.concatenate([x, 1 - fnp.sum(x, 0, keepdims=True)])
    size = fnp.sum(special.gammaln(alpha)) - special.gammaln(fnp.sum(alpha))
    powers = fnp.reshape(alpha - 1, (-1, *(1,) * (x.ndim - 1)))
    total = fnp.sum(special.xlogy(powers, x), 0) - size
    inside = fnp.all(x > 0, 0) & (fnp.abs(fnp.sum(x, 0) - 1) < 1e-6)
    return fnp.where(inside, total, -np.inf)


pdf = exponential_of(logpdf)
