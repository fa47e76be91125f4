"""Flax Linen: a network with normalisation and dropout, attention, a recurrent network."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training import train_state


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(32)(x))
        x = nn.Dropout(0.1, deterministic=not train)(nn.gelu(x))
        return nn.Dense(1)(nn.LayerNorm()(x))[:, 0]


class State(train_state.TrainState):
    statistics: dict


key = jax.random.key(0)
x = jax.random.normal(key, (64, 8))
y = jnp.sin(x).sum(1)
network = Network()
variables = network.init(jax.random.key(1), x, train=False)
state = State.create(
    apply_fn=network.apply,
    params=variables["params"],
    statistics=variables["batch_stats"],
    tx=optax.adam(1e-2),
)


@jax.jit
def step(state, key):
    def loss(params):
        predicted, changed = state.apply_fn(
            {"params": params, "batch_stats": state.statistics},
            x, train=True, rngs={"dropout": key}, mutable=["batch_stats"],
        )  # fmt: skip
        return jnp.mean((predicted - y) ** 2), changed["batch_stats"]

    (value, statistics), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
    return state.apply_gradients(grads=gradient).replace(statistics=statistics), value


losses = []
for key in jax.random.split(jax.random.key(2), 20):
    state, value = step(state, key)
    losses.append(float(value))

attention = nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=16)
tokens = jax.random.normal(jax.random.key(3), (2, 5, 8))
weights = attention.init(jax.random.key(4), tokens)
attended = attention.apply(weights, tokens, mask=nn.make_causal_mask(jnp.ones((2, 5))))

recurrent = nn.RNN(nn.LSTMCell(12))
states = recurrent.apply(recurrent.init(jax.random.key(5), tokens), tokens)


class Deep(nn.Module):
    @nn.compact
    def __call__(self, x):
        def layer(module, carry, _):
            return nn.tanh(nn.Dense(8)(carry)), None

        scanned = nn.scan(layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return scanned(self, x, None)[0]


deep = Deep()
parameters = deep.init(jax.random.key(6), x)
gradient = jax.grad(lambda p: deep.apply(p, x).sum())(parameters)

print(
    json.dumps(
        {
            "losses": losses,
            "attention": attended.ravel()[:8].tolist(),
            "recurrent": states[0, -1].tolist(),
            "scanned": [float(jnp.abs(leaf).sum()) for leaf in jax.tree.leaves(gradient)],
            "table": Network().tabulate(jax.random.key(0), x, train=False).count("Dense"),
        }
    )
)
