"""Norms, powers and products of vectors and matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.numpy import products, reductions, selection, shaping, ufuncs
from fornax.numpy.axes import canonical_axes, canonical_axis, keep_dims
from fornax.numpy.creation import asarray, eye
from fornax.numpy.linalg import decompositions, equations
from fornax.numpy.products import vecdot
from fornax.numpy.promotion import as_dtype, check, concrete_form, promote_inexact
from fornax.numpy.shaping import broadcast_to, matrix_transpose
from fornax.source import located

__all__ = [
    "cond", "cross", "diagonal", "matmul", "matrix_norm", "matrix_power", "matrix_transpose",
    "multi_dot", "norm", "outer", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip


def matmul(x1, x2, /, *, precision=None, preferred_element_type=None):
    """The matrix product over the last two dimensions: `numpy.matmul`."""
    return products.matmul(
        x1, x2, precision=precision, preferred_element_type=preferred_element_type
    )


def tensordot(x1, x2, /, *, axes=2, precision=None, preferred_element_type=None, out_sharding=None):
    """The sum product over `axes`: `numpy.tensordot`."""
    return products.tensordot(
        x1, x2, axes, precision=precision, preferred_element_type=preferred_element_type,
        out_sharding=out_sharding,
    )  # fmt: skip


def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of a vector or matrix, or of those over one or two dimensions `axis`.

    ord: None (square root of the sum of squares), for vectors any number or inf, for matrices
    'fro', 1, -1, inf, -inf, and by singular values 2, -2 and 'nuc'. Raises ValueError for others.
    """
    check("linalg.norm", x)
    (x,) = promote_inexact(concrete_form(x))
    x = asarray(x)
    shape = typeof(x).shape
    axes = canonical_axes(axis, len(shape))
    if ord is None and (axis is None or len(axes) in (1, 2)):
        result = ufuncs.sqrt(reductions.sum(_squares(x), axes))
    elif len(axes) == 1:
        result = _vector(x, ord, axes)
    elif len(axes) == 2:
        result = _matrix(x, ord, axes)
    else:
        raise ValueError(
            located(
                f"Improper number of axes for norm: {axes}: give one or two",
                attempt="axis=-1 for vectors, axis=(-2, -1) for matrices",
            )
        )
    return keep_dims(result, shape, axes) if keepdims else result


def _squares(x: Any) -> Any:
    return ufuncs.real(ufuncs.multiply(x, ufuncs.conj(x)))


def _vector(x: Any, ord: Any, axes: Sequence[int]) -> Any:
    if isinstance(ord, str):
        raise ValueError(
            located(
                f"Invalid order {ord!r} for vector norm: it must be a number",
                attempt="ord=2, numpy.inf or -numpy.inf",
            )
        )
    if ord is None or ord == 2:
        return ufuncs.sqrt(reductions.sum(_squares(x), axes))
    size = ufuncs.absolute(x)
    if ord == np.inf:
        return reductions.max(size, axes, initial=0)
    if ord == -np.inf:
        return reductions.min(size, axes)
    if ord == 0:
        return as_dtype(reductions.sum(ufuncs.not_equal(x, 0), axes), typeof(size).dtype)
    if ord == 1:
        return reductions.sum(size, axes)
    return ufuncs.power(reductions.sum(ufuncs.power(size, ord), axes), 1.0 / ord)


def _matrix(x: Any, ord: Any, axes: Sequence[int]) -> Any:
    row, column = axes
    if ord in (None, "fro", "f"):
        return ufuncs.sqrt(reductions.sum(_squares(x), axes))
    if ord in (2, -2, "nuc"):
        values = decompositions.svdvals(shaping.moveaxis(x, (row, column), (-2, -1)))
        if ord == "nuc":
            return reductions.sum(values, -1)
        return (reductions.max if ord == 2 else reductions.min)(values, -1)
    if isinstance(ord, str) or abs(ord) not in (1, np.inf):
        raise ValueError(
            located(
                f"Invalid order {ord!r} for matrix norm.",
                attempt="'fro', 'nuc', 1, -1, 2, -2, numpy.inf or -numpy.inf",
            )
        )
    summed, other = (row, column) if abs(ord) == 1 else (column, row)
    sums = reductions.sum(ufuncs.absolute(x), summed)
    extreme = reductions.max if ord > 0 else reductions.min
    return extreme(sums, other - (other > summed))


def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """The norm of the elements over `axis` (all by default) as one vector."""
    check("linalg.vector_norm", x)
    (x,) = promote_inexact(concrete_form(x))
    x = asarray(x)
    axes = canonical_axes(axis, typeof(x).ndim)
    result = _vector(x, ord, axes)
    return keep_dims(result, typeof(x).shape, axes) if keepdims else result


def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """The norm of the matrices in the last two dimensions. See `norm`."""
    return norm(x, ord, (-2, -1), keepdims)


