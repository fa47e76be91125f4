"""tridiagonal_solve: solutions of equations with matrices of three diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.basis import add, broadcast_in_dim, instantiate
from fornax.ir.primitive import Linear, Zero
from fornax.ir.types import typeof
from fornax.primitives.concatenate import concatenate
from fornax.primitives.elementwise import mul_p, neg_p
from fornax.primitives.family import constant
from fornax.primitives.linalg.routines import checked, lapack
from fornax.primitives.linalg.stacks import (
    MatrixPrimitive,
    as_rows,
    check_dtypes,
    check_ranks,
    each,
)
from fornax.primitives.slice import slice_in
from fornax.source import located

__all__ = ["tridiagonal_solve_p"]


class TridiagonalSolve(MatrixPrimitive):
    """x with A x = b; A[i, i-1] = dl[i], A[i, i] = d[i], A[i, i+1] = du[i].

    dl[0] and the last of du are not read.
    """

    def type(self, dl, d, du, b, *, perturb_singular):
        check_ranks(self.name, [dl, d, du, b], [1, 1, 1, 2])
        if dl.shape != d.shape or du.shape != d.shape:
            raise TypeError(
                located(
                    "tridiagonal_solve requires that all diagonal arguments have the same shape.",
                    attempt="pad with a zero: dl in front, du at the end",
                )
            )
        if b.shape[:-1] != d.shape:
            raise TypeError(
                located(
                    "tridiagonal_solve requires that the leading ndim-1 dimensions of b equal the "
                    "dimensions of the diagonal arguments.",
                    attempt="b[:, None] for one right side, or numpy.broadcast_to",
                )
            )
        check_dtypes(self.name, [dl, d, du, b])
        return [b.strip_weak_type()]

    def reference(self, dl, d, du, b, *, perturb_singular):
        dl, d, du, b = map(np.asarray, (dl, d, du, b))
        (out,) = self.type(*map(typeof, (dl, d, du, b)), perturb_singular=perturb_singular)
        if not out.size:
            return [b]
        solve = lapack(b, "gtsv")

        def one(right, below, middle, above):
            if len(middle) == 1:
                if not middle[0]:
                    raise np.linalg.LinAlgError(
                        located(
                            "singular",
                            attempt="a larger diagonal, or numpy.linalg.lstsq with the full matrix",
                        )
                    )
                return [right / middle[0]]
            *_, x, info = solve(below[1:], middle, above[:-1], right)
            checked(info)
            return [x]

        return each(one, [b, dl, d, du], [out])

    def jvp(self, primals, tangents, **params):
        *diagonals, b = primals
        *changes, db = tangents
        x = self.bind(*diagonals, b, **params)[0]
        right: Any = db
        if not all(isinstance(t, Zero) for t in changes):
            # A x = b, so that A dx = db - dA x
            below, middle, above = map(instantiate, changes)
            right = add(db, neg_p(_product(below, middle, above, x)))
        if isinstance(right, Zero):
            return [x], [Zero(typeof(x).tangent())]
        return [x], self.bind(*diagonals, right, **params)

    def transpose(self, cotangents, dl, d, du, b, **params):
        if any(isinstance(x, Linear) for x in (dl, d, du)):
            raise NotImplementedError(
                located(
                    "tridiagonal_solve is not linear in its matrix",
                    attempt="lax.stop_gradient on the diagonals, or numpy.linalg.solve with the "
                    "full matrix",
                )
            )
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [None, None, None, Zero(b.type.tangent())]
        below, above = _shifted(du, 1), _shifted(dl, -1)
        return [None, None, None, *self.bind(below, d, above, ct, **params)]


def _shifted(x: Any, by: int, axis: int = -1) -> Any:
    """x moved by one place along an axis (of -1 or -2), with a zero where none came."""
    shape = typeof(x).shape
    axis += len(shape)
    n = shape[axis]
    zero = broadcast_in_dim(constant(x, 0), (*shape[:axis], 1, *shape[axis + 1 :]), ())
    if by > 0:
        return concatenate([zero, slice_in(x, axis, 0, n - 1)], axis)
    return concatenate([slice_in(x, axis, 1, n), zero], axis)


def _product(dl: Any, d: Any, du: Any, x: Any) -> Any:
    """A x, for the matrix of those diagonals."""
    columns = typeof(x).shape[-1]
    below, middle, above = (as_rows(v, columns) for v in (dl, d, du))
    total = add(mul_p(middle, x), mul_p(below, _shifted(x, 1, -2)))
    return add(total, mul_p(above, _shifted(x, -1, -2)))


tridiagonal_solve_p = TridiagonalSolve("tridiagonal_solve")
