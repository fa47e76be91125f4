"""Types and values behind the transformations: JAX's `jax.core`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from fornax.api.inspect import ensure_compile_time_eval
from fornax.api.references import eval_program
from fornax.ir.jaxpr import Atom, Jaxpr
from fornax.ir.trace import Trace, Tracer
from fornax.ir.types import ArrayType

__all__ = [
    "AbstractValue", "Atom", "ParamDict", "ShapedArray", "Trace", "Tracer", "Value",
    "ensure_compile_time_eval", "eval_context", "eval_jaxpr", "max_dim", "min_dim",
]  # fmt: skip

ParamDict = dict[str, Any]
Value = Any
eval_context = ensure_compile_time_eval

#: the type of an array; there are no other types of values
ShapedArray = AbstractValue = ArrayType


def eval_jaxpr(
    jaxpr: Jaxpr, consts: Sequence[Any], *args: Any, propagate_source_info: bool = True
) -> list[Any]:
    """The outputs of a program for constants and arguments, one operation after another.

    A mutable reference may stand in the place of its value, where the program was made for one; it
    gets its new value, which is no output then. propagate_source_info: accepted; an operation
    always knows the line that asked for it.
    """
    del propagate_source_info
    return eval_program(jaxpr, consts, args)


def min_dim(d1: int, d2: int) -> int:
    """The smaller of two sizes of dimensions. Raises TypeError for what is no size."""
    return min(operator.index(d1), operator.index(d2))


def max_dim(d1: int, d2: int) -> int:
    """The larger of two sizes of dimensions. Raises TypeError for what is no size."""
    return max(operator.index(d1), operator.index(d2))
