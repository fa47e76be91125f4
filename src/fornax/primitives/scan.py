"""The operation `scan`: a loop that carries state over the leading axis of its inputs.

Operands are constants, initial carry, and stacked inputs; results are the final carry and stacked
outputs. Every rule transforms the body and finds by iteration which carries take part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import add, instantiate, move_axis, zeros
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Equation, Jaxpr
from fornax.ir.primitive import Linear, Primitive
from fornax.ir.trace import running
from fornax.ir.types import ArrayType
from fornax.primitives.arrange import (
    chosen,
    depends,
    interleaved,
    merged_effects,
    nonzero_flags,
    prune,
    rearranged,
    restaged,
    run_reference,
    split,
    spread,
)
from fornax.primitives.parted import part_loop
from fornax.primitives.residuals import place_residuals
from fornax.source import located
from fornax.transforms.batch import place
from fornax.transforms.handed import origin
from fornax.transforms.programs import (
    batch_jaxpr,
    fixpoint,
    jvp_jaxpr,
    linearize_jaxpr,
    opened,
    remembered,
    transpose_jaxpr,
)

__all__ = ["Scan", "scan_p"]


class Scan(Primitive):
    """consts, carry, xs -> carry, ys; see the module."""

    def type(self, *types, jaxpr, length, num_carry, num_consts, reverse, unroll):
        consts, carry, xs = split(types, num_consts, num_carry)
        body = jaxpr.in_types
        if len(types) != len(body):
            raise TypeError(
                located(
                    f"scan: its body takes {len(body)} operands, got {len(types)}",
                    attempt="lax.scan, which works out the operands",
                )
            )
        for x in xs:
            if not x.ndim or x.shape[0] != length:
                raise ValueError(
                    located(
                        f"scan: an input of type {x.short()} has no leading axis of size {length}",
                        attempt=f"length={length} elements along the first axis, or a closure "
                        "for what all steps share",
                    )
                )
        slices = [x.update(shape=x.shape[1:]) for x in xs]
        for found, wanted in zip([*consts, *carry, *slices], body, strict=True):
            if found.shape != wanted.shape or found.dtype != wanted.dtype:
                raise TypeError(
                    located(
                        f"scan: an operand gives the body {found.short()}, which takes "
                        f"{wanted.short()}",
                        attempt="astype and reshape to the type that the body was traced for",
                    )
                )
        ends, ys = split(jaxpr.out_types, num_carry)
        for before, after in zip(body[num_consts : num_consts + num_carry], ends, strict=True):
            if before.shape != after.shape or before.dtype != after.dtype:
                raise TypeError(
                    located(
                        "scan body function carry input and carry output must have equal types, "
                        f"but they differ: {before.short()} and {after.short()}",
                        attempt="astype the new carry to the dtype of the old one",
                    )
                )
        return [*ends, *(y.update(shape=(length, *y.shape)) for y in ys)]

    def reference(self, *arrays, jaxpr, length, num_carry, num_consts, reverse, unroll):
        consts, carry, xs = split(arrays, num_consts, num_carry)
        y_types = jaxpr.out_types[num_carry:]
        ys = [np.empty((length, *t.shape), t.dtype) for t in y_types]
        for i in reversed(range(length)) if reverse else range(length):
            outs = run_reference(jaxpr, [*consts, *carry, *(np.asarray(x)[i] for x in xs)])
            carry = outs[:num_carry]
            for stack, y in zip(ys, outs[num_carry:], strict=True):
                stack[i] = y
        return [*map(np.asarray, carry), *ys]

    # --- derivatives ---
    def jvp(self, primals, tangents, *, jaxpr, num_carry, num_consts, **params):
        nonzero = nonzero_flags(tangents)
        flags = tangent_carries(jaxpr, nonzero, num_consts, num_carry)
        nonzero[num_consts : num_consts + num_carry] = flags
        n_ys = len(jaxpr.outputs) - num_carry
        program, has_tangent = jvp_jaxpr(jaxpr, nonzero, [*flags, *[False] * n_ys])
        given = [instantiate(t) for t in chosen(tangents, nonzero)]
        tangent_consts, tangent_carry, tangent_xs = split(
            given, sum(nonzero[:num_consts]), sum(flags)
        )
        consts, carry, xs = split(primals, num_consts, num_carry)
        program, new = opened(program)
        first = len(new)
        inputs = interleaved(len(primals), num_consts, num_carry, nonzero)
        inputs = [*range(first), *(first + i for i in inputs)]
        outputs = interleaved(len(jaxpr.outputs), 0, num_carry, has_tangent)
        outs = self.bind(
            *new, *consts, *tangent_consts, *carry, *tangent_carry, *xs, *tangent_xs,
            jaxpr=rearranged(program, inputs, outputs),
            num_consts=first + num_consts + len(tangent_consts),
            num_carry=num_carry + len(tangent_carry),
            **params,
        )  # fmt: skip
        back = np.argsort(outputs)
        outs = [outs[i] for i in back]
        count = len(jaxpr.outputs)
        types = self.type_of_outputs(jaxpr, num_carry, params["length"])
        return outs[:count], spread(has_tangent, outs[count:], types)

    def type_of_outputs(self, jaxpr: Jaxpr, num_carry: int, length: int) -> list[ArrayType]:
        ends, ys = split(jaxpr.out_types, num_carry)
        return [*ends, *(y.update(shape=(length, *y.shape)) for y in ys)]

    def linearize(
        self, parent, recorder, primals, tangents, *, jaxpr, num_carry, num_consts, **params
    ):
        nonzero = nonzero_flags(tangents)
        n_ys = len(jaxpr.outputs) - num_carry
        carries = slice(num_consts, num_consts + num_carry)

        def step(flags):
            trial = [*nonzero[:num_consts], *flags, *nonzero[num_consts + num_carry :]]
            return linearize_jaxpr(jaxpr, trial)[3][:num_carry]

        flags = fixpoint(step, nonzero[carries])
        nonzero[carries] = flags
        forward, linear, residuals, has_tangent = linearize_jaxpr(
            jaxpr, nonzero, [*flags, *[False] * n_ys]
        )
        forward, new = opened(forward)
        first = len(new)
        placed = place_residuals(forward, residuals, len(jaxpr.outputs), first, num_consts,
                                 num_carry)  # fmt: skip
        operands = [*new, *primals]
        with running(parent):
            outs = self.bind(
                *operands, jaxpr=placed.forward, num_carry=num_carry,
                num_consts=first + num_consts, **params,
            )  # fmt: skip
            fixed, stacked = placed.values(operands, outs)
        given = chosen(tangents, nonzero)
        order = placed.order(len(residuals), nonzero[:num_consts], flags, len(given))
        with running(recorder):
            given = [instantiate(t) for t in given]
            tangent_consts, tangent_carry, tangent_xs = split(
                given, sum(nonzero[:num_consts]), sum(flags)
            )
            results = self.bind(
                *fixed, *tangent_consts, *tangent_carry, *stacked, *tangent_xs,
                jaxpr=rearranged(linear, order, range(len(linear.outputs))),
                num_consts=len(fixed) + len(tangent_consts),
                num_carry=len(tangent_carry),
                **params,
            )  # fmt: skip
        types = self.type_of_outputs(jaxpr, num_carry, params["length"])
        return outs[: len(jaxpr.outputs)], spread(has_tangent, results, types)

    def transpose(self, cotangents, *operands, jaxpr, num_carry, num_consts, reverse, **params):
        wanted = [isinstance(x, Linear) for x in operands]
        carries = slice(num_consts, num_consts + num_carry)
        linear = linear_carries(jaxpr, wanted, num_consts, num_carry)
        # a carry whose start is a known value may still be linear: an instantiated zero tangent
        known = chosen(operands, [not flag for flag in linear])
        stacked = known_carries(
            self, jaxpr, operands, linear, num_consts, num_carry, reverse, params
        )
        backward = TransposedBody(jaxpr, linear, num_consts, num_carry, nonzero_flags(cotangents))
        known_consts, known_xs = split(known, backward.known_consts)
        if backward.known_carries:
            known_xs = [*known_xs[backward.known_carries :], *stacked]
        carry_cts, y_cts = split(cotangents, num_carry)
        start = [zeros(t) for t in backward.const_types]
        start += [instantiate(c) for c in chosen(carry_cts, linear[carries])]
        given = chosen(y_cts, backward.y_given)
        program, new = opened(backward.program())
        outs = self.bind(
            *new, *known_consts, *start, *given, *known_xs,
            jaxpr=program,
            num_consts=len(new) + len(known_consts), num_carry=len(start), reverse=not reverse,
            **params,
        )  # fmt: skip
        found = iter(outs)
        grads = [next(found) if flag else None for flag in linear]
        return [g if want else None for g, want in zip(grads, wanted, strict=True)]

    # --- mapping, pruning ---
    def batch_named(
        self, axis_name, size, operands, dims, *, jaxpr, num_carry, num_consts, **params
    ):
        mapped = [d is not None for d in dims]
        n_ys = len(jaxpr.outputs) - num_carry

        def step(flags):
            trial = [*mapped[:num_consts], *flags, *mapped[num_consts + num_carry :]]
            return batch_jaxpr(jaxpr, size, trial, axis_name)[1][:num_carry]

        carries = slice(num_consts, num_consts + num_carry)
        flags = fixpoint(step, mapped[carries])
        mapped[carries] = flags
        program, out_mapped = batch_jaxpr(jaxpr, size, mapped, axis_name, [*flags, *[False] * n_ys])
        program, new = opened(program)
        moved = list(new)
        for i, (x, dim, flag) in enumerate(zip(operands, dims, mapped, strict=True)):
            if i < num_consts + num_carry:
                moved.append(place(x, dim, size, 0) if flag else x)
            else:
                moved.append(x if dim is None else move_axis(x, dim, 1))
        outs = self.bind(
            *moved, jaxpr=program, num_carry=num_carry, num_consts=len(new) + num_consts, **params
        )
        front = [0] * num_carry + [1] * n_ys
        return outs, [d if m else None for d, m in zip(front, out_mapped, strict=True)]

    def hands_on(self, position, params):
        carry = params["num_consts"] + position
        kept = position < params["num_carry"] and origin(params["jaxpr"], position) == carry
        return carry if kept else None

    def depends(self, flags, *, jaxpr, num_carry, num_consts, **_):
        found = linear_carries(jaxpr, flags, num_consts, num_carry)
        # a carry that no iteration makes dependent may still start so
        carries = found[num_consts : num_consts + num_carry]
        return [*carries, *depends(jaxpr, found)[num_carry:]]

    def dce(self, used, equation):
        params = equation.params
        jaxpr, n_consts, n_carry = params["jaxpr"], params["num_consts"], params["num_carry"]
        if jaxpr.effects:
            return equation

        def step(flags):  # a carry is live if the live part of the body reads it
            _, kept = prune(jaxpr, [*flags, *used[n_carry:]])
            return kept[n_consts : n_consts + n_carry]

        flags = fixpoint(step, used[:n_carry])
        live = [*flags, *used[n_carry:]]
        program, kept = prune(jaxpr, live)
        for k, flag in enumerate(flags):  # a carry that goes out but is not read still comes in
            kept[n_consts + k] = flag
        inputs = tuple(chosen(jaxpr.inputs, kept))
        if all(kept) and all(live) and len(program.equations) == len(jaxpr.equations):
            return equation
        if inputs != program.inputs:
            program = Jaxpr(inputs, program.equations, program.outputs, (), program.debug_name)
        return Equation(
            self,
            tuple(chosen(equation.inputs, kept)),
            {
                **params,
                "jaxpr": program,
                "num_consts": sum(kept[:n_consts]),
                "num_carry": sum(flags),
            },
            tuple(chosen(equation.outputs, live)),
            equation.source,
        )

    def parts(self, equation, flags, found):
        params = equation.params
        flags = linear_carries(params["jaxpr"], flags, params["num_consts"], params["num_carry"])
        return part_loop(equation, flags, found)

    def effects(self, *, jaxpr, **_):
        return merged_effects(jaxpr)


scan_p = Scan("scan")


def tangent_carries(
    jaxpr: Jaxpr, nonzero: Sequence[bool], num_consts: int, num_carry: int
) -> list[bool]:
    """Which carries get a tangent in some iteration, given which operands have one."""

    def step(flags):
        trial = [*nonzero[:num_consts], *flags, *nonzero[num_consts + num_carry :]]
        return jvp_jaxpr(jaxpr, trial)[1][:num_carry]

    return fixpoint(step, nonzero[num_consts : num_consts + num_carry])


def linear_carries(
    jaxpr: Jaxpr, flags: Sequence[bool], num_consts: int, num_carry: int
) -> list[bool]:
    """The flags of operands, and of the carries that depend on flagged ones in some iteration."""
    consts, carry, xs = split(flags, num_consts, num_carry)

    def step(found):
        return depends(jaxpr, [*consts, *found, *xs])[:num_carry]

    return [*consts, *fixpoint(step, carry), *xs]


def known_carries(
    scan: Scan,
    jaxpr: Jaxpr,
    operands: Sequence[Any],
    linear: Sequence[bool],
    num_consts: int,
    num_carry: int,
    reverse: bool,
    params: dict[str, Any],
) -> list[Any]:
    """The values, stacked, that known carries have at the start of each iteration.

    The carries of a linear scan are linear as a rule, and there is nothing to do. A counter or
    another known carry is computed by a scan of its own.
    """
    position = [i for i in range(num_consts, num_consts + num_carry) if not linear[i]]
    if not position:
        return []
    inputs = [i for i, flag in enumerate(linear) if not flag]

    def make():
        outputs = tuple(jaxpr.outputs[i - num_consts] for i in position)
        outputs += tuple(jaxpr.inputs[i] for i in position)
        whole = Jaxpr(jaxpr.inputs, jaxpr.equations, outputs, (), jaxpr.debug_name)
        live, _ = prune(whole, [True] * len(outputs))
        ordered = tuple(jaxpr.inputs[i] for i in inputs)
        return Jaxpr(ordered, live.equations, live.outputs, (), jaxpr.debug_name)

    program = remembered(jaxpr, ("known carries", *linear), make)
    results = scan.bind(
        *[operands[i] for i in inputs],
        jaxpr=program,
        num_consts=sum(not flag for flag in linear[:num_consts]),
        num_carry=len(position),
        reverse=reverse,
        **params,
    )
    return results[len(position) :]


class TransposedBody:
    """The body of the backward loop of a scan.

    It takes known constants; accumulated cotangents of linear constants and cotangents of the
    linear carry; cotangents of the ys, known xs and known carries of the iteration. It gives the
    accumulators, the carry's cotangents, and the cotangents of the linear xs.
    """

    def __init__(
        self,
        jaxpr: Jaxpr,
        linear: Sequence[bool],
        num_consts: int,
        num_carry: int,
        nonzero: Sequence[bool],
    ):
        self.jaxpr = jaxpr
        self.linear = tuple(linear)
        self.num_consts = num_consts
        self.num_carry = num_carry
        lin_consts, lin_carry, lin_xs = split(linear, num_consts, num_carry)
        const_types, carry_types, x_types = split(jaxpr.in_types, num_consts, num_carry)
        outputs = depends(jaxpr, linear)
        self.carry_given = list(lin_carry)
        self.y_given = [
            n and o for n, o in zip(nonzero[num_carry:], outputs[num_carry:], strict=True)
        ]
        self.known_consts = num_consts - sum(lin_consts)
        self.known_carries = num_carry - sum(lin_carry)
        self.known_xs = len(x_types) - sum(lin_xs)
        self.const_types = [t.tangent() for t in chosen(const_types, lin_consts)]
        self.carry_types = [t.tangent() for t in chosen(carry_types, lin_carry)]
        self.types = [
            *chosen(const_types, [not f for f in lin_consts]),
            *self.const_types,
            *self.carry_types,
            *(t.tangent() for t in chosen(jaxpr.out_types[num_carry:], self.y_given)),
            *chosen(x_types, [not f for f in lin_xs]),
            *chosen(carry_types, [not f for f in lin_carry]),
        ]

    def program(self) -> Jaxpr:
        given = [*self.carry_given, *self.y_given]
        transposed = transpose_jaxpr(self.jaxpr, self.linear, given)

        def function(*args: Any) -> list[Any]:
            consts, sums, carry, ys, xs, carries = split(
                args, self.known_consts, len(self.const_types), len(self.carry_types),
                sum(self.y_given), self.known_xs,
            )  # fmt: skip
            outs = evaluate(transposed, *consts, *carries, *xs, *carry, *ys)
            count = len(sums)
            return [*map(add, sums, outs[:count]), *outs[count:]]

        key = ("transposed body", self.linear, tuple(given), self.num_consts, self.num_carry)
        return restaged(self.jaxpr, key, self.types, function)
