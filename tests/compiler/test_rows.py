"""Rows and sums of these rows in one pass over memory."""

from __future__ import annotations

import random

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import lax, settings
from fornax.backends import reference
from fornax.backends.llvm.target import find
from fornax.compiler import row_blocks, rows, two_stages
from fornax.compiler.loop.ir import Alloc
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.two_stages import STREAMED
from fornax.runtime.compile import plan

numbers = np.random.default_rng(31)
#: rows of one and several dimensions, of odd lengths; many short ones; what does not divide
SHAPES = [(4096, 257), (8, 512, 260), (2, 4, 1024, 160), (64, 128, 160), (4099, 300)]


def array(*shape):
    return numbers.standard_normal(shape).astype(np.float32)


def layernorm(x, scale, shift):
    mean = jnp.mean(x, -1, keepdims=True)
    apart = x - mean
    variance = jnp.mean(apart * apart, -1, keepdims=True)
    return apart * lax.rsqrt(variance + 1e-5) * scale + shift


def gradients(x, d, axes):
    def total(*arguments):
        return jnp.sum(layernorm(*arguments) * d)

    last = jnp.ones(x.shape[-1], x.dtype)
    return fornax.grad(total, (0, 1, 2))(x, last, last)


def activation(x, d, axes):
    dx = d * (x > 0)
    return dx, jnp.sum(dx, axes), jnp.max(dx, axes)


def apart(x, d, axes):
    """Sums of what the rows are not made of."""
    return jnp.tanh(x) * d, jnp.sum(x * d, axes)


def narrow(x, d, axes):
    """The sums are of rows as memory holds them."""
    dx = (d * x).astype(jnp.bfloat16)
    return dx, jnp.sum(dx.astype(jnp.float32), axes)


def complex_rows(x, d, axes):
    both = lax.complex(x, d)
    return both, jnp.sum(x * d, axes)


def within_loop(x, d, axes):
    def step(carried, _):
        dx = carried * d
        return jnp.tanh(dx), jnp.sum(dx, axes)

    return lax.scan(step, x, None, length=2)


FUNCTIONS = [gradients, activation, apart, narrow, complex_rows, within_loop]


def kernels(function, *operands):
    """How many kernels read all of an operand."""
    traced = fornax.jit(function).trace(*operands)
    planner, _ = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
    size = max(x.size for x in operands)
    made = [k.kernel for k in planner.plan.kernels]
    return sum(any(b.role == "in" and b.size == size for b in k.buffers) for k in made)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["native", "sse2"])
def test_values(function, shape, name):
    x, d = array(*shape), array(*shape)
    assert x.nbytes >= STREAMED
    axes = tuple(range(len(shape) - 1))
    with settings.override(target=name):
        found = fornax.jit(lambda x, d: function(x, d, axes))(x, d)
    with fornax.disable_jit():
        expected = function(jnp.asarray(x), jnp.asarray(d), axes)
    for got, right in zip(fornax.tree.leaves(found), fornax.tree.leaves(expected), strict=True):
        got, right = np.asarray(got), np.asarray(right)
        if got.dtype == jnp.bfloat16:
            got, right = got.astype(np.float32), right.astype(np.float32)
        loose = 2e-5 * max(np.abs(right).max(), 1)
        np.testing.assert_allclose(
            got, right, rtol=1e-2 if function is narrow else 2e-3, atol=loose
        )


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_memory_is_read_once(shape):
    axes = tuple(range(len(shape) - 1))
    for function in (gradients, activation, apart):
        assert kernels(lambda x, d, f=function: f(x, d, axes), array(*shape), array(*shape)) == 1


def norms(x, scale, shift):
    root = lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5)
    return x * root * scale + shift


@pytest.mark.parametrize("shape,blocks", [((1024, 2600), 4), ((1032, 2600), 3), ((1048, 2600), 1)])
@pytest.mark.parametrize("normalized", [layernorm, norms])
def test_long_rows_are_worked_on_in_blocks(normalized, shape, blocks):
    def gradients(x, d, scale):
        return fornax.vjp(normalized, x, scale, scale)[1](d)

    x, d, scale = array(*shape), array(*shape), array(shape[-1])
    traced = fornax.jit(gradients).trace(x, d, scale)
    planner, _ = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
    made = [k.kernel for k in planner.plan.kernels if k.kernel.buffers[0].size >= shape[-1]]
    kept = {s.buffer.size for k in made for s in walk(k.body) if isinstance(s, Alloc)}
    assert (blocks in kept) == (blocks > 1), made
    found = fornax.jit(gradients)(x, d, scale)
    with fornax.enable_x64(True), fornax.disable_jit():
        expected = gradients(*(jnp.asarray(a, "float64") for a in (x, d, scale)))
    for got, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-3, atol=1e-4)


