"""Kernels of stacks of matrices against LAPACK: every way, flag and dtype, matrices that fail."""

import itertools

import kernel_running as running
import numpy as np
import pytest

import fornax
from fornax.primitives.linalg.cholesky import cholesky_p
from fornax.primitives.linalg.lu import lu_p
from fornax.primitives.linalg.triangular import triangular_solve_p

DTYPES = ["float32", "float64", "complex64", "complex128"]
FLAGS = list(itertools.product([False, True], repeat=5))


@pytest.fixture(autouse=True)
def wide_types():
    with fornax.enable_x64(True):
        yield


def close(found, wanted, dtype):
    tolerance = 2e-4 if np.finfo(dtype).bits == 32 else 1e-11
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def definite(shape, dtype):
    x = running.random(np.random.default_rng(1), shape, dtype)
    x = x @ x.conj().swapaxes(-1, -2) / shape[-1] + np.eye(shape[-1], dtype=dtype)
    return x + np.triu(np.full(shape[-2:], np.nan), 1).astype(dtype)  # what is not read


def check_cholesky(x, how, **options):
    (found,) = running.apply("cholesky", {}, [x], [(x.shape, x.dtype)], how, **options)
    close(found, cholesky_p.reference(x)[0], x.dtype)


def check_lu(x, how, **options):
    *stack, rows, columns = x.shape
    outputs = [(x.shape, x.dtype), ((*stack, min(rows, columns)), "int32"),
               ((*stack, rows), "int32")]  # fmt: skip
    found = running.apply("lu", {}, [x], outputs, how, **options)
    wanted = lu_p.reference(x)
    np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_array_equal(found[2], wanted[2])
    close(found[0], wanted[0], x.dtype)


def check_solve(stack, n, count, flags, dtype, how, **options):
    names = ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")
    params = dict(zip(names, flags, strict=True))
    a = running.random(np.random.default_rng(n), (*stack, n, n), dtype) / n
    a += 2 * np.eye(n, dtype=dtype)
    unread = np.triu(np.ones((n, n)), 1) if params["lower"] else np.tril(np.ones((n, n)), -1)
    if params["unit_diagonal"]:
        unread += np.eye(n)
    a[..., unread == 1] = np.nan
    shape = (*stack, n, count) if params["left_side"] else (*stack, count, n)
    b = running.random(np.random.default_rng(count), shape, dtype)
    (found,) = running.apply(
        "triangular_solve", params, [a, b], [(shape, dtype)], how, **options
    )  # fmt: skip
    close(found, triangular_solve_p.reference(a, b, **params)[0], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype, how):
    check_cholesky(definite((9, 3, 3), dtype), how)
    check_cholesky(definite((2, 5, 5), dtype), how)
    x = running.random(np.random.default_rng(2), (9, 3, 4), dtype)
    check_lu(x, how)
    check_lu(x[0], how)
    check_solve((9,), 3, 2, FLAGS[11], dtype, how)
    check_solve((), 5, 9, FLAGS[7], dtype, how)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("way", [((8,), 3, 2), ((), 5, 1), ((2,), 4, 5)], ids=str)
def test_flags_of_triangular_solve(number, way, how):
    sides, others = FLAGS[4 * number][:3], FLAGS[number % 4][3:]
    check_solve(*way, (*sides, *others), "complex128", how)


@pytest.mark.parametrize("stack", [(), (1,), (3,), (17,), (5, 20)], ids=str)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_stacks(stack, n):
    check_cholesky(definite((*stack, n, n), "float32"), "compile")
    check_lu(running.random(np.random.default_rng(n), (*stack, n, n), "float32"), "compile")
    check_solve(stack, n, 5, FLAGS[n], "float32", "compile")


@pytest.mark.parametrize("n", [16, 37])
def test_rows_longer_than_vectors(n):
    check_cholesky(definite((n, n), "float32"), "compile")
    check_lu(running.random(np.random.default_rng(n), (n + 1, n), "float64"), "compile")
    for count in (1, 40):
        check_solve((), n, count, FLAGS[n % 32], "float32", "compile")


@pytest.mark.parametrize("stack", [(3,), (19,)], ids=str)
def test_matrices_that_fail_fail_alone(stack, how):
    x = definite((*stack, 3, 3), "float32")
    x[1] = -np.eye(3)
    check_cholesky(x, how)
    x[1] = np.nan
    assert np.isnan(running.apply("cholesky", {}, [x], [(x.shape, x.dtype)], how)[0][1]).all()
    x = running.random(np.random.default_rng(3), (*stack, 3, 3), "float32")
    x[0], x[1, :, 0], x[2, 2] = 0, 0, x[2, 1]
    check_lu(x, how)


@pytest.mark.parametrize("shape", [(0, 2, 2), (2, 0, 0), (0, 3), (3, 0), (2, 3, 0)], ids=str)
def test_nothing(shape, how):
    check_lu(np.zeros(shape, np.float32), how)
    if shape[-1] == shape[-2]:
        check_cholesky(np.zeros(shape, np.float32), how)


@pytest.mark.parametrize("target", ["sse2", "avx2"])
def test_other_machines(target):
    made = running.targets.find(target)
    check_cholesky(definite((9, 5, 5), "float32"), "compile", target=made)
    check_cholesky(definite((9, 9), "complex64"), "compile", target=made)
    check_lu(running.random(np.random.default_rng(1), (9, 5, 6), "float32"), "compile", target=made)
    check_solve((7,), 5, 3, FLAGS[3], "float32", "compile", target=made)
    check_solve((), 6, 9, FLAGS[20], "float64", "compile", target=made)
