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
        (TypeError, "no sequence of pairs", lambda a: lax.ppermute(a, "i", [(0,)]), x),
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


GRID = np.arange(2 * 3 * 12 * 2, dtype=np.float32).reshape(2, 3, 12, 2)


def grid(function):
    return fornax.jit(fornax.vmap(fornax.vmap(function, axis_name="j"), axis_name="i"))


def test_psum_scatter_over_two_axes():
    """JAX defines this for devices, not for mapped axes."""
    total = GRID.sum((0, 1))
    parts = total.reshape(2, 3, 2, 2)  # example (i, j) keeps the piece 3 i + j
    tiled = grid(lambda a: lax.psum_scatter(a, ("i", "j"), tiled=True))(GRID)
    np.testing.assert_allclose(tiled, parts)
    whole = grid(lambda a: lax.psum_scatter(a, ("i", "j")))(GRID[:, :, :6])
    np.testing.assert_allclose(whole, total[:6].reshape(2, 3, 2))


def test_ppermute_over_two_axes():
    pairs = [(0, 5), (5, 1), (3, 2)]
    moved = grid(lambda a: lax.ppermute(a, ("i", "j"), pairs))(GRID)
    expected = np.zeros((6, 12, 2), np.float32)
    for source, destination in pairs:
        expected[destination] = GRID.reshape(6, 12, 2)[source]
    np.testing.assert_array_equal(moved, expected.reshape(GRID.shape))
    shuffled = grid(lambda a: lax.pshuffle(a, ("i", "j"), [1, 0, 3, 2, 5, 4]))(GRID)
    np.testing.assert_array_equal(
        shuffled, GRID.reshape(6, 12, 2)[[1, 0, 3, 2, 5, 4]].reshape(GRID.shape)
    )


@pytest.mark.parametrize(
    "function", [lax.psum_scatter, lambda *a, **k: lax.all_to_all(*a, 0, 0, **k)]
)
def test_parts_over_two_axes_must_be_equal(function):
    with pytest.raises(ValueError, match="should be a multiple of 6"):
        grid(lambda a: function(a, ("i", "j"), tiled=True))(GRID[:, :, :4])
    with pytest.raises(ValueError, match="should be 6"):
        grid(lambda a: function(a, ("i", "j")))(GRID)
    with pytest.raises(NotImplementedError, match="axis_index_groups over several axes"):
        grid(lambda a: function(a, ("i", "j"), axis_index_groups=groups))(GRID)
