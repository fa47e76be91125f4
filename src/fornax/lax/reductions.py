"""Reductions over axes, positions of extremes, and running combinations along an axis.

Axes are dimensions of the operand, not negative. Dtypes are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import pytree
from fornax.api.tracing import trace_types
from fornax.ir.basis import reduce_sum_p
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Primitive
from fornax.ir.requested import requested
from fornax.ir.static import static_integer, static_integers
from fornax.ir.types import ArrayType, typeof
from fornax.primitives import argreduce, cumulative
from fornax.primitives import reduce as family
from fornax.primitives.combine import reduce_p
from fornax.primitives.family import LOGICAL, category
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "argmax",
    "argmin",
    "cumlogsumexp",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "reduce",
    "reduce_and",
    "reduce_max",
    "reduce_min",
    "reduce_or",
    "reduce_prod",
    "reduce_sum",
    "reduce_xor",
]


def _axes(axes: Sequence[int]) -> tuple[int, ...]:
    return static_integers(axes, "axes")


def reduce_sum(operand: Any, axes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """Sum over `axes`; float16 and bfloat16 are summed in float32. TypeError for booleans."""
    if typeof(operand).dtype == dtypes.bool_:
        raise TypeError(
            located(
                "reduce_sum does not accept dtype bool. Accepted dtypes are subtypes of number.",
                attempt="x.astype(int), or reduce_or",
            )
        )
    return reduce_sum_p.bind(operand, axes=_axes(axes))[0]


def _reduction(primitive: family.Reduction, line: str) -> Callable:
    def function(operand: Any, axes: Sequence[int]) -> Any:
        return primitive.bind(operand, axes=_axes(axes))[0]

    function.__name__ = function.__qualname__ = primitive.name
    function.__doc__ = line
    return function


def _logical(primitive: family.Reduction, line: str) -> Callable:
    def function(operand: Any, axes: Sequence[int]) -> Any:
        dtype = typeof(operand).dtype
        if (category(dtype) or "?") not in LOGICAL:
            raise TypeError(
                located(
                    f"logical reduction requires operand dtype bool or int, got {dtype.name}.",
                    attempt="x != 0, or x.astype(int)",
                )
            )
        return primitive.bind(operand, axes=_axes(axes))[0]

    function.__name__ = function.__qualname__ = primitive.name
    function.__doc__ = line
    return function


reduce_prod = _reduction(family.reduce_prod_p, "Product over `axes`, of numbers.")
reduce_max = _reduction(
    family.reduce_max_p, "Largest element over `axes`; NaN if there is one, -inf if empty."
)
reduce_min = _reduction(
    family.reduce_min_p, "Smallest element over `axes`; NaN if there is one, inf if empty."
)
reduce_and = _logical(family.reduce_and_p, "Bitwise (or logical) and over `axes`.")
reduce_or = _logical(family.reduce_or_p, "Bitwise (or logical) or over `axes`.")
reduce_xor = _logical(family.reduce_xor_p, "Bitwise (or logical) exclusive or over `axes`.")


#: operation of a computation of one step -> the reduction that does the same
_MONOIDS = {
    "add": reduce_sum_p, "mul": family.reduce_prod_p, "max": family.reduce_max_p,
    "min": family.reduce_min_p, "and": family.reduce_and_p, "or": family.reduce_or_p,
    "xor": family.reduce_xor_p,
}  # fmt: skip


def reduce(
    operands: Any,
    init_values: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
    out_sharding: Any = None,
) -> Any:
    """Combine elements along `dimensions` with an associative function.

    operands: a tree of arrays of one shape. init_values: scalars of the same structure and dtypes,
    combined first. computation: two trees of scalars to one. Raises TypeError for dtypes that do
    not match, ValueError for initial values that are no scalars or other numbers of results,
    NotImplementedError for a computation that closes over arrays.
    """
    leaves, structure = pytree.tree_flatten(operands)
    starts, start_structure = pytree.tree_flatten(init_values)
    if not leaves:
        raise ValueError(
            located(
                "reduce must have at least one operand.",
                attempt="reduce(x, init, function, dimensions)",
            )
        )
    if structure != start_structure:
        raise ValueError(
            located(
                "Operands must have the same tree structure as init_values: "
                f"{structure} vs. {start_structure}",
                attempt="an initial value for each operand, in the same containers",
            )
        )
    dimensions = _axes(dimensions)
    shapes = [typeof(s).shape for s in starts]
    if any(shapes):
        raise ValueError(
            located(
                f"reduce found non-scalar initial value: {shapes}",
                attempt="one number for each operand; add an array to the result",
            )
        )
    types = [ArrayType((), typeof(x).dtype) for x in leaves]
    scalars = pytree.tree_unflatten(structure, types)
    traced = trace_types(computation, (scalars, scalars), "reduce")
    program = traced.jaxpr
    if len(program.outputs) != len(leaves):
        raise ValueError(
            located(
                f"reduce: the computation of {len(leaves)} operands must give as many results, "
                f"got {len(program.outputs)}",
                attempt="return one value for each operand",
            )
        )
    if program.consts:
        raise NotImplementedError(
            located(
                "Reduction computations can't close over Tracers or arrays.",
                why="the computation is a program of scalars, of its arguments alone",
                attempt="close over numbers, or give the array as another operand",
            )
        )
    whole = _whole_reduction(program)
    if whole is not None:
        primitive, combine, neutral = whole
        if _is_number(starts[0], neutral(types[0].dtype)):  # of whatever dtype
            return pytree.tree_unflatten(
                traced.out_tree, primitive.bind(leaves[0], axes=dimensions)
            )
        if typeof(starts[0]).dtype == types[0].dtype:
            total = primitive.bind(leaves[0], axes=dimensions)[0]
            return pytree.tree_unflatten(traced.out_tree, combine.bind(starts[0], total))
    params = {"jaxpr": program, "dimensions": dimensions}
    return pytree.tree_unflatten(traced.out_tree, reduce_p.bind(*leaves, *starts, **params))


def _is_number(x: Any, number: Any) -> bool:
    """Whether x is known to be that number; a tracer is not, whatever stands behind it."""
    return isinstance(x, bool | int | float | complex | np.generic) and bool(x == number)


def _whole_reduction(program: Jaxpr) -> tuple[Primitive, Primitive, Callable] | None:
    """(reduction, operation, neutral element) for one operation on two inputs."""
    if len(program.equations) != 1 or len(program.inputs) != 2:
        return None
    (equation,) = program.equations
    primitive = _MONOIDS.get(equation.primitive.name)
    if primitive is None or tuple(program.outputs) != tuple(equation.outputs):
        return None
    if set(equation.inputs) != set(program.inputs):
        return None
    neutral = getattr(primitive, "start", lambda dtype: 0)
    return primitive, equation.primitive, neutral


def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Position of the first largest element (or NaN) along `axis`, as `index_dtype`."""
    return _position(argreduce.argmax_p, operand, axis, index_dtype)


def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Position of the first smallest element (or NaN) along `axis`, as `index_dtype`."""
    return _position(argreduce.argmin_p, operand, axis, index_dtype)


def _position(primitive, operand, axis, index_dtype):
    dtype = requested(index_dtype)
    return primitive.bind(operand, axes=(static_integer(axis, "axis"),), index_dtype=dtype)[0]


def _cumulative(primitive: cumulative.Cumulative, line: str) -> Callable:
    def function(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
        return primitive.bind(operand, axis=static_integer(axis, "axis"), reverse=bool(reverse))[0]

    function.__name__ = function.__qualname__ = primitive.name
    function.__doc__ = f"{line} along `axis`, from its end if `reverse`."
    return function


cumsum = _cumulative(cumulative.cumsum_p, "Running sum")
cumprod = _cumulative(cumulative.cumprod_p, "Running product")
cummax = _cumulative(cumulative.cummax_p, "Running maximum")
cummin = _cumulative(cumulative.cummin_p, "Running minimum")
cumlogsumexp = _cumulative(cumulative.cumlogsumexp_p, "Running log of the sum of exponentials")
