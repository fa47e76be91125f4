"""How samples of the gamma distribution move with its shape."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import fornax
import fornax.numpy as jnp
from fornax import lax

POINTS = [
    (1, 100), (1, 30), (0.5, 60), (5, 200), (50, 300), (2.5, 2.5), (2.5, 3.6), (1000, 1000),
    (1000, 1100), (0.1, 1e-12), (1e-3, 5), (30, 3),
]  # fmt: skip


def quotient(a: float, x: float) -> float:
    """A difference quotient in float64 of the quantile function at the probability of x."""
    tail = scipy.special.gammaincc(a, x)
    inverse = scipy.special.gammainccinv
    if tail > 0.5:
        tail, inverse = scipy.special.gammainc(a, x), scipy.special.gammaincinv
    step = a * 1e-5
    return (inverse(a + step, tail) - inverse(a - step, tail)) / (2 * step)


@pytest.mark.parametrize("a,x", POINTS)
def test_slope(a, x):
    """Far out in the tail as well, where density and probability are below the smallest float."""
    found = lax.random_gamma_grad(jnp.float32(a), jnp.float32(x))
    np.testing.assert_allclose(found, quotient(a, np.float64(np.float32(x))), rtol=1e-3)


def test_ends():
    a = jnp.float32([2, 0, -1, np.inf, np.nan, 2, 2, 2])
    x = jnp.float32([0, 1, 1, 1, 1, np.inf, np.nan, -1])
    found = np.asarray(fornax.jit(lax.random_gamma_grad)(a, x))
    np.testing.assert_array_equal(found, [0, *[np.nan] * 7])
