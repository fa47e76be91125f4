"""Models: whole steps of training and inference."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.case import case, normal, uniform
from benchmarks.cases.library import jax, jnp, lax, random, tree
from benchmarks.cases.reduce import logsumexp, softmax
from benchmarks.cases.stream import gelu


def model(name, make, **fields):
    fields = {"bound": "f32", "memory": True, **fields}
    case(name, "model", **fields)(make)


def descend(loss):
    """One step of gradient descent in the first argument of loss."""

    def step(params, *data):
        value, slopes = jax.value_and_grad(loss)(params, *data)
        return tree.map(lambda p, s: p - 0.1 * s, params, slopes), value

    return step


# --- multi-layer perceptron ---------------------------------------------------------------------
SIZES = (784, 512, 512, 10)


def mlp_loss(params, x, y):
    for w, b in params[:-1]:
        x = jnp.maximum(x @ w + b, 0)
    logits = x @ params[-1][0] + params[-1][1]
    return jnp.mean(logsumexp(logits) - jnp.sum(logits * y, -1))


def mlp_setup():
    params = [
        (normal(n, m, seed=n) * 0.05, jnp.zeros(m)) for n, m in zip(SIZES, SIZES[1:], strict=False)
    ]
    labels = np.eye(10, dtype=np.float32)[np.random.default_rng(0).integers(0, 10, 128)]
    return params, normal(128, 784), jnp.asarray(labels)


model(
    "MLP SGD step, 784-512-512-10, batch 128",
    lambda: (descend(mlp_loss), mlp_setup()),
    flops=6.0 * 128 * (784 * 512 + 512 * 512 + 512 * 10) - 2.0 * 128 * 784 * 512,
    smoke=True,
)


# --- transformer --------------------------------------------------------------------------------
HEADS = 4


def gpt_setup(layers, width=256, length=128, batch=4, vocabulary=512):
    rng = np.random.default_rng(0)

    def weight(*shape):
        return jnp.asarray(rng.standard_normal(shape).astype(np.float32) * 0.02)

    def layer():
        return {
            "n1": jnp.ones((width,)),
            "n2": jnp.ones((width,)),
            "qkv": weight(width, 3 * width),
            "out": weight(width, width),
            "up": weight(width, 4 * width),
            "down": weight(4 * width, width),
        }

    params = {
        "embed": weight(vocabulary, width),
        "position": weight(length, width),
        "layers": [layer() for _ in range(layers)],
        "norm": jnp.ones((width,)),
    }
    tokens = rng.integers(0, vocabulary, (batch, length + 1)).astype(np.int32)
    return params, jnp.asarray(tokens)


def gpt_flops(layers, width=256, length=128, batch=4, vocabulary=512):
    """Of the forward pass: products with weights, scores and mixing, logits."""
    of_layer = 24.0 * width**2 + 4.0 * width * length
    return batch * length * (layers * of_layer + 2.0 * width * vocabulary)


def norm(x, scale):
    centered = x - jnp.mean(x, -1, keepdims=True)
    variance = jnp.mean(centered * centered, -1, keepdims=True)
    return centered * lax.rsqrt(variance + 1e-5) * scale


def split_heads(x):
    """(batch, length, 3 * width) to three of (batch, heads, length, width / heads)."""
    batch, length, width = x.shape
    return (
        part.reshape(batch, length, HEADS, width // 3 // HEADS).transpose(0, 2, 1, 3)
        for part in jnp.split(x, 3, -1)
    )


def merge_heads(x):
    batch, heads, length, width = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, length, heads * width)


def gpt_logits(params, tokens, activation=(gelu,)):
    """The activation of layer k is activation[k], the last one from there on."""
    x = params["embed"][tokens] + params["position"]
    length = x.shape[1]
    mask = jnp.tril(jnp.ones((length, length), bool))
    for k, p in enumerate(params["layers"]):
        q, key, v = split_heads(norm(x, p["n1"]) @ p["qkv"])
        scores = q @ key.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]).astype(np.float32)
        mixed = softmax(jnp.where(mask, scores, -1e30)) @ v
        x = x + merge_heads(mixed) @ p["out"]
        x = x + activation[min(k, len(activation) - 1)](norm(x, p["n2"]) @ p["up"]) @ p["down"]
    return norm(x, params["norm"]) @ params["embed"].T


def gpt_loss(params, tokens, activation=(gelu,)):
    logits = gpt_logits(params, tokens[:, :-1], activation)
    chosen = jnp.take_along_axis(logits, tokens[:, 1:, None], -1)[..., 0]
    return jnp.mean(logsumexp(logits) - chosen)


model("GPT d256 L4 forward, 4 x 128 tokens", lambda: (gpt_loss, gpt_setup(4)), flops=gpt_flops(4))
model(
    "GPT d256 L4 train step, 4 x 128 tokens",
    lambda: (descend(gpt_loss), gpt_setup(4)),
    flops=3 * gpt_flops(4),
    share=0.5,
    tolerance=1e-3,
)


def decode(params, cache, token, place):
    """The logits of the next token; cache: keys and values of earlier tokens, by layer."""
    x = params["embed"][token][:, None] + lax.dynamic_slice_in_dim(params["position"], place, 1)
    seen = jnp.arange(params["position"].shape[0]) <= place
    new = []
    for p, (keys, values) in zip(params["layers"], cache, strict=True):
        q, k, v = split_heads(norm(x, p["n1"]) @ p["qkv"])
        keys = lax.dynamic_update_slice(keys, k, (0, 0, place, 0))
        values = lax.dynamic_update_slice(values, v, (0, 0, place, 0))
        scores = q @ keys.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]).astype(np.float32)
        mixed = softmax(jnp.where(seen, scores, -1e30)) @ values
        x = x + merge_heads(mixed) @ p["out"]
        x = x + gelu(norm(x, p["n2"]) @ p["up"]) @ p["down"]
        new.append((keys, values))
    return (norm(x, params["norm"]) @ params["embed"].T)[:, 0], new


def decode_setup():
    params, tokens = gpt_setup(12)
    shape = (1, HEADS, 128, 256 // HEADS)
    cache = [(normal(*shape, seed=k), normal(*shape, seed=99 + k)) for k in range(12)]
    return params, cache, tokens[:1, 0], jnp.int32(77)


model("GPT d256 L12 decode of one token", lambda: (decode, decode_setup()), bound="memory")


# --- Gaussian process ---------------------------------------------------------------------------
def cholesky(a):
    """The lower factor, column by column."""
    places = jnp.arange(a.shape[0])

    def column(j, lower):
        rest = a[:, j] - lower @ lower[j]
        return lower.at[:, j].set(jnp.where(places >= j, rest / jnp.sqrt(rest[j]), 0))

    return lax.fori_loop(0, a.shape[0], column, jnp.zeros_like(a))


def forward_substitution(lower, right):
    def row(j, found):
        return found.at[j].set((right[j] - lower[j] @ found) / lower[j, j])

    return lax.fori_loop(0, lower.shape[0], row, jnp.zeros_like(right))


def gaussian_process(params, x, y):
    """Negative log likelihood of y under a squared exponential kernel."""
    scale, size, noise = (jnp.exp(p) for p in params)
    between = (x[:, None] - x[None, :]) / scale
    covariance = size * jnp.exp(-0.5 * jnp.sum(between * between, -1)) + noise * jnp.eye(x.shape[0])
    lower = cholesky(covariance)
    white = forward_substitution(lower, y)
    return 0.5 * white @ white + jnp.sum(jnp.log(jnp.diagonal(lower)))


def points():
    x = uniform(256, 3, low=-2.0, high=2.0)
    return (jnp.float32(0), jnp.float32(0.1), jnp.float32(-1)), x, jnp.sin(x).sum(-1)


model(
    "Gaussian process likelihood, 256 points",
    lambda: (gaussian_process, points()),
    bound="",
    tolerance=1e-3,
)
model(
    "Gaussian process likelihood and gradient, 256 points",
    lambda: (jax.value_and_grad(gaussian_process), points()),
    bound="",
    tolerance=1e-2,
)


# --- Hamiltonian Monte Carlo --------------------------------------------------------------------
def hamiltonian(key, start, x, y):
    """100 samples of the weights of a logistic regression, 10 leapfrog steps each."""

    def energy(w):
        return jnp.sum(jnp.logaddexp(0, x @ w) - y * (x @ w)) + 0.5 * w @ w

    def leapfrog(state, _):
        place, speed = state
        speed = speed - 0.005 * jax.grad(energy)(place)
        place = place + 0.01 * speed
        return (place, speed - 0.005 * jax.grad(energy)(place)), None

    def sample(place, key):
        first, second = random.split(key)
        speed = random.normal(first, place.shape)
        (moved, ended), _ = lax.scan(leapfrog, (place, speed), None, length=10)
        gained = energy(place) - energy(moved) + 0.5 * (speed @ speed - ended @ ended)
        place = jnp.where(jnp.log(random.uniform(second)) < gained, moved, place)
        return place, place

    return lax.scan(sample, start, random.split(key, 100))[1]


def regression():
    labels = (normal(1000, seed=2) > 0).astype(jnp.float32)
    return random.key(0), jnp.zeros(10), normal(1000, 10), labels


#: an accepted sample on one side may be refused on the other where the odds are even
model(
    "HMC chain, 100 samples x 10 steps, 1000 x 10",
    lambda: (hamiltonian, regression()),
    bound="",
    tolerance=0.05,
)
