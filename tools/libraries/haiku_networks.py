"""Haiku: a perceptron trained by SGD, batch normalisation with state, an LSTM, attention."""

import json

import haiku as hk
import jax
import jax.numpy as jnp
import optax

x = jax.random.normal(jax.random.key(0), (64, 8))
y = (x.sum(1) > 0).astype(int)


def forward(x):
    return hk.nets.MLP([32, 16, 2])(x)


network = hk.without_apply_rng(hk.transform(forward))
params = network.init(jax.random.PRNGKey(1), x)
optimizer = optax.sgd(0.1, momentum=0.9)
state = optimizer.init(params)


def loss(params):
    labels = jax.nn.one_hot(y, 2)
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(network.apply(params, x)), axis=1))


@jax.jit
def step(params, state):
    value, gradient = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(params, updates), state, value


losses = []
for _ in range(20):
    params, state, value = step(params, state)
    losses.append(float(value))


@hk.transform_with_state
def normalised(x):
    x = hk.BatchNorm(True, True, 0.9)(hk.Linear(4)(x), is_training=True)
    return hk.dropout(hk.next_rng_key(), 0.5, hk.LayerNorm(-1, True, True)(x))


weights, statistics = normalised.init(jax.random.PRNGKey(2), x)
out, statistics = normalised.apply(weights, statistics, jax.random.PRNGKey(3), x)


@hk.transform
def recurrent(x):
    core = hk.LSTM(6)
    outputs, _ = hk.dynamic_unroll(core, x, core.initial_state(x.shape[1]))
    return outputs


@hk.transform
def attend(x):
    return hk.MultiHeadAttention(2, 4, w_init=hk.initializers.TruncatedNormal())(x, x, x)


series = jax.random.normal(jax.random.key(4), (5, 3, 8))
results = {}
for name, function in [("recurrent", recurrent), ("attention", attend)]:
    weights_of = function.init(jax.random.PRNGKey(5), series)
    result = jax.jit(function.apply)(weights_of, None, series)
    results[name] = result.ravel()[:8].tolist()

print(
    json.dumps(
        {
            "losses": losses,
            "normalised": out.ravel()[:8].tolist(),
            "statistics": [leaf.ravel()[:4].tolist() for leaf in jax.tree.leaves(statistics)],
            **results,
        }
    )
)
