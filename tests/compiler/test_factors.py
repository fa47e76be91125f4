"""Factors that all terms of a sum have in common are multiplied afterwards."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import lax
from fornax.backends import reference
from fornax.backends.llvm.target import find
from fornax.compiler.canonical import canonicalize
from fornax.runtime.compile import plan

numbers = np.random.default_rng(31)
x, y = (numbers.standard_normal((2048, 520)).astype(np.float32) for _ in range(2))
row, other = (numbers.uniform(1, 2, 520).astype(np.float32) for _ in range(2))
column = numbers.uniform(1, 2, (2048, 1)).astype(np.float32)

#: functions of x, y, a row, another one, and a column; and how many large sums they are
CASES = {
    "a factor": (lambda x, y, r, s, c: (x * r).sum(0), 1),
    "a divisor": (lambda x, y, r, s, c: (x / r).sum(0), 1),
    "a number": (lambda x, y, r, s, c: (-3 * x).sum(0), 1),
    "several": (lambda x, y, r, s, c: ((x * r) * (-y / s) * 2).sum(0), 1),
    "the same without them": (
        lambda x, y, r, s, c: ((x * r).sum(0), (s * x).sum(0), (-x / s * r).sum(0), x.sum(0)), 1,
    ),
    "the same products": (lambda x, y, r, s, c: ((x * r * y).sum(0), (y * (x / s)).sum(0)), 1),
    "one for each row": (lambda x, y, r, s, c: ((x * c * r).sum(0), x.sum(0)), 2),
    "keepdims": (lambda x, y, r, s, c: (x * r[None]).sum(0, keepdims=True), 1),
    "three dimensions": (
        lambda x, y, r, s, c: (x.reshape(32, 64, 520) * r * x[:1].reshape(1, 1, 520)).sum((0, 1)),
        1,
    ),
    "a plane": (
        lambda x, y, r, s, c: (x.reshape(32, 64, 520) * y[:64]).sum(0), 1,
    ),
}  # fmt: skip


#: functions of x, y and a column, the sums of rows that are left, and whether rows are divided
ROWS = {
    "a divisor": (lambda x, y, c: (x / c).sum(1), False),
    "of one part": (lambda x, y, c: (x * -(y / c / c)).sum(1), False),
    "of the product": (lambda x, y, c: (x * y / c).sum(1), False),
    "a factor beside it": (lambda x, y, c: (x * (y / c * c)).sum(1, keepdims=True), False),
    "no divisor": (lambda x, y, c: (x * c * y).sum(1), False),
    "of both parts": (lambda x, y, c: (x / c * (y / (c + 1))).sum(1), True),
    "of a square": (lambda x, y, c: ((x / c) * (x / c)).sum(1), True),
}


@pytest.mark.parametrize("name", ROWS)
def test_divisors_of_rows(name):
    function, divided = ROWS[name]
    program = canonicalize(fornax.jit(function).trace(x, y, column).jaxpr)
    quotients = [
        e for e in program.equations
        if e.primitive.name == "div" and e.outputs[0].type.size == x.size
    ]  # fmt: skip
    assert bool(quotients) == divided, program
    found = fornax.jit(function)(x, y, column)
    with fornax.enable_x64(True), fornax.disable_jit():
        expected = function(*(jnp.asarray(a, "float64") for a in (x, y, column)))
    np.testing.assert_allclose(found, expected, 1e-5, 2e-4)


def test_what_a_row_has_given_multiplies_the_sum_of_its_terms():
    def gradient(x, y):
        total = jnp.sum(jnp.exp(x), 1, keepdims=True)
        return jnp.sum(jnp.exp(x) * (y[:, :1] / total), 1)

    program = canonicalize(fornax.jit(gradient).trace(x, y).jaxpr)
    sums = [e for e in program.equations if e.primitive.name == "reduce_sum"]
    assert sum(e.inputs[0].type.size == x.size for e in sums) == 1, program
    np.testing.assert_allclose(fornax.jit(gradient)(x, y), y[:, 0], 1e-5)


def test_divisors_of_a_few_short_rows():
    found = fornax.jit(ROWS["of one part"][0])(x[:3, :20], y[:3, :20], column[:3])
    expected = ROWS["of one part"][0](
        *(a.astype(float) for a in (x[:3, :20], y[:3, :20], column[:3]))
    )
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5)


def test_rows_that_are_scaled_to_stay_finite():
    large = x * np.float32(1e30)

    def norm(x):
        most = jnp.max(jnp.abs(x), 1, keepdims=True)
        return most[:, 0] * jnp.sqrt(jnp.sum((x / most) ** 2, 1))

    expected = np.linalg.norm(large.astype(np.float64), axis=1)
    np.testing.assert_allclose(fornax.jit(norm)(large), expected, 1e-5)


@pytest.mark.parametrize("name", CASES)
def test_values_and_sums(name):
    function, count = CASES[name]
    arguments = x, y, row, other, column
    program = canonicalize(fornax.jit(function).trace(*arguments).jaxpr)
    sums = [
        e for e in program.equations
        if e.primitive.name == "reduce_sum" and e.inputs[0].type.size == x.size
    ]  # fmt: skip
    assert len(sums) == count, program
    found = fornax.jit(function)(*arguments)
    with fornax.enable_x64(True), fornax.disable_jit():
        expected = function(*(jnp.asarray(a, "float64") for a in arguments))
    fornax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 2e-3), found, expected)


def test_sums_of_the_gradient_of_a_normalization_are_made_together():
    def normalized(x, scale, shift):
        mean = x.mean(0)
        variance = ((x - mean) ** 2).mean(0)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift

    def gradient(x, scale, shift, g):
        return fornax.vjp(normalized, x, scale, shift)[1](g)

    planner, _ = plan(
        fornax.jit(gradient).trace(x, row, other, y).jaxpr, find("avx2"), 2,
        reference.compile_kernel,
    )  # fmt: skip
    read = [
        b.size
        for made in planner.plan.kernels
        for b in made.kernel.buffers
        if b.role == "in" and b.size == x.size
    ]
    assert len(read) == 5  # for its moments x, for the sums and in the end x and g
    found = fornax.jit(gradient)(x, row, other, y)
    with fornax.enable_x64(True), fornax.disable_jit():
        expected = gradient(*(jnp.asarray(a, "float64") for a in (x, row, other, y)))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-4)


def test_variances_of_what_is_scaled_take_one_pass():
    found = fornax.jit(lambda x, r: ((x * r).mean(0), (x * r).var(0)))(x, row)
    wide = x.astype(np.float64) * row
    np.testing.assert_allclose(found[0], wide.mean(0), 1e-5, 1e-6)
    np.testing.assert_allclose(found[1], wide.var(0), 1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_scaled_to_stay_finite_stays_so(axis):
    """Norms of numbers whose squares are infinite, as BLAS and LAPACK make them."""

    def norm(x):
        largest = abs(x).max(axis, keepdims=True)
        scaled = x / largest
        return jnp.sqrt((scaled * scaled).sum(axis)) * largest.squeeze(axis)

    large = x * np.float32(1e30)
    want = np.sqrt((large.astype(float) ** 2).sum(axis))
    np.testing.assert_allclose(fornax.jit(norm)(large), want, rtol=1e-5)


def test_contributions_to_the_gradient_of_a_mean_are_sums_of_their_own():
    """Of rows: what differentiation adds up needs no loop after that which gives its factors."""

    def normalized(x, scale):
        mean = x.mean(1, keepdims=True)
        variance = ((x - mean) ** 2).mean(1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * scale

    def gradient(x, scale, g):
        return fornax.vjp(normalized, x, scale)[1](g)

    program = canonicalize(fornax.jit(gradient).trace(x, row, y).jaxpr)
    definition = {out: e for e in program.equations for out in e.outputs}
    for e in program.equations:
        if e.primitive.name == "reduce_sum" and e.inputs[0].type.size == x.size:
            made = definition.get(e.inputs[0])
            assert made is None or made.primitive.name != "add_any", program
    found = fornax.jit(gradient)(x, row, y)
    with fornax.enable_x64(True), fornax.disable_jit():
        expected = gradient(*(jnp.asarray(a, "float64") for a in (x, row, y)))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-4)


def test_sums_that_a_program_adds_up_itself_stay_whole():
    """Terms that nearly cancel are added up after they have."""

    def small(x, y):
        s, t = jnp.max(x, 1, keepdims=True), jnp.max(y, 1, keepdims=True)
        return (x * s + y * t).sum(1)

    program = canonicalize(fornax.jit(small).trace(x, y).jaxpr)
    sums = [e for e in program.equations if e.primitive.name == "reduce_sum"]
    assert sum(e.inputs[0].type.size == x.size for e in sums) == 1, program


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_what_thousands_of_operations_made(axis):
    def product(x, r):
        for _ in range(1200):
            x = x * r
        return -x.sum(axis)

    def used(x, r):
        shifted, total = x + r, x
        for _ in range(1200):
            total = total + shifted * x
        return total.sum(axis)

    for function in (product, used):
        program = fornax.jit(fornax.grad(lambda r, f=function: f(x, r).sum())).trace(row).jaxpr
        canonicalize(program)
        canonicalize(fornax.jit(function).trace(x, row).jaxpr)
