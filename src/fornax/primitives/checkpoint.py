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
from fornax.ir.primitive import Primitive
from fornax.ir.trace import running
from fornax.primitives.arrange import (
    chosen,
    merged_effects,
    nonzero_flags,
    prune,
    refuse_effects,
    restaged,
    spread,
)
from fornax.primitives.call import Unit
from fornax.record import record
from fornax.transforms.dce import dead_code
from fornax.transforms.programs import (
    linearize_jaxpr,
    opened,
    remembered,
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


class Checkpoint(Unit):
    """Run `jaxpr`; see the module."""

    keeps_recomputation = True

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
