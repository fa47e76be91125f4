"""Shapes: small programs over sizes that no block, vector or tile divides.

Where other groups have round sizes these are odd: rows of 3, 83 or 419 numbers, 2039 x 2053, a
depth of 50257. Most cases are products of tables, programs by shapes by types; those of one shape
follow one another, so that its input is made once in each process.
"""

from __future__ import annotations

from functools import lru_cache

from benchmarks.cases.case import case, integers
from benchmarks.cases.case import normal as normal_numbers
from benchmarks.cases.library import jax, jnp, lax, nn

#: the cases are many, and what they look for is far from 1: short rounds do
FIELDS = {"group": "shapes", "seconds": 0.03}
SHORT = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int32": "i32", "int8": "i8"}


@lru_cache(maxsize=4)
def array(shape, seed=0, dtype="float32"):
    """Normal numbers, integers below 100 or booleans; cases of one shape share them."""
    if dtype in ("int32", "int8", "bool"):
        return integers(2 if dtype == "bool" else 100, *shape, seed=seed, dtype=dtype)
    return normal_numbers(*shape, seed=seed, dtype=dtype)


def program(name, function, *shapes, dtype="float32", **fields):
    """A case: a function of arrays of these shapes; functions among them make other arrays."""
    case(name, **FIELDS, **fields)(
        lambda: (
            function,
            tuple(s() if callable(s) else array(s, k, dtype) for k, s in enumerate(shapes)),
        )
    )


# --- one array of 4 M numbers, of about any shape ------------------------------------------------
SHAPES = (
    *((2048, 2048), (2047, 2048), (2048, 2047), (2039, 2053), (4194301,), (61, 67, 1021)),
    *((64, 64, 1024), (262139, 16), (16, 262139), (1398101, 3), (3, 1398101), (10007, 419)),
    *((50257, 83), (8, 3, 419, 419)),
)


def standardized(x):
    centered = x - jnp.mean(x, -1, keepdims=True)
    return centered * lax.rsqrt(jnp.var(x, -1, keepdims=True) + 1e-5)


REDUCTIONS = {
    "sum": lambda x: jnp.sum(x),
    "max": lambda x: jnp.max(x),
    "argmax": lambda x: jnp.argmax(x),
    "variance": lambda x: jnp.var(x),
    "any above 9": lambda x: jnp.any(x > 9),
    "mean of rows": lambda x: jnp.mean(x, -1),
    "max of rows": lambda x: jnp.max(x, -1),
    "argmax of rows": lambda x: jnp.argmax(x, -1),
    "mean and variance of rows": lambda x: (jnp.mean(x, -1), jnp.var(x, -1)),
    "norms of rows": lambda x: jnp.sqrt(jnp.sum(x * x, -1)),
    "logsumexp of rows": lambda x: nn.logsumexp(x, -1),
    "sum over axis 0": lambda x: jnp.sum(x, 0),
    "max over axis 0": lambda x: jnp.max(x, 0),
    "argmax over axis 0": lambda x: jnp.argmax(x, 0),
    "variance over axis 0": lambda x: jnp.var(x, 0),
}
ALONG_ROWS = {
    "softmax of rows": lambda x: nn.softmax(x, -1),
    "softmax over axis 0": lambda x: nn.softmax(x, 0),
    "standardized rows": standardized,
    "cumsum of rows": lambda x: jnp.cumsum(x, -1),
    "cumsum over axis 0": lambda x: jnp.cumsum(x, 0),
}
ELEMENTWISE = {
    "tanh": lambda x: jnp.tanh(x),
    "clip": lambda x: jnp.clip(x, -1, 1),
    "where": lambda x: jnp.where(x > 0, x, 0.1 * x),
    "to bf16": lambda x: x.astype("bfloat16"),
    "to i8": lambda x: (x * 10).astype("int8"),
    "2x, flat": lambda x: x.reshape(-1) * 2,
}
MOVES = {
    "transpose + 1": lambda x: x.T + 1,
    "x + x[::-1]": lambda x: x + x[::-1],
    "roll of rows": lambda x: jnp.roll(x, 1, -1),
    "pad by 1": lambda x: jnp.pad(x, 1),
    "diff of rows": lambda x: jnp.diff(x, axis=-1),
    "x[..., ::2] * 2": lambda x: x[..., ::2] * 2,
    "concatenate rows": lambda x: jnp.concatenate([x, x], -1),
    "concatenate over axis 0": lambda x: jnp.concatenate([x, x], 0),
}
PROGRAMS = {**REDUCTIONS, **ALONG_ROWS, **ELEMENTWISE, **MOVES}


