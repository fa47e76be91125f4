"""Products of arrays that sum over dimensions."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fornax import settings
from fornax.ir.requested import requested
from fornax.ir.static import static_integers
from fornax.ir.types import typeof
from fornax.primitives.dot import dot_general_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "DotAlgorithm",
    "DotAlgorithmPreset",
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


class DotAlgorithm(NamedTuple):
    """An algorithm for products: what operands are rounded to, and what products add up in.

    No processor here offers such a choice: products with one raise ValueError, as in JAX.
    """

    lhs_precision_type: Any
    rhs_precision_type: Any
    accumulation_type: Any
    lhs_component_count: int = 1
    rhs_component_count: int = 1
    num_primitive_operations: int = 1
    allow_imprecise_accumulation: bool = False


class DotAlgorithmPreset(enum.Enum):
    """Named algorithms for products: dtypes of lhs, rhs, and of the sum.

    Those that JAX takes on a CPU are taken, and all mean the same: as exact as the dtypes allow.
    The others raise ValueError.
    """

    DEFAULT = 1
    ANY_F8_ANY_F8_F32 = 2
    ANY_F8_ANY_F8_F32_FAST_ACCUM = 3
    ANY_F8_ANY_F8_ANY = 4
    ANY_F8_ANY_F8_ANY_FAST_ACCUM = 5
    F16_F16_F16 = 6
    F16_F16_F32 = 7
    BF16_BF16_BF16 = 8
    BF16_BF16_F32 = 9
    BF16_BF16_F32_X3 = 10
    BF16_BF16_F32_X6 = 11
    BF16_BF16_F32_X9 = 12
    TF32_TF32_F32 = 13
    TF32_TF32_F32_X3 = 14
    F32_F32_F32 = 15
    F64_F64_F64 = 16

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __str__(self) -> str:
        return self.name

    @property
    def supported_lhs_types(self) -> tuple[Any, ...] | None:
        """The dtypes that lhs may have; None for any."""
        first = self.name.split("_")[0]
        if first in ("DEFAULT", "ANY"):
            return None
        if self.name in ("BF16_BF16_BF16", "BF16_BF16_F32"):
            return dtypes.bfloat16.type, np.float32
        return ({"F16": np.float16, "F64": np.float64}.get(first, np.float32),)

    @property
    def supported_rhs_types(self) -> tuple[Any, ...] | None:
        """The dtypes that rhs may have; None for any."""
        return self.supported_lhs_types

    @property
    def accumulation_type(self) -> Any:
        """What products add up in; None if the result decides."""
        if self.name == "DEFAULT" or "F8_ANY" in self.name and not self.name.count("F32"):
            return None
        last = self.name.split("_")[2]
        return {"F16": np.float16, "BF16": dtypes.bfloat16.type, "F64": np.float64}.get(
            last, np.float32
        )


_PRESETS = DotAlgorithmPreset
#: the presets that make sense on a CPU
_SUPPORTED = {
    _PRESETS.DEFAULT, _PRESETS.F16_F16_F16, _PRESETS.BF16_BF16_F32, _PRESETS.BF16_BF16_F32_X3,
    _PRESETS.BF16_BF16_F32_X6, _PRESETS.F32_F32_F32, _PRESETS.F64_F64_F64,
}  # fmt: skip

PrecisionLike = Any
DotDimensionNumbers = tuple[
    tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]
]

_SPELLINGS = {
    "default": Precision.DEFAULT, "fastest": Precision.DEFAULT, "bfloat16": Precision.DEFAULT,
    "high": Precision.HIGH, "bfloat16_3x": Precision.HIGH, "tensorfloat32": Precision.HIGH,
    "highest": Precision.HIGHEST, "float32": Precision.HIGHEST, "bfloat16_6x": Precision.HIGHEST,
}  # fmt: skip


def canonical_precision(precision: PrecisionLike) -> Any:
    """A precision per operand, an algorithm, or None. Raises ValueError for anything else."""
    if precision is None:
        return None
    if isinstance(precision, Precision):
        return precision, precision
    if isinstance(precision, str):
        if precision in _SPELLINGS:
            return _SPELLINGS[precision], _SPELLINGS[precision]
        precision = DotAlgorithmPreset.__members__.get(precision, precision)
    if isinstance(precision, DotAlgorithm) or isinstance(precision, DotAlgorithmPreset):
        if precision not in _SUPPORTED:
            raise ValueError(
                located(
                    f"The precision '{precision}' is not supported by dot_general on CPU",
                    "processors here have no such instructions",
                    "one of " + ", ".join(sorted(p.name for p in _SUPPORTED)),
                )
            )
        return precision
    if isinstance(precision, tuple | list) and len(precision) == 2:
        if all(isinstance(p, Precision) for p in precision):
            return tuple(precision)
        if all(isinstance(p, str) and p in _SPELLINGS for p in precision):
            return _SPELLINGS[precision[0]], _SPELLINGS[precision[1]]
    raise ValueError(
        located(
            f"Precision argument must be one of None, a string ({', '.join(_SPELLINGS)}, or the "
            "name of a lax.DotAlgorithmPreset), a lax.Precision value, a tuple of two of those, "
            f"a lax.DotAlgorithmPreset or a lax.DotAlgorithm; but got {precision!r}.",
            attempt="precision='highest', or None",
        )
    )


def chosen_precision(precision: PrecisionLike) -> Any:
    """`canonical_precision` of a precision, or of the setting `default_matmul_precision`."""
    if precision is None:
        precision = settings.current().default_matmul_precision
    return canonical_precision(precision)


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
    try:
        (lhs_contracting, rhs_contracting), (lhs_batch, rhs_batch) = dimension_numbers
    except (TypeError, ValueError) as error:
        raise type(error)(
            located(
                f"dot_general: dimension_numbers={dimension_numbers!r:.80} do not have their form",
                "they are ((lhs contracting, rhs contracting), (lhs batch, rhs batch)), each a "
                "sequence of dimensions",
                "(((1,), (0,)), ((), ())) for a product of matrices",
            )
        ) from None
    numbers = (
        (_indices(lhs_contracting), _indices(rhs_contracting)),
        (_indices(lhs_batch), _indices(rhs_batch)),
    )
    params: dict[str, Any] = {"dimension_numbers": numbers}
    precision = chosen_precision(precision)
    if precision is not None:
        params["precision"] = precision
    if preferred_element_type is not None:
        params["preferred_element_type"] = requested(preferred_element_type)
    return dot_general_p.bind(lhs, rhs, **params)[0]


def _indices(dimensions: Sequence[int]) -> tuple[int, ...]:
    return static_integers(dimensions, "dimensions")


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

    With `dimension_numbers`, the same as `dot_general`. Raises ValueError for shapes that do not
    fit.
    """
    if dimension_numbers is None:
        left, right = typeof(lhs).shape, typeof(rhs).shape
        if not (1 <= len(left) <= 2 and 1 <= len(right) <= 2 and left[-1] == right[0]):
            raise ValueError(
                located(
                    "jax.lax.dot: dimension_numbers must be specified for other operands than "
                    f"vectors and matrices that fit: got {left} and {right}.",
                    attempt="x.T, so that the last dimension of the left is the first of the right",
                )
            )
        dimension_numbers = (((len(left) - 1,), (0,)), ((), ()))
    return dot_general(
        lhs, rhs, dimension_numbers, precision, preferred_element_type, out_sharding=out_sharding
    )


def batch_matmul(lhs: Any, rhs: Any, precision: PrecisionLike = None) -> Any:
    """Matrix products of two stacks of matrices with equal leading dimensions."""
    left, right = typeof(lhs).shape, typeof(rhs).shape
    if len(left) < 2 or len(right) < 2:
        raise ValueError(
            located(
                f"Arguments to batch_matmul must be at least 2D, got {left}, {right}",
                attempt="x[None, :] or x[:, None]",
            )
        )
    if len(left) != len(right):
        raise ValueError(
            located(
                f"Arguments to batch_matmul must have same ndim, got {left}, {right}",
                attempt="x[None] for the one with fewer dimensions; numpy.matmul broadcasts them",
            )
        )
    batch = tuple(range(len(left) - 2))
    numbers = (((len(left) - 1,), (len(left) - 2,)), (batch, batch))
    return dot_general(lhs, rhs, numbers, precision)
