"""What things cost, in units of one vector addition per element. Steers fusion only."""

from __future__ import annotations

from fornax.ir.jaxpr import Equation, Jaxpr, Var

#: a value this cheap is computed again wherever it is read rather than stored
CHEAP = 4
#: a value this cheap is computed again in another loop of the same kernel (the exponential in a
#: softmax, once for the sum and once for the quotient) up to so many times
RECOMPUTED = 48
RECOMPUTATIONS = 3
#: a reduction of so many elements deserves a kernel (and threads) of its own
LARGE = 1 << 15
#: outer iterations from which on values that belong to them are stored beside inner loops
ROWS = 64
#: a value this expensive is stored rather than computed once per iteration of an outer loop
DEAR = 8
#: most work of a fused operand of a heavy kernel, which may read it more than once
PROLOGUE = 6
#: most work in one kernel: machine code and compile time grow with it
LARGEST = 1200

#: operations that only move data: they cost nothing where they are read
MOVES = frozenset(
    ("broadcast_in_dim", "transpose", "reshape", "squeeze", "rev", "slice", "copy", "expand_dims",
     "iota", "real", "imag", "split", "full")
)  # fmt: skip


def own_cost(equation: Equation) -> int:
    """Scalar work of one element of one equation's results."""
    return 0 if equation.primitive.name in MOVES else equation.primitive.cost


def chain_costs(jaxpr: Jaxpr, stops: set[Var]) -> dict[Var, int]:
    """For each variable the work to compute one element from variables in `stops` and inputs."""
    costs: dict[Var, int] = {v: 0 for v in jaxpr.inputs}
    for equation in jaxpr.equations:
        below = 0
        for atom in equation.inputs:
            if isinstance(atom, Var) and atom not in stops:
                below += costs[atom]
        total = min(own_cost(equation) + below, 1_000_000)
        for var in equation.outputs:
            costs[var] = total
    return costs
