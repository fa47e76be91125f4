"""Operations that hold programs and of whose results some depend on chosen operands, some do not.

A derivative rule may call what computes values and their tangents together: `jvp` of a function
with a loop in it gives one loop. Where values are known and tangents are not, or where only the
tangents are linear, the loop must be two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.jaxpr import Equation, Var
from fornax.ir.primitive import Primitive


def dependent_outputs(
    primitive: Primitive, params: dict[str, Any], flags: Sequence[bool], count: int
) -> list[bool]:
    """Which of `count` results depend on a flagged operand: all, unless the primitive has a rule
    `depends(flags, **params)`."""
    if not any(flags):
        return [False] * count
    rule = getattr(primitive, "depends", None)
    return [True] * count if rule is None or all(flags) else rule(flags, **params)


def separated(equation: Equation, flags: Sequence[bool]) -> tuple[Equation | None, Equation | None]:
    """(what does not depend on flagged operands, what does); None for a part that is empty.

    The second may take results of the first that are none of the equation. Operations with effects
    bring a rule `parts(equation, flags, found)` for that, where `found` says which results depend.
    """
    primitive, params = equation.primitive, equation.params
    if primitive.pure and not hasattr(primitive, "depends") and any(flags):
        return None, equation
    found = dependent_outputs(primitive, params, flags, len(equation.outputs))
    if equation.effects:
        parts: Any = getattr(primitive, "parts", None)
        return (None, equation) if parts is None else parts(equation, flags, found)
    if all(found):
        return None, equation
    prune: Any = primitive.dce  # type: ignore[attr-defined]  # comes with `depends`
    known = prune([not flag for flag in found], equation)
    if not any(found):
        return known, None
    rest = prune(found, equation)
    # a loop may have to give more than is asked for: that is known by the other part
    wanted = {v for v, flag in zip(equation.outputs, found, strict=True) if flag}
    outputs = tuple(v if v in wanted else Var(v.type) for v in rest.outputs)
    return known, Equation(rest.primitive, rest.inputs, rest.params, outputs, rest.source)
