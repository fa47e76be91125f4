"""cholesky: the lower triangular factor of Hermitian positive definite matrices."""

from __future__ import annotations

import numpy as np

from fornax.ir.primitive import Zero
from fornax.ir.types import typeof
from fornax.primitives.elementwise import div_p
from fornax.primitives.family import constant
from fornax.primitives.linalg.routines import checked, is_short, lapack
from fornax.primitives.linalg.stacks import MatrixPrimitive, each, lower, matmul, on_diagonal
from fornax.primitives.linalg.triangular import triangular_solve


class Cholesky(MatrixPrimitive):
    """L with L L^H = x, from the lower triangle of x; NaN where x is not positive definite."""

    def type(self, x):
        self.check(x, square=True)
        return [x.strip_weak_type()]

    def reference(self, x):
        x = np.asarray(x)
        (out,) = self.type(typeof(x))
        if not x.size or is_short(x):
            return each(lambda a: [np.linalg.cholesky(a)], [x], [out], stacks=True)
        decompose = lapack(x, "potrf")

        def one(matrix):
            # rows of ours are columns of LAPACK's: it takes the matrix for its conjugate, and the
            # factor it finds, upper, for its transpose
            factor, info = decompose(matrix.T, lower=False, clean=True)
            checked(info)
            return [factor.T]

        return each(one, [x], [out])

    def jvp(self, primals, tangents):
        (x,), (dx,) = primals, tangents
        factor = self.bind(x)[0]
        if isinstance(dx, Zero):
            return [factor], [Zero(typeof(factor).tangent())]
        half = triangular_solve(
            factor, dx, left_side=False, lower=True, transpose_a=True, conjugate_a=True
        )
        inner = lower(triangular_solve(factor, half, left_side=True, lower=True))
        inner = on_diagonal(inner, div_p(inner, constant(inner, 2)), inner)
        return [factor], [matmul(factor, inner)]


cholesky_p = Cholesky("cholesky")
