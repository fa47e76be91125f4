"""qr: matrices as products of one with orthonormal columns and an upper triangular one."""

from __future__ import annotations

import numpy as np

from fornax.ir.basis import add
from fornax.ir.primitive import Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.complex import real_p
from fornax.primitives.elementwise import sub_p
from fornax.primitives.family import constant
from fornax.primitives.linalg.stacks import (
    MatrixPrimitive,
    adjoint,
    each,
    like,
    lower,
    matmul,
    on_diagonal,
)
from fornax.primitives.linalg.triangular import triangular_solve
from fornax.scalars import dtypes


class QR(MatrixPrimitive):
    """(Q, R) with Q R = x. Q is square if `full_matrices`, else no wider than x."""

    def type(self, x, *, full_matrices):
        self.check(x)
        *stack, rows, columns = x.shape
        inner = rows if full_matrices else min(rows, columns)
        return [
            ArrayType((*stack, rows, inner), x.dtype),
            ArrayType((*stack, inner, columns), x.dtype),
        ]

    def reference(self, x, *, full_matrices):
        x = np.asarray(x)
        mode = "complete" if full_matrices else "reduced"
        results = self.type(typeof(x), full_matrices=full_matrices)
        return each(lambda a: np.linalg.qr(a, mode), [x], results)

    def jvp(self, primals, tangents, *, full_matrices):
        (x,), (dx,) = primals, tangents
        q, r = self.bind(x, full_matrices=full_matrices)
        if isinstance(dx, Zero):
            return [q, r], [Zero(typeof(q).tangent()), Zero(typeof(r).tangent())]
        rows, columns = typeof(x).shape[-2:]
        if rows < columns or (full_matrices and rows != columns):
            raise NotImplementedError(
                "Unimplemented case of QR decomposition derivative\n"
                f"  why:   of matrices of {rows} x {columns} with {full_matrices=} the factors are "
                "not determined\n  try:   full_matrices=False, on matrices not wider than high"
            )
        scaled = triangular_solve(r, dx, left_side=False, lower=False)  # dx R^-1
        inner = matmul(adjoint(q), scaled)
        below = lower(inner, strict=True)
        turn = sub_p(below, adjoint(below))  # the antihermitian part
        if dtypes.is_complex(typeof(x).dtype):
            phase = sub_p(inner, like(real_p(inner), typeof(x).dtype))
            turn = add(turn, on_diagonal(inner, phase, constant(inner, 0)))
        dq = add(matmul(q, sub_p(turn, inner)), scaled)
        dr = matmul(sub_p(inner, turn), r)
        return [q, r], [dq, dr]


qr_p = QR("qr")
