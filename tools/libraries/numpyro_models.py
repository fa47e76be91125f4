"""NumPyro: eight schools by NUTS, a regression by HMC, variational inference, predictions."""

import json

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.infer import HMC, MCMC, NUTS, SVI, Predictive, Trace_ELBO, init_to_median
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.reparam import LocScaleReparam

effects = jnp.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
errors = jnp.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def schools(sigma, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with (
        numpyro.plate("schools", 8),
        numpyro.handlers.reparam(config={"theta": LocScaleReparam(0)}),
    ):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
    with numpyro.plate("observed", 8):
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


nuts = MCMC(NUTS(schools), num_warmup=300, num_samples=600, progress_bar=False)
nuts.run(jax.random.key(0), errors, y=effects)
drawn = nuts.get_samples()

x = jax.random.normal(jax.random.key(1), (40, 2))
y = x @ jnp.array([1.5, -2.0]) + 0.5 + 0.1 * jax.random.normal(jax.random.key(2), (40,))


def regression(x, y=None):
    slope = numpyro.sample("slope", dist.Normal(jnp.zeros(2), 3).to_event(1))
    offset = numpyro.sample("offset", dist.Normal(0, 3))
    noise = numpyro.sample("noise", dist.Exponential(1.0))
    numpyro.sample("y", dist.Normal(x @ slope + offset, noise), obs=y)


hmc = MCMC(
    HMC(regression, init_strategy=init_to_median), num_warmup=200, num_samples=300,
    progress_bar=False,
)  # fmt: skip
hmc.run(jax.random.key(3), x, y)
found = hmc.get_samples()
predicted = Predictive(regression, found)(jax.random.key(4), x)["y"].mean(0)

guide = AutoNormal(regression)
svi = SVI(regression, guide, numpyro.optim.Adam(0.05), Trace_ELBO())
result = svi.run(jax.random.key(5), 300, x, y, progress_bar=False)
median = guide.median(result.params)

print(
    json.dumps(
        {
            "~mu": float(drawn["mu"].mean()),
            "~slope": found["slope"].mean(0).tolist(),
            "~offset": float(found["offset"].mean()),
            "~predicted": predicted[:5].tolist(),
            "losses": result.losses[:5].tolist(),
            "~median": median["slope"].tolist(),
            "density": float(
                numpyro.infer.util.log_density(
                    schools,
                    (errors, effects),
                    {},
                    {"mu": 1.0, "tau": 2.0, "theta_decentered": effects / 9},
                )[0]
            ),
        }
    )
)
