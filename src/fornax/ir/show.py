"""Prints programs in JAX's notation, with names that depend on the contents only."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var

_WIDTH = 90


def _name(number: int) -> str:
    letters = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return letters


class _Namer:
    """Gives variables names in order of appearance; inner programs share the sequence."""

    def __init__(self) -> None:
        self.names: dict[Var, str] = {}
        self.used: set[Var] = set()

    def __call__(self, atom: Atom, with_type: bool = False) -> str:
        if isinstance(atom, Literal):
            return f"{_scalar(atom.value)}:{atom.type.short()}"
        name = self.names.get(atom)
        if name is None:
            name = self.names[atom] = _name(len(self.names))
        return f"{name}:{atom.type.short()}" if with_type else name


def _scalar(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    return str(value)


def show(jaxpr: Jaxpr) -> str:
    """The program as text."""
    return "\n".join(_program(jaxpr, _Namer()))


Jaxpr.__str__ = Jaxpr.__repr__ = show  # type: ignore[method-assign,assignment]


def _program(jaxpr: Jaxpr, name: _Namer) -> list[str]:
    consts = " ".join(name(v, True) for v in jaxpr.constvars)
    inputs = " ".join(name(v, True) for v in jaxpr.invars)
    head = f"{{ lambda {consts}; {inputs}. let" if inputs else f"{{ lambda {consts}; . let"
    body = [line for e in jaxpr.equations for line in _equation(e, name)]
    outputs = ", ".join(name(a) for a in jaxpr.outputs)
    tail = f"in ({outputs}{',' if len(jaxpr.outputs) == 1 else ''}) }}"
    one_line = " ".join([head, *body, tail])
    if len(jaxpr.equations) <= 1 and len(one_line) < _WIDTH:
        return [one_line]
    return [head, *("    " + line for line in body), "  " + tail]


def _equation(equation: Equation, name: _Namer) -> list[str]:
    params = [_param(k, v, name) for k, v in sorted(equation.params.items())]
    inputs = " ".join(name(a) for a in equation.inputs)
    outputs = " ".join(name(v, True) for v in equation.outputs)
    left = f"{outputs} = {equation.primitive.name}" if outputs else equation.primitive.name
    flat = " ".join(line for block in params for line in block)
    if all(len(block) == 1 for block in params) and len(left) + len(flat) + len(inputs) < _WIDTH:
        text = f"{left}[{flat}] {inputs}" if params else f"{left} {inputs}"
        return [text.rstrip()]
    lines = [f"{left}["]
    for block in params:
        lines += ["  " + line for line in block]
    return [*lines, f"] {inputs}".rstrip()]


def _param(key: str, value: Any, name: _Namer) -> list[str]:
    if isinstance(value, Jaxpr):
        inner = _program(value, name)
        return [f"{key}={inner[0]}", *inner[1:]]
    if isinstance(value, tuple) and value and all(isinstance(v, Jaxpr) for v in value):
        lines = [f"{key}=("]
        for item in value:
            lines += ["  " + line for line in _program(item, name)]
        return [*lines, ")"]
    if isinstance(value, np.dtype):
        return [f"{key}={value.name}"]
    if callable(value):
        return [f"{key}={getattr(value, '__name__', type(value).__name__)}"]
    return [f"{key}={value}"]
