"""A kernel as LLVM text: its functions, and its statements.

    void kernel(ptr buffers, i64 begin, i64 end, i64 worker)

`buffers` holds one pointer per buffer (aligned to its item size only) and, where the kernel has
`param` nodes, one more that points to the int64 parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fornax._native import reachable
from fornax.backends.llvm import addresses, compaction, masks, stores
from fornax.backends.llvm.fetch import fetched
from fornax.backends.llvm.instructions import type_of
from fornax.backends.llvm.loops import Finish, Loops
from fornax.backends.llvm.scope import Scope, Value
from fornax.backends.llvm.streams import PARAMETERS, dispatch, streamed
from fornax.backends.llvm.values import Values
from fornax.backends.llvm.vector_loop import VectorLoop
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.compaction import chosen
from fornax.compiler.loop.ir import Alloc, Buffer, Carry, For, If, Kernel, Statement, Store, While
from fornax.compiler.loop.legalize import formula
from fornax.compiler.loop.rewrite import expressions, walk
from fornax.compiler.target import Target

if TYPE_CHECKING:
    from fornax._native import DtypeName


def text(kernel: Kernel, target: Target, symbol: str = "kernel") -> str:
    """LLVM assembly of a legalized kernel with flat buffers: a function called `symbol`.

    Where large results are written past the caches, which needs them to be aligned, there are two
    functions and `symbol` calls one.
    """
    streams = streamed(kernel, target)
    emitter = Emitter(kernel, target, streams)
    if not streams:
        functions = emitter.function(symbol)
    else:
        plain = Emitter(kernel, target)
        functions = [
            *emitter.function(f"{symbol}_streams", "internal "),
            *plain.function(f"{symbol}_plain", "internal "),
            *dispatch(kernel, streams, symbol),
            "declare void @llvm.x86.sse.sfence()",
        ]
        emitter.called |= plain.called
    for name, described in emitter.called.items():
        functions += formula_function(name, *described, target)
    if streams:
        functions.append("!0 = !{i32 1}")
    # registers that find no room are put on the stack, in reach of one line of the cache each:
    # elsewhere some loops took twice as long, which depended on where a process had its stack
    aligned = max(16, target.vector_bits // 8)
    attributes = f'nounwind alignstack={aligned} "prefer-vector-width"="{target.vector_bits}"'
    return "\n".join([*functions, f"attributes #0 = {{ {attributes} }}"]) + "\n"


class Emitter(Loops):
    """Emits one kernel. `streams`: the buffers that are written past the caches."""

    def __init__(self, kernel: Kernel, target: Target, streams: frozenset[Buffer] = frozenset()):
        written = {s.buffer for s in walk(kernel.body) if isinstance(s, Store)}
        super().__init__(target, written)
        self.streams = streams
        self.fetches = fetched(kernel, target)
        self.kernel = kernel
        self.allocations: list[str] = []

    # --- the function ---
    def function(self, symbol: str, linkage: str = "") -> list[str]:
        """The lines of the kernel's function."""
        kernel = self.kernel
        top = Scope(0, "entry")
        self.scopes = [top]
        for position, buffer in enumerate(kernel.buffers):
            self.argument(position, buffer)
        if any(n.kind == "param" for n in reachable(expressions(kernel.body))):
            self.pointer(len(kernel.buffers), "%params")
        alone = len(kernel.body) == 1 and is_parallel(kernel.body[0])
        if alone:  # nothing to do for an empty chunk, so the loop needs no guard
            top.lines += ["  %some = icmp slt i64 %begin, %end", "  br i1 %some, label %run, "]
            top.lines[-1] += "label %done"
            top.lines.append("run:")
            top.block = "run"
        self.body(kernel.body, nonempty=alone)
        top.lines.append("  br label %done")
        return [
            f"define {linkage}void @{symbol}({PARAMETERS}) #0 {{",
            "entry:",
            *self.allocations,
            *top.lines,
            "done:",
            "  ret void",
            "}",
        ]

    def pointer(self, position: int, name: str) -> None:
        slot = self.put(0, f"getelementptr ptr, ptr %buffers, i64 {position}")
        self.scopes[0].lines.append(f"  {name} = load ptr, ptr {slot}, align 8")

    def argument(self, position: int, buffer: Buffer) -> None:
        name = f"%b{position}"
        self.pointer(position, name)
        if buffer.role == "scratch":
            offset = self.put(0, f"mul nsw i64 %worker, {buffer.nbytes}")
            name = self.put(0, f"getelementptr i8, ptr {name}, i64 {offset}")
        self.base[buffer] = name

    # --- statements ---
    def body(
        self,
        body: Iterable[Statement],
        finish: Finish | None = None,
        nonempty: bool = False,
    ) -> list[str]:
        """Emit statements, and the loop's steps. Stores that follow one another are made after all
        their values are known, for a store may overwrite what another one reads; steps that end
        such a body are computed before its stores, too."""
        group: list[stores.Pending] = []
        touched: set[Buffer] = set()
        result: list[str] = []
        statements = list(body)
        for position, statement in enumerate(statements):
            if not isinstance(statement, Store):
                stores.perform(self, group)
                group, touched = [], set()
                self.statement(statement, nonempty)
                continue
            if touched and self.reads(statement, touched):
                stores.perform(self, group)
                group, touched = [], set()
            group.append(stores.prepare(self, statement))
            touched.add(statement.buffer)
            if finish and position == len(statements) - 1 and len(group) == len(statements):
                steps_read = reachable(finish.roots)
                if not any(n.kind == "load" and n.data in touched for n in steps_read):
                    result, finish = finish(), None
        stores.perform(self, group)
        return finish() if finish else result

    def reads(self, store: Store, buffers: set[Buffer]) -> bool:
        """Whether a store needs what is in some buffers, also if that was read already: a value
        that is known stands for the loads it was made of. (Lanes are independent of one another:
        what a loop of them has read stays as it was read.)"""
        old = [self.readers[buffer] for buffer in buffers if buffer in self.readers]
        if self.vector is not None:
            old = []
        nodes = reachable(expressions((store,)), self.known.__contains__)
        return any(
            (n.kind == "load" and n.data in buffers) or any(n in values for values in old)
            for n in nodes
        )

    def statement(self, statement: Statement, nonempty: bool = False) -> None:
        if isinstance(statement, For):
            if statement.kind == "vector" and statement.lanes > 1:
                condition = chosen(statement)
                if condition is not None:
                    compaction.emit(self, statement, condition)
                else:
                    VectorLoop(self, statement).emit()
            else:
                self.loop(statement, nonempty)
        elif isinstance(statement, While):
            self.while_loop(statement)
        elif isinstance(statement, If):
            self.branch(statement)
        elif isinstance(statement, Alloc):
            self.allocate(statement.buffer)

    def allocate(self, buffer: Buffer) -> None:
        name = self.fresh("%local")
        kind = addresses.memory_type(buffer.dtype)
        self.allocations.append(f"  {name} = alloca [{max(buffer.size, 1)} x {kind}], align 64")
        self.base[buffer] = name

    # --- branches ---
    def branch(self, branch: If) -> None:
        """A branch; in a vector loop, both sides under masks where the condition has lanes."""
        condition = masks.value(self, branch.condition)
        if condition.lanes == 1:
            then, after = self.fresh("L"), self.fresh("L")
            orelse = self.fresh("L") if branch.orelse else after
            sides = self.side(then, branch.body, after)
            if branch.orelse:
                sides += self.side(orelse, branch.orelse, after)
            scope = self.scopes[-1]
            scope.lines.append(f"  br i1 {condition.name}, label %{then}, label %{orelse}")
            scope.lines += [*sides, f"{after}:"]
            scope.block = after
            return
        outer, lanes, depth = self.mask, condition.lanes, self.scopes[-1].depth
        for body, wanted in ((branch.body, True), (branch.orelse, False)):
            if not body:
                continue
            chosen = condition if wanted else masks.negated(self, condition, depth)
            active = masks.both(self, [m for m in (outer, chosen) if m is not None], lanes)
            kind = type_of("bool", lanes)
            test = self.put(
                depth, f"call i1 @llvm.vector.reduce.or.v{lanes}i1({kind} {active.name})"
            )
            then, after = self.fresh("L"), self.fresh("L")
            self.mask = active
            side = self.side(then, body, after)
            self.mask = outer
            scope = self.scopes[-1]
            scope.lines.append(f"  br i1 {test}, label %{then}, label %{after}")
            scope.lines += [*side, f"{after}:"]
            scope.block = after

    def side(self, label: str, body: tuple[Statement, ...], after: str) -> list[str]:
        """The lines of one side of a branch. What it hoists goes to the enclosing scope at once,
        so the branch itself must be appended after this."""
        scope = self.enter(body, guarded=True, branch=True)
        scope.block = label
        self.body(body)
        closed = self.leave()
        return [f"{label}:", *closed.lines, f"  br label %{after}"]


def formula_function(
    symbol: str, name: str, dtype: DtypeName, lanes: int, arity: int, target: Target
) -> list[str]:
    """A mathematical function of vectors, as lines of text."""
    e, b = Values(target, set()), Builder()
    e.scopes = [Scope(0, "entry")]
    args = tuple(b.carry(Carry(dtype)) for _ in range(arity))
    for k, node in enumerate(args):
        e.known[node] = Value(f"%a{k}", lanes)
    result = e.value(formula(b, target, name, args))
    kind = type_of(dtype, lanes)
    listed = ", ".join(f"{kind} %a{k}" for k in range(arity))
    return [
        f"define internal {kind} {symbol}({listed}) #0 {{",
        "entry:",
        *e.scopes[0].lines,
        f"  ret {kind} {e.widened(result, dtype, lanes)}",
        "}",
    ]


def is_parallel(statement: Statement) -> bool:
    return isinstance(statement, For) and statement.kind == "parallel"
