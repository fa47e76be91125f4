"""Reductions of narrow concatenations are made of what is concatenated."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import lax
from fornax.compiler.canonical import canonicalize

numbers = np.random.default_rng(5)
a, b, c = numbers.standard_normal((3, 7, 5)).astype(np.float32)
n, m = numbers.integers(-9, 9, (2, 7, 5))
column = a[:, :1]
weights = numbers.standard_normal(3).astype(np.float32)


def joined(x, y, axis=1):
    return jnp.concatenate([x, y], axis)


#: function, arguments, concatenations that are left
CASES = {
    "sum of a stack": (lambda *x: jnp.stack(x).sum(0), (a, b, c), 0),
    "mean of a last axis": (lambda *x: jnp.stack(x, -1).mean(-1), (a, b, c), 0),
    "product": (lambda *x: jnp.stack(x, 1).prod(1), (a, b, c), 0),
    "greatest, with nan": (
        lambda *x: jnp.stack(x).max(0), (a, np.where(b > 1, np.nan, b).astype("f"), c), 0,
    ),
    "least integer": (lambda *x: jnp.stack(x).min(0), (n, m), 0),
    "any and all": (
        lambda x, y: (jnp.stack([x > 0, y > 0]).any(0), jnp.stack([x < 1, y < 1]).all(0)),
        (a, b), 0,
    ),
    "exclusive or": (lambda x, y: jnp.bitwise_xor.reduce(jnp.stack([x, y])), (n, m), 0),
    "weighted": (lambda w, *x: (jnp.stack(x, -1) * w).sum(-1), (weights, a, b, c), 0),
    "two stacks": (
        lambda *x: (jnp.stack(x, -1) * jnp.stack(x[::-1], -1)).sum(-1), (a, b, c), 0,
    ),
    "squared": (lambda *x: (jnp.stack(x) ** 2).sum(0), (a, b), 0),
    "of several elements": (lambda x, y: joined(x, y).sum(1), (a, column), 0),
    "of all": (lambda x, y: joined(jnp.exp(x), y).sum(), (a, b), 0),
    "other borders": (
        lambda x, y: (joined(x, y) * joined(y, x)).sum(1), (a, column), 1,
    ),
    "numbers": (lambda x: jnp.stack([x, jnp.ones_like(x), x * 2]).sum(0), (a,), 0),
    "complex": (lambda x, y: jnp.stack([x + 1j * y, y * 1j]).sum(0), (a, b), 0),
    "gradient": (
        fornax.grad(lambda x, y: (jnp.stack([x, jnp.sin(y), x * y]).sum(0) ** 2).sum(), (0, 1)),
        (a, b), 0,
    ),
    "half precision": (lambda x, y: jnp.stack([x, y]).sum(0), (a.astype("e"), b.astype("e")), 0),
    "rounded to half precision": (
        lambda x, y: lax.reduce_sum(jnp.stack([x, y]), (0,)), (a.astype("e"), b.astype("e")), 1,
    ),
    "read by others": (
        lambda x, y: (lambda s: s / s.sum(0))(jnp.stack([x, y])), (a + 9, b + 9), 1,
    ),
    "of none": (lambda x, y: joined(x, y[:, :0]).sum(1), (a, b), 1),
    "of large arrays": (
        lambda x, y: joined(jnp.tile(x, (900, 1)), jnp.tile(y, (900, 1)), 0).sum(0),
        (np.round(a), np.round(b)), 0,
    ),
    "of long and small ones": (
        lambda x, y: joined(jnp.tile(x, (30, 1)), y, 0).sum(0), (a, b), 1,
    ),
    "along another axis": (lambda x, y: joined(x, y).sum(0), (a, b), 1),
    "of many": (lambda x: jnp.stack([x + k for k in range(40)]).sum(0), (a,), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_concatenations(name):
    function, arguments, left = CASES[name]
    traced = fornax.jit(function).trace(*arguments)
    program = canonicalize(traced.jaxpr)
    found = [e for e in program.equations if e.primitive.name == "concatenate"]
    assert len(found) == left
    with fornax.disable_jit():
        expected = fornax.tree.leaves(function(*arguments))
    for got, want in zip(
        fornax.tree.leaves(fornax.jit(function)(*arguments)), expected, strict=True
    ):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=2e-5, atol=1e-5)


def test_columns_of_images():
    """Windows of an image, side by side and weighted: a convolution without the windows."""
    image = numbers.standard_normal((2, 9, 8)).astype(np.float32)
    kernel = numbers.standard_normal(9).astype(np.float32)

    def convolved(x, w):
        places = [(i, j) for i in range(3) for j in range(3)]
        windows = jnp.stack([x[:, i : i + 7, j : j + 6] for i, j in places], -1)
        return (windows * w).sum(-1)

    program = canonicalize(fornax.jit(convolved).trace(image, kernel).jaxpr)
    assert all(e.primitive.name != "concatenate" for e in program.equations)
    want = sum(
        image[:, i : i + 7, j : j + 6] * kernel[3 * i + j] for i in range(3) for j in range(3)
    )
    np.testing.assert_allclose(fornax.jit(convolved)(image, kernel), want, rtol=1e-4, atol=1e-5)


def test_several_numbers_of_threads():
    x = numbers.standard_normal((3, 300_000)).astype(np.float32)
    found = [
        fornax.jit(lambda x: lax.reduce_max(jnp.stack([x[0], x[1] * 2, x[2]]), (0,)), threads=k)(x)
        for k in (1, 2, 3)
    ]
    assert all(np.array_equal(found[0], y) for y in found[1:])
