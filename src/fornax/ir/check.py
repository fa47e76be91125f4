"""Checks a program: scoping, single assignment, types. Run after every pass in the tests."""

from __future__ import annotations

from fornax.errors import JaxprCheckError
from fornax.ir.jaxpr import Jaxpr, Literal, Var, subprograms
from fornax.ir.types import ArrayType


def same(a: ArrayType, b: ArrayType) -> bool:
    """Equal up to weak types."""
    return a.shape == b.shape and a.dtype == b.dtype


def check(jaxpr: Jaxpr) -> None:
    """Raise JaxprCheckError if the program is ill-formed."""
    bound: set[Var] = set()
    for var in jaxpr.inputs:
        if var in bound:
            raise JaxprCheckError(f"input {var} is bound twice")
        bound.add(var)
    for position, equation in enumerate(jaxpr.equations):
        where = f"equation {position} ({equation.primitive.name})"
        for atom in equation.inputs:
            if isinstance(atom, Var) and atom not in bound:
                raise JaxprCheckError(f"{where} reads {atom}, which is not in scope")
            if isinstance(atom, Literal) and atom.type.shape:
                raise JaxprCheckError(f"{where} has a literal that is not a scalar: {atom}")
        for name, program in subprograms(equation.params):
            if program.consts:
                raise JaxprCheckError(f"{where}: the program in {name} owns constants")
            check(program)
        types = equation.primitive.type(*(a.type for a in equation.inputs), **equation.params)
        if len(types) != len(equation.outputs):
            raise JaxprCheckError(
                f"{where} has {len(equation.outputs)} outputs, its type rule gives {len(types)}"
            )
        for var, expected in zip(equation.outputs, types, strict=True):
            if not same(var.type, expected):
                raise JaxprCheckError(
                    f"{where}: output has type {var.type.short()}, its type rule gives "
                    f"{expected.short()}"
                )
            if var in bound:
                raise JaxprCheckError(f"{where} binds {var} a second time")
            bound.add(var)
    for atom in jaxpr.outputs:
        if isinstance(atom, Var) and atom not in bound:
            raise JaxprCheckError(f"output {atom} is not in scope")
