"""Probability distributions: JAX's `jax.scipy.stats`."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {"kde": ("gaussian_kde",), "samples": ("mode", "rankdata", "sem")},
    modules=(
        "bernoulli",
        "beta",
        "betabinom",
        "binom",
        "cauchy",
        "chi2",
        "dirichlet",
        "expon",
        "gamma",
        "gennorm",
        "geom",
        "gumbel_l",
        "gumbel_r",
        "laplace",
        "logistic",
        "multinomial",
        "multivariate_normal",
        "nbinom",
        "norm",
        "pareto",
        "poisson",
        "t",
        "truncnorm",
        "uniform",
        "vonmises",
        "wrapcauchy",
    ),
    before="fornax.numpy.methods",
)
