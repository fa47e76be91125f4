"""Running kernels in NumPy: the oracle of the code generator, and a back end of last resort.

Loops without carries and without memory that is both read and written are run for all their
iterations at once (each adds a leading dimension to the values); all others step by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from fornax._native import reachable
from fornax.compiler.loop.ir import (
    STORAGE,
    Alloc,
    Axis,
    Buffer,
    Carry,
    Expr,
    For,
    If,
    Kernel,
    Statement,
    Store,
    While,
)
from fornax.compiler.loop.meaning import evaluate, numpy_dtype
from fornax.compiler.loop.rewrite import expressions, walk
from fornax.errors import InternalError


def interpret(
    kernel: Kernel,
    arrays: Sequence[np.ndarray],
    begin: int = 0,
    end: int | None = None,
    params: Sequence[int] = (),
) -> None:
    """Run a kernel on C-contiguous arrays, one per buffer and in their order, writing results
    into them. [begin, end) is the chunk of its parallel loop (all of it by default); complex
    arrays may be passed for their float buffers."""
    memory = {}
    for buffer, array in zip(kernel.buffers, arrays, strict=True):
        if not array.flags.c_contiguous:
            raise InternalError(f"buffer {buffer.name}: the array is not C-contiguous")
        dtype = numpy_dtype(buffer.dtype)
        memory[buffer] = array.reshape(-1).view(dtype) if array.size else np.empty(0, dtype)
    end = kernel.extent if end is None else end
    Interpreter(memory, begin, end, params).run(kernel.body)


class Interpreter:
    def __init__(
        self, memory: dict[Buffer, np.ndarray], begin: int, end: int, params: Sequence[int]
    ):
        self.memory = memory
        self.chunk = (begin, end)
        self.params = params
        self.bound: dict[
            tuple[str, Axis | Carry], np.ndarray
        ] = {}  # (kind, axis or carry) -> value
        self.memo: dict[Expr, np.ndarray] = {}
        self.dimensions = 0

    # --- expressions ---
    def value(self, root: Expr) -> np.ndarray:
        memo = self.memo
        if root not in memo:
            for node in reachable((root,), memo.__contains__):
                if node not in memo:
                    memo[node] = self.compute(node)
        return memo[root]

    def compute(self, node: Expr) -> np.ndarray:
        kind = node.kind
        if kind == "const":
            return np.asarray(node.data, numpy_dtype(node.dtype))
        if kind == "param":
            return np.asarray(self.params[node.data], np.int64)
        args = [self.memo[a] for a in node.args]
        if kind == "op":
            return evaluate(node.data, tuple(args), node.dtype)
        if kind == "load":
            return self.load(node, args)
        if kind == "table":
            return np.asarray(node.data, numpy_dtype(node.dtype))[args[0] % len(node.data)]
        return self.bound[kind, node.data]

    def load(self, node: Expr, args: list[np.ndarray]) -> np.ndarray:
        buffer = node.data
        memory = self.memory[buffer]
        offset = self.offset(buffer, args)
        dtype = numpy_dtype(node.dtype)
        if node.masked:
            mask, other = args[-2:]
            if not memory.size:
                return np.broadcast_to(other, np.broadcast_shapes(mask.shape, offset.shape))
            return np.where(mask, read(memory, np.where(mask, offset, 0), dtype), other)
        return read(memory, offset, dtype)

    def offset(self, buffer: Buffer, index: Sequence[np.ndarray]) -> np.ndarray:
        total = np.asarray(0, np.int64)
        for value, stride in zip(index, buffer.strides, strict=False):
            total = total + value * stride
        return total

    # --- statements ---
    def run(self, body: Iterable[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Store):
                self.store(statement)
            elif isinstance(statement, For):
                self.loop(statement)
            elif isinstance(statement, While):
                self.begin(statement)
                while bool(self.value(statement.condition)):
                    self.run(statement.body)
                    self.step(statement)
                self.finish(statement)
            elif isinstance(statement, If):
                chosen = bool(self.value(statement.condition))
                self.run(statement.body if chosen else statement.orelse)
            elif isinstance(statement, Alloc):
                buffer = statement.buffer
                self.memory[buffer] = np.zeros(buffer.size, numpy_dtype(buffer.dtype))

    def store(self, store: Store) -> None:
        memory = self.memory[store.buffer]
        offset = self.offset(store.buffer, [self.value(i) for i in store.index])
        value = self.value(store.value)
        if value.dtype != memory.dtype:
            raw = store.buffer.dtype in STORAGE and value.dtype.kind == "u"
            to = memory.dtype
            value = value.view(to) if raw else evaluate("cast", (value,), to.name)
        # Inner loops come first in the shape: transposed, places written twice keep the last value.
        mask = np.True_ if store.mask is None else self.value(store.mask)
        mask, offset, value = (a.T for a in np.broadcast_arrays(mask, offset, value))
        memory[offset[mask]] = value[mask]
        self.memo.clear()

    def loop(self, loop: For) -> None:
        extent = loop.axis.extent
        begin, end = 0, int(self.value(extent)) if isinstance(extent, Expr) else extent
        if loop.kind == "parallel":
            begin, end = self.chunk
        if begin >= end and not loop.carries:
            return
        key = ("axis", loop.axis)
        if independent(loop):
            self.bound[key] = np.arange(begin, end).reshape(-1, *(1,) * self.dimensions)
            self.dimensions += 1
            self.memo.clear()
            self.run(loop.body)
            self.dimensions -= 1
            self.memo.clear()
            return
        self.begin(loop)
        steps = range(begin, end)
        for position in reversed(steps) if loop.reverse else steps:
            self.bound[key] = np.asarray(position, np.int64)
            self.memo.clear()
            self.run(loop.body)
            self.step(loop)
        self.finish(loop)

    def begin(self, loop: For | While) -> None:
        for carried in loop.carries:
            self.bound["carry", carried.carry] = self.value(carried.start)
        self.memo.clear()

    def step(self, loop: For | While) -> None:
        values = [self.value(carried.next) for carried in loop.carries]
        for carried, value in zip(loop.carries, values, strict=True):
            self.bound["carry", carried.carry] = value
        self.memo.clear()

    def finish(self, loop: For | While) -> None:
        for carried in loop.carries:
            self.bound["final", carried.carry] = self.bound["carry", carried.carry]
        self.memo.clear()


def read(memory: np.ndarray, offset: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Elements of flat memory as `dtype`: converted, or as raw bits where that is what is asked."""
    found = memory[offset]
    if found.dtype == dtype:
        return np.asarray(found)
    found = np.asarray(found)
    if dtype.kind == "u" and found.dtype.kind in "fV":
        return found.view(dtype)
    return evaluate("cast", (found,), dtype.name)


def independent(loop: For) -> bool:
    """True when all iterations may run at once: no carries, branches, memory read and written."""
    if loop.carries or loop.reverse:
        return False
    written = set()
    for statement in walk(loop.body):
        if isinstance(statement, If | While | Alloc):
            return False
        if isinstance(statement, For) and isinstance(statement.axis.extent, Expr):
            return False
        if isinstance(statement, Store):
            written.add(statement.buffer)
    if not written:
        return False
    nodes = reachable(expressions(loop.body))
    return all(node.kind != "load" or node.data not in written for node in nodes)
