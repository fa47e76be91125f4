"""The operation `linear_call`: a linear program with a transpose of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.ir.basis import instantiate, reduce_sum
from fornax.ir.evaluate import evaluate
from fornax.ir.primitive import Linear, Zero
from fornax.ir.types import typeof
from fornax.primitives.arrange import nonzero_flags, rearranged
from fornax.primitives.call import ProgramCall, jit_p, map_program
from fornax.source import located
from fornax.transforms.batch import batch_flat, place
from fornax.transforms.stage import stage

__all__ = ["linear_call_p"]

#: (residuals, cotangents of the outputs) -> cotangents of the linear operands
Rule = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


class LinearCall(ProgramCall):
    """Run `callee` on `num_res` residuals and linear operands; its transpose is `rule`.

    The last `num_refs` outputs are the new values of references, which have no derivatives; the
    call for tangents has none of them, since each is written once.
    """

    program = "callee"

    def jvp(self, primals, tangents, *, callee, num_res, num_refs, **params):
        if any(nonzero_flags(tangents[:num_res])):
            raise NotImplementedError(
                located(
                    "linear_call: differentiation with respect to its residual arguments is not "
                    "defined",
                    attempt="lax.stop_gradient on them, or custom_jvp around the call",
                )
            )
        outs = self.bind(*primals, callee=callee, num_res=num_res, num_refs=num_refs, **params)
        given = map(instantiate, tangents[num_res:])
        count = len(outs) - num_refs
        linear = rearranged(callee, range(len(callee.inputs)), range(count))
        out_tangents = self.bind(
            *primals[:num_res], *given, callee=linear, num_res=num_res, num_refs=0, **params
        )
        written = [Zero(t.tangent()) for t in callee.out_types[count:]]
        return outs, [*out_tangents, *written]

    def transpose(self, cotangents, *operands, callee, rule, num_res, num_refs):
        cotangents = cotangents[: len(cotangents) - num_refs]
        residuals = operands[:num_res]
        if any(isinstance(x, Linear) for x in residuals):
            raise NotImplementedError(
                located(
                    "linear_call: transposition with respect to its residual arguments is not "
                    "defined",
                    attempt="pass them as residuals that are not differentiated, or custom_vjp",
                )
            )
        if all(isinstance(c, Zero) for c in cotangents):
            return [None] * num_res + [Zero(t.tangent()) for t in callee.in_types[num_res:]]
        given = [instantiate(c) for c in cotangents]
        types = [typeof(x) for x in (*residuals, *given)]
        used: list[Any] = []
        program = stage(lambda *xs: rule(xs[:num_res], xs[num_res:]), types, self.name, refs=used)
        n = len(program.consts)
        if used:  # what it reads and writes on the way back has no transpose
            outs = jit_p.bind(
                *program.consts, *residuals, *given, *(ref.read() for ref in used),
                name=self.name, jaxpr=program.without_consts(),
            )  # fmt: skip
            count = len(outs) - len(used)
            for ref, value in zip(used, outs[count:], strict=True):
                ref.write(value)
            return [None] * num_res + outs[:count]

        def back(residuals: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
            outs = evaluate(callee, *residuals[n:], *cotangents)
            return outs[: len(outs) - num_refs]

        outs = self.bind(
            *program.consts, *residuals, *given,
            callee=program.without_consts(), rule=back, num_res=n + num_res, num_refs=0,
        )  # fmt: skip
        return [None] * num_res + outs

    def batch_named(self, axis_name, size, operands, dims, *, callee, rule, num_res, num_refs):
        fronted, program, out_dims = map_program(callee, axis_name, size, operands, dims)
        added = len(fronted) - len(operands)
        linear = out_dims[: len(out_dims) - num_refs]
        mapped = MappedRule(rule, axis_name, size, added, num_res, dims, linear)
        outs = self.bind(
            *fronted, callee=program, rule=mapped, num_res=added + num_res, num_refs=num_refs
        )
        return outs, out_dims


class MappedRule:
    """A transpose rule over mapped values: the mapped axis is in front."""

    def __init__(
        self,
        rule: Rule,
        axis_name: Any,
        size: int,
        added: int,
        num_res: int,
        dims: Sequence[int | None],
        out_dims: Sequence[int | None],
    ):
        self.rule = rule
        self.axis_name = axis_name
        self.size = size
        self.added = added
        self.dims = [None if d is None else 0 for d in dims[:num_res]]
        self.mapped = [d is not None for d in dims[num_res:]]
        self.out_dims = list(out_dims)

    def __call__(self, residuals: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        residuals = residuals[self.added :]
        count = len(residuals)
        values, dims = batch_flat(
            lambda *xs: self.rule(xs[:count], xs[count:]), self.size, [*residuals, *cotangents],
            [*self.dims, *self.out_dims], self.axis_name,
        )  # fmt: skip
        results = []
        for value, dim, mapped in zip(values, dims, self.mapped, strict=True):
            if mapped:
                results.append(place(value, dim, self.size, 0))
            else:  # one value served all examples: their cotangents add up
                results.append(value if dim is None else reduce_sum(value, (dim,)))
        return results


linear_call_p = LinearCall("linear_call")
