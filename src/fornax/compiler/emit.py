"""From groups to kernels in loop IR: element rules composed at the group's index.

A kernel's buffers are named by their position, so that equal work gives equal text and is
compiled once, wherever in the program it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fornax.compiler.groups import Fusion, Group
from fornax.compiler.kernels import KERNELS, KernelContext
from fornax.compiler.kernels.context import array_buffer, buffers_of, stores
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import Axis, Buffer, Expr, Kernel, Statement, Store, row_major
from fornax.compiler.loop.schedule import nest
from fornax.compiler.reads import axes_of, opaque
from fornax.compiler.target import Target
from fornax.ir.jaxpr import Atom, Equation, Literal, Var
from fornax.ir.types import ArrayType
from fornax.record import record

if TYPE_CHECKING:
    from fornax._native import DtypeName


@record(frozen=True, eq=False)
class Workspace:
    """Memory that one group needs only while it runs."""

    name: str
    nbytes: int
    per_worker: bool


@record(frozen=True, eq=False)
class Constant:
    """Numbers that one group reads."""

    values: np.ndarray
    type: ArrayType


Place = Var | Workspace | Constant
#: operations one of the other over which recursion stays far within Python's limit
SHALLOW = 40


@record
class Draft:
    """A kernel and what its buffers are; `in_place[o]` are operands that o may overwrite;
    `follows`: see `KernelContext.emit`."""

    kernel: Kernel
    places: tuple[Place, ...]
    in_place: dict[Var, list[Var]]
    follows: bool = False


class Emitter:
    """Builds the expressions of one group."""

    def __init__(self, fusion: Fusion, group: Group, in_memory: set[Var], threads: int):
        self.b = Builder()
        self.fusion = fusion
        self.group = group
        self.in_memory = in_memory
        self.threads = threads
        self.repeated = False
        self.members = set(group.members)
        self.buffers: dict[Var, Buffer] = {}
        self.places: dict[Buffer, Place] = {}
        self.memo: dict[tuple[Any, ...], Value] = {}
        self.results: dict[tuple[Any, ...], list[Value]] = {}
        self.drafts: list[Draft] = []
        #: the element of a heavy operation's result that is being stored
        self.given: dict[Var, Value] = {}
        self.found_levels: dict[Var, int] = {}

    def buffer(self, var: Var, role: str = "in") -> Buffer:
        found = self.buffers.get(var)
        if found is None:
            found = array_buffer(f"b{len(self.buffers)}", var.type.dtype_name, var.type.shape, role)
            self.buffers[var] = found
            self.places[found] = var
        return found

    def lives_in_memory(self, var: Var) -> bool:
        return var not in self.fusion.definition or (
            var in self.fusion.stored and var not in self.members
        )

    def value(self, atom: Atom, index: Sequence[Expr]) -> Value:
        """The element of `atom` at `index`: a constant, a load, or its definition's element."""
        if isinstance(atom, Literal):
            return self.b.const(atom.value, atom.type.dtype_name)
        index = self.place(atom, index)
        key = (atom, index)
        found = self.memo.get(key)
        if found is None:
            if self.lives_in_memory(atom):
                found = self.load(atom, index)
            elif atom in self.given:
                # an epilogue reads the element it follows and no other (`fuse.joins`): this is its
                # index in another form, as lanes beyond the end make the kernel's index larger
                return self.given[atom]
            else:
                self.prepare(atom, index)
                found = self.defined(atom, index)
            self.memo[key] = found
        return found

    def load(self, var: Var, index: tuple[Expr, ...]) -> Value:
        return self.b.load(self.buffer(var), index, var.type.dtype_name)

    def prepare(self, var: Var, index: tuple[Expr, ...]) -> None:
        """Put what `var` is computed from into `memo`, deepest first.

        Chains of operations become as long as programs are, and `value` and the rules call each
        other: without this, some 150 operations would exceed Python's recursion limit.
        """
        if self.levels(var) <= SHALLOW:
            return
        stack = [(var, index)]
        while stack:
            key = stack[-1]
            missing = [] if key in self.memo else self.missing(*key)
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            if key not in self.memo:
                self.memo[key] = self.defined(*key)

    def levels(self, var: Var) -> int:
        """At most how many operations one of the other compute an element from memory."""
        levels, definition = self.found_levels, self.fusion.definition
        stack = [var]
        while stack:
            var = stack[-1]
            if var in levels:
                stack.pop()
                continue
            operands = [
                atom for atom in definition[var].inputs
                if isinstance(atom, Var) and not self.lives_in_memory(atom)
            ]  # fmt: skip
            missing = [atom for atom in operands if atom not in levels]
            if missing:
                stack.extend(missing)
            else:
                levels[var] = 1 + max([levels[atom] for atom in operands], default=0)
                stack.pop()
        return levels[var]

    def is_there(self, var: Var) -> bool:
        """Whether no rule is needed for an element."""
        return var in self.given or self.lives_in_memory(var)

    def missing(self, var: Var, index: tuple[Expr, ...]) -> list[tuple[Var, tuple[Expr, ...]]]:
        """Which elements the rule of `var` reads that are computed by rules, too, and not yet.

        Elements inside of reductions cannot come first, what they read from outside can.
        """
        axes: set[Any] | None = None
        found: list[tuple[Var, tuple[Expr, ...]]] = []
        inside = [(var, index)]
        seen = set(inside)
        while inside:
            one, at = inside.pop()
            for key in self.reads(one, at):
                if key in self.memo or key in seen:
                    continue
                seen.add(key)
                if axes is None:
                    axes = set(axes_of(index))
                if axes.issuperset(axes_of(key[1])):
                    found.append(key)
                else:
                    inside.append(key)
        return found

    def reads(self, var: Var, index: tuple[Expr, ...]) -> list[tuple[Var, tuple[Expr, ...]]]:
        """The elements that the rule of `var` reads at `index` and that have rules themselves.

        Left out are those at indices that depend on values.
        """
        equation = self.fusion.definition[var]
        found: list[tuple[Var, tuple[Expr, ...]]] = []
        if equation.primitive.pointwise:
            for atom in equation.inputs:
                if isinstance(atom, Var) and not self.is_there(atom):
                    found.append((atom, self.place(atom, index if atom.type.shape else ())))
        else:

            def reader(atom: Atom) -> Callable[[Sequence[Expr]], Any]:
                def read(at: Sequence[Expr]) -> Any:
                    if isinstance(atom, Literal) or self.is_there(atom):
                        return self.value(atom, at)
                    key = atom, self.place(atom, at)
                    if key in self.memo:
                        return self.memo[key]
                    if not has_carry(key[1]):
                        found.append(key)
                    return opaque(self.b, atom.type)

                return read

            equation.primitive.element(
                self.b,
                [a.type for a in equation.inputs],
                [reader(a) for a in equation.inputs],
                list(index),
                **equation.params,
            )
        return found

    def place(self, var: Var, index: Sequence[Expr]) -> tuple[Expr, ...]:
        """The index in its one form: 0 along dimensions of 1."""
        zero = self.b.index(0)
        return tuple(zero if n == 1 else k for n, k in zip(var.type.shape, index, strict=True))

    def defined(self, var: Var, index: tuple[Expr, ...]) -> Value:
        """The element by the element rule of the variable's equation."""
        equation = self.fusion.definition[var]
        key = (equation, index)
        results = self.results.get(key)
        if results is None:
            results = self.results[key] = equation.primitive.element(
                self.b,
                [a.type for a in equation.inputs],
                [self.reader(a) for a in equation.inputs],
                list(index),
                **equation.params,
            )
        position = next(k for k, v in enumerate(equation.outputs) if v is var)
        return results[position]

    def reader(self, atom: Atom) -> Callable[[Sequence[Expr]], Value]:
        return lambda index: self.value(atom, index)

    def stores(self, var: Var, index: Sequence[Expr], value: Value) -> tuple[Store, ...]:
        return stores(self.b, self.buffer(var, "out"), index, value)

    def add(
        self,
        body: tuple[Statement, ...],
        extent: int = 1,
        grain: int = 1,
        in_place: dict[Var, list[Var]] | None = None,
        follows: bool = False,
    ) -> None:
        buffers = buffers_of(body)
        kernel = Kernel(f"k{len(self.drafts)}", buffers, tuple(body), extent, grain)
        places = tuple(self.places[b] for b in buffers)
        self.drafts.append(Draft(kernel, places, in_place or {}, follows))


