"""Where the element rule of an equation reads its operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.compiler.loop.builder import Builder, compute_dtype
from fornax.compiler.loop.ir import COMPLEX, Axis, Carry, Expr, Pair
from fornax.ir.jaxpr import Atom, Equation, Literal, Var
from fornax.ir.types import ArrayType


def operand_reads(
    b: Builder, equation: Equation, index: Sequence[Expr], path: tuple[Axis, ...]
) -> list[tuple[Var, tuple[Expr, ...], tuple[Axis, ...]]]:
    """Where the element at `index` reads its operands; new axes are reductions."""
    if equation.primitive.pointwise:
        at = tuple(index)
        return [
            (a, at if a.type.shape else (), path) for a in equation.inputs if isinstance(a, Var)
        ]
    found: list[tuple[Var, tuple[Expr, ...], tuple[Axis, ...]]] = []

    def reader(atom: Atom) -> Callable[[Sequence[Expr]], Any]:
        def read(at: Sequence[Expr]) -> Any:
            if isinstance(atom, Literal):
                return b.const(atom.value, atom.type.dtype_name)
            at = tuple(at)
            inner = [a for a in axes_of(at) if a not in path]
            found.append((atom, at, (*path, *inner)))
            return opaque(b, atom.type)

        return read

    equation.primitive.element(
        b,
        [a.type for a in equation.inputs],
        [reader(a) for a in equation.inputs],
        list(index),
        **equation.params,
    )
    return found


def axes_of(values: Sequence[Expr]) -> list[Axis]:
    """The axes that index expressions depend on, each once."""
    found: dict[Axis, None] = {}
    seen: set[Expr] = set()
    stack = list(reversed(values))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.kind == "axis":
            found.setdefault(node.data)
        stack.extend(reversed(node.args))
    return list(found)


def opaque(b: Builder, type: ArrayType) -> Any:
    """A stand-in for an element whose value does not matter."""
    name = type.dtype_name
    if name in COMPLEX:
        part = COMPLEX[name]
        return Pair(b.carry(Carry(part)), b.carry(Carry(part)))
    return b.carry(Carry(compute_dtype(name)))
