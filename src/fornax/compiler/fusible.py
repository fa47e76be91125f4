"""What holds for a program however it is fused: which of its equations can be part of a kernel with
others, and which values have to be in memory.
"""

from __future__ import annotations

from typing import Any

from fornax.compiler.canonical import CONTROL
from fornax.compiler.kernels import KERNELS
from fornax.compiler.loop import interior
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis
from fornax.compiler.reads import operand_reads
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Var


def is_elementwise_step(equation: Equation) -> bool:
    """Whether the equation can be part of a fused nest."""
    name = equation.primitive.name
    if name in CONTROL or name in KERNELS:
        return False
    return equation.primitive.has_element and not equation.primitive.effects(**equation.params)


def in_passing(jaxpr: Jaxpr) -> set[Equation]:
    """The concatenations of a few long pieces that are only read element by element: loops over
    them are cut where the pieces meet (`loop.interior`), and what is joined is never stored."""
    joins = [e for e in jaxpr.equations if e.primitive.name == "concatenate" and joins_rows(e)]
    if not joins:
        return set()
    readers: dict[Atom, list[Equation]] = {}
    for reader in jaxpr.equations:
        for atom in reader.inputs:
            readers.setdefault(atom, []).append(reader)
    found: set[Equation] = set()
    for equation in reversed(joins):
        result = equation.outputs[0]
        reads = readers.get(result, [])
        if reads and result not in jaxpr.outputs and all(r in found or passes(r) for r in reads):
            found.add(equation)
    return found


def passes(reader: Equation) -> bool:
    """Whether an operation reads a value element by element, perhaps some of them only."""
    return reader.primitive.pointwise or reader.primitive.name == "slice"


def joins_rows(equation: Equation) -> bool:
    """Whether pieces of long rows are joined, or next to all rows are those of one piece."""
    type, axis = equation.outputs[0].type, equation.params["dimension"]
    sizes = [a.type.shape[axis] for a in equation.inputs if a.type.shape[axis]]
    row = type.shape[-1] * type.dtype.itemsize
    last = axis == len(type.shape) - 1
    return (
        len(type.shape) > 1
        and len(sizes) <= interior.JOINED
        and type.size >= interior.RARE
        and row >= interior.LINE * (interior.LONG if row % interior.LINE else interior.SHORTEST)
        and (last or min(sizes) * interior.USUAL <= max(sizes))
    )


class Facts:
    """What holds for a program in every walk."""

    def __init__(self, jaxpr: Jaxpr):
        self.jaxpr = jaxpr
        self.elementwise = {e for e in jaxpr.equations if is_elementwise_step(e)}
        self.elementwise |= in_passing(jaxpr)
        self.definition: dict[Atom, Equation] = {v: e for e in jaxpr.equations for v in e.outputs}
        self.outputs: set[Var] = {a for a in jaxpr.outputs if isinstance(a, Var)}
        #: values that have to be in memory because nothing is fused across them
        self.barriers = {
            v for e in jaxpr.equations if e.primitive.name == "optimization_barrier"
            for v in e.outputs
        }  # fmt: skip
        #: values that are in memory whatever the walk decides
        self.stops: set[Var] = self.outputs | self.barriers
        for equation in jaxpr.equations:
            if equation not in self.elementwise:
                self.stops.update(equation.outputs)
        self._reduces: dict[tuple[Any, ...], bool] = {}

    def reduces(self, equation: Equation) -> bool:
        """Whether an element of the result is a loop over elements of an operand."""
        if equation.primitive.pointwise:
            return False
        types = tuple([a.type for a in equation.inputs])
        key = (equation.primitive, types, tuple(equation.params.items()))
        found = self._reduces.get(key)
        if found is None:
            b = Builder()
            fresh = tuple(Axis(n) for n in equation.outputs[0].type.shape)
            index = [b.axis(a) for a in fresh]
            reads = operand_reads(b, equation, index, fresh)
            found = any(len(path) > len(fresh) for _, _, path in reads)
            self._reduces[key] = found
        return found
