"""What the operations on stacks of matrices share: checks, loops, and matrix arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, reduce_sum, transpose
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.compare import eq_p, ge_p, gt_p
from fornax.primitives.complex import conj_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.dot import dot_general_p
from fornax.primitives.family import constant
from fornax.primitives.iota import iota
from fornax.primitives.select import where
from fornax.scalars import dtypes
from fornax.source import located

#: what LAPACK computes in
SUPPORTED = (dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128)


class MatrixPrimitive(Primitive):
    """An operation on the matrices in the last two dimensions; all before them are a stack."""

    cost = 64

    def leading(self, **params: Any) -> dict[str, Any]:
        return params

    def check(self, x: ArrayType, square: bool = False) -> None:
        """Raise TypeError for a dtype without LAPACK, or too few dimensions, ValueError unless
        `square`."""
        check_ranks(self.name, [x], [2])
        if square and x.shape[-1] != x.shape[-2]:
            raise ValueError(
                located(
                    f"Argument to {self.name} must have shape [..., n, n], got shape {x.shape}",
                    attempt="vmap for stacks, or numpy.linalg.svd and pinv for matrices that are "
                    "not square",
                )
            )
        check_dtypes(self.name, [x])


def check_ranks(name: str, types: Sequence[ArrayType], ranks: Sequence[int]) -> None:
    """Raise TypeError unless operand i has at least `ranks[i]` dimensions, and all the same stack
    before those dimensions."""
    for position, (type, rank) in enumerate(zip(types, ranks, strict=True)):
        if type.ndim < rank:
            raise TypeError(
                located(
                    f"Input {position} to {name} must have rank at least {rank}, but got "
                    f"shape={type.shape}",
                    "it works on matrices, or on stacks of them along leading dimensions",
                    "x[:, None] or x[None, :] to make a matrix of a vector",
                )
            )
    stacks = [t.shape[: t.ndim - rank] for t, rank in zip(types, ranks, strict=True)]
    if len(set(stacks)) > 1:
        raise TypeError(
            located(
                f"All inputs to {name} must have the same batch dimensions, but got {stacks}.",
                "operations of lax do not broadcast",
                "numpy.broadcast_to, or vmap with in_axes=None for what is shared",
            )
        )


def check_dtypes(
    name: str, types: Sequence[ArrayType], accepted: Sequence[Any] = SUPPORTED
) -> None:
    """Raise TypeError unless all operands have one of the accepted dtypes."""
    for position, type in enumerate(types):
        if type.dtype not in accepted:
            raise TypeError(
                located(
                    f"{name} does not accept dtype {type.dtype.name} at position {position}.",
                    "matrices are decomposed in float32, float64, complex64 or complex128",
                    "x.astype('float32')",
                )
            )
    if len({t.dtype for t in types}) > 1:
        names = ", ".join(t.dtype.name for t in types)
        raise TypeError(
            located(
                f"{name} requires arguments to have the same dtypes, got {names}.",
                attempt="astype, so that all have one dtype",
            )
        )


def real_dtype(dtype: Any) -> np.dtype:
    """The dtype of the parts of a complex dtype; a real one itself."""
    return np.zeros((), dtype).real.dtype


def each(
    function: Callable[..., Sequence[np.ndarray]],
    operands: Sequence[np.ndarray],
    results: Sequence[ArrayType],
    *,
    stacks: bool = False,
) -> list[np.ndarray]:
    """`function` of the matrices of every place of the stack; NaN where it cannot be computed.

    Raised LinAlgErrors, and nothing else, mean that it cannot. stacks: it takes whole stacks as
    well, and raises for all if it cannot compute some.
    """
    if stacks:
        try:
            with np.errstate(all="ignore"):
                return list(function(*operands))
        except np.linalg.LinAlgError:
            if operands[0].ndim == 2:
                return [absent(t) for t in results]
    outputs = [np.empty(t.shape, t.dtype) for t in results]
    stack = operands[0].shape[:-2]
    for place in np.ndindex(*stack):
        try:
            with np.errstate(all="ignore"):
                values = function(*(x[place] for x in operands))
        except np.linalg.LinAlgError:
            values = [absent(t.update(shape=t.shape[len(stack) :])) for t in results]
        for output, value in zip(outputs, values, strict=True):
            output[place] = value
    return outputs


def absent(type: ArrayType) -> np.ndarray:
    """What stands for a result that cannot be computed."""
    return np.full(type.shape, np.nan if type.dtype.kind in "fc" else 0, type.dtype)


# --- matrix arithmetic under the current trace --------------------------------------------------
def matmul(x: Any, y: Any) -> Any:
    """The products of two stacks of matrices."""
    rank = typeof(x).ndim
    stack = tuple(range(rank - 2))
    numbers = (((rank - 1,), (rank - 2,)), (stack, stack))
    return dot_general_p.bind(
        x, y, dimension_numbers=numbers, precision=None, preferred_element_type=None,
        out_sharding=None,
    )[0]  # fmt: skip


def transposed(x: Any) -> Any:
    """The last two dimensions exchanged."""
    rank = typeof(x).ndim
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return conjugate(transposed(x))


def conjugate(x: Any) -> Any:
    """The complex conjugate; a real array itself."""
    dtype = typeof(x).dtype
    return conj_p(x, input_dtype=dtype) if dtypes.is_complex(dtype) else x


def _grid(x: Any) -> tuple[Any, Any]:
    """The row and the column of every element."""
    shape = typeof(x).shape
    rank = len(shape)
    return iota(np.int32, shape, rank - 2), iota(np.int32, shape, rank - 1)


def lower(x: Any, strict: bool = False) -> Any:
    """x with zeros above the diagonal; on it too if `strict`."""
    rows, columns = _grid(x)
    return where((gt_p if strict else ge_p)(rows, columns), x, constant(x, 0))


def upper(x: Any, strict: bool = False) -> Any:
    """x with zeros below the diagonal; on it too if `strict`."""
    rows, columns = _grid(x)
    return where((gt_p if strict else ge_p)(columns, rows), x, constant(x, 0))


def on_diagonal(x: Any, value: Any, elsewhere: Any) -> Any:
    """`value` on the diagonal of a matrix like x, `elsewhere` off it."""
    rows, columns = _grid(x)
    return where(eq_p(rows, columns), value, elsewhere)


def diagonal(x: Any) -> Any:
    """The elements on the diagonals of square matrices."""
    return reduce_sum(on_diagonal(x, x, constant(x, 0)), (typeof(x).ndim - 1,))


def as_columns(v: Any, rows: int) -> Any:
    """Matrices of `rows` rows in which every column j is filled with v[j]."""
    shape = typeof(v).shape
    rank = len(shape)
    return broadcast_in_dim(v, (*shape[:-1], rows, shape[-1]), (*range(rank - 1), rank))


def as_rows(v: Any, columns: int) -> Any:
    """Matrices of `columns` columns in which every row i is filled with v[i]."""
    return broadcast_in_dim(v, (*typeof(v).shape, columns), range(typeof(v).ndim))


def like(x: Any, dtype: Any) -> Any:
    """x as `dtype`, which holds all its values."""
    return convert_element_type(x, dtype)
