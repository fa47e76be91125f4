"""Variances of large arrays: one pass over memory, as accurate as two."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import settings
from fornax.backends import reference
from fornax.backends.llvm.target import find
from fornax.compiler.canonical import canonicalize
from fornax.compiler.deviations import LARGE
from fornax.runtime.compile import plan

numbers = np.random.default_rng(21)
#: shapes and dimensions that are added up: columns, all, channels last and first, odd extents
CASES = [
    ((2100, 500), (0,)), ((1500, 700), (0, 1)), ((1 << 20,), (0,)), ((8, 56, 56, 48), (0, 1, 2)),
    ((8, 48, 56, 56), (0, 2, 3)), ((3, 700, 600), (1,)), ((8, 12, 100, 150), (0, 1, 2)),
    ((2, 6, 16, 97, 64), (0, 2, 3)), ((4, 300000), (0, 1)), ((12, 100, 1000), (0, 1, 2)),
]  # fmt: skip
#: extents that have no fitting divisor
PRIME = [
    ((1999, 600), (0,)), (((1 << 20) + 7,), (0,)), ((2, 2099, 300), (1,)), ((262139, 5), (0, 1)),
    ((150001, 7), (0,)),
]  # fmt: skip


def moments(axes):
    return lambda x: (jnp.mean(x, axes), jnp.var(x, axes))


def reads(function, x):
    """How many kernels read an array of the argument's size, of how many."""
    traced = fornax.jit(function).trace(x)
    planner, _ = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
    kernels = [made.kernel for made in planner.plan.kernels]
    large = [k for k in kernels if any(b.role == "in" and b.size == x.size for b in k.buffers)]
    return len(large), len(kernels)


@pytest.mark.parametrize("shape,axes", CASES + PRIME, ids=str)
@pytest.mark.parametrize("offset", [0.0, 3000.0])
@pytest.mark.parametrize("name", ["native", "sse2"])
def test_values(shape, axes, offset, name):
    x = (numbers.standard_normal(shape) * 2 + offset).astype(np.float32)
    with settings.override(target=name):
        mean, variance = fornax.jit(moments(axes))(x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axes), rtol=3e-6, atol=3e-6)
    np.testing.assert_allclose(variance, wide.var(axes), rtol=1e-5 if not offset else 1e-4)


def test_float64():
    with fornax.enable_x64(True):
        x = numbers.standard_normal((900, 700)) + 1e6
        mean, variance = fornax.jit(moments((0,)))(x)
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(variance, x.var(0), rtol=1e-9)


@pytest.mark.parametrize("shape,axes", CASES[:5] + CASES[6:] + PRIME, ids=str)
def test_memory_is_read_once(shape, axes):
    """The last, smaller block is read by a kernel of its own."""
    x = np.zeros(shape, np.float32)
    assert x.nbytes >= LARGE
    assert reads(moments(axes), x)[0] == 1 + ((shape, axes) in PRIME)


def test_small_arrays_and_short_rows_are_left_alone():
    for shape, axes in (((500, 700), (0,)), ((4096, 1024), (1,))):
        x = np.zeros(shape, np.float32)
        names = [
            e.primitive.name
            for e in canonicalize(fornax.jit(moments(axes)).trace(x).jaxpr).equations
        ]
        assert "optimization_barrier" not in names


def test_deviations_from_what_does_not_depend_on_the_sum_are_added_up_as_written():
    x, c = np.ones((2100, 500), np.float32), np.zeros(500, np.float32)
    f = lambda x, c: (x.sum(0), ((x - c) ** 2).sum(0))  # noqa: E731
    names = [e.primitive.name for e in canonicalize(fornax.jit(f).trace(x, c).jaxpr).equations]
    assert "max" not in names


def test_any_centre_made_of_the_sum_will_do():
    x = numbers.standard_normal((2100, 500)).astype(np.float32)

    def f(x):
        total = x.sum(0)
        centre = total * 0.01
        return total, ((centre - x) * (centre - x)).sum(0), ((x - centre) ** 2).sum(0) * 2

    total, first, second = fornax.jit(f)(x)
    wide = x.astype(np.float64)
    expected = ((wide - wide.sum(0) * 0.01) ** 2).sum(0)
    np.testing.assert_allclose(total, wide.sum(0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(first, expected, rtol=1e-5)
    np.testing.assert_allclose(second, 2 * expected, rtol=1e-5)


def test_gradients_and_special_values():
    x = numbers.standard_normal((2100, 500)).astype(np.float32)
    found = fornax.jit(fornax.grad(lambda x: jnp.var(x, 0).sum()))(x)
    np.testing.assert_allclose(found, 2 * (x - x.mean(0)) / 2100, rtol=1e-4, atol=1e-7)
    x[7, 3], x[9, 4] = np.inf, np.nan
    variance = np.asarray(fornax.jit(moments((0,)))(x)[1])
    assert np.isnan(variance[3:5]).all() and np.isfinite(variance[5:]).all()


@pytest.mark.parametrize("shape", [(2048, 600), (4096, 300)])
def test_first_rows_of_blocks_unlike_the_others(shape):
    """What deviations are from at first need not be near the mean."""
    x = numbers.standard_normal(shape).astype(np.float32)
    x[::128] = 1000
    x[0, :3], x[1, 3] = (np.inf, -np.inf, np.nan), 3e38
    mean, variance = map(np.asarray, fornax.jit(moments((0,)))(x))
    wide = x.astype(np.float64)
    np.testing.assert_array_equal(mean[:3], x[0, :3])
    np.testing.assert_allclose(mean[3:], wide[:, 3:].mean(0), rtol=3e-6)
    assert np.isnan(variance[:3]).all() and np.isposinf(variance[3])
    np.testing.assert_allclose(variance[4:], wide[:, 4:].var(0), rtol=5e-6)


@pytest.mark.parametrize("shape", [(2000, 1000), (3000, 700)])
def test_variances_are_not_negative(shape):
    """Of about equal numbers, what is subtracted is as large as what it is subtracted from."""
    f = fornax.jit(lambda x: (jnp.var(x, 0), jnp.var(x), jnp.std(x, 0)))
    for k in range(12):
        number = np.float32(numbers.standard_normal() * 10 ** numbers.uniform(-3, 6))
        x = np.full(shape, number)
        if k % 2:
            x.reshape(-1)[::7] = np.nextafter(number, np.float32(np.inf))
        assert all((np.asarray(v) >= 0).all() for v in f(x))
        assert (np.asarray(f(x)[2]) <= 100 * np.spacing(abs(number))).all()
    for number in (-10870.785, 0.022788454):
        assert all((np.asarray(v) >= 0).all() for v in f(np.full(shape, number, np.float32)))


def test_large_numbers_do_not_overflow_early():
    """Nor do those of which squares overflow give NaN."""
    f = fornax.jit(lambda x: jnp.var(x, 0))
    for number, expected in ((1e23, np.isfinite), (4e26, np.isposinf)):
        x = np.full((2000, 700), number, np.float32)
        x[::2] = np.nextafter(x[0, 0], np.float32(np.inf))
        assert expected(np.asarray(f(x))).all()
