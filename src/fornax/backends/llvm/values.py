"""Expressions as SSA values: where each is computed, and with how many lanes.

A value is emitted into the outermost scope (function, loop body, branch) in which all it depends on
is known, so loop invariants leave loops by construction. Inside a vector loop, what depends on its
axis has one lane per iteration; everything else stays scalar and is broadcast where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from fornax.backends.llvm import addresses, loads, running, tables
from fornax.backends.llvm.instructions import literal, operation, steps, type_of
from fornax.backends.llvm.scope import Scope, Value, Vector
from fornax.compiler.loop import affine
from fornax.compiler.loop.ir import MATH, WIDTH, Axis, Buffer, Carried, Carry, Expr, is_float
from fornax.compiler.target import Target

if TYPE_CHECKING:
    from fornax._native import DtypeName
    from fornax.backends.llvm.edges import Row


class Values:
    """The part of the emitter that knows expressions."""

    def __init__(self, target: Target, written: set[Buffer]):
        self.target = target
        self.written = written
        self.streams: frozenset[Buffer] = frozenset()  #: written past the caches
        self.row: Row | None = None  #: of which whole lines are written
        #: loads that ask for what lies so many elements further on
        self.fetches: dict[Expr, tuple[int, ...]] = {}
        self.scopes: list[Scope] = []
        self.known: dict[object, Value] = {}
        self.bound: dict[tuple[str, Axis | Carry], Value] = {}
        #: what is known of the memory of a buffer, by its key in `known`
        self.readers: dict[Buffer, dict[object, None]] = {}
        self.vector: Vector | None = None
        self.chosen: Expr | None = None  #: lanes that are stored one behind the other
        #: next values of carries that lanes hold as running values
        self.running: dict[Expr, Carried] = {}
        self.mask: Value | None = None  #: lanes that are active, if not all are
        self.varies: dict[Expr, bool] = {}
        self.base: dict[Buffer, str] = {}
        self.counter = 0
        self.called: dict[str, tuple[str, DtypeName, int, int]] = {}

    @property
    def vector_loop(self) -> Vector:
        """The vector loop being emitted. What has lanes is inside of one."""
        assert self.vector is not None, "lanes outside of a vector loop"
        return self.vector

    # --- text ---
    def fresh(self, prefix: str = "v") -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def put(self, depth: int, text: str) -> str:
        """Append an instruction to the scope at `depth`; the name of its result."""
        self.counter += 1
        name = f"%v{self.counter}"
        self.scopes[depth].lines.append(f"  {name} = {text}")
        return name

    def remember(self, key: object, value: Value) -> Value:
        self.known[key] = value
        self.scopes[value.depth].owned.append(key)
        return value

    def forget(self, buffer: Buffer) -> None:
        """A store to `buffer` ends the life of values read from it."""
        for node in self.readers.pop(buffer, ()):
            self.known.pop(node, None)

    # --- expressions ---
    def value(self, root: Expr) -> Value:
        """The SSA value of an expression, emitting what is not known yet."""
        found = self.known.get(root)
        if found is not None:
            return found
        pending: set[Expr] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in pending and node not in self.known:
                pending.add(node)
                stack.extend(self.needs(node))
        rare: dict[Expr, list[Expr]] = {}
        for node in sorted(pending, key=lambda n: n.number):
            if node.kind == "op" and node.data == "rarely":
                rare.setdefault(node.args[0], []).append(node)
        for node in sorted(pending, key=lambda n: n.number):
            if node in self.known:
                continue
            if node.kind == "op" and node.data == "rarely":
                self.rarely(apart([n for n in rare[node.args[0]] if n not in self.known]))
            else:
                self.emit(node)
        return self.known[root]

    def needs(self, node: Expr) -> Iterable[Expr]:
        """The expressions whose values an expression is made of."""
        if node.kind == "load":
            return loads.load_needs(node)
        if self.is_ramp(node):
            return addresses.parts(node.args[0])
        if node.kind == "op" and node.data == "rarely":
            condition, then, otherwise = node.args
            return condition, otherwise, *self.leaves(then)
        return node.args

    def leaves(self, root: Expr) -> list[Expr]:
        """What an expression is computed from: memory, loop variables, what is known."""
        found: dict[Expr, None] = {}
        seen: set[Expr] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if (
                node.kind not in ("op", "const", "table")
                or node in self.known
                or self.is_ramp(node)
            ):
                found[node] = None
            else:
                stack.extend(node.args)
        return list(found)

    def rarely(self, nodes: list[Expr]) -> None:
        """Values that are others than usual where one condition holds: a branch around them."""
        condition = self.known[nodes[0].args[0]]
        usual = [self.value(n.args[2]) for n in nodes]
        inputs = [self.value(leaf) for n in nodes for leaf in self.leaves(n.args[1])]
        depth = self.depth_of((condition, *usual, *inputs))
        lanes = max(v.lanes for v in (condition, *usual, *inputs))
        then, after = self.fresh("L"), self.fresh("L")
        scope = Scope(len(self.scopes), then, guarded=True, branch=True)
        self.scopes.append(scope)
        chosen = []
        for node, value in zip(nodes, usual, strict=True):
            kind = type_of(node.dtype, lanes)
            other = self.widened(value, node.dtype, lanes)
            name = self.widened(self.value(node.args[1]), node.dtype, lanes)
            if condition.lanes > 1:
                mask = f"{type_of('bool', lanes)} {condition.name}"
                name = self.put(scope.depth, f"select {mask}, {kind} {name}, {kind} {other}")
            chosen.append((node, kind, name, other))
        self.close(self.scopes.pop())
        parent = self.scopes[depth]
        test, before = condition.name, parent.block
        if condition.lanes > 1:
            kind = type_of("bool", lanes)
            reduced = f"@llvm.vector.reduce.or.v{lanes}i1"
            test = self.put(depth, f"call i1 {reduced}({kind} {condition.name})")
        parent.lines += [f"  br i1 {test}, label %{then}, label %{after}", f"{then}:"]
        parent.lines += [*scope.lines, f"  br label %{after}", f"{after}:"]
        parent.block = after
        for node, kind, name, other in chosen:
            phi = f"phi {kind} [ {name}, %{scope.block} ], [ {other}, %{before} ]"
            self.remember(node, Value(self.put(depth, phi), lanes, depth))
            self.inherit(node)

    def close(self, scope: Scope) -> None:
        """What was known in a scope only ends with it."""
        for key in scope.owned:
            found = self.known.get(key)
            if found is not None and found.depth >= scope.depth:
                del self.known[key]
        for buffer in scope.writes:
            self.forget(buffer)
        self.varies = {}

    def emit(self, node: Expr) -> None:
        kind = node.kind
        if kind == "const":
            self.remember(node, Value(literal(node.data, node.dtype)))
        elif kind == "load":
            loads.load(self, node)
            self.inherit(node)
        elif kind == "axis":
            self.remember(node, self.axis(node.data))
        elif kind in ("carry", "final"):
            self.remember(node, self.bound[kind, node.data])
        elif kind == "param":
            pointer = self.put(0, f"getelementptr i64, ptr %params, i64 {node.data}")
            self.remember(node, Value(self.put(0, f"load i64, ptr {pointer}, align 8")))
        elif kind == "table":
            self.table(node)
            self.inherit(node)
        elif self.is_ramp(node):
            self.ramp(node)
            self.inherit(node)
        else:
            self.operation(node)

    def operation(self, node: Expr) -> None:
        if node in self.running and self.vector is not None and self.vector.lanes > 1:
            running.emit(self, node, self.running[node])
            return
        values = [self.known[a] for a in node.args]
        lanes = max(v.lanes for v in values)
        depth = self.depth_of(values)
        names = [self.widened(v, a.dtype, lanes) for v, a in zip(values, node.args, strict=True)]
        if node.data in MATH:
            name = self.put(depth, self.call(node, names, lanes))
        else:
            name = operation(
                node, names, lanes, self.target.vector_bits, lambda text: self.put(depth, text)
            )
        self.remember(node, Value(name, lanes, depth))
        self.inherit(node)

    def table(self, node: Expr) -> None:
        """A look-up; the numbers are constants of the whole function."""
        place, half = self.known[node.args[0]], len(node.data) // 2
        depth = self.depth_of((place,))
        low, high = self.register(node.data[:half]), self.register(node.data[half:])
        put = partial(self.put, depth)
        name = tables.look_up(low, high, place.name, place.lanes, put)
        self.remember(node, Value(name, place.lanes, depth))

    def register(self, numbers: tuple[float, ...]) -> str:
        key = ("register", numbers)
        if key not in self.known:
            self.remember(key, Value(self.put(0, tables.register(numbers))))
        return self.known[key].name

    def call(self, node: Expr, names: list[str], lanes: int) -> str:
        """The call of a mathematical function, which is defined once for each number of lanes."""
        kind = type_of(node.dtype, lanes)
        symbol = f"@{node.data}.{node.dtype}.{lanes}"
        self.called[symbol] = (node.data, node.dtype, lanes, len(names))
        return f"call {kind} {symbol}({', '.join(f'{kind} {name}' for name in names)})"

    def inherit(self, node: Expr) -> None:
        """A value computed from memory that is written ends with the value it was computed from."""
        if self.readers:
            needs = self.needs(node)
            for readers in self.readers.values():
                if any(a in readers for a in needs):
                    readers[node] = None

    def depth_of(self, values: Iterable[Value]) -> int:
        """The outermost scope where something made of `values` can be computed."""
        depth = max((v.depth for v in values), default=0)
        for scope in reversed(self.scopes):
            if scope.depth <= depth:
                break
            if scope.branch:
                return scope.depth
        return depth

    def when(self, condition: Value, lines: list[str]) -> None:
        """Run `lines` where a scalar condition holds."""
        scope = self.scopes[-1]
        then, after = self.fresh("L"), self.fresh("L")
        scope.lines.append(f"  br i1 {condition.name}, label %{then}, label %{after}")
        scope.lines += [f"{then}:", *lines, f"  br label %{after}", f"{after}:"]
        scope.block = after

    def load_depth(self, depth: int, buffer: Buffer, safe: bool) -> int:
        """The outermost scope for a load whose address is known at `depth`."""
        for scope in reversed(self.scopes):
            if scope.depth <= depth:
                break
            if scope.branch or (scope.guarded and not safe) or buffer in scope.writes:
                return scope.depth
        return depth

    def widened(self, value: Value, dtype: str, lanes: int) -> str:
        """The name of `value` with `lanes` lanes."""
        if value.lanes == lanes:
            return value.name
        assert value.lanes == 1, "lanes do not match"
        if not value.name.startswith("%"):
            return f"splat ({type_of(dtype)} {value.name})"
        key = ("splat", value.name, lanes)
        found = self.known.get(key)
        if found is None:
            kind = type_of(dtype, lanes)
            first = self.put(
                value.depth,
                f"insertelement {kind} poison, {type_of(dtype)} {value.name}, i64 0",
            )
            name = self.put(
                value.depth,
                f"shufflevector {kind} {first}, {kind} poison, <{lanes} x i32> zeroinitializer",
            )
            found = self.remember(key, Value(name, lanes, value.depth))
        return found.name

    # --- loop variables ---
    def axis(self, axis: Axis) -> Value:
        """The value of a loop variable; a vector of consecutive numbers for the vector axis."""
        vector = self.vector
        if vector is None or axis is not vector.axis or vector.lanes == 1:
            return self.bound["axis", axis]
        base = self.widened(Value(vector.base, 1, vector.depth), "int64", vector.lanes)
        kind = type_of("int64", vector.lanes)
        name = self.put(vector.depth, f"add nsw {kind} {base}, {steps(vector.lanes, 'i64')}")
        return Value(name, vector.lanes, vector.depth)

    def is_varying(self, root: Expr) -> bool:
        """True when the expression has lanes in the vector loop being emitted."""
        found = self.known.get(root)
        if found is not None:
            return found.lanes > 1
        vector = self.vector
        if vector is None or vector.lanes == 1:
            return False
        memo = self.varies
        if root not in memo:
            pending, stack = set(), [root]
            while stack:
                node = stack.pop()
                if node not in pending and node not in memo:
                    pending.add(node)
                    stack.extend(node.args)
            for node in sorted(pending, key=lambda n: n.number):
                memo[node] = self.varies_here(node, vector)
        return memo[root]

    def varies_here(self, node: Expr, vector: Vector) -> bool:
        if node.kind == "axis":
            return node.data is vector.axis
        if node.kind in ("carry", "final"):
            found = self.bound.get((node.kind, node.data))
            return found is not None and found.lanes > 1
        return any(self.varies[a] for a in node.args)

    # --- ramps: narrow integers that are a linear function of the vector axis ---
    def is_ramp(self, node: Expr) -> bool:
        """cast of an int64 index to a narrower integer: computed in that dtype's width."""
        if node.kind != "op" or node.data != "cast" or node.args[0].dtype != "int64":
            return False
        if is_float(node.dtype) or WIDTH[node.dtype] >= 64 or self.vector is None:
            return False
        varying = [p for p, _ in affine.linear(node.args[0])[0] if self.is_varying(p)]
        return len(varying) == 1 and varying[0].kind == "axis"

    def ramp(self, node: Expr) -> None:
        vector, kind = self.vector_loop, type_of(node.dtype)
        terms, constant = affine.linear(node.args[0])
        start = addresses.scalar_sum(self, terms, constant)
        if start.name.startswith("%"):
            cut = self.put(start.depth, f"trunc i64 {start.name} to {kind}")
            low = Value(cut, 1, start.depth)
        else:
            low = Value(str(affine.wrap(int(start.name), node.dtype)))
        slope = next(c for p, c in terms if p.kind == "axis" and p.data is vector.axis)
        wide = type_of(node.dtype, vector.lanes)
        first = self.widened(low, node.dtype, vector.lanes)
        ramp = steps(vector.lanes, kind, slope, WIDTH[node.dtype])
        name = self.put(start.depth, f"add {wide} {first}, {ramp}")
        self.remember(node, Value(name, vector.lanes, start.depth))


def apart(nodes: list[Expr]) -> list[Expr]:
    """The first of some nodes, in the order of their numbers, and those that do not depend on it,
    nor on one another."""
    first, *others = nodes
    found = [first]
    for node in others:
        seen, stack = {node}, [node]
        while stack:
            below = [a for a in stack.pop().args if a.number >= first.number and a not in seen]
            seen.update(below)
            stack += below
        if seen.isdisjoint(found):
            found.append(node)
    return found
