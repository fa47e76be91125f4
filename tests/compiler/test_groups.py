"""Which values share a kernel, and that they are right when they do."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import lax, settings
from fornax.backends import reference
from fornax.backends.llvm.target import find
from fornax.runtime.compile import plan

numbers = np.random.default_rng(3)
rows = numbers.standard_normal((12, 70)).astype(np.float32)
scale, shift = (numbers.standard_normal(70).astype(np.float32) for _ in range(2))
square = numbers.standard_normal((24, 24)).astype(np.float32)


def row_values(x):
    """Values of rows and of elements, each read by the others and wanted outside."""
    largest = x.max(-1)
    e = jnp.exp(x - largest[:, None])
    total = e.sum(-1)
    return largest, total, e / total[:, None], (largest * total).sum()


def row_values_of_three(x):
    x = x.reshape(3, 4, 70)
    outer = x.sum((1, 2))
    inner = (x * outer[:, None, None]).max(-1)
    return outer, inner, x - inner[:, :, None] + outer[:, None, None]


def overwritten_rows(x, r):
    """r is read after the new value of its shape is known."""
    new = r * 2 + x.sum(-1)
    return new, x + new[:, None] * r[:, None]


def column_sums(x):
    return x.sum(0), (x * x).sum(0), (x - 1).max(0)


def normalized(x, scale, shift):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-5) * scale + shift


def normalized_gradient(x, scale, shift):
    return fornax.grad(lambda *a: (normalized(*a) ** 2).sum(), argnums=(0, 1, 2))(x, scale, shift)


def softmax_gradient(x, g):
    def softmax(x):
        e = jnp.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    return fornax.vjp(softmax, x)[1](g)[0]


def standardized(x):
    """What belongs to a row is wanted outside, with a dimension of 1."""
    mean = x.mean(-1, keepdims=True)
    scale = jnp.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)
    return mean, scale, (x - mean) / scale


def descent(w, x, y):
    return w - 0.1 * fornax.grad(lambda w: ((x @ w - y) ** 2).sum())(w)


def rows_beside_a_product(h, w, y):
    """A row's value is read by the elements beside which a product would be computed."""
    s = fornax.nn.sigmoid((h @ w)[:, 0])
    g = (s - y) * s * (1 - s)
    return h.T @ g[:, None], g.sum(), (g[:, None] @ w.T) * (1 - h * h)


def sharing(x, y):
    """Results that need dear values of one another, which are not wanted themselves."""
    first = jnp.exp(jnp.sin(x)) * y
    second = jnp.tanh(first) + jnp.cos(y)
    third = jnp.log1p(second * second) * x
    return first * second - x, third / (1 + first * first), jnp.sin(third) + second * y


def sharing_elsewhere(x, y):
    """As `sharing`, but one value is read in another place as well."""
    first, second, third = sharing(x, y)
    return first, second, third + jnp.exp(jnp.sin(x))[::-1] * y


def forces(places, masses):
    """What is dear belongs to pairs, and each coordinate of the result reads it."""
    between = places[None, :, :] - places[:, None, :]
    squares = (between * between).sum(-1) + 1e-2
    weights = masses[None, :] / (squares * jnp.sqrt(squares))
    return (between * weights[:, :, None]).sum(1)


def forces_gradient(places, masses):
    return fornax.grad(lambda *a: 1e-4 * (forces(*a) ** 2).sum(), argnums=(0, 1))(places, masses)


def distances_gradient(x, y, g):
    def distances(x, y):
        between = x[:, None, :] - y[None, :, :]
        return jnp.sqrt((between * between).sum(-1))

    return fornax.vjp(distances, x, y)[1](g)


def nearest(x, y):
    between = x[:, None, :] - y[None, :, :]
    squares = (between * between).sum(-1)
    return jnp.sqrt(squares.min(1)), squares.argmin(1)


def one_hot_means(x, y):
    """Means of rows by the nearest of others: read by a product and by a sum, never stored."""
    label = nearest(x, y)[1]
    member = (label[:, None] == jnp.arange(y.shape[0])[None, :]).astype(x.dtype)
    return (member.T @ x) / jnp.maximum(member.sum(0), 1)[:, None]


def added_at_places(x, i, v):
    """Neither the places, negative ones counted from the end, nor the products are stored."""
    return x.at[i].add(v * 2 + 1)


def updated_from_itself(x, i):
    """What the array held is read before it changes."""
    return x.at[i].add(x * 3), x.at[i[:9]].set(x[i[9:18]] * 2 + 1)


places = numbers.integers(-90, 90, 70).astype(np.int32)
many = numbers.standard_normal((300, 3)).astype(np.float32)

