"""Native loops: a scan or while with a small body becomes one kernel, its carry in registers.

The body's carries are taken apart into scalars; the next value of each is an expression of all of
them. Two shapes of loop qualify: carries of few elements in all, and carries that share leading
dimensions along which the body works point by point, which become outer (vector, parallel) loops
around the loop in time. Anything else is a loop of the plan.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fornax._native import reachable
from fornax.compiler.canonical import CONTROL, canonicalize
from fornax.compiler.kernels import KERNELS
from fornax.compiler.kernels.context import array_buffer, buffers_of, parts, stores
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import (
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    Kernel,
    Pair,
    Statement,
    While,
)
from fornax.compiler.loop.rewrite import Rewriter
from fornax.compiler.loop.schedule import start_values, unrolled
from fornax.compiler.merge import Unit
from fornax.compiler.target import Target
from fornax.errors import Signal
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from fornax.ir.types import ArrayType
from fornax.record import record

#: most scalars carried in registers (or on the stack of the kernel)
CARRIED = 64
#: most expression nodes of one iteration
NODES = 2000
#: most elements of one small reduction that is written out
UNROLL = 16

#: the constant indices of a state's elements, with the scalars that carry each
Scalars = list[tuple[tuple[int, ...], tuple[Carry, ...]]]


class NotNative(Signal):
    """The loop does not qualify; the plan runs it instead."""


def dot_element(
    b: Builder, types: Sequence[ArrayType], operands: Sequence[Callable[[Sequence[Expr]], Value]],
    index: Sequence[Expr], *, dimension_numbers: Any, **_: Any,
) -> list[Value]:  # fmt: skip
    """An element of a small matrix product, as a sum."""
    (left_contract, right_contract), (left_batch, right_batch) = dimension_numbers
    left_rank, right_rank = len(types[0].shape), len(types[1].shape)
    batch = list(index[: len(left_batch)])
    left_free = [d for d in range(left_rank) if d not in (*left_contract, *left_batch)]
    right_free = [d for d in range(right_rank) if d not in (*right_contract, *right_batch)]
    rest = list(index[len(left_batch) :])
    axes = [b.new_axis(types[0].shape[d], "k") for d in left_contract]
    left: dict[int, Expr] = {}
    right: dict[int, Expr] = {}
    for ld, rd, axis in zip(left_contract, right_contract, axes, strict=True):
        left[ld] = right[rd] = b.axis(axis)
    for ld, rd, at in zip(left_batch, right_batch, batch, strict=True):
        left[ld] = right[rd] = at
    for d, at in zip((*left_free,), rest[: len(left_free)], strict=True):
        left[d] = at
    for d, at in zip((*right_free,), rest[len(left_free) :], strict=True):
        right[d] = at
    x = operands[0]([left[d] for d in range(left_rank)])
    y = operands[1]([right[d] for d in range(right_rank)])
    return [b.reduce("add", axes, b.mul(x, y))]


#: element rules of heavy operations, for operands small enough to be written out
ELEMENTS: dict[str, Callable[..., list[Value]]] = {"dot_general": dot_element}


@record(eq=False)
class _State:
    """One carry: where reads of it go while expressions are built, and its scalars."""

    var: Var
    buffer: Buffer
    scalars: dict[tuple[Any, ...], Carry]


class _Loop:
    """Expressions of one iteration."""

    def __init__(self, shared: tuple[int, ...]):
        self.b = Builder()
        self.shared = shared
        self.axes = tuple(Axis(n, f"s{k}") for k, n in enumerate(shared))
        self.point = tuple(self.b.axis(a) for a in self.axes)
        self.readers: dict[Var, Callable[[Sequence[Expr]], Value]] = {}
        self.states: dict[Buffer, _State] = {}
        self.memo: dict[tuple[Any, ...], list[Value]] = {}
        self.outside: dict[Any, Buffer] = {}
        self.places: dict[Buffer, Any] = {}
        self.definition: dict[Atom, Equation] = {}

    # --- memory outside of the loop ---
    def memory(self, atom: Any, role: str = "in") -> Buffer:
        buffer = self.outside.get(atom)
        if buffer is None:
            name = f"b{len(self.outside)}"
            buffer = array_buffer(name, atom.type.dtype_name, atom.type.shape, role)
            self.outside[atom] = buffer
            self.places[buffer] = atom
        return buffer

    def read(self, atom: Atom, index: Sequence[Expr]) -> Value:
        if isinstance(atom, Literal):
            return self.b.const(atom.value, atom.type.dtype_name)
        return self.b.load(self.memory(atom), tuple(index), atom.type.dtype_name)

    # --- the body ---
    def enter(self, jaxpr: Jaxpr) -> Jaxpr:
        """Make a body's equations known. Raises NotNative if one cannot be an expression."""
        jaxpr = canonicalize(jaxpr)
        for equation in jaxpr.equations:
            name = equation.primitive.name
            expressible = equation.primitive.has_element and name not in CONTROL
            if name in KERNELS and name not in ELEMENTS and not equation.primitive.has_element:
                expressible = False
            if not (expressible or name in ELEMENTS):
                raise NotNative(name)
            if equation.primitive.effects(**equation.params):
                raise NotNative(name)
            for var in equation.outputs:
                self.definition[var] = equation
        return jaxpr

    def state(self, var: Var) -> _State:
        """Make a carry known: reads of it are loads of a stand-in buffer until `finish`."""
        name = var.type.dtype_name
        buffer = array_buffer(f"carry{len(self.states)}", name, var.type.shape, "carry")
        state = _State(var, buffer, {})
        self.states[buffer] = state
        self.readers[var] = lambda index: self.b.load(buffer, tuple(index), name)
        return state

    def value(self, atom: Atom, index: Sequence[Expr]) -> Value:
        if isinstance(atom, Literal):
            return self.b.const(atom.value, atom.type.dtype_name)
        reader = self.readers.get(atom)
        if reader is not None:
            return reader(index)
        equation = self.definition[atom]
        key = (equation, tuple(index))
        results = self.memo.get(key)
        if results is None:
            if self.b.count > NODES:
                raise NotNative("too large")
            rule = equation.primitive.element
            if equation.primitive.name in ELEMENTS:
                rule = ELEMENTS[equation.primitive.name]
            results = self.memo[key] = rule(
                self.b,
                [a.type for a in equation.inputs],
                [self.reader(a) for a in equation.inputs],
                list(index),
                **equation.params,
            )
        position = next(k for k, v in enumerate(equation.outputs) if v is atom)
        return results[position]

    def reader(self, atom: Atom) -> Callable[[Sequence[Expr]], Value]:
        return lambda index: self.value(atom, index)

    # --- scalars ---
    def tails(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Constant indices of the dimensions behind the shared ones."""
        return list(itertools.product(*(range(n) for n in shape[len(self.shared) :])))

    def at(self, tail: tuple[int, ...]) -> tuple[Expr, ...]:
        return (*self.point, *(self.b.index(k) for k in tail))

    def carries_of(self, state: _State) -> Scalars:
        """The scalar carries of a state: one per element, two for a complex element."""
        result = []
        complex_parts = len(state.buffer.shape) > len(state.var.type.shape)
        for tail in self.tails(state.var.type.shape):
            parts = []
            for part in range(2 if complex_parts else 1):
                key = (*tail, part) if complex_parts else tail
                dtype = self.b.load(state.buffer, [self.b.index(0)] * len(state.buffer.shape)).dtype
                carry = state.scalars.setdefault(key, Carry(dtype, f"c{len(self.states)}"))
                parts.append(carry)
            result.append((tail, tuple(parts)))
        return result

    def finisher(self) -> Rewriter:
        """Writes small reductions out and turns reads of carries into the scalar carries."""
        b = self.b
        width = len(self.shared)

        def rule(node: Expr, args: tuple[Expr, ...]) -> Expr | None:
            if node.kind == "load" and node.data in self.states:
                index = args[: len(node.data.shape)]
                tail = index[width:]
                if index[:width] != self.point or any(k.kind != "const" for k in tail):
                    raise NotNative("a carry is read at another point than its own")
                return b.carry(self.states[node.data].scalars[tuple(k.data for k in tail)])
            return None

        return Rewriter(b, rule=rule)

    def write_out(self, values: list[Expr]) -> list[Expr]:
        """Values without reductions. Raises NotNative for a reduction that is too large."""
        b = self.b
        rewrite = Rewriter(b)
        for node in reachable(values):
            if node.kind != "reduce":
                continue
            combiner, axes, component = node.data
            size = 1
            for axis in axes:
                size *= axis.extent
            args = tuple(map(rewrite, node.args))
            if not size:
                rewrite.memo[node] = start_values(b, combiner, args)[component]
                continue
            if size > UNROLL or size * len(reachable(args)) > NODES:
                raise NotNative("a reduction in the body is large")
            rewrite.memo[node] = unrolled(b, combiner, axes, args)[component]
        return [rewrite(v) for v in values]

    def finish(self, values: list[Value]) -> list[Value]:
        """Expressions of the scalar carries only."""
        flat = [e for v in values for e in (v if isinstance(v, Pair) else (v,))]
        finisher = self.finisher()
        done = iter([finisher(e) for e in self.write_out(flat)])
        return [Pair(next(done), next(done)) if isinstance(v, Pair) else next(done) for v in values]


def _shared_shapes(types: Sequence[Any]) -> list[tuple[int, ...]]:
    """Leading shapes to try: none if the carries are small, then what all of them share."""
    total = sum(t.size for t in types)
    candidates: list[tuple[int, ...]] = []
    if total <= CARRIED:
        candidates.append(())
    prefix = None
    for type in types:
        if prefix is None:
            prefix = type.shape
        common = 0
        while common < min(len(prefix), len(type.shape)) and prefix[common] == type.shape[common]:
            common += 1
        prefix = prefix[:common]
    if prefix and 0 not in prefix:
        size = 1
        for n in prefix:
            size *= n
        if total // size <= CARRIED:
            candidates.append(prefix)
    return candidates


@record(eq=False)
class Native:
    """A loop as one kernel with its carry in registers, not yet a step of a plan."""

    unit: Unit
    atoms: tuple[Any, ...]  #: what each buffer of the kernel is
    written_out: bool  #: whether arrays have become single scalars, computed one by one

    def submit(self, body: Any) -> None:
        """Make it the next step of a plan."""
        slots = tuple(body.of(atom).slot for atom in self.atoms)
        body.planner.call(self.unit, slots)

    def cost(self, target: Target, iterations: int) -> float:
        """Nanoseconds of one iteration."""
        self.unit.vectorized(target)
        return self.unit.cost / iterations


def _native(loop: _Loop, statements: tuple[Statement, ...]) -> Native:
    buffers = buffers_of(statements)
    arrays = any(state.var.type.shape for state in loop.states.values())
    unit = Unit(Kernel("loop", buffers, statements))
    return Native(unit, tuple(loop.places[k] for k in buffers), arrays and not loop.shared)


def _around(loop: _Loop, inner: tuple[Statement, ...]) -> tuple[Statement, ...]:
    for axis in reversed(loop.axes):
        if axis.extent != 1:
            inner = (For(axis, inner),)
    return inner


def scan_kernel(equation: Equation) -> Native | None:
    """A scan as one kernel; None if it does not qualify."""
    params = equation.params
    if not params["length"]:
        return None
    n_carry, n_consts = params["num_carry"], params["num_consts"]
    carry_types = [v.type for v in equation.outputs[:n_carry]]
    for shared in _shared_shapes(carry_types) if carry_types else []:
        loop = _Loop(shared)
        try:
            return _native(loop, _scan(loop, equation, n_consts, n_carry))
        except NotNative:
            continue
    return None


def _scan(loop: _Loop, equation: Equation, n_consts: int, n_carry: int) -> tuple[Statement, ...]:
    b, params = loop.b, equation.params
    jaxpr = loop.enter(params["jaxpr"])
    time = Axis(params["length"], "t")
    step = b.axis(time)
    n_before = n_consts + n_carry
    for var, atom in zip(jaxpr.inputs[:n_consts], equation.inputs, strict=False):
        loop.readers[var] = _outside(loop, atom)
    states = [loop.state(v) for v in jaxpr.inputs[n_consts:n_before]]
    for var, atom in zip(jaxpr.inputs[n_before:], equation.inputs[n_before:], strict=True):
        loop.readers[var] = _row(loop, atom, step)
    scalars = [loop.carries_of(s) for s in states]
    nexts = [
        loop.value(atom, loop.at(tail))
        for atom, elements in zip(jaxpr.outputs[:n_carry], scalars, strict=True)
        for tail, _ in elements
    ]
    rows: list[tuple[Var, tuple[int, ...], Value]] = []
    for atom, var in zip(jaxpr.outputs[n_carry:], equation.outputs[n_carry:], strict=True):
        shape = atom.type.shape
        if loop.shared and shape[: len(loop.shared)] != loop.shared:
            raise NotNative("an output lacks the shared dimensions")
        tails = loop.tails(shape)
        if len(tails) > CARRIED:
            raise NotNative("an output is large")
        rows.extend((var, tail, loop.value(atom, loop.at(tail))) for tail in tails)
    done = loop.finish([*nexts, *(value for _, _, value in rows)])
    inside: list[Statement] = []
    for (var, tail, _), value in zip(rows, done[len(nexts) :], strict=True):
        inside += stores(b, loop.memory(var, "out"), (step, *loop.at(tail)), value)
    starts = equation.inputs[n_consts:n_before]
    carried, finals = _carried(loop, scalars, starts, done[: len(nexts)])
    around: list[Statement] = [
        For(time, tuple(inside), tuple(carried), reverse=bool(params["reverse"]))
    ]
    for var, tail, value in _with_vars(equation.outputs[:n_carry], scalars, finals):
        around += stores(b, loop.memory(var, "out"), loop.at(tail), value)
    return _around(loop, tuple(around))


def _carried(
    loop: _Loop, scalars: Sequence[Scalars], starts: Sequence[Atom], nexts: Sequence[Value]
) -> tuple[list[Carried], list[Value]]:
    """The carries of the loop, and the values after it, one per element."""
    b = loop.b
    carried: list[Carried] = []
    finals: list[Value] = []
    following = iter(nexts)
    for elements, atom in zip(scalars, starts, strict=True):
        for tail, carries in elements:
            start = loop.read(atom, loop.at(tail))
            begins = start if isinstance(start, Pair) else (start,)
            after = next(following)
            afters = after if isinstance(after, Pair) else (after,)
            for carry, begin, new in zip(carries, begins, afters, strict=True):
                carried.append(Carried(carry, begin, new))
            ends = [b.final(c) for c in carries]
            finals.append(Pair(*ends) if len(ends) == 2 else ends[0])
    return carried, finals


def _with_vars(
    variables: Sequence[Var], scalars: Sequence[Scalars], finals: Sequence[Value]
) -> Iterator[tuple[Var, tuple[int, ...], Value]]:
    values = iter(finals)
    for var, elements in zip(variables, scalars, strict=True):
        for tail, _ in elements:
            yield var, tail, next(values)


def _outside(loop: _Loop, atom: Atom) -> Callable[[Sequence[Expr]], Value]:
    return lambda index: loop.read(atom, index)


def _row(loop: _Loop, atom: Atom, step: Expr) -> Callable[[Sequence[Expr]], Value]:
    return lambda index: loop.read(atom, (step, *index))


def while_kernel(equation: Equation) -> Native | None:
    """A while loop as one kernel; None if it does not qualify."""
    params = equation.params
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    starts = equation.inputs[n_cond + n_body :]
    for shared in _shared_shapes([a.type for a in starts]) if starts else []:
        loop = _Loop(shared)
        try:
            return _native(loop, _while(loop, equation, n_cond, n_body, starts))
        except NotNative:
            continue
    return None


def _while(
    loop: _Loop, equation: Equation, n_cond: int, n_body: int, starts: Sequence[Atom]
) -> tuple[Statement, ...]:
    b, params = loop.b, equation.params
    condition, step = loop.enter(params["cond_jaxpr"]), loop.enter(params["body_jaxpr"])
    for var, atom in zip(condition.inputs[:n_cond], equation.inputs[:n_cond], strict=True):
        loop.readers[var] = _outside(loop, atom)
    for var, atom in zip(
        step.inputs[:n_body], equation.inputs[n_cond : n_cond + n_body], strict=True
    ):
        loop.readers[var] = _outside(loop, atom)
    states = [loop.state(v) for v in step.inputs[n_body:]]
    for var, state in zip(condition.inputs[n_cond:], states, strict=True):
        loop.readers[var] = loop.readers[state.var]
    scalars = [loop.carries_of(s) for s in states]
    outputs: Sequence[Atom] = step.outputs
    if loop.shared:
        test, outputs = _each_on_its_own(loop, condition, step, n_body)
    else:
        test = loop.value(condition.outputs[0], ())
    nexts = [
        loop.value(atom, loop.at(tail))
        for atom, elements in zip(outputs, scalars, strict=True)
        for tail, _ in elements
    ]
    test, *nexts = loop.finish([test, *nexts])
    carried, finals = _carried(loop, scalars, starts, nexts)
    (goes_on,) = parts(test)
    statements: list[Statement] = [While(goes_on, tuple(carried))]
    for var, tail, value in _with_vars(equation.outputs, scalars, finals):
        statements += stores(b, loop.memory(var, "out"), loop.at(tail), value)
    return _around(loop, tuple(statements))


def _each_on_its_own(
    loop: _Loop, condition: Jaxpr, step: Jaxpr, n_body: int
) -> tuple[Value, list[Atom]]:
    """(test at one point, next values) of a loop that runs until all points are done.

    That is what mapping a while loop gives: the condition is whether any point goes on, and the
    body keeps the state of points that do not. Then every point may stop by itself.
    """
    last = loop.definition.get(condition.outputs[0])
    if last is None or last.primitive.name != "reduce_or":
        raise NotNative("the condition does not ask whether any point goes on")
    (flags,) = last.inputs
    if flags.type.shape != loop.shared:
        raise NotNative("the condition is about other points")
    test = loop.value(flags, loop.point)
    following: list[Atom] = []
    for atom, state in zip(step.outputs, step.inputs[n_body:], strict=True):
        if atom is state:
            following.append(atom)
            continue
        chosen = loop.definition.get(atom)
        if chosen is None or chosen.primitive.name != "select_n" or len(chosen.inputs) != 3:
            raise NotNative("the body changes points that are done")
        which, kept, new = chosen.inputs
        tails = loop.tails(atom.type.shape)
        same = which.type.shape == atom.type.shape and all(
            loop.value(which, loop.at(tail)) is test for tail in tails
        )
        if kept is not state or not same:
            raise NotNative("the body changes points that are done")
        following.append(new)
    return test, following


__all__ = ["Native", "NotNative", "dot_element", "scan_kernel", "while_kernel"]
