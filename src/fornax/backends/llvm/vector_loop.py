"""Vector loops: whole vectors, then the rest, then reductions across lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fornax.backends.llvm import memory
from fornax.backends.llvm.instructions import splat, type_of
from fornax.backends.llvm.scope import Value, Vector
from fornax.backends.llvm.values import steps
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import WIDTH, Buffer, Carry, Expr, For, Store
from fornax.compiler.loop.rewrite import expressions, reachable, walk
from fornax.compiler.loop.schedule import merge, start_values

if TYPE_CHECKING:
    from fornax.backends.llvm.text import Emitter


#: operations of masks that are no comparisons
LOGIC = {"and", "or", "xor", "not", "select"}


class VectorLoop:
    """A vector loop: whole vectors, then the rest, then its reductions across lanes.

    The rest runs in masked vectors of the machine's width where all its memory accesses can be
    masked, else one by one. Carries hold one partial result per lane.
    """

    def __init__(self, e: Emitter, loop: For):
        self.e = e
        self.loop = loop
        self.b = Builder()  # for nodes that stand for partial results

    def emit(self) -> None:
        e, loop = self.e, self.loop
        extent, lanes = loop.axis.extent, loop.lanes
        starts = [e.value(c.start) for c in loop.carries]
        depth = e.scopes[-1].depth
        dynamic = not isinstance(extent, int)
        if dynamic:
            count = e.value(extent).name
            whole = e.put(depth, f"and i64 {count}, {-lanes}")
            rest = lanes  # at most
        else:
            count, whole = str(extent), str(extent - extent % lanes)
            rest = extent % lanes
        parts = self.parts()
        width = lanes // parts
        partial = self.identities(width) * parts
        if dynamic or extent >= lanes:
            once = not dynamic and extent < 2 * lanes
            if once:
                partial = self.once(width, parts, partial)
            else:
                partial = e.counted(
                    loop.axis, loop.body, loop.carries, "0", whole, lanes, partial, not dynamic,
                    vector=self.vector(width), parts=parts,
                )  # fmt: skip
        count_carries = len(loop.carries)
        while len(partial) > count_carries:  # combine the parts
            half = len(partial) // 2
            pairs = range(0, half, count_carries)
            partial = [
                value
                for k in pairs
                for value in self.merged(
                    partial[k : k + count_carries], partial[half + k : half + k + count_carries]
                )
            ]
        narrow = self.tail_lanes(width) if rest else 0
        if narrow > 1:
            partial = self.halve(partial, narrow)
            partial = self.masked(whole, count, narrow, partial, rest, dynamic)
        finals = self.include(self.halve(partial, 1), starts)
        if narrow == 1:
            finals = e.counted(
                loop.axis, loop.body, loop.carries, whole, count, 1, finals, not dynamic
            )
        e.bind("final", loop.carries, finals)

    def vector(self, lanes: int, partial: bool = False) -> Callable[[str, int], Vector]:
        return lambda base, depth: Vector(self.loop.axis, lanes, base, depth, partial)

    def once(self, width: int, parts: int, partial: list[Value]) -> list[Value]:
        """The whole vectors, where they are only one iteration."""
        loop, count = self.loop, len(self.loop.carries)
        result = []
        for k in range(parts):
            mine = partial[k * count : (k + 1) * count]
            result += self.e.straight(
                loop.axis, loop.body, loop.carries, str(k * width), mine, self.vector(width)
            )
        return result

    def parts(self) -> int:
        """Into how many vectors of one register to cut the lanes: LLVM does that itself, and with
        less text, but packs the masks of wide vectors where they are not registers of their own."""
        e, loop = self.e, self.loop
        if e.target.name == "avx512" or loop.lanes <= 4:
            return 1
        roots = [*expressions(loop.body), *(c.next for c in loop.carries)]
        widest, logic = 8, any(c.carry.dtype == "bool" for c in loop.carries)
        for node in reachable(roots, e.known.__contains__):
            if node in e.known:
                continue
            if node.kind in ("load", "carry") or (node.kind == "op" and node.dtype != "int64"):
                widest = max(widest, WIDTH[node.dtype])
            if node.kind == "op" and node.dtype == "bool" and node.data in LOGIC:
                logic = True
        native = e.target.vector_bits // widest
        return loop.lanes // native if logic and loop.lanes > native else 1

    # --- the rest ---
    def tail_lanes(self, width: int) -> int:
        """Lanes of the masked vectors of the rest, or 1 where masks do not work."""
        e, loop = self.e, self.loop
        widest = 8
        e.vector = Vector(loop.axis, loop.lanes, "0", len(e.scopes))
        e.varies = {}
        try:
            for offset, buffer, is_store in accesses(loop.body, loop.carries):
                found = memory.access(e, offset)
                width = WIDTH[buffer.dtype]
                widest = max(widest, width)
                if width not in e.target.masked_bits and (found.stride or found.lanes):
                    return 1
                if is_store and (found.lanes or found.stride != 1):
                    return 1
        finally:
            e.vector, e.varies = None, {}
        if not e.target.masked_bits:
            return 1
        native = e.target.vector_bits // max(widest, 32)
        return min(native, width)

    def masked(
        self, whole: str, count: str, lanes: int, partial: list[Value], rest: int, dynamic: bool
    ) -> list[Value]:
        e, loop = self.e, self.loop

        def mask(base: str, depth: int) -> Value:
            if not dynamic and not base.startswith("%"):
                left = min(int(count) - int(base), lanes)
                flags = ", ".join(f"i1 {'true' if k < left else 'false'}" for k in range(lanes))
                return Value(f"<{flags}>", lanes, 0)
            left = e.put(depth, f"sub nsw i64 {count}, {base}")
            short = Value(e.put(depth, f"trunc i64 {left} to i32"), 1, depth)
            wide = e.widened(short, "int32", lanes)
            numbers = steps(lanes, "i32", 1, 32)
            name = e.put(depth, f"icmp slt <{lanes} x i32> {numbers}, {wide}")
            return Value(name, lanes, depth)

        vector = self.vector(lanes, True)
        if not dynamic and rest <= lanes:
            return e.straight(loop.axis, loop.body, loop.carries, whole, partial, vector, mask)
        return e.counted(
            loop.axis, loop.body, loop.carries, whole, count, lanes, partial, not dynamic,
            vector=vector, mask=mask,
        )  # fmt: skip

    # --- reductions ---
    def groups(self) -> list[tuple[str, list[int]]]:
        """Combiners with the positions of their components among the carries."""
        found, position = [], 0
        carries = self.loop.carries
        while position < len(carries):
            combiner = carries[position].combiner
            size = 2 if combiner in ("argmax", "argmin", "cmul") else 1
            found.append((combiner, list(range(position, position + size))))
            position += size
        return found

    def identities(self, lanes: int) -> list[Value]:
        values = []
        for combiner, members in self.groups():
            nodes = tuple(self.loop.carries[k].start for k in members)
            for node in start_values(self.b, combiner, nodes):
                values.append(Value(splat(node.data, node.dtype, lanes), lanes))
        return values

    def merged(self, first: list[Value], second: list[Value]) -> list[Value]:
        """Two sets of partial results as one."""
        e, results = self.e, []
        for combiner, members in self.groups():
            nodes = []
            for values in (first, second):
                for k in members:
                    node = self.b.carry(Carry(self.loop.carries[k].carry.dtype))
                    e.known[node] = values[k]
                    nodes.append(node)
            half = len(members)
            for root in merge(self.b, combiner, tuple(nodes[:half]), tuple(nodes[half:])):
                results.append(e.value(root))
        return results

    def halve(self, values: list[Value], lanes: int) -> list[Value]:
        """Combine lanes of partial results until `lanes` are left."""
        e = self.e
        if not values:
            return values
        depth = e.scopes[-1].depth
        while values[0].lanes > lanes:
            width = values[0].lanes
            halves: list[list[Value]] = [[], []]
            for carried, value in zip(self.loop.carries, values, strict=True):
                dtype = carried.carry.dtype
                for side, begin in zip(halves, (0, width // 2), strict=True):
                    if width == 2:
                        kind = type_of(dtype, 2)
                        name = e.put(depth, f"extractelement {kind} {value.name}, i64 {begin}")
                    else:
                        order = range(begin, begin + width // 2)
                        name = memory.shuffle(e, value.name, dtype, width, order, depth)
                    side.append(Value(name, width // 2, depth))
            values = self.merged(*halves)
        return values

    def include(self, values: list[Value], starts: list[Value]) -> list[Value]:
        """Combine what the lanes found with what the carries started from."""
        carries = self.loop.carries
        neutral = all(
            node.kind == "const" and repr(node.data) == repr(identity.data)
            for combiner, members in self.groups()
            for node, identity in zip(
                [carries[k].start for k in members],
                start_values(self.b, combiner, tuple(carries[k].start for k in members)),
                strict=True,
            )
        )
        return values if neutral else self.merged(starts, values)


def accesses(body, carries) -> Iterable[tuple[Expr, Buffer, bool]]:
    """(offset, buffer, is a store) of all memory accesses of a loop body."""
    roots = [*expressions(body), *(c.next for c in carries)]
    for node in reachable(roots):
        if node.kind == "load":
            yield node.args[0], node.data, False
    for statement in walk(body):
        if isinstance(statement, Store):
            yield statement.index[0], statement.buffer, True