def named(function, shape, dtype="float32"):
    return f"{function}, {SHORT.get(dtype, dtype)} {'x'.join(map(str, shape))}"


for shape in SHAPES:
    for name, function in PROGRAMS.items():
        program(named(name, shape), function, shape, tolerance=2e-3)

TYPES = ("bfloat16", "float16", "int32", "int8", "bool")
IN_TYPES = (
    *("sum", "max", "sum over axis 0", "mean of rows", "max of rows", "argmax of rows"),
    *("cumsum of rows", "transpose + 1", "concatenate rows", "pad by 1"),
)
for dtype in TYPES:
    for shape in ((2048, 2048), (2039, 2053), (262139, 16)):
        for name in IN_TYPES:
            program(named(name, shape, dtype), PROGRAMS[name], shape, dtype=dtype, tolerance=2e-2)

# few long rows, and long dimensions of two
for shape in ((16, 65536), (5, 1 << 20), (2, 2, 2, 2, 1 << 20)):
    for name, function in REDUCTIONS.items():
        program(named(name, shape), function, shape, tolerance=2e-3)


# --- products: m x k @ k x n, in three layouts ---------------------------------------------------
PRODUCTS = (
    *((1000, 1000, 1000), (999, 1001, 1003), (1, 4096, 1000), (7, 1000, 1000), (1000, 1000, 7)),
    *((1000, 7, 1000), (33, 2000, 65), (257, 513, 129), (4096, 3, 4096), (3, 100003, 5)),
    *((100003, 5, 3), (128, 50257, 64), (64, 768, 50257), (17, 17, 17), (100, 100, 100)),
    *((300, 300, 300), (31, 4097, 31)),
)
for m, k, n in PRODUCTS:
    size = f"{m} x {k} x {n}"
    program(f"x @ y, {size}", lambda x, y: x @ y, (m, k), (k, n))
    program(f"x @ y.T, {size}", lambda x, y: x @ y.T, (m, k), (n, k))
    program(f"x.T @ y, {size}", lambda x, y: x.T @ y, (k, m), (k, n))

BATCHES = (
    *((1000, 5, 5, 5), (100, 33, 33, 33), (64, 100, 64, 100), (7, 3, 1000, 3)),
    *((12, 197, 64, 197), (4096, 1, 64, 64), (4096, 64, 64, 1)),
)
for b, m, k, n in BATCHES:
    program(f"x @ y, {b} of {m} x {k} x {n}", lambda x, y: x @ y, (b, m, k), (b, k, n))

HEADS = (2, 197, 12, 64)


def attention(q, k, v):
    weights = nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) / 8)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)


program("scores of 197 places", lambda q, k: jnp.einsum("bqhd,bkhd->bhqk", q, k), HEADS, HEADS)
program("attention of 197 places", attention, HEADS, HEADS, HEADS)
program(
    "quadratic forms by vmap",
    lambda a, x: jax.vmap(lambda v: v @ a @ v)(x),
    *((50, 50), (10007, 50)),
)
program("kron, 45 x 45", lambda x, y: jnp.kron(x, y), (45, 45), (45, 45))


# --- pictures and neighbours ---------------------------------------------------------------------
FIRST, LAST = (8, 37, 112, 112), (8, 112, 112, 37)


def batchnorm(axes):
    def normalized(x):
        centered = x - jnp.mean(x, axes, keepdims=True)
        return centered * lax.rsqrt(jnp.var(x, axes, keepdims=True) + 1e-5)

    return normalized


def pooled(reduction):
    return lambda x: reduction(x.reshape(8, 37, 56, 2, 56, 2), (3, 5))


def laplacian(x):
    beside = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
    return 4 * x[1:-1, 1:-1] - beside


