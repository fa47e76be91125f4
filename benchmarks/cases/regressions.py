"""Programs that users of JAX and XLA reported as slow or wrong, written anew from what they told.

The carry of 60 leaves (jax #40150) is in `recurrence`, captured arrays (jax #14655) and unrolled
loops (jax #2777) in `compile`.
"""

from __future__ import annotations

import numpy as np

from benchmarks.cases.case import case, normal
from benchmarks.cases.library import jax, jnp, lax

GROUP = "loop"


# --- jax #40101: small writes in a loop rewrite the whole buffer --------------------------------
def stepwise(n):
    def program(x):
        def step(t, out):
            return out.at[t].set(0.9 * out[t - 1] + x)

        return lax.fori_loop(1, n, step, jnp.zeros(n))

    return program


def stacked(n):
    def program(x):
        return lax.scan(lambda s, _: (0.9 * s + x, s), jnp.float32(0), None, length=n)[1]

    return program


for n, name in ((200_000, "200k"), (400_000, "400k")):
    case(f"jax #40101: fori_loop with .at[t].set, n = {name}", GROUP)(
        lambda n=n: (stepwise(n), (jnp.float32(1),))
    )
    case(f"jax #40101: scan with stacked outputs, n = {name}", GROUP)(
        lambda n=n: (stacked(n), (jnp.float32(1),))
    )


# --- jax #25190: a while loop that reads an array until a bound ---------------------------------
@case("jax #25190: while over 1 M entries", GROUP)
def _():
    def program(entries, stop):
        return lax.while_loop(
            lambda u: u[0] < stop, lambda u: (jnp.maximum(u[0], entries[u[1]]), u[1] + 1), (0, 0)
        )[1]

    entries = jnp.arange(1 << 20)
    return program, (entries, jnp.max(entries))


# --- jax #26145: a differentiable simulator of a neuron -----------------------------------------
def neuron(conductances, current, compartments=16):
    """Voltages of a cable with sodium, potassium and leak; an implicit step solves a band."""

    def opening(v, rate, shift, scale):
        return rate / (1 + jnp.exp(-(v + shift) / scale))

    def step(state, drive):
        v, m, h, n = state
        m = m + 0.025 * (opening(v, 4.0, 40.0, 9.0) * (1 - m) - 4.0 * jnp.exp(-(v + 65) / 18) * m)
        h = h + 0.025 * (0.07 * jnp.exp(-(v + 65) / 20) * (1 - h) - opening(v, 1.0, 35.0, 10.0) * h)
        n = n + 0.025 * (
            opening(v, 0.5, 55.0, 10.0) * (1 - n) - 0.125 * jnp.exp(-(v + 65) / 80) * n
        )
        sodium, potassium, leak = conductances
        open_now = sodium * m * m * m * h, potassium * n**4, leak
        total = sum(open_now)
        pulled = open_now[0] * 50.0 - open_now[1] * 77.0 - open_now[2] * 54.3
        right = v + 0.025 * (pulled + drive)
        v = banded(1 + 0.025 * (total + 2.0), -0.025, right)
        return (v, m, h, n), v[0]

    def banded(diagonal, beside, right):
        """Solves a symmetric three-band system with a constant beside the diagonal."""
        upper, values = [beside / diagonal[0]], [right[0] / diagonal[0]]
        for k in range(1, compartments):
            pivot = diagonal[k] - beside * upper[-1]
            upper.append(beside / pivot)
            values.append((right[k] - beside * values[-1]) / pivot)
        solved = [values[-1]]
        for k in reversed(range(compartments - 1)):
            solved.append(values[k] - upper[k] * solved[-1])
        return jnp.stack(solved[::-1])

    ones = jnp.ones(compartments)
    start = (-65.0 * ones, 0.05 * ones, 0.6 * ones, 0.32 * ones)
    return jnp.mean(lax.scan(step, start, current)[1])


@case("jax #26145: neuron of 16 compartments, 400 steps", GROUP, gradient={"tolerance": 1e-2})
def _():
    current = np.where(np.arange(400)[:, None] < 200, 10.0, 0.0) * np.eye(1, 16)
    return neuron, (jnp.array([120.0, 36.0, 0.3]), jnp.asarray(current.astype(np.float32)))


# --- jax #36799: a float64 carry of 3x3 ---------------------------------------------------------
@case(
    "jax #36799: scan with a float64 3x3 carry, 10k steps",
    GROUP,
    x64=True,
    gradient={"tolerance": 1e-6},
)
def _():
    def program(rotation, angles):
        def step(rotation, angle):
            cosine, sine, zero, one = jnp.cos(angle), jnp.sin(angle), angle * 0, angle * 0 + 1
            turn = jnp.array([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]])
            return turn @ rotation, None

        return lax.scan(step, rotation, angles)[0]

    angles = np.random.default_rng(0).standard_normal(10_000)
    return program, (jnp.eye(3, dtype="float64"), jnp.asarray(angles))


# --- jax #10434: argsort is slower than NumPy's -------------------------------------------------
def numbers():
    return np.random.default_rng(0).random((1000, 1000)).astype(np.float32)


case(
    "jax #10434: argsort of rows, 1000²",
    "irregular",
    sides={"numpy": (lambda: (np.argsort, (numbers(),)), 2.0)},
)(lambda: (jnp.argsort, (jnp.asarray(numbers()),)))


# --- jax #13522: vmap of a while loop with an indexed write copies the array each time ----------
def filled(x):
    def step(state):
        i, x = state
        return i + 1, x.at[i].set(x[i] * 2 + i)

    return lax.while_loop(lambda s: s[0] < x.shape[0], step, (0, x))[1]


case("jax #13522: while with x.at[i].set, 30 000", GROUP)(lambda: (filled, (normal(30_000),)))
case("jax #13522: the same under vmap of 1", GROUP)(
    lambda: (jax.vmap(filled), (normal(1, 30_000),))
)
case("jax #13522: the same under vmap of 8", GROUP)(
    lambda: (jax.vmap(filled), (normal(8, 30_000),))
)


# --- xla #49176: an overlapping write in place reads what it has overwritten --------------------
@case(
    "xla #49176: x.at[1:].set(x[:-1]) and a reshape, 16 M", "stream", bound="memory", tolerance=0.0
)
def _():
    def program(x):
        return (x * 2).at[1:].set((x * 2)[:-1]).reshape(4096, -1).T

    return program, (normal(1 << 24),)
