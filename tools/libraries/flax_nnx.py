"""Flax NNX: a perceptron trained with its optimizer, dropout and batch normalisation."""

import json

import jax
import jax.numpy as jnp
import optax
from flax import nnx


class Model(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Linear(8, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.last = nnx.Linear(32, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))[:, 0]


x = jax.random.normal(jax.random.key(0), (64, 8))
y = jnp.sin(x).sum(1)
model = Model(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)


@nnx.jit
def step(model, optimizer, x, y):
    value, gradient = nnx.value_and_grad(lambda m: jnp.mean((m(x) - y) ** 2))(model)
    optimizer.update(model, gradient)
    return value


losses = [float(step(model, optimizer, x, y)) for _ in range(20)]
model.eval()
graph, state = nnx.split(model)
again = nnx.merge(graph, state)
many = nnx.vmap(lambda m, x: m(x[None])[0], in_axes=(None, 0))(model, x)
print(
    json.dumps(
        {
            "losses": losses,
            "evaluated": model(x)[:8].tolist(),
            "merged": again(x)[:8].tolist(),
            "mapped": many[:8].tolist(),
        }
    )
)
