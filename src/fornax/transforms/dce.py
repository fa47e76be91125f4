"""Dead-code elimination."""

from __future__ import annotations

from collections.abc import Sequence

from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Var


def live_equations(equations: Sequence[Equation], outputs: Sequence[Atom]) -> list[Equation]:
    """The equations that the outputs need, or that have effects, in order."""
    needed = {a for a in outputs if isinstance(a, Var)}
    kept = []
    for equation in reversed(equations):
        effectful = bool(equation.effects)
        if effectful or not needed.isdisjoint(equation.outputs):
            prune = getattr(equation.primitive, "dce", None)
            if prune is not None and not effectful:
                equation = prune([v in needed for v in equation.outputs], equation)
            kept.append(equation)
            needed.update([a for a in equation.inputs if isinstance(a, Var)])
    kept.reverse()
    return kept


def dead_code(jaxpr: Jaxpr) -> Jaxpr:
    """The same program without equations that contribute nothing. Inputs stay."""
    kept = live_equations(jaxpr.equations, jaxpr.outputs)
    if len(kept) == len(jaxpr.equations) and all(
        a is b for a, b in zip(kept, jaxpr.equations, strict=True)
    ):
        return jaxpr
    return Jaxpr(jaxpr.inputs, tuple(kept), jaxpr.outputs, jaxpr.consts, jaxpr.debug_name)
