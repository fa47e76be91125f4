"""Small steps on decompositions: cholesky_update, lu_pivots_to_permutation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.types import ArrayType, typeof
from fornax.primitives.linalg.stacks import MatrixPrimitive, check_dtypes, check_ranks, each
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["cholesky_update_p", "lu_pivots_to_permutation_p"]


class CholeskyUpdate(MatrixPrimitive):
    """The upper triangular R' with R'^T R' = R^T R + w w^T, by a rotation for every row."""

    def type(self, r, w):
        check_ranks(self.name, [r, w], [2, 1])
        n = w.shape[-1]
        if r.shape[-2:] != (n, n):
            raise ValueError(
                located(
                    "Rank-1 update to Cholesky decomposition takes a square matrix and a vector "
                    f"of the same size as input. Got shapes {r.shape} and {w.shape} instead",
                    attempt="r of shape (n, n) and w of shape (n,)",
                )
            )
        check_dtypes(self.name, [r, w], (dtypes.float32, dtypes.float64))
        return [r.strip_weak_type()]

    def reference(self, r, w):
        r, w = np.asarray(r), np.asarray(w)

        def one(matrix, vector):
            matrix, vector = matrix.copy(), vector.copy()
            for k in range(len(vector)):
                x, y = matrix[k, k], vector[k]
                size = np.hypot(x, y)
                cosine, sine = (x / size, y / size) if y else (x.dtype.type(1), y)
                row = matrix[k].copy()
                matrix[k] = cosine * row + sine * vector
                vector = cosine * vector - sine * row
            return [matrix]

        return each(one, [r, w], self.type(typeof(r), typeof(w)))


class LuPivotsToPermutation(MatrixPrimitive):
    """The order of rows that exchanging row i with row pivots[i], one after another, leads to."""

    def type(self, pivots, *, permutation_size):
        check_ranks(self.name, [pivots], [1])
        count = pivots.shape[-1]
        if permutation_size < count:
            raise ValueError(
                located(
                    f"Output permutation size {permutation_size} has to exceed the trailing "
                    f"dimension of the pivots. Got pivots size {count}",
                    attempt=f"permutation_size={count} or more",
                )
            )
        check_dtypes(self.name, [pivots], (dtypes.int32,))
        return [ArrayType((*pivots.shape[:-1], permutation_size), dtypes.int32)]

    def reference(self, pivots, *, permutation_size):
        pivots = np.asarray(pivots)
        stack = pivots.shape[:-1]
        order = np.broadcast_to(np.arange(permutation_size, dtype=np.int32),
                                (*stack, permutation_size)).copy()  # fmt: skip
        places: tuple[Any, ...] = np.ix_(*map(np.arange, stack))
        for i in range(pivots.shape[-1]):
            j = np.clip(pivots[..., i], 0, permutation_size - 1)
            first, second = order[(*places, i)].copy(), order[(*places, j)].copy()
            order[(*places, i)], order[(*places, j)] = second, first
        return [order]


cholesky_update_p = CholeskyUpdate("cholesky_update")
lu_pivots_to_permutation_p = LuPivotsToPermutation("lu_pivots_to_permutation")
