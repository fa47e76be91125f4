"""Random: bits and what is made of them; the same numbers on both sides."""

from __future__ import annotations

from benchmarks.cases.case import case, normal
from benchmarks.cases.library import jax, jnp, random

N = 1 << 24


def draw(name, function, *shape, **fields):
    fields = {"bound": "memory", "tolerance": 1e-5, **fields}
    case(name, "random", **fields)(
        lambda: (function, (random.key(0), *(normal(*s) for s in shape)))
    )


draw("bits, 16 M", lambda k: random.bits(k, (N,)))
draw("uniform, 16 M", lambda k: random.uniform(k, (N,)))
draw("normal, 16 M", lambda k: random.normal(k, (N,)))
draw("bernoulli, 16 M", lambda k: random.bernoulli(k, 0.9, (N,)))
draw("randint, 16 M", lambda k: random.randint(k, (N,), 0, 1000))
draw("exponential, 4 M", lambda k: random.exponential(k, (N // 4,)))
draw("normal, 1000", lambda k: random.normal(k, (1000,)), smoke=True)
draw("split into 100k keys", lambda k: random.key_data(random.split(k, 100_000)))
draw("permutation of 100k", lambda k: random.permutation(k, 100_000))
draw("categorical, 4096 x 256", lambda k, x: random.categorical(k, x), (4096, 256))
draw("sum of normals, 16 M", lambda k: jnp.sum(random.normal(k, (N,))), tolerance=1e-3)


def dropout(key, x):
    return jnp.where(random.bernoulli(key, 0.9, x.shape), x / 0.9, 0)


draw(
    "dropout fused: dropout(max(x, 0)) + 1, 16 M",
    lambda k, x: dropout(k, jnp.maximum(x, 0)) + 1,
    (N,),
)
draw(
    "dropout fused: sum over rows, 4096²",
    lambda k, x: jnp.sum(dropout(k, x), 1),
    (4096, 4096),
    tolerance=1e-4,
)
draw(
    "dropout fused, gradient, 16 M",
    lambda k, x, c: jax.vjp(lambda x: dropout(k, jnp.tanh(x)), x)[1](c)[0],
    (N,),
    (N,),
)
draw(
    "dropout into a product, 1024",
    lambda k, x, w: dropout(k, x) @ w,
    (1024, 1024),
    (1024, 1024),
    tolerance=1e-4,
)
