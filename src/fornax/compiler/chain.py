"""Chains: groups that run block by block of rows, so that what flows between them stays in cache.

The scores of an attention are larger than all they are made from, and what follows works on their
rows: a softmax, another product. Such a value need not exist as a whole. Starting from a product
whose operand is large, `chained` walks back to the groups that made it, as far as all of them work
on the same rows, and makes them one group. Its kernel (`blocks`) runs them one after the other for
a few rows at a time, with the values in between in memory of that size. The gradient of an
attention reads the scores as well, and adds up products over their rows; where it can only run much
later, the scores are computed again.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Sequence
from math import prod

from fornax.compiler.emit import Emitter
from fornax.compiler.groups import Chain, Fusion, Group
from fornax.compiler.loop.ir import COMPLEX, Axis, Expr
from fornax.compiler.order import Node
from fornax.compiler.reads import axes_of, opaque
from fornax.ir.jaxpr import Atom, Equation, Var

#: a value is worth a chain if it has so many times the elements of what the products around it
#: read and write otherwise
LARGER = 2
#: depth of a product up to which it is computed again rather than stored
DEEP = 128
#: least matrices of a batch whose rows are added up block by block
SUMMED = 4
#: rows or columns of a product from which on reading its other operand again for them is cheap
TILE = 8

#: group -> the dimensions of what it computes that blocks are cut along: those of the batch, then
#: that of the rows; -1 - k where it is the k-th dimension that a product sums over
Parts = dict[Group, tuple[int, ...]]
#: value -> dimensions of it
Places = dict[Var, tuple[int, ...]]


def chained(fusion: Fusion, outputs: Collection[Atom]) -> Fusion:
    """The fusion with chains found and made groups."""
    finder = Finder(fusion, outputs)
    for group in fusion.groups:
        product = product_of(group)
        if product is not None:
            finder.look(group, product)
    return finder.result() if finder.found else fusion


def dominates(equation: Equation, var: Var) -> bool:
    """Whether `var` is as large as the largest array of a product, and others are far smaller."""
    sizes = sorted(a.type.size for a in (*equation.inputs, *equation.outputs))
    return var.type.size >= sizes[-1] and LARGER * sizes[-2] <= sizes[-1]


def product_of(group: Group) -> Equation | None:
    """The product that a group is built around, if it is."""
    equation = group.equation
    return equation if equation is not None and equation.primitive.name == "dot_general" else None


def is_product(group: Group) -> bool:
    return product_of(group) is not None


class Finder:
    def __init__(self, fusion: Fusion, outputs: Collection[Atom]):
        self.fusion = fusion
        self.outputs = {a for a in outputs if isinstance(a, Var)}
        self.found: list[Group] = []
        self.owner: dict[Node, Group] = {}  # part -> the chain it belongs to
        self.views: dict[Group, View] = {}
        self.spans: list[tuple[int, int]] = []  # highest and lowest rank of chains, sorted

    def look(self, last: Group, product: Equation) -> None:
        """Make the chains around an operand of a product, if there are any."""
        for side, atom in enumerate(product.inputs):
            if last in self.owner:
                return
            if isinstance(atom, Var) and dominates(product, atom):
                rows = self.rows(product, side)
                parts = None if rows is None else self.closure(last, rows)
                for group in self.divided(parts) if parts else ():
                    self.take(group)

    def rows(self, equation: Equation, side: int) -> tuple[int, ...] | None:
        """Dimensions of the product's result: its batch, and the first free one of an operand."""
        _, (batch, _) = equation.params["dimension_numbers"]
        free = free_dimensions(equation, side)
        shape = equation.outputs[0].type.shape
        first = len(batch) if side == 0 else len(shape) - len(free)
        row = next((first + k for k in range(len(free)) if shape[first + k] > 1), None)
        if row is None:
            return None
        return (*(d for d in range(len(batch)) if shape[d] > 1), row)

    # --- which groups ---
    def closure(self, last: Group, rows: tuple[int, ...]) -> Parts | None:
        """All groups that make or read large values on the way to `last`, cut along `rows` of its
        result; None if some cannot work on one block of rows."""
        parts: Parts = {last: rows}
        flows: set[Var] = set()
        pending = [last]
        while pending:
            group = pending.pop()
            if any(max(parts[group]) >= group.depth_of(v) for v in group.members):
                return None  # it makes a value that is the same for all blocks
            read = self.view(group).aligned(parts[group])
            made = {v: parts[group] for v in group.members if parts[group][-1] >= 0}
            for value, places in (read | made).items():
                readers = [group] if value in read else self.fusion.readers.get(value, ())
                if value in flows or not readers:
                    continue
                if not all(self.may_flow(value, reader) for reader in readers):
                    continue
                users = self.users(value, places, parts)
                if users is None and value in read:
                    return None
                if users is not None:
                    flows.add(value)
                    pending += [user for user in users if user not in parts]
                    parts |= users
        return parts if flows else None

    def users(self, value: Var, places: tuple[int, ...], parts: Parts) -> Parts | None:
        """What makes and reads a value, with the dimensions that go with its `places`; None if
        some of them cannot be parts beside those there are."""
        maker = self.fusion.stored[value]
        found: Parts = {maker: places}
        for reader in self.fusion.readers[value] - {maker}:
            at = self.view(reader).where(value, places) if is_possible(reader) else None
            if at is None:
                return None
            found[reader] = at
        for user, at in found.items():
            if user in self.owner or parts.get(user, at) != at:
                return None
        return found

    def may_flow(self, var: Var, reader: Group) -> bool:
        """Whether a value is large enough, and made by what may be part of a chain."""
        maker = self.fusion.stored.get(var)
        if maker is None or var in self.outputs or not is_possible(maker):
            return False
        if var.type.dtype_name in COMPLEX:
            return False
        products = [product for g in (maker, reader) if (product := product_of(g)) is not None]
        return all(dominates(product, var) for product in products)

    def view(self, group: Group) -> View:
        found = self.views.get(group)
        if found is None:
            found = self.views[group] = View(self.fusion, group)
        return found

    # --- from groups to chains ---
    def divided(self, parts: Parts) -> list[Group]:
        """The chains that the parts become. Those that can only run after something outside that
        needs others (a gradient, after the rest of the program) are a chain of their own, which
        computes again what flows to them."""
        order = [g for g in self.fusion.groups if g in parts]
        late: set[Group] = set()
        for group in order:
            if not late.isdisjoint(group.needs) or self.comes_back(group, parts):
                late.add(group)
        early = [g for g in order if g not in late]
        chains = [self.chain(early, parts)]
        if late:
            again = self.again(late, parts)
            if any(self.comes_back(g, late) for g in late) or not cheap(again):
                return []
            chains.append(self.chain([g for g in order if g in late or g in again], parts, again))
        return [c for c in chains if c is not None] if None not in chains else []

    def comes_back(self, group: Group, parts: Collection[Group]) -> bool:
        """Whether a group needs something outside that needs one of the parts."""
        lowest = self.lowest(parts)
        stack = [n for n in group.needs if n not in parts]
        seen: set[Node] = set()
        while stack:
            node = stack.pop()
            if node in parts:
                return True
            if node in seen or node.rank < lowest:
                continue
            seen.add(node)
            chain = self.owner.get(node)
            for one in (node,) if chain is None else chain.parts:
                stack.extend(one.needs)
        return False

    def lowest(self, parts: Collection[Group]) -> int:
        """The rank below which nothing needs one of the parts. A chain needs what any of its parts
        does, whatever their ranks."""
        lowest = min(part.rank for part in parts)
        for highest, least in reversed(self.spans):
            if highest < lowest:
                break
            lowest = min(lowest, least)
        return lowest

    def again(self, late: set[Group], parts: Parts) -> set[Group]:
        """Early parts that late ones need again, since what they make is too large to keep."""
        found: set[Group] = set()
        pending = list(late)
        while pending:
            group = pending.pop()
            for value in self.view(group).places_read:
                maker = self.fusion.stored.get(value)
                if maker in parts and maker not in late and maker not in found:
                    if self.may_flow(value, group):
                        found.add(maker)
                        pending.append(maker)
        return found

    def chain(
        self, order: Sequence[Group], parts: Parts, again: Collection[Group] = ()
    ) -> Group | None:
        """The group made of parts, or None where they are none that pay or cannot be cut."""
        flows: dict[Var, tuple[int, ...]] = {}
        inside = set(order)
        for reader in order:
            for value in self.view(reader).places_read:
                maker = self.fusion.stored.get(value)
                if maker is reader or maker not in inside:
                    continue
                if self.view(reader).aligned(parts[reader]).get(value) != parts[maker]:
                    return None
                flows[value] = parts[maker]
        products = [g for g in order if is_product(g)]
        if len(products) < 2 or not is_product(order[-1]):
            return None
        if not all(self.fits(g, parts[g]) for g in order):
            return None
        group = Group(order[-1].number, order[-1].shape)
        repeated = frozenset(v for g in again for v in g.members)
        group.chain = Chain(tuple(order), tuple(parts[g] for g in order), flows, repeated)
        return group

    def fits(self, group: Group, at: tuple[int, ...]) -> bool:
        """Whether a group can be computed for one block of rows: all it stores has rows, or it is
        a product that adds up the rows."""
        product = product_of(group)
        if product is not None and not self.keeps_tiles(product, at):
            return False
        if at[-1] >= 0 or product is None:
            depths = (group.depth_of(v) for v in group.members)
            return max(at) < min(depths) and 0 not in group.shape
        # a batch is all there is for threads to share: they would wait for one another's sums
        shape = product.outputs[0].type.shape
        names = {a.type.dtype_name for a in (*product.inputs, *product.outputs)}
        result = product.outputs[0].type.dtype_name
        plain = result == "float64" or (result == "float32" and "float64" not in names)
        return plain and prod(shape[d] for d in at[:-1]) >= SUMMED and 0 not in shape

    def keeps_tiles(self, product: Equation, at: tuple[int, ...]) -> bool:
        """Whether a block has rows and columns enough of a product. Where those of a whole product
        are the batch of another one, a block has one of them, and reads all of the other operand
        for it."""
        shape = product.outputs[0].type.shape
        _, (batch, _) = product.params["dimension_numbers"]
        columns = len(shape) - len(free_dimensions(product, 1))
        for free in (range(len(batch), columns), range(columns, len(shape))):
            here = prod(shape[d] for d in free if d not in at[:-1])
            if here < min(TILE, prod(shape[d] for d in free)):
                return False
        return True

    # --- the result ---
    def take(self, group: Group) -> None:
        """Keep a chain: its parts are its own, but for those it computes again."""
        chain = group.chain
        assert chain is not None, "only chains are kept"
        for part, at in zip(chain.parts, chain.at, strict=True):
            if at[-1] < 0:
                self.split(part)
            group.members += part.members
            group.work += part.work
            if part not in self.owner:
                self.owner[part] = group
        self.found.append(group)
        ranks = [part.rank for part in chain.parts]
        insort(self.spans, (max(ranks), min(ranks)))

    def split(self, part: Group) -> None:
        """What follows a sum over rows can only be computed when it is complete: elsewhere."""
        assert part.equation is not None, "products add up rows"
        result = part.equation.outputs[0]
        rest = [v for v in part.members if v is not result]
        if not rest:
            return
        part.members = [result]
        axes = tuple(Axis(n) for n in result.type.shape)
        after = Group(part.number, result.type.shape, axes, members=rest, rank=part.rank)
        after.needs = {*part.needs, part}
        self.fusion.groups.insert(self.fusion.groups.index(part) + 1, after)
        for var in rest:
            self.fusion.stored[var] = after
            for reader in self.fusion.readers.get(var, ()):
                reader.needs.add(after)

    def result(self) -> Fusion:
        place = {g.parts[-1]: g for g in self.found}
        groups = [place.get(g, g) for g in self.fusion.groups if g not in self.owner or g in place]
        for part, group in self.owner.items():
            group.needs |= part.needs
            for var in part.members if isinstance(part, Group) else ():
                self.fusion.stored[var] = group
        for group in self.found:
            for part in group.parts:
                group.needs |= part.needs
        for group in groups:
            group.needs = {self.owner.get(n, n) for n in group.needs} - {group}
        return Fusion(
            in_order(groups), self.fusion.stored, self.fusion.definition, self.fusion.readers
        )


