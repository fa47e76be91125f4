"""`searchsorted` in arrays of every size: those larger than a table are searched by several."""

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp


def sorted_numbers(length, dtype="float32"):
    """Many equal ones, and NaN at the end."""
    generator = np.random.default_rng(length)
    found = np.sort(generator.integers(0, length, length)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        found[length - length // 10 :] = np.nan
    wanted = generator.integers(-2, length + 2, 200).astype(dtype)
    extreme = [np.nan, np.inf, -np.inf] if np.dtype(dtype).kind == "f" else [-5]
    return found, np.concatenate([wanted, np.asarray(extreme, dtype)])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("length", [1, 31, 1024, 1025, 1056, 5000, 40_000])
def test_searchsorted(length, side):
    for dtype in ("float32", "int32"):
        a, v = sorted_numbers(length, dtype)
        wanted = np.searchsorted(a, v, side)
        compiled = fornax.jit(lambda a, v: jnp.searchsorted(a, v, side))
        np.testing.assert_array_equal(jnp.searchsorted(a, v, side), wanted)
        np.testing.assert_array_equal(compiled(a, v), wanted)


def test_searchsorted_of_a_batch():
    a = np.sort(np.random.default_rng(0).normal(size=(3, 3000)).astype(np.float32))
    v = np.linspace(-3, 3, 50, dtype=np.float32)
    found = fornax.jit(fornax.vmap(jnp.searchsorted, (0, None)))(a, v)
    np.testing.assert_array_equal(found, [np.searchsorted(line, v) for line in a])
