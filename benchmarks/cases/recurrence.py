"""Loops of filters and networks: small matrices carried from step to step."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.case import case, normal
from benchmarks.cases.library import jax, jnp, lax, tree


def kalman(seen, transition, noise):
    """Log likelihood of places seen in the plane; the state has places and speeds."""
    look = jnp.eye(2, 4)

    def step(state, y):
        mean, spread = state
        mean = transition @ mean
        spread = transition @ spread @ transition.T + noise
        cross = spread @ look.T
        of_seen = look @ cross + 0.5 * jnp.eye(2)
        (a, b), (c, d) = of_seen
        determinant = a * d - b * c
        inverse = jnp.stack([jnp.stack([d, -b]), jnp.stack([-c, a])]) / determinant
        surprise = y - look @ mean
        gain = cross @ inverse
        likelihood = -0.5 * (surprise @ inverse @ surprise + jnp.log(determinant))
        return (mean + gain @ surprise, spread - gain @ cross.T), likelihood

    start = jnp.zeros(4), jnp.eye(4)
    return jnp.sum(lax.scan(step, start, seen)[1])


def tracks():
    transition = np.eye(4, dtype=np.float32) * 0.99
    transition[0, 2] = transition[1, 3] = 0.1
    return normal(1000, 2), jnp.asarray(transition), jnp.eye(4) * 0.1


case("Kalman filter, 1000 steps of 4 states", "loop", gradient={"tolerance": 1e-3})(
    lambda: (kalman, tracks())
)


def hidden_markov(start, moves, seen):
    """Log likelihood by the forward algorithm, in logarithms."""

    def step(forward, likelihood):
        paths = forward[:, None] + moves
        largest = jnp.max(paths, 0)
        total = jnp.log(jnp.sum(jnp.exp(paths - largest), 0)) + largest
        return total + likelihood, None

    last, _ = lax.scan(step, start, seen)
    return jax.nn.logsumexp(last)


def chain(states, length):
    return lambda: (
        jax.nn.log_softmax(normal(states)),
        jax.nn.log_softmax(normal(states, states, seed=1)),
        normal(length, states, seed=2),
    )


for states in (8, 64):
    case(
        f"HMM forward, 1000 steps of {states} states",
        "loop",
        tolerance=1e-4,
        gradient={"tolerance": 1e-3},
    )(lambda states=states: (hidden_markov, chain(states, 1000)()))


def many_leaves(carry):
    """Sixty scalars, each drawn to its neighbour (the shape of jax #40150)."""

    def step(carry, _):
        new = [
            x + 0.01 * (jnp.sin(y) - x * z) / (1 + z * z)
            for x, y, z in zip(carry, [*carry[1:], carry[0]], [*carry[2:], *carry[:2]], strict=True)
        ]
        return new, None

    last, _ = lax.scan(step, carry, None, length=614)
    return sum(x * x for x in last)


case("jax #40150: scan of 60 scalar leaves, 614 steps", "loop", gradient={"tolerance": 1e-3})(
    lambda: (many_leaves, ([jnp.float32(0.1 + 0.01 * k) for k in range(60)],))
)


def lstm(weights, x):
    """The last output of an LSTM over x of shape (time, batch, inputs)."""
    width = weights["hidden"].shape[0]

    def step(state, x):
        hidden, cell = state
        gates = x @ weights["input"] + hidden @ weights["hidden"] + weights["bias"]
        i, f, g, o = (gates[:, k * width : (k + 1) * width] for k in range(4))
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), None

    zero = jnp.zeros((x.shape[1], width))
    return lax.scan(step, (zero, zero), x)[0][0]


def lstm_setup(width=128, batch=32, length=256):
    weights = {
        "input": normal(width, 4 * width) * 0.05,
        "hidden": normal(width, 4 * width, seed=1) * 0.05,
        "bias": jnp.zeros(4 * width),
    }
    return weights, normal(length, batch, width, seed=2)


LSTM_FLOPS = 2.0 * 256 * 32 * 256 * 512

case(
    "LSTM, h 128, batch 32, 256 steps",
    "loop",
    flops=LSTM_FLOPS,
    bound="f32",
    gradient={"tolerance": 1e-3},
)(lambda: (lstm, lstm_setup()))


def lstm_step(weights, x, target):
    """One step of gradient descent on the last output."""

    def loss(weights):
        return jnp.mean((lstm(weights, x) - target) ** 2)

    value, slopes = jax.value_and_grad(loss)(weights)
    return tree.map(lambda w, s: w - 0.1 * s, weights, slopes), value


case(
    "LSTM train step, h 128, batch 32, 256 steps",
    "model",
    flops=3 * LSTM_FLOPS,
    bound="f32",
    memory=True,
)(lambda: (lstm_step, (*lstm_setup(), normal(32, 128, seed=3))))