CASES = {
    "sharing": (sharing, (rows, rows[::-1] + 1), 1),
    "sharing elsewhere": (sharing_elsewhere, (rows, rows[::-1] + 1), 2),
    "forces": (forces, (many, np.abs(many[:, 0])), 1),
    "gradient of forces": (forces_gradient, (many, np.abs(many[:, 0])), 4),
    "gradient of distances": (distances_gradient, (many, many[:200] + 9, many @ many[:200].T), 3),
    "nearest": (nearest, (many, many[:200] + 1), 1),
    "one-hot means": (one_hot_means, (many, many[:70] + 1), 4),
    "row values": (row_values, (rows,), 2),
    "rows of rows": (row_values_of_three, (rows,), 2),
    "overwritten rows": (overwritten_rows, (rows, rows[:, 0]), 1),
    "column sums": (column_sums, (rows,), 1),
    "layer norm": (normalized, (rows, scale, shift), 1),
    "gradient of layer norm": (normalized_gradient, (rows, scale, shift), 2),
    "gradient of softmax": (softmax_gradient, (rows, rows * 2 + 1), 1),
    "standardized": (standardized, (rows,), 1),
    "rows beside a product": (rows_beside_a_product, (rows, scale[:, None], rows[:, 0]), 5),
    "added at places": (added_at_places, (shift, places, scale), 1),
    "updated from itself": (updated_from_itself, (shift, places), 4),
    "gradient descent": (descent, (square, square + 1, square - 1), 2),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", ["interpreter", "native", "sse2"])
def test_values(name, target):
    function, arguments, _ = CASES[name]
    with fornax.disable_jit():
        expected = function(*map(jnp.asarray, arguments))
    if target == "interpreter":
        traced = fornax.jit(function).trace(*arguments)
        _, description = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
        got = reference.run(description, arguments)
    else:
        with settings.override(target=target):
            got = fornax.jit(function)(*arguments)
    for a, b in zip(fornax.tree.leaves(got), fornax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", CASES)
def test_number_of_kernels(name):
    function, arguments, most = CASES[name]
    traced = fornax.jit(function).trace(*arguments)
    planner, description = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
    kinds = [step[0] for step in description["steps"]]
    assert kinds.count("kernel") <= most, kinds


def test_a_donated_row_is_not_overwritten_before_it_is_read():
    expected = overwritten_rows(jnp.asarray(rows), jnp.asarray(rows[:, 0]))
    f = fornax.jit(overwritten_rows, donate_argnums=1)
    got = f(jnp.asarray(rows), jnp.array(rows[:, 0]))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)


def test_broadcasts_are_never_stored():
    """A row's root and its reciprocal are read by every kernel of the gradient."""
    x = np.ones((512, 256), np.float32)
    traced = fornax.jit(normalized_gradient).trace(x, x[0], x[0])
    _, description = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
    assert description["arena_bytes"] < 1.1 * x.nbytes


def test_what_belongs_to_pairs_is_never_stored():
    label = lambda x, y: nearest(x, y)[1]  # noqa: E731
    for function, arguments in ((forces, (many, many[:, 0])), (label, (many, many[:70]))):
        traced = fornax.jit(function).trace(*arguments)
        _, description = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
        assert description["arena_bytes"] < many.nbytes


@pytest.mark.parametrize("gradient", [forces_gradient, distances_gradient])
def test_gradients_of_pairs_are_computed_again_rather_than_stored(gradient):
    x, g = np.ones((512, 3), np.float32), np.ones((512, 512), np.float32)
    arguments = (x, x[:, 0]) if gradient is forces_gradient else (x, x, g)
    traced = fornax.jit(gradient).trace(*arguments)
    _, description = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
    assert description["arena_bytes"] < 1.1 * 4 * 512 * 512


LONG = {
    "numbers": lambda x: x * 1.001,
    "choices": lambda x: jnp.where(x > 2, x, x * 1.01),
    "reversed": lambda x: x[::-1] * 1.01,
    "turned": lambda x: (x.reshape(2, -1).T * 1.01).reshape(-1),
    "picked": lambda x: x[jnp.array([1, 0, 3, 2])] * 1.01,
    "spread": lambda x: jnp.broadcast_to(x[:1], x.shape) * 1.01,
    "summed": lambda x: jnp.broadcast_to(x.sum(keepdims=True) * 0.1, x.shape) + x * 0.5,
}


@pytest.mark.parametrize("name", LONG)
def test_chains_may_be_longer_than_the_recursion_limit_allows(name):
    def chain(x):
        for _ in range(300):
            x = LONG[name](x)
        return x

    x = rows[0, :4]
    with fornax.disable_jit():
        expected = chain(jnp.asarray(x))
    np.testing.assert_allclose(fornax.jit(chain)(x), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["spread", "summed"])
def test_gradients_of_long_chains_are_sums_in_sums(name):
    def chain(x):
        for _ in range(300):
            x = LONG[name](x)
        return jnp.sum(x * jnp.arange(1.0, 5))

    x = jnp.asarray(rows[0, :4])
    with fornax.disable_jit():
        expected = fornax.grad(chain)(x)
    np.testing.assert_allclose(fornax.jit(fornax.grad(chain))(x), expected, rtol=1e-4)


def test_nothing_is_fused_across_a_barrier():
    """What was chosen from far apart lies side by side for those who read it."""
    x, i = np.arange(800.0, dtype=np.float32), np.arange(100, dtype=np.int32)

    def kernels(between):
        f = fornax.jit(lambda x, i: between(x[::8])[i])
        np.testing.assert_array_equal(f(x, i), x[::8])
        _, description = plan(f.trace(x, i).jaxpr, find("avx2"), 2, reference.compile_kernel)
        return sum(step[0] == "kernel" for step in description["steps"])

    assert kernels(lax.optimization_barrier) == kernels(lambda chosen: chosen) + 1
