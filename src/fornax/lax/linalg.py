"""Decompositions of stacks of matrices, without promotion: JAX's `jax.lax.linalg`."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable
from typing import Any

from fornax.ir.basis import add
from fornax.ir.types import typeof
from fornax.lax.broadcasting import broadcast_in_dim
from fornax.lax.polar import qdwh
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
from fornax.primitives.linalg.reflectors import (
    hessenberg_p,
    householder_product_p,
    ormqr_p,
    tridiagonal_p,
)
from fornax.primitives.linalg.schur import schur_p
from fornax.primitives.linalg.svd import svd_p
from fornax.primitives.linalg.triangular import triangular_solve_p
from fornax.primitives.linalg.tridiagonal_solve import tridiagonal_solve_p
from fornax.primitives.linalg.updates import cholesky_update_p, lu_pivots_to_permutation_p
from fornax.source import located

__all__ = [
    "EigImplementation", "EighImplementation", "SvdAlgorithm", "cholesky", "cholesky_p",
    "cholesky_update", "cholesky_update_p", "eig", "eig_p", "eigh", "eigh_p", "hessenberg",
    "hessenberg_p", "householder_product", "householder_product_p", "lu", "lu_p",
    "lu_pivots_to_permutation", "lu_pivots_to_permutation_p", "ormqr", "ormqr_p", "qdwh", "qr",
    "qr_p", "schur", "schur_p", "svd", "svd_p", "symmetric_product", "triangular_solve",
    "triangular_solve_p", "tridiagonal", "tridiagonal_p", "tridiagonal_solve",
    "tridiagonal_solve_p",
]  # fmt: skip


class EigImplementation(enum.Enum):
    """How general eigenvectors are computed. Only LAPACK is there."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(enum.Enum):
    """How eigenvectors of Hermitian matrices are computed. Only QR is there."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class SvdAlgorithm(enum.Enum):
    """How singular vectors are computed. JACOBI and POLAR are not there."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


def _symmetric(name: str, x: Any) -> Any:
    """(x + x^H) / 2. Raises TypeError for a shape that has no such sum."""
    type = typeof(x)
    stacks.check_ranks(name, [type], [2])
    if type.shape[-1] != type.shape[-2]:
        raise TypeError(
            located(
                f"Argument to {name} must have shape [..., n, n], got shape {type.shape}",
                "the mean of a matrix and its adjoint is taken (symmetrize_input)",
                "svd or qr for matrices that are not square",
            )
        )
    return div_p(add(x, stacks.adjoint(x)), constant(x, 2))


def cholesky(x, *, symmetrize_input=True):
    """The lower triangular L with L L^H = x; NaN where x is not positive definite.

    symmetrize_input: use (x + x^H) / 2, which also makes derivatives symmetric.
    """
    if symmetrize_input:
        x = _symmetric("cholesky", x)
    return stacks.lower(cholesky_p.bind(x)[0])


def eigh(
    x, *, lower=True, symmetrize_input=True, sort_eigenvalues=True, subset_by_index=None,
    implementation=None,
):  # fmt: skip
    """(eigenvectors as columns, eigenvalues in increasing order) of Hermitian matrices.

    lower: which triangle is read where symmetrize_input is False. subset_by_index: only None, or
    all. implementation: only QR, which is the default. Raises NotImplementedError for others.
    """
    if implementation not in (None, EighImplementation.QR):
        raise NotImplementedError(
            located(
                f"{implementation} is not supported on a CPU",
                attempt="implementation=None, which is LAPACK here",
            )
        )
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
        x = _symmetric("eigh", x)
    vectors, values = eigh_p.bind(x, lower=bool(lower))
    return vectors, values


