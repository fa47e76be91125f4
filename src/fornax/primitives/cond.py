"""The operation `cond`: one of several programs, chosen by an index.

The first operand is the index (int32, clamped to the number of branches); the others go to the
branch. Branches take operands and give results of equal types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, move_axis, zeros
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Equation, Jaxpr
from fornax.ir.primitive import Linear, Primitive
from fornax.ir.trace import running
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.arrange import (
    chosen,
    depends,
    merged_effects,
    nonzero_flags,
    prune,
    refuse_effects,
    restaged,
    run_reference,
    spread,
    with_common_constants,
)
from fornax.primitives.compare import eq_p, ne_p
from fornax.primitives.convert import stop_gradient_p
from fornax.primitives.parted import part_branches
from fornax.primitives.select import select_n_p
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.batch import place
from fornax.transforms.handed import origin
from fornax.transforms.programs import (
    batch_jaxpr,
    jvp_jaxpr,
    linearize_jaxpr,
    transpose_jaxpr,
)

__all__ = ["Cond", "cond_p"]


class Cond(Primitive):
    """index, operands -> results of branches[index]; see the module."""

    def type(self, index, *types, branches):
        if index.shape or index.dtype != dtypes.int32:
            raise TypeError(
                located(
                    f"cond: the index must be a scalar int32, got {index.short()}",
                    attempt="lax.cond or lax.switch, which convert it",
                )
            )
        first = branches[0]
        for number, branch in enumerate(branches):
            for found, wanted in zip(types, branch.in_types, strict=True):
                if found.shape != wanted.shape or found.dtype != wanted.dtype:
                    raise TypeError(
                        located(
                            f"cond: branch {number} takes {wanted.short()}, an operand has type "
                            f"{found.short()}",
                            attempt="astype and reshape to the type that the branches were "
                            "traced for",
                        )
                    )
            for found, wanted in zip(branch.out_types, first.out_types, strict=True):
                if found.shape != wanted.shape or found.dtype != wanted.dtype:
                    raise TypeError(
                        located(
                            f"cond: branch {number} gives {found.short()} where branch 0 gives "
                            f"{wanted.short()}",
                            attempt="astype, so that all branches give the same types",
                        )
                    )
        return list(first.out_types)  # weakly typed where those of branch 0 are

    def reference(self, index, *arrays, branches):
        number = int(np.clip(index, 0, len(branches) - 1))
        return run_reference(branches[number], arrays)

    # --- derivatives ---
    def jvp(self, primals, tangents, *, branches):
        index, *operands = primals
        nonzero = nonzero_flags(tangents[1:])
        has_tangent = union(jvp_jaxpr(b, nonzero)[1] for b in branches)
        programs = tuple(jvp_jaxpr(b, nonzero, has_tangent)[0] for b in branches)
        programs, new = with_common_constants(programs)
        outs = self.bind(index, *new, *operands, *chosen(tangents[1:], nonzero), branches=programs)
        count = len(branches[0].outputs)
        return outs[:count], spread(has_tangent, outs[count:], branches[0].out_types)

    def linearize(self, parent, recorder, primals, tangents, *, branches):
        index, *operands = primals
        nonzero = nonzero_flags(tangents[1:])
        has_tangent = union(linearize_jaxpr(b, nonzero)[3] for b in branches)
        parts = [linearize_jaxpr(b, nonzero, has_tangent) for b in branches]
        forwards, slots, places = joined_residuals(branches, parts)
        forwards, new = with_common_constants(forwards)
        with running(parent):
            outs = self.bind(index, *new, *operands, branches=forwards)
        count = len(branches[0].outputs)
        sources = {"input": operands, "output": outs}
        saved = [sources[kind][k] if kind in sources else k for kind, k in slots]
        linears = tuple(
            with_slots(linear, place, [typeof(s) for s in saved])
            for (_, linear, _, _), place in zip(parts, places, strict=True)
        )
        with running(recorder):
            results = self.bind(index, *saved, *chosen(tangents[1:], nonzero), branches=linears)
        return outs[:count], spread(has_tangent, results, branches[0].out_types)

    def transpose(self, cotangents, index, *operands, branches):
        linear = [isinstance(x, Linear) for x in operands]
        given = nonzero_flags(cotangents)
        programs, new = with_common_constants([transpose_jaxpr(b, linear, given) for b in branches])
        known = [x for x in operands if not isinstance(x, Linear)]
        cts = chosen(cotangents, given)
        outs = iter(self.bind(index, *new, *known, *cts, branches=programs))
        return [None, *(next(outs) if flag else None for flag in linear)]

    # --- mapping, pruning ---
    def batch_named(self, axis_name, size, operands, dims, *, branches):
        index, *values = operands
        if dims[0] is not None:
            return self.select(axis_name, size, operands, dims, branches)
        mapped = [d is not None for d in dims[1:]]
        fronted = [
            x if d is None else move_axis(x, d, 0) for x, d in zip(values, dims[1:], strict=True)
        ]
        out_mapped = union(batch_jaxpr(b, size, mapped, axis_name)[1] for b in branches)
        programs, new = with_common_constants(
            [batch_jaxpr(b, size, mapped, axis_name, out_mapped)[0] for b in branches]
        )
        outs = self.bind(index, *new, *fronted, branches=programs)
        return outs, [0 if m else None for m in out_mapped]

    def select(self, axis_name, size, operands, dims, branches):
        """Every example chooses for itself: all branches run, and each result is selected."""
        refuse_effects(
            "IO effect not supported in vmap-of-cond", merged_effects(*branches),
            "the index is mapped, and all branches run\n  try:   move the effect out of the branch",
        )  # fmt: skip
        index, *values = [place(x, d, size, 0) if d is not None or k == 0 else x
                          for k, (x, d) in enumerate(zip(operands, dims, strict=True))]  # fmt: skip
        mapped = [d is not None for d in dims[1:]]
        kept = common(branches, mapped)
        wanted = [k not in kept for k in range(len(branches[0].outputs))]
        made = [batch_jaxpr(b, size, mapped, axis_name, wanted) for b in branches]
        if any(flags[k] for _, flags in made for k in kept):  # a rule writes what is mapped
            kept = {}
            made = [batch_jaxpr(b, size, mapped, axis_name, True) for b in branches]
        programs = [program for program, _ in made]
        results = []
        for number, program in enumerate(programs):
            here = eq_p.bind(index, np.int32(number))[0]
            # no derivative flows into a branch from examples that do not choose it: without
            # this, a division by zero there would turn their gradients into NaN
            guarded = [
                guard(here, x) if m and len(programs) > 1 else x
                for x, m in zip(values, mapped, strict=True)
            ]
            results.append(evaluate(program, *guarded))
            for k, operand in kept.items():  # goes through all branches, one after the other
                values[operand] = results[-1][k]
        which = ne_p.bind(index, np.int32(0))[0] if len(branches) == 2 else index
        outs = []
        for k, cases in enumerate(zip(*results, strict=True)):
            if k in kept:
                outs.append(values[kept[k]])
                continue
            shape = typeof(cases[0]).shape
            outs.append(
                select_n_p.bind(broadcast_in_dim(which, shape, (0,)), *cases)[0]
                if len(cases) > 1 else cases[0]
            )  # fmt: skip
        return outs, [None if k in kept else 0 for k in range(len(outs))]

    def hands_on(self, position, params):
        origins = {origin(branch, position) for branch in params["branches"]}
        found = origins.pop()
        return None if origins or found is None else 1 + found

    def depends(self, flags, *, branches):
        if flags[0]:
            return [True] * len(branches[0].outputs)
        return union(depends(b, flags[1:]) for b in branches)

    def dce(self, used, equation):
        branches = equation.params["branches"]
        if any(b.effects for b in branches):
            return equation
        pruned = [prune(b, used) for b in branches]
        kept = union(k for _, k in pruned)
        if (
            all(kept)
            and all(used)
            and all(
                len(p.equations) == len(b.equations)
                for (p, _), b in zip(pruned, branches, strict=True)
            )
        ):
            return equation
        programs = tuple(
            Jaxpr(tuple(chosen(b.inputs, kept)), p.equations, p.outputs, (), b.debug_name)
            for (p, _), b in zip(pruned, branches, strict=True)
        )
        return Equation(
            self,
            (equation.inputs[0], *chosen(equation.inputs[1:], kept)),
            {"branches": programs},
            tuple(chosen(equation.outputs, used)),
            equation.source,
        )

    def parts(self, equation, flags, found):
        # which branch runs must be known
        return (None, equation) if flags[0] else part_branches(equation, flags, found)

    def effects(self, *, branches):
        return merged_effects(*branches)


cond_p = Cond("cond")


def union(rows: Any) -> list[bool]:
    """Which columns have a flag set in any row."""
    return [any(column) for column in zip(*rows, strict=True)]


def common(branches: Sequence[Jaxpr], mapped: Sequence[bool]) -> dict[int, int]:
    """The results that all branches hand on, and from which operand; not those that are mapped."""
    found = {}
    for k in range(len(branches[0].outputs)):
        first, *others = (origin(branch, k) for branch in branches)
        if first is not None and not mapped[first] and all(o == first for o in others):
            found[k] = first
    return found


def guard(here: Any, x: Any) -> Any:
    """`x`, whose derivative is zero where `here` is false."""
    type = typeof(x)
    if not dtypes.is_inexact(type.dtype):
        return x
    mask = broadcast_in_dim(here, type.shape, (0,))
    return select_n_p.bind(mask, stop_gradient_p.bind(x)[0], x)[0]


#: ("input", k), ("output", k) or ("constant", value)
Slot = tuple[str, Any]


def joined_residuals(
    branches: Sequence[Jaxpr], parts: Sequence[tuple]
) -> tuple[tuple[Jaxpr, ...], list[Slot], list[list[int]]]:
    """(forward branches, residual slots, which slot each residual of each branch is in).

    Branches give different residuals but must give results of the same types. A slot is a
    constant, an operand, a result or an extra result; extra results of equal type are shared
    between branches, and a branch that has no use for one gives zeros.
    """
    count = len(branches[0].outputs)
    slots: list[Slot] = []
    extra_types: list[ArrayType] = []
    fillings: list[dict[int, int]] = []  # per branch: extra result -> its own new residual
    places: list[list[int]] = []

    def slot(kind: str, k: Any) -> int:
        for number, (known_kind, known) in enumerate(slots):
            if known_kind == kind and (known is k if kind == "constant" else known == k):
                return number
        slots.append((kind, k))
        return len(slots) - 1

    for forward, _, residuals, _ in parts:
        filling: dict[int, int] = {}
        place = []
        for kind, k in residuals:
            if kind == "constant":
                place.append(slot(kind, forward.consts[k]))
                continue
            if kind != "new":
                place.append(slot(kind, k))
                continue
            known = next((e for e, own in filling.items() if own == k), None)
            if known is None:
                type = forward.outputs[count + k].type.strip_weak_type()
                known = next(
                    (e for e, t in enumerate(extra_types) if t is type and e not in filling),
                    len(extra_types),
                )
                if known == len(extra_types):
                    extra_types.append(type)
                filling[known] = k
            place.append(slot("output", count + known))
        fillings.append(filling)
        places.append(place)
    forwards = tuple(
        filled(forward, count, filling, extra_types)
        for (forward, _, _, _), filling in zip(parts, fillings, strict=True)
    )
    return forwards, slots, places


def filled(
    forward: Jaxpr, count: int, filling: dict[int, int], extra_types: Sequence[ArrayType]
) -> Jaxpr:
    """A forward branch whose extra results fill the common slots."""

    def function(*args: Any) -> list[Any]:
        outs = evaluate(forward, *args)
        extra = [
            outs[count + filling[e]] if e in filling else zeros(t)
            for e, t in enumerate(extra_types)
        ]
        return [*outs[:count], *extra]

    key = ("filled", count, *filling.items(), *extra_types)
    return restaged(forward, key, forward.in_types, function)


def with_slots(linear: Jaxpr, place: Sequence[int], types: Sequence[ArrayType]) -> Jaxpr:
    """A linear branch that takes all residual slots and reads its own."""
    own = len(place)

    def function(*args: Any) -> list[Any]:
        saved, tangents = args[: len(types)], args[len(types) :]
        return evaluate(linear, *[saved[i] for i in place], *tangents)

    key = ("with slots", *place, *types)
    return restaged(linear, key, [*types, *linear.in_types[own:]], function)
