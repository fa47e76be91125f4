"""The normal distribution of vectors."""

from __future__ import annotations

import math

from fornax import numpy as fnp
from fornax.lax import linalg
from fornax.numpy.promotion import promote_inexact
from fornax.source import located

__all__ = ["logpdf", "pdf"]

_LOG_TURN = math.log(2 * math.pi)


def logpdf(x, mean, cov, allow_singular=None):
    """The logarithm of the density at `x`, vectors in its last dimension.

    cov: the matrix of covariances, or a number for independent components of that variance. Raises
    ValueError for a matrix of another size than the mean, NotImplementedError for allow_singular.
    """
    if allow_singular is not None:
        raise NotImplementedError(
            located(
                "allow_singular argument of multivariate_normal.logpdf",
                attempt="a small number on the diagonal of cov",
            )
        )
    x, mean, cov = (fnp.asarray(v) for v in promote_inexact(x, mean, cov))
    if not mean.ndim:
        return -0.5 * fnp.square(x - mean) / cov - 0.5 * (_LOG_TURN + fnp.log(cov))
    n = mean.shape[-1]
    away = x - mean
    if not cov.ndim:
        return -0.5 * fnp.sum(away * away, -1) / cov - n / 2 * (_LOG_TURN + fnp.log(cov))
    if cov.ndim < 2 or cov.shape[-2:] != (n, n):
        raise ValueError(
            located(
                "multivariate_normal.logpdf got incompatible shapes",
                attempt="mean of shape (n,) and cov of shape (n, n)",
            )
        )
    factor = linalg.cholesky(cov)
    solve = fnp.vectorize(
        lambda a, b: linalg.triangular_solve(a, b, lower=True, transpose_a=True),
        signature="(n,n),(n)->(n)",
    )
    y = solve(factor, away)
    size = fnp.sum(fnp.log(fnp.diagonal(factor, axis1=-1, axis2=-2)), -1)
    return -0.5 * fnp.sum(y * y, -1) - n / 2 * _LOG_TURN - size


def pdf(x, mean, cov):
    """The density at `x`."""
    return fnp.exp(logpdf(x, mean, cov))
