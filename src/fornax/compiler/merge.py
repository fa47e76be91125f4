"""Steps of a plan as one kernel: what loops do many times over must not cost a call each time.

A plan calls kernels over memory behind slots. Where a loop's body is small, its kernels are linked
into one, in loop IR: each slot becomes one buffer, rows of stacked arrays become offsets, copies
become loops. `loop.forward` then moves what lies in memory from step to step into registers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fornax._native import reachable
from fornax.compiler.kernels.context import buffers_of
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.estimate import UNIT, Estimate
from fornax.compiler.loop.forward import loop_in_time
from fornax.compiler.loop.ir import (
    STORAGE,
    UNSIGNED,
    WIDTH,
    Axis,
    Buffer,
    Expr,
    For,
    If,
    Kernel,
    Statement,
    Store,
    While,
)
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.loop.vectorize import vectorize
from fornax.compiler.target import Target
from fornax.errors import Signal
from fornax.record import record

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: nanoseconds that a step of a plan costs by itself
STEP = 15.0
#: share of a body's time that its steps must cost for a kernel of its own to be worth compiling
SHARE = 0.04
#: nanoseconds of work in an iteration from which on threads could share it
MOST = 20_000.0
#: most expression nodes of a kernel made of others
NODES = 6000
#: elements up to which a copy is written out
SHORT = 8


class NotMergeable(Signal):
    """The steps stay steps."""


@record(eq=False)
class Unit:
    """A kernel of a plan: compiled when it is clear that it will not become a part of another."""

    kernel: Kernel
    follows: bool = False  #: part by part the kernel before, if no loop is around them
    compiled: Any = None
    nest: Kernel | None = None
    cost: float = 0.0  #: nanoseconds, once there is a `nest`

    def vectorized(self, target: Target) -> Kernel:
        """The kernel with flat buffers and vector loops."""
        if self.nest is None:
            self.nest = vectorize(simplify(self.kernel), target)
            self.cost = cost_of(self.nest.body, target)
        return self.nest


def cost_of(body: Sequence[Statement], target: Target) -> float:
    """Nanoseconds of one run of statements."""
    return Estimate(body, target).iteration_cost(None) * UNIT


@record
class Row:
    """What an address step makes: a slot that points into the array behind `base`."""

    base: int
    stride: int  #: bytes per iteration
    count: int


class Merge:
    """Steps to link. `rows` and `same` say where slots point that other steps have set: to a row
    of an array that moves with the loop, to the memory of another slot. `reads` are slots that
    are read besides, with their dtypes."""

    def __init__(
        self,
        target: Target,
        steps: Sequence[tuple[Any, ...]],
        rows: dict[int, Row] | None = None,
        same: dict[int, int] | None = None,
        reads: dict[int, DtypeName] | None = None,
    ):
        self.b = Builder()
        self.target = target
        self.steps = steps
        self.rows = rows or {}
        self.same = same or {}
        self.axis: Axis | None = None
        self.cost, nodes = 0.0, 0
        self.units: list[tuple[Kernel, tuple[int, ...]]] = []
        for kind, *operands in steps:
            if kind == "kernel":
                unit, slots = operands[:2]
                kernel = unit.vectorized(target)
                self.cost += unit.cost
                nodes += len(reachable(expressions(kernel.body)))
                self.units.append((kernel, slots))
            elif kind == "copy":
                if self.root(operands[0]) != self.root(operands[1]):
                    self.cost += operands[2] / 32 * UNIT
            else:
                raise NotMergeable(kind)
        if nodes > NODES or self.cost > MOST:
            raise NotMergeable("large")
        self.roots = self.buffers(reads or {})
        #: memory that inner loops go through: it is copied by loops, too
        self.indexed = {
            self.roots[self.root(slot)[0]]
            for kernel, slots in self.units
            for buffer, slot in zip(kernel.buffers, slots, strict=True)
            if buffer in indexed(kernel)
        }

    # --- memory ---
    def root(self, slot: int) -> tuple[int, int]:
        """(the slot whose memory a slot points into, bytes per iteration)."""
        slot = self.same.get(slot, slot)
        row = self.rows.get(slot)
        return (slot, 0) if row is None else (self.same.get(row.base, row.base), row.stride)

    def buffers(self, reads: dict[int, DtypeName]) -> dict[int, Buffer]:
        """One buffer per memory; of one dtype, or there is none."""
        dtypes: dict[int, DtypeName] = {}
        sizes: dict[int, int] = {}
        roles: dict[int, str] = {}

        def see(slot: int, dtype: DtypeName, size: int, role: str) -> None:
            base, stride = self.root(slot)
            if dtypes.setdefault(base, dtype) != dtype:
                raise NotMergeable("memory of two dtypes")
            if stride:
                row = self.rows[self.same.get(slot, slot)]
                size = max(size, row.count * row.stride * 8 // WIDTH[dtype])
            sizes[base] = max(sizes.get(base, 0), size)
            if roles.setdefault(base, role) != role:
                roles[base] = "inout"

        for slot, dtype in reads.items():
            see(slot, dtype, 1, "in")
        for kernel, slots in self.units:
            for buffer, slot in zip(kernel.buffers, slots, strict=True):
                see(slot, buffer.dtype, buffer.size, buffer.role)
        copies = [
            operands
            for kind, *operands in self.steps
            if kind == "copy" and self.root(operands[0]) != self.root(operands[1])
        ]
        pending = copies
        while pending:
            known = [c for c in pending if any(self.root(s)[0] in dtypes for s in c[:2])]
            for to, origin, size in known or pending[:1]:
                plain: DtypeName = "uint8" if size % 4 else "uint32"
                dtype = dtypes.get(self.root(to)[0]) or dtypes.get(self.root(origin)[0]) or plain
                see(to, dtype, size * 8 // WIDTH[dtype], "out")
                see(origin, dtype, size * 8 // WIDTH[dtype], "in")
            pending = [c for c in pending if c not in (known or pending[:1])]
        return {
            slot: Buffer(f"m{k}", dtype, (sizes[slot],), (1,), roles[slot])
            for k, (slot, dtype) in enumerate(dtypes.items())
        }

    def place(self, slot: int) -> tuple[Buffer, Expr]:
        """The buffer behind a slot and the first element the slot points to."""
        base, stride = self.root(slot)
        buffer = self.roots[base]
        if not stride:
            return buffer, self.b.index(0)
        assert self.axis is not None
        return buffer, self.b.mul(
            self.b.axis(self.axis), self.b.index(stride * 8 // WIDTH[buffer.dtype])
        )

    # --- statements ---
    def statements(self, steps: Sequence[tuple[Any, ...]]) -> tuple[Statement, ...]:
        """The steps, one after the other."""
        return tuple(s for step in steps for s in self.step(*step))

    def step(self, kind: str, *operands: Any) -> Iterator[Statement]:
        if kind == "copy":
            yield from self.copy(*operands)
            return
        unit, slots = operands[:2]
        kernel = unit.vectorized(self.target)
        places = [self.place(slot) for slot in slots]
        yield from Linker(self.b, kernel, places).statements(kernel.body)

    def copy(self, to: int, origin: int, size: int) -> Iterator[Statement]:
        """memory behind `to` = memory behind `origin`."""
        if self.root(to) == self.root(origin):
            return
        b = self.b
        (target, first), (source, begin) = self.place(to), self.place(origin)
        count = size * 8 // WIDTH[target.dtype]
        dtype = target.dtype
        if dtype in STORAGE:  # bits, as they are
            dtype = UNSIGNED[WIDTH[dtype]]

        def one(k: Expr) -> Store:
            value = b.node("load", dtype, source, (b.add(begin, k),))
            return Store(target, (b.add(first, k),), value)

        if count == 1 or (count <= SHORT and not {source, target} & self.indexed):
            yield from (one(b.index(k)) for k in range(count))
            return
        axis = Axis(count, "e")
        lanes = min(self.target.lanes(target.dtype), 1 << (count.bit_length() - 1))
        yield For(axis, (one(b.axis(axis)),), (), "vector", lanes)

    # --- loops ---
    def worth(self) -> bool:
        """Whether the steps cost enough beside what they do."""
        return STEP * len(self.steps) >= SHARE * self.cost

    def unit(self, body: tuple[Statement, ...]) -> tuple[Unit, tuple[int, ...]]:
        """A kernel of statements, and its slots."""
        slots = {buffer: slot for slot, buffer in self.roots.items()}
        found = buffers_of(body)
        kernel = Kernel("loop", found, body)
        return Unit(kernel), tuple(slots[buffer] for buffer in found)

    def counted(
        self, length: int, reverse: bool, live: Collection[int], starts: dict[int, Any]
    ) -> tuple[Unit, tuple[int, ...]]:
        """The loop that runs the steps `length` times; memory `live` is read afterwards."""
        self.axis = Axis(length, "t")
        loop = For(self.axis, self.statements(self.steps), reverse=reverse)
        return self.unit(loop_in_time(self.b, loop, self.live(live), self.known(starts)))

    def whiled(
        self, test: int, flag: int, live: Collection[int], starts: dict[int, Any]
    ) -> tuple[Unit, tuple[int, ...]]:
        """The loop whose first `test` steps leave in `flag` whether the others run once more."""
        condition = self.statements(self.steps[:test])
        buffer, first = self.place(flag)
        again = self.b.node("load", "bool", buffer, (first,))
        loop = While(again, (), self.statements(self.steps[test:]))
        made = loop_in_time(self.b, loop, self.live(live), self.known(starts), condition)
        return self.unit(made)

    def live(self, slots: Collection[int]) -> set[Buffer]:
        return {self.roots[self.root(s)[0]] for s in slots if self.root(s)[0] in self.roots}

    def known(self, starts: dict[int, Any]) -> dict[tuple[Buffer, int], Expr]:
        """Scalars whose values at the start are constants."""
        result = {}
        for slot, value in starts.items():
            buffer = self.roots.get(self.root(slot)[0])
            if buffer is not None and buffer.size == 1 and buffer.dtype not in STORAGE:
                result[buffer, 0] = self.b.const(value, buffer.dtype)
        return result

    def branches(
        self, which: int, sides: Sequence[Sequence[tuple[Any, ...]]]
    ) -> tuple[Unit, tuple[Any, ...]]:
        """One of several lists of steps, chosen by the int32 behind `which`, clamped."""
        b = self.b
        buffer, first = self.place(which)
        index = b.node("load", "int32", buffer, (first,))
        bodies = [self.statements(side) for side in sides]
        body = bodies[-1]
        for k in reversed(range(len(bodies) - 1)):
            body = (If(b.le(index, b.const(k, "int32")), bodies[k], body),)
        return self.unit(body)


class Linker(Rewriter):
    """Copies a flat kernel onto other buffers: `places` are where its own begin.

    Two buffers of a kernel may be one memory: results take the place of operands. The values of
    stores that follow one another are all known before the first is made; as sequences of stores
    to one buffer they must be in an order in which nothing is read too late.
    """

    fresh = True

    def __init__(self, b: Builder, kernel: Kernel, places: Sequence[tuple[Buffer, Expr]]):
        super().__init__(b)
        self.where = dict(zip(kernel.buffers, places, strict=True))
        self.shared = len({buffer for buffer, _ in places}) < len(places)

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if node.kind != "load" or node.data not in self.where:
            return None
        buffer, first = self.where[node.data]
        return self.b.node("load", node.dtype, buffer, (self.b.add(first, args[0]), *args[1:]))

    def statements(self, body: Iterable[Statement]) -> tuple[Statement, ...]:
        return super().statements(self.ordered(tuple(body)) if self.shared else body)

    def ordered(self, body: tuple[Statement, ...]) -> Iterator[Statement]:
        """The statements with stores after those that read what they overwrite."""
        run: list[Store] = []
        for statement in body:
            if isinstance(statement, Store):
                run.append(statement)
                continue
            yield from self.sequence(run)
            run = []
            if isinstance(statement, For | While) and statement.carries:
                nexts = [c.next for c in statement.carries]
                if any(self.overwrites(s, nexts) for s in statement.body if isinstance(s, Store)):
                    raise NotMergeable("a carry reads what is overwritten")
            yield statement
        yield from self.sequence(run)

    def sequence(self, stores: list[Store]) -> Iterator[Store]:
        after = {
            s: {t for t in stores if t is not s and self.overwrites(s, expressions((t,)))}
            | {t for t in stores[:k] if t.buffer in touched(s)}
            for k, s in enumerate(stores)
        }
        while after:
            free = next((s for s, before in after.items() if not before & after.keys()), None)
            if free is None:
                raise NotMergeable("two stores each overwrite what the other reads")
            del after[free]
            yield free

    def overwrites(self, store: Store, values: Iterable[Expr]) -> bool:
        """Whether a store is to memory that `values` read through another buffer."""
        if store.buffer not in self.where:
            return False
        memory = self.where[store.buffer][0]
        return any(
            n.kind == "load" and n.data is not store.buffer and n.data in self.where
            and self.where[n.data][0] is memory
            for n in reachable(values)
        )  # fmt: skip

    def statement(self, old: Statement) -> Iterator[Statement]:
        for new in super().statement(old):
            if isinstance(new, Store) and new.buffer in self.where:
                buffer, first = self.where[new.buffer]
                new = Store(buffer, (self.b.add(first, new.index[0]),), new.value, new.mask)
            elif isinstance(new, For) and new.kind == "parallel":
                new = For(new.axis, new.body, new.carries, "serial", new.lanes, new.reverse)
            yield new


def indexed(kernel: Kernel) -> set[Buffer]:
    """The buffers of a flat kernel that are read or written at an index that changes."""
    loads = (n for n in reachable(expressions(kernel.body)) if n.kind == "load")
    found = {n.data for n in loads if n.args[0].kind != "const"}
    stores = (s for s in walk(kernel.body) if isinstance(s, Store))
    return found | {s.buffer for s in stores if s.index[0].kind != "const"}


def touched(store: Store) -> set[Buffer]:
    """The buffers that a store writes and reads."""
    nodes = reachable(expressions((store,)))
    return {store.buffer, *(n.data for n in nodes if n.kind == "load")}
