"""Stream: every element once, so that memory is the limit."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.case import case, integers, normal, uniform
from benchmarks.cases.library import jax, jnp, special

N = 1 << 24
SIDE = 4096


def stream(name, function, make=lambda: (normal(N),), **fields):
    fields = {"bound": "memory", "share": 0.8, **fields}
    case(name, "stream", **fields)(lambda: (function, make()))


def gelu(x):
    return 0.5 * x * (1 + jnp.tanh(0.79788456 * (x + 0.044715 * x * x * x)))


def matrix():
    return (normal(SIDE, SIDE),)


def two_matrices():
    return normal(SIDE, SIDE), normal(SIDE, SIDE, seed=1)


stream("2x+1, 16 M", lambda x: 2 * x + 1)
stream("gelu, 16 M", gelu, gradient={}, part=16)
stream("exp, 16 M", lambda x: jnp.exp(x))
stream("log1p, 16 M", lambda x: jnp.log1p(x), lambda: (uniform(N, high=4.0),))
stream("sin, 16 M", lambda x: jnp.sin(x))
stream("tanh, 16 M", lambda x: jnp.tanh(x), gradient={})
stream("erf, 16 M", lambda x: special.erf(x))
stream(
    "pow, 16 M",
    lambda x, y: x**y,
    lambda: (uniform(N, low=0.1, high=3.0), uniform(N, seed=1, low=-2.0, high=2.0)),
    part=32,
)
stream(
    "mixed dtypes: f32 * i8 + bf16, 16 M",
    lambda x, n, y: x * n + y,
    lambda: (normal(N), integers(100, N, dtype="int8"), normal(N, seed=1, dtype="bfloat16")),
)
stream("gelu of bf16, 16 M", gelu, lambda: (normal(N, dtype="bfloat16"),), tolerance=2e-2, part=8)
stream("2x+1 of bf16, 16 M", lambda x: 2 * x + 1, lambda: (normal(N, dtype="bfloat16"),))
stream(
    "2x+1 of f64, 8 M", lambda x: 2 * x + 1, lambda: (normal(N // 2, dtype="float64"),), x64=True
)
stream("strided read: x[::2] + x[1::2], 16 M", lambda x: x[::2] + x[1::2])
stream("strided read: x[:, ::4] * 2, 4096²", lambda x: x[:, ::4] * 2, matrix)
stream("reversed read: x[::-1] * 2, 16 M", lambda x: x[::-1] * 2)
stream("transposed read: x + y.T, 4096²", lambda x, y: x + y.T, two_matrices)
stream("transpose + 1, 4096²", lambda x: x.T + 1, matrix)
stream(
    "transpose (0, 2, 1, 3) + 1, 32x128x16x256",
    lambda x: x.transpose(0, 2, 1, 3) + 1,
    lambda: (normal(32, 128, 16, 256),),
)
stream("concatenate rows, 2 x 4096²", lambda x, y: jnp.concatenate([x, y]), two_matrices)
stream("concatenate columns, 2 x 4096²", lambda x, y: jnp.concatenate([x, y], 1), two_matrices)
stream("pad by 1, 4096²", lambda x: jnp.pad(x, 1), matrix)


def laplacian(x):
    here = 4 * x[1:-1, 1:-1]
    return here - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]


def periodic_laplacian(x):
    neighbours = [jnp.roll(x, step, axis) for axis in (0, 1) for step in (1, -1)]
    return 4 * x - sum(neighbours)


def heat_step(x):
    """One explicit step of the heat equation, with fixed values at the boundary."""
    middle = slice(1, -1)
    flow = -6 * x[middle, middle, middle]
    for axis in range(3):
        for there in (slice(None, -2), slice(2, None)):
            flow += x[tuple(there if d == axis else middle for d in range(3))]
    return x.at[middle, middle, middle].add(0.1 * flow)


stream("Laplacian of slices, 4096²", laplacian, matrix)
stream("Laplacian of slices, 2039x2053", laplacian, lambda: (normal(2039, 2053),))
stream("periodic Laplacian by roll, 4096²", periodic_laplacian, matrix)
stream("heat step: x.at[interior].add, 256³", heat_step, lambda: (normal(256, 256, 256),))
stream("where, 16 M", lambda x, y: jnp.where(x > 0, x, y), lambda: (normal(N), normal(N, seed=1)))
stream(
    "broadcast: x * row + column, 4096²",
    lambda x, r, c: x * r + c[:, None],
    lambda: (normal(SIDE, SIDE), normal(SIDE, seed=1), normal(SIDE, seed=2)),
)


def black_scholes(spot, strike, time, rate, volatility):
    """Price of a European call."""
    deviation = volatility * jnp.sqrt(time)
    first = (jnp.log(spot / strike) + (rate + volatility * volatility / 2) * time) / deviation
    discounted = strike * jnp.exp(-rate * time)
    return spot * below(first) - discounted * below(first - deviation)


def below(x):
    """The normal distribution function."""
    return 0.5 * (1 + special.erf(x / np.sqrt(2).astype(np.float32)))


def options():
    count = 1 << 20
    return (
        uniform(count, low=50.0, high=150.0),
        uniform(count, seed=1, low=50.0, high=150.0),
        uniform(count, seed=2, low=0.1, high=2.0),
        uniform(count, seed=3, low=0.0, high=0.1),
        uniform(count, seed=4, low=0.1, high=0.6),
    )


stream("Black-Scholes, 1 M", black_scholes, options, part=4)
case(
    "Black-Scholes, five greeks by vmap(grad), 1 M",
    "stream",
    bound="memory",
    part=4,
    tolerance=1e-3,
)(lambda: (jax.vmap(jax.grad(black_scholes, argnums=(0, 1, 2, 3, 4))), options()))
