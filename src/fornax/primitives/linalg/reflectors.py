"""Matrices as products of reflections: geqrf, hessenberg, tridiagonal, householder_product, ormqr.

Reflection i is I - taus[i] v v^H, with v[:i] = 0, v[i] = 1, and the rest below the diagonal of
column i of a matrix.
"""

from __future__ import annotations

import numpy as np

from fornax.ir.types import ArrayType, typeof
from fornax.primitives.linalg.routines import checked, lapack
from fornax.primitives.linalg.stacks import (
    MatrixPrimitive,
    check_dtypes,
    check_ranks,
    each,
    real_dtype,
)
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["geqrf_p", "hessenberg_p", "householder_product_p", "ormqr_p", "tridiagonal_p"]


class Geqrf(MatrixPrimitive):
    """(matrix, taus): R on and above the diagonal, the vectors of the reflections below it."""

    def type(self, a):
        check_ranks(self.name, [a], [2])
        check_dtypes(self.name, [a])
        *stack, rows, columns = a.shape
        return [a.strip_weak_type(), ArrayType((*stack, min(rows, columns)), a.dtype)]

    def reference(self, a):
        a = np.asarray(a)
        results = self.type(typeof(a))
        if not a.size:
            return [np.zeros(t.shape, t.dtype) for t in results]
        reduce = lapack(a, "geqrf")

        def one(matrix):
            reduced, taus, _, info = reduce(matrix)
            checked(info)
            return reduced, taus

        return each(one, [a], results)


class Hessenberg(MatrixPrimitive):
    """(matrix, taus): on and above the first subdiagonal the Hessenberg form, the vectors of the
    reflections below it."""

    def type(self, a):
        check_ranks(self.name, [a], [2])
        *stack, rows, columns = a.shape
        if rows != columns:
            raise ValueError(
                located(
                    "Argument to Hessenberg reduction must have shape [..., n, n], got shape "
                    f"{a.shape}",
                    attempt="vmap for stacks, or qr for matrices that are not square",
                )
            )
        check_dtypes(self.name, [a])
        return [a.strip_weak_type(), ArrayType((*stack, max(rows - 1, 0)), a.dtype)]

    def reference(self, a):
        a = np.asarray(a)
        results = self.type(typeof(a))
        if not a.size:
            return [np.zeros(t.shape, t.dtype) for t in results]
        reduce = lapack(a, "gehrd")

        def one(matrix):
            reduced, taus, info = reduce(matrix)
            checked(info)
            return reduced, taus

        return each(one, [a], results)


class Tridiagonal(MatrixPrimitive):
    """(matrix, diagonal, off-diagonal, taus) of Hermitian matrices, from one triangle."""

    def type(self, a, *, lower):
        check_ranks(self.name, [a], [2])
        *stack, rows, columns = a.shape
        if rows != columns or not columns:
            raise ValueError(
                located(
                    f"The input to tridiagonal must be a square matrix. Got shape {a.shape}.",
                    attempt="(a + a.T.conj()) / 2, which is square and Hermitian",
                )
            )
        check_dtypes(self.name, [a])
        real = real_dtype(a.dtype)
        return [
            a.strip_weak_type(),
            ArrayType((*stack, rows), real),
            ArrayType((*stack, rows - 1), real),
            ArrayType((*stack, rows - 1), a.dtype),
        ]

    def reference(self, a, *, lower):
        a = np.asarray(a)
        results = self.type(typeof(a), lower=lower)
        reduce = lapack(a, "sytrd", "hetrd")

        def one(matrix):
            reduced, diagonal, beside, taus, info = reduce(matrix, lower=lower)
            checked(info)
            return reduced, diagonal, beside, taus

        return each(one, [a], results)


class HouseholderProduct(MatrixPrimitive):
    """The first columns of the product of reflections, as many as the matrix has."""

    def type(self, a, taus):
        check_ranks(self.name, [a, taus], [2, 1])
        rows, columns = a.shape[-2:]
        if rows < columns:
            raise ValueError(
                located(
                    "The first argument to householder_product must have at least as many rows as "
                    f"columns, got shape {a.shape}",
                    attempt="a as geqrf gave it, or a.T",
                )
            )
        if taus.shape[-1] > columns:
            raise ValueError(
                located(
                    "The second argument to householder_product must not have more rows than the "
                    "minimum of the first argument's rows and columns.",
                    attempt="taus as geqrf gave them",
                )
            )
        check_dtypes(self.name, [a, taus])
        return [a.strip_weak_type()]

    def reference(self, a, taus):
        a, taus = np.asarray(a), np.asarray(taus)
        results = self.type(typeof(a), typeof(taus))
        if not a.size or not taus.size:
            rows, columns = a.shape[-2:]
            return [np.broadcast_to(np.eye(rows, columns, dtype=a.dtype), a.shape)]
        multiply = lapack(a, "orgqr", "ungqr")

        def one(matrix, factors):
            product, _, info = multiply(matrix, factors)
            checked(info)
            return [product]

        return each(one, [a, taus], results)


class Ormqr(MatrixPrimitive):
    """Q c or c Q, or the same with Q^H, for the square product Q of reflections."""

    def type(self, a, taus, c, *, left, transpose):
        check_ranks(self.name, [a, taus, c], [2, 1, 2])
        side, where = ("rows", -2) if left else ("columns", -1)
        if c.shape[where] != a.shape[-2]:
            raise ValueError(
                located(
                    f"ormqr with {left=} expects c to have as many {side} as the Householder "
                    f"matrix a has rows. Got a shape {a.shape} and c shape {c.shape}.",
                    attempt=f"c.T, or left={not left}",
                )
            )
        check_dtypes(self.name, [a, taus, c])
        return [c.strip_weak_type()]

    def reference(self, a, taus, c, *, left, transpose):
        a, taus, c = map(np.asarray, (a, taus, c))
        results = self.type(*map(typeof, (a, taus, c)), left=left, transpose=transpose)
        if not c.size or not taus.size:
            return [c]
        multiply = lapack(a, "ormqr", "unmqr")
        kind = ("C" if dtypes.is_complex(a.dtype) else "T") if transpose else "N"
        count = taus.shape[-1]
        room = 64 * max(c.shape[-2:])

        def one(matrix, factors, right):
            side = "L" if left else "R"
            product, _, info = multiply(side, kind, matrix[:, :count], factors, right, room)
            checked(info)
            return [product]

        return each(one, [a, taus, c], results)


geqrf_p = Geqrf("geqrf")
hessenberg_p = Hessenberg("hessenberg")
tridiagonal_p = Tridiagonal("tridiagonal")
householder_product_p = HouseholderProduct("householder_product")
ormqr_p = Ormqr("ormqr")
