"""Vector loops: whole vectors, then the rest, then reductions across lanes."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING

from fornax._native import reachable
from fornax.backends.llvm import addresses, edges, masks
from fornax.backends.llvm.instructions import splat, steps, type_of
from fornax.backends.llvm.scope import Value, Vector
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.estimate import MOST_INTERLEAVED
from fornax.compiler.loop.ir import (
    COMBINERS,
    WIDTH,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    Statement,
    Store,
    is_float,
)
from fornax.compiler.loop.rewrite import expressions, walk
from fornax.compiler.loop.running import running
from fornax.compiler.loop.schedule import merge, start_values

if TYPE_CHECKING:
    from fornax.backends.llvm.loops import Loops


#: operations of masks that are no comparisons
LOGIC = {"and", "or", "xor", "not", "select"}


#: bodies of more operations than this are emitted once, if a task runs them at most FEW times,
LONG = 30
FEW = 8192
#: and of more than this in any case
LONG_OFTEN = 400


class VectorLoop:
    """A vector loop: whole vectors, then the rest, then its reductions across lanes.

    The rest runs in masked vectors of the machine's width where all its memory accesses can be
    masked, else one by one. Carries hold one partial result per lane, or the total so far in every
    lane where the body stores running values.
    """

    def __init__(self, e: Loops, loop: For):
        self.e = e
        self.loop = loop
        self.running = running(loop)
        self.b = Builder()  # for nodes that stand for partial results

    def emit(self) -> None:
        e, loop = self.e, self.loop
        extent, lanes = loop.axis.extent, loop.lanes
        starts = [e.value(c.start) for c in loop.carries]
        e.running = {c.next: c for c in self.running.values()}
        dynamic = not isinstance(extent, int)
        self.count = str(extent) if isinstance(extent, int) else e.value(extent).name
        if self.is_long(extent):
            finals = self.compact(starts)
            e.bind("final", loop.carries, finals)
            return
        width = lanes // self.parts()
        row = edges.row_with_edges(e, loop)
        if row is not None:
            self.between_lines(row, width)
            return
        partial = self.beginnings(starts, width) * (lanes // width)
        at, partial = self.whole("0", lanes, width, partial)
        partial = self.joined(partial)
        rest = extent % lanes if isinstance(extent, int) else lanes  # at most
        masks, native = self.masks(), self.native(width)
        again = rest > 0 and isinstance(extent, int) and extent >= native and self.repeatable()
        whole = native < width and (not masks or rest % native == 0)
        if rest >= native and (whole or again):
            at, partial = self.whole(at, native, native, self.halve(partial, native))
            rest = native if dynamic else rest % native
        if rest and again:
            streams, e.streams = e.streams, frozenset()  # it begins anywhere in a cache line
            self.once(int(self.count) - native, native, 1, partial)
            e.streams, rest = streams, 0
        if rest and masks:
            if not dynamic:
                native = min(native, e.target.holding(rest, self.widest()))
            partial = self.masked(at, native, self.halve(partial, native), rest)
        finals = self.include(self.halve(partial, 1), starts)
        if rest and not masks:
            finals = e.counted(
                loop.axis, loop.body, loop.carries, at, self.count, 1, finals, not dynamic
            )
        e.bind("final", loop.carries, finals)

    def between_lines(self, row: edges.Row, width: int) -> None:
        """Whole vectors from the first cache line of a row on, and masked ones at its ends.

        Those before the first line end there, and there are none where the row begins with one:
        what only touches a line fetches it."""
        e, loop = self.e, self.loop
        lanes, masks, native = loop.lanes, self.masks(), self.native(width)
        at, depth = edges.first_line(e, row), e.scopes[-1].depth
        if masks:
            line = addresses.LINE // row.size
            some = e.put(depth, f"add nsw i64 {at}, {line - 1}")
            before = e.put(depth, f"and i64 {some}, {-line}")
            begin = e.put(depth, f"sub nsw i64 {at}, {before}")
            e.counted(
                loop.axis, loop.body, (), begin, at, native, [], False,
                vector=self.vector(native, True), mask=self.from_begin(native),
            )  # fmt: skip
        else:
            e.counted(loop.axis, loop.body, (), "0", at, 1, [], False)
        e.row = row
        for step, size in {lanes: width, native: native}.items():
            left = e.put(depth, f"sub nsw i64 {self.count}, {at}")
            whole = e.put(depth, f"and i64 {left}, {-step}")
            begin, at = at, e.put(depth, f"add nsw i64 {at}, {whole}")
            e.counted(
                loop.axis, loop.body, (), begin, at, step, [], step == lanes,
                vector=self.vector(size), parts=step // size,
            )  # fmt: skip
        e.row = None
        if masks:
            self.masked(at, native, [], 2 * native)
        else:
            e.counted(loop.axis, loop.body, (), at, self.count, 1, [], False)

    def from_begin(self, lanes: int) -> Callable[[str, int], Value]:
        """Which lanes lie in the loop, where the first ones may lie before it."""
        e = self.e

        def mask(base: str, depth: int) -> Value:
            back = e.put(depth, f"sub nsw i64 0, {base}")
            short = Value(e.put(depth, f"trunc i64 {back} to i32"), 1, depth)
            wide = e.widened(short, "int32", lanes)
            numbers = steps(lanes, "i32", 1, 32)
            name = e.put(depth, f"icmp sge <{lanes} x i32> {numbers}, {wide}")
            return Value(name, lanes, depth)

        return mask

    def is_long(self, extent: int | Expr) -> bool:
        """True where code for full vectors and for the rest is not worth its compilation: for long
        bodies that do not run often. One masked loop does both then."""
        if isinstance(extent, int) and extent % self.native(self.loop.lanes) == 0:
            return False
        size = sum(node.kind == "op" for node in self.inside())
        often = not isinstance(extent, int) or extent * self.e.repeats > FEW
        return size > (LONG_OFTEN if often else LONG) and self.masks()

    def compact(self, starts: list[Value]) -> list[Value]:
        """One masked loop for everything."""
        lanes = self.native(self.loop.lanes)
        partial = self.masked("0", lanes, self.beginnings(starts, lanes), 2 * lanes)
        return self.include(self.halve(partial, 1), starts)

    def whole(
        self, begin: str, lanes: int, width: int, partial: list[Value]
    ) -> tuple[str, list[Value]]:
        """Full steps of `lanes` from `begin`, each in vectors of `width`; where they end."""
        e, loop = self.e, self.loop
        if not self.count.startswith("%"):
            first, last = int(begin), int(self.count)
            last -= (last - first) % lanes
            if last == first:
                return begin, partial
            if last == first + lanes:
                return str(last), self.once(first, width, lanes // width, partial)
            end = str(last)
        else:
            end = e.put(e.scopes[-1].depth, f"and i64 {self.count}, {-lanes}")
        partial = e.counted(
            loop.axis, loop.body, loop.carries, begin, end, lanes, partial, end[0] != "%",
            vector=self.vector(width), parts=lanes // width,
        )  # fmt: skip
        return end, partial

    def vector(self, lanes: int, partial: bool = False) -> Callable[[str, int], Vector]:
        return lambda base, depth: Vector(self.loop.axis, lanes, base, depth, partial)

    def once(self, begin: int, width: int, parts: int, partial: list[Value]) -> list[Value]:
        """Full vectors that are only one iteration."""
        loop, count = self.loop, len(self.loop.carries)
        result = []
        for k in range(parts):
            mine = partial[k * count : (k + 1) * count]
            result += self.e.straight(
                loop.axis, loop.body, loop.carries, str(begin + k * width), mine,
                self.vector(width),
            )  # fmt: skip
        return result

    def joined(self, partial: list[Value]) -> list[Value]:
        """The partial results of all parts as those of one."""
        size = len(self.loop.carries)
        while len(partial) > size:
            half = len(partial) // 2
            partial = [
                value
                for k in range(0, half, size)
                for value in self.merged(partial[k : k + size], partial[half + k :][:size])
            ]
        return partial

    def parts(self) -> int:
        """Into how many vectors of one register to cut the lanes: LLVM does that itself, and with
        less text, but packs the masks of wide vectors where they are not registers of their own."""
        e, loop = self.e, self.loop
        if self.running:
            return 1  # the total of one register is where the next one starts
        logic = any(c.carry.dtype == "bool" for c in loop.carries)
        logic = logic or any(
            node.kind == "op" and node.dtype == "bool" and node.data in LOGIC
            for node in self.inside()
        )
        native = self.native(loop.lanes)
        return loop.lanes // native if logic and e.target.name != "avx512" else 1

    def inside(self) -> list[Expr]:
        """The expressions of the body that are not known outside of it."""
        roots = [*expressions(self.loop.body), *(c.next for c in self.loop.carries)]
        known = self.e.known
        return [node for node in reachable(roots, known.__contains__) if node not in known]

    def native(self, most: int) -> int:
        """Lanes of one register for the widest values of the body, at most `most`."""
        return min(self.e.target.vector_bits // self.widest(), most)

    def widest(self) -> int:
        """Bits of the widest values of the body, without indices and what they become where they
        are compared: several registers of these give one of masks."""
        widest = 8
        for node in self.inside():
            index = node.dtype == "int64" or (node.data == "cast" and node.args[0].dtype == "int64")
            if node.kind in ("load", "carry") or (node.kind == "op" and not index):
                widest = max(widest, WIDTH[node.dtype])
        for statement in walk(self.loop.body):
            if isinstance(statement, Store):
                widest = max(widest, WIDTH[statement.buffer.dtype])
        return widest

    # --- the rest ---
    def repeatable(self) -> bool:
        """True where the rest is done in a whole vector that ends with the loop: where some
        elements may be computed twice, and masks would make gathers of what else is loaded and
        shuffled. A result may have taken the memory of an operand that is read where it is written:
        such an operand must not be read twice."""
        e, loop = self.e, self.loop
        stores = [s for s in loop.body if isinstance(s, Store) and s.mask is None]
        if loop.carries or len(stores) < len(loop.body):
            return False
        written, strides = {s.buffer for s in stores}, set()
        e.vector, e.varies = Vector(loop.axis, loop.lanes, "0", len(e.scopes)), {}
        try:
            for offset, buffer, is_store in accesses(loop.body, ()):
                found = addresses.access(e, offset)
                if is_store:
                    if found.lanes or found.stride != 1:
                        return False
                elif found.lanes or buffer in written:
                    return False
                else:
                    strides.add(found.stride)
        finally:
            e.vector, e.varies = None, {}
        return bool(strides - {0}) and strides <= {0, *range(2, MOST_INTERLEAVED + 1)}

    def masks(self) -> bool:
        """True when all memory accesses of the body can be masked."""
        e, loop = self.e, self.loop
        if not e.target.masked_bits:
            return False
        e.vector = Vector(loop.axis, loop.lanes, "0", len(e.scopes))
        e.varies = {}
        try:
            for offset, buffer, is_store in accesses(loop.body, loop.carries):
                found = addresses.access(e, offset)
                moves = found.stride or found.lanes
                if moves and WIDTH[buffer.dtype] not in e.target.masked_bits:
                    return False
                if is_store and (found.lanes or found.stride != 1):
                    return False
        finally:
            e.vector, e.varies = None, {}
        return True

    def masked(self, at: str, lanes: int, partial: list[Value], rest: int) -> list[Value]:
        """The last vectors, in which only some lanes are left."""
        e, loop = self.e, self.loop
        dynamic = self.count.startswith("%")

        def mask(base: str, depth: int) -> Value:
            if not dynamic and not base.startswith("%"):
                few = min(int(self.count) - int(base), lanes)
                return masks.constant([k < few for k in range(lanes)])
            left = e.put(depth, f"sub nsw i64 {self.count}, {base}")
            short = Value(e.put(depth, f"trunc i64 {left} to i32"), 1, depth)
            wide = e.widened(short, "int32", lanes)
            numbers = steps(lanes, "i32", 1, 32)
            name = e.put(depth, f"icmp slt <{lanes} x i32> {numbers}, {wide}")
            return Value(name, lanes, depth)

        vector = self.vector(lanes, True)
        if not dynamic and rest <= lanes:
            return e.straight(loop.axis, loop.body, loop.carries, at, partial, vector, mask)
        return e.counted(
            loop.axis, loop.body, loop.carries, at, self.count, lanes, partial,
            not dynamic and at[0] != "%", vector=vector, mask=mask,
        )  # fmt: skip

    # --- reductions ---
    def groups(self) -> list[tuple[str, list[int]]]:
        """Combiners with the positions of their components among the carries."""
        found: list[tuple[str, list[int]]] = []
        position = 0
        carries = self.loop.carries
        while position < len(carries):
            combiner = carries[position].combiner
            assert combiner is not None, "carries of lanes are reductions"
            size = COMBINERS[combiner]
            found.append((combiner, list(range(position, position + size))))
            position += size
        return found

    def beginnings(self, starts: list[Value], lanes: int) -> list[Value]:
        """What lanes start from: what changes nothing, or the total of running values."""
        values = []
        for combiner, members in self.groups():
            if self.is_running(members):
                start = starts[members[0]]
                name = self.e.widened(start, self.loop.carries[members[0]].carry.dtype, lanes)
                values.append(Value(name, lanes, start.depth))
                continue
            nodes = tuple(self.loop.carries[k].start for k in members)
            for node in start_values(self.b, combiner, nodes):
                values.append(Value(splat(node.data, node.dtype, lanes), lanes))
        return values

    def merged(
        self, first: list[Value], second: list[Value], numbers: Container[int] = ()
    ) -> list[Value]:
        """Two sets of partial results as one. Later running values hold the earlier ones. The
        carries `numbers` are extremes that need not ask whether they are numbers."""
        e, results = self.e, []
        for combiner, members in self.groups():
            if members[0] in numbers:
                x, y = first[members[0]], second[members[0]]
                dtype, depth = self.loop.carries[members[0]].carry.dtype, max(x.depth, y.depth)
                kind, order = type_of(dtype, x.lanes), "olt" if combiner == "min" else "ogt"
                mask = e.put(depth, f"fcmp {order} {kind} {x.name}, {y.name}")
                chosen = f"{type_of('bool', x.lanes)} {mask}, {kind} {x.name}, {kind} {y.name}"
                results.append(Value(e.put(depth, f"select {chosen}"), x.lanes, depth))
                continue
            if self.is_running(members):
                results.append(second[members[0]])
                continue
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

    def is_running(self, members: list[int]) -> bool:
        return self.loop.carries[members[0]].carry in self.running

    def halve(self, values: list[Value], lanes: int) -> list[Value]:
        """Combine lanes of partial results until `lanes` are left."""
        e = self.e
        if not values:
            return values
        depth = e.scopes[-1].depth
        missing = self.missing(values, depth) if lanes == 1 and values[0].lanes > 2 else {}
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
                        name = addresses.shuffle(e, value.name, dtype, width, order, depth)
                    side.append(Value(name, width // 2, depth))
            values = self.merged(halves[0], halves[1], missing)
        for k, mask in missing.items():
            dtype = self.loop.carries[k].carry.dtype
            kind, bits = type_of(dtype, 1), f"i{WIDTH[dtype]}"
            # as integers: by masks, processors would wait for an iteration before this one
            name = e.put(depth, f"bitcast {kind} {values[k].name} to {bits}")
            nan = f"bitcast ({kind} {splat(math.nan, dtype, 1)} to {bits})"
            name = e.put(depth, f"select i1 {mask}, {bits} {nan}, {bits} {name}")
            values[k] = Value(e.put(depth, f"bitcast {bits} {name} to {kind}"), 1, depth)
        return values

    def missing(self, values: list[Value], depth: int) -> dict[int, str]:
        """Of carries that are extremes of floats, whether any lane is not a number: asked once,
        not for every half that is combined."""
        e, found = self.e, {}
        for combiner, members in self.groups():
            value, dtype = values[members[0]], self.loop.carries[members[0]].carry.dtype
            if combiner in ("min", "max") and is_float(dtype) and not self.is_running(members):
                kind, lanes = type_of(dtype, value.lanes), value.lanes
                mask = e.put(depth, f"fcmp uno {kind} {value.name}, {value.name}")
                bits = e.put(depth, f"bitcast <{lanes} x i1> {mask} to i{lanes}")
                found[members[0]] = e.put(depth, f"icmp ne i{lanes} {bits}, 0")
        return found

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


def accesses(
    body: Iterable[Statement], carries: Iterable[Carried]
) -> Iterable[tuple[Expr, Buffer, bool]]:
    """(offset, buffer, is a store) of all memory accesses of a loop body."""
    roots = [*expressions(body), *(c.next for c in carries)]
    for node in reachable(roots):
        if node.kind == "load":
            yield node.args[0], node.data, False
    for statement in walk(body):
        if isinstance(statement, Store):
            yield statement.index[0], statement.buffer, True
