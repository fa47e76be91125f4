"""The polar decomposition, by iterations that need no inverse.

Nakatsukasa, Bai, Gygi: "Optimizing Halley's iteration for computing the matrix polar
decomposition", 2010. The weights of every step are known before: they depend on a lower bound of
the singular values alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax.ir.types import typeof
from fornax.lax.elementwise import rsqrt
from fornax.lax.loops import while_loop
from fornax.numpy import creation, reductions, ufuncs
from fornax.numpy.joining import concatenate
from fornax.numpy.products import matmul
from fornax.numpy.selection import where
from fornax.primitives.iota import iota
from fornax.primitives.linalg import stacks
from fornax.primitives.linalg.cholesky import cholesky_p
from fornax.primitives.linalg.qr import qr_p
from fornax.primitives.linalg.triangular import triangular_solve
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["qdwh"]

#: above it a step goes by QR, which is stable, below by Cholesky, which is cheaper
_STEEP = 100


def qdwh(
    x: Any,
    *,
    is_hermitian: bool = False,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[Any, Any] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """(u, h, iterations, converged): the polar decomposition x = u h of a matrix of full rank.

    Args:
      x: [m, n] with m >= n.
      is_hermitian: makes no difference.
      max_iterations: 10 by default.
      eps: the precision asked for; that of the dtype by default.
      dynamic_shape: (rows, columns) that count, if x is padded; they may be traced.

    u has orthonormal columns, h is Hermitian and not negative. Raises ValueError for other shapes.
    """
    shape = typeof(x).shape
    if len(shape) != 2:
        raise ValueError(
            located(
                f"qdwh takes one matrix, got shape {shape}",
                attempt="vmap(lax.linalg.qdwh) for stacks of matrices",
            )
        )
    if shape[0] < shape[1]:
        raise ValueError(
            located(
                "The input matrix of shape M x N must have M >= N.",
                attempt="the matrix transposed, and the results transposed back",
            )
        )
    limit = 10 if max_iterations is None else int(max_iterations)
    if dynamic_shape is not None:
        x = _inside(x, dynamic_shape, 0)
    dtype = typeof(x).dtype
    eps = float(dtypes.finfo(dtype).eps) if eps is None else float(eps)
    columns, rows = (reductions.max(reductions.sum(ufuncs.absolute(x), k)) for k in (0, 1))
    size = ufuncs.multiply(rsqrt(columns), rsqrt(rows))  # at most 1 / the largest singular value
    size = where(ufuncs.equal(columns, 0), 1, size)
    u = ufuncs.multiply(x, creation.asarray(size).astype(dtype))

    weights = _weights(eps, limit)
    moved: Any = True
    tolerance = (5 * eps) ** (1 / 3)
    for a, b, c in weights:
        new = _step(u, a, b, c, dynamic_shape)
        moved = _moved(u, new, tolerance) if c <= _STEEP else True
        u = new

    def goes_on(state: Any) -> Any:
        step, _, moved = state
        return ufuncs.logical_and(moved, ufuncs.less(step, limit))

    def again(state: Any) -> Any:
        step, u, _ = state
        new = _step(u, 3, 1, 3, dynamic_shape)
        return step + 1, new, _moved(u, new, tolerance)

    start = (creation.asarray(len(weights)), u, creation.asarray(moved))
    steps, u, moved = while_loop(goes_on, again, start)
    u = 1.5 * u - 0.5 * matmul(u, matmul(stacks.adjoint(u), u))  # one more digit, by Newton's step
    h = matmul(stacks.adjoint(u), x)
    return u, (h + stacks.adjoint(h)) / 2, steps, ufuncs.logical_not(moved)


def _moved(u: Any, new: Any, tolerance: float) -> Any:
    """Whether a step has changed u by more than that, as a vector."""
    change = ufuncs.absolute(ufuncs.subtract(new, u))
    return ufuncs.greater(ufuncs.sqrt(reductions.sum(ufuncs.square(change))), tolerance)


def _weights(eps: float, limit: int) -> list[tuple[float, float, float]]:
    """(a, b, c) of the steps until the least singular value has come from eps to one."""
    least, found = eps, []
    while least + 5 * eps < 1 and len(found) < limit:
        square = least * least
        d = (4 * (1 / square - 1) / square) ** (1 / 3)
        root = math.sqrt(1 + d)
        a = root + math.sqrt(2 - d + 2 * (2 - square) / (square * root))
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        least *= (a + b * square) / (1 + c * square)
        found.append((a, b, c))
    return found


def _step(u: Any, a: float, b: float, c: float, dynamic_shape: Any) -> Any:
    """u (a + b u^H u) (1 + c u^H u)^-1."""
    dtype = typeof(u).dtype
    columns = typeof(u).shape[1]
    one = creation.eye(columns, dtype=dtype)
    shared = b / c
    if c > _STEEP:
        tall = concatenate([math.sqrt(c) * u, one], axis=0)
        q = qr_p.bind(tall, pivoting=False, full_matrices=False)[0]
        rows = typeof(u).shape[0]
        part = matmul(q[:rows], stacks.adjoint(q[rows:]))
        return shared * u + (a - shared) / math.sqrt(c) * part
    gram = c * matmul(stacks.adjoint(u), u) + one
    if dynamic_shape is not None:
        gram = _inside(gram, (dynamic_shape[1], dynamic_shape[1]), one)
    factor = stacks.lower(cholesky_p.bind(gram)[0])
    half = triangular_solve(factor, stacks.adjoint(u), left_side=True, lower=True)
    part = triangular_solve(
        factor, half, left_side=True, lower=True, transpose_a=True, conjugate_a=True
    )
    return shared * u + (a - shared) * stacks.adjoint(part)


def _inside(x: Any, sizes: tuple[Any, Any], elsewhere: Any) -> Any:
    """x with other numbers outside of its first rows and columns."""
    shape = typeof(x).shape
    rows, columns = (ufuncs.less(iota(np.int32, shape, d), sizes[d]) for d in (0, 1))
    return where(ufuncs.logical_and(rows, columns), x, elsewhere)
