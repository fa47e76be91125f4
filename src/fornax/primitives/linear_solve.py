"""The operation `linear_solve`: the solution x of A x = b by a user's solver.

A and its transpose are programs, and so are the solvers for both. Derivatives never look into a
solver: they solve with A, or its transpose, for another right-hand side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.basis import add, instantiate
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives.arrange import merged_effects, nonzero_flags, run_reference, split
from fornax.primitives.elementwise import neg_p
from fornax.record import record
from fornax.source import located
from fornax.transforms.batch import place
from fornax.transforms.jvp import jvp_flat
from fornax.transforms.programs import batch_jaxpr, fixpoint, opened

__all__ = ["System", "linear_solve_p"]


@record(frozen=True)
class System:
    """The four programs (the second and fourth may be None) or things of which there are four."""

    matvec: Any
    vecmat: Any
    solve: Any
    transpose_solve: Any

    def transposed(self) -> System:
        """The same for the transpose of A."""
        return System(self.vecmat, self.matvec, self.transpose_solve, self.solve)

    def __iter__(self):
        return iter((self.matvec, self.vecmat, self.solve, self.transpose_solve))


class LinearSolve(Primitive):
    """Constants of the four programs (`lengths` of them), right-hand side -> solution, auxiliary.

    Auxiliary outputs of the solver come last and have no derivative.
    """

    def type(self, *types, lengths, jaxprs):
        return jaxprs.solve.out_types

    def parts(self, values: Sequence[Any], lengths: System) -> tuple[System, list[Any]]:
        *consts, b = split(values, *lengths)
        return System(*consts), b

    def reference(self, *arrays, lengths, jaxprs):
        consts, b = self.parts(arrays, lengths)
        return run_reference(jaxprs.solve, [*consts.solve, *b])

    def expand(self, *operands, lengths, jaxprs):
        consts, b = self.parts(operands, lengths)
        return evaluate(jaxprs.solve, *consts.solve, *b)

    def effects(self, *, lengths, jaxprs):
        return merged_effects(jaxprs.solve)

    def jvp(self, primals, tangents, *, lengths, jaxprs):
        outs = self.bind(*primals, lengths=lengths, jaxprs=jaxprs)
        consts, b = self.parts(primals, lengths)
        const_tangents, b_tangents = self.parts(tangents, lengths)
        x = outs[: len(b)]
        right = list(b_tangents)
        if any(nonzero_flags(const_tangents.matvec)):
            # A x = b, so dA x + A dx = db
            fixed = [Zero(typeof(v).tangent()) for v in x]
            _, changes = jvp_flat(
                lambda *args: evaluate(jaxprs.matvec, *args),
                [*consts.matvec, *x], [*const_tangents.matvec, *fixed],
            )  # fmt: skip
            for k, change in enumerate(changes):
                if not isinstance(change, Zero):
                    (minus,) = neg_p.bind(change)
                    right[k] = minus if isinstance(right[k], Zero) else add(right[k], minus)
        flat = [c for part in consts for c in part]
        found = self.bind(*flat, *map(instantiate, right), lengths=lengths, jaxprs=jaxprs)
        auxiliary = [Zero(typeof(v).tangent()) for v in outs[len(b) :]]
        return outs, [*found[: len(b)], *auxiliary]

    def transpose(self, cotangents, *operands, lengths, jaxprs):
        if jaxprs.transpose_solve is None:
            raise TypeError(
                located(
                    "transpose_solve required for backwards mode automatic differentiation of "
                    "custom_linear_solve",
                    attempt="pass transpose_solve, or symmetric=True",
                )
            )
        consts, b = self.parts(operands, lengths)
        flat = [c for part in consts.transposed() for c in part]
        if any(isinstance(c, Linear) for c in flat):
            raise NotImplementedError(
                located(
                    "linear_solve is transposed only for its right-hand side",
                    attempt="lax.stop_gradient on the matrix, or grad, which handles it",
                )
            )
        given = list(map(instantiate, cotangents[: len(b)]))
        outs = self.bind(*flat, *given, lengths=lengths.transposed(), jaxprs=jaxprs.transposed())
        return [None] * len(flat) + outs[: len(b)]

    def batch_named(self, axis_name, size, operands, dims, *, lengths, jaxprs):
        flags, b_flags = self.parts([d is not None for d in dims], lengths)
        count = len(b_flags)
        n_aux = len(jaxprs.solve.outputs) - count

        def mapped(which: str, x: Sequence[bool], wanted: Sequence[bool]):
            program: Jaxpr = getattr(jaxprs, which)
            return batch_jaxpr(program, size, [*getattr(flags, which), *x], axis_name, wanted)

        def step(state: list[bool]) -> list[bool]:
            # b and x are mapped in the same places in all four programs
            x, b = state[:count], state[count:]
            new_x = mapped("solve", b, [*x, *[False] * n_aux])[1][:count]
            if jaxprs.vecmat is not None:
                new_x = [a or c for a, c in zip(new_x, mapped("vecmat", b, x)[1], strict=True)]
            new_b = mapped("matvec", x, b)[1]
            if jaxprs.transpose_solve is not None:
                more = mapped("transpose_solve", x, [*b, *[False] * n_aux])[1][:count]
                new_b = [a or c for a, c in zip(new_b, more, strict=True)]
            return [*new_x, *new_b]

        state = fixpoint(step, [*[False] * count, *b_flags])
        x, b = state[:count], state[count:]
        auxiliary = [True] * n_aux
        programs = {"matvec": mapped("matvec", x, b)[0], "vecmat": None, "transpose_solve": None,
                    "solve": mapped("solve", b, [*x, *auxiliary])[0]}  # fmt: skip
        if jaxprs.vecmat is not None:
            programs["vecmat"] = mapped("vecmat", b, x)[0]
        if jaxprs.transpose_solve is not None:
            programs["transpose_solve"] = mapped("transpose_solve", x, [*b, *auxiliary])[0]
        values, right = self.parts(operands, lengths)
        where, right_dims = self.parts(dims, lengths)
        moved: dict[str, list[Any]] = {}
        for name, program in programs.items():
            consts = [
                v if d is None else place(v, d, size, 0)
                for v, d in zip(getattr(values, name), getattr(where, name), strict=True)
            ]
            if program is not None:
                programs[name], new = opened(program)
                consts = [*new, *consts]
            moved[name] = consts
        right = [
            place(v, d, size, 0) if m else v for v, d, m in zip(right, right_dims, b, strict=True)
        ]
        every = System(**moved)
        outs = self.bind(
            *(c for part in every for c in part), *right,
            lengths=System(*map(len, every)), jaxprs=System(**programs),
        )  # fmt: skip
        return outs, [0 if m else None for m in (*x, *auxiliary)]


linear_solve_p = LinearSolve("linear_solve")
