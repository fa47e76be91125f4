"""What programs hand on: results that are inputs, also by way of functions with rules.

A function whose rules close over a reference takes its value and gives it back. It is the same
until a transformation runs such a rule, so it may not be replaced by the input, but for the
examples of vmap it is as much one as the input is.
"""

from __future__ import annotations

from fornax.ir.jaxpr import Jaxpr, Var

__all__ = ["handed_on", "origin"]


def origin(jaxpr: Jaxpr, position: int) -> int | None:
    """The position among all inputs of the one that an output is; None if it is computed."""
    key = ("origin", position)
    if key not in jaxpr.memo:
        jaxpr.memo[key] = _followed(jaxpr, position)
    return jaxpr.memo[key]


def handed_on(jaxpr: Jaxpr, first: int, count: int) -> list[bool]:
    """Of the first `count` outputs: which are the inputs in the same places from `first` on."""
    return [origin(jaxpr, k) == first + k for k in range(count)]


def _followed(jaxpr: Jaxpr, position: int) -> int | None:
    atom = jaxpr.outputs[position]
    inputs = {v: i for i, v in enumerate(jaxpr.inputs)}
    for equation in reversed(jaxpr.equations):
        if not isinstance(atom, Var) or atom in inputs:
            break
        if atom in equation.outputs:
            operand = equation.primitive.hands_on(equation.outputs.index(atom), equation.params)
            if operand is None:
                return None
            atom = equation.inputs[operand]
    return inputs.get(atom) if isinstance(atom, Var) else None
