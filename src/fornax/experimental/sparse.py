"""Sparse arrays: JAX's `jax.experimental.sparse`; `BCOO` without batch or dense dimensions.

A sparse array is a tree of its data and indices, so that it goes through jit, grad and scan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy.promotion import promote_dtypes
from fornax.pytree import register_pytree_node_class
from fornax.source import located

__all__ = ["BCOO", "JAXSparse", "bcoo_fromdense", "bcoo_todense"]


class JAXSparse:
    """What the kinds of sparse arrays share."""

    shape: tuple[int, ...]
    data: Any
    __array_priority__ = 100  # before NumPy's operators

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def nse(self) -> int:
        """The number of specified elements."""
        return self.data.shape[0]

    def __len__(self) -> int:
        return self.shape[0]

    def __hash__(self) -> int:
        raise TypeError(
            located(
                f"unhashable type: {type(self).__name__!r}",
                "its elements may be traced",
                "id(x) for a key of the object",
            )
        )


@register_pytree_node_class
class BCOO(JAXSparse):
    """Elements and where they are: `data[k]` at `indices[k]`, which may name a place again.

    args: (data, indices), of shapes (nse,) and (nse, number of dimensions). shape: of the whole.
    indices_sorted, unique_indices: what is promised of the indices. Indices beyond the shape are
    padding: they name nothing. Raises NotImplementedError for batch or dense dimensions, ValueError
    for what does not fit together.
    """

    n_batch = n_dense = 0

    def __init__(
        self,
        args: tuple[Any, Any],
        *,
        shape: Sequence[int],
        indices_sorted: bool = False,
        unique_indices: bool = False,
    ) -> None:
        if not isinstance(args, tuple | list) or len(args) != 2:
            raise TypeError(
                located(
                    f"BCOO takes a pair, got {type(args).__name__}",
                    "it is made of elements and of their indices",
                    "BCOO((data, indices), shape=shape), or BCOO.fromdense(matrix)",
                )
            )
        self.data, self.indices = map(fnp.asarray, args)
        self.shape = tuple(static_integer(n, "shape") for n in shape)
        self.indices_sorted, self.unique_indices = indices_sorted, unique_indices
        data, indices = typeof(self.data).shape, typeof(self.indices).shape
        if len(data) != 1 or len(indices) != 2:
            raise NotImplementedError(
                located(
                    f"BCOO: data of shape {data} with indices of shape {indices} has batch or "
                    "dense dimensions",
                    "only (nse,) and (nse, number of dimensions) are supported here",
                    "vmap over arrays without them, or a dense array",
                )
            )
        if indices != (data[0], len(self.shape)):
            raise ValueError(
                located(
                    f"BCOO: indices of shape {indices} do not fit data of shape {data} and shape "
                    f"{self.shape}",
                    attempt=f"indices of shape {(data[0], len(self.shape))}",
                )
            )

    @property
    def n_sparse(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"BCOO({typeof(self.data).dtype}{list(self.shape)}, nse={self.nse})"

    def tree_flatten(self) -> tuple[Any, Any]:
        return (self.data, self.indices), (self.shape, self.indices_sorted, self.unique_indices)

    @classmethod
    def tree_unflatten(cls, known: Any, children: Any) -> BCOO:
        made = object.__new__(cls)  # children may be anything that stands for arrays
        made.data, made.indices = children
        made.shape, made.indices_sorted, made.unique_indices = known
        return made

    # --- from and to dense arrays ---
    @classmethod
    def fromdense(
        cls,
        mat: Any,
        *,
        nse: int | None = None,
        index_dtype: Any = np.int32,
        n_dense: int = 0,
        n_batch: int = 0,
    ) -> BCOO:
        """The elements of a dense array that are not zero; nse: how many, needed inside jit."""
        if n_dense or n_batch:
            raise NotImplementedError(
                located(
                    f"BCOO.fromdense: n_batch={n_batch}, n_dense={n_dense} are not supported",
                    attempt="0 for both, and vmap",
                )
            )
        mat = fnp.asarray(mat)
        if nse is None:
            if isinstance(mat, Tracer):
                raise ValueError(
                    located(
                        "BCOO.fromdense: how many elements a traced array has is not known",
                        "shapes of compiled programs are fixed",
                        "nse=..., at least as many as are not zero",
                    )
                )
            nse = int(fnp.count_nonzero(mat))
        shape = typeof(mat).shape
        if not shape:
            data = fnp.zeros((nse,), typeof(mat).dtype).at[:1].set(mat)
            return cls((data, fnp.zeros((nse, 0), index_dtype)), shape=())
        places = fnp.nonzero(mat, size=nse, fill_value=shape)
        data = mat.at[places].get(mode="fill", fill_value=0)
        columns = [p.astype(index_dtype) for p in places]
        indices = fnp.stack(columns, -1) if columns else fnp.zeros((nse, 0), index_dtype)
        return cls((data, indices), shape=shape, indices_sorted=True, unique_indices=True)

    @classmethod
    def from_scipy_sparse(
        cls, mat: Any, *, index_dtype: Any = None, n_dense: int = 0, n_batch: int = 0
    ) -> BCOO:
        """A sparse matrix of SciPy. Raises NotImplementedError for batch or dense dimensions."""
        if n_dense or n_batch:
            raise NotImplementedError(
                located(
                    f"BCOO.from_scipy_sparse: n_batch={n_batch}, n_dense={n_dense} are not "
                    "supported",
                    attempt="0 for both",
                )
            )
        mat = mat.tocoo()
        indices = np.stack([mat.row, mat.col], -1).astype(index_dtype or np.int32)
        return cls((fnp.asarray(mat.data), fnp.asarray(indices)), shape=mat.shape)

    def todense(self) -> Any:
        """The dense array; what indices name several times is added."""
        zeros = fnp.zeros(self.shape, self.dtype)
        if not self.shape:
            return fnp.sum(self.data)
        return zeros.at[tuple(self._columns())].add(self.data, mode="drop")

    def _columns(self) -> list[Any]:
        return [self.indices[:, k] for k in range(self.ndim)]

    # --- changes ---
    def transpose(self, axes: Sequence[int] | None = None) -> BCOO:
        """Dimensions in another order; reversed by default."""
        order = tuple(range(self.ndim))[::-1] if axes is None else tuple(axes)
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(
                located(
                    f"BCOO.transpose: axes {order} are no order of {self.ndim} dimensions",
                    attempt=f"each of 0 … {self.ndim - 1} once",
                )
            )
        columns = self._columns()
        indices = fnp.stack([columns[k] for k in order], -1) if columns else self.indices
        shape = tuple(self.shape[k] for k in order)
        return BCOO((self.data, indices), shape=shape, unique_indices=self.unique_indices)

    @property
    def T(self) -> BCOO:  # noqa: N802
        return self.transpose()

    def _with(self, data: Any) -> BCOO:
        return BCOO(
            (data, self.indices), shape=self.shape, indices_sorted=self.indices_sorted,
            unique_indices=self.unique_indices,
        )  # fmt: skip

    def astype(self, dtype: Any) -> BCOO:
        """The same elements in another dtype."""
        return self._with(self.data.astype(dtype))

    def sort_indices(self) -> BCOO:
        """The same elements in row-major order."""
        columns = self._columns()
        order = fnp.lexsort(columns[::-1]) if columns else fnp.arange(self.nse)
        return BCOO(
            (self.data[order], self.indices[order]), shape=self.shape, indices_sorted=True,
            unique_indices=self.unique_indices,
        )  # fmt: skip

    def sum(self, axis: Any = None) -> Any:
        """The sum over dimensions, as a dense array."""
        return fnp.sum(self.todense() if axis is not None else self.data, axis)

    def block_until_ready(self) -> BCOO:
        return self

    # --- arithmetic ---
    def __neg__(self) -> BCOO:
        return self._with(fnp.negative(self.data))

    def __mul__(self, other: Any) -> BCOO:
        """Times a number, or element by element times a dense array of the same shape."""
        other = self._operand("*", other)
        shape = typeof(other).shape
        if shape not in ((), self.shape):
            raise NotImplementedError(
                located(
                    f"BCOO of shape {self.shape} * array of shape {shape}",
                    "only numbers and arrays of the same shape are supported",
                    "broadcast_to first, or x.todense()",
                )
            )
        if shape:
            other = other.at[tuple(self._columns())].get(mode="fill", fill_value=0)
        return self._with(fnp.multiply(self.data, other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> BCOO:
        return self * fnp.divide(1, self._operand("/", other))

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, BCOO):
            return fnp.add(self.todense(), self._operand("+", other))
        if other.shape != self.shape:
            raise ValueError(
                located(
                    f"BCOO of shape {self.shape} + BCOO of shape {other.shape}",
                    attempt="arrays of one shape",
                )
            )
        data = fnp.concatenate(promote_dtypes(self.data, other.data))
        return BCOO((data, fnp.concatenate([self.indices, other.indices])), shape=self.shape)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + (-other if isinstance(other, BCOO) else fnp.negative(other))

    def __matmul__(self, other: Any) -> Any:
        """The product with a dense vector or matrix, which is dense."""
        if isinstance(other, BCOO):
            return self @ other.todense()
        other = self._operand("@", other)
        shape = typeof(other).shape
        if self.ndim != 2 or len(shape) not in (1, 2) or shape[0] != self.shape[1]:
            raise TypeError(
                located(
                    f"BCOO of shape {self.shape} @ array of shape {shape}",
                    "a matrix of n columns multiplies a vector or matrix of n rows",
                    "x.T, or x.todense()",
                )
            )
        rows, columns = self._columns()
        data, other = promote_dtypes(self.data, other)
        parts = other.at[columns].get(mode="fill", fill_value=0)
        parts = fnp.multiply(data.reshape((-1,) + (1,) * (len(shape) - 1)), parts)
        result = fnp.zeros((self.shape[0], *shape[1:]), parts.dtype)
        return result.at[rows].add(parts, mode="drop")

    def __rmatmul__(self, other: Any) -> Any:
        other = self._operand("@", other)
        if typeof(other).ndim > 2:
            raise NotImplementedError(
                located(
                    f"array of shape {typeof(other).shape} @ BCOO",
                    attempt="vmap over the leading dimensions",
                )
            )
        return (self.T @ other.T).T

    def _operand(self, sign: str, other: Any) -> Any:
        if isinstance(other, JAXSparse):
            raise NotImplementedError(
                located(f"BCOO {sign} {type(other).__name__}", attempt="x.todense() of one of them")
            )
        return fnp.asarray(other)


def bcoo_fromdense(mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> BCOO:
    """`BCOO.fromdense`."""
    return BCOO.fromdense(mat, nse=nse, index_dtype=index_dtype)


def bcoo_todense(mat: BCOO) -> Any:
    """`mat.todense()`."""
    return mat.todense()
