"""triangular_solve: solutions of equations with triangular matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.basis import add, instantiate
from fornax.ir.primitive import Linear, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.elementwise import neg_p
from fornax.primitives.linalg.stacks import (
    MatrixPrimitive,
    conjugate,
    each,
    lower,
    matmul,
    transposed,
    upper,
)
from fornax.source import located


class TriangularSolve(MatrixPrimitive):
    """x with op(a) x = b (`left_side`) or x op(a) = b; op transposes, conjugates, or neither.

    a: [..., n, n], of which the `lower` or upper triangle is read; its diagonal counts as ones if
    `unit_diagonal`. b: [..., n, m], or [..., m, n] unless `left_side`.
    """

    def type(self, a, b, *, left_side, lower, transpose_a, conjugate_a, unit_diagonal):
        self.check(a, square=True)
        self.check(b)
        if a.dtype != b.dtype:
            raise TypeError(
                located(
                    f"triangular_solve requires equal dtypes, got {a.dtype.name} and "
                    f"{b.dtype.name}",
                    attempt=f"b.astype({a.dtype.name!r})",
                )
            )
        if a.shape[:-2] != b.shape[:-2]:
            raise TypeError(
                located(
                    "triangular_solve requires both arguments to have the same number of "
                    f"dimensions and equal batch dimensions, got {a.shape} and {b.shape}",
                    attempt="numpy.broadcast_to, or vmap with in_axes=None for the one that is "
                    "shared",
                )
            )
        if a.shape[-1] != b.shape[-2 if left_side else -1]:
            raise ValueError(
                located(
                    f"Incompatible shapes for arguments to triangular_solve: {a.shape} and "
                    f"{b.shape}.",
                    attempt="left_side=False where the unknown stands on the left of a, or b.T",
                )
            )
        return [b.strip_weak_type()]

    def reference(self, a, b, *, left_side, lower, transpose_a, conjugate_a, unit_diagonal):
        from scipy.linalg import blas

        a, b = np.asarray(a), np.asarray(b)
        out = ArrayType(b.shape, b.dtype)
        if not out.size:
            return [np.zeros(b.shape, b.dtype)]
        letter = {"f4": "s", "f8": "d", "c8": "c", "c16": "z"}[a.dtype.str[1:]]
        solve = getattr(blas, f"{letter}trsm")
        if conjugate_a and not transpose_a:
            a = np.conj(a)
        kind = 0 if not transpose_a else 2 if conjugate_a else 1

        def one(matrix, right):
            # rows of ours are columns of theirs: all is turned, and nothing copied for that
            turned = solve(1, matrix.T, right.T, side=left_side, lower=not lower, trans_a=kind,
                           diag=unit_diagonal)  # fmt: skip
            return [turned.T]

        return each(one, [a, b], [out])

    def jvp(self, primals, tangents, **params):
        (a, b), (da, db) = primals, tangents
        x = self.bind(a, b, **params)[0]
        total: Any = Zero(typeof(x).tangent())
        if not isinstance(db, Zero):
            total = self.bind(a, db, **params)[0]
        if not isinstance(da, Zero):
            # op(a) x = b, so that op(a) dx = db - op(da) x, with da only where a is read
            triangle = lower if params["lower"] else upper
            change = triangle(da, strict=params["unit_diagonal"])
            change = transposed(change) if params["transpose_a"] else change
            change = conjugate(change) if params["conjugate_a"] else change
            product = matmul(change, x) if params["left_side"] else matmul(x, change)
            total = add(total, self.bind(a, neg_p(product), **params)[0])
        return [x], [total]

    def transpose(self, cotangents, a, b, *, transpose_a, **params):
        if isinstance(a, Linear):
            raise NotImplementedError(
                located(
                    "triangular_solve is not linear in its matrix",
                    attempt="lax.stop_gradient on the matrix, or grad, which handles it",
                )
            )
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [None, Zero(b.type.tangent())]
        return [None, self.bind(a, instantiate(ct), transpose_a=not transpose_a, **params)[0]]


triangular_solve_p = TriangularSolve("triangular_solve")


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """`TriangularSolve` applied."""
    return triangular_solve_p.bind(
        a, b, left_side=left_side, lower=lower, transpose_a=transpose_a, conjugate_a=conjugate_a,
        unit_diagonal=unit_diagonal,
    )[0]  # fmt: skip
