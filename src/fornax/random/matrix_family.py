"""Random vectors and matrices that take a decomposition of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax import numpy as fnp
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.broadcasting import broadcast_shapes
from fornax.numpy.promotion import promote_inexact
from fornax.random.keys import typed
from fornax.random.normal_family import _inexact_dtype, _normal
from fornax.random.sampler import check_shape, float_dtype, sampler, shape_of
from fornax.source import located

__all__ = ["multivariate_normal", "orthogonal"]


def multivariate_normal(
    key: Any,
    mean: Any,
    cov: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    method: str = "cholesky",
    *,
    out_sharding: Any = None,
):
    """Normal vectors of a mean and a covariance.

    mean: [..., n]. cov: [..., n, n]. shape: of the result without its last dimension n, or None
    for that which the others of mean and cov broadcast to. dtype: a floating dtype, mean's by
    default. method: "cholesky", "eigh" or "svd", the decomposition of the covariance; the last two
    take singular ones. Raises ValueError for other methods and dtypes and shapes that do not fit.
    """
    keys, _ = typed("multivariate_normal", key)
    mean, cov = promote_inexact(mean, cov)
    if method not in _FACTORS:
        raise ValueError(
            located(
                f"method must be one of {sorted(_FACTORS)}, got {method!r}",
                attempt="method='cholesky', the default",
            )
        )
    dtype = float_dtype("multivariate_normal", typeof(mean).dtype if dtype is None else dtype)
    means, covariances = typeof(mean).shape, typeof(cov).shape
    if not means:
        raise ValueError(
            located(
                "multivariate_normal requires mean.ndim >= 1, got mean.ndim == 0",
                attempt="mean of shape (n,); random.normal for one number",
            )
        )
    if len(covariances) < 2:
        raise ValueError(
            located(
                f"multivariate_normal requires cov.ndim >= 2, got cov.ndim == {len(covariances)}",
                attempt="cov of shape (n, n); numpy.diag(variances) for independent numbers",
            )
        )
    n = means[-1]
    if covariances[-2:] != (n, n):
        raise ValueError(
            located(
                f"multivariate_normal requires cov.shape == (..., n, n) for n={n}, but got "
                f"cov.shape == {covariances}.",
                attempt=f"cov[..., :{n}, :{n}], or a mean of as many numbers as cov has rows",
            )
        )
    if shape is None:
        shape = broadcast_shapes(means[:-1], covariances[:-2])
    else:
        shape = shape_of(shape)
        check_shape("multivariate_normal", shape, means[:-1], covariances[:-2])
    return _multivariate_normal(keys, mean, cov, shape=(*shape, n), dtype=dtype, method=method)


@sampler
def _multivariate_normal(key, mean, cov, *, shape, dtype, method):
    vectors = _normal(key, shape=shape, dtype=dtype)
    moved = fnp.einsum("...ij,...j->...i", _FACTORS[method](cov), vectors)
    lead = (1,) * (len(shape) - typeof(mean).ndim)  # not left to promotion, which may refuse it
    return fnp.add(fnp.reshape(mean, (*lead, *typeof(mean).shape)), moved)


def _svd_factor(cov: Any) -> Any:
    vectors, sizes, _ = fnp.linalg.svd(cov)
    return fnp.multiply(vectors, fnp.sqrt(sizes[..., None, :]))


def _eigh_factor(cov: Any) -> Any:
    sizes, vectors = fnp.linalg.eigh(cov)
    return fnp.multiply(vectors, fnp.sqrt(sizes[..., None, :]))


#: method -> a function that gives an F with F F^T = the covariance
_FACTORS = {
    "cholesky": lambda cov: fnp.linalg.cholesky(cov),
    "eigh": _eigh_factor,
    "svd": _svd_factor,
}


def orthogonal(
    key: Any,
    n: int,
    shape: Sequence[int] = (),
    dtype: Any = None,
    m: int | None = None,
    *,
    out_sharding: Any = None,
):
    """Orthogonal matrices spread evenly over their group (unitary ones for complex dtypes).

    n, m: rows and columns (n by default); of the matrices [*shape, n, m] that are not square, the
    rows or columns of the shorter side are orthonormal. dtype: a floating or complex dtype. Raises
    ValueError for others. From: Mezzadri, "How to generate random matrices from the classical
    compact groups", 2007.
    """
    keys, _ = typed("orthogonal", key)
    dtype = _inexact_dtype("orthogonal", dtype)
    n = static_integer(n, "n")
    m = n if m is None else static_integer(m, "m")
    return _orthogonal(keys, n=n, m=m, shape=shape_of(shape), dtype=dtype)


@sampler
def _orthogonal(key, *, n, m, shape, dtype):
    z = _normal(key, shape=(*shape, max(n, m), min(n, m)), dtype=dtype)
    q, r = fnp.linalg.qr(z)
    signs = fnp.sign(fnp.linalg.diagonal(r))
    x = fnp.multiply(q, fnp.expand_dims(signs, -2))
    return fnp.matrix_transpose(x) if n < m else x
