"""Sorting: sort, sort_key_val, top_k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.shapes import canonical_axis
from fornax.primitives.elementwise import neg_p
from fornax.primitives.sort import sort_p, top_k_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["approx_max_k", "approx_min_k", "sort", "sort_key_val", "top_k"]


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sort one array, or several of one shape by the first `num_keys` of them.

    Args:
      operand: array, or sequence of arrays.
      dimension: the dimension to sort along.
      is_stable: whether elements with equal keys must keep their order (they always do).
      num_keys: how many of the operands are compared, in order.

    NaN comes last. Returns an array for an array, a tuple for a sequence. Raises TypeError for
    different shapes or no operands, ValueError for a bad dimension or number of keys.
    """
    several = isinstance(operand, Sequence)
    operands = tuple(operand) if several else (operand,)
    if not operands:
        raise TypeError(
            located(
                "Sort requires at least one operand", attempt="lax.sort((keys, values), num_keys=1)"
            )
        )
    if not 1 <= num_keys <= len(operands):
        raise ValueError(
            located(
                f"{num_keys=} must be between 1 and len(operand)={len(operands)}",
                attempt="num_keys=1, the default",
            )
        )
    dimension = canonical_axis(dimension, typeof(operands[0]).ndim)
    outputs = sort_p.bind(
        *operands, dimension=dimension, is_stable=bool(is_stable), num_keys=num_keys
    )
    return tuple(outputs) if several else outputs[0]


def sort_key_val(
    keys: Any, values: Any, dimension: int = -1, is_stable: bool = True
) -> tuple[Any, Any]:
    """Sort `keys` along a dimension and bring `values`, of the same shape, into the same order."""
    dimension = canonical_axis(dimension, typeof(keys).ndim)
    k, v = sort_p.bind(keys, values, dimension=dimension, is_stable=bool(is_stable), num_keys=1)
    return k, v


def top_k(operand: Any, k: int, *, axis: int = -1) -> list[Any]:
    """The `k` largest elements along `axis`, largest first, and their positions (int32).

    Of equal elements the earlier comes first; NaN counts as largest. Raises ValueError for a `k`
    larger than the dimension, and for complex arrays.
    """
    axis = canonical_axis(axis, typeof(operand).ndim)
    return top_k_p.bind(operand, k=static_integer(k, "k"), axis=axis)


def _check_floating(operand: Any) -> None:
    dtype = typeof(operand).dtype
    if not dtypes.is_floating(dtype):
        raise ValueError(
            located(
                f"operand must be a floating type, got {dtype}",
                attempt="top_k, which takes integers, too",
            )
        )


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> list[Any]:
    """The `k` largest elements and their positions, like `top_k`; here they are always exact.

    Raises ValueError if the elements are no floats, or for another k than `top_k` takes.
    """
    _check_floating(operand)
    values, positions = top_k(operand, k, axis=reduction_dimension)
    return [values, positions]


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> list[Any]:
    """The `k` smallest elements and their positions, smallest first; they are always exact.

    Raises ValueError if the elements are no floats, or for another k than `top_k` takes.
    """
    _check_floating(operand)
    values, positions = top_k(neg_p(operand), k, axis=reduction_dimension)
    return [neg_p(values), positions]
