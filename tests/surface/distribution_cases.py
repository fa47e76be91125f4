"""Expressions over `jax.scipy.stats`: distributions, and what samples say. See `surface_cases`."""

_S = "jax.scipy.stats"
#: distribution -> (its functions, arguments)
_DISTRIBUTIONS = {
    "expon": ("logpdf pdf cdf logcdf sf logsf", ("V", "V, 0.5, 2", "J, W, 3.0", "[1.0]")),
    "uniform": ("logpdf pdf cdf", ("V", "V, -1, 3", "J / 3, W")),
    "laplace": ("logpdf pdf cdf", ("V", "V, 0.5, 2", "J, W, 3.0")),
    "logistic": ("logpdf pdf cdf sf", ("V", "V, 0.5, 2", "J, W, 3.0")),
    "cauchy": ("logpdf pdf cdf logcdf sf logsf", ("V", "V, 0.5, 2", "J, W, 3.0")),
    "gamma": ("logpdf pdf cdf logcdf sf logsf", ("V, 2.5", "V, J + 0.5, -1, 2", "J, 1.5")),
    "chi2": ("logpdf pdf cdf logcdf sf logsf", ("V, 2.5", "V, J + 0.5, -1, 2")),
    "t": ("logpdf pdf", ("V, 2.5", "V, J + 1, -1, 2")),
    "beta": (
        "logpdf pdf cdf logcdf sf logsf",
        ("V, 2.5, 1.5", "V / 4, J + 0.5, 2, -1, 2", "V / 9 + 0.5, 2, 3", "V, -1, 2"),
    ),
    "bernoulli": ("logpmf pmf", ("J, 0.3", "J % 2, 0.3", "J, 0.3, 1")),
    "geom": ("logpmf pmf", ("J, 0.3", "J, 0.3, 1")),
    "binom": ("logpmf pmf", ("J, 4, 0.3", "J, 2, 0.7", "J, 4, 0.3, 1", "J, 0, 0.5", "J, 4, 0.0")),
    "nbinom": ("logpmf pmf", ("J, 4, 0.3", "J, 4, 0.3, 1")),
    "poisson": ("logpmf pmf cdf", ("J, 2.5", "J, W + 5, 1", "V, 1.5", "V, 0")),
    "dirichlet": (
        "logpdf pdf",
        (
            "jnp.array([0.2, 0.3, 0.5]), V[:3] + 4",
            "jnp.array([0.2, 0.3]), jnp.array([1.0, 2.0, 3.0])",
            "jax.nn.softmax(S, 0), J[:4] + 1",
            "V, S",
            "V, V[:3]",
            "V[:3], jnp.array([1.0, 2.0, 3.0])",
        ),
    ),
    "multivariate_normal": (
        "logpdf pdf",
        (
            "V, 0.5, 2.0",
            "V, V + 1, 2.0",
            "S, V[:4], S @ S.T",
            "T, V[:4], jnp.eye(4) * 2",
            "V, V, S",
            "S, S, T @ T.swapaxes(1, 2)[:, None, :, :][:, 0]",
        ),
    ),
    "betabinom": (
        "logpmf pmf",
        ("J, 4, 2.5, 1.5", "J, 4, W, 1.5, 1", "J, 0, 1, 1", "V, 3, 1, 2.0"),
    ),
    "gennorm": ("logpdf pdf cdf", ("V, 2.5", "V, J + 0.5", "J, 1")),
    "gumbel_l": ("logpdf pdf cdf logcdf sf logsf", ("V", "V, 0.5, 2", "J, W, 3.0", "V, 0, -1")),
    "gumbel_r": ("logpdf pdf cdf logcdf sf logsf", ("V", "V, 0.5, 2", "J, W, 3.0", "V, 0, -1")),
    "pareto": ("logpdf pdf cdf logcdf sf logsf", ("V, 2.5", "V, J + 1, -1, 2", "J, 2, 0.5")),
    "vonmises": ("logpdf pdf", ("V, 2.5", "V, W", "J, 1")),
    "wrapcauchy": ("logpdf pdf", ("V + 3, 0.5", "V, W", "J, 1")),
    "multinomial": (
        "logpmf pmf",
        (
            "J, J.sum(), jnp.full(6, 1 / 6)",
            "J[:3], 5, jnp.array([0.2, 0.3, 0.5])",
            "V, 3, jnp.ones(6)",
        ),
    ),
    "truncnorm": (
        "logpdf pdf cdf logcdf sf logsf",
        ("V, -1, 2", "V, -1, 2, 0.5, 2", "V, 2, 1", "V, 1, 3", "V, -3, -1", "V, -30, 30"),
    ),
}
DISTRIBUTIONS = [
    *(f"{_S}.{name}.{function}({arguments})" for name, (functions, rows) in _DISTRIBUTIONS.items()
      for function in functions.split() for arguments in rows),
    *(f"{_S}.{name}.{function}(jnp.array([0.0, 0.2, 0.5, 0.9, 1.0, 1.5, -0.5]){more})"
      for name, function in (("expon", "ppf"), ("uniform", "ppf"), ("logistic", "ppf"),
                             ("logistic", "isf"), ("norm", "ppf"), ("gumbel_l", "ppf"),
                             ("gumbel_r", "ppf"))
      for more in ("", ", 0.5, 2.0")),
    *(f"{_S}.cauchy.{f}(jnp.array([0.2, 0.5, 0.9]), 0.5, 2.0)" for f in ("ppf", "isf")),
    *(f"{_S}.pareto.ppf(jnp.array([0.0, 0.2, 1.0, 1.5, -0.5]), {more})"
      for more in ("2.5", "2, 0.5, 2.0")),
    *(f"{_S}.mode({more})" for more in (
        "J", "I", "I, axis=1", "I, axis=None", "I, axis=-1, keepdims=True", "V", "B, axis=None",
        "I, axis=None, keepdims=True", "jnp.array([1.0, jnp.nan, jnp.nan])", "U", "3.0",
        "jnp.zeros(0)", "I, axis=2", "I, nan_policy='omit'", "I, nan_policy='no'")),
    *(f"{_S}.rankdata({more})" for more in (
        *(f"{x}, {method!r}" for x in ("J", "V", "I", "B")
          for method in ("average", "min", "max", "dense", "ordinal")),
        "I, axis=1", "I, 'dense', axis=0", "jnp.array([1.0, jnp.nan])", "J, 'best'",
        "J, nan_policy='raise'")),
    *(f"{_S}.sem({more})" for more in (
        "V", "M", "M, axis=1", "M, axis=None", "J, ddof=0", "M, keepdims=True",
        "jnp.array([1.0, jnp.nan, 3.0, 4.0]), nan_policy='omit'", "M, nan_policy='raise'")),
    *(f"{_S}.gaussian_kde({samples}).{call}" for samples in (
        "V", "L", "V, 'silverman'", "V, 0.5", "V, weights=jnp.arange(1, 7)", "L, lambda k: k.n / 8")
      for call in ("covariance", "inv_cov", "neff", "resample(jax.random.key(0), (3,))")),
    *(f"{_S}.gaussian_kde({call}" for call in (
        "V)(W)", "V).logpdf(W)", "J)(V)", "L).pdf(L[:, :2] + 0.5)", "L).logpdf(M[:3, 0])",
        "L)(M[:2])",
        "V).integrate_gaussian(0.5, 2.0)", "L).integrate_gaussian(M[:3, 0], jnp.eye(3))",
        "V).integrate_box_1d(-1, 2.0)", "L).integrate_box_1d(0, 1)",
        "V).integrate_kde(jax.scipy.stats.gaussian_kde(W[:4]))", "L).integrate_gaussian(V, V)",
        "V).set_bandwidth(1)", "V).integrate_box(0, 1)", "jnp.ones(1))", "C)", "V, 'wide')",
        "V, weights=W[:2])", "V, weights=M)", "V).d", "L).n")),
    f"{_S}.bernoulli.cdf(V, 0.3)", f"{_S}.bernoulli.cdf(J, 1.5)", f"{_S}.bernoulli.ppf(V, 0.3)",
    f"{_S}.poisson.entropy(jnp.array([0.0, 0.5, 3.0, 9.9, 20.0, 99.0, 500.0]))",
    f"{_S}.poisson.entropy(jnp.array([[0.5], [30.0]]), J)",
    f"{_S}.multivariate_normal.logpdf(V, V, 1.0, allow_singular=True)",
    *(f"grad(lambda x: {_S}.{call}.sum())(jnp.array([0.3, 1.2]))" for call in (
        "expon.logpdf(x)", "gamma.logpdf(x, 2.0)", "beta.logpdf(x / 2, 2.0, 3.0)", "t.logpdf(x, 3)",
        "logistic.cdf(x)", "truncnorm.logcdf(x, -1, 2)", "cauchy.logpdf(x)", "laplace.cdf(x)",
        "poisson.logpmf(2, x)", "gumbel_r.logpdf(x)", "gumbel_l.logsf(x)", 
        "pareto.logpdf(3 + x, x)",
        "vonmises.logpdf(x, x)", "wrapcauchy.logpdf(x, 0.5)", "gennorm.logpdf(x, 2.5)",
        "betabinom.logpmf(2, 5, x, x)", "gaussian_kde(x)(x)",
        "multivariate_normal.logpdf(x, x[::-1], jnp.eye(2))")),
]  # fmt: skip
