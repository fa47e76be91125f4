"""schur: square matrices as triangular ones in another orthonormal basis."""

from __future__ import annotations

import numpy as np

from fornax.ir.types import typeof
from fornax.primitives.linalg.routines import checked, lapack
from fornax.primitives.linalg.stacks import MatrixPrimitive, check_dtypes, check_ranks, each
from fornax.source import located

__all__ = ["schur_p"]


class Schur(MatrixPrimitive):
    """(T, Z) with Z T Z^H = x, or T alone; T is triangular, but for blocks of two rows on the
    diagonal where a real matrix has complex eigenvalues."""

    def type(self, x, *, compute_schur_vectors, sort_eig_vals, select_callable):
        check_ranks(self.name, [x], [2])
        if x.shape[-1] != x.shape[-2]:
            raise ValueError(
                located(
                    f"The input to schur must be a square matrix. Got shape {x.shape}.",
                    attempt="svd for matrices that are not square",
                )
            )
        check_dtypes(self.name, [x])
        return [x.strip_weak_type()] * (2 if compute_schur_vectors else 1)

    def reference(self, x, *, compute_schur_vectors, **params):
        x = np.asarray(x)
        results = self.type(typeof(x), compute_schur_vectors=compute_schur_vectors, **params)
        if not x.size:
            return [x.copy() for _ in results]
        decompose = lapack(x, "gees")

        def one(matrix):
            found = decompose(lambda *_: None, matrix, compute_v=compute_schur_vectors, sort_t=0)
            checked(found[-1])
            return (found[0], found[-3]) if compute_schur_vectors else (found[0],)

        return each(one, [x], results)


schur_p = Schur("schur")
