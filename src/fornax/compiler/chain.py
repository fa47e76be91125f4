"""Chains: groups that run block by block of rows, so that what flows between them stays in cache.

The scores of an attention are larger than all they are made from, and what follows works on their
rows: a softmax, another product. Such a value need not exist as a whole. Starting from a product
whose operand is large, `chained` walks back to the groups that made it, as far as all of them work
on the same rows, and makes them one group. Its kernel (`blocks`) runs them one after the other for
a few rows at a time, with the values in between in memory of that size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from fornax.compiler.emit import Emitter
from fornax.compiler.fuse import Chain, Fusion, Group, axes_of, opaque
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import COMPLEX, Axis, Expr
from fornax.compiler.order import Node
from fornax.ir.jaxpr import Atom, Equation, Var

#: a value is worth a chain if it has so many times the elements of what the products around it
#: read and write otherwise
LARGER = 2


def chained(fusion: Fusion, outputs: Collection[Atom]) -> Fusion:
    """The fusion with chains found and made groups."""
    finder = Finder(fusion, outputs)
    for group in fusion.groups:
        if is_product(group):
            finder.look(group)
    return finder.result() if finder.found else fusion


def dominates(equation: Equation, var: Var) -> bool:
    """Whether `var` is as large as the largest array of a product, and others are far smaller."""
    sizes = sorted(a.type.size for a in (*equation.inputs, *equation.outputs))
    return var.type.size >= sizes[-1] and LARGER * sizes[-2] <= sizes[-1]


def is_product(group: Group) -> bool:
    return group.equation is not None and group.equation.primitive.name == "dot_general"


class Finder:
    def __init__(self, fusion: Fusion, outputs: Collection[Atom]):
        self.fusion = fusion
        self.outputs = {a for a in outputs if isinstance(a, Var)}
        self.found: list[Group] = []
        self.taken: set[Group] = set()
        self.looks: dict[Group, View] = {}

    def look(self, last: Group) -> None:
        """Make the chain that ends with a product, if there is one."""
        if last in self.taken:
            return
        for side, atom in enumerate(last.equation.inputs):
            if isinstance(atom, Var) and dominates(last.equation, atom):
                rows = self.rows(last.equation, side)
                chain = None if rows is None else self.chain(last, rows)
                if chain is not None:
                    self.take(chain)
                    return

    def may_flow(self, var: Var, reader: Group) -> bool:
        """Whether a value is large enough, and made by what may be part of a chain."""
        maker = self.fusion.stored.get(var)
        if maker is None or maker in self.taken or var in self.outputs:
            return False
        if maker.equation is not None and not is_product(maker):
            return False
        if var.type.dtype.name in COMPLEX or maker.chain is not None:
            return False
        return all(dominates(g.equation, var) for g in (maker, reader) if is_product(g))

    def view(self, group: Group) -> View:
        found = self.looks.get(group)
        if found is None:
            found = self.looks[group] = View(self.fusion, group)
        return found

    def chain(self, last: Group, rows: tuple[int, ...]) -> Group | None:
        """The group made of `last` and those before it, cut along `rows` of its result."""
        positions: dict[Var, tuple[int, ...]] = {}
        parts: dict[Group, tuple[int, ...]] = {last: rows}
        pending = [last]
        while pending:
            reader = pending.pop()
            for value, at in self.view(reader).aligned(parts[reader]).items():
                if value in positions or not self.may_flow(value, reader):
                    continue
                maker = self.fusion.stored[value]
                if parts.setdefault(maker, at) != at:
                    return None
                positions[value] = at
                pending.append(maker)
        # every reader of what flows is part of the chain and reads the rows that it works on
        order = [g for g in self.fusion.groups if g in parts]
        for value, at in positions.items():
            for reader in self.fusion.readers.get(value, ()):
                if reader is self.fusion.stored[value]:
                    continue
                if reader not in parts:
                    return None
                if self.view(reader).aligned(parts[reader]).get(value) != at:
                    return None
        if not any(is_product(g) for g in order[:-1]):
            return None
        if any(not self.covers(g, parts[g]) for g in order) or self.entangled(order):
            return None
        group = Group(last.number, last.shape, equation=None)
        group.chain = Chain(tuple(order), tuple(parts[g] for g in order), positions)
        for part in order:
            group.members += part.members
            group.work += part.work
            group.needs |= part.needs
        group.needs -= parts.keys()
        return group

    def rows(self, equation: Equation, side: int) -> tuple[int, ...] | None:
        """Dimensions of the product's result: its batch, and the first free one of an operand."""
        contracted, batch = (pair[side] for pair in equation.params["dimension_numbers"])
        free = [
            d for d in range(len(equation.inputs[side].type.shape))
            if d not in contracted and d not in batch
        ]  # fmt: skip
        shape = equation.outputs[0].type.shape
        first = len(batch) if side == 0 else len(shape) - len(free)
        row = next((first + k for k in range(len(free)) if shape[first + k] > 1), None)
        if row is None:
            return None
        return (*(d for d in range(len(batch)) if shape[d] > 1), row)

    def covers(self, group: Group, at: tuple[int, ...]) -> bool:
        """Whether all that a group stores has the dimensions that the blocks are cut along."""
        return all(max(at) < len(v.type.shape) for v in group.members) and 0 not in group.shape

    def entangled(self, parts: Sequence[Group]) -> bool:
        """Whether something between the parts would have to run between them."""
        inside: set[Node] = set(parts)
        stack = [n for part in parts for n in part.needs if n not in inside]
        seen: set[Node] = set()
        while stack:
            group = stack.pop()
            if group in inside:
                return True
            if group not in seen:
                seen.add(group)
                stack.extend(group.needs)
        return False

    # --- the result ---
    def take(self, group: Group) -> None:
        parts = set(group.chain.parts)
        self.taken |= parts
        self.found.append(group)
        for var in group.members:
            self.fusion.stored[var] = group
        for other in (*self.fusion.groups, *self.found):
            if other.needs & parts and other is not group:
                other.needs -= parts
                other.needs.add(group)
        for readers in self.fusion.readers.values():
            if readers & parts:
                readers -= parts
                readers.add(group)
        # later chains look at groups again
        self.looks.clear()

    def result(self) -> Fusion:
        whole = {g.chain.parts[-1]: g for g in self.found}
        groups = [whole.get(g, g) for g in self.fusion.groups if g not in self.taken or g in whole]
        return Fusion(
            in_order(groups), self.fusion.stored, self.fusion.definition, self.fusion.readers
        )


