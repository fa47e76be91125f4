"""The operation `custom_vmap_call`: a program with a rule of its own for vmap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.ir.basis import instantiate, move_axis
from fornax.ir.primitive import Linear
from fornax.ir.trace import running
from fornax.ir.types import typeof
from fornax.primitives.arrange import (
    chosen,
    nonzero_flags,
    split,
    spread,
)
from fornax.primitives.call import ProgramCall, jit_p
from fornax.source import located
from fornax.transforms.batch import batch_flat, place
from fornax.transforms.handed import origin
from fornax.transforms.jvp import jvp_flat
from fornax.transforms.programs import jvp_jaxpr, opened, transpose_jaxpr

__all__ = ["custom_vmap_p"]

#: (axis size, which operands are mapped, operands with the axis in front) ->
#: (outputs, which of them are mapped, with the axis in front)
Rule = Callable[[int, Sequence[bool], Sequence[Any]], tuple[list[Any], list[bool]]]


class CustomVmapCall(ProgramCall):
    """Run `call`; mapped, run `rule`."""

    program = "call"

    def hands_on(self, position, params):
        call, rule = params["call"], params["rule"]
        closed = getattr(rule, "num_closed", 0)
        found = origin(call, position)
        return found if found is not None and found >= len(call.inputs) - closed else None

    def batch(self, size, operands, dims, *, call, rule):
        fronted = [
            x if d is None else move_axis(x, d, 0) for x, d in zip(operands, dims, strict=True)
        ]
        outputs, mapped = rule(size, [d is not None for d in dims], fronted)
        return outputs, [0 if m else None for m in mapped]

    def jvp(self, primals, tangents, *, call, rule):
        nonzero = nonzero_flags(tangents)
        program, has_tangent = jvp_jaxpr(call, nonzero)
        program, consts = opened(program)
        derived = JVPOfRule(rule, len(consts), nonzero, has_tangent)
        outs = self.bind(*consts, *primals, *chosen(tangents, nonzero), call=program, rule=derived)
        count = len(call.outputs)
        return outs[:count], spread(has_tangent, outs[count:], call.out_types)

    def linearize(self, parent, recorder, primals, tangents, **params):
        refused = sorted(str(e) for e in self.effects(**params) if not e.innocuous)
        if refused:
            raise ValueError(
                located(
                    "Linearization failed to produce known values for all output primals of a "
                    f"custom_vmap function with effects: {', '.join(refused)}",
                    "its values are computed beside its tangents as well, and the effects would "
                    "happen twice",
                    "forward-mode differentiation (jvp, jacfwd), or the effect outside of the "
                    "function",
                )
            )
        with running(parent):
            outs = self.bind(*primals, **params)
        with running(recorder):
            _, out_tangents = self.jvp(primals, tangents, **params)
        return outs, out_tangents

    def transpose(self, cotangents, *operands, call, rule):
        linear = [isinstance(x, Linear) for x in operands]
        given = nonzero_flags(cotangents)
        known = [x for x in operands if not isinstance(x, Linear)]
        program, consts = opened(transpose_jaxpr(call, linear, given))
        cts = chosen(cotangents, given)
        outs = iter(jit_p.bind(*consts, *known, *cts, name="custom_vmap", jaxpr=program))
        return [next(outs) if is_linear else None for is_linear in linear]


custom_vmap_p = CustomVmapCall("custom_vmap_call")


class JVPOfRule:
    """The rule for the derivative of a program with a rule: the derivative of that rule.

    Operands are constants, primals and the tangents that are not zero.
    """

    def __init__(
        self, rule: Rule, num_consts: int, nonzero: Sequence[bool], has_tangent: Sequence[bool]
    ):
        self.rule = rule
        self.num_consts = num_consts
        self.nonzero = tuple(nonzero)
        self.has_tangent = tuple(has_tangent)

    def __call__(self, size: int, flags: Sequence[bool], operands: Sequence[Any]):
        _, primals, tangents = split(operands, self.num_consts, len(self.nonzero))
        _, for_primals, for_tangents = split(flags, self.num_consts, len(self.nonzero))
        rest = iter(for_tangents)
        pairs = [
            (p, next(rest) if has else p) for p, has in zip(for_primals, self.nonzero, strict=True)
        ]
        both = [p and t for p, t in pairs]
        if any(both) and any(p != t for p, t in pairs):
            # mapped together with their tangents, since others are
            both = [p or t for p, t in pairs]
            primals = _mapped(primals, for_primals, both, size)
            tangents = _mapped(tangents, for_tangents, chosen(both, self.nonzero), size)
            for_primals, for_tangents = both, chosen(both, self.nonzero)
        out_flags: list[bool] = []

        def function(*args: Any) -> list[Any]:
            values, given = split(args, len(primals))
            types = list(map(typeof, values))

            def run(*xs: Any) -> list[Any]:
                outs, mapped = self.rule(size, both, xs)
                out_flags[:] = mapped
                return outs

            outs, out_tangents = jvp_flat(run, values, spread(self.nonzero, given, types))
            kept = chosen(out_tangents, self.has_tangent)
            return [*outs, *map(instantiate, kept)]

        if all(p == t for p, t in pairs) or any(both):
            outs = function(*primals, *tangents)
            return outs, [*out_flags, *chosen(out_flags, self.has_tangent)]
        dims = [0 if flag else None for flag in (*for_primals, *for_tangents)]
        outs, out_dims = batch_flat(function, size, [*primals, *tangents], dims)
        if any(flag and d is None for flag, d in zip(out_flags, out_dims, strict=False)):
            raise ValueError(
                located(
                    "a custom vmap rule said that outputs are mapped although no argument is",
                    attempt="False in out_batched where no argument is mapped",
                )
            )
        moved = [
            x if d is None else move_axis(x, d, 0) for x, d in zip(outs, out_dims, strict=True)
        ]
        return moved, [d is not None for d in out_dims]


def _mapped(
    values: Sequence[Any], flags: Sequence[bool], wanted: Sequence[bool], size: int
) -> list[Any]:
    return [
        place(x, 0 if flag else None, size, 0) if want else x
        for x, flag, want in zip(values, flags, wanted, strict=True)
    ]