def test_an_operand_is_not_overwritten_before_its_sums_are_made():
    x, d = array(4096, 256), array(4096, 256)

    def f(x, d):
        x = jnp.sin(x)  # nobody else wants it: its memory may be used again
        x = lax.optimization_barrier(x)
        return x * d, jnp.sum(x, 0)

    found, sums = fornax.jit(f)(x, d)
    np.testing.assert_allclose(found, np.sin(x) * d, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sums, np.sin(x).sum(0, dtype=np.float64), rtol=1e-4, atol=1e-3)


def test_donated_rows():
    x, d = array(4096, 256), array(4096, 256)
    f = fornax.jit(lambda x, d: (jnp.tanh(x) * d, jnp.sum(x * d, 0)), donate_argnums=0)
    found, sums = f(jnp.array(x), d)
    np.testing.assert_allclose(found, np.tanh(x) * d, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sums, (x * d).sum(0, dtype=np.float64), rtol=1e-4, atol=1e-3)


def test_groups_that_need_one_another_stay_apart():
    """The rows of the second result need all of the sums."""
    x = array(4096, 256)

    def f(x):
        y = jnp.exp(x)
        total = jnp.sum(y, 0)
        return y, x / total

    y, z = fornax.jit(f)(x)
    np.testing.assert_allclose(y, np.exp(x), rtol=1e-6)
    np.testing.assert_allclose(z, x / np.exp(x).sum(0), rtol=1e-5, atol=1e-8)


def program(choose, shape):
    """A random program of rows, of what belongs to one, and of sums and extremes of columns."""
    axes = tuple(range(len(shape) - 1))
    pairs = {"add": jnp.add, "mul": jnp.multiply, "max": jnp.maximum}
    across = {"sum": jnp.sum, "greatest": jnp.max}
    kinds = [*pairs, *across, "columns", "blocks"]
    steps = [(choose.choice(kinds), choose.random(), choose.random()) for _ in range(6)]

    def run(x, d):
        values = [x, d]
        for kind, first, second in steps:
            rows = [v for v in values if v.shape == shape]
            row = rows[int(first * len(rows))]
            if kind in pairs:
                value = pairs[kind](row, values[int(second * len(values))])
            elif kind in across:
                value = across[kind](row, -1, keepdims=True)
            else:
                value = jnp.sum(row, axes if kind == "columns" else axes[:1], keepdims=True)
            values.append(value * 0.25)
        return values[2:], jnp.sum(values[-1], 0)

    return run


@pytest.mark.parametrize("seed", range(24))
def test_small_arrays(monkeypatch, seed):
    """As if they did not fit the caches."""
    for module in (two_stages, rows):
        monkeypatch.setattr(module, "STREAMED", 8)
    monkeypatch.setattr(rows, "FEW_PIECES", 2)
    for name, value in {"PIECES": 4, "ROWS": 2, "ALONG": 2, "FEW_RESULTS": 1}.items():
        monkeypatch.setattr(two_stages, name, value)
    for name, value in {"SHARE": 2**-9, "NARROW": 2}.items():
        monkeypatch.setattr(row_blocks, name, value)
    choose = random.Random(seed)
    shape = choose.choice([(72, 17), (24, 40, 5), (4, 36, 33), (2, 3, 44, 16), (67, 9)])
    x, d = array(*shape), array(*shape)
    function = program(choose, shape)
    with fornax.disable_jit():
        expected = fornax.tree.leaves(function(jnp.asarray(x), jnp.asarray(d)))
    found = fornax.tree.leaves(fornax.jit(function)(x, d))
    for got, right in zip(found, expected, strict=True):
        loose = 1e-4 * max(np.abs(np.asarray(right)).max(), 1)
        np.testing.assert_allclose(got, right, rtol=1e-4, atol=loose)
