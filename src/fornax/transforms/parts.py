"""A program as two: what does not depend on chosen inputs, and the rest, which takes values of it.

Operations without effects are pruned to either part, and the parts share no work (`mixed`). Effects
must happen in one of them only: in the part that has their operands.
"""

from __future__ import annotations

from collections.abc import Sequence

from fornax.ir.jaxpr import Equation, Jaxpr, Var
from fornax.record import record
from fornax.transforms.dce import live_equations
from fornax.transforms.mixed import separated
from fornax.transforms.programs import remembered

__all__ = ["Parts", "parted"]


@record(frozen=True)
class Parts:
    """See `parted`."""

    #: inputs that are not flagged -> outputs that are not wanted, then values for the rest
    known: Jaxpr
    #: inputs `taken`, those values, flagged inputs -> outputs that are wanted
    rest: Jaxpr
    taken: tuple[int, ...]
    #: how many values the rest takes
    handed: int


def parted(
    jaxpr: Jaxpr, flags: Sequence[bool], wanted: Sequence[bool], direct: Sequence[bool]
) -> Parts:
    """The parts of a program that owns no constants.

    flags: which inputs the rest depends on. wanted: which outputs the rest gives, those that depend
    on flagged inputs among them. direct: which other inputs the rest may take as they are; their
    values are handed to it otherwise.
    """
    flags, wanted, direct = tuple(flags), tuple(wanted), tuple(direct)

    def make() -> Parts:
        flagged = tuple(v for v, flag in zip(jaxpr.inputs, flags, strict=True) if flag)
        dependent = set(flagged)
        known: list[Equation] = []
        rest: list[Equation] = []
        for equation in jaxpr.equations:
            marks = [isinstance(a, Var) and a in dependent for a in equation.inputs]
            first, second = separated(equation, marks) if any(marks) else (equation, None)
            if first is not None:
                known.append(first)
            if second is not None:
                rest.append(second)
                dependent.update(second.outputs)
        asked = tuple(a for a, flag in zip(jaxpr.outputs, wanted, strict=True) if flag)
        read = [a for equation in rest for a in equation.inputs] + list(asked)
        needed = dict.fromkeys(a for a in read if isinstance(a, Var) and a not in dependent)
        taken = tuple(
            i for i, v in enumerate(jaxpr.inputs) if v in needed and direct[i] and not flags[i]
        )
        inputs = tuple(jaxpr.inputs[i] for i in taken)
        handed = tuple(v for v in needed if v not in inputs)
        outputs = tuple(a for a, flag in zip(jaxpr.outputs, wanted, strict=True) if not flag)
        outputs += handed
        others = tuple(v for v, flag in zip(jaxpr.inputs, flags, strict=True) if not flag)
        name = jaxpr.debug_name
        return Parts(
            Jaxpr(others, tuple(live_equations(known, outputs)), outputs, (), name),
            Jaxpr(
                (*inputs, *handed, *flagged), tuple(live_equations(rest, asked)), asked, (), name
            ),
            taken,
            len(handed),
        )

    return remembered(jaxpr, ("parts", flags, wanted, direct), make)
