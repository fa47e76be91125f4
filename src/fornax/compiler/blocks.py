"""The kernel of a chain: its parts run one after the other for a block of rows.

    parallel: batch, share of the blocks
      what no block depends on (packed operands)
      block of rows
        first part, on these rows: into memory of the size of a block
        …
        last part, on these rows

Every part is emitted as it would be by itself, for a program in which the arrays have the rows of
one block only: `BlockContext` shows a product such a program, and index arithmetic does the rest.
Where rows do not divide into blocks, the last block overlaps the one before it; what both compute
is the same. Blocks do not depend on the number of threads, so results do not either.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import TYPE_CHECKING

from fornax._native import reachable
from fornax.compiler.chain import View, operand_index, product_of, summed
from fornax.compiler.emit import Draft, Emitter, GroupContext, Workspace
from fornax.compiler.groups import Fusion, Group
from fornax.compiler.kernels import KERNELS
from fornax.compiler.kernels.arithmetic import balanced
from fornax.compiler.kernels.context import parts
from fornax.compiler.kernels.gemm_decisions import WORTH_A_THREAD
from fornax.compiler.kernels.product import split
from fornax.compiler.kernels.tile_ranges import Range
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import (
    REAL,
    WIDTH,
    Axis,
    Buffer,
    Expr,
    For,
    Statement,
    Store,
    row_major,
)
from fornax.compiler.loop.rewrite import expressions, walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.target import Target
from fornax.ir.jaxpr import Equation, Var
from fornax.ir.types import ArrayType
from fornax.record import replace

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: least rows of a block, even where their values do not fit the cache: a register tile and more
FEWEST = 32
#: batches for each thread from which on they are not divided
ENOUGH = 8


def drafts(
    fusion: Fusion,
    group: Group,
    in_memory: set[Var],
    target: Target,
    threads: int,
    repeated: bool = False,
) -> list[Draft]:
    """The kernel of a chain; `repeated` does not change it."""
    emitter = BlockEmitter(fusion, group, in_memory, target, threads)
    emitter.emit()
    return emitter.drafts


class BlockEmitter(Emitter):
    """Builds the parts of a chain for one block.

    `at` are the dimensions of the current part that blocks are cut along, `here` the place in
    these: the matrix of the batch, then the first row of the block.
    """

    def __init__(
        self, fusion: Fusion, group: Group, in_memory: set[Var], target: Target, threads: int
    ):
        chain = group.chain
        assert chain is not None, "the kernels of other groups are made by `emit`"
        super().__init__(fusion, group, in_memory - chain.again, threads)
        self.target = target
        self.chain = chain
        self.flows = chain.flows
        #: some part adds up the blocks, which then must not overlap
        self.sums = any(at[-1] < 0 for at in self.chain.at)
        self.extents = next(
            tuple(part.members[-1].type.shape[d] for d in at)
            for part, at in zip(self.chain.parts, self.chain.at, strict=True)
            if at[-1] >= 0
        )
        flowing = [var for var in self.flows if var not in self.in_memory]
        places = self.shared(flowing)
        self.rows = self.block_rows(set(places.values()))
        made = {place: self.local(place) for place in dict.fromkeys(places.values())}
        self.locals = {var: made[place] for var, place in places.items()}
        self.in_memory |= set(self.locals)
        self.hoisted: list[Statement] = []
        self.statements: list[Statement] = []
        self.here: tuple[Expr, ...] = ()
        self.starts: Expr | None = None  # whether this is the first block
        self.varying: set[Axis] = set()

    # --- sizes ---
    def shared(self, flowing: list[Var]) -> dict[Var, Var]:
        """Values that take the place of one that nobody reads any more."""
        views = [View(self.fusion, part) for part in self.chain.parts]
        last = {v: max(k for k, view in enumerate(views) if v in view.places_read) for v in flowing}
        places: dict[Var, Var] = {}
        holds: dict[Var, Var] = {}  # place -> the value that lies there
        for k, (view, at) in enumerate(zip(views, self.chain.at, strict=True)):
            for var in (v for v in flowing if v in view.group.members):
                place = next(
                    (
                        place
                        for place, old in holds.items()
                        if (old.type.shape, old.type.dtype) == (var.type.shape, var.type.dtype)
                        and self.flows[old] == self.flows[var]
                        and (last[old] < k or (last[old] == k and view.replaces(old, at)))
                    ),
                    var,
                )
                places[var] = place
                holds[place] = var
        return places

    def block_rows(self, flowing: Collection[Var]) -> int:
        """Rows of a block: all that flows fits half of the second cache."""
        rows = self.extents[-1]
        each = sum(
            var.type.size // prod(self.extents) * WIDTH[var.type.dtype.name] // 8 for var in flowing
        )
        # where several dimensions make a matrix's rows, an index of the one that is cut has many
        inner = min(
            (prod(var.type.shape[self.flows[var][-1] + 1 : -1]) for var in flowing), default=1
        )
        fewest = -(-FEWEST // max(inner, 1))
        most = max(fewest, self.target.l2 // 2 // max(each, 1))
        if not self.sums:
            return balanced(rows, most)
        even = [n for n in range(min(fewest, rows), rows + 1) if rows % n == 0]
        return max((n for n in even if n <= most), default=even[0])

    def local(self, var: Var) -> Buffer:
        """Memory for the rows of one block of a value."""
        shape = list(var.type.shape)
        for d in self.flows[var][:-1]:
            shape[d] = 1
        shape[self.flows[var][-1]] = self.rows
        dtype = REAL[var.type.dtype.name]
        if len(shape) > 1:
            shape[-1] = spread(shape[-1], WIDTH[dtype] // 8)
        name = f"flow{len(self.places)}"
        buffer = Buffer(name, dtype, tuple(shape), row_major(tuple(shape)), "scratch")
        self.places[buffer] = Workspace(name, buffer.nbytes, True)
        return buffer

    # --- reading and writing ---
    def buffer(self, var: Var, role: str = "in") -> Buffer:
        if var in self.flows or role == "sum":
            role = "inout"  # one part writes it, another reads it
        return self.locals.get(var) or super().buffer(var, role)

    def load(self, var: Var, index: tuple[Expr, ...]) -> Value:
        if var in self.locals:
            return self.b.load(self.locals[var], self.inside(var, index), var.type.dtype.name)
        return super().load(var, index)

    def stores(self, var: Var, index: Sequence[Expr], value: Value) -> tuple[Store, ...]:
        if var in self.locals:
            (real,) = parts(value)  # no complex value flows
            return (Store(self.locals[var], self.inside(var, index), real),)
        return super().stores(var, index, value)

    def inside(self, var: Var, index: Sequence[Expr]) -> tuple[Expr, ...]:
        """The index in the memory of a block for one in the whole array."""
        found = list(index)
        for d, first in zip(self.flows[var], self.here, strict=True):
            found[d] = self.b.sub(index[d], first)
        return tuple(found)

    # --- the nest ---
    def emit(self) -> None:
        b = self.b
        *batch_extents, rows = self.extents
        batch, blocks = prod(batch_extents), -(-rows // self.rows)
        pieces = 1
        if batch % self.threads and batch < ENOUGH * self.threads and not self.sums:
            pieces = min(blocks, self.threads)
        task = Axis(batch * pieces, "task")
        matrix = b.idiv(b.axis(task), b.index(pieces))
        share = Range.piece(b, blocks, pieces, b.imod(b.axis(task), b.index(pieces)))
        place = split(b, matrix, tuple(batch_extents))

        def block(here: Range) -> tuple[Statement, ...]:
            first = b.mul(here.first, b.index(self.rows))
            if rows % self.rows:
                first = b.min(first, b.index(rows - self.rows))
            self.here = (*place, first)
            self.starts = b.eq(here.first, b.index(0))
            self.varying = {n.data for n in reachable((here.first,)) if n.kind == "axis"} - {task}
            self.statements = []
            for part, at in zip(self.chain.parts, self.chain.at, strict=True):
                self.part(part, at)
            return tuple(self.statements)

        loop = share.loop(b, 1, block, "block")
        work = sum(self.work(p) for p in self.chain.parts)
        grain = max(1, WORTH_A_THREAD * task.length // max(work, 1))
        body = (*self.hoisted, loop)
        self.add((For(task, body, kind="parallel"),), task.length, grain)

    def work(self, part: Group) -> int:
        """Multiplications of a part."""
        product = product_of(part)
        if product is None:
            return prod(part.shape)
        return product.outputs[0].type.size * prod(summed(product))

    def part(self, part: Group, at: tuple[int, ...]) -> None:
        """The statements of one part for the rows of the block."""
        self.members = set(part.members)
        self.memo.clear()
        self.results.clear()
        product = product_of(part)
        if product is not None:
            KERNELS[product.primitive.name](BlockContext(self, part, product, at))
            return
        b = self.b
        axes = [Axis(n, f"i{d}") for d, n in enumerate(part.shape)]
        axes[at[-1]] = Axis(self.rows, "row")
        index = [b.axis(a) for a in axes]
        for d, first in zip(at, self.here, strict=True):
            index[d] = first if d != at[-1] else b.add(first, index[d])
        loops = [d for d in range(len(axes)) if d not in at[:-1]]
        entries, ranks = [], []
        members = [v for v in reversed(part.members) if v in self.in_memory]
        values = [self.value(v, index[: len(v.type.shape)]) for v in members]
        for var, value in zip(members, values, strict=True):
            depth = part.depth_of(var)
            here = self.place(var, index[: len(var.type.shape)])
            for store in self.stores(var, here, value):
                entries.append((store.buffer, store.index, store.value))
                ranks.append(sum(d < depth for d in loops))
        self.statements += nest(b, [axes[d] for d in loops], entries, ranks=ranks)

    def is_fixed(self, statements: Sequence[Statement]) -> bool:
        """Whether statements do the same for every block of a task."""
        used = reachable(expressions(statements))
        flowing = set(self.locals.values())
        return not any(
            (n.kind == "axis" and n.data in self.varying)
            or (n.kind == "load" and (n.data in flowing or n.data.role == "inout"))
            for n in used
        ) and all(s.buffer.role == "scratch" for s in walk(statements) if isinstance(s, Store))


def spread(length: int, width: int) -> int:
    """A row's length in elements, made an odd number of cache lines if it is long: rows then lie
    in different sets of the cache."""
    line = max(1, 64 // width)
    return length if length <= line else (-(-length // line) | 1) * line


class BlockContext(GroupContext):
    """A product whose operands and result have the rows of one block."""

    emitter: BlockEmitter

    def __init__(self, emitter: BlockEmitter, part: Group, product: Equation, at: tuple[int, ...]):
        super().__init__(emitter, product, emitter.target)
        self.threads = 1
        self.hoists = True
        self.followers = [v for v in part.members if v not in product.outputs]
        (result,) = product.outputs
        self.moves = [
            {d: first for d, first in zip(places, emitter.here, strict=True) if d >= 0}
            for places in (*cuts(product, at), at)
        ]
        self.adds = at[-1] < 0
        rows = emitter.here[-1]
        types = []
        for type, move in zip((*self.inputs, result.type), self.moves, strict=True):
            shape = list(type.shape)
            for d, first in move.items():
                shape[d] = emitter.rows if first is rows else 1
            types.append(ArrayType(tuple(shape), type.dtype))
        self.inputs, self.outputs = tuple(types[:-1]), tuple(types[-1:])

    def moved(self, index: Sequence[Expr], move: dict[int, Expr]) -> tuple[Expr, ...]:
        b = self.b
        return tuple(b.add(move[d], e) if d in move else e for d, e in enumerate(index))

    def operand(self, i: int, index: Sequence[Expr]) -> Value:
        return super().operand(i, self.moved(index, self.moves[i]))

    def store(self, j: int, index: Sequence[Expr], value: Value) -> tuple[Store, ...]:
        index = self.moved(index, self.moves[-1])
        if self.adds:
            b, result = self.b, self.equation.outputs[0]
            total = b.load(self.emitter.buffer(result, "sum"), self.emitter.place(result, index))
            first = self.emitter.starts
            assert first is not None, "products run block by block"
            value = b.select(first, value, b.add(value, total))
        return super().store(j, index, value)

    def workspace(self, name: str, dtype: DtypeName, shape: tuple[int, ...]) -> Buffer:
        return self.scratch(name, dtype, shape)  # of one block, hence of one worker

    def prepare(self, statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
        if self.emitter.is_fixed(statements):
            self.emitter.hoisted += statements
            return ()
        return statements

    def emit(
        self, body: tuple[Statement, ...], extent: int = 1, grain: int = 1, follows: bool = False
    ) -> None:
        """The nest runs inside of a block: its own parallel loop becomes a serial one."""
        for statement in body:
            if isinstance(statement, For) and statement.kind == "parallel":
                statement = replace(statement, kind="serial")
            self.emitter.statements.append(statement)


def cuts(equation: Equation, at: tuple[int, ...]) -> list[tuple[int, ...]]:
    """For each operand its dimensions that go with the dimensions `at`, or -1."""
    b = Builder()
    index = [b.axis(Axis(2)) for _ in equation.outputs[0].type.shape]
    depth = [b.axis(Axis(2)) for _ in summed(equation)]
    wanted = [index[d] if d >= 0 else depth[-1 - d] for d in at]
    found = []
    for side in range(2):
        places = operand_index(equation, side, index, depth)
        found.append(tuple(places.index(e) if e in places else -1 for e in wanted))
    return found
