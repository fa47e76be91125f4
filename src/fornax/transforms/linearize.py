"""Linearization: do the primal work now, record the work on tangents as a linear program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.ir.basis import instantiate
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.late import RefsFromOutside
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.ref import Backward, Ref, differentiated, read_in, write_in
from fornax.ir.trace import Trace, Tracer, check_alive, current, new_trace, running
from fornax.ir.types import typeof
from fornax.transforms.jvp import apply_jvp
from fornax.transforms.stage import Stage, from_outside


class LinearizeTracer(Tracer):
    """A known primal and a tangent that is a value of the recorder."""

    __slots__ = ("primal", "tangent")

    def __init__(self, trace: Linearize, primal: Any, tangent: Any):
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


class Linearize(Trace):
    """Primal work goes to the parent now; work on tangents goes to the recorder.

    The rule of a first-order operation is its jvp rule run under the recorder, which runs what is
    known in the parent. Operations that hold programs bring a rule `linearize(parent, recorder,
    primals, tangents, **params)` of their own.
    """

    purpose = "a differentiated function (grad, vjp or linearize)"
    goes_back = True

    def __init__(self, parent: Trace | None, recorder: Stage):
        self.parent = parent
        self.recorder = recorder
        self.states: dict[Backward, tuple[Any, Any]] = {}
        self.left: dict[Ref, Ref] = {}

    def pair(self, x: Any) -> tuple[Any, Any]:
        if isinstance(x, LinearizeTracer) and x._trace is self:
            return x.primal, x.tangent
        if isinstance(x, Tracer):
            check_alive(x)
        return x, Zero(typeof(x).tangent())

    def state(self, ref: Backward) -> tuple[Any, Any]:
        """(input of the linear program, value now) of the state of a reference backwards."""
        found = self.states.get(ref)
        if found is None:
            tangent = self.recorder.new_input(ref.type)
            found = self.states[ref] = tangent, LinearizeTracer(self, ref._value, tangent)
        return found

    def afterwards(self, ref: Ref) -> Ref:
        """What is this reference when the function has ended: for one that it made, another, which
        holds its last value."""
        if ref._owner is not self:
            return ref
        if ref._outer is not None:
            return ref._outer
        if ref not in self.left:
            with running(self.parent):
                left = self.left[ref] = Ref(0, ref.kind)
            left.type = ref.type
        return self.left[ref]

    def read_ref(self, ref: Ref) -> Any:
        """The state of a reference begins here; others are read outside."""
        return self.state(ref)[1] if isinstance(ref, Backward) else read_in(self.parent, ref)

    def write_ref(self, ref: Ref, value: Any) -> None:
        """References from outside take values that have no tangent."""
        if isinstance(ref, Backward):
            self.states[ref] = self.state(ref)[0], value
            return
        primal, tangent = self.pair(value)
        if not isinstance(tangent, Zero):
            raise differentiated(ref)
        write_in(self.parent, ref, primal)

    def process(
        self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        primals, tangents, constant = [], [], True
        for x in operands:
            if x.__class__ is LinearizeTracer and x._trace is self:
                primal, tangent, constant = x.primal, x.tangent, False
            else:
                primal, tangent = self.pair(x)
            primals.append(primal)
            tangents.append(tangent)
        if constant:
            with running(self.parent):
                return primitive.bind(*primals, **params)
        rule = getattr(primitive, "linearize", None)
        if rule is not None:
            try:
                outputs, out_tangents = rule(
                    self.parent, self.recorder, primals, tangents, **params
                )
            except RefsFromOutside as error:
                program = primitive.in_the_open(error, params)
                with running(self):
                    return evaluate(program, *operands)
        elif not primitive.has_jvp and not primitive.linear and primitive.has_expand:
            with running(self):
                return primitive.expand(*operands, **params)
        else:
            with running(self.recorder):
                outputs, out_tangents = apply_jvp(primitive, primals, tangents, params)
        return [
            p if isinstance(t, Zero) else LinearizeTracer(self, p, t)
            for p, t in zip(outputs, out_tangents, strict=True)
        ]


def linearize_flat(
    function: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    nonzero: Sequence[bool] | None = None,
    states: list[Ref] | None = None,
) -> tuple[list[Any], Jaxpr, list[bool]]:
    """(outputs, linear program, which outputs have a tangent).

    The program maps the tangents of the `nonzero` primals to the tangents of the outputs that
    have one; its `consts` are the residuals. Integer primals never have tangents. References whose
    values are needed backwards are added to `states`: the last inputs and outputs of the program
    are for them. Raises RefsFromOutside without `states`.
    """
    parent = current()
    recorder = Stage(parent, partial=True, purpose="the linear part of a differentiated function")
    trace = Linearize(parent, recorder)
    arguments = []
    for i, primal in enumerate(primals):
        if nonzero is None or nonzero[i]:
            tangent = recorder.new_input(typeof(primal).tangent())
            arguments.append(LinearizeTracer(trace, primal, tangent))
        else:
            arguments.append(primal)
    with new_trace(trace):
        outputs = function(*arguments)
        pairs = [trace.pair(x) for x in outputs]
        last = [instantiate(trace.pair(x)[1]) for _, x in trace.states.values()]
    if states is not None:
        states.extend(trace.afterwards(ref.of) for ref in trace.states)
    elif trace.states:
        raise from_outside(trace.purpose, next(iter(trace.states)).of)
    for ref, left in trace.left.items():
        left._value, left._gone = trace.pair(ref._value)[0], ref._gone
    has_tangent = [not isinstance(t, Zero) for _, t in pairs]
    program = recorder.finish([*(t for _, t in pairs if not isinstance(t, Zero)), *last])
    recorder.alive = False
    return [p for p, _ in pairs], program, has_tangent
