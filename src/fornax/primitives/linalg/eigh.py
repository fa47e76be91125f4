"""eigh: eigenvalues and eigenvectors of Hermitian matrices."""

from __future__ import annotations

import numpy as np

from fornax.ir.primitive import Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.complex import real_p
from fornax.primitives.elementwise import div_p, mul_p, sub_p
from fornax.primitives.family import constant
from fornax.primitives.linalg.routines import checked, is_short, lapack
from fornax.primitives.linalg.stacks import (
    MatrixPrimitive,
    adjoint,
    as_columns,
    as_rows,
    diagonal,
    each,
    like,
    matmul,
    on_diagonal,
    real_dtype,
)
from fornax.scalars import dtypes


class Eigh(MatrixPrimitive):
    """(vectors, values): x v[:, i] = w[i] v[:, i], in increasing order of w.

    Only the `lower` or upper triangle of x is read.
    """

    def type(self, x, *, lower):
        self.check(x, square=True)
        return [x.strip_weak_type(), ArrayType(x.shape[:-1], real_dtype(x.dtype))]

    def reference(self, x, *, lower):
        x = np.asarray(x)
        vectors, values = self.type(typeof(x), lower=lower)
        if not x.size:
            return [np.zeros(vectors.shape, vectors.dtype), np.zeros(values.shape, values.dtype)]

        def stack(matrices):
            values, vectors = np.linalg.eigh(matrices, "L" if lower else "U")
            return vectors, values

        if is_short(x):
            return each(stack, [x], [vectors, values], stacks=True)
        decompose = lapack(x, "syevd", "heevd")

        def one(matrix):
            values, vectors, info = decompose(matrix, lower=lower)
            checked(info)
            return vectors, values

        return each(one, [x], [vectors, values])

    def jvp(self, primals, tangents, *, lower):
        (x,), (dx,) = primals, tangents
        v, w = self.bind(x, lower=lower)
        if isinstance(dx, Zero):
            return [v, w], [Zero(typeof(v).tangent()), Zero(typeof(w).tangent())]
        inner = matmul(adjoint(v), matmul(dx, v))
        n = typeof(w).shape[-1]
        gaps = sub_p(as_columns(w, n), as_rows(w, n))  # w[j] - w[i]
        one, zero = constant(gaps, 1), constant(gaps, 0)
        factors = on_diagonal(gaps, zero, div_p(one, on_diagonal(gaps, one, gaps)))
        complex_ = dtypes.is_complex(typeof(x).dtype)
        dv = matmul(v, mul_p(like(factors, typeof(x).dtype), inner))
        dw = diagonal(inner)
        return [v, w], [dv, real_p(dw) if complex_ else dw]


eigh_p = Eigh("eigh")
