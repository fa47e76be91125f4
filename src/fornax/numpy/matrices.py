"""Matrices and grids: triangles, diagonals, coordinate arrays, indices of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.requested import requested
from fornax.ir.static import static_integer, static_integers
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.creation import array, asarray, full
from fornax.numpy.joining import concatenate, stack
from fornax.numpy.promotion import as_dtype, check, scalar
from fornax.numpy.selection import nonzero, where
from fornax.numpy.shaping import broadcast_to, diagonal, expand_dims, ravel
from fornax.primitives.iota import iota
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "block", "diag", "diag_indices", "diag_indices_from", "diagflat", "fill_diagonal", "indices",
    "ix_", "mask_indices", "meshgrid", "ravel_multi_index", "tri", "tril", "tril_indices",
    "tril_indices_from", "triu", "triu_indices", "triu_indices_from", "unravel_index", "vander",
]  # fmt: skip


def _below(n: int, m: int, k: int, strict: bool = False) -> Any:
    """The (n, m) mask of column - row <= k."""
    index = dtypes.canonical(int)
    offset = as_dtype(k, index) if isinstance(k, Tracer) else scalar(k, index)
    rows = ufuncs.add(iota(index, (n, m), 0), offset)
    return ufuncs.greater_equal(rows, iota(index, (n, m), 1))


def tri(N, M=None, k=0, dtype=None):
    """Ones at and below the k-th diagonal of an (N, M) matrix, zeros above; k may be traced."""
    k = k if isinstance(k, Tracer) else static_integer(k, "k")
    mask = _below(static_integer(N, "N"), static_integer(N if M is None else M, "M"), k)
    return as_dtype(mask, requested(dtype, float))


def _triangle(name: str, m: Any, k: int, lower: bool) -> Any:
    check(name, m)
    m = asarray(m)
    shape = typeof(m).shape
    if len(shape) < 2:
        raise ValueError(
            located(
                f"Argument to {name} must have shape at least 2D, got {shape}",
                attempt="x[None, :] or numpy.atleast_2d(x)",
            )
        )
    k = static_integer(k, "k")
    mask = broadcast_to(_below(shape[-2], shape[-1], k if lower else k - 1), shape)
    zero = scalar(0, typeof(m).dtype)
    return where(mask, m, zero) if lower else where(mask, zero, m)


@eager(static="k")
def tril(m, k=0):
    """The matrix with zeros above its k-th diagonal."""
    return _triangle("tril", m, k, lower=True)


@eager(static="k")
def triu(m, k=0):
    """The matrix with zeros below its k-th diagonal."""
    return _triangle("triu", m, k, lower=False)


@eager(static="k")
def diag(v, k=0):
    """The k-th diagonal of a matrix, or the matrix with the vector v on its k-th diagonal."""
    check("diag", v)
    v = asarray(v)
    rank = typeof(v).ndim
    if rank == 2:
        return diagonal(v, k)
    if rank != 1:
        raise ValueError(
            located(
                "diag input must be 1d or 2d",
                attempt="numpy.diagonal(x, axis1=-2, axis2=-1) for stacks of matrices",
            )
        )
    k = static_integer(k, "k")
    n = typeof(v).shape[0] + abs(k)
    index = dtypes.canonical(int)
    rows, columns = iota(index, (n, n), 0), iota(index, (n, n), 1)
    on = ufuncs.equal(ufuncs.add(rows, scalar(k, index)), columns)
    zero = scalar(0, typeof(v).dtype)
    front, back = max(k, 0), max(-k, 0)
    padded = concatenate([full((front,), zero), v, full((back,), zero)]) if k else v
    return where(on, expand_dims(padded, 0), zero)


@eager(static="k")
def diagflat(v, k=0):
    """The matrix with the flattened v on its k-th diagonal."""
    return diag(ravel(v), k)


def fill_diagonal(a, val, wrap=False, *, inplace=True):
    """A copy of `a` with `val` on its diagonal; `inplace` must be False: arrays do not change."""
    if inplace:
        raise NotImplementedError(
            located(
                "fill_diagonal cannot change its argument",
                attempt="inplace=False, and use the result",
            )
        )
    if wrap:
        raise NotImplementedError(
            located(
                "fill_diagonal: wrap=True is not supported",
                attempt="wrap=False, and fill_diagonal on slices of the rows below",
            )
        )
    a = asarray(a)
    n = min(typeof(a).shape)
    return a.at[tuple(np.arange(n) for _ in range(typeof(a).ndim))].set(val)


def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """Coordinate arrays from coordinate vectors."""
    check("meshgrid", *xi)
    vectors = [asarray(x) for x in xi]
    if indexing not in ("xy", "ij"):
        raise ValueError(
            located(
                f"Valid values for indexing are 'xy' and 'ij', got {indexing}",
                attempt="indexing='ij' for x[i, j], 'xy' for x[row, column]",
            )
        )
    if any(typeof(x).ndim != 1 for x in vectors):
        raise ValueError(located("Arguments to meshgrid must be 1D, got shapes "
f"{[typeof(x).shape for x in vectors]}",
attempt="x.ravel() for each of them"))  # fmt: skip
    order = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) >= 2:
        order[:2] = [1, 0]
    shape = [typeof(vectors[order.index(k)]).shape[0] for k in range(len(vectors))]
    result = []
    for k, x in enumerate(vectors):
        place = order[k]
        thin = expand_dims(x, tuple(d for d in range(len(vectors)) if d != place))
        result.append(thin if sparse else broadcast_to(thin, shape))
    return result


def indices(dimensions, dtype=None, sparse=False):
    """The index arrays of a grid of this shape."""
    dtype = requested(dtype, int)
    n = tuple(dimensions)
    if sparse:
        return tuple(
            expand_dims(iota(dtype, (m,), 0), tuple(d for d in range(len(n)) if d != k))
            for k, m in enumerate(n)
        )
    grids = [iota(dtype, n, k) for k in range(len(n))]
    return stack(grids) if grids else full((0,), 0, dtype)


def ix_(*args):
    """Index arrays that select the outer product of index vectors."""
    vectors = []
    for x in map(asarray, args):
        if typeof(x).ndim != 1:
            raise ValueError(
                located(
                    f"Arguments to jax.numpy.ix_ must be 1-dimensional, got shape {x.shape}",
                    attempt="x.ravel()",
                )
            )
        if typeof(x).dtype == dtypes.bool_:
            raise NotImplementedError(
                located(
                    "ix_: boolean arguments are not supported: use flatnonzero(x)",
                    attempt="flatnonzero(x) in place of the mask",
                )
            )
        # an empty list of indices has the dtype of indices
        vectors.append(x if typeof(x).shape[0] else as_dtype(x, dtypes.canonical(int)))
    return tuple(
        expand_dims(x, tuple(d for d in range(len(vectors)) if d != k))
        for k, x in enumerate(vectors)
    )


def vander(x, N=None, increasing=False):
    """The matrix of powers of x: decreasing from N - 1 unless `increasing`."""
    x = asarray(x)
    if typeof(x).ndim != 1:
        raise ValueError(
            located("x must be a one-dimensional array", attempt="x.ravel(), or vmap over the rows")
        )
    n = typeof(x).shape[0] if N is None else static_integer(N, "N")
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    columns = [ufuncs.power(x, int(p)) for p in powers]
    return stack(columns, 1) if columns else full((typeof(x).shape[0], 0), 0, typeof(x).dtype)


def _index_arrays(found: tuple) -> tuple:
    index = dtypes.canonical(int)
    return tuple(array(part.astype(index)) for part in found)


def tril_indices(n, k=0, m=None):
    """Rows and columns at and below the k-th diagonal of an (n, m) matrix."""
    return _index_arrays(np.tril_indices(n, k, m))


def triu_indices(n, k=0, m=None):
    """Rows and columns at and above the k-th diagonal of an (n, m) matrix."""
    return _index_arrays(np.triu_indices(n, k, m))


def tril_indices_from(arr, k=0):
    """`tril_indices` for a matrix of the shape of `arr`."""
    return tril_indices(*_sides("tril_indices_from", arr, k))


def triu_indices_from(arr, k=0):
    """`triu_indices` for a matrix of the shape of `arr`."""
    return triu_indices(*_sides("triu_indices_from", arr, k))


def _sides(name: str, arr: Any, k: Any) -> tuple[int, Any, int]:
    shape = typeof(asarray(arr)).shape
    if len(shape) != 2:
        raise ValueError(
            located(
                f"{name}: Only 2-D inputs are accepted, got an array of shape {shape}",
                attempt=f"vmap(lambda m: numpy.{name}(m)) for stacks of matrices",
            )
        )
    return shape[0], k, shape[1]


def diag_indices(n, ndim=2):
    """The indices of the main diagonal of an array of `ndim` dimensions of size n."""
    return _index_arrays((np.arange(n),) * ndim)


def diag_indices_from(arr):
    """The indices of the main diagonal of a square array."""
    shape = typeof(asarray(arr)).shape
    if len(shape) < 2:
        raise ValueError(
            located(
                f"input array must be at least 2-d, got an array of shape {shape}",
                attempt="numpy.diag_indices(len(x)) for the indices of a square matrix of that "
                "size",
            )
        )
    if len(set(shape)) > 1:
        raise ValueError(
            located(
                "All dimensions of input must be of equal length",
                attempt="numpy.diag_indices(min(x.shape))",
            )
        )
    return diag_indices(shape[0], len(shape))


def mask_indices(n, mask_func, k=0, *, size=None):
    """The indices where `mask_func(ones((n, n)), k)` is not zero."""
    return nonzero(mask_func(full((n, n), 1), k), size=size)


def unravel_index(indices, shape):
    """The index arrays of flat indices into an array of this shape."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    rest = asarray(indices)
    total = int(np.prod(shape))
    rest = where(ufuncs.less(rest, 0), ufuncs.add(rest, total), rest)
    rest = ufuncs.minimum(ufuncs.maximum(rest, 0), max(total - 1, 0))
    found = []
    for extent in reversed(shape):
        found.append(ufuncs.remainder(rest, max(extent, 1)))
        rest = ufuncs.floor_divide(rest, max(extent, 1))
    return tuple(reversed(found))


