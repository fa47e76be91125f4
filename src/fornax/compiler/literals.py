"""Kernels that differ in numbers only become one, which reads the numbers.

Unrolled loops write the same step with other constants: a schedule's rates, the scale of layer k.
With the numbers in its code every step would be a kernel of its own to compile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fornax.compiler.groups import Fusion
from fornax.compiler.signatures import Signature
from fornax.ir.jaxpr import Equation, Literal, Var

#: floating numbers may be read from memory; integers stay, they may be indices
KINDS = "fVc"


def lift(fusion: Fusion, signatures: Iterable[Signature]) -> dict[Var, Literal]:
    """Give variables to literals in which groups differ that are equal otherwise.

    The definitions of `fusion` are changed; the result tells which literal each variable holds.
    """
    alike: dict[tuple[Any, ...], list[Signature]] = {}
    for signature in signatures:
        alike.setdefault(signature.shape, []).append(signature)
    changes: dict[Equation, dict[int, Var]] = {}
    lifted: dict[Var, Literal] = {}
    for group in alike.values():
        if len({s.numbers for s in group}) == 1:
            continue
        for place in range(len(group[0].literals)):
            if len({s.numbers[place] for s in group}) == 1:
                continue
            for signature in group:
                equation, position = signature.literals[place]
                literal = equation.inputs[position]
                definition = fusion.definition.get(equation.outputs[0])
                assert isinstance(literal, Literal), "signatures say where literals are"
                if literal.type.dtype.kind in KINDS and definition is equation:
                    variables = changes.setdefault(equation, {})
                    if position not in variables:
                        variables[position] = Var(literal.type)
                        lifted[variables[position]] = literal
    for equation, variables in changes.items():
        inputs = tuple(variables.get(k, atom) for k, atom in enumerate(equation.inputs))
        changed = equation.replace(inputs=inputs)
        for var in equation.outputs:
            fusion.definition[var] = changed
    return lifted
