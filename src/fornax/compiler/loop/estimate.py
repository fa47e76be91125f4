"""What loops cost: instructions per iteration, scalar and vectorized, from the expressions.

One unit is about one vector instruction. The numbers choose between loops to vectorize and say how
many iterations are worth a thread; they need to be right within a factor of two, not more.
"""

from __future__ import annotations

from collections.abc import Iterable

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.ir import (
    MATH,
    STORAGE,
    WIDTH,
    Axis,
    Carry,
    Expr,
    For,
    If,
    Statement,
    Store,
    While,
)
from fornax.compiler.loop.rewrite import expressions
from fornax.compiler.loop.running import running
from fornax.compiler.target import Target

Loop = For | While

#: nanoseconds per unit
UNIT = 0.4
WEIGHTS = {"div": 5.0, "rem": 12.0, "sqrt": 6.0, "idiv": 4.0, "imod": 4.0, "cast": 1.0}
MATH_WEIGHT = 22.0
HEAVY_MATH = {"lgamma": 90.0, "digamma": 60.0, "pow": 60.0, "erf_inv": 50.0, "atan2": 40.0}
#: per lane: loads and stores at unrelated addresses,
GATHER, SCATTER = 1.6, 2.0
#: stores at computed addresses where that is many small steps: a loop does much else beside them,
#: or runs one by one
STEPS = 10.0
#: per vector: loads and stores that need shuffles
SHUFFLED = 3.0
#: elements between what neighbouring lanes read up to which they pick it from whole registers
MOST_INTERLEAVED = 4
#: iterations assumed of loops whose extent is not known
UNKNOWN_EXTENT = 64


def trips(loop: Loop) -> int:
    """The number of iterations, or a guess."""
    if isinstance(loop, While):
        return UNKNOWN_EXTENT
    extent = loop.axis.extent
    if isinstance(extent, int):
        return extent
    if extent.kind == "op" and extent.data == "min" and extent.args[1].kind == "const":
        return extent.args[1].data  # that of all pieces but the last
    return min(extent.high, UNKNOWN_EXTENT)


