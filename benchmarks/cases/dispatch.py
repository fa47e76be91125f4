"""Dispatch: what a call costs beside its work."""

from __future__ import annotations

from benchmarks.cases.case import case, normal
from benchmarks.cases.library import jax, jnp, lax


def call(name, make, **fields):
    """A function that is called as it is; compiled ones say so themselves."""
    case(name, "dispatch", eager=True, **fields)(make)


def many(count, function=lambda t: t):
    return lambda: (
        jax.jit(function),
        ({f"leaf{k:04d}": jnp.float32(k) for k in range(count)},),
    )


def nested():
    layers = [
        {"w": normal(4, 4), "b": normal(4), "more": (normal(2), normal(3))} for _ in range(25)
    ]
    return jax.jit(lambda t: t), (layers,)


call(
    "jit call, scalar",
    lambda: (jax.jit(lambda x: x + 1), (jnp.float32(1),)),
    limit=1.2e-6,
    tail=True,
    smoke=True,
)
call("jit call, tree of 100", many(100), limit=20e-6, tail=True, smoke=True)
call("jit call, tree of 1000", many(1000), limit=120e-6, tail=True)
call("jit call, 25 nested layers of 4", nested, limit=20e-6, tail=True)
call(
    "jit call, 8 arguments",
    lambda: (jax.jit(lambda *a: sum(a)), tuple(map(jnp.float32, range(8)))),
    limit=2e-6,
    tail=True,
)
call(
    "jit call with a static argument",
    lambda: (jax.jit(lambda x, n: x * n, static_argnums=1), (jnp.float32(1), 3)),
    limit=2e-6,
)
call("jit call with Python scalars", lambda: (jax.jit(lambda x, y: x * y), (1.5, 2)), limit=2e-6)
call(
    "jit call of grad, 8x8",
    lambda: (jax.jit(jax.grad(lambda x: jnp.sum(jnp.tanh(x @ x)))), (normal(8, 8),)),
    limit=5e-6,
)
call(
    "eager add, 8x8",
    lambda: (lambda x, y: x + y, (normal(8, 8), normal(8, 8))),
    limit=2e-6,
    tail=True,
    smoke=True,
)
call("eager a[3]", lambda: (lambda x: x[3], (normal(100),)), limit=2e-6, smoke=True)
call("eager sin, 8x8", lambda: (jnp.sin, (normal(8, 8),)), limit=2e-6)
call("eager sum, 8x8", lambda: (jnp.sum, (normal(8, 8),)), limit=2e-6)
call("eager product, 8x8", lambda: (lambda x, y: x @ y, (normal(8, 8), normal(8, 8))), limit=2e-6)
call("eager where, 8x8", lambda: (jnp.where, (normal(8, 8) > 0, normal(8, 8), 0.0)), limit=2e-6)
call("eager reshape, 8x8", lambda: (lambda x: x.reshape(4, 16), (normal(8, 8),)), limit=2e-6)


def chain(x, y):
    """Ten operations, one after the other."""
    z = jnp.tanh(x * 2 + y)
    z = jnp.exp(z - jnp.max(z))
    return jnp.sum(z / jnp.sum(z) * x, 0)


call("eager chain of 9, 8x8", lambda: (chain, (normal(8, 8), normal(8, 8))), limit=18e-6)
call("eager chain of 9, 1000x1000", lambda: (chain, (normal(1000, 1000), normal(1000, 1000))))
call("eager gradient, 8x8", lambda: (jax.grad(lambda x: jnp.sum(jnp.tanh(x) * x)), (normal(8, 8),)))
call("eager vmap, 8x8", lambda: (jax.vmap(lambda x: jnp.sum(jnp.tanh(x))), (normal(8, 8),)))
call(
    "eager scan, 10 steps",
    lambda: (
        lambda x: lax.scan(lambda s, _: (s * 0.5 + 1, s), x, None, length=10),
        (jnp.float32(1),),
    ),
)
