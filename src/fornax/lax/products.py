"""Products of arrays that sum over dimensions."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from fornax import settings
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.primitives.dot import dot_general_p

__all__ = [
    "DotDimensionNumbers",
    "Precision",
    "PrecisionLike",
    "batch_matmul",
    "dot",
    "dot_general",
]


class Precision(enum.Enum):
    """How exact a product must be. Every product here is as exact as its dtype allows."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    __str__ = __repr__


PrecisionLike = Any
DotDimensionNumbers = tuple[
    tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]
]

_SPELLINGS = {
    "default": Precision.DEFAULT, "fastest": Precision.DEFAULT, "bfloat16": Precision.DEFAULT,
    "high": Precision.HIGH, "bfloat16_3x": Precision.HIGH, "tensorfloat32": Precision.HIGH,
    "highest": Precision.HIGHEST, "float32": Precision.HIGHEST, "bfloat16_6x": Precision.HIGHEST,
}  # fmt: skip


def canonical_precision(precision: PrecisionLike) -> tuple[Precision, Precision] | None:
    """One precision per operand. Raises ValueError for what is not a precision."""
    if precision is None:
        return None
    if isinstance(precision, Precision):
        return precision, precision
    if isinstance(precision, str):
        if precision not in _SPELLINGS:
            raise ValueError(f"Precision spec {precision!r} is not one of {', '.join(_SPELLINGS)}")
        return _SPELLINGS[precision], _SPELLINGS[precision]
    if isinstance(precision, tuple | list) and len(precision) == 2:
        first, second = (canonical_precision(p) or (Precision.DEFAULT,) for p in precision)
        return first[0], second[0]
    raise ValueError(
        "Precision must be None, a string, a lax.Precision value or a pair of them, got "
        f"{precision!r}"
    )


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: DotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Products summed over contracting dimensions, for every batch index.

    dimension_numbers: ((lhs contracting, rhs contracting), (lhs batch, rhs batch)). The result has
    the batch dimensions, the other ones of lhs, the other ones of rhs, and
    `preferred_element_type` if given. Raises TypeError for dimensions that do not fit.
    """
    (lhs_contracting, rhs_contracting), (lhs_batch, rhs_batch) = dimension_numbers
    numbers = (
        (_indices(lhs_contracting), _indices(rhs_contracting)),
        (_indices(lhs_batch), _indices(rhs_batch)),
    )
    params: dict[str, Any] = {"dimension_numbers": numbers}
    if precision is None:
        precision = settings.current().default_matmul_precision
    if precision is not None:
        params["precision"] = canonical_precision(precision)
    if preferred_element_type is not None:
        params["preferred_element_type"] = requested(preferred_element_type)
    return dot_general_p.bind(lhs, rhs, **params)[0]


def _indices(dimensions: Sequence[int]) -> tuple[int, ...]:
    return tuple(d.__index__() for d in dimensions)


def dot(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: DotDimensionNumbers | None = None,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Product of vectors and matrices: the last dimension of lhs with the first of rhs.

    With `dimension_numbers`, the same as `dot_general`. Raises TypeError for shapes that do not
    fit.
    """
    if dimension_numbers is None:
        left, right = typeof(lhs).shape, typeof(rhs).shape
        if not (1 <= len(left) <= 2 and 1 <= len(right) <= 2 and left[-1] == right[0]):
            raise TypeError(f"Incompatible shapes for dot: got {left} and {right}.")
        dimension_numbers = (((len(left) - 1,), (0,)), ((), ()))
    return dot_general(
        lhs, rhs, dimension_numbers, precision, preferred_element_type, out_sharding=out_sharding
    )


def batch_matmul(lhs: Any, rhs: Any, precision: PrecisionLike = None) -> Any:
    """Matrix products of two stacks of matrices with equal leading dimensions."""
    left, right = typeof(lhs).shape, typeof(rhs).shape
    if len(left) < 2 or len(right) < 2:
        raise ValueError(f"Arguments to batch_matmul must be at least 2D, got {left}, {right}")
    if len(left) != len(right):
        raise ValueError(f"Arguments to batch_matmul must have same ndim, got {left}, {right}")
    batch = tuple(range(len(left) - 2))
    numbers = (((len(left) - 1,), (len(left) - 2,)), (batch, batch))
    return dot_general(lhs, rhs, numbers, precision)
