"""Transposes that undo one another across what lies between them.

    transpose(f(transpose(x), broadcast(c)))    ->  f(x), with c broadcast along other dimensions

A softmax over columns is often written as one over rows between two transposes. Computed as
written, what is in between would be laid out in memory the other way round; without them every
loop runs through memory as it lies there. Values in between that others read as well are computed
for both, so they must be cheap enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fornax.compiler import cost
from fornax.ir.jaxpr import Atom, Equation, Var
from fornax.ir.primitive import primitive_named
from fornax.ir.types import ArrayType

#: most operations between two transposes
DEEPEST = 64

Order = tuple[int, ...]


def without_detours(equations: Sequence[Equation], outputs: Sequence[Atom]) -> list[Equation]:
    """The equations of a canonical program without transposes that undo one another."""
    if sum(e.primitive.name == "transpose" for e in equations) < 2:
        return list(equations)
    return _Turns(equations, outputs).equations


class _Turns:
    def __init__(self, equations: Sequence[Equation], outputs: Sequence[Atom]):
        self.definition = {v: e for e in equations for v in e.outputs}
        self.uses = Counter(
            a for a in (*(a for e in equations for a in e.inputs), *outputs) if isinstance(a, Var)
        )
        #: what the program calls a transposed value
        self.names: dict[tuple[Var, Order], Var] = {}
        for turn in filter(is_turn, equations):
            self.names.setdefault(turned(turn), turn.outputs[0])
        self.equations: list[Equation] = []
        self.made: dict[tuple[Var, Order], Atom] = {}
        for equation in equations:
            if is_turn(equation):
                key = turned(equation)
                if self.made.get(key) is equation.outputs[0]:  # on the way to a later one
                    continue
                if key not in self.made and self.is_detour(*key):
                    self.shorten(*key)
                    continue
                self.made.setdefault(key, equation.outputs[0])
            self.equations.append(equation)

    def is_detour(self, root: Var, order: Order) -> bool:
        """Whether all that `root` is computed from elementwise are transposes that `order` undoes,
        and what is computed twice without them is cheap."""
        found: dict[Var, Equation] = {}
        undone = False
        stack = [root]
        while stack:
            var = stack.pop()
            if var in found:
                continue
            equation = self.definition.get(var)
            if equation is None or len(found) >= DEEPEST:
                return False
            found[var] = equation
            if equation.primitive.name == "transpose":
                if composed(equation.params["permutation"], order) != tuple(range(len(order))):
                    return False
                undone = True
            elif equation.primitive.pointwise:
                for atom in equation.inputs:
                    if isinstance(atom, Var) and atom.type.shape:
                        if atom.type.shape != var.type.shape:
                            return False
                        stack.append(atom)
            elif not widens(equation):
                return False
        return (
            undone
            and self.definition[root].primitive.pointwise
            and self.again(found, root) <= cost.RECOMPUTED
        )

    def again(self, found: dict[Var, Equation], root: Var) -> int:
        """The work of what others need as well, which is done for both then."""
        inside = Counter(a for e in found.values() for a in e.inputs if a in found)
        inside[root] += 1  # by the transpose
        twice = {v for v in found if self.uses[v] > inside[v]}
        stack = list(twice)
        while stack:
            for atom in found[stack.pop()].inputs:
                if atom in found and atom not in twice:
                    twice.add(atom)
                    stack.append(atom)
        return sum(cost.own_cost(found[v]) for v in twice)

    def shorten(self, root: Var, order: Order) -> None:
        """Make the transpose of `root` of operations on what the transposes started from."""
        stack = [root]
        while stack:
            var = stack[-1]
            if (var, order) in self.made:
                stack.pop()
                continue
            equation = self.definition[var]
            if equation.primitive.pointwise:
                missing = [
                    a for a in equation.inputs
                    if isinstance(a, Var) and a.type.shape and (a, order) not in self.made
                ]  # fmt: skip
                if missing:
                    stack += missing
                    continue
            stack.pop()
            result = self.names.get((var, order)) or Var(permuted(var.type, order))
            self.made[var, order] = self.step(equation, result, order)

    def step(self, equation: Equation, result: Var, order: Order) -> Atom:
        if equation.primitive.name == "transpose":
            return equation.inputs[0]
        if equation.primitive.name == "broadcast_in_dim":
            self.widen(equation, result, order)
        else:
            inputs = tuple(
                self.made[a, order] if isinstance(a, Var) and a.type.shape else a
                for a in equation.inputs
            )
            self.equations.append(equation.replace(inputs=inputs, outputs=(result,)))
        return result

    def widen(self, equation: Equation, result: Var, order: Order) -> None:
        """A broadcast along the dimensions of the transposed result."""
        operand = equation.inputs[0]
        places = [order.index(d) for d in equation.params["broadcast_dimensions"]]
        rising = sorted(range(len(places)), key=places.__getitem__)
        if rising != list(range(len(places))):
            smaller = Var(permuted(operand.type, tuple(rising)))
            turn = primitive_named("transpose")
            params = {"permutation": tuple(rising)}
            self.equations.append(Equation(turn, (operand,), params, (smaller,), equation.source))
            operand = smaller
        places.sort()
        params = {
            **equation.params, "shape": result.type.shape, "broadcast_dimensions": tuple(places)
        }  # fmt: skip
        self.equations.append(equation.replace(inputs=(operand,), params=params, outputs=(result,)))


def is_turn(equation: Equation) -> bool:
    """A transpose of a value."""
    return equation.primitive.name == "transpose" and isinstance(equation.inputs[0], Var)


def turned(turn: Equation) -> tuple[Var, Order]:
    """What a transpose turns, and how."""
    (operand,) = turn.inputs
    assert isinstance(operand, Var), "literals are not turned (`is_turn`)"
    return operand, tuple(turn.params["permutation"])


def widens(equation: Equation) -> bool:
    """A broadcast of something smaller."""
    if equation.primitive.name != "broadcast_in_dim" or len(equation.inputs) != 1:
        return False
    return equation.inputs[0].type.size < equation.outputs[0].type.size


def composed(first: Sequence[int], second: Sequence[int]) -> Order:
    """The order of transpose(transpose(x, first), second)."""
    return tuple(first[d] for d in second)


def permuted(type: ArrayType, order: Order) -> ArrayType:
    return ArrayType(tuple(type.shape[d] for d in order), type.dtype, type.weak_type)
