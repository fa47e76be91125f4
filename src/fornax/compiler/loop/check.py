"""Is a kernel well formed? Passes run it after themselves in tests; `compile_kernel` runs it first.

It finds the mistakes that would otherwise become wrong machine code: a loop variable outside of
its loop, a wrong dtype or number of indices, a store to an input, two parallel loops.
"""

from __future__ import annotations

from fornax._native import reachable
from fornax.compiler.loop.builder import compute_dtype
from fornax.compiler.loop.compaction import chosen
from fornax.compiler.loop.ir import (
    COMBINERS,
    COMPARE,
    OPERATIONS,
    STORAGE,
    WIDTH,
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    If,
    Kernel,
    Statement,
    Store,
    While,
)
from fornax.compiler.loop.running import is_scan, running
from fornax.errors import InternalError

UNARY = {
    "neg", "abs", "not", "floor", "ceil", "trunc", "round_even", "sqrt", "popcount", "clz", "cast",
    "bitcast", "exp", "exp2", "expm1", "log", "log1p", "log2", "sin", "cos", "tan", "asin", "acos",
    "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erf_inv",
    "logistic", "rsqrt", "cbrt", "lgamma", "digamma", "sign", "round_away", "is_finite",
    "bessel_i0e", "bessel_i1e", "inverse_root",
}  # fmt: skip
TERNARY = ("select", "rarely", "fma", "pair_dot")
ARITY = {name: 1 if name in UNARY else 3 if name in TERNARY else 2 for name in OPERATIONS}


#: kind of a node -> the attribute of `Checker` that knows where its data may be used
SCOPES = {"axis": "axes", "carry": "inside", "final": "after", "load": "memory"}


class IllFormed(InternalError, ValueError):
    """A kernel breaks a rule of the loop IR: a bug of whatever made it, not of the user."""


def check(kernel: Kernel) -> Kernel:
    """Return the kernel, or raise `IllFormed` saying what is wrong where."""
    Checker(kernel).run()
    return kernel


