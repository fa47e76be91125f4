"""The benchmark cases: written once for the `jax` interface, run on Fornax and on JAX.

`load(library)` binds `jax`, `jnp` and friends in this module to one of the two. A case is a
function that makes everything it needs and returns what is timed; its decorator says what the
figure means. Whatever the timed function returns is waited for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

jax = jnp = lax = tree = None


def load(library: str) -> None:
    """Make the cases run on "fornax" or "jax"."""
    global jax, jnp, lax, tree
    jax = importlib.import_module(library)
    jnp = importlib.import_module(f"{library}.numpy")
    lax = importlib.import_module(f"{library}.lax")
    tree = importlib.import_module(f"{library}.tree")


@dataclass(frozen=True)
class Case:
    """`unit` is "time" (median of many calls) or "once" (the first call, in a fresh process).

    bytes and flops of one call give the share of the machine's limits. `goal`: at least this many
    times as fast as JAX; `limit`: at most this many seconds.
    """

    name: str
    group: str
    make: Callable[[], Callable[[], object]]
    unit: str = "time"
    bytes: float = 0.0
    flops: float = 0.0
    goal: float | None = None
    limit: float | None = None
    smoke: bool = True


CASES: dict[str, Case] = {}


def case(name: str, group: str, **fields):
    def register(make):
        CASES[name] = Case(name, group, make, **fields)
        return make

    return register


def _array(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


# --- dispatch ---------------------------------------------------------------------------------
@case("jit call, scalar", "dispatch", limit=2e-6)
def _():
    f, x = jax.jit(lambda x: x + 1), jnp.float32(1)
    return lambda: f(x)


@case("jit call, tree of 100", "dispatch", limit=30e-6)
def _():
    f = jax.jit(lambda t: t)
    x = {f"leaf{k:03d}": jnp.float32(k) for k in range(100)}
    return lambda: f(x)


@case("eager add 8x8", "dispatch", limit=2.5e-6)
def _():
    x, y = _array(8, 8), _array(8, 8)
    return lambda: x + y


@case("eager a[3]", "dispatch", limit=6e-6)
def _():
    x = _array(100)
    return lambda: x[3]


# --- streams ----------------------------------------------------------------------------------
N = 1 << 24


def _stream(name, function, **fields):
    @case(name, "stream", bytes=8.0 * N, goal=3.0, smoke=False, **fields)
    def _():
        f, x = jax.jit(function), _array(N)
        return lambda: f(x)


_stream("2x+1, 16 M", lambda x: 2 * x + 1)
_stream("gelu, 16 M", lambda x: 0.5 * x * (1 + jnp.tanh(0.79788456 * (x + 0.044715 * x * x * x))))
_stream("exp, 16 M", lambda x: jnp.exp(x))


def softmax(x):
    e = jnp.exp(x - jnp.max(x, -1, keepdims=True))
    return e / jnp.sum(e, -1, keepdims=True)


@case("softmax 4096x4096", "stream", bytes=8.0 * N, goal=3.0, smoke=False)
def _():
    f, x = jax.jit(softmax), _array(4096, 4096)
    return lambda: f(x)


# --- dense ------------------------------------------------------------------------------------
def _matmul(n, **fields):
    @case(f"matmul {n} f32", "dense", flops=2.0 * n**3, **fields)
    def _():
        f, x, y = jax.jit(lambda x, y: x @ y), _array(n, n), _array(n, n, seed=1)
        return lambda: f(x, y)


_matmul(256)
_matmul(1024, smoke=False)


# --- loops ------------------------------------------------------------------------------------
def lorenz(state, steps):
    def velocity(s):
        x, y, z = s
        return jnp.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    def step(s, _):
        k1 = velocity(s)
        k2 = velocity(s + 0.005 * k1)
        k3 = velocity(s + 0.005 * k2)
        k4 = velocity(s + 0.01 * k3)
        return s + 0.01 / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    return lax.scan(step, state, None, length=steps)[0]


@case("Lorenz RK4 scan, 100 k steps", "loop", goal=1.0)
def _():
    f = jax.jit(lambda s: lorenz(s, 100_000))
    x = jnp.array([1.0, 1.0, 1.0])
    return lambda: f(x)


# --- models -----------------------------------------------------------------------------------
def mlp_setup():
    rng = np.random.default_rng(0)
    sizes = (784, 512, 512, 10)
    params = [
        (jnp.asarray(rng.standard_normal((n, m)).astype(np.float32) * 0.05), jnp.zeros((m,)))
        for n, m in zip(sizes, sizes[1:], strict=False)
    ]
    x = jnp.asarray(rng.standard_normal((128, 784)).astype(np.float32))
    y = jnp.asarray(np.eye(10, dtype=np.float32)[rng.integers(0, 10, 128)])
    return params, x, y


def mlp_step(params, x, y):
    def loss(params):
        h = x
        for w, b in params[:-1]:
            h = jnp.maximum(h @ w + b, 0)
        logits = h @ params[-1][0] + params[-1][1]
        m = jnp.max(logits, -1, keepdims=True)
        log_sum = jnp.log(jnp.sum(jnp.exp(logits - m), -1)) + m[:, 0]
        return jnp.mean(log_sum - jnp.sum(logits * y, -1))

    value, grads = jax.value_and_grad(loss)(params)
    return tree.map(lambda p, g: p - 0.1 * g, params, grads), value


MLP_FLOPS = 6.0 * 128 * (784 * 512 + 512 * 512 + 512 * 10)


@case("MLP SGD step", "model", flops=MLP_FLOPS, goal=1.0)
def _():
    f = jax.jit(mlp_step)
    params, x, y = mlp_setup()
    return lambda: f(params, x, y)


def gpt_setup(layers, width=256, heads=4, length=128, batch=4, vocabulary=512):
    rng = np.random.default_rng(0)

    def weight(*shape):
        return jnp.asarray(rng.standard_normal(shape).astype(np.float32) * 0.02)

    def layer():
        return {
            "n1": jnp.ones((width,)), "n2": jnp.ones((width,)), "qkv": weight(width, 3 * width),
            "out": weight(width, width), "up": weight(width, 4 * width),
            "down": weight(4 * width, width),
        }  # fmt: skip

    params = {
        "embed": weight(vocabulary, width), "position": weight(length, width),
        "layers": [layer() for _ in range(layers)], "norm": jnp.ones((width,)),
    }  # fmt: skip
    tokens = jnp.asarray(rng.integers(0, vocabulary, (batch, length + 1)).astype(np.int32))
    return params, tokens, heads


def gpt_loss(params, tokens, heads):
    x = params["embed"][tokens[:, :-1]] + params["position"]
    batch, length, width = x.shape

    def norm(x, scale):
        mean = jnp.mean(x, -1, keepdims=True)
        centered = x - mean
        variance = jnp.mean(centered * centered, -1, keepdims=True)
        return centered * lax.rsqrt(variance + 1e-5) * scale

    mask = jnp.tril(jnp.ones((length, length), bool))
    for p in params["layers"]:
        qkv = norm(x, p["n1"]) @ p["qkv"]
        q, k, v = (
            part.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)
            for part in jnp.split(qkv, 3, -1)
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // heads)
        weights = softmax(jnp.where(mask, scores, -1e30))
        mixed = (weights @ v).transpose(0, 2, 1, 3).reshape(batch, length, width)
        x = x + mixed @ p["out"]
        h = norm(x, p["n2"]) @ p["up"]
        h = 0.5 * h * (1 + jnp.tanh(0.79788456 * (h + 0.044715 * h * h * h)))
        x = x + h @ p["down"]
    logits = norm(x, params["norm"]) @ params["embed"].T
    m = jnp.max(logits, -1, keepdims=True)
    log_sum = jnp.log(jnp.sum(jnp.exp(logits - m), -1)) + m[..., 0]
    chosen = jnp.take_along_axis(logits, tokens[:, 1:, None], -1)[..., 0]
    return jnp.mean(log_sum - chosen)


def gpt_step(params, tokens, heads):
    value, grads = jax.value_and_grad(gpt_loss)(params, tokens, heads)
    return tree.map(lambda p, g: p - 0.1 * g, params, grads), value


@case("GPT d256 L4 train step", "model", smoke=False, goal=1.0)
def _():
    params, tokens, heads = gpt_setup(4)
    f = jax.jit(lambda p, t: gpt_step(p, t, heads))
    return lambda: f(params, tokens)


# --- trace and compile ------------------------------------------------------------------------
@case("first call: gelu", "compile", unit="once", limit=30e-3, goal=1.0)
def _():
    x = _array(1000)
    f = jax.jit(lambda x: 0.5 * x * (1 + jnp.tanh(0.79788456 * (x + 0.044715 * x * x * x))))
    return lambda: f(x)


@case("first call: MLP step", "compile", unit="once", limit=120e-3, goal=1.0)
def _():
    params, x, y = mlp_setup()
    f = jax.jit(mlp_step)
    return lambda: f(params, x, y)


@case("first call: GPT L12 train step", "compile", unit="once", limit=2.0, goal=1.0, smoke=False)
def _():
    params, tokens, heads = gpt_setup(12)
    f = jax.jit(lambda p, t: gpt_step(p, t, heads))
    return lambda: f(params, tokens)
