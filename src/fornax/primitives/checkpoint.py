"""The operations `checkpoint` and `name`: recompute on the way back instead of remembering.

`checkpoint` runs a program. Linearized, it keeps the program's inputs and the values that its
policy approves, and its linear part is a `checkpoint` again (`differentiated=True`) whose program
computes the other values anew. The recomputation lives inside that program, which the compiler
must not merge with equal work outside: common subexpressions stop at this boundary
(`prevent_cse`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Equation, Jaxpr, Literal, Var
from fornax.ir.primitive import Linear, Primitive
from fornax.ir.trace import running
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
)
from fornax.primitives.call import check_operands, map_program
from fornax.primitives.parted import part_call
from fornax.record import record
from fornax.transforms.dce import dead_code
from fornax.transforms.handed import origin
from fornax.transforms.programs import (
    jvp_jaxpr,
    linearize_jaxpr,
    opened,
    remembered,
    transpose_jaxpr,
)

__all__ = ["Checkpoint", "Offloadable", "Policy", "Recompute", "Saveable", "checkpoint_p", "name_p"]


@record(frozen=True)
class Saveable:
    """A policy's answer: keep the value."""


@record(frozen=True)
class Offloadable:
    """A policy's answer: keep the value in another memory. There is one, so it is kept."""

    src: str
    dst: str


@record(frozen=True)
class Recompute:
    """A policy's answer: compute the value again."""


#: (primitive, *operand types, **params) -> whether to keep the operation's results
Policy = Callable[..., Any]


def approves(policy: Policy | None, equation: Equation) -> bool:
    """Whether a policy wants the results of an equation kept."""
    if policy is None:
        return False
    answer = policy(equation.primitive, *(a.type for a in equation.inputs), **equation.params)
    if isinstance(answer, Saveable | Offloadable):
        return True
    return answer is not None and not isinstance(answer, Recompute) and bool(answer)


class Checkpoint(Primitive):
    """Run `jaxpr`; see the module."""

    keeps_recomputation = True
    transparent = True

    def inlined(self, *, jaxpr, **_):
        return jaxpr

    def type(self, *types, jaxpr, policy, prevent_cse, differentiated):
        check_operands(self.name, jaxpr, types)
        return jaxpr.out_types

    def reference(self, *arrays, jaxpr, **_):
        return run_reference(jaxpr, arrays)

    def jvp(self, primals, tangents, *, jaxpr, **params):
        nonzero = nonzero_flags(tangents)
        program, has_tangent = jvp_jaxpr(jaxpr, nonzero)
        program, new = opened(program)
        outs = self.bind(*new, *primals, *chosen(tangents, nonzero), jaxpr=program, **params)
        count = len(jaxpr.outputs)
        return outs[:count], spread(has_tangent, outs[count:], jaxpr.out_types)

    def linearize(self, parent, recorder, primals, tangents, *, jaxpr, policy, **params):
        nonzero = nonzero_flags(tangents)
        forward, linear, kept, has_tangent = split_program(jaxpr, nonzero, policy)
        # of the derived programs: a custom rule has other effects than its function
        refuse_effects(
            "Effects not supported in partial-eval of `checkpoint`/`remat`",
            merged_effects(forward, linear), "the recomputation would cause them a second time",
        )  # fmt: skip
        count = len(jaxpr.outputs)
        forward, new = opened(forward)
        operands = [*new, *primals]
        with running(parent):
            outs = self.bind(*operands, jaxpr=forward, policy=policy, **params)
        values = [outs[count + k] if where == "saved" else operands[k] for where, k in kept]
        with running(recorder):
            results = self.bind(
                *values, *chosen(tangents, nonzero), jaxpr=linear, policy=policy,
                **{**params, "differentiated": True},
            )  # fmt: skip
        return outs[:count], spread(has_tangent, results, jaxpr.out_types)

    def transpose(self, cotangents, *operands, jaxpr, **params):
        linear = [isinstance(x, Linear) for x in operands]
        given = nonzero_flags(cotangents)
        known = [x for x in operands if not isinstance(x, Linear)]
        program, new = opened(transpose_jaxpr(jaxpr, linear, given))
        cts = chosen(cotangents, given)
        outs = iter(self.bind(*new, *known, *cts, jaxpr=program, **params))
        return [next(outs) if flag else None for flag in linear]

    def batch_named(self, axis_name, size, operands, dims, *, jaxpr, **params):
        fronted, program, out_dims = map_program(jaxpr, axis_name, size, operands, dims)
        return self.bind(*fronted, jaxpr=program, **params), out_dims

    def hands_on(self, position, params):
        return origin(params["jaxpr"], position)

    def depends(self, flags, *, jaxpr, **_):
        return depends(jaxpr, flags)

    def parts(self, equation, flags, found):
        # a rule has taken its derivative: what has effects is not computed again, but handed on
        return part_call(equation, flags, found)

    def dce(self, used, equation):
        program, kept = prune(equation.params["jaxpr"], used)
        return Equation(
            self,
            tuple(chosen(equation.inputs, kept)),
            {**equation.params, "jaxpr": program},
            tuple(chosen(equation.outputs, used)),
            equation.source,
        )

    def effects(self, *, jaxpr, **_):
        return merged_effects(jaxpr)


