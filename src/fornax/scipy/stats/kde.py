"""Densities estimated from samples: a normal distribution around each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax import pytree, random
from fornax.numpy.promotion import check, promote_inexact
from fornax.scipy import linalg, special
from fornax.source import located

__all__ = ["gaussian_kde"]


def _refuse_complex(what: str, x: Any) -> None:
    if fnp.issubdtype(fnp.asarray(x).dtype, np.complexfloating):
        raise NotImplementedError(
            located(
                f"gaussian_kde does not support complex {what}",
                attempt="real and imaginary parts as two dimensions",
            )
        )


@pytree.register_pytree_node_class
class gaussian_kde:  # noqa: N801  (SciPy's name)
    """A density estimated from samples.

    dataset: samples, shape (dimensions, samples) or (samples,). bw_method: how wide the normal
    distributions are, relative to the samples' covariance: "scott" (the default), "silverman", a
    number, or a function of this object. weights: of the samples, shape (samples,). Raises
    ValueError for other arguments, NotImplementedError for complex samples.
    """

    neff: Any
    dataset: Any
    weights: Any
    covariance: Any
    inv_cov: Any

    def __init__(self, dataset, bw_method=None, weights=None):
        check("gaussian_kde", dataset)
        _refuse_complex("data", dataset)
        dataset = fnp.atleast_2d(dataset)
        if dataset.size <= 1:
            raise ValueError(
                located(
                    "`dataset` input should have multiple elements.",
                    attempt="a dataset of shape (dimensions, samples)",
                )
            )
        dimensions, count = dataset.shape
        if weights is None:
            (dataset,) = (fnp.asarray(x) for x in promote_inexact(dataset))
            weights = fnp.full(count, 1 / count, dataset.dtype)
        else:
            check("gaussian_kde", weights)
            dataset, weights = (fnp.asarray(x) for x in promote_inexact(dataset, weights))
            weights = fnp.atleast_1d(weights)
            if weights.ndim != 1:
                raise ValueError(
                    located(
                        "`weights` input should be one-dimensional.",
                        attempt="one weight for each sample",
                    )
                )
            if weights.shape[0] != count:
                raise ValueError(
                    located(
                        f"`weights` input should be of length {count}",
                        attempt="one weight for each sample",
                    )
                )
            weights = weights / fnp.sum(weights)
        self._hold(1 / fnp.sum(weights**2), dataset, weights, None, None)
        factor = self._factor(bw_method, dimensions)
        spread = fnp.atleast_2d(fnp.cov(dataset, rowvar=True, bias=False, aweights=weights))
        object.__setattr__(self, "covariance", spread * factor**2)
        object.__setattr__(self, "inv_cov", fnp.linalg.inv(spread) / factor**2)

    def _factor(self, method: Any, dimensions: int) -> Any:
        """How much narrower than the samples the normal distributions are."""
        power = -1 / (dimensions + 4)
        if method is None or isinstance(method, str) and method == "scott":
            return fnp.power(self.neff, power)
        if isinstance(method, str) and method == "silverman":
            return fnp.power(self.neff * (dimensions + 2) / 4, power)
        if isinstance(method, Callable):
            return method(self)
        if isinstance(method, str) or not fnp.isscalar(method):
            raise ValueError(
                located(
                    "`bw_method` should be 'scott', 'silverman', a scalar, or a callable.",
                    attempt="gaussian_kde(dataset), which takes 'scott'",
                )
            )
        return method

    def _hold(self, *values: Any) -> None:
        for name, value in zip(type(self).__annotations__, values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            located(
                f"cannot assign to field {name!r}",
                "an estimate is a value, as arrays are",
                "gaussian_kde(dataset, bw_method, weights) for another one",
            )
        )

    def tree_flatten(self):
        """(arrays, nothing else)."""
        return tuple(getattr(self, name) for name in type(self).__annotations__), None

    @classmethod
    def tree_unflatten(cls, aux_data, children):
        """The estimate of these arrays."""
        del aux_data
        made = cls.__new__(cls)
        made._hold(*children)
        return made

    @property
    def d(self) -> int:
        """The number of dimensions."""
        return self.dataset.shape[0]

    @property
    def n(self) -> int:
        """The number of samples."""
        return self.dataset.shape[1]

    def _points(self, points: Any) -> Any:
        _refuse_complex("coordinates", points)
        points = fnp.atleast_2d(points)
        dimensions, count = points.shape
        if dimensions == self.d:
            return points
        if dimensions == 1 and count == self.d:
            return fnp.reshape(points, (self.d, 1))
        raise ValueError(
            located(
                f"points have dimension {dimensions}, dataset has dimension {self.d}",
                attempt="points of shape (dimensions, points)",
            )
        )

    def _exponents(self, points: Any) -> Any:
        """The logarithm of each sample's normal distribution (first dimension) at each point."""
        dataset, points, precision = (
            fnp.asarray(x) for x in promote_inexact(self.dataset, points, self.inv_cov)
        )
        root = linalg.cholesky(precision, lower=True)
        apart = (root.T @ dataset)[:, :, None] - (root.T @ points)[:, None, :]
        size = fnp.sum(fnp.log(fnp.diag(root))) - 0.5 * self.d * math.log(2 * math.pi)
        return size - 0.5 * fnp.sum(fnp.square(apart), 0)

    def evaluate(self, points):
        """The density at points of shape (dimensions, points)."""
        check("evaluate", points)
        exponents = self._exponents(self._points(points))
        return fnp.sum(self.weights[:, None] * fnp.exp(exponents), 0)

    def __call__(self, points):
        """The density at points."""
        return self.evaluate(points)

    def pdf(self, x):
        """The density at points."""
        return self.evaluate(x)

    def logpdf(self, x):
        """The logarithm of the density at points."""
        check("logpdf", x)
        exponents = self._exponents(self._points(x))
        return special.logsumexp(fnp.log(self.weights)[:, None] + exponents, 0)

    def integrate_gaussian(self, mean, cov):
        """The integral of the product with a normal distribution."""
        mean, cov = fnp.atleast_1d(fnp.squeeze(mean)), fnp.atleast_2d(cov)
        if mean.shape != (self.d,):
            raise ValueError(
                located(
                    f"mean does not have dimension {self.d}",
                    attempt="a vector with a number for each dimension",
                )
            )
        if cov.shape != (self.d, self.d):
            raise ValueError(
                located(
                    f"covariance does not have dimension {self.d}",
                    attempt="a square matrix with a row for each dimension",
                )
            )
        return self._overlap(cov, mean[:, None], fnp.ones(1, self.weights.dtype))

    def _overlap(self, covariance: Any, centres: Any, weights: Any) -> Any:
        """The integral of the product with normal distributions of one covariance."""
        factor = linalg.cho_factor(self.covariance + covariance)
        size = math.sqrt(2 * math.pi) ** self.d * fnp.prod(fnp.diag(factor[0]))
        apart = self.dataset[:, :, None] - centres[:, None, :]
        flat = fnp.reshape(apart, (self.d, -1))
        squares = fnp.sum(flat * linalg.cho_solve(factor, flat), 0)
        each = fnp.reshape(fnp.exp(-0.5 * squares), apart.shape[1:])
        return fnp.sum(each * self.weights[:, None] * weights) / size

    def integrate_box_1d(self, low, high):
        """The probability between two numbers. Raises ValueError in several dimensions."""
        if self.d != 1:
            raise ValueError(
                located(
                    "integrate_box_1d() only handles 1D pdfs",
                    attempt="the mean of resample(key, shape) inside the box, an estimate",
                )
            )
        if np.ndim(low) or np.ndim(high):
            raise ValueError(
                located(
                    "the limits of integration in integrate_box_1d must be scalars",
                    attempt="fornax.vmap(kde.integrate_box_1d)(low, high) for several intervals",
                )
            )
        width = fnp.squeeze(fnp.sqrt(self.covariance))
        line = self.dataset[0]
        parts = special.ndtr((high - line) / width) - special.ndtr((low - line) / width)
        return fnp.sum(self.weights * parts)

    def integrate_kde(self, other):
        """The integral of the product with another estimate."""
        if other.d != self.d:
            raise ValueError(
                located(
                    "KDEs are not the same dimensionality",
                    attempt="estimates from datasets with equally many rows",
                )
            )
        return self._overlap(other.covariance, other.dataset, other.weights)

    def resample(self, key, shape=()):
        """Samples of the density, shape (dimensions, *shape)."""
        which, where = random.split(key)
        index = random.choice(which, self.n, shape=shape, p=self.weights)
        zero = fnp.zeros(self.d, self.covariance.dtype)
        noise = random.multivariate_normal(
            where, zero, self.covariance, shape=shape, dtype=self.dataset.dtype
        )
        return self.dataset[:, index] + noise.T

    def integrate_box(self, low_bounds, high_bounds, maxpts=None):
        """Refused: NotImplementedError."""
        raise NotImplementedError(
            located(
                "only 1D box integrations are supported; use `integrate_box_1d`",
                attempt="kde.integrate_box_1d(low, high) for numbers",
            )
        )

    def set_bandwidth(self, bw_method=None):
        """Refused: NotImplementedError."""
        raise NotImplementedError(
            located(
                "dynamically changing the bandwidth method is not supported",
                "an estimate is a value, as arrays are",
                "gaussian_kde(dataset, bw_method)",
            )
        )
