"""qr: matrices as products of one with orthonormal columns and an upper triangular one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fornax.ir.basis import add, broadcast_in_dim
from fornax.ir.primitive import Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.complex import real_p
from fornax.primitives.elementwise import sub_p
from fornax.primitives.family import constant
from fornax.primitives.linalg.routines import BLOCK, checked, lapack
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
from fornax.primitives.sort import pick_along
from fornax.scalars import dtypes
from fornax.source import located


class QR(MatrixPrimitive):
    """(Q, R) with Q R = x; with `pivoting` (Q, R, p) with Q R = x[..., p].

    Q is square if `full_matrices`, else no wider than x.
    """

    def type(self, x, *, full_matrices, pivoting=False):
        self.check(x)
        *stack, rows, columns = x.shape
        inner = rows if full_matrices else min(rows, columns)
        order = [ArrayType((*stack, columns), np.int32)] if pivoting else []
        return [
            ArrayType((*stack, rows, inner), x.dtype),
            ArrayType((*stack, inner, columns), x.dtype),
            *order,
        ]

    def reference(self, x, *, full_matrices, pivoting=False):
        x = np.asarray(x)
        results = self.type(typeof(x), full_matrices=full_matrices, pivoting=pivoting)
        if not pivoting and (not x.size or max(x.shape[-2:]) <= BLOCK // 2):
            mode: Literal["complete", "reduced"] = "complete" if full_matrices else "reduced"
            return each(lambda a: np.linalg.qr(a, mode), [x], results, stacks=True)
        if not x.size:
            q, r, p = (np.zeros(t.shape, t.dtype) for t in results)
            return [q + np.eye(*q.shape[-2:], dtype=q.dtype), r, p]
        decompose = lapack(x, "geqp3" if pivoting else "geqrf")
        multiply = lapack(x, "orgqr", "ungqr")
        rows, columns = x.shape[-2:]
        inner = results[0].shape[-1]

        def one(matrix):
            options = {} if pivoting else {"lwork": max(1, BLOCK * columns)}
            found, *order, taus, _, info = decompose(matrix, **options)
            checked(info)
            vectors = np.zeros((rows, inner), x.dtype, "F")
            shared = min(columns, inner)
            vectors[:, :shared] = found[:, :shared]
            q, _, info = multiply(vectors, taus, lwork=max(1, BLOCK * inner), overwrite_a=True)
            checked(info)
            return q, np.triu(found[:inner]), *(places - 1 for places in order)

        return each(one, [x], results)

    def jvp(self, primals, tangents, *, full_matrices, pivoting=False):
        (x,), (dx,) = primals, tangents
        q, r, *order = self.bind(x, full_matrices=full_matrices, pivoting=pivoting)
        still = [Zero(typeof(p).tangent()) for p in order]
        if order and not isinstance(dx, Zero):
            shape = typeof(dx).shape
            kept = (*range(len(shape) - 2), len(shape) - 1)
            dx = pick_along(dx, broadcast_in_dim(order[0], shape, kept), len(shape) - 1)
        if isinstance(dx, Zero):
            return [q, r, *order], [Zero(typeof(q).tangent()), Zero(typeof(r).tangent()), *still]
        rows, columns = typeof(x).shape[-2:]
        if rows < columns or (full_matrices and rows != columns):
            raise NotImplementedError(
                located(
                    "Unimplemented case of QR decomposition derivative",
                    why=f"of matrices of {rows} x {columns} with {full_matrices=} the factors "
                    "are not determined",
                    attempt="full_matrices=False, on matrices not wider than high",
                )
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
        return [q, r, *order], [dq, dr, *still]


qr_p = QR("qr")
