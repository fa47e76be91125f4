"""Linear algebra with SciPy's interface: JAX's `jax.scipy.linalg`.

All functions work on stacks of matrices. `overwrite_*`, `check_finite` and the like are accepted
for SciPy's sake: nothing is overwritten, and nothing checked.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.types import typeof
from fornax.lax import linalg as lax
from fornax.numpy import linalg
from fornax.numpy.promotion import check, promote_inexact
from fornax.source import located

__all__ = [
    "block_diag", "cho_factor", "cho_solve", "cholesky", "det", "eigh", "expm", "inv", "lu",
    "lu_factor", "lu_solve", "qr", "solve", "solve_triangular", "svd", "toeplitz",
]  # fmt: skip


def _arrays(name: str, *values: Any) -> list[Any]:
    check(name, *values)
    return [fnp.asarray(x) for x in promote_inexact(*values)]


def _adjoint(x: Any) -> Any:
    return fnp.conj(fnp.matrix_transpose(x))


def cholesky(a, lower=False, overwrite_a=False, check_finite=True):
    """The triangular factor of Hermitian positive definite matrices: upper unless `lower`.

    Only that triangle is read. Raises ValueError for matrices that are not square.
    """
    (a,) = _arrays("cholesky", a)
    factor = lax.cholesky(a if lower else _adjoint(a), symmetrize_input=False)
    return factor if lower else _adjoint(factor)


def cho_factor(a, lower=False, overwrite_a=False, check_finite=True):
    """(factor, lower), for `cho_solve`."""
    return cholesky(a, lower), lower


def cho_solve(c_and_lower, b, overwrite_b=False, check_finite=True):
    """x with a x = b, given `cho_factor` of a; ValueError if that is no pair."""
    if len(c_and_lower) != 2:
        raise ValueError(
            located(
                f"cho_solve needs the pair (factor, lower), got {len(c_and_lower)} values",
                attempt="what cho_factor(a) gives",
            )
        )
    factor, lower = c_and_lower
    factor, b = _arrays("cho_solve", factor, b)
    first = solve_triangular(factor, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(factor, first, trans=2 if lower else 0, lower=lower)


def solve_triangular(
    a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, debug=None,
    check_finite=True,
):  # fmt: skip
    """x with op(a) x = b for triangular a.

    trans: 0 or "N" for a itself, 1 or "T" for its transpose, 2 or "C" for its conjugate transpose
    (ValueError for others). b: [n], or [..., n, m].
    """
    kinds = {0: (False, False), 1: (True, False), 2: (True, True)}
    number = {"N": 0, "T": 1, "C": 2}.get(trans, trans)
    if number not in kinds:
        raise ValueError(
            located(
                f"Invalid 'trans' value {trans}: it must be 0, 1, 2, 'N', 'T' or 'C'",
                attempt="trans=0",
            )
        )
    transpose, conjugate = kinds[number]
    a, b = _arrays("solve_triangular", a, b)
    vector = typeof(b).ndim == 1
    right = b[:, None] if vector else b
    stack = fnp.broadcast_shapes(typeof(a).shape[:-2], typeof(right).shape[:-2])
    a = fnp.broadcast_to(a, (*stack, *typeof(a).shape[-2:]))
    right = fnp.broadcast_to(right, (*stack, *typeof(right).shape[-2:]))
    x = lax.triangular_solve(
        a, right, left_side=True, lower=lower, transpose_a=transpose, conjugate_a=conjugate,
        unit_diagonal=unit_diagonal,
    )  # fmt: skip
    return x[..., 0] if vector else x


def solve(
    a, b, lower=False, overwrite_a=False, overwrite_b=False, debug=False, check_finite=True,
    assume_a="gen",
):  # fmt: skip
    """x with a x = b. assume_a: "gen", "sym", "her" for any matrix, "pos" for a positive definite
    one (ValueError for others), of which only the `lower` or upper triangle is read."""
    if assume_a not in ("gen", "sym", "her", "pos"):
        raise ValueError(
            located(
                f"Expected assume_a to be one of gen, sym, her, pos; got {assume_a!r}",
                attempt="assume_a='gen', which asks for nothing",
            )
        )
    if assume_a != "pos":
        return linalg.solve(a, b)
    a, b = _arrays("solve", a, b)
    triangle = fnp.tril(a) if lower else fnp.triu(a)
    whole = triangle + _adjoint(fnp.tril(a, -1) if lower else fnp.triu(a, 1))
    return cho_solve((cholesky(whole, lower=True), True), b)


def inv(a, overwrite_a=False, check_finite=True):
    """The inverses of square matrices."""
    return linalg.inv(a)


def det(a, overwrite_a=False, check_finite=True):
    """The determinants of square matrices."""
    return linalg.det(a)


def eigh(
    a, b=None, lower=True, eigvals_only=False, overwrite_a=False, overwrite_b=False, turbo=True,
    eigvals=None, type=1, check_finite=True,
):  # fmt: skip
    """(eigenvalues, eigenvectors) of Hermitian matrices, or only the values.

    Both triangles are read: the mean of a and its adjoint is taken, whatever `lower` says. Only
    standard problems are supported: NotImplementedError for b, eigvals or another type.
    """
    if b is not None or eigvals is not None or type != 1:
        raise NotImplementedError(
            located(
                "scipy.linalg.eigh: only b=None, eigvals=None and type=1 are supported",
                attempt="cholesky of b, which makes a standard problem of it",
            )
        )
    (a,) = _arrays("eigh", a)
    vectors, values = lax.eigh(a, lower=lower)
    return values if eigvals_only else (values, vectors)


def svd(
    a, full_matrices=True, compute_uv=True, overwrite_a=False, check_finite=True,
    lapack_driver="gesdd",
):  # fmt: skip
    """(U, s, V^H), or only the singular values s in decreasing order."""
    found = linalg.svd(a, full_matrices=full_matrices, compute_uv=compute_uv)
    return tuple(found) if compute_uv else found


def qr(a, overwrite_a=False, lwork=None, mode="full", pivoting=False, check_finite=True):
    """(Q, R); mode: "full", "economic" (Q no wider than a) or "r" (only (R,)).

    pivoting: (Q, R, p), or (R, p), with Q R = a[..., p].
    """
    if mode not in ("full", "economic", "r"):
        raise ValueError(
            located(
                f"Unsupported QR decomposition mode '{mode}'",
                attempt="mode='full', 'r' or 'economic'",
            )
        )
    (a,) = _arrays("qr", a)
    q, *rest = lax.qr(a, pivoting=pivoting, full_matrices=mode != "economic")
    return tuple(rest) if mode == "r" else (q, *rest)


def lu(a, permute_l=False, overwrite_a=False, check_finite=True):
    """(P, L, U) with P L U = a; (P L, U) if permute_l."""
    (a,) = _arrays("lu", a)
    factors, _, order = lax.lu(a)
    rows, columns = typeof(a).shape[-2:]
    k, dtype = min(rows, columns), typeof(a).dtype
    lower = fnp.tril(factors[..., :, :k], -1) + fnp.eye(rows, k, dtype=dtype)
    upper = fnp.triu(factors[..., :k, :])
    permutation = fnp.matrix_transpose(order[..., None] == np.arange(rows)).astype(
        np.zeros((), dtype).real.dtype
    )
    if permute_l:
        return fnp.matmul(permutation.astype(dtype), lower, precision="highest"), upper
    return permutation, lower, upper


def lu_factor(a, overwrite_a=False, check_finite=True):
    """(factors, pivots), for `lu_solve`."""
    (a,) = _arrays("lu_factor", a)
    factors, pivots, _ = lax.lu(a)
    return factors, pivots


def _order(pivots: Any, rows: int) -> Any:
    """The permutation that exchanging row i with row pivots[i], one after another, makes."""
    order = fnp.broadcast_to(
        fnp.arange(rows, dtype=typeof(pivots).dtype), (*typeof(pivots).shape[:-1], rows)
    )
    for i in range(typeof(pivots).shape[-1]):
        j = pivots[..., i, None]
        other = fnp.take_along_axis(order, j, -1)
        order = fnp.put_along_axis(order, j, order[..., i, None], -1, inplace=False)
        order = order.at[..., i].set(other[..., 0])
    return order


def lu_solve(lu_and_piv, b, trans=0, overwrite_b=False, check_finite=True):
    """x with op(a) x = b, given `lu_factor` of a; trans as in `solve_triangular`."""
    if not isinstance(lu_and_piv, tuple | list) or len(lu_and_piv) != 2:
        raise ValueError(
            located(
                "lu_solve: the pair that lu_factor returns is needed first",
                attempt="lu_solve(lu_factor(a), b)",
            )
        )
    factors, pivots = lu_and_piv
    factors, b = _arrays("lu_solve", factors, b)
    if trans not in (0, 1, 2):
        raise ValueError(
            located(
                f"'trans' value must be 0, 1, or 2, got {trans}",
                attempt="trans=1 for the transposed, 2 for the conjugate transposed matrix",
            )
        )
    vector = typeof(b).ndim == 1
    right = b[:, None] if vector else b
    order = _order(fnp.asarray(pivots), typeof(factors).shape[-1])[..., None]
    if trans == 0:
        right = fnp.take_along_axis(right, order, -2)
        right = solve_triangular(factors, right, lower=True, unit_diagonal=True)
        x = solve_triangular(factors, right)
    else:
        right = solve_triangular(factors, right, trans=trans)
        right = solve_triangular(factors, right, trans=trans, lower=True, unit_diagonal=True)
        x = fnp.take_along_axis(right, fnp.argsort(order, -2), -2)
    return x[..., 0] if vector else x


def block_diag(*arrs):
    """A matrix with the given ones on its diagonal and zeros elsewhere."""
    if not arrs:
        return fnp.zeros((1, 0))
    blocks = [fnp.atleast_2d(x) for x in arrs]
    for block in blocks:
        if typeof(block).ndim != 2:
            raise ValueError(
                located(
                    "Arguments to block_diag must have at most 2 dimensions, got "
                    f"{typeof(block).shape}",
                    attempt="vmap(block_diag) for stacks of matrices",
                )
            )
    dtype = fnp.result_type(*blocks)
    blocks = [fnp.asarray(b, dtype) for b in blocks]
    columns = sum(typeof(b).shape[1] for b in blocks)
    rows, before = [], 0
    for block in blocks:
        width = typeof(block).shape[1]
        rows.append(fnp.pad(block, ((0, 0), (before, columns - before - width))))
        before += width
    return fnp.concatenate(rows, 0)


def toeplitz(c, r=None):
    """Matrices with constant diagonals: first column c, first row r (without its first element).

    r: the conjugate of c by default. Stacks of columns give stacks of matrices.
    """
    c = fnp.atleast_1d(c)
    r = fnp.conj(c) if r is None else fnp.atleast_1d(r)
    c, r = (fnp.asarray(x, fnp.result_type(c, r)) for x in (c, r))
    rows, columns = typeof(c).shape[-1], typeof(r).shape[-1]
    stack = fnp.broadcast_shapes(typeof(c).shape[:-1], typeof(r).shape[:-1])
    c = fnp.broadcast_to(c, (*stack, rows))
    r = fnp.broadcast_to(r, (*stack, columns))
    values = fnp.concatenate([fnp.flip(r[..., 1:], -1), c], -1)
    places = np.arange(rows)[:, None] - np.arange(columns) + max(columns - 1, 0)
    return values[..., places]


#: the order of the diagonal Padé approximant of exp, and the size of the matrix up to which it is
#: exact to float64 (N. Higham, SIAM J. Matrix Anal. Appl. 26, 2005)
_ORDER, _LARGEST = 13, 5.371920351148152


def _pade(order: int) -> list[float]:
    """The coefficients of the numerator of degree `order`."""
    return [
        math.factorial(2 * order - k) * math.factorial(order)
        / (math.factorial(2 * order) * math.factorial(k) * math.factorial(order - k))
        for k in range(order + 1)
    ]  # fmt: skip


def expm(A, *, upper_triangular=False, max_squarings=16):  # noqa: N803  (SciPy's name)
    """The exponential of square matrices, by scaling, a Padé approximant and squaring.

    NaN where more than `max_squarings` squarings would be needed.
    """
    (A,) = _arrays("expm", A)  # noqa: N806
    shape, dtype = typeof(A).shape, typeof(A).dtype
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(
            located(
                f"Expected A to be a (batched) square matrix, got A.shape={shape}.",
                attempt="numpy.linalg.svd for matrices that are not square",
            )
        )
    size = fnp.max(fnp.sum(fnp.abs(A), -2), -1) if shape[-1] else fnp.zeros(shape[:-2])
    squarings = fnp.maximum(0, fnp.ceil(fnp.log2(size / _LARGEST)))
    squarings = fnp.where(fnp.isfinite(squarings), squarings, max_squarings + 1)
    squarings = squarings.astype(np.int32)
    scale = fnp.exp2(-squarings.astype(typeof(size).dtype))[..., None, None]
    small = A * scale.astype(dtype)
    coefficients = [np.asarray(c, dtype) for c in _pade(_ORDER)]

    def product(x: Any, y: Any) -> Any:
        return fnp.matmul(x, y, precision="highest")

    square = product(small, small)
    power = fnp.broadcast_to(fnp.eye(shape[-1], dtype=dtype), shape)
    even, odd = coefficients[0] * power, coefficients[1] * power
    for k in range(2, len(coefficients), 2):
        power = product(power, square)
        even = even + coefficients[k] * power
        odd = odd + coefficients[k + 1] * power
    odd = product(small, odd)
    result = linalg.solve(even - odd, even + odd)
    limit = fnp.minimum(squarings, max_squarings)
    for k in range(max_squarings):
        more = (k < limit)[..., None, None]
        result = fnp.where(more, product(result, result), result)
    return fnp.where((squarings > max_squarings)[..., None, None], np.nan, result).astype(dtype)