def periodic_laplacian(x):
    return 4 * x - sum(jnp.roll(x, by, axis) for by in (1, -1) for axis in (0, 1))


program("channels first", lambda x: x.transpose(0, 3, 1, 2) + 1, LAST)
program("channels last", lambda x: x.transpose(0, 2, 3, 1) + 1, FIRST)
program("batchnorm, channels first", batchnorm((0, 2, 3)), FIRST, tolerance=1e-3)
program("batchnorm, channels last", batchnorm((0, 1, 2)), LAST, tolerance=1e-3)
program("mean of 2 x 2", pooled(lambda x, axes: jnp.mean(x, axes)), FIRST)
program("max of 2 x 2", pooled(lambda x, axes: jnp.max(x, axes)), FIRST)
program("laplacian, 2039 x 2053", laplacian, (2039, 2053))
program("periodic laplacian, 2039 x 2053", periodic_laplacian, (2039, 2053))
program(
    "nine taps", lambda x: sum(x[k : 1_000_000 + k] * (k + 0.5) for k in range(9)), (1_000_008,)
)
program("convolve by 31", lambda x, k: jnp.convolve(x, k, mode="valid"), (100_003,), (31,))
program(
    "mean distance, 1000 points",
    lambda x: jnp.sqrt(jnp.sum((x[:, None] - x) ** 2, -1) + 1e-3).mean(),
    (1000, 3),
)
program("sum of an outer product, 3001", lambda x: jnp.sum(x[:, None] * x), (3001,), tolerance=0.1)


# --- moves of data -------------------------------------------------------------------------------
SQUARE = (1021, 1021)

program(
    "swap heads",
    lambda x: x.reshape(8, 197, 12, 64).transpose(0, 2, 1, 3) + 1,
    (8, 197, 768),
)
program("tile by 3 x 5", lambda x: jnp.tile(x, (3, 5)), (511, 513))
program("repeat rows", lambda x: jnp.repeat(x, 3, 0), SQUARE)
program("repeat columns", lambda x: jnp.repeat(x, 3, 1), SQUARE)
program("stack, last axis", lambda x: jnp.stack([x, x + 1, x * 2], -1), SQUARE)
program("stack, first axis", lambda x: jnp.stack([x, x + 1, x * 2]), SQUARE)
program("means of a split", lambda x: [jnp.mean(p) for p in jnp.split(x, 7)], (7007, 1000))
program("triu, 2039 x 2053", lambda x: jnp.triu(x), (2039, 2053))


# --- indices, sorts and a loop -------------------------------------------------------------------
def labels(high, count):
    return lambda: integers(high, count)


def cross_entropy(x, y):
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(x), y[:, None], 1))


program("rows by index", lambda x, i: x[i], (50257, 768), labels(50257, 2048))
program("one hot, 4096 of 1000", lambda i: nn.one_hot(i, 1000), labels(1000, 4096))
program("cross entropy, 4096 of 1000", cross_entropy, (4096, 1000), labels(1000, 4096))
program("cross entropy, 512 of 50257", cross_entropy, (512, 50257), labels(50257, 512))
program(
    "cross entropy, 512 of 50257, gradient",
    lambda x, y: jax.grad(cross_entropy)(x, y),
    *((512, 50257), labels(50257, 512)),
)
program("medians of 1000 rows of 101", lambda x: jnp.median(x, -1), (1000, 101))
program("sort 100003 rows of 7", lambda x: jnp.sort(x, -1), (100_003, 7))
program("sort 1000 rows of 1000", lambda x: jnp.sort(x, -1), (1000, 1000))
program("argsort 100003", lambda x: jnp.argsort(x), (100_003,))
program("quantile of 1 M", lambda x: jnp.quantile(x, 0.3), (1_000_003,))
program("histogram of 1 M", lambda x: jnp.histogram(x, 50)[0], (1_000_003,), tolerance=1e-2)
program(
    "scan of 500 steps, 33 states",
    lambda h, w, x: lax.scan(lambda h, x: (jnp.tanh(0.1 * (h @ w) + x), None), h, x)[0],
    *((33,), (33, 33), (500, 33)),
    smoke=True,
)
