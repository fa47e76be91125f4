"""What a loop's body computes from its constants alone is computed once, in front of the loop.

Only what costs something moves: heavy operations, expensive functions, and what inner loops read.
Cheap values stay where they are read, for they cost less there than memory would.

A matrix that meets a vector in every iteration is turned in front of the loop so that its rows run
along the result: lanes along the sum would have to be added up each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fornax.compiler import cost
from fornax.compiler.kernels import KERNELS
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from fornax.ir.primitive import primitive_named
from fornax.ir.types import ArrayType

#: loops of fewer iterations stay as they are
SHORTEST = 8
#: elements of matrices that are turned: smaller ones are written out, larger ones leave the cache
MATRIX = range(64, (1 << 16) + 1)
CONTROL = frozenset(("scan", "while", "cond"))

Append = Callable[[Equation, tuple[Atom, ...]], Sequence[Atom]]


def hoisted(
    body: Jaxpr, count: int, given: Sequence[Atom], append: Append
) -> tuple[Jaxpr, list[Atom]] | None:
    """The canonical `body` without what its first `count` inputs, the constants, determine, and the
    values of the constants it has more, which stand behind those; None if nothing moves.

    `append` adds an equation to the program around the loop, where the constants are `given`.
    """
    work = _Hoist(body, count, given, append)
    return work.result() if work.run() else None


class _Hoist:
    def __init__(self, body: Jaxpr, count: int, given: Sequence[Atom], append: Append):
        self.body, self.count, self.append = body, count, append
        #: what values of the body are outside of the loop, as far as they are there already
        self.outside: dict[Var, Atom] = dict(zip(body.inputs[:count], given, strict=True))
        self.definition: dict[Var, Equation] = {}
        self.fixed: set[Var] = set(body.inputs[:count])
        self.kept: list[Equation] = []
        self.new: dict[Var, Atom] = {}  #: further constants of the body

    def run(self) -> bool:
        for equation in self.body.equations:
            if self.is_fixed(equation):
                self.fixed.update(equation.outputs)
                self.definition.update(dict.fromkeys(equation.outputs, equation))
                if self.is_dear(equation):
                    for var in equation.outputs:
                        self.new[var] = self.value(var)
                    continue
            elif equation.primitive.name in CONTROL:
                for atom in equation.inputs:
                    if isinstance(atom, Var) and atom in self.definition:
                        self.new[atom] = self.value(atom)
            elif equation.primitive.name == "dot_general":
                equation = self.turned(equation)
            self.kept.append(equation)
        return bool(self.new)

    def result(self) -> tuple[Jaxpr, list[Atom]]:
        body = self.body
        equations = tuple(e for e in self.kept if not any(v in self.new for v in e.outputs))
        inputs = (*body.inputs[: self.count], *self.new, *body.inputs[self.count :])
        made = Jaxpr(inputs, equations, body.outputs, body.consts, body.debug_name)
        return made, list(self.new.values())

    def is_fixed(self, equation: Equation) -> bool:
        """Whether the constants of the loop alone determine the results."""
        variables = [a for a in equation.inputs if isinstance(a, Var)]
        if equation.primitive.name in CONTROL or not variables:
            return False
        effectful = equation.primitive.effects(**equation.params)
        return not effectful and all(v in self.fixed for v in variables)

    def is_dear(self, equation: Equation) -> bool:
        """Whether computing it costs more than reading it: a heavy operation, a function, a sum."""
        work, size = cost.own_cost(equation), equation.outputs[0].type.size
        sums = work > 0 and max(a.type.size for a in equation.inputs) >= 4 * size
        return equation.primitive.name in KERNELS or work > cost.DEAR or sums

    def value(self, var: Var) -> Atom:
        """A value of the body, computed outside."""
        found = self.outside.get(var)
        if found is None:
            equation = self.definition[var]
            inputs = tuple(self.value(a) if isinstance(a, Var) else a for a in equation.inputs)
            self.outside.update(zip(equation.outputs, self.append(equation, inputs), strict=True))
            found = self.outside[var]
        return found

    def turned(self, equation: Equation) -> Equation:
        """A product of a vector and a matrix of the loop's constants whose sums run along rows."""
        (contracted, batch), operands = equation.params["dimension_numbers"], equation.inputs
        if any(batch):
            return equation
        for side in (0, 1):
            matrix, other = operands[side], operands[1 - side]
            vector = other.type.size == matrix.type.shape[-1] if matrix.type.shape else False
            fits = len(matrix.type.shape) == 2 and matrix.type.size in MATRIX
            if not (isinstance(matrix, Var) and matrix in self.outside and fits and vector):
                continue
            if tuple(contracted[side]) != (1,) or 1 in matrix.type.shape:
                continue
            rows, columns = matrix.type.shape
            type = ArrayType((columns, rows), matrix.type.dtype, matrix.type.weak_type)
            turn = Equation(
                primitive_named("transpose"), (matrix,), {"permutation": (1, 0)}, (Var(type),),
                equation.source,
            )  # fmt: skip
            (result,) = turn.outputs
            (self.outside[result],) = self.append(turn, (self.outside[matrix],))
            self.new[result] = self.outside[result]
            pair = [tuple(c) for c in contracted]
            pair[side] = (0,)
            numbers = (tuple(pair), batch)
            inputs = (result, other) if side == 0 else (other, result)
            params = {**equation.params, "dimension_numbers": numbers}
            return equation.replace(inputs=inputs, params=params)
        return equation
