"""Forward-mode differentiation: every value carries its tangent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.ir.basis import instantiate
from fornax.ir.evaluate import evaluate
from fornax.ir.late import RefsFromOutside
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.ref import Ref, differentiated, write_in
from fornax.ir.trace import Trace, Tracer, check_alive, current, new_trace, running
from fornax.ir.types import typeof


class JVPTracer(Tracer):
    """A primal and its tangent."""

    __slots__ = ("primal", "tangent")

    def __init__(self, trace: JVP, primal: Any, tangent: Any):
        self._trace = trace
        self.type = typeof(primal)
        self.primal = primal
        self.tangent = tangent

    def concrete(self) -> Any:
        if isinstance(self.primal, Tracer):
            return self.primal.concrete()
        return self.primal

    def origin(self) -> str:
        return self.primal.origin() if isinstance(self.primal, Tracer) else ""


class JVP(Trace):
    """Pairs of primal and tangent, both values of the parent."""

    purpose = "a differentiated function (jvp)"

    def __init__(self, parent: Trace | None):
        self.parent = parent

    def pair(self, x: Any) -> tuple[Any, Any]:
        if isinstance(x, JVPTracer) and x._trace is self:
            return x.primal, x.tangent
        if isinstance(x, Tracer):
            check_alive(x)
        return x, Zero(typeof(x).tangent())

    def write_ref(self, ref: Ref, value: Any) -> None:
        """References from outside take values that have no tangent."""
        primal, tangent = self.pair(value)
        if not isinstance(tangent, Zero):
            raise differentiated(ref)
        write_in(self.parent, ref, primal)

    def process(
        self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        pairs = [self.pair(x) for x in operands]
        primals = [p for p, _ in pairs]
        tangents = [t for _, t in pairs]
        if all(isinstance(t, Zero) for t in tangents):
            with running(self.parent):
                return primitive.bind(*primals, **params)
        if not primitive.has_jvp and not primitive.linear and primitive.has_expand:
            with running(self):
                return primitive.expand(*operands, **params)
        try:
            with running(self.parent):
                outputs, out_tangents = apply_jvp(primitive, primals, tangents, params)
        except RefsFromOutside as error:
            program = primitive.in_the_open(error, params)
            with running(self):
                return evaluate(program, *operands)
        return [
            p if isinstance(t, Zero) else JVPTracer(self, p, t)
            for p, t in zip(outputs, out_tangents, strict=True)
        ]


def apply_jvp(
    primitive: Primitive, primals: Sequence[Any], tangents: Sequence[Any], params: dict[str, Any]
) -> tuple[list[Any], list[Any]]:
    """A primitive's derivative, derived where it is linear."""
    if primitive.has_jvp or not primitive.linear:
        return primitive.jvp(primals, tangents, **params)
    outputs = primitive.bind(*primals, **params)
    return outputs, primitive.bind(*map(instantiate, tangents), **params)


def jvp_flat(
    function: Callable[..., Sequence[Any]], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """Outputs and output tangents of a flat function. Tangents may be `Zero` both ways."""
    trace = JVP(current())
    with new_trace(trace):
        outputs = function(
            *[
                p if isinstance(t, Zero) else JVPTracer(trace, p, t)
                for p, t in zip(primals, tangents, strict=True)
            ]
        )
        pairs = [trace.pair(x) for x in outputs]
    return [p for p, _ in pairs], [t for _, t in pairs]
