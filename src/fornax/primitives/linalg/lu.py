"""lu: triangular factors of matrices, with rows exchanged for stability."""

from __future__ import annotations

import numpy as np

from fornax.ir.basis import add, broadcast_in_dim
from fornax.ir.primitive import Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.family import constant
from fornax.primitives.linalg.routines import lapack
from fornax.primitives.linalg.stacks import (
    MatrixPrimitive,
    each,
    lower,
    matmul,
    on_diagonal,
    upper,
)
from fornax.primitives.linalg.triangular import triangular_solve
from fornax.primitives.pad import pad_p
from fornax.primitives.slice import slice_in
from fornax.primitives.sort import pick_along


class LU(MatrixPrimitive):
    """(factors, pivots, permutation): row permutation[i] of x is row i of L U.

    L is the strict lower triangle of the factors with a diagonal of ones, U the upper. pivots:
    int32, the row that row i was exchanged with, in order.
    """

    def type(self, x):
        self.check(x)
        rows, columns = x.shape[-2:]
        stack = x.shape[:-2]
        return [
            x.strip_weak_type(),
            ArrayType((*stack, min(rows, columns)), np.int32),
            ArrayType((*stack, rows), np.int32),
        ]

    def reference(self, x):
        x = np.asarray(x)
        results = self.type(typeof(x))
        rows = x.shape[-2]
        if not x.size:
            everything = np.broadcast_to(np.arange(rows), results[2].shape).astype(np.int32)
            return [x.copy(), np.zeros(results[1].shape, np.int32), everything]
        factor = lapack(x, "getrf")

        def one(matrix):
            factors, pivots, _ = factor(matrix)
            order = np.arange(rows)
            for i, j in enumerate(pivots):
                order[i], order[j] = order[j], order[i]
            return factors, pivots, order

        return each(one, [x], results)

    def jvp(self, primals, tangents):
        (x,), (dx,) = primals, tangents
        factors, pivots, permutation = self.bind(x)
        zeros = [Zero(typeof(v).tangent()) for v in (factors, pivots, permutation)]
        if isinstance(dx, Zero) or not typeof(x).size:
            return [factors, pivots, permutation], zeros
        *stack, rows, columns = typeof(x).shape
        rank, least = len(stack) + 2, min(rows, columns)
        places = broadcast_in_dim(permutation, (*stack, rows, columns), range(rank - 1))
        moved = pick_along(dx, places, rank - 2)
        # both factors as square matrices, by rows and columns of the identity
        left = _with_identity(lower(slice_in(factors, rank - 1, 0, least), True), rows, rank - 1)
        left = on_diagonal(left, constant(left, 1), left)
        right = upper(slice_in(factors, rank - 2, 0, least))
        right = _with_identity(right, columns, rank - 2)
        inner = triangular_solve(left, moved, left_side=True, lower=True, unit_diagonal=True)
        inner = triangular_solve(right, inner, left_side=False, lower=False)
        change = add(matmul(left, lower(inner, strict=True)), matmul(upper(inner), right))
        return [factors, pivots, permutation], [change, *zeros[1:]]


def _with_identity(x, size, dimension):
    """x made as long as `size` in a dimension; the diagonal of what is new holds ones."""
    have = typeof(x).shape[dimension]
    if have == size:
        return x
    config = [(0, 0, 0)] * typeof(x).ndim
    config[dimension] = (0, size - have, 0)
    padded = pad_p.bind(x, constant(x, 0), padding_config=tuple(config))[0]
    new = typeof(padded).update(weak_type=False)
    ones = np.zeros(new.shape[-2:], new.dtype)
    ones[range(have, size), range(have, size)] = 1
    rank = new.ndim
    return add(padded, broadcast_in_dim(ones, new.shape, (rank - 2, rank - 1)))


lu_p = LU("lu")
