"""svd: singular values and vectors."""

from __future__ import annotations

import numpy as np

from fornax.ir.basis import add
from fornax.ir.primitive import Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.compare import eq_p
from fornax.primitives.complex import real_p
from fornax.primitives.elementwise import div_p, mul_p, sub_p
from fornax.primitives.family import constant
from fornax.primitives.linalg.routines import BLOCK, checked, is_short, lapack
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
    transposed,
)
from fornax.primitives.select import where
from fornax.scalars import dtypes
from fornax.source import located


class SVD(MatrixPrimitive):
    """(s,) or (s, U, V^H) with U diag(s) V^H = x and s in decreasing order.

    U and V are square if `full_matrices`. Without `compute_uv` there is only s.
    """

    def type(self, x, *, full_matrices, compute_uv):
        self.check(x)
        *stack, rows, columns = x.shape
        least = min(rows, columns)
        values = ArrayType((*stack, least), real_dtype(x.dtype))
        if not compute_uv:
            return [values]
        u = ArrayType((*stack, rows, rows if full_matrices else least), x.dtype)
        vt = ArrayType((*stack, columns if full_matrices else least, columns), x.dtype)
        return [values, u, vt]

    def reference(self, x, *, full_matrices, compute_uv):
        x = np.asarray(x)
        results = self.type(typeof(x), full_matrices=full_matrices, compute_uv=compute_uv)

        def stack(matrices):
            if not compute_uv:
                return [np.linalg.svd(matrices, compute_uv=False)]
            u, s, vt = np.linalg.svd(matrices, full_matrices)
            return s, u, vt

        if not x.size or (is_short(x) and np.isfinite(x).all()):
            return each(stack, [x], results, stacks=True)
        flags = {"compute_uv": compute_uv, "full_matrices": full_matrices}
        decompose, options = lapack(x, "gesdd"), dict(flags)
        if max(x.shape[-2:]) > BLOCK:
            size, info = lapack(x, "gesdd_lwork")(*x.shape[-2:], **flags)
            checked(info)
            options["lwork"] = int(np.nextafter(size.real, np.float32(np.inf)))

        def one(matrix):
            if not np.isfinite(matrix).all():  # there are versions that would never end
                raise np.linalg.LinAlgError
            u, s, vt, info = decompose(matrix, **options)
            checked(info)
            return (s, u, vt) if compute_uv else (s,)

        return each(one, [x], results)

    def jvp(self, primals, tangents, *, full_matrices, compute_uv):
        (x,), (dx,) = primals, tangents
        if isinstance(dx, Zero):
            outputs = self.bind(x, full_matrices=full_matrices, compute_uv=compute_uv)
            return outputs, [Zero(typeof(y).tangent()) for y in outputs]
        rows, columns = typeof(x).shape[-2:]
        if compute_uv and full_matrices and rows != columns:
            raise NotImplementedError(
                located(
                    "Singular value decomposition JVP not implemented for full matrices",
                    why="the vectors that complete the square are not determined",
                    attempt="full_matrices=False",
                )
            )
        s, u, vt = self.bind(x, full_matrices=False, compute_uv=True)
        uh, v = adjoint(u), adjoint(vt)
        inner = matmul(matmul(uh, dx), v)
        ds = diagonal(inner)
        ds = real_p(ds) if dtypes.is_complex(typeof(x).dtype) else ds
        if not compute_uv:
            return [s], [ds]
        du, dv = _turns(s, u, v, inner)
        dtype = typeof(x).dtype
        if rows > columns:  # what leaves the span of the columns of u
            along = matmul(dx, v)
            rest = sub_p(along, matmul(u, matmul(uh, along)))
            du = add(du, div_p(rest, like(as_columns(s, rows), dtype)))
        if columns > rows:
            along = matmul(adjoint(dx), u)
            rest = sub_p(along, matmul(v, matmul(vt, along)))
            dv = add(dv, div_p(rest, like(as_columns(s, columns), dtype)))
        return [s, u, vt], [ds, du, adjoint(dv)]


def _turns(s, u, v, inner):
    """How u and v turn within their spans, given U^H dx V."""
    dtype = typeof(inner).dtype
    n = typeof(s).shape[-1]
    column, row = as_columns(s, n), as_rows(s, n)  # s[j], s[i]
    gaps = mul_p(add(column, row), sub_p(column, row))
    one, zero = constant(gaps, 1), constant(gaps, 0)
    # equal singular values have no turn of their own
    same = eq_p(gaps, zero)
    factors = like(where(same, zero, div_p(one, where(same, one, gaps))), dtype)
    column, row = like(column, dtype), like(row, dtype)
    left, right = mul_p(inner, column), mul_p(row, inner)
    du = mul_p(factors, add(left, adjoint(left)))
    dv = mul_p(factors, add(right, adjoint(right)))
    # the phase of a complex pair of vectors, which is free, goes to u
    size = transposed(column)
    none = eq_p(size, constant(size, 0))
    half = div_p(sub_p(inner, adjoint(inner)), constant(inner, 2))
    phase = where(none, constant(inner, 0), div_p(half, where(none, constant(size, 1), size)))
    du = add(du, on_diagonal(phase, phase, constant(phase, 0)))
    return matmul(u, du), matmul(v, dv)


svd_p = SVD("svd")
