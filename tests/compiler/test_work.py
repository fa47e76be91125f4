"""What tracing and compiling take grows in line with the program: so many calls for a step more.

Work is the number of function calls, those of built-in functions among them. Kernels of equal steps
are compiled once, so what LLVM takes does not count.
"""

from __future__ import annotations

import cProfile
import pstats

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import lax
from fornax.runtime import shared

STEPS = 30
reverse = np.arange(40)[::-1]


def mixed(x, k):
    y = jnp.tanh(x) * 0.5 + jnp.cos(x)
    return x - 0.1 * y + jnp.sum(y) * 1e-3


STEP = {
    "sin": lambda x, k: jnp.sin(x),
    "mixed": mixed,
    "argmax": lambda x, k: x + x[jnp.argmax(x)] * 0.1,
    "cumsum": lambda x, k: x + jnp.cumsum(x) * 0.01,
    "gather": lambda x, k: x + x[reverse],
    "sort": lambda x, k: x + jnp.sort(x) * 0.01,
    "update": lambda x, k: (x * 2).at[jnp.argmax(x)].add(0.1),
    "concatenate": lambda x, k: jnp.concatenate([x[1:], x[:1]]) + x * 0.01,
    "softmax": lambda x, k: fornax.nn.softmax(x),
    "product": lambda x, k: x + jnp.outer(x, x) @ x * 0.01,
    "loop": lambda x, k: lax.fori_loop(0, 3, lambda i, y: jnp.cumsum(y) * 0.1, x),
    "select": lambda x, k: jnp.where(x > 0.5, x * 0.9, x + 0.1),
}


def work(step, count: int) -> int:
    """Function calls of tracing and compiling the gradient of `count` steps, the second time: what
    is imported and what LLVM compiles then is there."""

    def program(x):
        for k in range(count):
            x = step(x, k)
        return x.sum()

    for _ in range(2):
        shared.clear()
        profile = cProfile.Profile()
        profile.enable()
        fornax.jit(fornax.grad(program)).lower(np.ones(40, np.float32)).compile()
        profile.disable()
    return pstats.Stats(profile).total_calls


@pytest.mark.parametrize("name", STEP)
def test_work_is_linear(name):
    first, second, third = (work(STEP[name], n * STEPS) for n in (1, 2, 3))
    less, more = (second - first) / STEPS, (third - second) / STEPS
    assert more < 1.2 * less, f"{less:.0f} calls for one step more, then {more:.0f}"


def test_what_doubles_at_each_of_many_steps():
    """Work that is counted twice at every step would be a number of a thousand binary digits."""

    def program(x):
        for k in range(1100):
            x = mixed(x, k)
        return x

    x = np.ones(8, np.float32)
    found = fornax.jit(program)(x)
    y = np.float64(1)
    for _ in range(1100):
        step = np.tanh(y) * 0.5 + np.cos(y)
        y = y - 0.1 * step + 8 * step * 1e-3
    np.testing.assert_allclose(np.asarray(found), np.full(8, y), rtol=1e-3)
