"""Equinox: filtered transformations, a recurrent cell under scan, its own while_loop."""

import json

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import optax


class Recurrent(eqx.Module):
    cell: eqx.nn.GRUCell
    readout: eqx.nn.Linear
    name: str = eqx.field(static=True)

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(3, 8, key=first)
        self.readout = eqx.nn.Linear(8, 1, key=second)
        self.name = "recurrent"

    def __call__(self, series):
        def step(state, x):
            return self.cell(x, state), None

        state, _ = jax.lax.scan(step, jnp.zeros(8), series)
        return self.readout(state)[0]


series = jax.random.normal(jax.random.key(0), (32, 10, 3))
targets = series[:, -1].sum(1)
model = Recurrent(jax.random.key(1))
optimizer = optax.adam(1e-2)
state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))


@eqx.filter_jit
def step(model, state, x, y):
    @eqx.filter_value_and_grad
    def loss(model):
        return jnp.mean((jax.vmap(model)(x) - y) ** 2)

    value, gradient = loss(model)
    updates, state = optimizer.update(gradient, state, model)
    return eqx.apply_updates(model, updates), state, value


losses = []
for _ in range(20):
    model, state, value = step(model, state, series, targets)
    losses.append(float(value))

perceptron = eqx.nn.MLP(3, 2, 16, 2, activation=jax.nn.softplus, key=jax.random.key(2))
frozen = eqx.tree_at(lambda m: m.layers[0].bias, perceptron, jnp.zeros(16))
norm, memory = eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, axis_name="batch", mode="batch")
normed, memory = jax.vmap(norm, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(
    series[:, 0], memory
)
ensemble = eqx.filter_vmap(lambda key: eqx.nn.Linear(3, 2, key=key))(
    jax.random.split(jax.random.key(3), 4)
)
outputs = eqx.filter_vmap(lambda m, x: m(x), in_axes=(eqx.if_array(0), None))(
    ensemble, series[0, 0]
)


def power(x):
    return eqxi.while_loop(
        lambda c: c[0] < 5, lambda c: (c[0] + 1, jnp.sin(c[1]) * x), (0, x),
        max_steps=16, kind="checkpointed",
    )[1]  # fmt: skip


try:
    eqx.filter_jit(lambda x: eqx.error_if(x, x < 0, "negative"))(jnp.array(-1.0))
    refused = 0
except Exception as error:
    refused = int("negative" in str(error))

print(
    json.dumps(
        {
            "losses": losses,
            "perceptron": frozen(series[0, 0]).tolist(),
            "normalised": normed.ravel()[:6].tolist(),
            "ensemble": outputs.ravel().tolist(),
            "loop": float(jax.grad(power)(0.7)),
            "refused": refused,
        }
    )
)
