"""The operation `jit`: a call of a program, kept together as one unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.basis import move_axis
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Equation, Jaxpr
from fornax.ir.primitive import Linear, Primitive
from fornax.ir.trace import running
from fornax.primitives.arrange import (
    chosen,
    depends,
    merged_effects,
    nonzero_flags,
    prune,
    run_reference,
    spread,
)
from fornax.primitives.parted import part_call
from fornax.source import located
from fornax.transforms.handed import origin
from fornax.transforms.programs import (
    batch_jaxpr,
    jvp_jaxpr,
    linearize_jaxpr,
    opened,
    transpose_jaxpr,
)

__all__ = ["Call", "closed_call", "jit_p", "residual_values"]


def residual_values(
    residuals: Sequence[tuple[str, int]],
    constants: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    count: int,
) -> list[Any]:
    """Values of the residuals that `linearize_jaxpr` describes; `count` outputs are original."""
    sources = {
        "constant": constants, "input": inputs, "output": outputs, "new": outputs[count:]
    }  # fmt: skip
    return [sources[kind][k] for kind, k in residuals]


def map_program(
    jaxpr: Jaxpr, axis_name: Any, size: int, operands: Sequence[Any], dims: Sequence[int | None]
) -> tuple[list[Any], Jaxpr, list[int | None]]:
    """(operands with the mapped axis in front, mapped program, dims of its outputs).

    Constants that the mapped program has are the first of these operands.
    """
    fronted = [x if d is None else move_axis(x, d, 0) for x, d in zip(operands, dims, strict=True)]
    program, mapped = batch_jaxpr(jaxpr, size, [d is not None for d in dims], axis_name)
    program, consts = opened(program)
    return [*consts, *fronted], program, [0 if m else None for m in mapped]


class ProgramCall(Primitive):
    """An operation that runs the program in one of its parameters."""

    #: the name of the parameter
    program = "jaxpr"

    def type(self, *types, **params):
        program = params[self.program]
        check_operands(self.name, program, types)
        return program.out_types

    def reference(self, *arrays, **params):
        return run_reference(params[self.program], arrays)

    def inlined(self, **params):
        return params[self.program]

    def effects(self, **params):
        return merged_effects(params[self.program])


class Unit(ProgramCall):
    """One whose rules are the same rules of the program `jaxpr`, in one call."""

    transparent = True

    def jvp(self, primals, tangents, **params):
        jaxpr, nonzero = params["jaxpr"], nonzero_flags(tangents)
        program, has_tangent = jvp_jaxpr(jaxpr, nonzero)
        program, consts = opened(program)
        params = {**params, "jaxpr": program}
        outs = self.bind(*consts, *primals, *chosen(tangents, nonzero), **params)
        count = len(jaxpr.outputs)
        return outs[:count], spread(has_tangent, outs[count:], jaxpr.out_types)

    def transpose(self, cotangents, *operands, **params):
        linear = [isinstance(x, Linear) for x in operands]
        given = nonzero_flags(cotangents)
        known = [x for x in operands if not isinstance(x, Linear)]
        program, consts = opened(transpose_jaxpr(params["jaxpr"], linear, given))
        cts = chosen(cotangents, given)
        outs = iter(self.bind(*consts, *known, *cts, **{**params, "jaxpr": program}))
        return [next(outs) if is_linear else None for is_linear in linear]

    def batch_named(self, axis_name, size, operands, dims, **params):
        fronted, program, out_dims = map_program(params["jaxpr"], axis_name, size, operands, dims)
        return self.bind(*fronted, **{**params, "jaxpr": program}), out_dims

    def hands_on(self, position, params):
        return origin(params["jaxpr"], position)

    def depends(self, flags, *, jaxpr, **_):
        return depends(jaxpr, flags)

    def dce(self, used, equation):
        program, kept = prune(equation.params["jaxpr"], used)
        return Equation(
            self,
            tuple(chosen(equation.inputs, kept)),
            {**equation.params, "jaxpr": program},
            tuple(chosen(equation.outputs, used)),
            equation.source,
        )

    def parts(self, equation, flags, found):
        return part_call(equation, flags, found)


class Call(Unit):
    """Run `jaxpr`."""

    def expand(self, *operands, name, jaxpr):
        return evaluate(jaxpr, *operands)

    def linearize(self, parent, recorder, primals, tangents, *, name, jaxpr):
        nonzero = nonzero_flags(tangents)
        forward, linear, residuals, has_tangent = linearize_jaxpr(jaxpr, nonzero)
        forward, consts = opened(forward)
        with running(parent):
            outs = self.bind(*consts, *primals, name=name, jaxpr=forward)
        count = len(jaxpr.outputs)
        saved = residual_values(residuals, consts, primals, outs, count)
        with running(recorder):
            results = self.bind(*saved, *chosen(tangents, nonzero), name=name, jaxpr=linear)
        return outs[:count], spread(has_tangent, results, jaxpr.out_types)


def check_operands(name: str, jaxpr: Jaxpr, types: Sequence[Any]) -> None:
    """Operands must have the shapes and dtypes of the program's inputs."""
    expected = jaxpr.in_types
    if len(types) != len(expected):
        raise TypeError(
            located(
                f"{name}: its program takes {len(expected)} operands, got {len(types)}",
                attempt="*tree_util.tree_leaves(arguments): one operand for each leaf",
            )
        )
    for position, (type, wanted) in enumerate(zip(types, expected, strict=True)):
        if type.shape != wanted.shape or type.dtype != wanted.dtype:
            raise TypeError(
                located(
                    f"{name}: operand {position} has type {type.short()}, its program takes "
                    f"{wanted.short()}",
                    attempt="astype and reshape to the type that the program was traced for",
                )
            )


jit_p = Call("jit")


def closed_call(jaxpr: Jaxpr, *operands: Any, name: str = "") -> list[Any]:
    """Call a program as one unit; its constants become operands."""
    name = name or jaxpr.debug_name or "closed_call"
    return jit_p.bind(*jaxpr.consts, *operands, name=name, jaxpr=jaxpr.without_consts())
