"""Dense, fused: products with work before and after, and attention in plain calls."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.case import case, normal
from benchmarks.cases.library import jnp
from benchmarks.cases.reduce import layernorm, softmax
from benchmarks.cases.stream import gelu

N = 1024
FLOPS = 2.0 * N**3


def fused(name, function, make, flops=FLOPS, **fields):
    fields = {"bound": "f32", "flops": flops, "gradient": {"tolerance": 1e-3}, **fields}
    case(name, "dense", **fields)(lambda: (function, make()))


def weights(*extra):
    """x, w of a product of 1024, scaled to keep its results near 1, and vectors or matrices."""
    more = (normal(*shape, seed=2 + k) for k, shape in enumerate(extra))
    return normal(N, N), normal(N, N, seed=1) / 32, *more


fused("bias: x @ w + b, 1024", lambda x, w, b: x @ w + b, lambda: weights((N,)))
fused(
    "bias and gelu: gelu(x @ w + b), 1024",
    lambda x, w, b: gelu(x @ w + b),
    lambda: weights((N,)),
    gradient={"flops": 3 * FLOPS, "tolerance": 1e-3},
)
fused(
    "bias and relu: max(x @ w + b, 0), 1024",
    lambda x, w, b: jnp.maximum(x @ w + b, 0),
    lambda: weights((N,)),
    gradient={"flops": 3 * FLOPS, "tolerance": 1e-3},
)
fused("residual: r + x @ w, 1024", lambda x, w, r: r + x @ w, lambda: weights((N, N)))
fused("read: gelu(x) @ w, 1024", lambda x, w: gelu(x) @ w, weights)
fused(
    "layernorm read: layernorm(x) @ w, 1024",
    lambda x, w, s, b: layernorm(x, s, b) @ w,
    lambda: weights((N,), (N,)),
)
fused(
    "scaled rows and columns: (x * r) @ (w * c), 1024",
    lambda x, w, r, c: (x * r) @ (w * c),
    lambda: weights((N,), (N,)),
)
fused(
    "softmax after: softmax(x @ w), 1024",
    lambda x, w: softmax(x @ w),
    weights,
    gradient={"flops": 3 * FLOPS, "tolerance": 1e-3},
)
fused(
    "sum after: sum((x @ w) ** 2), 1024",
    lambda x, w: jnp.sum((x @ w) ** 2),
    weights,
    gradient={"flops": 3 * FLOPS, "tolerance": 1e-3},
)
fused(
    "two layers: gelu(x @ w1 + b1) @ w2 + b2, 512 x 256 x 1024",
    lambda x, w1, b1, w2, b2: gelu(x @ w1 + b1) @ w2 + b2,
    lambda: (
        normal(512, 256),
        normal(256, 1024, seed=1) / 16,
        normal(1024, seed=2),
        normal(1024, 256, seed=3) / 32,
        normal(256, seed=4),
    ),
    flops=4.0 * 512 * 256 * 1024,
    gradient={"flops": 10.0 * 512 * 256 * 1024, "tolerance": 1e-3},
)


def attention(q, k, v):
    scores = q @ jnp.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]).astype(np.float32)
    return softmax(scores) @ v


def causal(q, k, v):
    scores = q @ jnp.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]).astype(np.float32)
    length = scores.shape[-1]
    return softmax(jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e30)) @ v


def heads(*shape):
    return lambda: tuple(normal(*shape, seed=k) for k in range(3))


for name, function in (("attention", attention), ("causal attention", causal)):
    for shape in ((8, 1024, 64), (4, 4, 128, 64), (1, 4096, 64)):
        flops = 4.0 * np.prod(shape) * shape[-2]
        fused(
            f"{name}, {'x'.join(map(str, shape))}",
            function,
            heads(*shape),
            flops=float(flops),
            gradient={"flops": 3.5 * float(flops), "tolerance": 1e-3},
            memory=shape == (1, 4096, 64),
        )
