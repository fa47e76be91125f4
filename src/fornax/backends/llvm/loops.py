"""Loops as LLVM text: counted, laid out several times or without a loop, and as long as a condition
holds, with the values they carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fornax._native import reachable
from fornax.backends.llvm import compaction, masks
from fornax.backends.llvm.instructions import type_of
from fornax.backends.llvm.scope import Scope, Value, Vector
from fornax.backends.llvm.values import Values
from fornax.compiler.loop.estimate import trips
from fornax.compiler.loop.ir import Axis, Buffer, Carried, Carry, Expr, For, Statement, Store, While
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.target import Target

#: addresses in a loop from which on it is hidden from LLVM's strength reduction, if those inside of
#: it are, too: inner loops are reduced badly where the outer ones cannot be seen
ADDRESSES = 8
#: what describes the vector loop in which a variable has a name, at the depth of a scope, and what
#: computes which of its lanes are active
Lanes = Callable[[str, int], Vector]
Mask = Callable[[str, int], Value]


class Loops(Values):
    """Emits loops around bodies, which those who know statements emit."""

    def __init__(self, target: Target, written: set[Buffer]):
        super().__init__(target, written)
        self.repeats = 1  #: iterations of the serial loops around

    def body(
        self,
        body: Iterable[Statement],
        finish: Finish | None = None,
        nonempty: bool = False,
    ) -> list[str]:
        """Emit statements, and the loop's steps; the names of these."""
        raise NotImplementedError

    # --- scopes ---
    def enter(
        self, body: Iterable[Statement] = (), guarded: bool = False, branch: bool = False
    ) -> Scope:
        """Open a scope that repeats or guards `body`."""
        written = frozenset(s.buffer for s in walk(body) if isinstance(s, Store))
        for buffer in written:
            self.forget(buffer)
        scope = Scope(len(self.scopes), self.fresh("L"), written, guarded, branch)
        self.scopes.append(scope)
        self.varies = {}
        return scope

    def leave(self) -> Scope:
        """Close the innermost scope; its lines are still to be put somewhere."""
        scope = self.scopes.pop()
        self.close(scope)
        return scope

    def bind(self, kind: str, carried: Iterable[Carried], values: Iterable[Value]) -> None:
        for one, value in zip(carried, values, strict=True):
            self.bound[kind, one.carry] = value

    # --- counted loops ---
    def loop(self, loop: For, nonempty: bool = False) -> None:
        """A loop whose iterations run one after another."""
        extent = loop.axis.extent
        if loop.kind == "parallel":
            begin, end, nonempty = Value("%begin"), Value("%end"), nonempty
        elif isinstance(extent, int):
            begin, end, nonempty = Value("0"), Value(str(extent)), extent > 0
        else:
            begin, end = Value("0"), self.value(extent)
            nonempty = extent.low > 0
        varying = self.varying_carries(loop)
        starts = [self.start(c, c.carry in varying) for c in loop.carries]
        if extent == 0:
            self.bind("final", loop.carries, starts)
            return
        repeats = trips(loop) if loop.kind == "serial" else 1
        self.repeats *= repeats
        finals = self.counted(
            loop.axis, loop.body, loop.carries, begin.name, end.name, 1, starts, nonempty,
            loop.reverse,
        )  # fmt: skip
        self.repeats //= repeats
        self.bind("final", loop.carries, finals)

    def start(self, carried: Carried, varies: bool) -> Value:
        value = self.value(carried.start)
        if varies and value.lanes == 1:
            lanes = self.vector_loop.lanes
            return Value(self.widened(value, carried.start.dtype, lanes), lanes, value.depth)
        return value

    def counted(
        self, axis: Axis, body: tuple[Statement, ...], carries: tuple[Carried, ...], begin: str,
        end: str, step: int, starts: list[Value], nonempty: bool, reverse: bool = False,
        vector: Lanes | None = None, mask: Mask | None = None, parts: int = 1,
    ) -> list[Value]:  # fmt: skip
        """The code of `for axis in range(begin, end, step)`; the values of the carries after it.

        `vector(base, depth)` describes the vector loop this is; `mask(base, depth)` computes which
        lanes are active. With several `parts`, the body is there that often, each time for the
        next step / parts iterations and with carries of its own.
        """
        parent = self.scopes[-1]
        scope = self.enter(body, guarded=not nonempty)
        head, depth = scope.block, scope.depth
        counter, following = self.fresh("%i"), self.fresh("%n")
        position = counter
        if reverse:
            last = f"add nsw i64 {begin}, {end}"
            total = self.put(depth, last)
            flipped = self.put(depth, f"sub nsw i64 {total}, {counter}")
            position = self.put(depth, f"sub nsw i64 {flipped}, 1")
        self.bound["axis", axis] = Value(position, 1, depth)
        phis = [Value(self.fresh("%c"), s.lanes, depth) for s in starts]
        outer = self.vector, self.mask
        if parts == 1:
            self.bind("carry", carries, phis)
        if vector is not None and parts == 1:
            self.vector = vector(position, depth)
            self.mask = mask(position, depth) if mask else None
        inner_head = scope.block
        if not nonempty:  # test first
            inner_head = self.fresh("L")
            test = self.put(depth, f"icmp slt i64 {counter}, {end}")
            opening = f"  br i1 {test}, label %{inner_head}, label %"
            scope.lines.append(opening)
            scope.lines.append(f"{inner_head}:")
            scope.block = inner_head
        if parts == 1:
            nexts = self.body(body, Finish(self, carries, phis))
        else:
            nexts = self.repeated(axis, body, carries, position, step // parts, parts, phis, vector)
            carries = carries * parts
        self.vector, self.mask = outer
        closed = self.leave()
        tail, leave = closed.block, self.fresh("L")
        lines = [f"  br label %{head}", f"{head}:"]
        before = parent.block
        lines.append(f"  {counter} = phi i64 [ {begin}, %{before} ], [ {following}, %{tail} ]")
        for one, phi, start, after in zip(carries, phis, starts, nexts, strict=True):
            kind = type_of(one.carry.dtype, phi.lanes)
            lines.append(
                f"  {phi.name} = phi {kind} [ {start.name}, %{before} ], [ {after}, %{tail} ]"
            )
        lines += closed.lines
        inner = sum("= phi i64 [" in line for line in closed.lines)
        hidden = sum('asm "", "=r,0"' in line for line in closed.lines)
        addresses = sum("getelementptr" in line for line in closed.lines)
        if addresses >= ADDRESSES and inner == hidden:
            # Strength reduction sees no induction variable behind an empty `asm`, which costs no
            # instruction. With many addresses it took up to half of all time of code generation,
            # and made no faster loops: what it would move out of them has been put there already
            stepped = self.fresh("%s")
            lines.append(f"  {stepped} = add nsw i64 {counter}, {step}")
            lines.append(f'  {following} = call i64 asm "", "=r,0"(i64 {stepped})')
        else:
            lines.append(f"  {following} = add nsw i64 {counter}, {step}")
        if nonempty:
            again = self.fresh("%v")
            lines.append(f"  {again} = icmp slt i64 {following}, {end}")
            lines.append(f"  br i1 {again}, label %{head}, label %{leave}")
        else:
            at = lines.index(opening)
            lines[at] = opening + leave
            lines.append(f"  br label %{head}")
        lines.append(f"{leave}:")
        parent.lines += lines
        parent.block = leave
        names = nexts if nonempty else [phi.name for phi in phis]
        return [Value(n, p.lanes, parent.depth) for n, p in zip(names, phis, strict=True)]

    def repeated(
        self, axis: Axis, body: tuple[Statement, ...], carries: tuple[Carried, ...], base: str,
        step: int, parts: int, starts: list[Value], vector: Lanes | None,
    ) -> list[str]:  # fmt: skip
        """The body several times, `step` iterations apart; names of the values of all carries."""
        depth, count = self.scopes[-1].depth, len(carries)
        names = []
        for part in range(parts):
            at = base if part == 0 else self.put(depth, f"add nsw i64 {base}, {part * step}")
            mine = starts[part * count : (part + 1) * count]
            names += [v.name for v in self.straight(axis, body, carries, at, mine, vector)]
        return names

    def straight(
        self, axis: Axis, body: tuple[Statement, ...], carries: tuple[Carried, ...], base: str,
        starts: list[Value], vector: Lanes | None = None, mask: Mask | None = None,
    ) -> list[Value]:  # fmt: skip
        """One iteration without a loop."""
        parent = self.scopes[-1]
        scope = self.enter(body)
        entry = scope.block
        # the depth of the scope, although the name is known outside: other iterations of the same
        # body are emitted with other values
        self.bound["axis", axis] = Value(base, 1, scope.depth)
        inside = [Value(s.name, s.lanes, scope.depth) for s in starts]
        self.bind("carry", carries, inside)
        outer = self.vector, self.mask
        if vector is not None:
            self.vector = vector(base, scope.depth)
            self.mask = mask(base, scope.depth) if mask else None
        nexts = self.body(body, Finish(self, carries, inside))
        self.vector, self.mask = outer
        closed = self.leave()
        if closed.block != entry:  # blocks in it follow one of its own: `parent` may have grown
            parent.lines += [f"  br label %{entry}", f"{entry}:"]
            parent.block = closed.block
        parent.lines += closed.lines
        return [Value(n, s.lanes, parent.depth) for n, s in zip(nexts, starts, strict=True)]

    def varying_carries(self, loop: For | While) -> set[Carry]:
        """The carries of a loop inside a vector loop that get lanes: those whose start or next
        value depends on the vector axis, directly or through other carries."""
        vector = self.vector
        if vector is None or vector.lanes == 1:
            return set()
        every = [loop, *(s for s in walk(loop.body) if isinstance(s, For | While))]
        varying: set[Carry] = set()
        roots = {}
        for one in every:
            by_condition = [one.condition] if isinstance(one, While) else []
            for carried in one.carries:
                roots[carried.carry] = [carried.start, carried.next, *by_condition]
        nodes = {c: reachable(found, self.known.__contains__) for c, found in roots.items()}

        def lanes(node: Expr) -> bool:
            if node in self.known:
                return self.known[node].lanes > 1
            if node.kind == "axis":
                return node.data is vector.axis
            if node.kind in ("carry", "final"):
                if node.data in roots:
                    return node.data in varying
                return self.bound[node.kind, node.data].lanes > 1
            return False

        changed = True
        while changed:
            changed = False
            for carry, found in nodes.items():
                if carry not in varying and any(map(lanes, found)):
                    varying.add(carry)
                    changed = True
        return varying

    # --- loops of conditions ---
    def while_loop(self, loop: While) -> None:
        """Test, run, step. In a vector loop it runs while any lane does; the others keep their
        values and store nothing."""
        parent = self.scopes[-1]
        varying = self.varying_carries(loop)
        starts = [self.start(c, c.carry in varying) for c in loop.carries]
        scope = self.enter(loop.body, guarded=True)
        head, depth = scope.block, scope.depth
        phis = [Value(self.fresh("%c"), s.lanes, depth) for s in starts]
        self.bind("carry", loop.carries, phis)
        condition = self.value(loop.condition)
        outer = self.mask
        if condition.lanes > 1:
            active = [m for m in (self.mask, condition) if m is not None]
            condition = masks.both(self, active, condition.lanes)
            self.mask = condition
            kind = type_of("bool", condition.lanes)
            reduced = f"@llvm.vector.reduce.or.v{condition.lanes}i1"
            test = self.put(depth, f"call i1 {reduced}({kind} {condition.name})")
        else:
            test = condition.name
        inner, leave = self.fresh("L"), self.fresh("L")
        scope.lines += [f"  br i1 {test}, label %{inner}, label %{leave}", f"{inner}:"]
        scope.block = inner
        nexts = self.body(loop.body, Finish(self, loop.carries, phis))
        self.mask = outer
        closed = self.leave()
        lines = [f"  br label %{head}", f"{head}:"]
        for one, phi, start, after in zip(loop.carries, phis, starts, nexts, strict=True):
            kind = type_of(one.carry.dtype, phi.lanes)
            lines.append(
                f"  {phi.name} = phi {kind} [ {start.name}, %{parent.block} ], "
                f"[ {after}, %{closed.block} ]"
            )
        parent.lines += [*lines, *closed.lines, f"  br label %{head}", f"{leave}:"]
        parent.block = leave
        finals = [Value(p.name, p.lanes, parent.depth) for p in phis]
        self.bind("final", loop.carries, finals)


class Finish:
    """The steps of a loop's carries: names of their next values. Lanes that are not active keep
    what they have."""

    def __init__(self, e: Loops, carries: tuple[Carried, ...], old: list[Value]):
        self.e = e
        self.carries = carries
        self.old = old
        self.roots = [c.next for c in carries]

    def __call__(self) -> list[str]:
        e = self.e
        names = []
        for carried, old in zip(self.carries, self.old, strict=True):
            if e.chosen is not None:
                names.append(compaction.step(e, e.chosen, old))
                continue
            value = e.value(carried.next)
            total = e.known.get(("total", carried.carry))
            if total is not None:
                names.append(total.name)
                continue
            dtype = carried.carry.dtype
            name = e.widened(value, dtype, old.lanes)
            if e.mask is not None and old.lanes > 1:
                kind, depth = type_of(dtype, old.lanes), e.scopes[-1].depth
                mask = f"<{old.lanes} x i1> {e.mask.name}"
                name = e.put(depth, f"select {mask}, {kind} {name}, {kind} {old.name}")
            names.append(name)
        return names
