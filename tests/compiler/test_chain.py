"""Products whose large operand is made row by row: it exists only a block of rows at a time."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import settings
from fornax.backends import reference
from fornax.backends.llvm import target as targets
from fornax.compiler import blocks
from fornax.runtime.compile import plan

numbers = np.random.default_rng(5)


def softmax(x):
    e = jnp.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v):
    return softmax(q @ jnp.swapaxes(k, -1, -2) / 4.0) @ v


def causal(q, k, v):
    scores = q @ jnp.swapaxes(k, -1, -2) * 0.25
    mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    return softmax(jnp.where(mask, scores, -1e9)) @ v


def heads_inside(q, k, v):
    """Time before heads: batch, time, heads, width."""
    weights = softmax(jnp.einsum("bthd,bshd->bhts", q, k))
    return jnp.einsum("bhts,bshd->bthd", weights, v)


def linear(q, k, v):
    """No sum of a row: one product's rows are the other's."""
    return jnp.tanh(q @ jnp.swapaxes(k, -1, -2)) @ v


def from_the_right(q, k, v):
    return jnp.swapaxes(v, -1, -2) @ jnp.swapaxes(softmax(q @ jnp.swapaxes(k, -1, -2)), -1, -2)


def two_products(q, k, v):
    """Two chains, the second reads what the first gives."""
    return attention(attention(q, k, v), k, v)


FORMS = [attention, causal, heads_inside, linear, from_the_right, two_products]
SHAPES = [  # batch and rows of the queries, rows of the keys, width
    ((2, 3), 70, 70, 8), ((), 100, 60, 5), ((1,), 33, 47, 3), ((2, 1), 64, 128, 16),
    ((2, 1), 23, 17, 2), ((3,), 1, 40, 4), ((2,), 40, 1, 4), ((2,), 0, 9, 4), ((0,), 9, 9, 4),
]  # fmt: skip


def arrays(batch, rows, keys, width, dtype=np.float32):
    shapes = ((*batch, rows, width), (*batch, keys, width), (*batch, keys, width))
    return [numbers.standard_normal(s).astype(dtype) for s in shapes]


def planned(function, operands, target=None, threads=1, compiler=reference.compile_kernel):
    traced = fornax.jit(function).trace(*operands)
    return plan(traced.jaxpr, target or targets.find(), threads, compiler)


def applies(form, shape):
    batch, rows, keys, _ = shape
    if form is heads_inside:
        return len(batch) == 2
    return rows == keys or form is not two_products


PAIRS = [(f, s) for f in FORMS for s in SHAPES if applies(f, s)]


@pytest.mark.parametrize("form,shape", PAIRS, ids=lambda x: getattr(x, "__name__", str(x)))
def test_machine_code_interpreter_and_numpy_agree(form, shape, monkeypatch):
    monkeypatch.setattr(blocks, "FEWEST", 10)
    operands = arrays(*shape)
    if form is heads_inside:
        operands = [np.ascontiguousarray(np.swapaxes(x, 1, 2)) for x in operands]
    with fornax.disable_jit():
        expected = np.asarray(form(*operands))
    batch, rows, keys, _ = shape
    if prod(batch) * rows * keys < 3000:  # the interpreter takes one step after the other
        small = targets.replace(targets.find(), l2=1 << 11)  # blocks, of which the last overlaps
        _, description = planned(form, operands, small)
        (interpreted,) = reference.run(description, operands)
        np.testing.assert_allclose(interpreted, expected, rtol=2e-5, atol=2e-6)
    found = np.asarray(fornax.jit(form)(*operands))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
def test_scores_are_never_stored(form):
    operands = arrays((2, 4), 640, 640, 8)
    if form is heads_inside:
        operands = [np.ascontiguousarray(np.swapaxes(x, 1, 2)) for x in operands]
    target = targets.replace(targets.find(), l2=1 << 18)
    planner, description = planned(form, operands, target)
    scores = 4 * 2 * 4 * 640 * 640
    assert description["arena_bytes"] < scores / 8
    for compiled in planner.plan.kernels:
        for buffer in compiled.kernel.buffers:
            assert prod(buffer.shape) < 640 * 640


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("form", [causal, from_the_right], ids=lambda f: f.__name__)
def test_results_do_not_depend_on_threads(form, threads):
    operands = arrays((3,), 300, 300, 16)
    with settings.override(threads=1):
        alone = np.asarray(fornax.jit(form)(*operands))
    with settings.override(threads=threads):
        together = np.asarray(fornax.jit(lambda *x: form(*x))(*operands))
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("batch", [(8,), (4, 2), (8, 1)])
def test_blocks_of_several_dimensions_are_shared_by_threads(batch):
    """All of (batch, time) are rows of one matrix: what counts as few rows counts them all."""
    x, up, down = (
        numbers.standard_normal(s).astype(np.float32)
        for s in ((*batch, 128, 64), (64, 512), (512, 64))
    )
    l2 = 128 * 512 * 4 * 4  # half of it: two of the eight
    target = targets.replace(targets.find(), l2=l2)
    planner, description = planned(lambda x, u, d: jnp.tanh(x @ u) @ d, (x, up, down), target, 2)
    (kernel,) = planner.plan.kernels
    assert kernel.extent % 2 == 0
    (found,) = reference.run(description, (x, up, down))
    np.testing.assert_allclose(found, np.tanh(x @ up) @ down, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["sse2", "avx2", "avx512"])
def test_targets(name, monkeypatch):
    monkeypatch.setattr(blocks, "FEWEST", 10)
    operands = arrays((2,), 25, 30, 3)
    with fornax.disable_jit():
        expected = np.asarray(causal(*operands))
    target = targets.replace(targets.TARGETS[name], l2=1 << 11)
    _, description = planned(causal, operands, target, 2)
    (found,) = reference.run(description, operands)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_weights_that_are_a_result_are_stored():
    def both(q, k, v):
        weights = softmax(q @ jnp.swapaxes(k, -1, -2))
        return weights, weights @ v

    operands = arrays((2,), 90, 90, 4)
    with fornax.disable_jit():
        expected = both(*operands)
    for found, wanted in zip(fornax.jit(both)(*operands), expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=2e-5, atol=2e-6)


def test_a_reader_of_other_rows_keeps_the_value_whole():
    def mixed(q, k, v):
        scores = q @ jnp.swapaxes(k, -1, -2)
        return jnp.tanh(scores - scores.max(0, keepdims=True)) @ v

    operands = arrays((), 80, 80, 4)
    with fornax.disable_jit():
        expected = np.asarray(mixed(*operands))
    np.testing.assert_allclose(np.asarray(fornax.jit(mixed)(*operands)), expected, rtol=2e-5,
                               atol=2e-6)  # fmt: skip


@pytest.mark.parametrize("columns", [3, 40])
def test_rows_that_are_a_batch_elsewhere_stay_together(columns):
    def bilinear(x, w, y):
        return jnp.einsum("bi,oij,bj->bo", x, w, y)

    shapes = (90, 7), (columns, 7, 20), (90, 20)
    operands = [numbers.standard_normal(s).astype(np.float32) for s in shapes]
    planner, _ = planned(bilinear, operands)
    assert len(planner.plan.kernels) == 2
    expected = np.einsum("bi,oij,bj->bo", *operands)
    found = np.asarray(fornax.jit(bilinear)(*operands))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_dtypes(dtype):
    with settings.override(enable_x64=True):
        operands = [jnp.asarray(x).astype(dtype) for x in arrays((2,), 70, 70, 8)]
        with fornax.disable_jit():
            expected = np.asarray(attention(*operands)).astype(np.float64)
        found = np.asarray(fornax.jit(attention)(*operands)).astype(np.float64)
    bound = 2e-2 if dtype == "bfloat16" else 1e-12
    np.testing.assert_allclose(found, expected, rtol=bound, atol=bound)


# --- gradients --------------------------------------------------------------------------------
def pulled(form):
    def loss(q, k, v):
        y = form(q, k, v)
        return (y * y).sum()

    return fornax.grad(loss, (0, 1, 2))


def late(form):
    """The gradient can only run after what follows the attention and mixes its rows."""

    def loss(q, k, v):
        y = form(q, k, v)
        return jnp.tanh(y * y.sum()).sum()

    return fornax.grad(loss, (0, 1, 2))


GRADIENTS = [pulled(attention), pulled(causal), late(causal), pulled(linear), late(attention)]
LABELS = ["attention", "causal", "late causal", "linear", "late attention"]


def close(found, expected):
    for x, wanted in zip(found, expected, strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(np.asarray(x), wanted, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("gradient", GRADIENTS, ids=LABELS)
def test_gradients_agree(gradient, monkeypatch):
    monkeypatch.setattr(blocks, "FEWEST", 6)
    for shape in [((2, 3), 70, 70, 8), ((), 64, 64, 4), ((4,), 512, 512, 40), ((4,), 18, 18, 3)]:
        operands = [x * np.float32(0.3) for x in arrays(*shape)]
        with fornax.disable_jit():
            expected = [np.asarray(x) for x in gradient(*operands)]
        close(fornax.jit(gradient)(*operands), expected)
    small = targets.replace(targets.find(), l2=1 << 9)  # three blocks of six rows
    _, description = planned(gradient, operands, small)
    close(reference.run(description, operands), expected)


@pytest.mark.parametrize("gradient", GRADIENTS, ids=LABELS)
def test_gradients_store_no_scores(gradient):
    operands = arrays((4, 4), 384, 384, 8)
    target = targets.replace(targets.find(), l2=1 << 16)
    planner, description = planned(gradient, operands, target)
    assert description["arena_bytes"] < 4 * 16 * 384 * 384 / 4
    for compiled in planner.plan.kernels:
        for buffer in compiled.kernel.buffers:
            assert prod(buffer.shape) < 384 * 384


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_gradients_do_not_depend_on_threads(threads):
    gradient, operands = pulled(causal), arrays((5,), 96, 96, 8)
    with settings.override(threads=1):
        alone = [np.asarray(x) for x in fornax.jit(gradient)(*operands)]
    with settings.override(threads=threads):
        together = fornax.jit(lambda *x: gradient(*x))(*operands)
    for x, y in zip(together, alone, strict=True):
        np.testing.assert_array_equal(np.asarray(x), y)