def has_carry(index: Sequence[Expr]) -> bool:
    """Whether an index depends on what a loop carries, as what `opaque` gives does."""
    stack, seen = list(index), set()
    while stack:
        node = stack.pop()
        if node.kind == "carry":
            return True
        if node not in seen:
            seen.add(node)
            stack.extend(node.args)
    return False


def drafts(
    fusion: Fusion,
    group: Group,
    in_memory: set[Var],
    target: Target,
    threads: int,
    repeated: bool = False,
) -> list[Draft]:
    """The kernels of a fused or heavy group, in the order they must run; `repeated` where a loop
    is around them."""
    emitter = Emitter(fusion, group, in_memory, threads)
    emitter.repeated = repeated
    if group.equation is None:
        fused(emitter)
    else:
        context = GroupContext(emitter, group.equation, target)
        KERNELS[group.equation.primitive.name](context)
    return emitter.drafts


def fused(emitter: Emitter) -> None:
    """One nest over the group's domain that stores its members."""
    b, group = emitter.b, emitter.group
    if 0 in group.shape:
        return
    axes = tuple(Axis(n, f"i{k}") for k, n in enumerate(group.shape))
    index = tuple(b.axis(a) for a in axes)
    members = [v for v in reversed(group.members) if v in emitter.in_memory]
    depths = {v: group.depth_of(v) for v in members}
    places = [(v, emitter.place(v, index[: len(v.type.shape)])) for v in members]
    if group.unrolled:
        axes, last = axes[:-1], axes[-1]
        places = [
            (v, (*at[: len(axes)], b.index(k)) if depths[v] > len(axes) else at)
            for v, at in places
            for k in range(last.length if depths[v] > len(axes) else 1)
        ]
    values = [emitter.value(v, at) for v, at in places]
    stores = [
        (s, min(depths[var], len(axes)))
        for (var, at), value in zip(places, values, strict=True)
        for s in emitter.stores(var, at, value)
    ]
    entries = [(s.buffer, s.index, s.value) for s, _ in stores]
    body = nest(b, axes, entries, ranks=[rank for _, rank in stores])
    emitter.add(body, in_place=overwritable(emitter, members, index))


