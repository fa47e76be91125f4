"""Transposes that undo one another across what lies between them.

    transpose(f(transpose(x), broadcast(c)))    ->  f(x), with c broadcast along other dimensions
    sum(f(transpose(x)), along 1)               ->  sum(f(x), along 0)

A softmax over columns is often written as one over rows between two transposes. Computed as
written, what is in between would be laid out in memory the other way round; without them every
loop runs through memory as it lies there. Values in between that others read as well are computed
for both, so they must be cheap enough. Reductions of large arrays are known for what they are then,
and cut into parts that lie in memory one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fornax.compiler import cost
from fornax.compiler.two_stages import STREAMED
from fornax.ir.jaxpr import Atom, Equation, Var
from fornax.ir.primitive import primitive_named
from fornax.ir.types import ArrayType
from fornax.transforms.dce import live_equations

#: most operations between two transposes
DEEPEST = 64
#: how the names of reductions begin
REDUCTIONS = ("reduce_", "arg")

Order = tuple[int, ...]


def without_detours(equations: Sequence[Equation], outputs: Sequence[Atom]) -> list[Equation]:
    """The equations of a canonical program without transposes that undo one another."""
    if sum(e.primitive.name == "transpose" for e in equations) < 2:
        return list(equations)
    turns = _Turns(equations, outputs)
    turns.shorten_detours()
    return turns.equations


def reduced_as_they_lie(
    equations: Sequence[Equation], outputs: Sequence[Atom]
) -> list[Equation] | None:
    """The equations with large reductions of what is turned for them only going along the
    dimensions from before; None if there are none."""
    names = {e.primitive.name for e in equations}
    if "transpose" not in names or not any(name.startswith(REDUCTIONS) for name in names):
        return None
    turns = _Turns(live_equations(equations, outputs), outputs)
    turns.reduce_as_they_lie()
    return turns.equations if turns.reduced else None


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
        self.reduced = False
        self.old = equations

    def shorten_detours(self) -> None:
        for equation in self.old:
            if is_turn(equation):
                key = turned(equation)
                if self.made.get(key) is equation.outputs[0]:  # on the way to a later one
                    continue
                if key not in self.made and self.is_detour(*key):
                    self.shorten(*key)
                    continue
                self.made.setdefault(key, equation.outputs[0])
            self.equations.append(equation)

    def reduce_as_they_lie(self) -> None:
        how: dict[Equation, tuple[Var, Order]] = {}
        cones: dict[Equation, dict[Var, Equation]] = {}
        for equation in self.old:
            root = large_reduction(equation)
            order = None if root is None else self.undone(root)
            if root is None or order is None:
                continue
            cone = self.cone(root, order)
            if cone is not None:
                how[equation], cones[equation] = (root, order), cone
        while cones:
            # what is turned is read by reductions that are left alone, or not at all
            made = {e for cone in cones.values() for e in cone.values()} | cones.keys()
            inside = Counter(a for e in made for a in e.inputs)
            split = {v for cone in cones.values() for v in cone if self.uses[v] > inside[v]}
            left = {e: cone for e, cone in cones.items() if split.isdisjoint(cone)}
            if len(left) == len(cones):
                break
            cones = left
        for equation in self.old:
            if equation in cones:
                self.reduce(equation, *how[equation])
            else:
                self.equations.append(equation)

    def undone(self, root: Var) -> Order | None:
        """The order that undoes some transpose that `root` is computed from elementwise."""
        seen: set[Var] = set()
        stack: list[Atom] = [root]
        while stack and len(seen) < DEEPEST:
            atom = stack.pop()
            equation = self.definition.get(atom) if isinstance(atom, Var) else None
            if equation is None or atom in seen:
                continue
            seen.update(equation.outputs)
            if equation.primitive.name == "transpose":
                permutation = equation.params["permutation"]
                return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))
            if equation.primitive.pointwise:
                stack += equation.inputs
        return None

    def reduce(self, equation: Equation, root: Var, order: Order) -> None:
        """A reduction of what its operand would be, were it turned."""
        axes = equation.params["axes"]
        self.shorten(root, order)
        along = tuple(k for k, d in enumerate(order) if d in axes)
        left = [d for d in order if d not in axes]
        (result,) = equation.outputs
        places = tuple(sorted(range(len(left)), key=left.__getitem__))
        mixed = places != tuple(range(len(left)))
        found = Var(permuted(result.type, tuple(sorted(left).index(d) for d in left)))
        made = equation.replace(
            inputs=(self.made[root, order],), params={**equation.params, "axes": along},
            outputs=(found if mixed else result,),
        )  # fmt: skip
        self.equations.append(made)
        if mixed:
            params = {"permutation": places}
            turn = primitive_named("transpose")
            self.equations.append(Equation(turn, (found,), params, (result,), equation.source))
        self.reduced = True

    def is_detour(self, root: Var, order: Order) -> bool:
        """Whether all that `root` is computed from elementwise are transposes that `order` undoes,
        and what is computed twice without them is cheap."""
        cone = self.cone(root, order)
        if cone is None or not self.definition[root].primitive.pointwise:
            return False
        return self.again(cone, root) <= cost.RECOMPUTED

    def cone(self, root: Var, order: Order) -> dict[Var, Equation] | None:
        """What `root` is computed from elementwise, if that are transposes that `order` undoes."""
        found: dict[Var, Equation] = {}
        undone = False
        stack = [root]
        while stack:
            var = stack.pop()
            if var in found:
                continue
            equation = self.definition.get(var)
            if equation is None or len(found) >= DEEPEST:
                return None
            found[var] = equation
            if equation.primitive.name == "transpose":
                if composed(equation.params["permutation"], order) != tuple(range(len(order))):
                    return None
                undone = True
            elif equation.primitive.pointwise:
                for atom in equation.inputs:
                    if isinstance(atom, Var) and atom.type.shape:
                        if atom.type.shape != var.type.shape:
                            return None
                        stack.append(atom)
            elif not widens(equation):
                return None
        return found if undone else None

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


def large_reduction(equation: Equation) -> Var | None:
    """What an equation reduces along some dimensions, if it may be cut into parts."""
    if not equation.primitive.name.startswith(REDUCTIONS) or len(equation.inputs) != 1:
        return None
    (root,) = equation.inputs
    large = root.type.size * root.type.dtype.itemsize >= STREAMED
    return root if large and isinstance(root, Var) else None


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
