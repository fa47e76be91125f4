"""Reductions over axes, positions of extremes, and running combinations along an axis.

Axes are dimensions of the operand, not negative. Dtypes are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.ir.basis import reduce_sum_p
from fornax.ir.types import typeof
from fornax.primitives import argreduce, cumulative, reduce
from fornax.primitives.family import LOGICAL, category
from fornax.scalars import dtypes

__all__ = [
    "argmax",
    "argmin",
    "cumlogsumexp",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "reduce_and",
    "reduce_max",
    "reduce_min",
    "reduce_or",
    "reduce_prod",
    "reduce_sum",
    "reduce_xor",
]


def _axes(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(a.__index__() for a in axes)


def reduce_sum(operand: Any, axes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """Sum over `axes`; float16 and bfloat16 are summed in float32."""
    return reduce_sum_p.bind(operand, axes=_axes(axes))[0]


def _reduction(primitive: reduce.Reduction, line: str) -> Callable:
    def function(operand: Any, axes: Sequence[int]) -> Any:
        return primitive.bind(operand, axes=_axes(axes))[0]

    function.__name__ = function.__qualname__ = primitive.name
    function.__doc__ = line
    return function


def _logical(primitive: reduce.Reduction, line: str) -> Callable:
    def function(operand: Any, axes: Sequence[int]) -> Any:
        dtype = typeof(operand).dtype
        if (category(dtype) or "?") not in LOGICAL:
            raise TypeError(
                f"logical reduction requires operand dtype bool or int, got {dtype.name}."
            )
        return primitive.bind(operand, axes=_axes(axes))[0]

    function.__name__ = function.__qualname__ = primitive.name
    function.__doc__ = line
    return function


reduce_prod = _reduction(reduce.reduce_prod_p, "Product over `axes`, of numbers.")
reduce_max = _reduction(
    reduce.reduce_max_p, "Largest element over `axes`; NaN if there is one, -inf if empty."
)
reduce_min = _reduction(
    reduce.reduce_min_p, "Smallest element over `axes`; NaN if there is one, inf if empty."
)
reduce_and = _logical(reduce.reduce_and_p, "Bitwise (or logical) and over `axes`.")
reduce_or = _logical(reduce.reduce_or_p, "Bitwise (or logical) or over `axes`.")
reduce_xor = _logical(reduce.reduce_xor_p, "Bitwise (or logical) exclusive or over `axes`.")


def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Position of the first largest element (or NaN) along `axis`, as `index_dtype`."""
    return _position(argreduce.argmax_p, operand, axis, index_dtype)


def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Position of the first smallest element (or NaN) along `axis`, as `index_dtype`."""
    return _position(argreduce.argmin_p, operand, axis, index_dtype)


def _position(primitive, operand, axis, index_dtype):
    dtype = dtypes.canonical(index_dtype)
    return primitive.bind(operand, axes=(axis.__index__(),), index_dtype=dtype)[0]


def _cumulative(primitive: cumulative.Cumulative, line: str) -> Callable:
    def function(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
        return primitive.bind(operand, axis=axis.__index__(), reverse=bool(reverse))[0]

    function.__name__ = function.__qualname__ = primitive.name
    function.__doc__ = f"{line} along `axis`, from its end if `reverse`."
    return function


cumsum = _cumulative(cumulative.cumsum_p, "Running sum")
cumprod = _cumulative(cumulative.cumprod_p, "Running product")
cummax = _cumulative(cumulative.cummax_p, "Running maximum")
cummin = _cumulative(cumulative.cummin_p, "Running minimum")
cumlogsumexp = _cumulative(cumulative.cumlogsumexp_p, "Running log of the sum of exponentials")
