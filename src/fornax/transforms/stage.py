"""Staging: run a function on stand-ins and record what it does as a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from fornax import _native, source
from fornax.errors import message
from fornax.ir import garbage
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from fornax.ir.late import RefsFromOutside
from fornax.ir.primitive import Primitive
from fornax.ir.ref import Backward, Ref, differentiated, read_in, write_in
from fornax.ir.trace import Trace, Tracer, check_alive, current, new_trace, running, unexpected
from fornax.ir.types import ArrayType, typeof
from fornax.transforms.mixed import separated

#: what becomes a literal
_NUMBERS = (bool, int, float, complex, np.generic)
#: those of them that are their literal's value whatever the settings are
_AS_THEY_ARE = frozenset((bool, int, float, complex, np.bool_, np.float32, np.int32))


class StageTracer(Tracer):
    """A value that will exist when the recorded program runs."""

    __slots__ = ("atom",)

    def __init__(self, trace: Stage, atom: Atom):
        self._trace = trace
        self.type = atom.type
        self.atom = atom

    def origin(self) -> str:
        return cast(Stage, self._trace).origin(self.atom)


class Stage(Trace):
    """Records equations.

    With `parent` set, operations on values that this trace does not know run in the parent
    instead: that is partial evaluation, and how `linearize` separates known from unknown.

    `bind` itself records operations of one that is alive and not partial, and asks no `process`.
    """

    # what `bind` reads of a stage
    __slots__ = ("alive", "equations", "partial")

    def __init__(
        self,
        parent: Trace | None = None,
        partial: bool = False,
        purpose: str = "a traced function",
        names: Sequence[str] = (),
    ):
        self.parent = parent
        self.partial = partial
        self.alive = True
        self.records = not partial
        self.purpose = purpose
        self.names = names
        self.inputs: list[Var] = []
        self.equations: list[Equation] = []
        # keyed by identity; the value is kept alive beside its variable
        self.consts: dict[int, tuple[Var, Any]] = {}
        # references from outside: the input for their value, and the value now
        self.refs: dict[Ref, tuple[Var, Any]] = {}

    def new_input(self, type: ArrayType) -> StageTracer:
        var = Var(type)
        self.inputs.append(var)
        return StageTracer(self, var)

    def knows(self, x: Any) -> bool:
        return isinstance(x, StageTracer) and x._trace is self

    def lift(self, x: Any) -> Atom:
        """The atom for a value: its variable, a literal for a scalar, else a constant."""
        if x.__class__ in _AS_THEY_ARE:
            return Literal(x, typeof(x))
        if isinstance(x, StageTracer) and x._trace is self:
            return x.atom
        if isinstance(x, Tracer):
            check_alive(x)
            if isinstance(x, StageTracer) and not self._encloses(x._trace):
                raise unexpected(x)
        elif isinstance(x, _NUMBERS):
            type = typeof(x)
            return Literal(_as_scalar(x, type), type)
        elif not typeof(x).shape and isinstance(x.dtype, np.dtype) and x.dtype.itemsize:
            type = typeof(x)
            value = np.asarray(x)[()]
            if type.weak_type and typeof(value.item()) is type:
                value = value.item()  # a Python scalar stays weak when the program runs
            return Literal(value, type)
        entry = self.consts.get(id(x))
        if entry is None:
            entry = self.consts[id(x)] = (Var(typeof(x)), x)
        return entry[0]

    def _encloses(self, other: Trace) -> bool:
        trace: Trace | None = self.parent
        while trace is not None:
            if trace is other:
                return True
            trace = trace.parent
        return False

    def read_ref(self, ref: Ref) -> Any:
        """The value of a reference from outside: one more input, or what was written since."""
        if self.partial:
            return read_in(self.parent, ref)
        found = self.refs.get(ref)
        if found is None:
            read_in(self.parent, ref)  # it must be alive
            var = Var(ref.type)
            found = self.refs[ref] = var, StageTracer(self, var)
        return found[1]

    def write_ref(self, ref: Ref, value: Any) -> None:
        """Remember a value for a reference from outside: one more output."""
        if self.partial:
            if self.knows(value):
                raise differentiated(ref)
            write_in(self.parent, ref, value)
            return
        self.read_ref(ref)
        self.refs[ref] = self.refs[ref][0], value

    def place_of(self, ref: Ref) -> Ref | int:
        """A reference, or for the state backwards of an argument the place of that."""
        if isinstance(ref, Backward) and ref.of._owner is self and ref.of._place is not None:
            return ref.of._place
        return ref

    def process(
        self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        if self.partial:
            for x in operands:
                if x.__class__ is StageTracer and x._trace is self:
                    break
            else:
                with running(self.parent):
                    return primitive.bind(*operands, **params)
        if not self.alive:
            for x in operands:
                if isinstance(x, Tracer):
                    check_alive(x)
        if self.partial and hasattr(primitive, "depends"):
            return self.process_parts(primitive, operands, params)
        return _native.record(self, primitive, operands, params)

    def process_parts(
        self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """Record what depends on operands that this trace knows; the rest runs in the parent."""
        flags = [self.knows(x) for x in operands]
        inputs = [Var(typeof(x)) for x in operands]
        outputs = tuple(map(Var, primitive.type(*[v.type for v in inputs], **params)))
        whole = Equation(primitive, tuple(inputs), params, outputs, source.here())
        known, rest = separated(whole, flags)
        env: dict[Atom, Any] = dict(zip(inputs, operands, strict=True))
        if known is not None:
            with running(self.parent):
                values = known.primitive.bind(*[env[v] for v in known.inputs], **known.params)
            env.update(zip(known.outputs, values, strict=True))
        if rest is not None:
            values = self.record(rest.primitive, [env[v] for v in rest.inputs], rest.params)
            env.update(zip(rest.outputs, values, strict=True))
        return [env[v] for v in outputs]

    def record(
        self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """One more equation."""
        return _native.record(self, primitive, operands, params)

    def forget_effects(self, start: int, outputs: Sequence[Any]) -> None:
        """Drop equations from number `start` on that these outputs do not need, if some of them
        have effects that nobody may repeat; what shows values stays."""
        added = self.equations[start:]
        if not any(_binding(equation) for equation in added):
            return
        needed = {x.atom for x in outputs if isinstance(x, StageTracer) and x._trace is self}
        kept = []
        for equation in reversed(added):
            shows = bool(equation.effects) and not _binding(equation)
            if shows or not needed.isdisjoint(equation.outputs):
                kept.append(equation)
                needed.update(equation.inputs)
        self.equations[start:] = reversed(kept)

    def finish(self, outputs: Sequence[Any], name: str = "") -> Jaxpr:
        """The program with these outputs; inputs and outputs for references come last."""
        last = [x for _, x in self.refs.values()]
        atoms = tuple(map(self.lift, (*outputs, *last)))
        variables = [v for v, _ in self.consts.values()]
        values = [x for _, x in self.consts.values()]
        inputs = (*variables, *self.inputs, *(v for v, _ in self.refs.values()))
        return Jaxpr(inputs, tuple(self.equations), atoms, tuple(values), name)

    def origin(self, atom: Atom) -> str:
        for position, var in enumerate(self.inputs):
            if var is atom:
                if position < len(self.names):
                    return f"the argument {self.names[position]}"
                return f"argument {position}"
        for equation in self.equations:
            if any(v is atom for v in equation.outputs):
                return f"{equation.primitive.name} at {equation.source}"
        return "a constant"


_native.set_recording(Stage, StageTracer, Var, Equation)


def _binding(equation: Equation) -> bool:
    return any(not effect.innocuous for effect in equation.effects)


def from_outside(purpose: str, ref: Ref) -> RefsFromOutside:
    """The error for a reference that a function uses where none can be handed on."""
    return RefsFromOutside(
        message(
            f"{purpose} uses a mutable reference of type {ref.aval} from outside, which is not "
            "supported there",
            where=str(source.here() or "unknown"),
            why="its program is one from values to values, and takes none for this reference",
            attempt="pass the reference as an argument, make it inside, or pass its value and "
            "return the new one",
        ),
        ref,
    )


def _as_scalar(x: Any, type: ArrayType) -> Any:
    """A literal's value: Python scalars stay themselves (weak), NumPy ones take the dtype."""
    if type.weak_type or isinstance(x, bool) or getattr(x, "dtype", None) is type.dtype:
        return x
    return np.asarray(x).astype(type.dtype)[()]


def stage(
    function: Callable[..., Sequence[Any]],
    types: Sequence[ArrayType],
    name: str = "",
    purpose: str | None = None,
    names: Sequence[str] = (),
    refs: list[Ref | int] | None = None,
) -> Jaxpr:
    """The program that `function` performs on arguments of these types (flat to flat).

    What it closes over becomes the program's `consts`; those may be tracers of outer traces.
    References from outside that it uses are added to `refs`: their values are the program's last
    inputs, and their new values its last outputs. A number there is the state backwards of the
    reference that is the argument in that place. Raises RefsFromOutside without `refs`.
    """
    trace = Stage(current(), purpose=purpose or f"the traced function {name or 'f'}", names=names)
    with garbage.kept(), new_trace(trace):
        outputs = function(*map(trace.new_input, types))
        if refs is not None:
            refs.extend(map(trace.place_of, trace.refs))
        elif trace.refs:
            raise from_outside(trace.purpose, next(iter(trace.refs)))
        return trace.finish(outputs, name)
