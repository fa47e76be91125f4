"""Run a program, one operation after another, under the current trace."""

from __future__ import annotations

from typing import Any

from fornax.ir.jaxpr import Jaxpr, Literal, Var
from fornax.source import located, stand_for


def last_uses(jaxpr: Jaxpr) -> dict[Var, int]:
    """Position of the last equation that reads each variable (outputs: past the end)."""
    last: dict[Var, int] = {}
    for i, equation in enumerate(jaxpr.equations):
        for atom in equation.inputs:
            if isinstance(atom, Var):
                last[atom] = i
    for atom in jaxpr.outputs:
        if isinstance(atom, Var):
            last[atom] = len(jaxpr.equations)
    return last


def evaluate(jaxpr: Jaxpr, *args: Any) -> list[Any]:
    """The outputs for these arguments. Values are dropped after their last use.

    What an operation does stands for the line that it was recorded from.
    """
    if len(args) + len(jaxpr.consts) != len(jaxpr.inputs):
        count = len(jaxpr.inputs) - len(jaxpr.consts)
        raise TypeError(
            located(
                f"program {jaxpr.debug_name!r} takes {count} arguments, got {len(args)}",
                "a program takes the leaves of its arguments, one by one",
                "*tree_util.tree_leaves(arguments)",
            )
        )
    last = jaxpr.memo.get("last_uses")
    if last is None:
        last = jaxpr.memo["last_uses"] = last_uses(jaxpr)
    env: dict[Var, Any] = dict(zip(jaxpr.inputs, (*jaxpr.consts, *args), strict=True))
    before = stand_for(None)
    try:
        for i, equation in enumerate(jaxpr.equations):
            operands = [literal(a) if isinstance(a, Literal) else env[a] for a in equation.inputs]
            stand_for(equation.source or before)
            results = equation.primitive.bind(*operands, **equation.params)
            for var, value in zip(equation.outputs, results, strict=True):
                if var in last:
                    env[var] = value
            for atom in equation.inputs:
                if isinstance(atom, Var) and last[atom] == i:
                    env.pop(atom, None)
    finally:
        stand_for(before)
    return [literal(a) if isinstance(a, Literal) else env[a] for a in jaxpr.outputs]


def literal(atom: Literal) -> Any:
    """The value of a literal with its exact type: a Python scalar only if weakly typed."""
    return atom.value