def eig(
    x, *, compute_left_eigenvectors=True, compute_right_eigenvectors=True,
    enable_eigvec_derivs=False, implementation=None, use_magma=None,
):  # fmt: skip
    """[eigenvalues, left eigenvectors, right eigenvectors] of square matrices, as asked for.

    implementation: only LAPACK, which is the default. Raises ValueError for others.
    """
    if use_magma is not None:
        warnings.warn(
            "use_magma is deprecated, please use implementation=EigImplementation.MAGMA instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        implementation = EigImplementation.MAGMA if use_magma else EigImplementation.LAPACK
    if implementation not in (None, EigImplementation.LAPACK):
        raise ValueError(
            located(
                "Only the lapack implementation is supported on CPU.",
                attempt="implementation=None, which is LAPACK here",
            )
        )
    return eig_p.bind(
        x, compute_left_eigenvectors=bool(compute_left_eigenvectors),
        compute_right_eigenvectors=bool(compute_right_eigenvectors),
    )  # fmt: skip


def lu(x):
    """[factors, pivots, permutation]: see `fornax.primitives.linalg.lu`."""
    return list(lu_p.bind(x))


def qr(x, *, pivoting=False, full_matrices=True, use_magma=None):
    """(Q, R) with Q R = x; Q is square if full_matrices.

    pivoting: (Q, R, p) with Q R = x[..., p], so that the diagonal of R decreases.
    """
    return tuple(qr_p.bind(x, pivoting=bool(pivoting), full_matrices=bool(full_matrices)))


def svd(x, *, full_matrices=True, compute_uv=True, subset_by_index=None, algorithm=None):
    """(U, s, V^H) with U diag(s) V^H = x and s in decreasing order; only s unless compute_uv.

    subset_by_index: (start, stop) of the singular values wanted; only without full_matrices.
    algorithm: what LAPACK has; NotImplementedError for JACOBI and POLAR.
    """
    if algorithm in (SvdAlgorithm.JACOBI, SvdAlgorithm.POLAR):
        raise NotImplementedError(
            located(
                f"{algorithm} is not supported on a CPU",
                attempt="algorithm=None, which is LAPACK's here",
            )
        )
    least = min(typeof(x).shape[-2:], default=0)
    if subset_by_index is not None:
        if full_matrices and subset_by_index != (0, least):
            raise ValueError(
                located(
                    "full_matrices and subset_by_index cannot both be set",
                    attempt="full_matrices=False",
                )
            )
        if not 0 <= subset_by_index[0] <= subset_by_index[1] <= least:
            raise ValueError(
                located(
                    f"svd: {subset_by_index=} is not within (0, {least})",
                    attempt=f"(0, {least}), and slice the results",
                )
            )
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
    single = 0 < typeof(b).ndim == typeof(a).ndim - 1
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


def hessenberg(a):
    """[matrix, taus]: square matrices reduced to Hessenberg form by reflections.

    On and above the first subdiagonal of `matrix` is the form; below it are the vectors of the
    reflections, for `householder_product` or `ormqr`. Raises ValueError for other shapes.
    """
    return list(hessenberg_p.bind(a))


def householder_product(a, taus):
    """The product of reflections, in as many columns as `a` has.

    a: [..., m, n] with the vectors below its diagonal, m >= n. taus: [..., k], k <= n. Raises
    ValueError for other shapes.
    """
    return householder_product_p.bind(a, taus)[0]


def ormqr(a, taus, c, *, left=True, transpose=False):
    """Q c (left) or c Q, for the square Q that is a product of reflections.

    a: [..., m, n], taus: [..., k]: the reflections, as of `householder_product`. transpose: Q^H
    in place of Q. Raises ValueError for shapes that do not fit.
    """
    return ormqr_p.bind(a, taus, c, left=bool(left), transpose=bool(transpose))[0]


def schur(
    x, *, compute_schur_vectors: bool = True, sort_eig_vals: bool = False,
    select_callable: Callable[..., Any] | None = None,
):  # fmt: skip
    """[T, Z] with Z T Z^H = x and T triangular, but for blocks of two rows on the diagonal where
    a real matrix has complex eigenvalues; [T] unless compute_schur_vectors.

    Raises NotImplementedError for sort_eig_vals, ValueError for matrices that are not square.
    """
    if sort_eig_vals:
        raise NotImplementedError(
            located(
                "The sort feature of LAPACK's gees routine is not implemented.",
                attempt="sort_eig_vals=False, and order the eigenvalues yourself",
            )
        )
    return schur_p.bind(
        x, compute_schur_vectors=bool(compute_schur_vectors), sort_eig_vals=False,
        select_callable=select_callable,
    )  # fmt: skip


def tridiagonal(a, *, lower=True):
    """[matrix, diagonal, off-diagonal, taus]: Hermitian matrices reduced to three diagonals.

    lower: which triangle is read, and holds the vectors of the reflections afterwards. Raises
    ValueError for matrices that are not square, or empty.
    """
    return list(tridiagonal_p.bind(as_value(a), lower=bool(lower)))


def tridiagonal_solve(dl, d, du, b, *, perturb_singular=False):
    """x with A x = b, where A[i, i-1] = dl[i], A[i, i] = d[i] and A[i, i+1] = du[i].

    dl, d, du: [..., n]; dl[0] and du[n-1] are not read. b: [..., n, m]. NaN for a singular A.
    Raises TypeError for shapes that do not fit, NotImplementedError for perturb_singular.
    """
    if perturb_singular:
        raise NotImplementedError(
            located(
                "perturb_singular=True is not supported on this platform.",
                attempt="perturb_singular=False, with a small number added to the diagonal",
            )
        )
    return tridiagonal_solve_p.bind(dl, d, du, b, perturb_singular=False)[0]


def cholesky_update(r_matrix, w_vector):
    """The upper triangular R' with R'^T R' = R^T R + w w^T.

    r_matrix: [n, n], upper triangular. w_vector: [n]. Raises ValueError for other shapes.
    """
    return cholesky_update_p.bind(r_matrix, w_vector)[0]


def lu_pivots_to_permutation(pivots, permutation_size):
    """The order of rows after exchanging row i with row pivots[i], one after another.

    pivots: int32 [..., k], as `lu` gives them. permutation_size: the number of rows. Raises
    ValueError if there are fewer rows than pivots.
    """
    return lu_pivots_to_permutation_p.bind(pivots, permutation_size=int(permutation_size))[0]
