"""What a kernel sees of the program around it.

A heavy operation owns its loop nest, but not its surroundings: an operand may be plain memory or an
expression fused into the read (prologue), and the result may be changed on its way to memory
(epilogue). `KernelContext` is that view. The planner subclasses it; `MemoryContext` is the concrete
one where every operand and result is plain memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import (
    COMPLEX,
    REAL,
    Axis,
    Buffer,
    Expr,
    Kernel,
    Pair,
    Statement,
    Store,
    row_major,
)
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk
from fornax.compiler.target import Target
from fornax.errors import InternalError
from fornax.ir.jaxpr import Atom, Jaxpr, Literal, Var
from fornax.ir.types import ArrayType
from fornax.record import replace

if TYPE_CHECKING:
    from fornax._native import DtypeName


class KernelContext(ABC):
    """One heavy operation being lowered.

    Attributes:
      b: the expression builder shared by all nests of the operation.
      params: the primitive's parameters.
      inputs, outputs: array types (`.shape`, `.dtype`) of operands and results.
      target: the machine (`lanes(dtype)`, `registers`, `name`, `l1`, `l2`).
      threads: how many threads may run a nest.
    """

    b: Builder
    params: dict[str, Any]
    inputs: tuple[ArrayType, ...]
    outputs: tuple[ArrayType, ...]
    target: Target
    threads: int
    #: each element may be stored once only: what is stored is added to what is there
    adds: bool = False
    #: what `prepare` gets, or a nest of its own, may run once, before many calls of the main nest
    hoists: bool = False

    # --- what the planner provides ---
    @abstractmethod
    def operand(self, i: int, index: Sequence[Expr]) -> Value:
        """Element of operand `i` at int64 `index`, one expression per dimension."""

    @abstractmethod
    def operand_buffer(self, i: int) -> Buffer | None:
        """The memory of operand `i`, or None when reading it computes something."""

    @abstractmethod
    def store(self, j: int, index: Sequence[Expr], value: Value) -> tuple[Store, ...]:
        """Write `value` as element `index` of result `j`."""

    @abstractmethod
    def output_buffer(self, j: int) -> Buffer:
        """The memory of result `j`, for kernels that read back what they wrote."""

    @abstractmethod
    def workspace(self, name: str, dtype: DtypeName, shape: tuple[int, ...]) -> Buffer:
        """Row-major memory shared by the nests of this operation, uninitialised."""

    @abstractmethod
    def scratch(self, name: str, dtype: DtypeName, shape: tuple[int, ...]) -> Buffer:
        """Row-major memory private to each worker, uninitialised."""

    @abstractmethod
    def constant(self, name: str, dtype: DtypeName, values: np.ndarray) -> Buffer:
        """Row-major memory that holds numbers, in `dtype`, which nothing changes."""

    @abstractmethod
    def emit(
        self, body: tuple[Statement, ...], extent: int = 1, grain: int = 1, follows: bool = False
    ) -> None:
        """Append one nest. It starts when the nests before it have ended.

        `extent` is the extent of its parallel loop (1 without one); `grain` the least number of
        its iterations worth giving to a thread. A nest that `follows` the one before, of the same
        extent, may run an iteration as soon as that has run this one and all before it: what they
        have read or written is still in the caches then.
        """

    def prepare(self, statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """Statements that copy an operand into scratch memory: they are returned, unless they are
        the same for all calls of the nest and can run before it."""
        return statements

    # --- what follows from it ---
    def apply(self, function: Jaxpr, *values: Value) -> list[Value]:
        """Results of a program of scalars, whose operations all have element rules."""
        b = self.b
        known: dict[Var, Value] = {}
        for variable, constant in zip(function.inputs, function.consts, strict=False):
            scalar = np.asarray(constant)
            known[variable] = b.const(scalar.item(), scalar.dtype.name)
        known.update(zip(function.inputs[len(function.consts) :], values, strict=True))

        def read(atom: Atom) -> Value:
            if isinstance(atom, Literal):
                return b.const(np.asarray(atom.value).item(), atom.type.dtype_name)
            return known[atom]

        for equation in function.equations:
            operands = [read(atom) for atom in equation.inputs]
            primitive, params = equation.primitive, equation.params
            if isinstance(params.get("jaxpr"), Jaxpr):
                results = self.apply(params["jaxpr"], *operands)
            elif primitive.has_element:
                elements = [lambda index, value=value: value for value in operands]
                types = [atom.type for atom in equation.inputs]
                results = primitive.element(b, types, elements, (), **params)
            else:
                raise InternalError(
                    f"{primitive.name} cannot run inside of a kernel: it has no element rule"
                )
            known.update(zip(equation.outputs, results, strict=True))
        return [read(atom) for atom in function.outputs]

    def operand_where(self, i: int, index: Sequence[Expr], mask: Expr) -> Value:
        """Element of operand `i` where `mask` holds, else 0, without touching memory there."""
        value = guard(self.b, self.operand(i, index), mask)
        zero = self.b.const(0, self.inputs[i].dtype_name)
        return self.b.select(mask, value, zero)

    def store_where(
        self, j: int, index: Sequence[Expr], value: Value, mask: Expr
    ) -> tuple[Store, ...]:
        """Write element `index` of result `j` where `mask` holds."""
        return tuple(guard_store(self.b, s, mask) for s in self.store(j, index, value))

    def contiguous_dimension(self, i: int) -> int | None:
        """The dimension along which neighbours of operand `i` are neighbours in memory.

        None when there is none (or when the operand has no dimension longer than 1). Reads fused
        into the operand are inspected, the one that depends on the most dimensions decides.
        """
        shape = self.inputs[i].shape
        buffer = self.operand_buffer(i)
        if buffer is not None:
            strides = buffer.strides[: len(shape)]
            unit = 2 if len(buffer.shape) > len(shape) else 1  # complex: pairs of floats
            found = [d for d, n in enumerate(shape) if n > 1 and strides[d] == unit]
            return found[-1] if found else None
        axes = [Axis(max(n, 2), f"d{d}") for d, n in enumerate(shape)]
        value = self.operand(i, [self.b.axis(a) for a in axes])
        best: dict[Axis, int | None] = {}
        for load in loads(value):
            steps = steps_of(self.b, load)
            if len(steps) > len(best):
                best = steps
        found = [d for d, n in enumerate(shape) if n > 1 and best.get(axes[d]) in (1, 2)]
        return found[-1] if found else None


# --- expressions ------------------------------------------------------------------------------
def parts(value: Value) -> tuple[Expr, ...]:
    """The expressions of a value: two for a complex one."""
    return tuple(value) if isinstance(value, Pair) else (value,)


def loads(value: Value) -> list[Expr]:
    """The loads below `value`."""
    return [e for e in reachable(parts(value)) if e.kind == "load"]


def weight(*values: Value) -> int:
    """How many operations and loads computing `values` takes, index arithmetic left out."""
    found = reachable(tuple(part for value in values for part in parts(value)))
    data = (e for e in found if e.dtype != "int64" or e.kind == "load")
    return sum(1 for e in data if e.kind in ("load", "op"))


def steps_of(b: Builder, load: Expr) -> dict[Axis, int | None]:
    """How far one step of each axis moves a load, in elements; None where that is not constant."""
    rank = len(load.data.shape)
    offset = affine.sum_of(b, *zip(load.args[:rank], load.data.strides, strict=True))
    terms, _ = affine.linear(offset)
    steps: dict[Axis, int | None] = {}
    for part, factor in terms:
        if part.kind == "axis":
            steps.setdefault(part.data, factor)
        else:
            steps.update((e.data, None) for e in reachable((part,)) if e.kind == "axis")
    return steps


def guard(b: Builder, value: Value, mask: Expr) -> Value:
    """`value` with every load below it made safe where `mask` is false (it then reads 0)."""
    if mask.kind == "const" and mask.data:
        return value

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if expr.kind != "load":
            return None
        rank = len(expr.data.shape)
        here = b.op("and", args[rank], mask) if expr.masked else mask
        other = args[rank + 1] if expr.masked else b.const(0, expr.dtype)
        return b.load(expr.data, args[:rank], mask=here, other=other)

    rewrite = Rewriter(b, rule=rule)
    if isinstance(value, Pair):
        return Pair(rewrite(value.real), rewrite(value.imag))
    return rewrite(value)


def guard_store(b: Builder, store: Store, mask: Expr) -> Store:
    """`store`, done (and its value read) only where `mask` holds as well."""
    if mask.kind == "const" and mask.data:
        return store
    here = mask if store.mask is None else b.op("and", store.mask, mask)
    return replace(store, value=guard(b, store.value, mask), mask=here)


# --- plain memory -----------------------------------------------------------------------------
def array_buffer(
    name: str, dtype: str, shape: Sequence[int], role: str, strides: Sequence[int] | None = None
) -> Buffer:
    """The buffer of an array: a complex one gets a last dimension of two floats."""
    shape = tuple(shape)
    strides = row_major(shape) if strides is None else tuple(strides)
    if dtype in COMPLEX:
        strides = tuple(2 * s for s in strides)
        return Buffer(name, COMPLEX[dtype], (*shape, 2), (*strides, 1), role)
    return Buffer(name, REAL[dtype], shape, strides, role)


class MemoryContext(KernelContext):
    """Every operand and result is plain memory of its own; nests are collected in `kernels`.

    `strides` gives an operand's strides in elements where it is not row-major. A result whose
    first state is an operand (`STARTS_AS`) has to be copied there by the caller.
    """

    def __init__(
        self,
        params: dict[str, Any],
        inputs: Sequence[ArrayType],
        outputs: Sequence[ArrayType],
        target: Target,
        threads: int = 1,
        strides: Sequence[Sequence[int] | None] | None = None,
        name: str = "kernel",
    ):
        self.b = Builder()
        self.params = params
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.target = target
        self.threads = threads
        self.name = name
        steps = strides or [None] * len(self.inputs)
        self.operands = tuple(
            array_buffer(f"in{i}", t.dtype_name, t.shape, "in", s)
            for i, (t, s) in enumerate(zip(self.inputs, steps, strict=True))
        )
        self.results = tuple(
            array_buffer(f"out{j}", t.dtype_name, t.shape, "inout")
            for j, t in enumerate(self.outputs)
        )
        self.workspaces: list[Buffer] = []
        self.constants: dict[Buffer, np.ndarray] = {}
        self.kernels: list[Kernel] = []

    def operand(self, i: int, index: Sequence[Expr]) -> Value:
        return self.b.load(self.operands[i], tuple(index), self.inputs[i].dtype_name)

    def operand_buffer(self, i: int) -> Buffer:
        return self.operands[i]

    def store(self, j: int, index: Sequence[Expr], value: Value) -> tuple[Store, ...]:
        return stores(self.b, self.results[j], index, value)

    def output_buffer(self, j: int) -> Buffer:
        return self.results[j]

    def workspace(self, name: str, dtype: DtypeName, shape: tuple[int, ...]) -> Buffer:
        buffer = Buffer(name, dtype, tuple(shape), row_major(tuple(shape)), "inout")
        self.workspaces.append(buffer)
        return buffer

    def scratch(self, name: str, dtype: DtypeName, shape: tuple[int, ...]) -> Buffer:
        return Buffer(name, dtype, tuple(shape), row_major(tuple(shape)), "scratch")

    def constant(self, name: str, dtype: DtypeName, values: np.ndarray) -> Buffer:
        buffer = Buffer(name, dtype, values.shape, row_major(values.shape), "in")
        self.constants[buffer] = np.ascontiguousarray(values, dtype)
        return buffer

    def emit(
        self, body: tuple[Statement, ...], extent: int = 1, grain: int = 1, follows: bool = False
    ) -> None:
        name = f"{self.name}_{len(self.kernels)}"
        self.kernels.append(Kernel(name, buffers_of(body), tuple(body), extent, grain))


def stores(b: Builder, buffer: Buffer, index: Sequence[Expr], value: Value) -> tuple[Store, ...]:
    """The statements that write one element: two for a complex one."""
    if isinstance(value, Pair):
        return tuple(Store(buffer, (*index, b.index(p)), part) for p, part in enumerate(value))
    return (Store(buffer, tuple(index), value),)


def buffers_of(body: Sequence[Statement]) -> tuple[Buffer, ...]:
    """Buffers a nest touches, those it reads first, without its own local ones."""
    found: dict[Buffer, None] = {}
    for expr in reachable(expressions(body)):
        if expr.kind == "load":
            found.setdefault(expr.data)
    for statement in walk(body):
        if isinstance(statement, Store):
            found.setdefault(statement.buffer)
    return tuple(buffer for buffer in found if buffer.role != "local")
