"""Equations, determinants and inverses. All functions work on stacks: [..., m, n]."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fornax.ir.types import typeof
from fornax.lax import linalg as lax
from fornax.numpy import reductions, selection, shaping, ufuncs
from fornax.numpy.creation import asarray, eye, ones, zeros
from fornax.numpy.indexing import take_along_axis
from fornax.numpy.linalg.decompositions import (
    eigvalsh,
    matrices,
    product,
    square_matrices,
    svd,
    svdvals,
)
from fornax.numpy.promotion import (
    as_dtype,
    broadcast_shapes,
    broadcast_to,
    check,
    concrete_form,
    promote_inexact,
)
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "det", "inv", "lstsq", "matrix_rank", "pinv", "slogdet", "solve", "tensorinv", "tensorsolve",
]  # fmt: skip


class SlogdetResult(NamedTuple):
    """Of `slogdet`: the sign of a determinant, and the logarithm of its size."""

    sign: Any
    logabsdet: Any


def _solved(a: Any, b: Any) -> Any:
    """x with a x = b for stacks of matrices of one shape of stack."""
    factors, _, order = lax.lu(a)
    b = take_along_axis(b, order[..., None], axis=-2)
    b = lax.triangular_solve(factors, b, left_side=True, lower=True, unit_diagonal=True)
    return lax.triangular_solve(factors, b, left_side=True, lower=False)


def solve(a, b):
    """x with a x = b.

    a: [..., n, n]. b: [n], or [..., n, m]. Raises ValueError for other shapes. Where a is singular
    the result holds inf or NaN.
    """
    check("jnp.linalg.solve", a, b)
    a, b = (asarray(x) for x in promote_inexact(a, b))
    if typeof(a).ndim < 2:
        raise ValueError(
            located(
                f"left hand array must be at least two dimensional; got a.ndim={typeof(a).ndim}",
                attempt="a[None, :] or a[:, None], or a / b for numbers",
            )
        )
    a = square_matrices("jnp.linalg.solve", a)
    if typeof(b).ndim == 0:
        raise ValueError(
            located(
                "right hand array must be at least one dimensional; got b.ndim=0",
                attempt="numpy.broadcast_to(b, a.shape[-1:])",
            )
        )
    vector = typeof(b).ndim == 1
    right = b[:, None] if vector else b
    rows = typeof(right).shape[-2]
    if rows != typeof(a).shape[-1]:
        raise ValueError(
            located(
                f"solve: the matrices are {typeof(a).shape} but the right side has {rows} rows",
                attempt=f"b with {typeof(a).shape[-1]} rows, or lstsq for other numbers of "
                "equations",
            )
        )
    stack = broadcast_shapes(typeof(a).shape[:-2], typeof(right).shape[:-2])
    a = broadcast_to(a, (*stack, *typeof(a).shape[-2:]))
    right = broadcast_to(right, (*stack, *typeof(right).shape[-2:]))
    x = _solved(a, right)
    return x[..., 0] if vector else x


def inv(a):
    """The inverses of square matrices; inf or NaN where they have none."""
    a = square_matrices("jnp.linalg.inv", a)
    shape = typeof(a).shape
    return _solved(a, broadcast_to(eye(shape[-1], dtype=typeof(a).dtype), shape))


def det(a):
    """The determinants of square matrices."""
    a = square_matrices("jnp.linalg.det", a)
    n = typeof(a).shape[-1]
    if n <= 3:
        return _small_determinant(a, n)
    sign, diagonal = _sign_and_diagonal(a)
    return ufuncs.multiply(sign, reductions.prod(diagonal, -1))


def _small_determinant(a: Any, n: int) -> Any:
    """By expansion, whose derivatives exist at singular matrices as well."""
    if n == 0:
        return ones(typeof(a).shape[:-2], typeof(a).dtype)
    if n == 1:
        return a[..., 0, 0]
    if n == 2:
        return a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0]

    def minor(j: int, k: int) -> Any:
        return a[..., 1, j] * a[..., 2, k] - a[..., 1, k] * a[..., 2, j]

    return a[..., 0, 0] * minor(1, 2) - a[..., 0, 1] * minor(0, 2) + a[..., 0, 2] * minor(0, 1)


def _sign_and_diagonal(a: Any) -> tuple[Any, Any]:
    """The sign that exchanged rows give a determinant, and the pivots, whose product it is."""
    factors, pivots, _ = lax.lu(a)
    exchanged = ufuncs.not_equal(pivots, np.arange(typeof(pivots).shape[-1]))
    odd = ufuncs.remainder(reductions.count_nonzero(exchanged, -1), 2)
    sign = ufuncs.subtract(1, ufuncs.multiply(2, odd)).astype(typeof(a).dtype)
    return sign, shaping.diagonal(factors, 0, -2, -1)


def slogdet(a, *, method=None):
    """(sign, logabsdet) with det(a) = sign exp(logabsdet).

    method: None, "lu" or "qr"; only the way differs. ValueError for others.
    """
    if method not in (None, "lu", "qr"):
        raise ValueError(
            located(
                f"Unknown slogdet method '{method}'. Supported methods are 'lu' and 'qr'.",
                attempt="method='lu', the default",
            )
        )
    a = square_matrices("jnp.linalg.slogdet", a)
    sign, diagonal = _sign_and_diagonal(a)
    sizes = ufuncs.absolute(diagonal)
    is_zero = reductions.any(ufuncs.equal(sizes, 0), -1)
    phases = ufuncs.sign(diagonal)
    sign = ufuncs.multiply(sign, reductions.prod(phases, -1))
    total = reductions.sum(ufuncs.log(sizes), -1)
    return SlogdetResult(
        selection.where(is_zero, 0, sign).astype(typeof(sign).dtype),
        selection.where(is_zero, -np.inf, total).astype(typeof(total).dtype),
    )


def _cutoff(dtype: Any, shape: Any) -> float:
    """The ratio of singular values below which one counts as zero, as in NumPy."""
    return max(shape[-2:]) * float(dtypes.finfo(dtype).eps)


def matrix_rank(M, rtol=None, *, hermitian=False, tol=None):  # noqa: N803
    """How many singular values are not negligible.

    rtol: the ratio to the largest below which they are; max(m, n) times eps by default. tol: the
    absolute limit instead. hermitian: M is Hermitian. The rank of a vector or a number is 1 unless
    it is zero.
    """
    check("linalg.matrix_rank", M)
    if typeof(concrete_form(M)).ndim < 2:
        return as_dtype(reductions.any(ufuncs.not_equal(M, 0)), dtypes.canonical(int))
    M = matrices("jnp.linalg.matrix_rank", M)  # noqa: N806
    s = ufuncs.absolute(eigvalsh(M)) if hermitian else svdvals(M)
    if tol is not None:
        limit = asarray(tol)[..., None]
    else:
        if rtol is None:
            rtol = _cutoff(typeof(s).dtype, typeof(M).shape)
        limit = reductions.max(s, -1, keepdims=True, initial=0) * asarray(rtol)[..., None]
    return reductions.sum(ufuncs.greater(s, limit), -1)


def pinv(a, rtol=None, hermitian=False, *, rcond=None):
    """The Moore-Penrose inverse.

    rtol (rcond is its older name): singular values below this ratio to the largest are zero; 10
    max(m, n) eps by default. hermitian: a is Hermitian.
    """
    a = matrices("jnp.linalg.pinv", a)
    shape = typeof(a).shape
    if rcond is not None:
        if rtol is not None:
            raise ValueError(
                located(
                    "pinv: only one of rtol and rcond may be specified.",
                    attempt="rtol alone; rcond is its older name",
                )
            )
        rtol = rcond
    if 0 in shape[-2:]:
        return zeros((*shape[:-2], shape[-1], shape[-2]), typeof(a).dtype)
    if rtol is None:
        rtol = 10 * _cutoff(typeof(a).dtype, shape)
    u, s, vh = svd(a, full_matrices=False, hermitian=hermitian)
    limit = asarray(rtol)[..., None] * reductions.max(s, -1, keepdims=True, initial=-np.inf)
    safe = selection.where(ufuncs.greater(s, limit), s, np.inf).astype(typeof(s).dtype)
    scaled = ufuncs.divide(ufuncs.conj(shaping.matrix_transpose(u)), safe[..., None])
    return product(ufuncs.conj(shaping.matrix_transpose(vh)), scaled)


def lstsq(a, b, rcond=None, *, numpy_resid=False):
    """(x, residuals, rank, singular values): the x of least size with least |a x - b|.

    a: [m, n]. b: [m] or [m, k]. rcond: singular values below this ratio to the largest are zero,
    a number or one for each of them; eps where it is negative, max(m, n) eps by default.
    numpy_resid: no residuals where NumPy gives none.
    """
    check("jnp.linalg.lstsq", a, b)
    a, b = (asarray(x) for x in promote_inexact(a, b))
    if typeof(a).ndim != 2:
        raise TypeError(
            located(
                f"{typeof(a).ndim}-dimensional array given. Array must be two-dimensional",
                attempt="vmap(numpy.linalg.lstsq) for stacks of matrices",
            )
        )
    if typeof(b).ndim not in (1, 2):
        raise TypeError(
            located(
                f"{typeof(b).ndim}-dimensional array given. Array must be one or two-dimensional",
                attempt="vmap(numpy.linalg.lstsq) for stacks of right sides",
            )
        )
    m, n = typeof(a).shape
    if m != typeof(b).shape[0]:
        raise ValueError(
            located(
                f"Leading dimensions of input arrays must match, got {typeof(a).shape} and "
                f"{typeof(b).shape}",
                attempt="as many rows in b as in a; b.T if they lie along the other dimension",
            )
        )
    vector = typeof(b).ndim == 1
    right = b[:, None] if vector else b
    dtype = typeof(a).dtype
    if rcond is None:
        rcond = float(dtypes.finfo(dtype).eps) * max(m, n)
    else:
        check("jnp.linalg.lstsq", rcond)
        rcond = selection.where(ufuncs.less(rcond, 0), dtypes.finfo(dtype).eps, rcond)
    u, s, vh = svd(a, full_matrices=False)
    rcond = asarray(rcond, typeof(s).dtype)
    mask = ufuncs.logical_and(ufuncs.greater(s, 0), ufuncs.greater_equal(s, rcond * s[:1]))
    rank = reductions.sum(mask)
    safe = selection.where(mask, s, 1).astype(typeof(s).dtype)
    inverse = selection.where(mask, ufuncs.divide(1, safe), 0).astype(typeof(s).dtype)
    inner = product(ufuncs.conj(shaping.matrix_transpose(u)), right)
    x = product(ufuncs.conj(shaping.matrix_transpose(vh)), inverse[:, None] * inner)
    if numpy_resid and (m <= n or int(rank) < n):
        residuals = zeros((0,), typeof(s).dtype)
    else:
        gap = ufuncs.absolute(ufuncs.subtract(right, product(a, x)))
        residuals = reductions.sum(ufuncs.square(gap), 0)
    return (x[:, 0] if vector else x), residuals, rank, s


def tensorinv(a, ind=2):
    """The inverse for `tensordot(a, x, ind)`: the first `ind` dimensions of a are its rows."""
    check("tensorinv", a)
    (a,) = promote_inexact(a)
    a = asarray(a)
    shape = typeof(a).shape
    if ind <= 0:
        raise ValueError(
            located(
                f"ind must be a positive integer; got ind={ind}",
                attempt="ind=2, or how many dimensions stand for the rows",
            )
        )
    rows, columns = math.prod(shape[:ind]), math.prod(shape[ind:])
    if rows != columns:
        raise ValueError(
            located(
                "tensorinv is only possible when the product of the first `ind` dimensions "
                f"equals that of the remaining ones; got a.shape={shape} with ind={ind}.",
                attempt="another ind, or reshape a, so that prod(a.shape[:ind]) == "
                "prod(a.shape[ind:])",
            )
        )
    return inv(a.reshape(rows, columns)).reshape(*shape[ind:], *shape[:ind])


def tensorsolve(a, b, axes=None):
    """x with tensordot(a, x, x.ndim) = b; `axes` of a are moved to its end first."""
    check("tensorsolve", a, b)
    a, b = (asarray(x) for x in promote_inexact(a, b))
    if axes is not None:
        rank = typeof(a).ndim
        a = shaping.moveaxis(a, axes, tuple(range(rank - len(axes), rank)))
    shape = typeof(a).shape[typeof(b).ndim :]
    size = typeof(b).size
    if math.prod(shape) != size:
        raise ValueError(
            located(
                f"tensorsolve: a of shape {typeof(a).shape} is not square for b of shape "
                f"{typeof(b).shape}",
                attempt="prod(a.shape[b.ndim:]) == prod(b.shape)",
            )
        )
    return solve(a.reshape(size, size), b.ravel()).reshape(shape)