class Checker:
    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.memory: set[Buffer] = set(kernel.buffers)
        self.axes: set[Axis] = set()
        self.inside: set[Carry] = set()
        self.after: set[Carry] = set()
        self.parallel = 0
        self.vector = False
        self.typed: set[Expr] = set()
        self.visible: set[Expr] = set()  # nodes known to be in scope here

    def fail(self, message: str) -> None:
        raise IllFormed(f"kernel {self.kernel.name}: {message}")

    def require(self, condition: bool, message: str) -> None:
        if not condition:
            self.fail(message)

    def run(self) -> None:
        for buffer in self.kernel.buffers:
            self.require(buffer.role != "local", f"local buffer {buffer.name} is an argument")
            self.require(
                len(buffer.shape) == len(buffer.strides), f"buffer {buffer.name}: shape and strides"
            )
        self.body(self.kernel.body, top=True)

    # --- expressions ---
    def expression(self, root: Expr, dtype: str | None = None) -> None:
        if not isinstance(root, Expr):
            self.fail(f"{root!r} is not an expression")
        nodes = () if root in self.visible else reachable((root,), self.visible.__contains__)
        for node in nodes:
            if node in self.visible:
                continue
            self.visible.add(node)
            scope = SCOPES.get(node.kind)
            if scope is not None and node.data not in getattr(self, scope):
                self.fail(f"{node} used outside of its scope")
            if node not in self.typed:
                wrong = self.mistyped(node)
                if wrong:
                    self.fail(f"{node}: {wrong}")
                self.typed.add(node)
        if dtype is not None and root.dtype != dtype:
            self.fail(f"{root} should be {dtype}")

    def mistyped(self, node: Expr) -> str | None:
        """What is wrong with a node and its operands, taken by themselves."""
        kind = node.kind
        if kind == "op":
            return self.operation(node)
        if kind == "load":
            rank = len(node.data.shape)
            if len(node.args) not in (rank, rank + 2):
                return "number of indices"
            for index in node.args[:rank]:
                if index.dtype != "int64":
                    return f"index {index} is not int64"
            if node.masked and node.args[rank].dtype != "bool":
                return "the mask is not bool"
            if node.masked and node.args[rank + 1].dtype != node.dtype:
                return "dtype of `other`"
            if (node.dtype, node.data.dtype) == ("uint8", "bool"):
                return None  # its byte
            return self.memory_dtype(node.dtype, node.data)
        if kind == "table":
            good = node.args[0].dtype == "uint32" and (node.dtype, len(node.data)) == (
                "float32",
                32,
            )
            return None if good else "not 32 float32 at a uint32"
        if kind == "reduce":
            return "has not been scheduled"
        return None if kind in ("const", "axis", "param", "carry", "final") else "kind"

    def operation(self, node: Expr) -> str | None:
        name, args = node.data, node.args
        if name not in OPERATIONS:
            return "unknown operation"
        if len(args) != ARITY[name]:
            return f"{len(args)} operands"
        if name == "cast":
            return None
        if name == "bitcast":
            return None if WIDTH[args[0].dtype] == WIDTH[node.dtype] else "widths differ"
        if name in ("select", "rarely"):
            if args[0].dtype != "bool":
                return "the condition is not bool"
            args = args[1:]
        if name == "pair_dot":
            words = args[0].dtype == args[1].dtype == "uint32"
            if not words or args[2].dtype not in ("float32", "int32"):
                return "not two uint32 and a total"
            args = args[2:]
        first = args[0].dtype
        for other in args[1:]:
            if other.dtype != first:
                return f"operands of {sorted({a.dtype for a in args})}"
        expected = "bool" if name in COMPARE else first
        return None if node.dtype == expected else f"should be {expected}"

    def memory_dtype(self, dtype: str, buffer: Buffer) -> str | None:
        raw = f"uint{WIDTH[buffer.dtype]}" if buffer.dtype in STORAGE else None
        good = dtype in (compute_dtype(buffer.dtype), buffer.dtype, raw)
        return None if good else f"{dtype} in a {buffer.dtype} buffer"

    # --- statements ---
    def body(self, body: tuple[Statement, ...], top: bool = False) -> None:
        memory = set(self.memory)
        for statement in body:
            if isinstance(statement, Store):
                self.store(statement)
            elif isinstance(statement, For):
                self.loop(statement, top)
            elif isinstance(statement, While):
                self.starts(statement.carries)
                self.inside.update(c.carry for c in statement.carries)
                self.expression(statement.condition, "bool")
                self.body(statement.body)
                self.steps(statement.carries)
            elif isinstance(statement, If):
                self.expression(statement.condition, "bool")
                self.body(statement.body)
                self.body(statement.orelse)
            else:
                self.require(statement.buffer.role == "local", "Alloc of a buffer not local")
                self.memory.add(statement.buffer)
        self.memory = memory
        self.visible = set()

    def store(self, store: Store) -> None:
        buffer = store.buffer
        self.require(buffer in self.memory, f"store to {buffer.name}, which is not in scope")
        self.require(buffer.role != "in", f"store to the input {buffer.name}")
        self.require(len(store.index) == len(buffer.shape), f"store to {buffer.name}: indices")
        for index in store.index:
            self.expression(index, "int64")
        self.expression(store.value)
        wrong = self.memory_dtype(store.value.dtype, buffer)
        if wrong:
            self.fail(f"store to {buffer.name}: {wrong}")
        if store.mask is not None:
            self.expression(store.mask, "bool")

    def starts(self, carries: tuple[Carried, ...]) -> None:
        for carried in carries:
            self.expression(carried.start, carried.carry.dtype)

    def steps(self, carries: tuple[Carried, ...]) -> None:
        for carried in carries:
            self.expression(carried.next, carried.carry.dtype)
        for carried in carries:
            self.inside.discard(carried.carry)
            self.after.add(carried.carry)
        self.visible = set()

    def loop(self, loop: For, top: bool) -> None:
        name = loop.axis.name
        if isinstance(loop.axis.extent, Expr):
            self.expression(loop.axis.extent, "int64")
        self.require(loop.axis not in self.axes, f"axis {name} has two loops around each other")
        self.require(
            loop.kind in ("serial", "parallel", "vector", "unroll"), f"loop kind {loop.kind}"
        )
        if loop.kind == "parallel":
            self.parallel += 1
            self.require(top and self.parallel == 1, f"parallel loop {name} is not outermost")
            self.require(not loop.carries and not loop.reverse, f"parallel loop {name} has carries")
            extent = loop.axis.extent
            if isinstance(extent, int):
                self.require(self.kernel.extent == extent, f"extent of parallel loop {name}")
        was_vector = self.vector
        if loop.kind == "vector":
            self.require(not self.vector, f"vector loop {name} is inside of another one")
            self.require(loop.lanes & (loop.lanes - 1) == 0, f"{loop.lanes} lanes of {name}")
            self.require(not loop.reverse, f"vector loop {name} runs backwards")
            for carried in loop.carries if chosen(loop) is None else ():
                self.require(
                    carried.combiner in COMBINERS, f"a carry of vector loop {name} has no combiner"
                )
            scans = chosen(loop) is not None or not running(loop) or is_scan(loop)
            self.require(scans, f"vector loop {name} reads its carries")
            self.vector = True
        self.starts(loop.carries)
        self.axes.add(loop.axis)
        self.inside.update(c.carry for c in loop.carries)
        self.body(loop.body)
        self.steps(loop.carries)
        self.axes.discard(loop.axis)
        self.visible = set()
        self.vector = was_vector
