"""Index arithmetic: limits of integer dtypes, intervals and linear forms of integer expressions.

Every integer `Expr` has an interval [low, high], computed when `Builder` makes the node, from those
of its operands. Every int64 sum also has a linear form, sum(coefficient * part) + constant: every
sum that `Builder` makes is built from its form, so nothing here walks deep graphs. Linear forms
wrap like int64; division rules (`quotient`, `modulo`) are for indices, which do not overflow. What
happens for every node is in C++, `native/affine.cpp`.
"""

from __future__ import annotations

from fornax._native import (
    difference,
    is_sum,
    last_value,
    linear,
    modulo,
    operation_bounds,
    quotient,
    sum_of,
)
from fornax.compiler.loop.ir import WIDTH, Axis, Expr, is_float, is_signed
from fornax.scalars.formats import FORMATS

__all__ = [
    "depends_on_axis", "difference", "is_sum", "last_value", "limits", "linear", "modulo",
    "operation_bounds", "quotient", "sum_of", "wrap",
]  # fmt: skip


def bounds_of(dtype: str) -> tuple[int, int]:
    if dtype in FORMATS:
        return FORMATS[dtype].limits
    width = WIDTH[dtype]
    if dtype == "bool":
        return 0, 1
    if is_signed(dtype):
        return -(1 << (width - 1)), (1 << (width - 1)) - 1
    return 0, (1 << width) - 1


LIMITS = {dtype: bounds_of(dtype) for dtype in WIDTH if not is_float(dtype)}


def limits(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype or bool."""
    return LIMITS[dtype]


def wrap(value: int, dtype: str = "int64") -> int:
    """`value` modulo the width of an integer dtype."""
    low, high = LIMITS[dtype]
    return value if low <= value <= high else (value - low) % (high - low + 1) + low


def depends_on_axis(x: Expr, axes: set[Axis]) -> bool:
    """True when x depends on one of `axes`, or on values carried by loops."""
    seen: set[Expr] = set()
    stack = [x]
    while stack:
        node = stack.pop()
        if node.kind in ("carry", "final") or (node.kind == "axis" and node.data in axes):
            return True
        if node not in seen:
            seen.add(node)
            stack.extend(node.args)
    return False
