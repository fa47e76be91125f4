"""What things cost, in units of one vector addition per element. Steers fusion only."""

from __future__ import annotations

from collections.abc import Collection
from math import ceil
from typing import NamedTuple

from fornax.ir.jaxpr import Equation, Jaxpr, Var

#: a value this cheap is computed again wherever it is read rather than stored
CHEAP = 16
#: an array read again, on the same scale
READ = 8
#: a value this cheap is computed again in another loop of the same kernel (the exponential in a
#: softmax, once for the sum and once for the quotient) up to so many times
RECOMPUTED = 48
RECOMPUTATIONS = 3
#: a reduction of so many elements deserves a kernel (and threads) of its own
LARGE = 1 << 15
#: outer iterations from which on values that belong to them are stored beside inner loops
ROWS = 64
#: longest last dimension whose elements are computed side by side
SHORT = 4
#: a value of so many times the elements of all it is made from, and made by next to no work, is
#: made wherever it is read
SPREAD = 16
#: a value this expensive is stored rather than computed once per iteration of an outer loop
DEAR = 8
#: most work of a fused operand of a heavy kernel that may read it more than once
PROLOGUE = 6
#: most work in one kernel: machine code and compile time grow with it
LARGEST = 1200

#: operations that only move data: they cost nothing where they are read
MOVES = frozenset(
    ("broadcast_in_dim", "transpose", "reshape", "squeeze", "rev", "slice", "copy", "expand_dims",
     "concatenate", "iota", "real", "imag", "split", "stack", "unstack", "tile", "full")
)  # fmt: skip


def own_cost(equation: Equation) -> int:
    """Scalar work of one element of one equation's results."""
    return 0 if equation.primitive.name in MOVES else equation.primitive.cost


class Chain(NamedTuple):
    """What computing one element takes, from values in memory: `work`, and how many arrays of about
    the result's size are read."""

    work: int = 0
    reads: int = 0
    #: whether it is much larger than all it is made from, as one-hot rows are
    spread: bool = False
    #: work of all that it is made of, be that computed once for several elements or not
    whole: int = 0

    @property
    def again(self) -> int:
        """The price of computing it in another kernel too, instead of reading it there."""
        return self.work + READ * max(self.reads - 1, 0)


#: Elements and work are counted up to here: what is used twice at each of many steps, each in a
#: cone of its own, doubles as often.
MOST = 1 << 62


class Cone(NamedTuple):
    """What a value is made of since memory: elements and work of each step, elements of what is
    read. What several values on the way use is one entry: it is computed once."""

    steps: dict[Equation, tuple[int, int]] = {}
    reads: dict[Var, int] = {}
    whole: int = 0  #: work of all steps
    least: int = MOST  #: elements of the step with the fewest

    def work(self, size: int) -> int:
        """Work per element of a result of `size` elements. What has fewer elements, as what belongs
        to a row has, is computed once for several."""
        if size <= self.least:
            return self.whole
        return ceil(sum(w if n >= size else w * n / size for n, w in self.steps.values()))

    def joined(self, other: Cone) -> Cone:
        """What two values are made of."""
        if not other.steps and not other.reads:
            return self
        if not self.steps and not self.reads:
            return other
        steps = self.steps | other.steps
        apart = len(steps) == len(self.steps) + len(other.steps)
        whole = self.whole + other.whole if apart else sum(w for _, w in steps.values())
        return Cone(steps, self.reads | other.reads, whole, min(self.least, other.least))

    def scaled(self, factor: int) -> Cone:
        """The same, computed `factor` times as often."""
        steps = {step: (min(n * factor, MOST), w) for step, (n, w) in self.steps.items()}
        return Cone(steps, self.reads, self.whole, min(self.least * factor, MOST))

    def then(self, equation: Equation, size: int, work: int) -> Cone:
        """With a step more."""
        steps = {**self.steps, equation: (size, work)}
        return Cone(steps, self.reads, self.whole + work, min(self.least, size))


def fills_rows(equation: Equation) -> bool:
    """Whether the elements of a row of the result are one element of the operand."""
    if equation.primitive.name != "broadcast_in_dim":
        return False
    kept, shape = equation.params["broadcast_dimensions"], equation.inputs[0].type.shape
    last = len(equation.outputs[0].type.shape) - 1
    return all(d != last or n == 1 for d, n in zip(kept, shape, strict=True))


#: most steps of a cone: with more it is one step
MOST_STEPS = 64
NOTHING = Cone()


def chains(jaxpr: Jaxpr, stops: set[Var], likely: Collection[Var] = ()) -> dict[Var, Chain]:
    """For each variable what it takes from variables in `stops` and inputs.

    Those of `likely` that are too dear to compute again are taken to be in memory as well.
    """
    memory = {*stops, *jaxpr.inputs}
    found: dict[Var, Chain] = {v: Chain() for v in jaxpr.inputs}
    cones: dict[Var, Cone] = {}
    #: elements of memory and of reductions that a value is made from, and the work since then
    sources: dict[Var, tuple[int, int]] = {v: (v.type.size, 0) for v in jaxpr.inputs}
    for equation in jaxpr.equations:
        size = max(v.type.size for v in equation.outputs) if equation.outputs else 0
        own = own_cost(equation)
        cone = NOTHING
        elements, since, largest = 0, own, 0
        for atom in equation.inputs:
            if not isinstance(atom, Var):
                continue
            if atom in memory:
                made = Cone({}, {atom: atom.type.size})
            else:
                made = cones[atom]
                if made.steps and atom.type.size < size and not fills_rows(equation):
                    made = made.scaled(size // max(atom.type.size, 1))
            cone = cone.joined(made)
            part = (atom.type.size, 0) if atom in memory else sources[atom]
            elements, since = elements + part[0], since + part[1]
            largest = max(largest, atom.type.size)
        elements, since = min(elements, size * SPREAD + 1), min(since, 1_000_000)
        if largest >= SPREAD * size:
            elements, since = size, 0
        if own:
            cone = cone.then(equation, size, own)
        work = cone.work(size)
        reads = sum([4 * n >= size for n in cone.reads.values()])
        whole = cone.whole
        if len(cone.steps) + len(cone.reads) > MOST_STEPS:
            some = dict(list(cone.reads.items())[:MOST_STEPS])
            cone = Cone({equation: (size, min(whole, MOST))}, some, min(whole, MOST), size)
        spread = elements * SPREAD <= size and since <= PROLOGUE
        chain = Chain(work, reads, spread and elements > 0, whole)
        for var in equation.outputs:
            found[var], sources[var], cones[var] = chain, (elements, since), cone
            if var in likely and chain.again > CHEAP:
                memory.add(var)
    return found
