"""Transposes that undo one another across what lies between them are not made."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax.compiler.canonical import canonicalize

numbers = np.random.default_rng(5)
matrix = numbers.standard_normal((6, 9)).astype(np.float32)
box = numbers.standard_normal((3, 4, 5)).astype(np.float32)
column = numbers.standard_normal(6).astype(np.float32)


def softmax(x):
    e = jnp.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def expensive(x):
    """More than is worth to be computed twice."""
    for _ in range(12):
        x = jnp.tanh(x) + 1
    return x


#: function, arguments, large transposes that are left
CASES = {
    "softmax of columns": (lambda x: softmax(x.T).T, (matrix,), 1),
    "nothing but elements": (lambda x: (jnp.sin(x.T) * 2 + 1).T, (matrix,), 0),
    "two operands": (lambda x, y: (x.T * y.T).T, (matrix, matrix + 1), 0),
    "a row between": (lambda x, r: (x.T + r).T, (matrix, column), 0),
    "one of a wider kind": (lambda x: (x.T.astype("float16") * 2).T, (matrix,), 0),
    "three dimensions": (
        lambda x: jnp.transpose(jnp.transpose(x, (2, 0, 1)) * 3, (1, 2, 0)), (box,), 0,
    ),
    "three dimensions and a plane": (
        lambda x, p: jnp.transpose(jnp.transpose(x, (2, 0, 1)) * p[:, None, :], (1, 2, 0)),
        (box, box[0].T), 1,
    ),
    "another order": (
        lambda x: jnp.transpose(jnp.transpose(x, (2, 0, 1)) * 3, (2, 0, 1)), (box,), 2,
    ),
    "an operand that is not turned": (lambda x, y: (x.T * y).T, (matrix, matrix.T + 1), 2),
    "dear, and wanted turned": (lambda x: (expensive(x.T), expensive(x.T).T), (matrix,), 2),
    "on the way to another one": (
        lambda x: [y.T for y in (jnp.sin(x.T + 1), x.T + 1)], (matrix,), 0,
    ),
    "wanted turned": (lambda x: (x.T + 1, (x.T + 1).T), (matrix,), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_transposes(name):
    function, arguments, left = CASES[name]
    traced = fornax.jit(function).trace(*arguments)
    program = canonicalize(traced.jaxpr)
    turns = [
        e for e in program.equations
        if e.primitive.name == "transpose" and max(e.inputs[0].type.shape) < e.inputs[0].type.size
    ]  # fmt: skip
    assert len(turns) == left, program
    with fornax.disable_jit():
        expected = function(*map(jnp.asarray, arguments))
    got = fornax.jit(function)(*arguments)
    for a, b in zip(fornax.tree.leaves(got), fornax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(
            np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=2e-5, atol=1e-6
        )


def variance(x):
    return ((x - x.mean(1, keepdims=True)) ** 2).mean(1)


#: functions of a large matrix and a large box, and along which dimensions they reduce afterwards
REDUCTIONS = {
    "largest": (lambda x, y: x.T.max(1), {(0,), (1,)}),
    "softmax of columns": (lambda x, y: softmax(x.T).T, {(0,), (1,)}),
    "variances": (lambda x, y: variance(x.T), {(0,), (1,)}),
    "places": (lambda x, y: jnp.argmin(x.T * 2 + 1, 1), {(0,), (1,)}),
    "another order": (lambda x, y: jnp.transpose(y, (2, 1, 0)).sum(1), {(1,)}),
    "wanted turned, too": (lambda x, y: (softmax(x.T), x.T.max(1)), {(1,)}),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_of_large_arrays_go_along_dimensions_from_before(name):
    function, along = REDUCTIONS[name]
    x = numbers.standard_normal((2048, 520)).astype(np.float32)
    y = numbers.standard_normal((70, 130, 120)).astype(np.float32)
    program = canonicalize(fornax.jit(function).trace(x, y).jaxpr)
    reductions = [e for e in program.equations if e.primitive.name.startswith(("reduce_", "arg"))]
    assert {tuple(e.params["axes"]) for e in reductions} == along, program
    found = fornax.jit(function)(x, y)
    with fornax.disable_jit():
        expected = function(x, y)
    fornax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 2e-5, 1e-5), found, expected)
