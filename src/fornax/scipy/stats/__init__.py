"""Probability distributions: JAX's `jax.scipy.stats`."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {},
    modules=(
        "bernoulli",
        "beta",
        "binom",
        "cauchy",
        "chi2",
        "dirichlet",
        "expon",
        "gamma",
        "geom",
        "laplace",
        "logistic",
        "multivariate_normal",
        "nbinom",
        "norm",
        "poisson",
        "t",
        "truncnorm",
        "uniform",
    ),
    before="fornax.numpy.methods",
)
