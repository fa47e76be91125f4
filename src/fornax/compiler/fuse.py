"""Fusion: which values become memory, and which kernel computes what.

One backward walk over the program. Every value is read by kernels ("groups") at known indices,
because an operation's element rule says where it reads its operands. A value that all its readers
want at the same place is computed there and never stored; where readers disagree, or where
computing it again would cost more than memory, a buffer appears and with it a group of its own.
Reductions inside a kernel are loops inside its expressions, so softmax is one kernel.

Heavy operations (those with a kernel of their own) are groups too: cheap producers are read through
their loads (prologue), one group that reads their result element by element becomes their epilogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fornax.compiler import cost
from fornax.compiler.fusible import Facts
from fornax.compiler.groups import Fusion, Group, Read, starts_as
from fornax.compiler.kernels import KERNELS
from fornax.compiler.loop import keep
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Expr
from fornax.compiler.order import Order
from fornax.compiler.reads import axes_of, operand_reads
from fornax.compiler.sequence import in_order, readers_first
from fornax.ir.jaxpr import Equation, Jaxpr, Var

#: heavy operations whose kernels can compute more from each result element before storing it
EPILOGUE = frozenset(("dot_general", *(name for name in KERNELS if name.startswith("cum"))))
#: heavy operations that read each element of an operand once, others about once
READ_ONCE = frozenset(("concatenate", *(name for name in KERNELS if name.startswith("scatter"))))
PROLOGUE = READ_ONCE | {"dft", "dot_general", "sort"}
NOTHING: set[Var] = set()


def fuse(jaxpr: Jaxpr) -> Fusion:
    """Decide kernels and buffers for a canonical program.

    Whether a value is cheap to compute again depends on which others are stored, so the walk is
    taken twice: the second knows what the first has stored.
    """
    facts = Facts(jaxpr)
    chain = cost.chains(jaxpr, facts.stops)
    first = _Walk(facts, chain).run()
    likely = {
        v for v, group in first.stored.items()
        if group.equation is None or chain[v].work > cost.CHEAP
    }  # fmt: skip
    again = cost.chains(jaxpr, facts.stops, likely)
    return first if again == chain else _Walk(facts, again).run()


class _Walk:
    def __init__(self, facts: Facts, chain: dict[Var, cost.Chain]):
        self.facts = facts
        self.jaxpr = facts.jaxpr
        self.chain = chain
        self.b = Builder()
        self.reads: dict[Var, dict[tuple[Any, ...], Read]] = {}
        self.stored: dict[Var, Group] = {}
        self.groups: list[Group] = []
        self.order = Order()
        #: the group with effects that the walk met last
        self.later: Group | None = None
        self.merged: dict[Group, Group] = {}
        self.forced: set[Var] = facts.outputs | facts.barriers
        self.definition = facts.definition
        self.axes: dict[tuple[Expr, ...], list[Axis]] = {}

    def run(self) -> Fusion:
        for equation in reversed(self.jaxpr.equations):
            if equation in self.facts.elementwise:
                self.elementwise(equation)
            else:
                self.heavy(equation)
        self.merge_siblings()
        readers = {v: {self.alive(g) for g, _ in table} for v, table in self.reads.items()}
        alive = [g for g in self.groups if g.members or g.equation is not None]
        readers_first(alive, self.order, self.reads)
        return Fusion(in_order(alive, self.jaxpr), self.stored, self.definition, readers)

    # --- reads ---
    def record(self, var: Var, read: Read) -> None:
        group = read.group
        table = self.reads.get(var)
        if table is None:
            self.reads[var] = {(group, read.at): read}
        else:
            table.setdefault((group, read.at), read)
        needed = self.stored.get(var)
        if needed is not None and needed is not group:
            self.order.need(group, needed)

    def readers(self, equation: Equation) -> list[Read]:
        """Distinct reads of any result of an equation."""
        if len(equation.outputs) == 1:
            return list(self.reads.get(equation.outputs[0], {}).values())
        found: dict[tuple[Any, ...], Read] = {}
        for var in equation.outputs:
            found.update(self.reads.get(var, {}))
        return list(found.values())

    # --- decisions ---
    def elementwise(self, equation: Equation) -> None:
        reads = self.readers(equation)
        forced = any(v in self.forced for v in equation.outputs)
        if not reads and not forced:
            return
        reduces = self.facts.reduces(equation)
        if not forced and all(self.may_inline(equation, r, reads, reduces) for r in reads):
            for read in reads:
                self.inline(equation, read)
                read.group.has_reduction |= reduces
            return
        self.store(equation, reads, reduces)

    def inline(self, equation: Equation, read: Read) -> None:
        """Compute the equation inside a reading group, where it is read."""
        read.group.work += cost.own_cost(equation)
        read.group.unrolled |= self.is_shared(equation, read)
        if read.at is None:  # a heavy operation: it may read any element
            axes = tuple(Axis(n) for n in equation.outputs[0].type.shape)
            every = [self.b.axis(a) for a in axes]
            for var, _, _ in operand_reads(self.b, equation, every, axes):
                self.record(var, Read(read.group, None, ()))
            return
        # it is computed where the innermost axis it depends on is known, not further inside
        outer = read.path[: self.depth(read.at, read.path)]
        if equation.primitive.pointwise:
            same = Read(read.group, read.at, outer)
            for atom in equation.inputs:
                if isinstance(atom, Var):
                    self.record(atom, same if atom.type.shape else same._replace(at=()))
            return
        for var, index, path in operand_reads(self.b, equation, read.at, outer):
            self.record(var, Read(read.group, index, path))

    def depth(self, at: tuple[Expr, ...], path: tuple[Axis, ...]) -> int:
        """How many loops of its path a value depends on, counted to the innermost."""
        used = self.axes_of(at)
        for count in range(len(path), 0, -1):
            if path[count - 1] in used:
                return count
        return 0

    def axes_of(self, index: tuple[Expr, ...]) -> list[Axis]:
        """The axes that an index depends on; the same indices come again and again."""
        found = self.axes.get(index)
        if found is None:
            found = self.axes[index] = axes_of(index)
        return found

    def may_inline(self, equation: Equation, read: Read, reads: list[Read], reduces: bool) -> bool:
        chain = self.chain[equation.outputs[0]]
        group = read.group
        if group.work + cost.own_cost(equation) > cost.LARGEST:
            return False
        if equation.primitive.name == "concatenate":
            used = () if read.at is None else self.axes_of(read.at)
            if group.equation is not None or not set(used) <= set(group.axes):
                return False  # only loops over elements are cut where pieces meet
            if chain.work > cost.CHEAP:
                return False  # where they are not, all pieces are computed everywhere
        moves = chain.work == 0 and not reduces
        if read.at is not None and (expands(equation) or chain.spread):
            return group.equation is None or group.equation.primitive.name in EPILOGUE
        if read.at is None:
            heavy = group.equation
            if reduces or heavy is None or heavy.primitive.name not in PROLOGUE:
                return False
            if starts_as(heavy) in equation.inputs:
                return False  # what reads the array that is updated would not see it as it was
            once = heavy.primitive.name in READ_ONCE
            most = cost.CHEAP if once else cost.PROLOGUE
            return moves or (chain.whole <= most and (len(reads) == 1 or chain.spread))
        if len(reads) > 1:
            alone = all(r.group is group for r in reads)
            if alone and not reduces and self.along_a_row(equation, reads):
                dear = False  # the loops over the row have it in common: the first keeps it
            elif alone and len(reads) <= cost.RECOMPUTATIONS:
                dear = chain.work > cost.RECOMPUTED
            else:
                dear = chain.again > cost.CHEAP
            if reduces or dear:
                return False
        if reduces:
            used = self.axes_of(read.at)
            if group.equation is not None:
                return False  # kernels of heavy operations have no loops of their readers
            if equation.inputs[0].type.size >= cost.LARGE and set(used) - set(group.axes):
                if prod(group.shape) < cost.ROWS:
                    return False  # inside another reduction: by itself it can run in parallel
            plain = all(e.kind in ("axis", "const") for e in read.at)
            path = read.path
            if group.unrolled and group.axes[-1] not in used:
                path = tuple(a for a in path if a is not group.axes[-1])
            return plain and set(used) == set(path[: len(used)])
        if group.equation is not None and group.equation.primitive.name not in EPILOGUE:
            return False
        # would it be computed again in every iteration of a loop it does not depend on?
        return (
            chain.work <= cost.DEAR
            or self.repeats(read.at, read.path) == 1
            or self.is_shared(equation, read)
        )

    def along_a_row(self, equation: Equation, reads: list[Read]) -> bool:
        """Whether a value is read by several loops over one of many rows, which is not long."""
        group, type = reads[0].group, equation.outputs[0].type
        if group.equation is not None or len(type.shape) < 2:
            return False
        if not keep.SHORTEST <= type.shape[-1] <= keep.LARGEST // type.dtype.itemsize:
            return False
        places = [r.at for r in reads if r.at is not None]
        *outer, _ = places[0]
        inner = [at[-1] for at in places]
        return (
            all([*at[:-1]] == outer for at in places)
            and all(i.kind == "axis" and i.data.extent == type.shape[-1] for i in inner)
            and not {i.data for i in inner} & set(self.axes_of(tuple(outer)))
        )

    def repeats(self, at: tuple[Expr, ...], path: tuple[Axis, ...]) -> int:
        """How often a value is computed if that is done where it is read."""
        used = self.axes_of(at)
        return prod(a.length for a in path[: self.depth(at, path)] if a not in used)

    def is_shared(self, equation: Equation, read: Read) -> bool:
        """Whether a dear value inside a reduction is the same for all elements along the last
        dimension of its group, which is short: they are computed together then."""
        group = read.group
        if group.equation is not None or not group.shape or read.at is None:
            return False
        short = group.axes[-1]
        if not 1 < group.shape[-1] <= cost.SHORT or prod(group.shape[:-1]) < cost.ROWS:
            return False
        if not set(read.path) - set(group.axes) or short in self.axes_of(read.at):
            return False
        if self.chain[equation.outputs[0]].work <= cost.DEAR:
            return False
        return (
            self.repeats(read.at, read.path) == group.shape[-1] and group.work <= cost.LARGEST // 4
        )

    def store(self, equation: Equation, reads: list[Read], reduces: bool) -> None:
        """Give the equation's results memory, in a group that fits or in a new one."""
        shape = equation.outputs[0].type.shape
        used = [v for v in equation.outputs if v in self.reads or v in self.forced]
        group = self.group_to_join(used, shape, reads, reduces)
        if group is None:
            axes = tuple(Axis(n) for n in shape)
            group = self.new_group(shape, axes)
        group.has_reduction |= reduces
        group.work += cost.own_cost(equation)
        self.adopt(used, group, reads)
        own, loops = self.at(group, shape), group.axes[: group.depth(shape)]
        for var, index, path in operand_reads(self.b, equation, own, loops):
            self.record(var, Read(group, index, path))

    def adopt(self, variables: Sequence[Var], group: Group, reads: list[Read]) -> None:
        group.members.extend(variables)
        for var in variables:
            self.stored[var] = group
        for read in reads:
            if read.group is not group:
                self.order.need(read.group, group)

    def new_group(
        self, shape: tuple[int, ...], axes: tuple[Axis, ...], equation: Equation | None = None
    ) -> Group:
        index = tuple(self.b.axis(a) for a in axes)
        group = Group(len(self.groups), shape, axes, index, equation=equation)
        self.groups.append(group)
        self.order.add(group)
        return group

    def group_to_join(
        self, used: list[Var], shape: tuple[int, ...], reads: list[Read], reduces: bool
    ) -> Group | None:
        """A group over the same domain that reads these values element by element, or over one
        with more inner dimensions: what belongs to a row is stored once for each row."""
        for group in dict.fromkeys(r.group for r in reads):
            if group.work > cost.LARGEST or not self.covers(group, shape):
                continue
            if group.equation is not None and (
                reduces or group.equation.primitive.name not in EPILOGUE
            ):
                continue
            if self.joins(group, reads, shape):
                return group
        return None

    def at(self, group: Group, shape: tuple[int, ...]) -> tuple[Expr, ...]:
        """The index at which a group stores a value."""
        depth, zero = group.depth(shape), self.b.index(0)
        return (*group.index[:depth], *(zero for _ in shape[depth:]))

    def covers(self, group: Group, shape: tuple[int, ...]) -> bool:
        """Whether values of `shape` can be stored by the loops of `group`."""
        if group.shape == shape:
            return True
        size = prod(group.shape)
        if group.equation is not None or not group.depth(shape) or not size:
            return False
        # the inner loops are no longer one with the outer ones: there must be enough of these
        return size < cost.LARGE or prod(shape) >= cost.ROWS

    def joins(self, group: Group, reads: list[Read], shape: tuple[int, ...]) -> bool:
        """Whether `group` reads a value of `shape` where it would store it only and depends on no
        other reader."""
        own = self.at(group, shape)
        for read in reads:
            if read.group is group:
                if read.at is None or not same_place(read.at, own, shape):
                    return False
            elif self.order.depends(group, read.group):
                return False
        return True

    # --- heavy operations ---
    def heavy(self, equation: Equation) -> None:
        reads = self.readers(equation)
        effectful = bool(equation.primitive.effects(**equation.params))
        if not reads and not effectful and not any(v in self.forced for v in equation.outputs):
            return
        group = None
        if equation.primitive.name in EPILOGUE:
            group = self.epilogue(equation, reads)
        if group is None:
            group = self.new_group((), (), equation)
        group.equation = equation
        if effectful:  # effects keep program order, whatever joins or merges from now on
            if self.later is not None:
                self.order.need(self.later, group)
            self.later = group
        self.adopt(equation.outputs, group, reads)
        for atom in equation.inputs:
            if isinstance(atom, Var):
                if equation.primitive.name not in PROLOGUE or atom is starts_as(equation):
                    self.forced.add(atom)
                self.record(atom, Read(group, None, ()))

    def epilogue(self, equation: Equation, reads: list[Read]) -> Group | None:
        (result,) = equation.outputs
        for group in dict.fromkeys(r.group for r in reads):
            if (
                group.equation is None
                and group.shape == result.type.shape
                and not group.has_reduction
                and all(v.type.shape == group.shape for v in group.members)
                and self.joins(group, reads, group.shape)
            ):
                return group
        return None

    # --- order ---
    def merge_siblings(self) -> None:
        """Join groups over the same domain that read a common value and do not depend on another.

        They then share the loads and the loops, those of their reductions too.
        """
        by_shape: dict[tuple[tuple[int, ...], bool], list[Group]] = {}
        for group in self.groups:
            if group.equation is None:
                by_shape.setdefault((group.shape, group.has_reduction), []).append(group)
        sources: dict[Group, set[Var]] = {}
        for var, table in self.reads.items():
            for group, index in table:
                if index is not None and (var in self.stored or var not in self.definition):
                    sources.setdefault(group, set()).add(var)
        for candidates in by_shape.values():
            for i, group in enumerate(candidates):
                mine = sources.setdefault(group, set())
                for other in candidates[i + 1 : i + 24]:
                    if not group.members or len(group.members) > 12:
                        break
                    if not other.members or group.work + other.work > cost.LARGEST // 4:
                        continue
                    theirs = sources.get(other, NOTHING)
                    if self.mergeable(group, other, mine, theirs):
                        self.merge(group, other)
                        mine |= theirs
        for (_, reduces), candidates in by_shape.items():
            if not reduces:
                self.merge_followers([g for g in candidates if g.members])

    def merge_followers(self, candidates: list[Group]) -> None:
        """Join groups over the same domain of which one reads what the other stores, only element
        by element: that stays in registers."""
        some = set(candidates)
        for group in candidates:
            for user in sorted(some & group.users, key=lambda g: g.number):
                small = group.work + user.work <= cost.LARGEST // 4
                if small and self.follows(user, group):
                    user.needs.discard(group)
                    group.users.discard(user)
                    self.merge(user, group)
                    break

    def follows(self, group: Group, first: Group) -> bool:
        """Whether a group can be computed where `first` is: what it reads of that, it reads in its
        own place, and it needs nothing else that is made of it."""
        for var in first.members:
            for read in self.reads.get(var, {}).values():
                if self.alive(read.group) is group:
                    own = self.at(read.group, var.type.shape)
                    if read.at is None or not same_place(read.at, own, var.type.shape):
                        return False
        return not any(self.order.depends(n, first) for n in group.needs if n is not first)

    def mergeable(self, group: Group, other: Group, mine: set[Var], theirs: set[Var]) -> bool:
        """Whether groups, which read these values, share one and do not depend on another."""
        if group.shape:
            if mine.isdisjoint(theirs) or not any(v.type.size >= 16 for v in mine & theirs):
                return False
        return not self.order.depends(group, other) and not self.order.depends(other, group)

    def merge(self, group: Group, other: Group) -> None:
        group.members.extend(other.members)
        group.work += other.work
        group.unrolled |= other.unrolled
        for var in other.members:
            self.stored[var] = group
        other.members = []
        self.merged[other] = group
        self.order.merge(group, other)

    def alive(self, group: Group) -> Group:
        """The group that a group has become part of."""
        while group in self.merged:
            group = self.merged[group]
        return group


def expands(equation: Equation) -> bool:
    """Whether the result repeats elements of a smaller operand: it is never worth storing."""
    return (
        equation.primitive.name == "broadcast_in_dim"
        and equation.inputs[0].type.size < equation.outputs[0].type.size
    )


def same_place(index: tuple[Expr, ...], other: tuple[Expr, ...], shape: tuple[int, ...]) -> bool:
    """Whether two indices into a value are equal, but for dimensions of 1."""
    return all(i is j or n == 1 for i, j, n in zip(index, other, shape, strict=True))
