"""Gaussian-process regression: linear algebra inside a compiled and differentiated function.

Run it on Fornax with `fornax run examples/jax_gaussian_process.py`, on JAX with `python`.
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve


def kernel(params, a, b):
    distance = (a[:, None] - b[None, :]) / jnp.exp(params["length"])
    return jnp.exp(2 * params["scale"] - 0.5 * distance**2)


def negative_log_likelihood(params, x, y):
    noise = jnp.exp(2 * params["noise"]) * jnp.eye(x.size)
    factor = jnp.linalg.cholesky(kernel(params, x, x) + noise)
    fitted = cho_solve((factor, True), y)
    return 0.5 * y @ fitted + jnp.sum(jnp.log(jnp.diag(factor)))


@jax.jit
def step(params, x, y):
    value, slope = jax.value_and_grad(negative_log_likelihood)(params, x, y)
    return jax.tree.map(lambda p, g: p - 0.01 * g, params, slope), value


def predict(params, x, y, new):
    noise = jnp.exp(2 * params["noise"]) * jnp.eye(x.size)
    factor = jnp.linalg.cholesky(kernel(params, x, x) + noise)
    return kernel(params, new, x) @ cho_solve((factor, True), y)


def main() -> None:
    x = jnp.linspace(-3, 3, 40)
    y = jnp.sin(2 * x) + 0.1 * jax.random.normal(jax.random.key(0), x.shape)
    params = {"length": 0.0, "scale": 0.0, "noise": -1.0}
    for i in range(100):
        params, value = step(params, x, y)
        if i % 25 == 0:
            print(f"step {i:3d}  negative log likelihood {value:8.3f}")
    new = jnp.linspace(-2.9, 2.9, 7)
    error = jnp.abs(predict(params, x, y, new) - jnp.sin(2 * new)).max()
    print(f"largest error {error:.3f}, noise {jnp.exp(params['noise']):.3f} (0.1 is true)")
    assert error < 0.25


if __name__ == "__main__":
    main()
