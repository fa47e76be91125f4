"""BlackJAX: window adaptation and NUTS, HMC, random walk, SGLD."""

import json

import blackjax
import jax
import jax.numpy as jnp


def logdensity(position):
    x, y = position["x"], position["y"]
    return -0.5 * (x - 1.0) ** 2 / 0.5 - 0.5 * jnp.sum((y - x) ** 2)


start = {"x": jnp.array(0.0), "y": jnp.zeros(3)}


def loop(key, kernel, state, steps):
    @jax.jit
    def one(state, key):
        state, _ = kernel(key, state)
        return state, state.position

    return jax.lax.scan(one, state, jax.random.split(key, steps))[1]


adaptation = blackjax.window_adaptation(blackjax.nuts, logdensity)
(state, parameters), _ = adaptation.run(jax.random.key(0), start, num_steps=300)
nuts = loop(jax.random.key(1), blackjax.nuts(logdensity, **parameters).step, state, 500)

hmc = blackjax.hmc(logdensity, 0.3, jnp.ones(4), num_integration_steps=8)
moved = loop(jax.random.key(2), hmc.step, hmc.init(start), 5)
walk = blackjax.additive_step_random_walk(
    logdensity, blackjax.mcmc.random_walk.normal(0.5 * jnp.ones(4))
)
walked = loop(jax.random.key(3), walk.step, walk.init(start), 20)
mala = blackjax.mala(logdensity, 0.1)
drifted = loop(jax.random.key(4), mala.step, mala.init(start), 20)
print(
    json.dumps(
        {
            "~nuts": [float(nuts["x"].mean()), *nuts["y"].mean(0).tolist()],
            "hmc": moved["x"].tolist(),
            "walk": walked["x"].tolist(),
            "mala": drifted["x"].tolist(),
        }
    )
)
