"""What collectives refuse; their values are in `programs_more.py`."""

import functools

import numpy as np
import pytest

import fornax
from fornax import lax

x = np.arange(4, dtype=np.float32)
m = np.arange(12, dtype=np.float32).reshape(4, 3)
mapped = functools.partial(fornax.vmap, axis_name="i")
groups = [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    "error, text, function, argument",
    [
        (NameError, "unbound axis name: k", lambda a: lax.psum(a, "k"), x),
        (NameError, "unbound axis name: k", lambda a: lax.axis_index("k"), x),
        (ValueError, "appears twice", lambda a: lax.psum(a, ("i", "i")), x),
        (ValueError, "sources must be", lambda a: lax.ppermute(a, "i", [(0, 1), (0, 2)]), x),
        (ValueError, "destinations must be", lambda a: lax.ppermute(a, "i", [(0, 9)]), x),
        (ValueError, "permutation", lambda a: lax.pshuffle(a, "i", [0, 0, 1, 2]), x),
        (ValueError, "equal the size", lambda a: lax.all_to_all(a, "i", 0, 0), m),
        (ValueError, "equal the size", lambda a: lax.pswapaxes(a, "i", 0), m),
        (ValueError, "divisible", lambda a: lax.all_to_all(a, "i", 0, 0, tiled=True), m),
        (ValueError, "must match the axis size", lambda a: lax.psum_scatter(a, "i"), m),
        (ValueError, "divisible", lambda a: lax.psum_scatter(a, "i", tiled=True), m),
        (ValueError, "is not one of 4", lambda a: lax.pbroadcast(a, "i", 4), x),
    ],
)
@pytest.mark.parametrize("jitted", [False, True])
def test_refusals(error, text, function, argument, jitted):
    with pytest.raises(error, match=text):
        mapped(fornax.jit(function) if jitted else function)(argument)


@pytest.mark.parametrize(
    "function",
    [
        lambda a: lax.psum(a, "i", axis_index_groups=groups),
        lambda a: lax.pmax(a, "i", axis_index_groups=groups),
        lambda a: lax.pmean(a, "i", axis_index_groups=groups),
        lambda a: lax.all_gather(a, "i", axis_index_groups=groups),
        lambda a: lax.psum_scatter(a[None], "i", axis_index_groups=groups),
    ],
)
def test_groups_are_refused(function):
    with pytest.raises(NotImplementedError, match="axis_index_groups"):
        mapped(function)(x)


def test_pbroadcast():
    def f(a):
        return {"a": lax.pbroadcast(a, "i", 2), "b": lax.pbroadcast(a > 1, "i", 0)}

    result = fornax.jit(mapped(f))(x)
    np.testing.assert_array_equal(result["a"], [2, 2, 2, 2])
    np.testing.assert_array_equal(result["b"], [False] * 4)
    gradient = fornax.grad(lambda a: (mapped(lambda a: lax.pbroadcast(a, "i", 2))(a) * x).sum())
    np.testing.assert_array_equal(gradient(x), [0, 0, 6, 0])


def test_axis_size_of_vmap():
    with pytest.raises(ValueError, match="axis_size"):
        fornax.vmap(lambda a: a, axis_size=3)(x)
    assert fornax.vmap(lambda a: a, in_axes=None, axis_size=3)(x).shape == (3, 4)
