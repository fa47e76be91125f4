"""Reduce: many numbers to few, alone or with what is computed before and after."""

from __future__ import annotations

from benchmarks.cases.case import case, normal, uniform
from benchmarks.cases.library import jnp, lax

SIDE = 4096


def reduction(name, function, make=lambda: (normal(SIDE, SIDE),), **fields):
    fields = {"bound": "memory", "share": 0.8, **fields}
    case(name, "reduce", **fields)(lambda: (function, make()))


def softmax(x):
    e = jnp.exp(x - jnp.max(x, -1, keepdims=True))
    return e / jnp.sum(e, -1, keepdims=True)


def logsumexp(x):
    largest = jnp.max(x, -1, keepdims=True)
    return jnp.log(jnp.sum(jnp.exp(x - largest), -1)) + largest[..., 0]


def layernorm(x, scale, shift):
    mean = jnp.mean(x, -1, keepdims=True)
    centered = x - mean
    variance = jnp.mean(centered * centered, -1, keepdims=True)
    return centered * lax.rsqrt(variance + 1e-5) * scale + shift


def box():
    return (normal(256, 256, 256),)


def rows():
    return normal(SIDE, SIDE), normal(SIDE, seed=1), normal(SIDE, seed=2)


reduction("sum, 16 M", lambda x: jnp.sum(x), lambda: (normal(1 << 24),))
reduction("sum of all, 4096²", lambda x: jnp.sum(x))
reduction("sum over axis 0, 4096²", lambda x: jnp.sum(x, 0))
reduction("sum over axis 1, 4096²", lambda x: jnp.sum(x, 1))
reduction("sum over axis 0, 256³", lambda x: jnp.sum(x, 0), box)
reduction("sum over axis 1, 256³", lambda x: jnp.sum(x, 1), box)
reduction("sum over axis 2, 256³", lambda x: jnp.sum(x, 2), box)
reduction("sum over axes 0 and 2, 256³", lambda x: jnp.sum(x, (0, 2)), box)
reduction("max over axis 0, 4096²", lambda x: jnp.max(x, 0))
reduction("mean and variance over axis 0, 4096²", lambda x: (jnp.mean(x, 0), jnp.var(x, 0)))
reduction("mean and variance over axis 1, 4096²", lambda x: (jnp.mean(x, 1), jnp.var(x, 1)))
reduction("mean and variance of all, 4096²", lambda x: (jnp.mean(x), jnp.var(x)))
reduction(
    "sum of bf16 over axis 1, 4096²",
    lambda x: jnp.sum(x, 1),
    lambda: (normal(SIDE, SIDE, dtype="bfloat16"),),
    tolerance=2e-2,
)
reduction("softmax, 4096²", softmax, part=16, gradient={}, smoke=True)
reduction("softmax over axis 0, 4096²", lambda x: softmax(x.T).T, part=16)
reduction("logsumexp, 4096²", logsumexp, part=16, gradient={})
reduction("layernorm, 4096²", layernorm, rows, gradient={"tolerance": 1e-3})
reduction("argmax over axis 1, 4096²", lambda x: jnp.argmax(x, 1))
reduction("argmax over axis 0, 4096²", lambda x: jnp.argmax(x, 0))
reduction("argmax of all, 16 M", lambda x: jnp.argmax(x), lambda: (normal(1 << 24),))
reduction(
    "any and all, 16 M", lambda x: (jnp.any(x > 9), jnp.all(x < 9)), lambda: (normal(1 << 24),)
)
reduction(
    "cumsum, 16 M",
    lambda x: jnp.cumsum(x),
    lambda: (uniform(1 << 24),),
    tolerance=1e-3,
)
reduction("cumsum over axis 1, 4096²", lambda x: jnp.cumsum(x, 1), gradient={})
reduction("cumsum over axis 0, 4096²", lambda x: jnp.cumsum(x, 0))


def forces(places, masses):
    """Gravity of every body on every other, softened."""
    between = places[None, :, :] - places[:, None, :]
    squares = jnp.sum(between * between, -1) + 1e-3
    weights = masses[None, :] / (squares * jnp.sqrt(squares))
    return jnp.sum(between * weights[:, :, None], 1)


def bodies():
    return normal(2048, 3), uniform(2048, seed=1)


#: 3 differences, 3 multiply-adds of squares, a root, a division, 2 products, 3 multiply-adds
reduction(
    "n-body forces, 2048",
    forces,
    bodies,
    bound="f32",
    flops=20.0 * 2048**2,
    share=0.35,
    gradient={"share": None, "tolerance": 1e-3},
)


def distances(x, y):
    between = x[:, None, :] - y[None, :, :]
    return jnp.sqrt(jnp.sum(between * between, -1))


reduction(
    "pairwise distances, 2000 x 2000 x 16",
    distances,
    lambda: (normal(2000, 16), normal(2000, 16, seed=1)),
    bound="f32",
    flops=3.0 * 16 * 2000**2,
    share=0.35,
    gradient={"share": None},
)
reduction(
    "nearest of 2000, 2000 x 16",
    lambda x, y: jnp.min(distances(x, y), 1),
    lambda: (normal(2000, 16), normal(2000, 16, seed=1)),
    bound="f32",
    flops=3.0 * 16 * 2000**2,
    share=0.35,
)


def k_means(points, centers):
    """One step: every point to its nearest centre, every centre to the mean of its points."""
    between = points[:, None, :] - centers[None, :, :]
    nearest = jnp.argmin(jnp.sum(between * between, -1), 1)
    member = (nearest[:, None] == jnp.arange(centers.shape[0])[None, :]).astype(points.dtype)
    return (member.T @ points) / jnp.maximum(jnp.sum(member, 0), 1)[:, None]


reduction(
    "k-means step, 100k x 16, 64 centres",
    k_means,
    lambda: (normal(100_000, 16), normal(64, 16, seed=1)),
    bound="f32",
    flops=3.0 * 100_000 * 16 * 64,
    share=0.35,
    tolerance=1e-3,
)


def smoothness(x):
    """Sum of squared differences along each axis, as in tomography."""
    total = 0.0
    for axis in range(x.ndim):
        step = jnp.diff(x, axis=axis)
        total += jnp.sum(step * step)
    return total


reduction("squared differences along three axes, 256³", smoothness, box, gradient={})


def total_variation(x):
    return sum(jnp.sum(jnp.abs(jnp.diff(x, axis=axis))) for axis in range(x.ndim))


reduction("total variation, 4096²", total_variation, gradient={})