def cond(x, p=None):
    """The condition number of matrices: norm(x, p) norm(equations.inv(x), p).

    p: None (the ratio of the largest and smallest singular value), or an order of `norm`.
    """
    x = decompositions.matrices("jnp.linalg.cond", x)
    if p in (None, 2, -2):
        s = decompositions.svdvals(x)
        largest, least = s[..., 0], s[..., -1]
        return least / largest if p == -2 else largest / least
    ratio = norm(x, p, (-2, -1)) * norm(equations.inv(x), p, (-2, -1))
    broken = reductions.any(ufuncs.isnan(x), (-2, -1))
    infinite = ufuncs.logical_and(ufuncs.isnan(ratio), ufuncs.logical_not(broken))
    return selection.where(infinite, np.inf, ratio).astype(typeof(ratio).dtype)


def outer(x1, x2, /):
    """All products of an element of x1 and one of x2. Raises ValueError unless both are 1-D."""
    x1, x2 = asarray(x1), asarray(x2)
    if typeof(x1).ndim != 1 or typeof(x2).ndim != 1:
        raise ValueError(
            located(
                f"Input arrays must be one-dimensional, but they are {x1.shape} and {x2.shape}",
                attempt="x.ravel() for vectors; numpy.outer flattens by itself",
            )
        )
    return products.outer(x1, x2)


def cross(x1, x2, /, *, axis=-1):
    """The vector product of 3-vectors along `axis`."""
    x1, x2 = asarray(x1), asarray(x2)
    sizes = [typeof(x).shape[canonical_axis(axis, typeof(x).ndim)] for x in (x1, x2)]
    if sizes != [3, 3]:
        raise ValueError(
            located(
                f"Both inputs must be vectors of 3, but have {sizes[0]} and {sizes[1]}",
                attempt="numpy.cross, which also takes vectors of 2",
            )
        )
    return products.cross(x1, x2, axis=axis)


def diagonal(x, /, *, offset=0):
    """The diagonals of the matrices in the last two dimensions."""
    return shaping.diagonal(x, offset, -2, -1)


def trace(x, /, *, offset=0, dtype=None):
    """The sums of the diagonals of the matrices in the last two dimensions."""
    return products.trace(x, offset, -2, -1, dtype)


def multi_dot(arrays, *, precision=None):
    """The product of several matrices, in the order that multiplies least numbers."""
    arrays = [asarray(a) for a in arrays]
    if len(arrays) < 2:
        raise ValueError(
            located(
                f"multi_dot requires at least two arrays; got len(arrays)={len(arrays)}",
                attempt="a @ b for two, and the array itself for one",
            )
        )
    ranks = [typeof(a).ndim for a in arrays]
    if ranks[0] not in (1, 2) or ranks[-1] not in (1, 2) or set(ranks[1:-1]) - {2}:
        raise ValueError(
            located(
                "multi_dot: the arrays must be matrices; only the ends may be vectors",
                attempt="numpy.matmul with vmap for stacks of matrices",
            )
        )
    sizes = [typeof(a).shape[0] for a in arrays]
    if ranks[0] == 1:
        sizes[0] = 1
    sizes.append(typeof(arrays[-1]).shape[-1] if ranks[-1] == 2 else 1)
    inner = [typeof(a).shape[-1] for a in arrays[:-1]]
    if inner != [typeof(a).shape[0] for a in arrays[1:]]:
        raise ValueError(
            located(
                f"multi_dot: dimensions do not fit: {[typeof(a).shape for a in arrays]}",
                attempt="a transposed matrix (x.T), so that columns of one are as many as rows "
                "of the next",
            )
        )
    n = len(arrays)
    cost = {(k, k): (0, k) for k in range(n)}
    for length in range(1, n):
        for start in range(n - length):
            stop = start + length
            cost[start, stop] = min(
                (
                    cost[start, cut][0] + cost[cut + 1, stop][0]
                    + sizes[start] * sizes[cut + 1] * sizes[stop + 1],
                    cut,
                )
                for cut in range(start, stop)
            )  # fmt: skip

    def product(start, stop):
        if start == stop:
            return arrays[start]
        cut = cost[start, stop][1]
        return products.dot(product(start, cut), product(cut + 1, stop), precision=precision)

    return product(0, n - 1)


def matrix_power(a, n):
    """Square matrices times themselves n times; the power of their inverses for n < 0."""
    check("linalg.matrix_power", a)
    (a,) = promote_inexact(concrete_form(a))
    a = asarray(a)
    shape = typeof(a).shape
    if len(shape) < 2:
        raise TypeError(
            located(
                f"{len(shape)}-dimensional array given; array must be at least two-dimensional",
                attempt="x[None, :] or x[:, None]",
            )
        )
    if shape[-2] != shape[-1]:
        raise TypeError(
            located(
                "Last 2 dimensions of the array must be square",
                attempt="numpy.linalg.pinv for others, or x @ x.T",
            )
        )
    n = static_integer(n, "n")
    if n < 0:
        a, n = equations.inv(a), -n
    if n == 0:
        return broadcast_to(eye(shape[-1], dtype=typeof(a).dtype), shape)
    result = None
    while n:
        if n & 1:
            result = a if result is None else matmul(result, a)
        n >>= 1
        a = matmul(a, a) if n else a
    return result
