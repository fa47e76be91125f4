"""What loops compute from their constants alone is computed once."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax, settings
from fornax.backends import reference
from fornax.backends.cpu import find
from fornax.compiler.canonical import canonicalize
from fornax.runtime.compile import plan

numbers = np.random.default_rng(7)
square = numbers.standard_normal((20, 20)).astype(np.float32) / 8
wide = numbers.standard_normal((5, 24)).astype(np.float32)
rows = numbers.standard_normal((9, 24)).astype(np.float32)
large = numbers.standard_normal((128, 512)).astype(np.float32) / 8


def recurrence(m, x):
    return lax.scan(lambda h, r: (fnp.tanh(m @ h) + r, h), x[0, :20], x[:, :20])


def functions(m, x):
    """Values of the constants that cost something, and what is computed from them."""

    def step(h, r):
        weights = fnp.exp(fnp.sin(m)) / fnp.sum(fnp.exp(m), 0)
        return h + weights[0, 0] * r.sum() + (m.T @ m)[0], (weights @ h)[3] + fnp.sort(m[0])[1]

    return lax.scan(step, x[0, :20], x)


def until(m, x):
    def go(s):
        return (s[0] < 30) & (fnp.sum(fnp.exp(m)[0]) > s[1][0])

    return lax.while_loop(go, lambda s: (s[0] + 1, fnp.tanh(m @ s[1] + fnp.exp(m[1]))), (0, m[0]))


def nested(m, x):
    def outer(h, r):
        step = lambda g, k: (fnp.tanh(m @ g) + fnp.cumsum(fnp.exp(m[2]))[k], None)  # noqa: E731
        return lax.scan(step, h, fnp.arange(10))[0] + r[0], None

    return lax.scan(outer, x[0, :20], x)[0]


def not_square(m, x):
    return lax.scan(lambda h, r: (fnp.tanh(m @ h)[:3].sum() + r, m @ h), x[0], x)


def packed(m, x):
    """A loop too large to be one kernel: products whose matrices are packed."""

    def step(h, _):
        return fnp.tanh(h @ m)[:, :128], None

    return lax.scan(step, m[:32, :128], None, length=9)[0]


CASES = {
    "recurrence": (recurrence, square), "functions": (functions, square), "until": (until, square),
    "nested": (nested, square), "not square": (not_square, wide), "packed": (packed, large),
    "gradient": (lambda m, x: fornax.grad(lambda m: recurrence(m, x)[1].sum())(m), square),
    "gradient of nested": (lambda m, x: fornax.grad(lambda m: nested(m, x).sum())(m), square),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", ["native", "avx2", "sse2"])
def test_values(name, target):
    function, m = CASES[name]
    with fornax.disable_jit():
        expected = fornax.tree_util.tree_leaves(function(fnp.asarray(m), fnp.asarray(rows)))
    with settings.override(target=target):
        results = fornax.tree_util.tree_leaves(fornax.jit(function)(m, rows))
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=2e-4, atol=2e-4)


def canonical_loop(name):
    function, m = CASES[name]
    program = canonicalize(fornax.jit(function).trace(m, rows).jaxpr)
    return program, next(e for e in program.equations if e.primitive.name == "scan")


def test_a_matrix_that_meets_vectors_is_turned_in_front_of_the_loop():
    program, scan = canonical_loop("recurrence")
    assert "transpose" in [e.primitive.name for e in program.equations]
    (product,) = (
        e for e in scan.params["jaxpr"].equations if e.primitive.name == "dot_general"
    )  # fmt: skip
    assert product.params["dimension_numbers"][0][0] == (0,)


def test_dear_values_of_constants_leave_the_loop():
    program, scan = canonical_loop("functions")
    inside = [e.primitive.name for e in canonicalize(scan.params["jaxpr"]).equations]
    assert not {"exp", "sin", "sort"} & set(inside)
    assert inside.count("dot_general") == 1  # of the carry


def test_packing_is_done_once():
    function, m = CASES["packed"]
    jaxpr = fornax.jit(function).trace(m, rows).jaxpr
    _, description = plan(jaxpr, find("avx512"), 2, reference.compile_kernel)
    kinds = [step[0] for step in description["steps"]]
    jump = kinds.index("jump_lt")
    top = description["steps"][jump][-1]
    inside, every = kinds[top:jump].count("kernel"), kinds.count("kernel")
    assert inside < every - 1, kinds