def is_possible(group: Group) -> bool:
    """A fused nest or a product."""
    return group.equation is None or is_product(group)


def cheap(groups: Collection[Group]) -> bool:
    """Whether computing groups again costs less than memory does."""
    for group in groups:
        product = product_of(group)
        if product is not None and prod(summed(product)) > DEEP:
            return False
    return True


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
        self.depth: tuple[Expr, ...] = ()
        if equation is not None:
            self.depth = tuple(self.b.axis(Axis(n)) for n in summed(equation))
            for side, atom in enumerate(equation.inputs):
                self.value(atom, operand_index(equation, side, self.index, self.depth))
            (result,) = equation.outputs
            self.memo[result, self.place(result, self.index)] = opaque(self.b, result.type)
        for var in reversed(group.members):
            self.value(var, self.index[: len(var.type.shape)])
        #: at which indices the group reads a value
        self.places_read: dict[Var, list[tuple[Expr, ...]]] = {}
        for atom, at in self.memo:
            if self.lives_in_memory(atom):
                self.places_read.setdefault(atom, []).append(at)

    def replaces(self, var: Var, at: tuple[int, ...]) -> bool:
        """Whether what the group stores may take the place of a value it reads: each element is
        overwritten after it is read there, reductions of its row are done before."""
        if self.group.equation is not None:
            return False
        inner = {e.data for d, e in enumerate(self.index) if d not in at and e.kind == "axis"}
        return all(
            index == self.index or inner.isdisjoint(axes_of(index))
            for index in self.places_read[var]
        )

    def place_of(self, at: tuple[int, ...]) -> list[Expr]:
        return [self.index[d] if d >= 0 else self.depth[-1 - d] for d in at]

    def aligned(self, at: tuple[int, ...]) -> Places:
        """Values read at the group's own place in the dimensions `at` only: value -> its
        dimensions that go with these."""
        wanted = self.place_of(at)
        found: dict[Var, tuple[int, ...] | None] = {}
        for var, reads in self.places_read.items():
            for index in reads:
                places = tuple(index.index(e) if e in index else -1 for e in wanted)
                plain = -1 not in places and all(index.count(e) == 1 for e in wanted)
                here = places if plain else None
                found[var] = here if found.get(var, here) == here else None
        return {v: p for v, p in found.items() if p is not None}

    def where(self, var: Var, places: tuple[int, ...]) -> tuple[int, ...] | None:
        """The dimensions of the group that go with dimensions of a value it reads."""
        if var not in self.places_read:
            return None
        at = []
        for expr in (self.places_read[var][0][d] for d in places):
            if expr in self.index:
                at.append(self.index.index(expr))
            elif expr in self.depth and len(at) == len(places) - 1:
                at.append(-1 - self.depth.index(expr))
            else:
                return None
        return tuple(at) if self.aligned(tuple(at)).get(var) == places else None


def summed(equation: Equation) -> list[int]:
    """Extents of the dimensions that a product sums over."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    return [equation.inputs[0].type.shape[d] for d in contracted]


def free_dimensions(equation: Equation, side: int) -> list[int]:
    """Dimensions of an operand that are neither summed over nor those of the batch."""
    contracted, batch = (pair[side] for pair in equation.params["dimension_numbers"])
    rank = len(equation.inputs[side].type.shape)
    return [d for d in range(rank) if d not in contracted and d not in batch]


def operand_index(
    equation: Equation, side: int, index: Sequence[Expr], depth: Sequence[Expr]
) -> tuple[Expr, ...]:
    """Where a product reads an operand for the element `index` of its result."""
    contracted, batch = (pair[side] for pair in equation.params["dimension_numbers"])
    rank = len(equation.inputs[side].type.shape)
    free = free_dimensions(equation, side)
    first = len(batch) if side == 0 else len(index) - len(free)
    place = dict(zip(contracted, depth, strict=True))
    place.update(zip(batch, index, strict=False))
    place.update(zip(free, index[first:], strict=False))
    return tuple(place[d] for d in range(rank))
