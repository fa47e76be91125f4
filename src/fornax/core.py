"""Types and values behind the transformations: JAX's `jax.core`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Atom, Jaxpr
from fornax.ir.trace import Trace, Tracer
from fornax.ir.types import ArrayType

__all__ = ["AbstractValue", "Atom", "ShapedArray", "Trace", "Tracer", "eval_jaxpr"]

#: the type of an array; there are no other types of values
ShapedArray = AbstractValue = ArrayType


def eval_jaxpr(jaxpr: Jaxpr, consts: Sequence[Any], *args: Any) -> list[Any]:
    """The outputs of a program for constants and arguments, one operation after another."""
    return evaluate(jaxpr.without_consts(), *consts, *args)
