"""Distrax: distributions, a mixture, bijectors, a normalising flow's density and its gradient."""

import json

import distrax
import jax
import jax.numpy as jnp

normal = distrax.MultivariateNormalDiag(jnp.arange(3.0), jnp.ones(3) * 2)
sample, density = normal.sample_and_log_prob(seed=jax.random.key(0), sample_shape=(2,))
mixture = distrax.MixtureSameFamily(
    distrax.Categorical(logits=jnp.array([0.1, 0.2, 0.7])),
    distrax.Normal(jnp.array([-1.0, 0.0, 1.0]), jnp.array([0.5, 1.0, 2.0])),
)
full = distrax.MultivariateNormalTri(jnp.zeros(2), jnp.array([[1.0, 0.0], [0.5, 2.0]]))


def flow(params, x):
    layers = [
        distrax.Block(distrax.ScalarAffine(p["shift"], log_scale=p["scale"]), 1) for p in params
    ]
    spline = distrax.RationalQuadraticSpline(params[0]["knots"], -3.0, 3.0)
    chain = distrax.Chain([*layers, distrax.Block(spline, 1), distrax.Block(distrax.Tanh(), 1)])
    base = distrax.MultivariateNormalDiag(jnp.zeros(2), jnp.ones(2))
    return distrax.Transformed(base, distrax.Inverse(chain)).log_prob(x).mean()


params = [
    {"shift": jnp.ones(2) * 0.1 * i, "scale": jnp.ones(2) * 0.2, "knots": jnp.linspace(0, 1, 16)}
    for i in range(2)
]
x = 0.5 * jax.random.normal(jax.random.key(1), (6, 2))
value, gradient = jax.jit(jax.value_and_grad(flow))(params, x)
hidden = distrax.HMM(
    distrax.Categorical(probs=jnp.array([0.6, 0.4])),
    distrax.Categorical(probs=jnp.array([[0.7, 0.3], [0.2, 0.8]])),
    distrax.Normal(jnp.array([-1.0, 1.0]), jnp.array([1.0, 1.0])),
)
forward = hidden.forward(jnp.array([0.1, -0.5, 1.2, 2.0]))
print(
    json.dumps(
        {
            "sample": sample.ravel().tolist(),
            "density": density.tolist(),
            "mixture": mixture.log_prob(jnp.array([-1.0, 0.3])).tolist(),
            "drawn": mixture.sample(seed=jax.random.key(2), sample_shape=4).tolist(),
            "divergence": float(normal.kl_divergence(distrax.MultivariateNormalDiag(jnp.zeros(3)))),
            "triangular": full.log_prob(jnp.ones(2)).tolist(),
            "flow": float(value),
            "gradient": [leaf.ravel()[:4].tolist() for leaf in jax.tree.leaves(gradient)],
            "hidden": forward[0].ravel().tolist(),
        }
    )
)
