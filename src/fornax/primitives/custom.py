"""Functions with derivative rules of their own: custom_jvp_call, custom_vjp_call, custom_lin.

The operations hold the program and the rules. Rules are flat: lists of values in and out. The
constants of the program are its first operands; no derivative may flow into them, because the
rules know nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import source
from fornax.errors import UnexpectedTracerError, message
from fornax.ir.basis import reduce_sum
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.trace import current, running
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.arrange import (
    chosen,
    merged_effects,
    nonzero_flags,
    refuse_effects,
    run_reference,
    split,
    spread,
)
from fornax.primitives.call import check_operands, jit_p
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.batch import batch_flat, place
from fornax.transforms.jvp import JVP
from fornax.transforms.linearize import Linearize
from fornax.transforms.programs import batch_jaxpr, opened
from fornax.transforms.stage import Stage, stage

__all__ = ["call_custom", "custom_jvp_call_p", "custom_lin_p", "custom_vjp_call_p"]

#: (primals, tangents) -> (outputs, their tangents); tangents may be `Zero`
JVPRule = Callable[[Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]]
#: (primals, which have tangents) -> (outputs, residuals, what bwd needs to know about them)
ForwardRule = Callable[[Sequence[Any], Sequence[bool]], tuple[list[Any], list[Any], Any]]
#: (what fwd said, residuals, cotangents) -> cotangents of all primals; both may be `Zero`
BackwardRule = Callable[[Any, Sequence[Any], Sequence[Any]], list[Any]]


def call_custom(
    primitive: Primitive, function: Callable[..., Any], operands: Sequence[Any], **params: Any
) -> list[Any]:
    """Call a flat function that has rules.

    Python runs the function itself where nothing stands in the way, so that it sees concrete
    values; it is traced to a program only where a program is being made.
    """
    trace = current()
    if trace is None:
        return list(function(*operands))
    if isinstance(trace, JVP | Linearize):
        tangents = [trace.pair(x)[1] for x in operands]
        if not any(nonzero_flags(tangents)):
            primals = [trace.pair(x)[0] for x in operands]
            with running(trace.parent):
                return call_custom(primitive, function, primals, **params)
        return primitive.bind(*operands, call_jaxpr=None, num_consts=0, **params)
    if isinstance(trace, Stage) and trace.partial and not any(map(trace.knows, operands)):
        with running(trace.parent):
            return call_custom(primitive, function, operands, **params)
    jaxpr = stage(function, [typeof(x) for x in operands], params["name"])
    refuse_effects(
        f"Effects not supported in `{primitive.name.removesuffix('_call')}`", jaxpr.effects,
        "the derivative rules replace the function, and the effect would be lost",
    )  # fmt: skip
    return primitive.bind(
        *jaxpr.consts, *operands,
        call_jaxpr=jaxpr.without_consts(), num_consts=len(jaxpr.consts), **params,
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


class _CustomCall(Primitive):
    """What both operations have in common: they run their program."""

    def type(self, *types, call_jaxpr, **_):
        check_operands(self.name, call_jaxpr, types)
        return call_jaxpr.out_types

    def reference(self, *arrays, call_jaxpr, **_):
        return run_reference(call_jaxpr, arrays)

    def inlined(self, *, call_jaxpr, **_):
        return call_jaxpr

    def effects(self, *, call_jaxpr, **_):
        return merged_effects(call_jaxpr)

    def map_program(
        self, axis_name: Any, size: int, operands: Sequence[Any], dims: Sequence[Any], jaxpr: Jaxpr
    ) -> tuple[list[Any], list[bool], Jaxpr, list[bool]]:
        """(operands after new constants, which are mapped, mapped program, which outputs are)."""
        mapped = [d is not None for d in dims]
        program, out_mapped = batch_jaxpr(jaxpr, size, mapped, axis_name, any(mapped))
        moved = [
            x if d is None else place(x, d, size, 0) for x, d in zip(operands, dims, strict=True)
        ]
        program, new = opened(program)
        return [*new, *moved], mapped, program, out_mapped


class CustomJVPCall(_CustomCall):
    """A program whose derivative is the rule `jvp`."""

    def jvp(self, primals, tangents, *, name, call_jaxpr, jvp, num_consts, symbolic_zeros):
        const_tangents, tangents = split(tangents, num_consts)
        refuse_constants("custom_jvp", name, const_tangents)
        return jvp(primals[num_consts:], tangents)

    def transpose(self, cotangents, *operands, name, call_jaxpr, **_):
        return jit_p.transpose(cotangents, *operands, name=name, jaxpr=call_jaxpr)

    def batch_named(
        self, axis_name, size, operands, dims,
        *, name, call_jaxpr, jvp, num_consts, symbolic_zeros,
    ):  # fmt: skip
        moved, mapped, program, out_mapped = self.map_program(
            axis_name, size, operands, dims, call_jaxpr
        )
        rule = MappedJVP(jvp, size, axis_name, mapped[num_consts:], out_mapped)
        outs = self.bind(
            *moved, name=name, call_jaxpr=program, jvp=rule,
            num_consts=num_consts + len(moved) - len(operands),
            symbolic_zeros=symbolic_zeros,
        )  # fmt: skip
        return outs, [0 if m else None for m in out_mapped]


class MappedJVP:
    """A jvp rule over mapped values: the mapped axis is in front."""

    def __init__(self, rule: JVPRule, size: int, axis_name: Any, mapped, out_mapped):
        self.rule = rule
        self.size = size
        self.axis_name = axis_name
        self.mapped = tuple(mapped)
        self.out_mapped = tuple(out_mapped)
        self.__name__ = f"mapped {getattr(rule, '__name__', 'rule')}"

    def __call__(self, primals: Sequence[Any], tangents: Sequence[Any]):
        given = nonzero_flags(tangents)
        types = [
            ArrayType(t.shape[1:], t.dtype, t.weak_type) if m else t
            for t, m in zip(map(typeof, primals), self.mapped, strict=True)
        ]
        out_zero: list[Any] = []

        def function(*args: Any) -> list[Any]:
            values, given_tangents = split(args, len(primals))
            outs, out_tangents = self.rule(values, spread(given, given_tangents, types))
            out_zero[:] = [t if isinstance(t, Zero) else None for t in out_tangents]
            return [*outs, *(t for t in out_tangents if not isinstance(t, Zero))]

        dims = [0 if m else None for m in self.mapped]
        values, out_dims = batch_flat(
            function, self.size, [*primals, *chosen(tangents, given)],
            [*dims, *chosen(dims, given)], self.axis_name,
        )  # fmt: skip
        count = len(self.out_mapped)
        outs = placed(values[:count], out_dims[:count], self.out_mapped, self.size)
        rest = iter(zip(values[count:], out_dims[count:], strict=True))
        out_tangents = []
        for zero, out, m in zip(out_zero, outs, self.out_mapped, strict=True):
            if zero is not None:
                out_tangents.append(Zero(typeof(out).tangent()))
            else:
                value, dim = next(rest)
                out_tangents += placed([value], [dim], [m], self.size)
        return outs, out_tangents


def placed(values, dims, mapped, size: int) -> list[Any]:
    """Values with the mapped axis in front where it is wanted."""
    results = []
    for value, dim, wanted in zip(values, dims, mapped, strict=True):
        if dim is not None and not wanted:
            raise ValueError(
                located(
                    "a custom derivative rule gave a result that depends on the mapped axis where "
                    "the function's own result does not",
                    attempt="sum the cotangent over the mapped axis, or make it from the mapped "
                    "arguments alone",
                )
            )
        results.append(place(value, dim, size, 0) if wanted else value)
    return results


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
        *, name, call_jaxpr, fwd, bwd, num_consts, symbolic_zeros,
    ):  # fmt: skip
        const_tangents, tangents = split(tangents, num_consts)
        refuse_constants("custom_vjp", name, const_tangents)
        nonzero = nonzero_flags(tangents)
        with running(parent):
            outs, residuals, token = fwd(primals[num_consts:], nonzero)
        out_types = [typeof(x) for x in outs]
        has_tangent = [dtypes.is_inexact(t.dtype) for t in out_types]
        if not any(has_tangent):
            return outs, [Zero(t.tangent()) for t in out_types]
        with running(recorder):
            results = custom_lin_p.bind(
                *residuals, *chosen(tangents, nonzero),
                name=name, bwd=bwd, token=token, num_res=len(residuals), nonzero=tuple(nonzero),
                out_types=tuple(chosen([t.tangent() for t in out_types], has_tangent)),
                has_tangent=tuple(has_tangent),
            )  # fmt: skip
        return outs, spread(has_tangent, results, out_types)

    def batch_named(
        self, axis_name, size, operands, dims,
        *, name, call_jaxpr, fwd, bwd, num_consts, symbolic_zeros,
    ):  # fmt: skip
        moved, mapped, program, out_mapped = self.map_program(
            axis_name, size, operands, dims, call_jaxpr
        )
        rules = MappedVJP(fwd, bwd, size, axis_name, mapped[num_consts:], out_mapped)
        outs = self.bind(
            *moved, name=name, call_jaxpr=program, fwd=rules.forward, bwd=rules.backward,
            num_consts=num_consts + len(moved) - len(operands), symbolic_zeros=symbolic_zeros,
        )  # fmt: skip
        return outs, [0 if m else None for m in out_mapped]


class MappedVJP:
    """The rules of a custom_vjp function over mapped values: the mapped axis is in front."""

    def __init__(self, fwd: ForwardRule, bwd: BackwardRule, size: int, axis_name: Any, mapped,
                 out_mapped):  # fmt: skip
        self.fwd = fwd
        self.bwd = bwd
        self.size = size
        self.axis_name = axis_name
        self.mapped = tuple(mapped)
        self.out_mapped = tuple(out_mapped)

    def forward(self, primals: Sequence[Any], nonzero: Sequence[bool]):
        token: list[Any] = []

        def function(*values: Any) -> list[Any]:
            outs, residuals, told = self.fwd(values, nonzero)
            token[:] = [told]
            return [*outs, *residuals]

        dims = [0 if m else None for m in self.mapped]
        values, out_dims = batch_flat(function, self.size, primals, dims, self.axis_name)
        count = len(self.out_mapped)
        outs = placed(values[:count], out_dims[:count], self.out_mapped, self.size)
        return outs, values[count:], (token[0], tuple(out_dims[count:]))

    def backward(self, token: Any, residuals: Sequence[Any], cotangents: Sequence[Any]):
        told, dims = token
        given = nonzero_flags(cotangents)
        types = [
            ArrayType(t.shape[1:], t.dtype) if m else t
            for t, m in zip(
                [c.type if isinstance(c, Zero) else typeof(c) for c in cotangents],
                self.out_mapped, strict=True,
            )
        ]  # fmt: skip
        zeros: list[Any] = []

        def function(*args: Any) -> list[Any]:
            saved, cts = split(args, len(residuals))
            grads = self.bwd(told, saved, spread(given, cts, types))
            zeros[:] = [g if isinstance(g, Zero) else None for g in grads]
            return [g for g in grads if not isinstance(g, Zero)]

        ct_dims = [0 if m else None for m in self.out_mapped]
        values, out_dims = batch_flat(
            function, self.size, [*residuals, *chosen(cotangents, given)],
            [*dims, *chosen(ct_dims, given)], self.axis_name,
        )  # fmt: skip
        found = iter(zip(values, out_dims, strict=True))
        grads = []
        for zero, mapped in zip(zeros, self.mapped, strict=True):
            if zero is not None:
                shape = (self.size, *zero.type.shape) if mapped else zero.type.shape
                grads.append(Zero(zero.type.update(shape=shape)))
                continue
            value, dim = next(found)
            if mapped:
                grads.append(place(value, dim, self.size, 0))
            else:  # one value served all examples: their cotangents add up
                grads.append(value if dim is None else reduce_sum(value, (dim,)))
        return grads


class CustomLinear(Primitive):
    """The linear part of a custom_vjp function: known only through its transpose, `bwd`."""

    def type(self, *types, out_types, **_):
        return list(out_types)

    def reference(self, *arrays, **params):
        return custom_vjp_call_p.jvp((), ())

    def jvp(self, primals, tangents, **params):
        return custom_vjp_call_p.jvp((), ())

    def transpose(self, cotangents, *operands, bwd, token, num_res, nonzero, has_tangent, **_):
        residuals = operands[:num_res]
        if any(isinstance(r, Linear) for r in residuals):
            raise ValueError(
                located(
                    "a residual of a custom_vjp function cannot be linear",
                    attempt="make the rule compute its residuals from the primal values",
                )
            )
        given = iter(cotangents)
        cts = [next(given) if has else Zero(_float0) for has in has_tangent]
        before = source.stand_for(None)  # the rule has lines of its own
        try:
            grads = bwd(token, residuals, cts)
        finally:
            source.stand_for(before)
        return [None] * num_res + chosen(grads, nonzero)

    def batch_named(
        self, axis_name, size, operands, dims,
        *, name, bwd, token, num_res, nonzero, out_types, has_tangent,
    ):  # fmt: skip
        moved = [
            x if d is None else place(x, d, size, 0) for x, d in zip(operands, dims, strict=True)
        ]
        moved[num_res:] = [
            place(x, 0 if d is not None else None, size, 0)
            for x, d in zip(moved[num_res:], dims[num_res:], strict=True)
        ]
        rules = MappedVJP(
            None, bwd, size, axis_name, [True] * len(nonzero), [True] * len(has_tangent)
        )
        outs = self.bind(
            *moved, name=name, bwd=rules.backward,
            token=(token, tuple(0 if d is not None else None for d in dims[:num_res])),
            num_res=num_res, nonzero=nonzero, has_tangent=has_tangent,
            out_types=tuple(t.update(shape=(size, *t.shape)) for t in out_types),
        )  # fmt: skip
        return outs, [0] * len(outs)


_float0 = ArrayType((), dtypes.float0)
custom_jvp_call_p = CustomJVPCall("custom_jvp_call")
custom_vjp_call_p = CustomVJPCall("custom_vjp_call")
custom_lin_p = CustomLinear("custom_lin")
