"""The rule `parts` of operations that hold programs: effects happen in one part only.

See `transforms.mixed.separated`. The second part takes values that the first computed, as
residuals: results of effects cannot be computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.basis import zeros
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from fornax.ir.types import ArrayType
from fornax.primitives.arrange import chosen, rearranged, restaged, split
from fornax.transforms.parts import Parts, parted

__all__ = ["part_branches", "part_call", "part_loop"]

Pair = tuple[Equation | None, Equation | None]


def part_call(equation: Equation, flags: Sequence[bool], found: Sequence[bool]) -> Pair:
    """A call of the program `jaxpr`, which takes the operands."""
    parts = parted(equation.params["jaxpr"], flags, found, [True] * len(flags))
    handed = tuple(Var(t) for t in handed_types(parts))
    operands = [equation.inputs[i] for i in parts.taken]
    operands += [*handed, *chosen(equation.inputs, flags)]
    return (
        known_part(equation, flags, found, handed, {"jaxpr": parts.known}),
        rest_part(equation, operands, found, {"jaxpr": parts.rest}),
    )


def part_loop(equation: Equation, flags: Sequence[bool], found: Sequence[bool]) -> Pair:
    """A scan; flags: of its operands, and of the carries that depend in some iteration."""
    params = equation.params
    counts = params["num_consts"], params["num_carry"]
    # a carry is another value in each iteration: the rest takes all of them, stacked
    direct = [True] * len(flags)
    direct[counts[0] : sum(counts)] = [False] * counts[1]
    parts = parted(params["jaxpr"], flags, found, direct)
    length = params["length"]
    handed = tuple(Var(t.update(shape=(length, *t.shape))) for t in handed_types(parts))
    # operands in the order in which the rest of the body takes them, and in that of a scan
    marked = [i for i, flag in enumerate(flags) if flag]
    kinds = [_kind(i, counts) for i in parts.taken] + [2] * parts.handed
    kinds += [_kind(i, counts) for i in marked]
    order = sorted(range(len(kinds)), key=lambda k: kinds[k])
    operands: list[Atom] = [equation.inputs[i] for i in parts.taken]
    operands += [*handed, *(equation.inputs[i] for i in marked)]
    consts, carries, _ = split([not flag for flag in flags], *counts)
    known = {"jaxpr": parts.known, "num_consts": sum(consts), "num_carry": sum(carries)}
    rest = {
        "jaxpr": rearranged(parts.rest, order, range(len(parts.rest.outputs))),
        "num_consts": kinds.count(0),
        "num_carry": kinds.count(1),
    }
    return (
        known_part(equation, flags, found, handed, known),
        rest_part(equation, [operands[k] for k in order], found, rest),
    )


def _kind(position: int, counts: Sequence[int]) -> int:
    """Whether an operand of a scan is a constant, 0, a carry, 1, or an input, 2."""
    return (position >= counts[0]) + (position >= sum(counts))


def part_branches(equation: Equation, flags: Sequence[bool], found: Sequence[bool]) -> Pair:
    """A cond, whose index is known. Each branch hands on its own values, and zeros for those of
    the others."""
    _, *marks = flags
    branches = equation.params["branches"]
    parts = [parted(b, marks, found, [True] * len(marks)) for b in branches]
    types = [handed_types(p) for p in parts]
    slots = tuple(Var(t) for own in types for t in own)
    taken = sorted({i for p in parts for i in p.taken})
    known, rest, first = [], [], 0
    for part, own in zip(parts, types, strict=True):
        places = tuple(range(first, first + len(own)))
        known.append(_filled(part.known, len(own), places, [v.type for v in slots]))
        picked = (*(taken.index(i) for i in part.taken), *(len(taken) + k for k in places))
        given = [branches[0].in_types[i] for i in taken] + [v.type for v in slots]
        rest.append(_picking(part.rest, picked, given))
        first += len(own)
    index, *operands = equation.inputs
    chosen_operands = [operands[i] for i in taken] + [*slots, *chosen(operands, marks)]
    return (
        known_part(equation, flags, found, slots, {"branches": tuple(known)}),
        rest_part(equation, [index, *chosen_operands], found, {"branches": tuple(rest)}),
    )


def _filled(known: Jaxpr, own: int, places: tuple[int, ...], types: Sequence[ArrayType]) -> Jaxpr:
    """The branch with its last `own` results in their places among all that branches hand on."""

    def function(*args: Any) -> list[Any]:
        outs = evaluate(known, *args)
        results, values = split(outs, len(outs) - own)
        given = dict(zip(places, values, strict=True))
        return [*results, *(given[k] if k in given else zeros(t) for k, t in enumerate(types))]

    return restaged(known, ("filled parts", places, *types), known.in_types, function)


def _picking(rest: Jaxpr, picked: tuple[int, ...], given: Sequence[ArrayType]) -> Jaxpr:
    """The branch as one that takes all values that any branch takes."""

    def function(*args: Any) -> list[Any]:
        values, flagged = split(args, len(given))
        return evaluate(rest, *(values[i] for i in picked), *flagged)

    types = [*given, *rest.in_types[len(picked) :]]
    return restaged(rest, ("picking parts", picked, *given), types, function)


def handed_types(parts: Parts) -> list[ArrayType]:
    """What the first part hands to the second."""
    return parts.known.out_types[len(parts.known.outputs) - parts.handed :]


def known_part(
    equation: Equation,
    flags: Sequence[bool],
    found: Sequence[bool],
    handed: Sequence[Var],
    changes: dict[str, Any],
) -> Equation | None:
    """The first part, or None if it does nothing."""
    return _useful(
        equation.replace(
            inputs=tuple(chosen(equation.inputs, [not flag for flag in flags])),
            params={**equation.params, **changes},
            outputs=(*chosen(equation.outputs, [not flag for flag in found]), *handed),
        )
    )


def rest_part(
    equation: Equation, operands: Sequence[Atom], found: Sequence[bool], changes: dict[str, Any]
) -> Equation | None:
    """The second part, or None if it does nothing."""
    return _useful(
        equation.replace(
            inputs=tuple(operands),
            params={**equation.params, **changes},
            outputs=tuple(chosen(equation.outputs, found)),
        )
    )


def _useful(equation: Equation) -> Equation | None:
    return equation if equation.outputs or equation.effects else None
