"""Transposition: run a linear program backwards, from cotangents of outputs to inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.basis import add
from fornax.ir.evaluate import literal
from fornax.ir.jaxpr import Atom, Jaxpr, Literal, Var
from fornax.ir.late import RefsFromOutside
from fornax.ir.primitive import Linear, Zero
from fornax.source import stand_for
from fornax.transforms.mixed import separated


def transpose_program(jaxpr: Jaxpr, args: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """Cotangents of the `Linear` args of a program that is linear in them.

    args: one per input after the constants: a value, or a `Linear` placeholder. cotangents: one
    per output, possibly `Zero`. Returns one per arg: a cotangent, `Zero`, or None for values.
    What depends on no linear input is evaluated; the rest is walked backwards, so the
    order in which cotangents are added is fixed.
    """
    env: dict[Var, Any] = dict(zip(jaxpr.inputs, (*jaxpr.consts, *args), strict=True))
    grads: dict[Var, Any] = {}

    def read(atom: Atom) -> Any:
        return literal(atom) if isinstance(atom, Literal) else env[atom]

    linear_equations = []
    for equation in jaxpr.equations:
        flags = [not isinstance(a, Literal) and env[a].__class__ is Linear for a in equation.inputs]
        known, linear = separated(equation, flags) if True in flags else (equation, None)
        if known is not None:
            operands = [read(a) for a in known.inputs]
            values = known.primitive.bind(*operands, **known.params)
            env.update(zip(known.outputs, values, strict=True))
        if linear is not None:
            linear_equations.append(linear)
            for var in linear.outputs:
                env[var] = Linear(var.type)

    def accumulate(atom: Atom, cotangent: Any) -> None:
        if cotangent is None or isinstance(cotangent, Zero) or isinstance(atom, Literal):
            return
        if isinstance(env[atom], Linear):
            grads[atom] = add(grads[atom], cotangent) if atom in grads else cotangent

    for atom, cotangent in zip(jaxpr.outputs, cotangents, strict=True):
        accumulate(atom, cotangent)
    for equation in reversed(linear_equations):
        if grads.keys().isdisjoint(equation.outputs) and all(
            effect.innocuous for effect in equation.effects
        ):
            continue
        outs = []
        for var in equation.outputs:
            grad = grads.pop(var, None)
            outs.append(Zero(var.type.tangent()) if grad is None else grad)
        operands = [read(a) for a in equation.inputs]
        before = stand_for(equation.source)  # what goes backwards is there because of that line
        try:
            ins = equation.primitive.transpose(outs, *operands, **equation.params)
        except RefsFromOutside as error:
            inner = equation.primitive.in_the_open(error, equation.params)
            ins = transpose_program(inner, operands, outs)
        finally:
            stand_for(before)
        for atom, cotangent in zip(equation.inputs, ins, strict=True):
            accumulate(atom, cotangent)
    results = []
    for var, arg in zip(jaxpr.inputs[len(jaxpr.consts) :], args, strict=True):
        if isinstance(arg, Linear):
            results.append(grads.get(var, Zero(var.type.tangent())))
        else:
            results.append(None)
    return results


def backward(jaxpr: Jaxpr, cotangents: Sequence[Any]) -> list[Any]:
    """Cotangents of all arguments of a program that is linear in all of them."""
    return transpose_program(jaxpr, [Linear(t) for t in jaxpr.in_types], cotangents)
