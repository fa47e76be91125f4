"""eig: eigenvalues and eigenvectors of any square matrices."""

from __future__ import annotations

import numpy as np

from fornax.ir.basis import broadcast_in_dim
from fornax.ir.primitive import Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.linalg.lu import lu_p
from fornax.primitives.linalg.stacks import (
    MatrixPrimitive,
    diagonal,
    each,
    like,
    matmul,
)
from fornax.primitives.linalg.triangular import triangular_solve
from fornax.primitives.sort import pick_along
from fornax.source import located


class Eig(MatrixPrimitive):
    """(values,), then the left and the right eigenvectors where asked for; all complex."""

    def type(self, x, *, compute_left_eigenvectors, compute_right_eigenvectors):
        self.check(x, square=True)
        dtype = np.result_type(x.dtype, np.complex64)
        vectors = ArrayType(x.shape, dtype)
        count = compute_left_eigenvectors + compute_right_eigenvectors
        return [ArrayType(x.shape[:-1], dtype), *[vectors] * count]

    def reference(self, x, *, compute_left_eigenvectors, compute_right_eigenvectors):
        from scipy.linalg import eig

        x = np.asarray(x)
        results = self.type(
            typeof(x), compute_left_eigenvectors=compute_left_eigenvectors,
            compute_right_eigenvectors=compute_right_eigenvectors,
        )  # fmt: skip
        if not x.size:
            return [np.zeros(t.shape, t.dtype) for t in results]

        def one(matrix):
            if not np.isfinite(matrix).all():
                raise np.linalg.LinAlgError
            found = eig(
                matrix, left=compute_left_eigenvectors, right=compute_right_eigenvectors,
                check_finite=False,
            )  # fmt: skip
            return found if isinstance(found, tuple) else (found,)

        return each(one, [x], results)

    def jvp(self, primals, tangents, **params):
        (x,), (dx,) = primals, tangents
        outputs = self.bind(x, **params)
        if isinstance(dx, Zero):
            return outputs, [Zero(typeof(y).tangent()) for y in outputs]
        if len(outputs) > 1:
            raise NotImplementedError(
                located(
                    "The derivatives of non-symmetric eigenvectors are not supported. Only "
                    "first-order derivatives of eigenvalues are supported.",
                    attempt="eigvals, or eigh",
                )
            )
        values, vectors = self.bind(
            x, compute_left_eigenvectors=False, compute_right_eigenvectors=True
        )
        moved = matmul(like(dx, typeof(values).dtype), vectors)
        return [values], [diagonal(_solve(vectors, moved))]


def _solve(a, b):
    factors, _, order = lu_p.bind(a)
    shape = typeof(b).shape
    rank = len(shape)
    b = pick_along(b, broadcast_in_dim(order, shape, range(rank - 1)), rank - 2)
    b = triangular_solve(factors, b, left_side=True, lower=True, unit_diagonal=True)
    return triangular_solve(factors, b, left_side=True, lower=False)


eig_p = Eig("eig")
