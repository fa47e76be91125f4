"""The operation `while`: a loop whose number of iterations is known only when it ends.

Operands are constants of the condition, constants of the body, and the initial carry. It can be
differentiated forwards only: going backwards would need memory for an unknown number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax import source
from fornax.errors import message
from fornax.ir.basis import broadcast_in_dim, instantiate, move_axis
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Equation, Jaxpr
from fornax.ir.primitive import Primitive
from fornax.ir.trace import running
from fornax.ir.types import typeof
from fornax.primitives.arrange import (
    chosen,
    depends,
    merged_effects,
    nonzero_flags,
    prune,
    rearranged,
    refuse_effects,
    restaged,
    run_reference,
    split,
    spread,
)
from fornax.primitives.reduce import reduce_or_p
from fornax.primitives.select import select_n_p
from fornax.source import located
from fornax.transforms.batch import place
from fornax.transforms.handed import handed_on, origin
from fornax.transforms.programs import batch_jaxpr, fixpoint, jvp_jaxpr, opened

__all__ = ["While", "while_p"]


class While(Primitive):
    """cond consts, body consts, carry -> carry; see the module."""

    def type(self, *types, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts):
        cond_consts, body_consts, carry = split(types, cond_nconsts, body_nconsts)
        for what, program, given in (
            ("condition", cond_jaxpr, [*cond_consts, *carry]),
            ("body", body_jaxpr, [*body_consts, *carry]),
        ):
            for found, wanted in zip(given, program.in_types, strict=True):
                if found.shape != wanted.shape or found.dtype != wanted.dtype:
                    raise TypeError(
                        located(
                            f"while: its {what} takes {wanted.short()}, an operand has type "
                            f"{found.short()}",
                            attempt="astype and reshape to the type that it was traced for",
                        )
                    )
        for before, after in zip(carry, body_jaxpr.out_types, strict=True):
            if before.shape != after.shape or before.dtype != after.dtype:
                raise TypeError(
                    located(
                        "while_loop body function carry input and carry output must have equal "
                        f"types, but they differ: {before.short()} and {after.short()}",
                        attempt="astype the new carry to the dtype of the old one",
                    )
                )
        return body_jaxpr.out_types

    def reference(self, *arrays, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts):
        cond_consts, body_consts, carry = split(arrays, cond_nconsts, body_nconsts)
        while run_reference(cond_jaxpr, [*cond_consts, *carry])[0].any():
            carry = run_reference(body_jaxpr, [*body_consts, *carry])
        return list(carry)

    # --- derivatives ---
    def jvp(self, primals, tangents, *, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts):
        if any(untouched(body_jaxpr, body_nconsts)):
            params, positions, kept = with_constants(
                cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts
            )
            results = self.jvp(
                [primals[i] for i in positions], [tangents[i] for i in positions], **params
            )
            first = cond_nconsts + body_nconsts
            outs, out_tangents = list(primals[first:]), list(tangents[first:])
            for position, out, tangent in zip(kept, *results, strict=True):
                outs[position], out_tangents[position] = out, tangent
            return outs, out_tangents
        cond_consts, body_consts, carry = split(primals, cond_nconsts, body_nconsts)
        _, const_tangents, carry_tangents = split(tangents, cond_nconsts, body_nconsts)
        const_flags = nonzero_flags(const_tangents)

        def step(flags):
            return jvp_jaxpr(body_jaxpr, [*const_flags, *flags])[1]

        flags = fixpoint(step, nonzero_flags(carry_tangents))
        program, _ = jvp_jaxpr(body_jaxpr, [*const_flags, *flags], flags)
        given_consts = chosen(const_tangents, const_flags)
        given_carry = [instantiate(t) for t in chosen(carry_tangents, flags)]
        # the jvp program takes consts, carry, const tangents, carry tangents
        program, new = opened(program)
        n, k, c = len(new) + body_nconsts, len(carry), len(given_consts)
        order = [*range(n), *range(n + k, n + k + c), *range(n, n + k),
                 *range(n + k + c, n + k + c + len(given_carry))]  # fmt: skip
        outs = self.bind(
            *cond_consts, *new, *body_consts, *given_consts, *carry, *given_carry,
            cond_jaxpr=ignoring(cond_jaxpr, [typeof(t) for t in given_carry]),
            body_jaxpr=rearranged(program, order, range(len(program.outputs))),
            cond_nconsts=cond_nconsts,
            body_nconsts=n + c,
        )  # fmt: skip
        return outs[:k], spread(flags, outs[k:], body_jaxpr.out_types)

    def linearize(self, parent, recorder, primals, tangents, **params):
        with running(parent):
            outs = self.bind(*primals, **params)
        with running(recorder):
            # primals are known here: the whole loop runs once more beside its tangents
            _, out_tangents = self.jvp(primals, tangents, **params)
        return outs, out_tangents

    def transpose(self, cotangents, *operands, **params):
        raise ValueError(
            message(
                "Reverse-mode differentiation does not work for lax.while_loop or lax.fori_loop "
                "with dynamic start/stop values.",
                where=str(source.here() or "unknown"),
                why="the number of iterations is not known before the loop has run, so there is no "
                "room for what the backward pass would need",
                attempt="lax.scan, or fori_loop with static start/stop; or "
                "forward-mode differentiation (jvp, jacfwd)",
            )
        )

    # --- mapping, pruning ---
    def batch_named(
        self, axis_name, size, operands, dims, *, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts
    ):
        mapped = [d is not None for d in dims]
        cond_mapped, body_mapped, carry_mapped = split(mapped, cond_nconsts, body_nconsts)

        def predicate(flags):
            return batch_jaxpr(cond_jaxpr, size, [*cond_mapped, *flags], axis_name)[1][0]

        kept = handed_on(body_jaxpr, body_nconsts, len(carry_mapped))

        def step(flags):
            raised = batch_jaxpr(body_jaxpr, size, [*body_mapped, *flags], axis_name)[1]
            if predicate(flags):  # examples end at different times: what changes becomes mapped
                return [r or not k for r, k in zip(raised, kept, strict=True)]
            return raised

        flags = fixpoint(step, carry_mapped)
        cond, pred_mapped = batch_jaxpr(cond_jaxpr, size, [*cond_mapped, *flags], axis_name)
        body, _ = batch_jaxpr(body_jaxpr, size, [*body_mapped, *flags], axis_name, flags)
        cond_consts, body_consts, carry = split(operands, cond_nconsts, body_nconsts)
        cond_dims, body_dims, carry_dims = split(dims, cond_nconsts, body_nconsts)
        cond, new = opened(cond)
        cond_consts = [*new, *fronted(cond_consts, cond_dims)]
        body, new = opened(body)
        body_consts = [*new, *fronted(body_consts, body_dims)]
        carry = [
            place(x, d, size, 0) if flag else x
            for x, d, flag in zip(carry, carry_dims, flags, strict=True)
        ]
        if pred_mapped[0]:
            refuse_effects(
                "Unordered IO effects not supported in while_loop with batched predicate",
                merged_effects(cond_jaxpr, body_jaxpr),
                "examples that are done would cause the effect again",
            )
            body, body_consts = until_all_done(cond, body, cond_consts, body_consts, flags)
            cond = any_example(cond)
        outs = self.bind(
            *cond_consts, *body_consts, *carry,
            cond_jaxpr=cond, body_jaxpr=body,
            cond_nconsts=len(cond_consts), body_nconsts=len(body_consts),
        )  # fmt: skip
        return outs, [0 if flag else None for flag in flags]

    def hands_on(self, position, params):
        first = params["body_nconsts"]
        kept = origin(params["body_jaxpr"], position) == first + position
        return params["cond_nconsts"] + first + position if kept else None

    def depends(self, flags, *, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts):
        cond_flags, body_flags, carry_flags = split(flags, cond_nconsts, body_nconsts)
        found = fixpoint(lambda given: depends(body_jaxpr, [*body_flags, *given]), carry_flags)
        # how often the body runs decides about every carry that it changes
        if any(depends(cond_jaxpr, [*cond_flags, *found])):
            carries = body_jaxpr.inputs[body_nconsts:]
            changed = [a is not b for a, b in zip(carries, body_jaxpr.outputs, strict=True)]
            found = [f or c for f, c in zip(found, changed, strict=True)]
            found = fixpoint(lambda given: depends(body_jaxpr, [*body_flags, *given]), found)
        return found

    def dce(self, used, equation):
        params = equation.params
        cond, body = params["cond_jaxpr"], params["body_jaxpr"]
        if cond.effects or body.effects:
            return equation
        n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
        _, cond_kept = prune(cond, [True])

        def step(flags):
            return prune(body, flags)[1][n_body:]

        start = [u or c for u, c in zip(used, cond_kept[n_cond:], strict=True)]
        flags = fixpoint(step, start)
        program, kept = prune(body, flags)
        unchanged = len(program.equations) == len(body.equations)
        if all(flags) and all(kept[:n_body]) and unchanged:
            return equation
        live = [*kept[:n_body], *flags]
        inputs = tuple(chosen(body.inputs, live))
        program = Jaxpr(inputs, program.equations, program.outputs, (), body.debug_name)
        cond_live = [*[True] * n_cond, *flags]
        cond = rearranged(cond, [i for i, flag in enumerate(cond_live) if flag], [0])
        return Equation(
            self,
            tuple(chosen(equation.inputs, [*[True] * n_cond, *live])),
            {
                **params,
                "cond_jaxpr": cond,
                "body_jaxpr": program,
                "body_nconsts": sum(live[:n_body]),
            },
            tuple(chosen(equation.outputs, flags)),
            equation.source,
        )

    def effects(self, *, cond_jaxpr, body_jaxpr, **_):
        return merged_effects(cond_jaxpr, body_jaxpr)


while_p = While("while")


def untouched(body: Jaxpr, body_nconsts: int) -> list[bool]:
    """Which carries the body passes on as they are."""
    return [a is b for a, b in zip(body.inputs[body_nconsts:], body.outputs, strict=True)]


def with_constants(
    cond: Jaxpr, body: Jaxpr, cond_nconsts: int, body_nconsts: int
) -> tuple[dict[str, Any], list[int], list[int]]:
    """The loop with its untouched carries as constants of both its programs.

    Returns its params, which operands it takes, and which carries it still gives.
    """
    flags = untouched(body, body_nconsts)
    fixed = [i for i, flag in enumerate(flags) if flag]
    kept = [i for i, flag in enumerate(flags) if not flag]

    def order(count: int) -> list[int]:
        return [*range(count), *(count + i for i in fixed), *(count + i for i in kept)]

    params = {
        "cond_jaxpr": rearranged(cond, order(cond_nconsts), [0]),
        "body_jaxpr": rearranged(body, order(body_nconsts), kept),
        "cond_nconsts": cond_nconsts + len(fixed),
        "body_nconsts": body_nconsts + len(fixed),
    }
    first = cond_nconsts + body_nconsts
    positions = [
        *range(cond_nconsts), *(first + i for i in fixed),
        *range(cond_nconsts, first), *(first + i for i in fixed), *(first + i for i in kept),
    ]  # fmt: skip
    return params, positions, kept


def ignoring(jaxpr: Jaxpr, types: Sequence[Any]) -> Jaxpr:
    """The program with more inputs, which it does not read."""
    count = len(jaxpr.inputs)
    key = ("ignoring", *types)
    return restaged(jaxpr, key, [*jaxpr.in_types, *types], lambda *xs: evaluate(jaxpr, *xs[:count]))


def fronted(values: Sequence[Any], dims: Sequence[int | None]) -> list[Any]:
    """The values with their mapped axis, if any, in front."""
    return [x if d is None else move_axis(x, d, 0) for x, d in zip(values, dims, strict=True)]


def any_example(cond: Jaxpr) -> Jaxpr:
    """The condition of a mapped loop: whether any example goes on."""

    def function(*args: Any) -> list[Any]:
        (going,) = evaluate(cond, *args)
        return reduce_or_p.bind(going, axes=tuple(range(typeof(going).ndim)))

    return restaged(cond, ("any example",), cond.in_types, function)


def until_all_done(
    cond: Jaxpr, body: Jaxpr, cond_consts: Sequence[Any], body_consts: Sequence[Any],
    mapped: Sequence[bool],
) -> tuple[Jaxpr, list[Any]]:  # fmt: skip
    """The body of a mapped loop whose examples end at different times, and its constants.

    It leaves the carry of examples that have ended as it was, where there is one for each.
    """
    n_cond, n_body = len(cond_consts), len(body_consts)
    carry_types = body.in_types[n_body:]
    types = [*cond.in_types[:n_cond], *body.in_types[:n_body], *carry_types]

    def function(*args: Any) -> list[Any]:
        for_cond, for_body, carry = split(args, n_cond, n_body)
        (going,) = evaluate(cond, *for_cond, *carry)
        after = evaluate(body, *for_body, *carry)
        return [
            select_n_p.bind(
                broadcast_in_dim(going, typeof(old).shape, range(typeof(going).ndim)), old, new
            )[0]
            if each else new
            for old, new, each in zip(carry, after, mapped, strict=True)
        ]  # fmt: skip

    key = ("until all done", cond, *mapped)
    return restaged(body, key, types, function), [*cond_consts, *body_consts]
