"""Kernels as text: canonical, so equal kernels have equal text whatever their nodes are called.

The text serves dumps, golden tests and the hash under which compiled code is kept.
"""

from __future__ import annotations

from collections import Counter

from fornax._native import reachable
from fornax.compiler.loop.ir import (
    Alloc,
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
from fornax.compiler.loop.rewrite import expressions

INFIX = {"add": "+", "sub": "-", "mul": "*"}
#: longer operands get a line of their own
LONGEST = 64


def show(kernel: Kernel) -> str:
    """The canonical text of a kernel. Its name is no part of it."""
    return Printer(kernel).text()


class Printer:
    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.lines: list[str] = []
        self.names: dict[Expr, str] = {}
        self.objects: dict[Axis | Carry | Buffer, str] = {}
        self.counts: Counter[type] = Counter()
        self.temporaries = 0
        self.uses: Counter[Expr] = Counter()
        roots = list(expressions(kernel.body))
        self.uses.update(roots)
        for node in reachable(roots):
            self.uses.update(node.args)

    def text(self) -> str:
        described = []
        for position, buffer in enumerate(self.kernel.buffers):
            name = self.objects[buffer] = f"b{position}"
            self.counts[Buffer] += 1
            described.append(f"{name}: {describe(buffer)}")
        head = f"kernel({', '.join(described)})"
        self.lines.append(f"{head} extent {self.kernel.extent} grain {self.kernel.grain}")
        self.body(self.kernel.body, 1)
        return "\n".join(self.lines) + "\n"

    def line(self, depth: int, text: str) -> None:
        self.lines.append("  " * depth + text)

    def name(self, thing: Axis | Carry | Buffer) -> str:
        """A name by order of appearance: i0, i1 … for axes, c0 … for carries, m0 … for memory."""
        found = self.objects.get(thing)
        if found is None:
            letter = {Axis: "i", Carry: "c", Buffer: "m"}[type(thing)]
            found = self.objects[thing] = f"{letter}{self.counts[type(thing)]}"
            self.counts[type(thing)] += 1
        return found

    # --- expressions ---
    def expression(self, root: Expr, depth: int) -> str:
        """The text of an expression, after lines for the shared and the long ones below it."""
        found = self.names.get(root)
        if found is not None:
            return found
        for node in reachable((root,), self.names.__contains__):
            if node in self.names:
                continue
            text = self.node(node)
            shared = self.uses[node] > 1 and node.args
            if node is not root and (shared or len(text) > LONGEST) or shared and node.kind == "op":
                name = f"t{self.temporaries}"
                self.temporaries += 1
                self.line(depth, f"{name} = {text}")
                text = name
            self.names[node] = text
        return self.names[root]

    def node(self, node: Expr) -> str:
        kind, data = node.kind, node.data
        if kind == "const":
            plain = node.dtype in ("bool", "int64")
            return repr(data) if plain else f"{data!r}:{short(node.dtype)}"
        args = [self.names[a] for a in node.args]
        if kind == "axis":
            return self.name(data)
        if kind == "param":
            return f"param{data}"
        if kind in ("carry", "final"):
            return self.name(data) + ("'" if kind == "final" else "")
        if kind == "table":
            return f"{{{data[0]!r}, …, {data[-1]!r}}}[{args[0]}]"
        if kind == "load":
            rank = len(data.shape)
            text = f"{self.name(data)}[{', '.join(args[:rank])}]"
            if len(args) > rank:
                text = f"({text} if {args[rank]} else {args[rank + 1]})"
            wide = node.dtype if node.dtype.startswith("uint") and data.dtype != node.dtype else ""
            return f"{wide}{text}"
        if kind == "reduce":
            combiner, axes, component = data
            over = ", ".join(f"{self.name(a)} < {a.extent}" for a in axes)
            return f"reduce {combiner}.{component} over {over} ({', '.join(args)})"
        if data in INFIX and len(args) == 2:
            return f"({args[0]} {INFIX[data]} {args[1]})"
        if data in ("cast", "bitcast"):
            return f"{data} {short(node.dtype)}({args[0]})"
        return f"{data}({', '.join(args)})"

    # --- statements ---
    def body(self, body: tuple[Statement, ...], depth: int) -> None:
        for statement in body:
            if isinstance(statement, Store):
                index = ", ".join(self.expression(i, depth) for i in statement.index)
                value = self.expression(statement.value, depth)
                line = f"{self.name(statement.buffer)}[{index}] = {value}"
                if statement.mask is not None:
                    line += f" if {self.expression(statement.mask, depth)}"
                if statement.ahead:
                    line += f" ahead {statement.ahead}"
                self.line(depth, line)
            elif isinstance(statement, For):
                self.loop(statement, depth)
            elif isinstance(statement, While):
                self.begin(statement.carries, depth)
                self.line(depth, "while")
                self.line(depth + 1, f"test {self.expression(statement.condition, depth + 1)}")
                self.body(statement.body, depth + 1)
                self.step(statement.carries, depth + 1)
            elif isinstance(statement, If):
                self.line(depth, f"if {self.expression(statement.condition, depth)}")
                self.body(statement.body, depth + 1)
                if statement.orelse:
                    self.line(depth, "else")
                    self.body(statement.orelse, depth + 1)
            elif isinstance(statement, Alloc):
                self.line(depth, f"{self.name(statement.buffer)}: {describe(statement.buffer)}")

    def loop(self, loop: For, depth: int) -> None:
        extent: int | Expr | str = loop.axis.extent
        if isinstance(extent, Expr):
            extent = self.expression(extent, depth)
        self.begin(loop.carries, depth)
        kind = "for" if loop.kind == "serial" else loop.kind
        if loop.lanes > 1:
            kind += f"({loop.lanes})"
        backwards = " backwards" if loop.reverse else ""
        self.line(depth, f"{kind} {self.name(loop.axis)} < {extent}{backwards}")
        self.body(loop.body, depth + 1)
        self.step(loop.carries, depth + 1)

    def begin(self, carries: tuple[Carried, ...], depth: int) -> None:
        for carried in carries:
            start = self.expression(carried.start, depth)
            self.line(depth, f"{self.name(carried.carry)}: {short(carried.start.dtype)} = {start}")

    def step(self, carries: tuple[Carried, ...], depth: int) -> None:
        texts = [self.expression(carried.next, depth) for carried in carries]
        for carried, text in zip(carries, texts, strict=True):
            combiner = f"  # {carried.combiner}" if carried.combiner else ""
            self.line(depth, f"{self.name(carried.carry)} <- {text}{combiner}")


def short(dtype: str) -> str:
    """f32, i64, u8, bool, bf16 … for float32, int64, uint8, bool, bfloat16 …"""
    for long, brief in (("bfloat", "bf"), ("float", "f"), ("uint", "u"), ("int", "i")):
        if dtype.startswith(long):
            return brief + dtype.removeprefix(long)
    return dtype


def describe(buffer: Buffer) -> str:
    """role dtype[shape], with strides where they are not those of a C-contiguous array."""
    from_shape = []
    step = 1
    for extent in reversed(buffer.shape):
        from_shape.append(step)
        step *= max(extent, 1)
    text = f"{buffer.role} {short(buffer.dtype)}[{', '.join(map(str, buffer.shape))}]"
    if tuple(reversed(from_shape)) != tuple(buffer.strides):
        text += f" strides {tuple(buffer.strides)}"
    return text