def in_order(groups: Sequence[Group]) -> list[Group]:
    """The groups, each after those it needs, otherwise in the order given."""
    order: dict[Group, None] = {}
    opened: set[Group] = set()
    place: dict[Node, int] = {g: k for k, g in enumerate(groups)}
    for root in groups:
        stack = [root]
        while stack:
            group = stack[-1]
            missing = [groups[place[n]] for n in group.needs if n in place and n not in order]
            if group in opened or not missing:
                order.setdefault(stack.pop())
                continue
            opened.add(group)
            stack.extend(sorted(missing, key=place.__getitem__, reverse=True))
    return list(order)


class View(Emitter):
    """Where a group reads memory, as expressions of the index of what it computes."""

    def __init__(self, fusion: Fusion, group: Group):
        super().__init__(fusion, group, set(), 1)
        equation = group.equation
        shape = group.shape if equation is None else equation.outputs[0].type.shape
        self.index = tuple(self.b.axis(Axis(n)) for n in shape)
        if equation is not None:
            for atom, at in self.operands(equation):
                self.value(atom, at)
            (result,) = equation.outputs
            stand_in = opaque(self.b, result.type)
            self.memo[result, self.place(result, self.index)] = stand_in
        for var in reversed(group.members):
            self.value(var, self.index[: len(var.type.shape)])
        self.reads: dict[Var, list[tuple[Expr, ...]]] = {}
        for atom, at in self.memo:
            if self.lives_in_memory(atom):
                self.reads.setdefault(atom, []).append(at)

    def replaces(self, var: Var, at: tuple[int, ...]) -> bool:
        """Whether what the group stores may take the place of a value it reads: each element is
        overwritten after it is read there, reductions of its row are done before."""
        if self.group.equation is not None:
            return False
        inner = {e.data for d, e in enumerate(self.index) if d not in at and e.kind == "axis"}
        return all(
            index == self.index or inner.isdisjoint(axes_of(index)) for index in self.reads[var]
        )

    def operands(self, equation: Equation) -> Iterator[tuple[Atom, tuple[Expr, ...]]]:
        for side, atom in enumerate(equation.inputs):
            yield atom, operand_index(self.b, equation, side, self.index)

    def aligned(self, at: tuple[int, ...]) -> dict[Var, tuple[int, ...]]:
        """Values read at the group's own place in the dimensions `at` only: value -> its
        dimensions that go with these."""
        wanted = [self.index[d] for d in at]
        found: dict[Var, tuple[int, ...] | None] = {}
        for var, reads in self.reads.items():
            for index in reads:
                places = tuple(index.index(e) if e in index else -1 for e in wanted)
                plain = -1 not in places and all(index.count(e) == 1 for e in wanted)
                here = places if plain else None
                found[var] = here if found.get(var, here) == here else None
        return {v: p for v, p in found.items() if p is not None}


def operand_index(
    b: Builder, equation: Equation, side: int, index: Sequence[Expr]
) -> tuple[Expr, ...]:
    """Where a product reads an operand for the element `index` of its result."""
    pairs = equation.params["dimension_numbers"]
    contracted, batch = (pair[side] for pair in pairs)
    shape = equation.inputs[side].type.shape
    free = [d for d in range(len(shape)) if d not in contracted and d not in batch]
    first = len(batch) if side == 0 else len(index) - len(free)
    place = dict(zip(batch, index, strict=False))
    place.update(zip(free, index[first:], strict=False))
    return tuple(place[d] if d in place else b.axis(Axis(shape[d])) for d in range(len(shape)))
