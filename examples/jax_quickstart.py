"""What JAX is about, on one page. The program says `import jax`; run it on Fornax with

    fornax run examples/jax_quickstart.py

(or `python -m fornax run …`), or on JAX with `python`. Every statement is checked.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def main() -> None:
    # Arrays are NumPy's in all but one respect: they do not change.
    x = jnp.linspace(0.0, 1.0, 5)
    y = x.at[0].set(10.0)
    assert x[0] == 0 and y[0] == 10
    print("arrays      ", y)

    # jit compiles a function the first time it sees arguments of a kind.
    @jax.jit
    def selu(x, alpha=1.67, scale=1.05):
        return scale * jnp.where(x > 0, x, alpha * (jnp.exp(x) - 1))

    print("jit         ", selu(jnp.arange(-2.0, 3.0)))

    # grad gives the derivative, and derivatives of derivatives.
    def cubic(x):
        return x**3 - 2 * x

    slopes = [f(2.0) for f in (jax.grad(cubic), jax.grad(jax.grad(cubic)))]
    assert np.allclose(slopes, [10.0, 12.0])
    print("grad        ", *slopes)

    # vmap writes the loop over examples.
    matrix = jax.random.normal(jax.random.key(0), (4, 3))
    batch = jax.random.normal(jax.random.key(1), (6, 3))
    products = jax.vmap(lambda v: matrix @ v)(batch)
    assert np.allclose(products, batch @ matrix.T, atol=1e-5)
    print("vmap        ", products.shape)

    # They compose: the Hessian of each example, compiled.
    def energy(v):
        return jnp.sum(jnp.sin(v) * v**2)

    hessians = jax.jit(jax.vmap(jax.hessian(energy)))(batch)
    assert hessians.shape == (6, 3, 3)
    print("composed    ", hessians.shape)

    # Loops and branches on values are functions.
    def collatz(n):
        def step(state):
            n, count = state
            return lax.cond(n % 2 == 0, lambda n: n // 2, lambda n: 3 * n + 1, n), count + 1

        return lax.while_loop(lambda state: state[0] != 1, step, (n, 0))[1]

    assert jax.jit(collatz)(27) == 111
    total, running = lax.scan(lambda carry, x: (carry + x, carry + x), 0, jnp.arange(6))
    assert total == 15
    print("control flow", running)

    # Functions of trees: parameters may be any nest of containers.
    params = {"layers": [{"w": jnp.ones((2, 2)), "b": jnp.zeros(2)}] * 2}
    halved = jax.tree.map(lambda p: p / 2, params)
    assert jax.tree.leaves(halved)[1].sum() == 2
    print("trees       ", jax.tree.structure(params).num_leaves, "leaves")

    # A program can be looked at.
    print("jaxpr       ", str(jax.make_jaxpr(cubic)(1.0)).replace("\n", " "))


if __name__ == "__main__":
    main()
