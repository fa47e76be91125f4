"""Train a small classifier with Optax: an ordinary JAX program, with a library on top.

Run it on Fornax with `fornax run examples/optax_classifier.py` (Optax installed with
`pip install --no-deps optax absl-py`), on JAX with `python`.
"""

import jax
import jax.numpy as jnp
import optax

CLASSES = 3


def spirals(key, count):
    """Points on three interleaved spirals, and which spiral each is on."""
    turn, noise, which = jax.random.split(key, 3)
    labels = jax.random.randint(which, (count,), 0, CLASSES)
    radius = jax.random.uniform(turn, (count,), minval=0.1)
    angle = 4 * radius + 2 * jnp.pi * labels / CLASSES
    points = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle)], axis=1)
    return points + 0.02 * jax.random.normal(noise, points.shape), labels


def initial(key, sizes):
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": jax.random.normal(k, (n, m)) * jnp.sqrt(2 / n), "b": jnp.zeros(m)}
        for k, n, m in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def scores(params, x):
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def loss(params, x, labels):
    return optax.softmax_cross_entropy_with_integer_labels(scores(params, x), labels).mean()


def main() -> None:
    points, labels = spirals(jax.random.key(0), 512)
    params = initial(jax.random.key(1), [2, 64, 64, CLASSES])
    steps = 300
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(optax.warmup_cosine_decay_schedule(0.0, 1e-2, 30, steps), weight_decay=1e-4),
    )
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        value, grads = jax.value_and_grad(loss)(params, points, labels)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    for i in range(steps):
        params, state, value = step(params, state)
        if i % 60 == 0 or i == steps - 1:
            print(f"step {i:3d}  loss {value:.4f}")
    accuracy = jnp.mean(scores(params, points).argmax(axis=1) == labels)
    print(f"accuracy {accuracy:.3f}")
    assert accuracy > 0.95


if __name__ == "__main__":
    main()
