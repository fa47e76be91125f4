"""Matrices as products of simpler ones. All functions work on stacks: [..., m, n]."""

from __future__ import annotations

from typing import Any, NamedTuple

from fornax.ir.types import typeof
from fornax.lax import linalg as lax
from fornax.numpy import products, shaping, sorting, ufuncs
from fornax.numpy.creation import asarray
from fornax.numpy.indexing import take_along_axis
from fornax.numpy.promotion import check, concrete_form, promote_inexact
from fornax.primitives.linalg.reflectors import geqrf_p
from fornax.source import located

__all__ = ["cholesky", "eig", "eigh", "eigvals", "eigvalsh", "qr", "svd", "svdvals"]


class EighResult(NamedTuple):
    """Of `eigh`: eigenvalues in increasing order, and vectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class EigResult(NamedTuple):
    """Of `eig`: eigenvalues, and vectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """Of `qr`: a matrix with orthonormal columns and an upper triangular one."""

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """Of `svd`: left vectors as columns, singular values, right vectors as rows."""

    U: Any
    S: Any
    Vh: Any


def _inexact(name: str, a: Any) -> Any:
    """`a` as an array of floating-point numbers; its shape is looked at by the decomposition."""
    check(name, a)
    (a,) = promote_inexact(concrete_form(a))
    return asarray(a)


def matrices(name: str, a: Any) -> Any:
    """`a` as an array of floating-point numbers. Raises TypeError, or ValueError under rank 2."""
    a = _inexact(name, a)
    if typeof(a).ndim < 2:
        raise ValueError(
            located(
                f"{name}: {typeof(a).ndim}-dimensional array given; array must be at least "
                "two-dimensional",
                "the last two dimensions are those of a matrix, the others stack matrices",
                "a[:, None] or a[None, :] to make a matrix of a vector",
            )
        )
    return a


def square_matrices(name: str, a: Any) -> Any:
    """`matrices`, with as many rows as columns (ValueError)."""
    a = matrices(name, a)
    shape = typeof(a).shape
    if shape[-1] != shape[-2]:
        raise ValueError(
            located(
                f"Argument to {name} must have shape [..., n, n], got {shape}",
                "it is defined for matrices with as many rows as columns",
                "numpy.linalg.lstsq, pinv, svd or qr for others",
            )
        )
    return a


def cholesky(a, *, upper=False, symmetrize_input=True):
    """L with L L^H = a, lower triangular; with `upper` its conjugate transpose.

    symmetrize_input: use (a + a^H) / 2. NaN where a is not positive definite. Raises TypeError for
    matrices that are not square; ValueError where they are not made symmetric.
    """
    a = _inexact("jnp.linalg.cholesky", a)
    factor = lax.cholesky(a, symmetrize_input=symmetrize_input)
    return ufuncs.conj(shaping.matrix_transpose(factor)) if upper else factor


def eigh(a, UPLO=None, symmetrize_input=True):  # noqa: N803  (NumPy's name)
    """Eigenvalues in increasing order and eigenvectors (columns) of Hermitian matrices.

    UPLO: "L" or "U", the triangle that is read where symmetrize_input is False. Raises as
    `cholesky` does.
    """
    if UPLO not in (None, "L", "U"):
        raise ValueError(
            located(
                f"UPLO must be one of None, 'L', or 'U', got {UPLO}",
                attempt="UPLO='L', which reads the lower triangle",
            )
        )
    a = _inexact("jnp.linalg.eigh", a)
    vectors, values = lax.eigh(a, lower=UPLO != "U", symmetrize_input=symmetrize_input)
    return EighResult(values, vectors)


def eigvalsh(a, UPLO="L", *, symmetrize_input=True):  # noqa: N803
    """Eigenvalues of Hermitian matrices in increasing order; see `eigh`."""
    return eigh(a, UPLO, symmetrize_input).eigenvalues


def eig(a):
    """Eigenvalues and eigenvectors (columns) of square matrices, complex."""
    a = _inexact("jnp.linalg.eig", a)
    values, vectors = lax.eig(a, compute_left_eigenvectors=False)
    return EigResult(values, vectors)


def eigvals(a):
    """Eigenvalues of square matrices, complex."""
    a = _inexact("jnp.linalg.eigvals", a)
    (values,) = lax.eig(a, compute_left_eigenvectors=False, compute_right_eigenvectors=False)
    return values


def qr(a, mode="reduced"):
    """(Q, R) with Q R = a.

    mode: "reduced" (Q no wider than a), "complete" (Q square), "r" (only R) or "raw" (the transpose
    of the matrix with R and the reflections' vectors below it, and their factors; no derivative).
    ValueError for others.
    """
    a = _inexact("jnp.linalg.qr", a)
    if mode not in ("reduced", "complete", "full", "r", "raw"):
        raise ValueError(
            located(
                f"Unsupported QR decomposition mode '{mode}'",
                attempt="'reduced', 'complete', 'r' or 'raw'",
            )
        )
    if mode == "raw":
        factored, taus = geqrf_p.bind(a)
        return QRResult(shaping.matrix_transpose(factored), taus)
    q, r = lax.qr(a, full_matrices=mode in ("complete", "full"))
    return r if mode == "r" else QRResult(q, r)


def svd(a, full_matrices=True, compute_uv=True, hermitian=False, subset_by_index=None):
    """(U, S, Vh) with U diag(S) Vh = a and S in decreasing order; only S unless compute_uv.

    full_matrices: square U and Vh. hermitian: a is Hermitian, which is faster. subset_by_index:
    (start, stop) of the singular values wanted.
    """
    a = _inexact("jnp.linalg.svd", a)
    if hermitian:
        return _hermitian(a, compute_uv)
    if not compute_uv:
        return lax.svd(a, full_matrices=full_matrices, compute_uv=False,
                       subset_by_index=subset_by_index)  # fmt: skip
    u, s, vh = lax.svd(a, full_matrices=full_matrices, subset_by_index=subset_by_index)
    return SVDResult(u, s, vh)


def _hermitian(a: Any, compute_uv: bool) -> Any:
    vectors, values = lax.eigh(a)
    sizes = ufuncs.absolute(values)
    order = sorting.argsort(ufuncs.negative(sizes), axis=-1)
    s = take_along_axis(sizes, order, axis=-1)
    if not compute_uv:
        return s
    columns = order[..., None, :]
    u = take_along_axis(vectors, columns, axis=-1)
    signs = take_along_axis(ufuncs.sign(values), order, axis=-1)
    vh = ufuncs.conj(shaping.matrix_transpose(ufuncs.multiply(u, signs[..., None, :])))
    return SVDResult(u, s, vh)


def svdvals(x, /):
    """Singular values in decreasing order."""
    return svd(x, compute_uv=False)


def product(x: Any, y: Any) -> Any:
    """The product of stacks of matrices, exact to their dtype."""
    return products.matmul(x, y, precision="highest")
