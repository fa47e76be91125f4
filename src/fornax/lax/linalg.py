"""Decompositions of stacks of matrices, without promotion: JAX's `jax.lax.linalg`."""

from __future__ import annotations

from typing import Any

from fornax.ir.basis import add
from fornax.ir.source import located
from fornax.ir.types import typeof
from fornax.lax.broadcasting import broadcast_in_dim
from fornax.lax.slicing import slice_in_dim
from fornax.numpy.promotion import as_value
from fornax.primitives.elementwise import div_p
from fornax.primitives.family import constant
from fornax.primitives.linalg import stacks
from fornax.primitives.linalg.cholesky import cholesky_p
from fornax.primitives.linalg.eig import eig_p
from fornax.primitives.linalg.eigh import eigh_p
from fornax.primitives.linalg.lu import lu_p
from fornax.primitives.linalg.qr import qr_p
from fornax.primitives.linalg.svd import svd_p
from fornax.primitives.linalg.triangular import triangular_solve_p

__all__ = [
    "cholesky", "cholesky_p", "eig", "eig_p", "eigh", "eigh_p", "lu", "lu_p", "qr", "qr_p", "svd",
    "svd_p", "symmetric_product", "triangular_solve", "triangular_solve_p",
]  # fmt: skip


def _symmetric(x: Any) -> Any:
    """(x + x^H) / 2."""
    return div_p(add(x, stacks.adjoint(x)), constant(x, 2))


def cholesky(x, *, symmetrize_input=True):
    """The lower triangular L with L L^H = x; NaN where x is not positive definite.

    symmetrize_input: use (x + x^H) / 2, which also makes derivatives symmetric.
    """
    if symmetrize_input:
        cholesky_p.type(typeof(x))  # says first what is wrong with x
        x = _symmetric(x)
    return stacks.lower(cholesky_p.bind(x)[0])


def eigh(
    x, *, lower=True, symmetrize_input=True, sort_eigenvalues=True, subset_by_index=None,
    implementation=None,
):  # fmt: skip
    """(eigenvectors as columns, eigenvalues in increasing order) of Hermitian matrices.

    lower: which triangle is read where symmetrize_input is False. subset_by_index: only None, or
    all.
    """
    n = typeof(x).shape[-1] if typeof(x).ndim else 0
    if subset_by_index not in (None, (0, n)):
        raise NotImplementedError(
            located(
                f"eigh: {subset_by_index=}",
                why="all eigenvalues are computed together",
                attempt="take the slice of the results",
            )
        )
    if symmetrize_input:
        eigh_p.type(typeof(x), lower=lower)
        x = _symmetric(x)
    vectors, values = eigh_p.bind(x, lower=bool(lower))
    return vectors, values


def eig(
    x, *, compute_left_eigenvectors=True, compute_right_eigenvectors=True,
    enable_eigvec_derivs=False, implementation=None, use_magma=None,
):  # fmt: skip
    """[eigenvalues, left eigenvectors, right eigenvectors] of square matrices, as asked for."""
    return eig_p.bind(
        x, compute_left_eigenvectors=bool(compute_left_eigenvectors),
        compute_right_eigenvectors=bool(compute_right_eigenvectors),
    )  # fmt: skip


def lu(x):
    """(factors, pivots, permutation): see `fornax.primitives.linalg.lu`."""
    factors, pivots, permutation = lu_p.bind(x)
    return factors, pivots, permutation


def qr(x, *, pivoting=False, full_matrices=True, use_magma=None):
    """(Q, R) with Q R = x; Q is square if full_matrices. Exchanging columns is not supported."""
    if pivoting:
        raise NotImplementedError("qr: pivoting=True is not supported\n  try:   svd, for the rank")
    q, r = qr_p.bind(x, full_matrices=bool(full_matrices))
    return q, r


def svd(x, *, full_matrices=True, compute_uv=True, subset_by_index=None, algorithm=None):
    """(U, s, V^H) with U diag(s) V^H = x and s in decreasing order; only s unless compute_uv.

    subset_by_index: (start, stop) of the singular values wanted; only without full_matrices.
    """
    least = min(typeof(x).shape[-2:], default=0)
    if subset_by_index is not None:
        if full_matrices and subset_by_index != (0, least):
            raise ValueError("full_matrices and subset_by_index cannot both be set")
        if not 0 <= subset_by_index[0] <= subset_by_index[1] <= least:
            raise ValueError(f"svd: {subset_by_index=} is not within (0, {least})")
    found = svd_p.bind(x, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))
    if subset_by_index is not None and not (full_matrices and compute_uv):
        start, stop = subset_by_index
        found[0] = slice_in_dim(found[0], start, stop, axis=-1)
        if compute_uv:
            found[1] = slice_in_dim(found[1], start, stop, axis=-1)
            found[2] = slice_in_dim(found[2], start, stop, axis=-2)
    if not compute_uv:
        return found[0]
    s, u, vh = found
    return u, s, vh


def triangular_solve(
    a, b, *, left_side=False, lower=False, transpose_a=False, conjugate_a=False,
    unit_diagonal=False,
):  # fmt: skip
    """x with op(a) x = b (left_side) or x op(a) = b, for triangular a.

    b may be a vector for each matrix: one dimension less than a, with left_side.
    """
    a, b = as_value(a), as_value(b)
    single = typeof(b).ndim == typeof(a).ndim - 1
    if single:
        shape = typeof(b).shape
        wide = (*shape, 1) if left_side else (*shape[:-1], 1, shape[-1])
        kept = range(len(shape)) if left_side else (*range(len(shape) - 1), len(shape))
        b = broadcast_in_dim(b, wide, tuple(kept))
    (x,) = triangular_solve_p.bind(
        a, b, left_side=bool(left_side), lower=bool(lower), transpose_a=bool(transpose_a),
        conjugate_a=bool(conjugate_a), unit_diagonal=bool(unit_diagonal),
    )  # fmt: skip
    return x[..., 0] if single and left_side else x[..., 0, :] if single else x


def symmetric_product(a_matrix, c_matrix, *, alpha=1.0, beta=0.0, symmetrize_output=False):
    """alpha a a^T + beta c, of which symmetrize_output makes both triangles equal."""
    product = stacks.matmul(a_matrix, stacks.transposed(a_matrix))
    result = alpha * product + beta * c_matrix
    if not symmetrize_output:
        return result
    below = stacks.lower(result, strict=True)
    return stacks.lower(result) + stacks.transposed(below)
