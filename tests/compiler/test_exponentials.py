"""Sums of exponentials of columns: made with their maximum, in one pass over memory."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import settings
from fornax.backends import reference
from fornax.backends.llvm.target import find
from fornax.compiler import exponentials
from fornax.compiler.loop import columns
from fornax.runtime.compile import plan

numbers = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """What is large here need not be as large as it has to be to pay."""
    monkeypatch.setattr(exponentials, "LARGE", 1 << 16)


def logsumexp(x):
    return fornax.nn.logsumexp(x, axis=0)


def softmax(x):
    return fornax.nn.softmax(x, axis=0)


def expected(x):
    wide = x.astype(np.float64)
    with np.errstate(all="ignore"):
        return np.log(np.exp(wide - wide.max(0)).sum(0)) + wide.max(0)


def kernels(function, x):
    traced = fornax.jit(function).trace(x)
    planner, _ = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
    return [made.kernel for made in planner.plan.kernels]


@pytest.mark.parametrize("shape", [(8192, 150), (300, 257), (70, 3, 301), (1, 70_000)], ids=str)
@pytest.mark.parametrize("name", ["native", "avx2", "sse2"])
def test_values(shape, name):
    x = (numbers.standard_normal(shape) * 20).astype(np.float32)
    with settings.override(target=name):
        found = fornax.jit(logsumexp)(x)
        shares = fornax.jit(softmax)(x)
    np.testing.assert_allclose(found, expected(x), rtol=1e-6)
    # differences of such numbers are rounded as much as that
    np.testing.assert_allclose(
        shares, np.exp(x.astype(np.float64) - expected(x)), rtol=1e-5, atol=1e-37
    )


@pytest.mark.parametrize("order", [1, -1])
def test_growing_and_falling_columns(order):
    x = np.linspace(-300, 300, 40_000, dtype=np.float32).reshape(-1, 100)[::order]
    np.testing.assert_allclose(fornax.jit(logsumexp)(x), expected(x), rtol=1e-6)


def test_float64():
    with fornax.enable_x64(True):
        x = numbers.standard_normal((600, 100)) * 100
        found = np.asarray(fornax.jit(logsumexp)(x))
    np.testing.assert_allclose(found, expected(x), rtol=1e-14)


def test_the_maximum_and_the_sum_take_one_pass():
    x = np.zeros((8192, 150), np.float32)
    read = [
        k for k in kernels(logsumexp, x)
        if any(b.role == "in" and b.size == x.size for b in k.buffers)
    ]  # fmt: skip
    assert len(read) == 1
    assert read[0].body[0].axis.extent >= 32  # for threads to share


@pytest.mark.parametrize("rows", [[0], [5, 900], [4, 5, 6, 7, 1023]])
@pytest.mark.parametrize("along", [False, True])
def test_infinite_elements(rows, along, monkeypatch):
    """One by one, and several rows at once."""
    if along:
        monkeypatch.setattr(columns, "LARGE", 0)
        monkeypatch.setattr(columns, "FAR", 400)
    x = numbers.standard_normal((1024, 100 + along)).astype(np.float32)
    x[rows, 0], x[rows, 1], x[rows, 2] = np.inf, -np.inf, np.nan
    x[:, 3], x[:, 4], x[:, 5], x[:, 6] = -np.inf, np.inf, -3.4e38, 3.4e38
    x[:512, 7], x[512:, 8] = -np.inf, -3.4e38
    found = np.asarray(fornax.jit(logsumexp)(x))
    assert np.isposinf(found[[0, 4]]).all() and np.isneginf(found[3]) and np.isnan(found[2])
    others = [1, *range(5, 100 + along)]
    np.testing.assert_allclose(found[others], expected(x[:, others]), rtol=1e-6)
    plain = np.asarray(fornax.jit(lambda x: jnp.exp(x - x.max(0)).sum(0))(x))
    assert np.isnan(plain[[0, 2, 3, 4]]).all() and np.isfinite(plain[others]).all()


def test_other_centres():
    """Whatever is made of the maximum will do; what is not is added up as it is written."""
    x = numbers.standard_normal((1024, 100)).astype(np.float32)
    f = fornax.jit(lambda x: jnp.exp(x - (x.max(0) * 0.5 + 1)[None]).sum(0))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(f(x), np.exp(wide - wide.max(0) * 0.5 - 1).sum(0), rtol=2e-6)
    g = fornax.jit(lambda x, c: (x.max(0), jnp.exp(x - c).sum(0)))
    np.testing.assert_allclose(g(x, x[0])[1], np.exp(wide - wide[0]).sum(0), rtol=2e-6)


def test_gradients():
    x = numbers.standard_normal((1024, 100)).astype(np.float32)
    found = fornax.jit(fornax.grad(lambda x: logsumexp(x).sum()))(x)
    np.testing.assert_allclose(found, np.exp(x - expected(x)), rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_do_not_depend_on_threads(threads):
    x = numbers.standard_normal((4096, 130)).astype(np.float32)
    with settings.override(threads=1):
        alone = np.asarray(fornax.jit(logsumexp)(x))
    with settings.override(threads=threads):
        together = np.asarray(fornax.jit(lambda x: logsumexp(x))(x))
    np.testing.assert_array_equal(together, alone)
