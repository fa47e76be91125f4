"""Groups that compute the same have one kernel: their signatures, and what is kept of the first."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.compiler.emit import Constant, Draft, Place, Workspace
from fornax.compiler.groups import Fusion, Group
from fornax.ir.jaxpr import Equation, Literal, Var
from fornax.record import record
from fornax.transforms.hash import exact


@record(eq=False)
class Signature:
    """What a group computes. Groups of equal signature have equal kernels: equal layers of a
    network are emitted once.

    shape: everything but the values of literals, which are `numbers`, at `literals` (equation,
    position of the input); variables: those named, in the order of their numbers in `shape`.
    """

    shape: tuple[Any, ...]
    numbers: tuple[bytes, ...]
    literals: list[tuple[Equation, int]]
    variables: list[Var]


def signature_of(fusion: Fusion, group: Group, in_memory: set[Var]) -> Signature:
    """The signature of a group, given which variables are in memory."""
    values: list[bytes] = []
    literals: list[tuple[Equation, int]] = []
    numbers: dict[Var, int] = {}
    tokens: list[tuple[Any, ...]] = []
    members = set(group.members)
    roots = [fusion.definition[v] for v in group.members]
    if group.equation is not None:
        roots.insert(0, group.equation)

    def number(var: Var) -> int:
        return numbers.setdefault(var, len(numbers))

    definition, stored = fusion.definition, fusion.stored
    done: set[Equation] = set()
    stack = [(equation, False) for equation in reversed(roots)]
    while stack:
        equation, ready = stack.pop()
        if equation in done:
            continue
        if not ready:
            stack.append((equation, True))
            for atom in reversed(equation.inputs):
                made = definition.get(atom)
                if made is None or made in done or (atom in stored and atom not in members):
                    continue
                stack.append((made, False))
            continue
        done.add(equation)
        inputs: list[Any] = []
        for position, atom in enumerate(equation.inputs):
            if isinstance(atom, Literal):
                inputs.append((atom.type,))
                values.append(np.asarray(atom.value, atom.type.dtype).tobytes())
                literals.append((equation, position))
                continue
            known = numbers.get(atom)
            if known is None:  # it is made elsewhere: what is made here has its number before
                known = numbers[atom] = len(numbers)
                tokens.append((known, atom.type))
            inputs.append(known)
        outputs = tuple([(number(v), v.type, v in in_memory) for v in equation.outputs])
        params = equation.params
        exactly = tuple([(k, exact(params[k])) for k in sorted(params)]) if params else ()
        tokens.append((equation.primitive, exactly, tuple(inputs), outputs))
    heavy = None if group.equation is None else number(group.equation.outputs[0])
    tokens.append((group.shape, group.unrolled, heavy, tuple(map(number, group.members))))
    tokens += [tuple(map(number, part.members)) for part in group.together]
    if group.chain is not None:
        flows = tuple((number(v), at) for v, at in group.chain.flows.items())
        parts = (tuple(map(number, part.members)) for part in group.chain.parts)
        tokens.append((tuple(parts), group.chain.at, flows))
    return Signature(tuple(tokens), tuple(values), literals, list(numbers))


@record
class Recipe:
    """Compiled kernels of a group in terms of the numbers of its signature.

    steps: (compiled kernel, places, in_place); a place is a number, or a position in `spaces` or
    `constants` marked by a leading -1 or 1.
    """

    steps: list[tuple[Any, list[tuple[int, int]], dict[int, list[int]]]]
    spaces: list[Workspace]
    constants: list[Constant]
    extra: list[int]  # numbers of variables that had to be in memory after all


def recipe_of(
    made: list[Draft], compiled: list[Any], variables: list[Var], extra: set[Var]
) -> Recipe:
    """The recipe of drafts whose kernels are compiled."""
    numbers = {v: k for k, v in enumerate(variables)}
    spaces: dict[Workspace, int] = {}
    constants: dict[Constant, int] = {}
    steps = []

    def placed(place: Place) -> tuple[int, int]:
        if isinstance(place, Workspace):
            return -1, spaces.setdefault(place, len(spaces))
        if isinstance(place, Constant):
            return 1, constants.setdefault(place, len(constants))
        return 0, numbers[place]

    for draft, kernel in zip(made, compiled, strict=True):
        places = [placed(p) for p in draft.places]
        in_place = {
            numbers[o]: [numbers[v] for v in operands] for o, operands in draft.in_place.items()
        }
        steps.append((kernel, places, in_place))
    return Recipe(steps, list(spaces), list(constants), [numbers[v] for v in extra])
