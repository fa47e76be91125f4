"""Reductions of a few arrays that were put side by side, made of these arrays.

    sum(stack([a, b, c]), along it)        ->  a + b + c
    max(stack([a, b]) * w, along it)       ->  max(a * w[0], b * w[1])
    sum(concatenate([a, b]))               ->  sum(a) + sum(b)

A stack that is made only to be reduced would be written and read: as many times the memory of the
result as there are arrays, and where it is the last dimension one element at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any

from fornax.compiler.deviations import spliced
from fornax.compiler.two_stages import ROUNDED, made_of
from fornax.ir.jaxpr import Atom, Equation, Var
from fornax.ir.primitive import Primitive, primitive_named
from fornax.ir.trace import new_trace
from fornax.ir.types import typeof
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_in
from fornax.transforms.dce import live_equations
from fornax.transforms.stage import Stage

#: the operations that join the results of parts
JOINED = {
    "reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "max", "reduce_min": "min",
    "reduce_and": "and", "reduce_or": "or", "reduce_xor": "xor",
}  # fmt: skip
#: most arrays side by side, and operations on all of them
ARRAYS, OPERATIONS = 32, 128
#: most elements side by side, unless the arrays are large, of so many elements on average
NARROW, LARGE = 64, 4096


def taken_apart(equations: Sequence[Equation], outputs: Sequence[Atom]) -> list[Equation] | None:
    """The equations of a canonical program with reductions of concatenations made of what is
    concatenated; None if there are none."""
    names = {e.primitive.name for e in equations}
    if "concatenate" not in names or names.isdisjoint(JOINED):
        return None
    live = live_equations(equations, outputs)
    definition = {v: e for e in live for v in e.outputs}
    uses = Counter(
        a for a in (*(a for e in live for a in e.inputs), *outputs) if isinstance(a, Var)
    )
    made: list[Equation] = []
    found = False
    for equation in live:
        cone = _Cone(equation, definition, uses) if is_candidate(equation) else None
        if cone is None or not cone.arrays:
            made.append(equation)
        else:
            found = True
            made += cone.apart()
    return made if found else None


def reads_concatenation(equation: Equation, x: Atom, definition: Mapping[Atom, Equation]) -> bool:
    """Whether an equation may be a reduction, of x, that `taken_apart` changes."""
    if equation.primitive.name not in JOINED:
        return False
    found = made_of(x, definition, lambda made: made.primitive.pointwise)
    names = (definition[v].primitive.name for v in found or () if v in definition)
    return "concatenate" in names


def is_candidate(equation: Equation) -> bool:
    """A reduction along a few elements, whose partial results would not be rounded to less than
    what it computes in."""
    if equation.primitive.name not in JOINED or not isinstance(equation.inputs[0], Var):
        return False
    type = equation.inputs[0].type
    if equation.primitive.name in ROUNDED and type.dtype.kind not in "iubc" and (
        type.dtype.itemsize < 4
    ):  # fmt: skip
        return False
    return any(type.shape[d] > 1 for d in equation.params["axes"])


class _Cone:
    """What a reduction reads: elementwise operations on concatenations along one dimension, all
    with the same borders, and on other values."""

    def __init__(self, reduction: Equation, definition: dict[Var, Equation], uses: Counter[Var]):
        self.reduction = reduction
        self.inner: dict[Var, Equation] = {}  # operations and concatenations that it alone reads
        self.arrays = 0
        self.dimension = -1
        self.borders: tuple[int, ...] = ()
        (root,) = reduction.inputs
        assert isinstance(root, Var), "`is_candidate`"
        waiting, left = [root], Counter(uses)
        while waiting:
            var = waiting.pop()
            left[var] -= 1
            equation = definition.get(var)
            if equation is None or left[var]:  # others read it, or will in this walk
                continue
            if equation.primitive.pointwise:
                self.inner[var] = equation
                waiting += [a for a in equation.inputs if isinstance(a, Var) and a.type.shape]
            elif equation.primitive.name == "concatenate":
                self.concatenation(var, equation)
        if self.arrays * len(self.inner) > OPERATIONS:
            self.arrays = 0

    def concatenation(self, var: Var, equation: Equation) -> None:
        dimension = equation.params["dimension"]
        extents = [operand.type.shape[dimension] for operand in equation.inputs]
        borders = tuple(accumulate(extents, initial=0))
        few = len(extents) <= ARRAYS and min(extents) > 0
        worth = borders[-1] <= NARROW or var.type.size >= LARGE * len(extents)
        if dimension not in self.reduction.params["axes"] or not (few and worth):
            return
        if not self.arrays:
            self.arrays, self.dimension, self.borders = len(extents), dimension, borders
        if (dimension, borders) == (self.dimension, self.borders):
            self.inner[var] = equation

    def apart(self) -> list[Equation]:
        """The equations of the reduction of every part, and of joining them."""
        outer = list(
            dict.fromkeys(
                a for e in self.inner.values() for a in e.inputs if a not in self.inner
            )
        )  # fmt: skip
        trace = Stage(purpose=f"the parts of {self.reduction.primitive.name}")
        with new_trace(trace):
            values: dict[Atom, Any] = {a: trace.new_input(a.type) for a in outer}
            join = primitive_named(JOINED[self.reduction.primitive.name])
            parts = [self.part(k, values) for k in range(self.arrays)]
            whole = reduce(lambda x, y: join.bind(x, y)[0], parts)
            program = trace.finish([whole], self.reduction.primitive.name)
        made, _ = spliced(program, outer, self.reduction.outputs[0])
        return made

    def part(self, k: int, outer: dict[Atom, Any]) -> Any:
        """The reduction of the arrays in place k."""
        (root,) = self.reduction.inputs
        start, stop = self.borders[k : k + 2]
        total = self.borders[-1]
        made: dict[Atom, Any] = {}

        def value(atom: Atom) -> Any:
            if atom in made:
                return made[atom]
            if not atom.type.shape:
                return outer[atom]
            assert atom.type.shape[self.dimension] == total, "operands of one shape"
            return slice_in(outer[atom], self.dimension, start, stop)

        for var, equation in reversed(self.inner.items()):
            if equation.primitive.name == "concatenate":
                made[var] = outer[equation.inputs[k]]
            else:
                operands = [value(a) for a in equation.inputs]
                made[var] = equation.primitive.bind(*operands, **equation.params)[0]
        return reduced(self.reduction.primitive, made[root], self.reduction.params)


def reduced(primitive: Primitive, x: Any, params: dict[str, Any]) -> Any:
    """A reduction, which is none along single elements."""
    shape, axes = typeof(x).shape, params["axes"]
    if all(shape[d] == 1 for d in axes):
        return reshape(x, tuple(n for d, n in enumerate(shape) if d not in axes))
    return primitive.bind(x, **params)[0]
