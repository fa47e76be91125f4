"""Irregular: reads and writes at computed places, orders, masks."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.case import case, integers, normal
from benchmarks.cases.library import jax, jnp, lax

M = 1_000_000


def irregular(name, function, make, **fields):
    case(name, "irregular", **fields)(lambda: (function, make()))


def gather(x, i):
    return x[i]


def keys(*shape, seed=0):
    """The numbers to sort, for NumPy."""
    return np.random.default_rng(seed).standard_normal(shape or M).astype(np.float32)


def vector():
    return (normal(M),)


irregular(
    "gather 1 M of 1 M", gather, lambda: (normal(M), integers(M, M)), bound="memory", gradient={}
)
irregular(
    "gather rows: 100k of 10k x 64",
    gather,
    lambda: (normal(10_000, 64), integers(10_000, 100_000)),
    bound="memory",
    read=4.0 * 100_000 * 64,
    written=4.0 * 100_000 * 64,
)
irregular(
    "take_along_axis, 4096 x 1024",
    lambda x, i: jnp.take_along_axis(x, i, 1),
    lambda: (normal(4096, 1024), integers(1024, 4096, 1024)),
    bound="memory",
)
irregular(
    "embedding, 8192 tokens of 32k x 256",
    gather,
    lambda: (normal(32_000, 256), integers(32_000, 8192)),
    bound="memory",
    read=4.0 * 8192 * 256,
    written=4.0 * 8192 * 256,
    gradient={"written": 4.0 * 32_000 * 256},
)
irregular(
    "scatter-add 1 M into 100k",
    lambda x, i, v: x.at[i].add(v),
    lambda: (normal(100_000), integers(100_000, M), normal(M, seed=1)),
    gradient={},
)
irregular(
    "scatter-add rows: 100k x 64 into 10k x 64",
    lambda x, i, v: x.at[i].add(v),
    lambda: (normal(10_000, 64), integers(10_000, 100_000), normal(100_000, 64, seed=1)),
    tolerance=1e-3,
)
irregular(
    "scatter: x.at[i].set(v), 1 M distinct",
    lambda x, i, v: x.at[i].set(v),
    lambda: (
        normal(M),
        jnp.asarray(np.random.default_rng(0).permutation(M).astype(np.int32)),
        normal(M, seed=1),
    ),
)


def segments(sort):
    def make():
        index = np.random.default_rng(0).integers(0, 10_000, M).astype(np.int32)
        return normal(M), jnp.asarray(np.sort(index) if sort else index)

    return make


def segment_sum(x, index):
    return jax.ops.segment_sum(x, index, num_segments=10_000)


irregular("segment_sum 1 M into 10k", segment_sum, segments(False), gradient={}, tolerance=1e-3)
irregular("segment_sum 1 M into 10k, sorted", segment_sum, segments(True), tolerance=1e-3)
irregular(
    "bincount 1 M into 1000", lambda i: jnp.bincount(i, length=1000), lambda: (integers(1000, M),)
)
irregular(
    "sort 1 M", lambda x: jnp.sort(x), vector, sides={"numpy": (lambda: (np.sort, (keys(),)), 2.0)}
)
irregular(
    "sort int32 1 M",
    lambda x: jnp.sort(x),
    lambda: (integers(1 << 30, M),),
    sides={
        "numpy": (
            lambda: (np.sort, (np.random.default_rng(0).integers(0, 1 << 30, M).astype(np.int32),)),
            2.0,
        )
    },
)
irregular(
    "sort rows, 4096 x 256",
    lambda x: jnp.sort(x, 1),
    lambda: (normal(4096, 256),),
    sides={"numpy": (lambda: (np.sort, (keys(4096, 256),)), 2.0)},
)
irregular(
    "sort columns, 256 x 4096",
    lambda x: jnp.sort(x, 0),
    lambda: (normal(256, 4096),),
    sides={"numpy": (lambda: (lambda x: np.sort(x, 0), (keys(256, 4096),)), 2.0)},
)
irregular(
    "sort 1000",
    lambda x: jnp.sort(x),
    lambda: (normal(1000),),
    sides={"numpy": (lambda: (np.sort, (keys(1000),)), 2.0)},
    smoke=True,
)
irregular(
    "argsort 1 M",
    lambda x: jnp.argsort(x),
    vector,
    sides={"numpy": (lambda: (np.argsort, (keys(),)), 2.0)},
)
irregular(
    "gradient of sort 1 M",
    lambda x, c: jax.vjp(jnp.sort, x)[1](c)[0],
    lambda: (normal(M), normal(M, seed=1)),
)
irregular(
    "sort by key, 2 x 1 M",
    lambda k, v: lax.sort((k, v), num_keys=1),
    lambda: (normal(M), normal(M, seed=1)),
)
irregular("median 1 M", lambda x: jnp.median(x), vector)
irregular("top_k 100 of 1 M", lambda x: lax.top_k(x, 100), vector)
irregular(
    "top_k 10 of rows, 1024 x 1024", lambda x: lax.top_k(x, 10), lambda: (normal(1024, 1024),)
)
irregular(
    "searchsorted 1 M in 100k",
    lambda a, v: jnp.searchsorted(a, v),
    lambda: (jnp.sort(normal(100_000)), normal(M, seed=1)),
)
irregular(
    "boolean where: x[mask], 1 M, eager",
    lambda x, m: x[m],
    lambda: (normal(M), normal(M, seed=1) > 0),
    eager=True,
)
irregular(
    "boolean where: indices, 1 M, eager",
    lambda m: jnp.where(m),
    lambda: (normal(M, seed=1) > 0,),
    eager=True,
)
irregular(
    "boolean where: nonzero(size=1 M)",
    lambda m: jnp.nonzero(m, size=M, fill_value=-1),
    lambda: (normal(M, seed=1) > 0,),
)
irregular(
    "boolean where: where(mask, 0, x), 1 M",
    lambda x, m: jnp.where(m, 0.0, x),
    lambda: (normal(M), normal(M, seed=1) > 0),
    bound="memory",
)
irregular(
    "unique 100k, eager", lambda x: jnp.unique(x), lambda: (integers(5000, 100_000),), eager=True
)
irregular(
    "dynamic_slice of rows, 64 of 4096²",
    lambda x, i: lax.dynamic_slice(x, (i, 0), (64, 4096)),
    lambda: (normal(4096, 4096), jnp.int32(1000)),
    read=4.0 * 64 * 4096,
    written=4.0 * 64 * 4096,
    bound="memory",
)
