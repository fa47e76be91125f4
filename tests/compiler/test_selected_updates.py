"""Large updates of arrays that live on, or are in no memory, are written once."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax, settings
from fornax.compiler.canonical import canonicalize
from fornax.runtime.compile import executable

x = np.arange(48, dtype=np.float32).reshape(6, 8) - 20


def interior(x):
    return x.at[1:-1, 1:-1].set(0.0) * 2 + x


def beyond(x):
    """Starts are moved so that the update fits."""
    return lax.dynamic_update_slice(x, x[:4, :7] + 1, (5, -3)) - x


def flags(x):
    flag = x > 0
    return flag.at[:, 2:].set(x[:, 2:] < 5) ^ flag


def integers(x):
    number = x.astype(fnp.int32)
    return number.at[2:].set(number[:4] * 3) + number


def computed(x):
    """It need not be in memory: the rows before the update, and the update."""
    return (x * 2).at[1:].set((x * 2)[:-1])


def columns(x):
    return lax.dynamic_update_slice(fnp.abs(x), x[:, 1:5], (0, 2)).T


def inside(x):
    return (x - 1).at[1:-1, 2:-1].set(fnp.sin(x)[:-2, 3:])


def rows(x):
    """Small: most of the array is copied, nothing selected."""
    return x.at[1].set(0.0) * 2 + x


def result(x):
    """What leaves the program is memory."""
    return x.at[1:].set(1.0), x * 2


def only(x):
    """The array ends here, so its memory is changed."""
    y = fnp.sort(x, 1)
    return y.at[1:].set(1.0) * 2


def added(x):
    """A block is added to where it is read; nothing is written twice."""
    return (x * 2).at[1:-1, 2:].add(x[2:, :-2]) - x


def scaled(x):
    return fnp.abs(x).at[1:].multiply(x[:-1]) + x


def stencil(x):
    """It is made of other elements of an array that ends here."""
    y = fnp.sort(x, 1)
    return y.at[1:-1].add(y[2:] - y[:-2])


PROGRAMS = {
    interior: True, beyond: True, flags: True, integers: True, computed: True, columns: True,
    inside: True, added: True, scaled: True, stencil: True, rows: False, result: False, only: False,
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("target", ["native", "sse2"])
def test_update(program, target):
    jaxpr = fornax.jit(program).trace(x).jaxpr
    names = [e.primitive.name for e in canonicalize(jaxpr).equations]
    assert ("dynamic_update_slice" not in names) == PROGRAMS[program], names
    with fornax.disable_jit():
        expected = fornax.tree_util.tree_leaves(program(fnp.asarray(x)))
    with settings.override(target=target):
        results = executable(jaxpr).call([x])
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("place", [slice(1, None), slice(0, -1), (slice(1, -1), slice(2, 7))])
def test_an_update_of_an_input_takes_its_memory_only_where_that_is_given(place):
    def program(x):
        return x.at[place].set(x[: x[place].shape[0], : x[place].shape[1]] * 2)

    jaxpr = fornax.jit(program).trace(x).jaxpr
    expected = x.copy()
    expected[place] = x[: x[place].shape[0], : x[place].shape[1]] * 2
    kept, given = executable(jaxpr), executable(jaxpr, donated=(True,))
    assert len(kept.kernels) == 1 < len(given.kernels)
    np.testing.assert_array_equal(kept.call([x])[0], expected)
    np.testing.assert_array_equal(given.call([fnp.array(x)], (True,))[0], expected)


def test_a_step_of_a_loop_is_written_beside_what_it_is_made_of():
    def program(x):
        step = lambda _, s: s.at[1:-1, 1:-1].add(0.25 * (s[:-2, 1:-1] - s[1:-1, 2:]))  # noqa: E731
        return lax.fori_loop(0, 5, step, x)

    made = executable(fornax.jit(program).trace(x).jaxpr)
    assert len(made.kernels) == 1
    with fornax.disable_jit():
        wanted = program(fnp.asarray(x))
    np.testing.assert_allclose(made.call([x])[0], wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "min", "max"])
@pytest.mark.parametrize("place", [slice(1, None), (slice(4, 0, -1), slice(1, 7)), (..., 3), 2])
def test_blocks_are_combined_with_values(name, place):
    values = (x[place][::-1] / 3).astype(np.float32)
    got = fornax.jit(lambda x: getattr(x.at[place], name)(values))(x)
    expected = x.copy()
    combine = {"min": np.minimum, "max": np.maximum}.get(name) or getattr(np, name)
    expected[place] = combine(expected[place], values)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_gradient_of_an_update_in_a_loop():
    def program(x):
        step = lambda _, s: s.at[1:-1, 1:-1].set(s[:-2, 1:-1] * 0.5 + x[1:-1, 1:-1])  # noqa: E731
        return (lax.fori_loop(0, 3, step, x) ** 2).sum()

    with fornax.disable_jit():
        wanted = fornax.grad(program)(fnp.asarray(x))
    np.testing.assert_allclose(fornax.jit(fornax.grad(program))(x), wanted, rtol=1e-5)
