"""Sparse arrays against the dense ones they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import fornax
import fornax.numpy as fnp
from fornax.experimental.sparse import BCOO, bcoo_fromdense, bcoo_todense

A = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, -4, 0]], np.float32)
X, Y = np.arange(4, dtype=np.float32) + 1, np.arange(8, dtype=np.float32).reshape(4, 2)


def same(x, y):
    np.testing.assert_allclose(np.asarray(x), y, 1e-6)


@pytest.mark.parametrize("dense", [A, A[0], A.astype(np.int32), np.float32(3), np.zeros((2, 3))])
def test_from_and_to_dense(dense):
    sparse = BCOO.fromdense(dense)
    assert sparse.shape == np.shape(dense) and sparse.nse == np.count_nonzero(dense)
    assert sparse.ndim == np.ndim(dense) and sparse.size == np.size(dense)
    same(sparse.todense(), dense)
    same(bcoo_todense(bcoo_fromdense(dense, nse=sparse.nse + 2)), dense)  # padded


def test_from_scipy():
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.coo_matrix, scipy.sparse.csc_array):
        sparse = BCOO.from_scipy_sparse(kind(A))
        same(sparse.todense(), A)
        assert sparse.indices.dtype == np.int32 and sparse.dtype == np.float32


def test_arithmetic():
    a = BCOO.fromdense(A, nse=6)
    same(a @ X, A @ X)
    same(a @ Y, A @ Y)
    same(np.arange(3, dtype=np.float32) @ a, np.arange(3) @ A)
    same(Y.T @ a.T, Y.T @ A.T)
    same((a @ BCOO.fromdense(Y)), A @ Y)
    same((2 * a).todense(), 2 * A)
    same((a / 2).todense(), A / 2)
    same((a * A).todense(), A * A)
    same((-a).todense(), -A)
    same((a + a.astype("int32")).todense(), 2 * A)
    same((a - a).todense(), 0 * A)
    same(a + A, 2 * A)
    same(a.sum(), A.sum())
    same(a.sum(0), A.sum(0))
    same(a.T.T.todense(), A)


def test_sorted_indices_and_repeated_ones():
    indices = np.array([[2, 0], [0, 1], [0, 1]], np.int32)
    a = BCOO((np.float32([1, 2, 3]), indices), shape=(3, 2))
    ordered = a.sort_indices()
    assert ordered.indices.tolist() == [[0, 1], [0, 1], [2, 0]] and ordered.indices_sorted
    same(a.todense(), [[0, 5], [0, 0], [1, 0]])
    same(ordered.todense(), a.todense())


def test_through_transformations():
    a = BCOO.fromdense(A)
    same(fornax.jit(lambda a, x: a @ x)(a, X), A @ X)

    def loss(data):
        return ((BCOO((data, a.indices), shape=a.shape) @ X) ** 2).sum()

    gradient = BCOO((fornax.grad(loss)(a.data), a.indices), shape=a.shape)
    same(gradient.todense(), np.where(A != 0, 2 * np.outer(A @ X, X), 0))
    same(fornax.vmap(lambda x: a @ x)(Y.T), (A @ Y).T)
    same(fornax.jit(lambda x: BCOO.fromdense(x, nse=4).todense())(A), A)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda a: BCOO((fnp.ones((2, 2)), fnp.ones((2, 1), int)), shape=(3, 2)),
     NotImplementedError, "batch or dense"),
    (lambda a: BCOO((fnp.ones(2), fnp.ones((2, 1), int)), shape=(3, 2)), ValueError, "do not fit"),
    (lambda a: BCOO.fromdense(A, n_dense=1), NotImplementedError, "n_dense=1"),
    (lambda a: fornax.jit(BCOO.fromdense)(A), ValueError, "nse"),
    (lambda a: a @ fnp.ones(3), TypeError, "BCOO of shape"),
    (lambda a: a * fnp.ones(4), NotImplementedError, "same shape"),
    (lambda a: a + a.T, ValueError, "BCOO of shape"),
    (lambda a: a * a, NotImplementedError, "todense"),
    (lambda a: a.transpose((0, 0)), ValueError, "no order"),
    (lambda a: hash(a), TypeError, "unhashable"),
    (lambda a: fnp.sin(a), TypeError, "BCOO"),
])  # fmt: skip
def test_what_sparse_arrays_cannot_do(call, error, words):
    with pytest.raises(error, match=words):
        call(BCOO.fromdense(A))


@pytest.mark.parametrize("args", [(), {}, (1.0, 2.0, 3.0), 4.0])
def test_elements_without_indices(args):
    with pytest.raises(TypeError, match="BCOO takes a pair"):
        BCOO(args, shape=(6,))