def overwritable(
    emitter: Emitter, members: Sequence[Var], index: tuple[Expr, ...]
) -> dict[Var, list[Var]]:
    """Operands read only at the stored index: a result may take their place in memory.

    A result of fewer dimensions may not: the inner loops read its operands after it is stored.
    """
    elsewhere: set[Var] = set()
    here: list[Var] = []
    for (var, at), _ in emitter.memo.items():
        if var in emitter.buffers and var not in emitter.members:
            if at == index:
                here.append(var)
            else:
                elsewhere.add(var)
    candidates = [v for v in here if v not in elsewhere]
    return {
        m: [
            v for v in candidates
            if v.type.shape == m.type.shape
            and v.type.dtype.itemsize == m.type.dtype.itemsize
        ]
        for m in members
    }  # fmt: skip


class GroupContext(KernelContext):
    """A heavy operation inside the program: prologues are expressions, epilogues members."""

    def __init__(self, emitter: Emitter, equation: Equation, target: Target):
        self.emitter = emitter
        self.equation = equation
        self.b = emitter.b
        self.params = dict(equation.params)
        self.inputs = tuple(a.type for a in equation.inputs)
        self.outputs = tuple(v.type for v in equation.outputs)
        self.target = target
        self.threads = emitter.threads
        self.hoists = emitter.repeated
        self.read_back: set[Var] = set()
        self.followers = [v for v in emitter.group.members if v not in equation.outputs]

    def operand(self, i: int, index: Sequence[Expr]) -> Value:
        return self.emitter.value(self.equation.inputs[i], tuple(index))

    def operand_buffer(self, i: int) -> Buffer | None:
        atom = self.equation.inputs[i]
        if isinstance(atom, Var) and self.emitter.lives_in_memory(atom):
            return self.emitter.buffer(atom)
        return None

    def store(self, j: int, index: Sequence[Expr], value: Value) -> tuple[Store, ...]:
        var = self.equation.outputs[j]
        index = self.emitter.place(var, index)
        if self.emitter.memo.get((var, index), value) is not value:
            # another nest computes the same element: nothing derived from the old value holds
            self.emitter.memo.clear()
            self.emitter.results.clear()
        self.emitter.memo[(var, index)] = value
        self.emitter.given = {var: value}
        done: list[Store] = []
        if var in self.emitter.in_memory or var in self.read_back:
            done.extend(self.emitter.stores(var, index, value))
        for member in reversed(self.followers):
            result = self.emitter.value(member, index)
            if member in self.emitter.in_memory:
                done.extend(self.emitter.stores(member, index, result))
        return tuple(done)

    def output_buffer(self, j: int) -> Buffer:
        var = self.equation.outputs[j]
        self.read_back.add(var)
        self.emitter.in_memory.add(var)
        return self.emitter.buffer(var, "inout")

    def _memory(self, name: str, dtype: DtypeName, shape: tuple[int, ...], role: str) -> Buffer:
        buffer = Buffer(name, dtype, tuple(shape), row_major(tuple(shape)), role)
        self.emitter.places[buffer] = Workspace(name, buffer.nbytes, role == "scratch")
        return buffer

    def workspace(self, name: str, dtype: DtypeName, shape: tuple[int, ...]) -> Buffer:
        return self._memory(name, dtype, shape, "inout")

    def scratch(self, name: str, dtype: DtypeName, shape: tuple[int, ...]) -> Buffer:
        return self._memory(name, dtype, shape, "scratch")

    def constant(self, name: str, dtype: DtypeName, values: np.ndarray) -> Buffer:
        values = np.ascontiguousarray(values, dtype)
        buffer = Buffer(name, dtype, values.shape, row_major(values.shape), "in")
        self.emitter.places[buffer] = Constant(values, ArrayType(values.shape, values.dtype))
        return buffer

    def emit(
        self, body: tuple[Statement, ...], extent: int = 1, grain: int = 1, follows: bool = False
    ) -> None:
        self.emitter.add(tuple(body), extent, grain, follows=follows)
