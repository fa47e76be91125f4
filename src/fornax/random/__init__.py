"""Random numbers from explicit keys: `key`, `split`, and a function for each distribution.

A function gives the same numbers for the same key, shape and dtype, and those that JAX gives.
"""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "continuous": (
            "cauchy", "exponential", "gumbel", "laplace", "logistic", "pareto", "triangular",
            "weibull_min",
        ),
        "counts": ("binomial", "geometric", "multinomial", "poisson"),
        "discrete": ("categorical", "choice", "permutation"),
        "gamma_family": ("beta", "chisquare", "dirichlet", "f", "gamma", "loggamma", "t"),
        "keys": (
            "PRNGKey", "PRNGSpec", "clone", "default_prng_impl", "fold_in", "key", "key_data",
            "key_dtype", "key_impl", "random_clone_p", "resolve_prng_impl", "split",
            "wrap_key_data",
        ),
        "normal_family": (
            "ball", "double_sided_maxwell", "generalized_normal", "lognormal", "maxwell", "normal",
            "rayleigh", "truncated_normal", "wald",
        ),
        "matrix_family": ("multivariate_normal", "orthogonal"),
        "uniform_family": ("bernoulli", "bits", "rademacher", "randint", "uniform"),
    },
    before="fornax.numpy.methods",
)  # fmt: skip