class Estimate:
    """Where the expressions of a nest are computed, and what that costs."""

    def __init__(self, body: Iterable[Statement], target: Target):
        self.target = target
        self.parent: dict[Loop | None, Loop | None] = {}
        self.depth: dict[Loop | None, int] = {None: 0}
        self.children: dict[Loop | None, list[Loop]] = {None: []}
        self.stores: dict[Loop | None, list[Store]] = {None: []}
        self.binder: dict[Axis | Carry, Loop] = {}
        body = tuple(body)
        self.place(body, None)
        self.nodes = reachable(expressions(body))
        self.inner: dict[Expr, Loop | None] = {}
        self.own: dict[Loop | None, list[Expr]] = {}
        for node in self.nodes:
            where = self.innermost(node)
            self.inner[node] = where
            if node.kind in ("op", "load"):
                self.own.setdefault(where, []).append(node)
        self.dependent: dict[For, set[Expr]] = {}
        self.staged: set[Expr] = set()  #: offsets of loads from memory laid out for the lanes

    def place(self, body: Iterable[Statement], parent: Loop | None) -> None:
        for statement in body:
            if isinstance(statement, Store):
                self.stores[parent].append(statement)
            elif isinstance(statement, If):
                self.place(statement.body, parent)
                self.place(statement.orelse, parent)
            elif isinstance(statement, For | While):
                self.parent[statement] = parent
                self.depth[statement] = self.depth[parent] + 1
                self.children[parent].append(statement)
                self.children[statement], self.stores[statement] = [], []
                if isinstance(statement, For):
                    self.binder[statement.axis] = statement
                for carried in statement.carries:
                    self.binder[carried.carry] = statement
                self.place(statement.body, statement)

    def innermost(self, node: Expr) -> Loop | None:
        """The innermost loop an expression depends on."""
        if node.kind in ("axis", "carry"):
            return self.binder.get(node.data)
        if node.kind == "final":
            return self.parent.get(self.binder.get(node.data))
        best = None
        for arg in node.args:
            found = self.inner[arg]
            if self.depth[found] > self.depth[best]:
                best = found
        return best

    def within(self, loop: Loop | None, outer: Loop) -> bool:
        while loop is not None:
            if loop is outer:
                return True
            loop = self.parent[loop]
        return False

    def varying(self, vector: For) -> set[Expr]:
        """The expressions that have lanes when `vector` is the vector loop."""
        found = self.dependent.get(vector)
        if found is None:
            found = self.dependent[vector] = set()
            for node in self.nodes:
                if node.kind == "axis":
                    lanes = node.data is vector.axis
                elif node.kind == "carry":
                    lanes = self.within(self.binder.get(node.data), vector)
                elif node.kind == "final":  # its value is known after its loop, outside of it
                    lanes = self.within(self.parent.get(self.binder.get(node.data)), vector)
                else:
                    lanes = any(a in found for a in node.args)
                if lanes:
                    found.add(node)
        return found

    def stride(self, offset: Expr, vector: For) -> int | None:
        """Elements from one iteration of `vector` to the next; None when they vary."""
        lanes, stride = self.varying(vector), 0
        for part, coefficient in affine.linear(offset)[0]:
            if part.kind == "axis" and part.data is vector.axis:
                stride = coefficient
            elif part in lanes:
                return None
        return stride

    def native(self, vector: For) -> int:
        """Lanes of one register for the widest values that the loop's lanes hold."""
        widest, lanes = 8, self.varying(vector)
        for node in self.nodes:
            if node in lanes and (node.kind == "load" or node.kind in ("carry", "final")):
                widest = max(widest, WIDTH[node.dtype])
            elif node in lanes and node.kind == "op" and node.dtype != "int64":
                widest = max(widest, WIDTH[node.dtype])
        for loop, stores in self.stores.items():
            if self.within(loop, vector):
                for store in stores:
                    dtype = store.buffer.dtype
                    widest = max(widest, WIDTH[STORAGE.get(dtype, dtype)])
        extent = vector.axis.extent
        count = extent if isinstance(extent, int) else self.target.vector_bits
        return self.target.holding(count, widest)

    def masks(self, vector: For) -> bool:
        """Whether the last lanes of a vector loop, too few for a register, run in one."""
        stores = (s for at, made in self.stores.items() if self.within(at, vector) for s in made)
        return bool(self.target.masked_bits) and all(
            self.stride(s.index[0], vector) == 1 for s in stores
        )

    # --- cost ---
    def own_cost(self, loop: Loop | None, vector: For | None, lanes: int) -> float:
        """Cost of what is computed in `loop` itself, per iteration (of `lanes` at once)."""
        total = 0.0
        varying = self.varying(vector) if vector is not None else ()
        for node in self.own.get(loop, ()):
            if node.kind == "load":
                total += self.access(node.args[0], vector, lanes, GATHER)
            elif node.dtype == "int64" and affine.is_sum(node):
                total += 0.1  # addresses
            elif node.data in MATH:
                weight = HEAVY_MATH.get(node.data, MATH_WEIGHT)
                total += weight
            else:
                weight = WEIGHTS.get(node.data, 1.0)
                slow = node.data in ("div", "rem") and "int" in node.dtype and node in varying
                total += weight * lanes if slow else weight
        for store in self.stores[loop]:
            total += self.access(store.index[0], vector, lanes, SCATTER)
        if loop is not None and loop is vector:  # running values: steps within a register
            total += 2 * lanes.bit_length() * len(running(vector))
        return total

    def access(self, offset: Expr, vector: For | None, lanes: int, scattered: float) -> float:
        if vector is None or offset in self.staged:
            return 1.0
        stride = self.stride(offset, vector)
        if stride in (0, 1):
            return 1.0
        if stride is not None and abs(stride) <= MOST_INTERLEAVED:
            return SHUFFLED
        if stride is None and scattered == SCATTER and not self.target.gathers:
            scattered = STEPS
        return scattered * lanes

    def vector_cost(self, loop: Loop, vector: For, lanes: int) -> float:
        """Cost of one iteration of `loop`, which is `vector` or inside of it."""
        total = self.own_cost(loop, vector, lanes)
        for child in self.children[loop]:
            total += trips(child) * self.vector_cost(child, vector, lanes)
        return total

    def loop_cost(self, loop: Loop) -> float:
        """Cost of a whole loop as it is marked."""
        count = trips(loop)
        if isinstance(loop, For) and loop.kind == "vector":
            native = min(self.native(loop), loop.lanes)
            whole = -(-count // native)
            return whole * self.vector_cost(loop, loop, native) + 8 * len(loop.carries)
        return count * self.iteration_cost(loop)

    def iteration_cost(self, loop: Loop | None) -> float:
        """Cost of one iteration of a loop that is not a vector loop."""
        inside = sum(self.loop_cost(child) for child in self.children[loop])
        return self.own_cost(loop, None, 1) + inside + 1