checkpoint_p = Checkpoint("checkpoint")


def split_program(jaxpr: Jaxpr, nonzero: Sequence[bool], policy: Policy | None):
    """(forward, linear, what linear takes, which outputs have a tangent).

    "input" counts the constants of forward too.

    forward gives the outputs and then the values that the policy keeps. linear takes those of them
    and of the inputs that it needs, as ("saved", k) and ("input", k), then the tangents.
    """
    nonzero = tuple(nonzero)

    def make():
        forward, linear, residuals, has_tangent = linearize_jaxpr(jaxpr, nonzero)
        count = len(jaxpr.outputs)
        forward = inlined(forward)
        kept_vars: list[Var] = []
        for equation in forward.equations:
            if approves(policy, equation):
                kept_vars += equation.outputs
        known = {v: ("saved", k) for k, v in enumerate(kept_vars)}
        for k, v in enumerate(forward.inputs):
            known.setdefault(v, ("input", k))
        needed = residual_atoms(forward, residuals, count)
        # the program from what is known to the residuals: kept values are inputs of it
        start = tuple(known)
        equations = [e for e in forward.equations if recomputed(e, known, policy)]
        again = Jaxpr(start, renamed(equations, known), needed, (), jaxpr.debug_name)
        again, used = prune(again, [True] * len(needed))
        kept = [known[v] for v in chosen(start, used)]
        taken = sorted({k for where, k in kept if where == "saved"})
        outputs = (*forward.outputs[:count], *(kept_vars[k] for k in taken))
        kept = [(w, taken.index(k)) if w == "saved" else (w, k) for w, k in kept]
        whole = Jaxpr(forward.inputs, forward.equations, outputs, forward.consts, jaxpr.debug_name)

        def function(*args: Any) -> list[Any]:
            values = evaluate(again, *args[: len(kept)])
            return evaluate(linear, *values, *args[len(kept) :])

        types = [*again.in_types, *linear.in_types[len(residuals) :]]
        program = restaged(again, ("linear", linear), types, function)
        return dead_code(whole), program, kept, has_tangent

    return remembered(jaxpr, ("checkpoint", nonzero, policy), make)


def recomputed(
    equation: Equation, known: dict[Var, tuple[str, int]], policy: Policy | None
) -> bool:
    """Whether the way back does an operation again.

    Debugging output shows what is computed again, except what the policy says of it and of the
    values that it shows: that they are kept.
    """
    if equation.outputs:
        return not all(v in known for v in equation.outputs)
    shown = [known.get(a, ("again", 0))[0] for a in equation.inputs if isinstance(a, Var)]
    return not ("saved" in shown and approves(policy, equation))


def renamed(equations: Sequence[Equation], known: dict[Var, Any]) -> tuple[Equation, ...]:
    """The equations with results that are known already given to new variables."""
    return tuple(
        e.replace(outputs=tuple(Var(v.type) if v in known else v for v in e.outputs))
        for e in equations
    )


def residual_atoms(forward: Jaxpr, residuals: Sequence[tuple[str, int]], count: int) -> tuple:
    """The atoms of a forward program that its residuals are."""
    table = {
        "constant": forward.constvars, "input": forward.invars, "output": forward.outputs,
        "new": forward.outputs[count:],
    }  # fmt: skip
    return tuple(table[kind][k] for kind, k in residuals)


def inlined(jaxpr: Jaxpr) -> Jaxpr:
    """The program with the calls of programs replaced by their equations, all the way down.

    Policies look at operations, and a call hides those inside it.
    """
    if not any(e.primitive.name == "jit" for e in jaxpr.equations):
        return jaxpr
    equations: list[Equation] = []

    def copy(program: Jaxpr, values: Sequence[Any]) -> list[Any]:
        env: dict[Var, Any] = dict(zip(program.inputs, values, strict=True))

        def read(atom):
            return atom if isinstance(atom, Literal) else env[atom]

        for equation in program.equations:
            inputs = [read(a) for a in equation.inputs]
            if equation.primitive.name == "jit":
                env.update(
                    zip(equation.outputs, copy(equation.params["jaxpr"], inputs), strict=True)
                )
                continue
            outputs = tuple(Var(v.type) for v in equation.outputs)
            env.update(zip(equation.outputs, outputs, strict=True))
            equations.append(equation.replace(inputs=tuple(inputs), outputs=outputs))
        return [read(a) for a in program.outputs]

    outputs = copy(jaxpr, jaxpr.inputs)
    return Jaxpr(jaxpr.inputs, tuple(equations), tuple(outputs), jaxpr.consts, jaxpr.debug_name)


class Name(Primitive):
    """The operand, under a name that policies can look for."""

    linear = True
    cost = 0

    def type(self, x, *, name):
        return [x]

    def reference(self, x, *, name):
        return [np.asarray(x)]

    def transpose(self, cotangents, x, *, name):
        return list(cotangents)

    def leading(self, *, name):
        return {"name": name}

    def batch(self, size, operands, dims, *, name):
        return self.bind(*operands, name=name), list(dims)

    def element(self, b, types, operands, index, *, name):
        return [operands[0](index)]


name_p = Name("name")