def ravel_multi_index(multi_index, dims, mode="raise", order="C", *, dtype=None):
    """Flat indices from index arrays, of `dtype`. mode: 'raise' (concrete only), 'wrap', 'clip'."""
    parts = [asarray(x) for x in multi_index]
    dims = static_integers(dims, "dims")
    if len(parts) != len(dims):
        raise ValueError(
            located(
                f"ravel_multi_index: {len(parts)} index arrays for an array of {len(dims)} "
                "dimensions",
                attempt="one index array for each dimension",
            )
        )
    if mode == "raise":
        for part, extent in zip(parts, dims, strict=True):
            values = np.asarray(part)
            if ((values < 0) | (values >= extent)).any():
                raise ValueError(
                    located(
                        "invalid entry in coordinates array",
                        attempt="mode='clip' or 'wrap' for coordinates outside of dims",
                    )
                )
    elif mode == "wrap":
        parts = [ufuncs.remainder(p, n) for p, n in zip(parts, dims, strict=True)]
    elif mode == "clip":
        parts = [
            ufuncs.minimum(ufuncs.maximum(p, 0), n - 1) for p, n in zip(parts, dims, strict=True)
        ]
    else:
        raise ValueError(
            located(
                f"invalid mode {mode!r}: expected 'raise', 'wrap' or 'clip'", attempt="mode='clip'"
            )
        )
    pairs = list(zip(parts, dims, strict=True))
    if order == "F":
        pairs.reverse()
    total = scalar(0, dtypes.canonical(int))
    for part, extent in pairs:
        total = ufuncs.add(ufuncs.multiply(total, extent), part)
    return total if dtype is None else as_dtype(total, requested(dtype))


def block(arrays):
    """An array assembled from nested lists of blocks."""
    depth = _depth(arrays)
    return _block(arrays, depth, max(depth, _rank(arrays)))


def _depth(x: Any) -> int:
    return 1 + max((_depth(v) for v in x), default=0) if isinstance(x, list) else 0


def _rank(x: Any) -> int:
    return max(map(_rank, x), default=0) if isinstance(x, list) else typeof(asarray(x)).ndim


def _block(x: Any, depth: int, rank: int) -> Any:
    if not isinstance(x, list):
        x = asarray(x)
        return expand_dims(x, tuple(range(rank - typeof(x).ndim)))
    return concatenate([_block(v, depth - 1, rank) for v in x], axis=rank - depth)
