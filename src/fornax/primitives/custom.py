"""Functions with derivative rules of their own: custom_jvp_call, custom_vjp_call, custom_lin.

The operations hold the program and the rules. Rules are flat: lists of values in and out. The
constants of the program are its first operands; no derivative may flow into them, because the
rules know nothing of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax import source
from fornax.errors import UnexpectedTracerError, message
from fornax.ir.jaxpr import Jaxpr, Var
from fornax.ir.late import retraced
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.ref import Backward, stands_in
from fornax.ir.trace import current, running
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.arrange import (
    chosen,
    nonzero_flags,
    split,
    spread,
)
from fornax.primitives.call import ProgramCall, jit_p
from fornax.primitives.custom_mapped import MappedJVP, MappedVJP
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.batch import place
from fornax.transforms.handed import origin
from fornax.transforms.jvp import JVP
from fornax.transforms.linearize import Linearize
from fornax.transforms.programs import batch_jaxpr, opened
from fornax.transforms.stage import Stage

__all__ = ["call_custom", "custom_jvp_call_p", "custom_lin_p", "custom_vjp_call_p"]


def call_custom(primitive: Primitive, call: Any, **params: Any) -> list[Any]:
    """Call a function that has rules, a `CallWithRefs`.

    Python runs the function itself where nothing stands in the way, so that it sees concrete
    values; it is traced to a program only where a program is being made.
    """
    if current() is None:
        return call.directly()
    refs = call.refs
    outputs = refs.settle(_call(primitive, call, refs.values(call.take_leaves()), params))
    call.forget()
    return outputs


def _call(primitive: Primitive, call: Any, values: Sequence[Any], params: dict) -> list[Any]:
    """The outputs and the last values of references, for the values of all leaves."""
    trace = current()
    if trace is None:
        return call(*values)
    if isinstance(trace, JVP | Linearize):
        tangents = [trace.pair(x)[1] for x in values]
        if not any(nonzero_flags(tangents)):
            primals = [trace.pair(x)[0] for x in values]
            with running(trace.parent):
                return _call(primitive, call, primals, params)
        return _bind(primitive, call, values, None, (), params)
    known = isinstance(trace, Stage) and trace.partial and not any(map(trace.knows, values))
    if known and not stands_in(trace):
        with running(trace.parent):
            return _call(primitive, call, values, params)
    return _as_program(primitive, call, values, params)


@retraced
def _as_program(primitive: Primitive, call: Any, values: Sequence[Any], params: dict) -> list[Any]:
    jaxpr = call.program(values, params["name"])
    return _bind(primitive, call, values, jaxpr.without_consts(), jaxpr.consts, params)


def _bind(
    primitive: Primitive, call: Any, values: Sequence[Any], program: Jaxpr | None,
    consts: Sequence[Any], params: dict,
) -> list[Any]:  # fmt: skip
    """The operation, also for references that it closes over and states of all of them."""
    states = []
    if primitive is custom_vjp_call_p:
        plain = [ref for ref in call.closed if not isinstance(ref, Backward)]
        states = [ref.backward for ref in (*call.refs.outer, *plain)]
        if program is None:
            call.outer = call.refs.outer
        else:
            program = _with_states(program, [ref.type for ref in states])
    written = [*call.closed, *states]
    outputs = primitive.bind(
        *consts, *values, *(ref.read() for ref in written), call_jaxpr=program,
        num_consts=len(consts), num_states=len(states),
        refs=(*call.places, *range(len(values), len(values) + len(call.closed))), **params,
    )  # fmt: skip
    count = len(outputs) - len(written)
    for ref, value in zip(written, outputs[count:], strict=True):
        ref.write(value)
    return outputs[:count]


def _with_states(jaxpr: Jaxpr, types: Sequence[ArrayType]) -> Jaxpr:
    """The program with values that it hands on: the states of references on the way back."""
    states = tuple(map(Var, types))
    return Jaxpr(
        (*jaxpr.inputs, *states), jaxpr.equations, (*jaxpr.outputs, *states), jaxpr.consts,
        jaxpr.debug_name,
    )  # fmt: skip


def refuse_constants(kind: str, name: str, tangents: Sequence[Any]) -> None:
    """Raise UnexpectedTracerError if a derivative flows into what the function closes over."""
    if any(nonzero_flags(tangents)):
        rule = "JVP" if kind == "custom_jvp" else "VJP"
        raise UnexpectedTracerError(
            message(
                f"Detected differentiation of a {kind} function with respect to a closed-over "
                f"value, in {name}",
                where=str(source.here() or "unknown"),
                why=f"the custom {rule} rule only says how to differentiate with respect to "
                "explicit arguments",
                attempt=f"pass the closed-over value into the {kind} function as an argument, and "
                f"adapt the {rule} rule",
            )
        )


class _CustomCall(ProgramCall):
    """What both operations have in common: they run their program."""

    program = "call_jaxpr"

    def hands_on(self, position, params):
        program, first = params["call_jaxpr"], params["num_consts"]
        found = origin(program, position)
        of_refs = {first + i for i in params["refs"]}
        of_refs.update(
            range(len(program.inputs) - params.get("num_states", 0), len(program.inputs))
        )
        return found if found in of_refs else None  # rules say what other results are

    def map_program(
        self, axis_name: Any, size: int, operands: Sequence[Any], dims: Sequence[Any],
        jaxpr: Jaxpr, following: Sequence[int],
    ) -> tuple[list[Any], list[bool], Jaxpr, list[bool]]:  # fmt: skip
        """(operands after new constants, which are mapped, mapped program, which outputs are).

        The last outputs are mapped if the operands `following` are, the others always.
        """
        mapped = [d is not None for d in dims]
        wanted = [any(mapped)] * (len(jaxpr.outputs) - len(following))
        wanted += [mapped[i] for i in following]
        program, out_mapped = batch_jaxpr(jaxpr, size, mapped, axis_name, wanted)
        moved = [
            x if d is None else place(x, d, size, 0) for x, d in zip(operands, dims, strict=True)
        ]
        program, new = opened(program)
        return [*new, *moved], mapped, program, out_mapped


class CustomJVPCall(_CustomCall):
    """A program whose derivative is the rule `jvp`."""

    def jvp(self, primals, tangents, *, name, call_jaxpr, jvp, num_consts, refs, **_):
        const_tangents, tangents = split(tangents, num_consts)
        refuse_constants("custom_jvp", name, const_tangents)
        trace = current()
        recorded = len(trace.equations) if isinstance(trace, Stage) else 0
        outputs, out_tangents = jvp(primals[num_consts:], tangents)
        if isinstance(trace, Stage) and trace.partial:
            # as in JAX: what has effects on tangents alone is not asked for by anyone
            trace.forget_effects(recorded, [*outputs, *out_tangents])
        if refs and isinstance(trace, Stage) and trace.partial:
            for last in outputs[len(outputs) - len(refs) :]:
                if trace.knows(last):
                    raise ValueError(
                        located(
                            f"the custom JVP rule of {name} writes a tangent to a mutable array "
                            f"reference of type {typeof(last).short()}, in reverse mode",
                            "tangents are not known there: they are what is transposed",
                            "write primal values only, or jvp instead of grad",
                        )
                    )
        return outputs, out_tangents

    def transpose(self, cotangents, *operands, name, call_jaxpr, **_):
        return jit_p.transpose(cotangents, *operands, name=name, jaxpr=call_jaxpr)

    def batch_named(
        self, axis_name, size, operands, dims,
        *, name, call_jaxpr, jvp, num_consts, refs, **params,
    ):  # fmt: skip
        moved, mapped, program, out_mapped = self.map_program(
            axis_name, size, operands, dims, call_jaxpr, [num_consts + i for i in refs]
        )
        rule = MappedJVP(jvp, size, axis_name, mapped[num_consts:], out_mapped)
        outs = self.bind(
            *moved, name=name, call_jaxpr=program, jvp=rule, refs=refs,
            num_consts=num_consts + len(moved) - len(operands), **params,
        )  # fmt: skip
        return outs, [0 if m else None for m in out_mapped]


class CustomVJPCall(_CustomCall):
    """A program whose reverse derivative is the pair of rules `fwd` and `bwd`."""

    def jvp(self, primals, tangents, **_):
        raise TypeError(
            message(
                "can't apply forward-mode autodiff (jvp) to a custom_vjp function.",
                where=str(source.here() or "unknown"),
                why="its rules say how to go backwards only",
                attempt="use reverse mode (grad, vjp, jacrev), or define the rule with custom_jvp",
            )
        )

    def linearize(
        self, parent, recorder, primals, tangents,
        *, name, call_jaxpr, fwd, bwd, num_consts, refs, num_states, symbolic_zeros,
    ):  # fmt: skip
        count = len(primals) - num_consts - num_states
        const_tangents, tangents, state_tangents = split(tangents, num_consts, count)
        _, primals, states = split(primals, num_consts, count)
        refuse_constants("custom_vjp", name, const_tangents)
        nonzero = nonzero_flags(tangents)
        for i in refs:
            nonzero[i] = False
        with running(parent):
            outs, residuals, token = fwd(primals, nonzero)
        out_types = [typeof(x) for x in outs[: len(outs) - len(refs)]]
        has_tangent = [dtypes.is_inexact(t.dtype) and any(nonzero) for t in out_types]
        handed = [tangents[i] for i in refs]
        if not any(has_tangent):
            zeros = [Zero(t.tangent()) for t in out_types]
            return [*outs, *states], [*zeros, *handed, *state_tangents]
        in_reach = nonzero_flags(state_tangents)
        state_types = [typeof(x) for x in chosen(states, in_reach)]
        with running(recorder):
            results = custom_lin_p.bind(
                *residuals, *chosen(tangents, nonzero), *chosen(state_tangents, in_reach),
                name=name, bwd=bwd, token=token, num_res=len(residuals), nonzero=tuple(nonzero),
                out_types=(
                    *chosen([t.tangent() for t in out_types], has_tangent), *state_types,
                ),
                has_tangent=tuple(has_tangent), states=tuple(in_reach),
            )  # fmt: skip
        results, after = split(results, sum(has_tangent))
        rest = iter(after)
        after = [
            next(rest) if known else t for known, t in zip(in_reach, state_tangents, strict=True)
        ]
        return [*outs, *states], [*spread(has_tangent, results, out_types), *handed, *after]

    def batch_named(
        self, axis_name, size, operands, dims,
        *, name, call_jaxpr, fwd, bwd, num_consts, refs, num_states, symbolic_zeros,
    ):  # fmt: skip
        count = len(operands) - num_states
        moved, mapped, program, out_mapped = self.map_program(
            axis_name, size, operands, dims, call_jaxpr,
            [*(num_consts + i for i in refs), *range(count, len(operands))],
        )  # fmt: skip
        rules = MappedVJP(
            fwd, bwd, size, axis_name, mapped[num_consts:count],
            out_mapped[: len(out_mapped) - num_states], mapped[count:],
        )  # fmt: skip
        outs = self.bind(
            *moved, name=name, call_jaxpr=program, fwd=rules.forward, bwd=rules.backward,
            num_consts=num_consts + len(moved) - len(operands), refs=refs, num_states=num_states,
            symbolic_zeros=symbolic_zeros,
        )  # fmt: skip
        return outs, [0 if m else None for m in out_mapped]


class CustomLinear(Primitive):
    """The linear part of a custom_vjp function: known only through its transpose, `bwd`.

    It hands on the states of references, those `states` that are in reach: its last operands and
    outputs.
    """

    def type(self, *types, out_types, **_):
        return list(out_types)

    def reference(self, *arrays, **params):
        return custom_vjp_call_p.jvp((), ())

    def jvp(self, primals, tangents, **params):
        return custom_vjp_call_p.jvp((), ())

    def transpose(
        self, cotangents, *operands, bwd, token, num_res, nonzero, has_tangent, states, **_
    ):
        given, before = split(cotangents, sum(has_tangent))
        if not any(nonzero_flags(given)):  # the rule is not asked, and changes no reference
            tangents = [Zero(x.type.tangent()) for x in operands[num_res:][: sum(nonzero)]]
            return [*[None] * num_res, *tangents, *before]
        residuals = operands[:num_res]
        if any(isinstance(r, Linear) for r in residuals):
            raise ValueError(
                located(
                    "a residual of a custom_vjp function cannot be linear",
                    attempt="make the rule compute its residuals from the primal values",
                )
            )
        rest = iter(given)
        cts = [next(rest) if has else Zero(_float0) for has in has_tangent]
        values = iter(before)
        known = [next(values) if flag else None for flag in states]
        known = [None if isinstance(x, Zero) else x for x in known]
        grads, after = bwd(token, residuals, cts, known)
        after = [
            Zero(t) if x is None else x
            for x, t in zip(chosen(after, states), map(_type_of, before), strict=True)
        ]
        return [*[None] * num_res, *chosen(grads, nonzero), *after]

    def batch_named(
        self, axis_name, size, operands, dims,
        *, name, bwd, token, num_res, nonzero, out_types, has_tangent, states,
    ):  # fmt: skip
        moved = [
            x if d is None else place(x, d, size, 0) for x, d in zip(operands, dims, strict=True)
        ]
        first = len(operands) - sum(states)
        moved[num_res:first] = [
            place(x, 0 if d is not None else None, size, 0)
            for x, d in zip(moved[num_res:first], dims[num_res:first], strict=True)
        ]
        flags = iter([d is not None for d in dims[first:]])
        states_mapped = [next(flags) if known else False for known in states]
        rules = MappedVJP(
            None, bwd, size, axis_name, [True] * len(nonzero), [True] * len(has_tangent),
            states_mapped,
        )  # fmt: skip
        out_mapped = [True] * sum(has_tangent) + chosen(states_mapped, states)
        outs = self.bind(
            *moved, name=name, bwd=rules.backward,
            token=(token, tuple(0 if d is not None else None for d in dims[:num_res])),
            num_res=num_res, nonzero=nonzero, has_tangent=has_tangent, states=states,
            out_types=tuple(
                t.update(shape=(size, *t.shape)) if m else t
                for t, m in zip(out_types, out_mapped, strict=True)
            ),
        )  # fmt: skip
        return outs, [0 if m else None for m in out_mapped]


def _type_of(x: Any) -> ArrayType:
    return x.type if isinstance(x, Zero) else typeof(x)


_float0 = ArrayType((), dtypes.float0)
custom_jvp_call_p = CustomJVPCall("custom_jvp_call")
custom_vjp_call_p = CustomVJPCall("custom_vjp_call")
custom_lin_p = CustomLinear("custom_lin")
