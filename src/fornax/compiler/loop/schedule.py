"""From expressions with `reduce` nodes to loops with carries.

`nest` is how a group of element expressions becomes a loop nest. A reduction becomes a loop at the
outermost place where everything it depends on is known: one that does not depend on an inner axis
runs outside of that axis. Equal reductions are computed once, and independent ones over the same
extents share a loop; one waits for a later loop where that reads all that it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fornax._native import reachable
from fornax.compiler.loop.builder import Builder, identity
from fornax.compiler.loop.ir import Axis, Buffer, Carried, Carry, Expr, For, Statement, Store
from fornax.compiler.loop.rewrite import Rewriter

#: Reductions of at most this many elements become plain expressions,
UNROLL_LIMIT = 8
#: unless the copies would have more than this many nodes.
UNROLL_NODES = 400

#: a store: buffer, index, value, mask
Entry = tuple[Buffer, tuple[Expr, ...], Expr, Expr | None]


def nest(
    b: Builder,
    axes: Sequence[Axis],
    stores: Iterable[tuple[Any, ...]],
    kinds: Sequence[str] | None = None,
    ranks: Sequence[int] | None = None,
) -> tuple[Statement, ...]:
    """Loops over `axes`, outermost first, around `stores`, with reductions turned into loops.

    `stores` holds (buffer, index, value) or (buffer, index, value, mask), all for one point of
    `axes`, or of the first `ranks[k]` axes for store k; `kinds` gives each axis its loop kind
    ("serial" when absent). Axes of extent 1 make no loop, and an axis of extent 0 makes the whole
    nest vanish.
    """
    if any(axis.extent == 0 for axis in axes):
        return ()
    given = [(*store, None) if len(store) == 3 else store for store in stores]
    rewrite = merge_reductions(b, [e for entry in given for e in roots_of(entry)])
    entries: list[Entry] = [
        (
            buffer,
            tuple(map(rewrite, index)),
            rewrite(value),
            None if mask is None else rewrite(mask),
        )
        for buffer, index, value, mask in given
    ]
    every = zip(axes, kinds or ("serial",) * len(axes), range(len(axes)), strict=True)
    loops = [loop for loop in every if loop[0].extent != 1]
    return Scheduler(b, entries, ranks or (len(axes),) * len(entries)).level(loops)


def roots_of(entry: tuple[Any, ...]) -> list[Expr]:
    _, index, value, mask = entry
    return [*index, value] if mask is None else [*index, value, mask]


# --- making equal reductions the same node ----------------------------------------------------
def merge_reductions(b: Builder, roots: list[Expr]) -> Rewriter:
    """A rewriter that gives reductions of equal extents the same axes, so that equal ones become
    one node, turns small ones into expressions and empty ones into the identity."""
    shared: dict[tuple[Any, ...], Axis] = {}
    height: dict[Expr, int] = {}
    rewrite = Rewriter(b)
    for node in reachable(roots):
        inside = max((height[a] for a in node.args), default=0)
        height[node] = inside + (node.kind == "reduce")
        if node.kind != "reduce":
            continue
        combiner, axes, component = node.data
        values = tuple(map(rewrite, node.args))
        if any(axis.extent == 0 for axis in axes):
            rewrite.memo[node] = start_values(b, combiner, values)[component]
        elif is_small(axes, values):
            rewrite.memo[node] = unrolled(b, combiner, axes, values)[component]
        else:
            kept = []
            for position, axis in enumerate(axes):
                key = (inside, position, axis.extent)
                kept.append(shared.setdefault(key, Axis(axis.extent, f"r{inside}_{position}")))
            renamed = Rewriter(
                b, {b.axis(old): b.axis(new) for old, new in zip(axes, kept, strict=True)}
            )
            values = tuple(map(renamed, values))
            rewrite.memo[node] = b.reduce_component(combiner, kept, component, *values)
    return rewrite


def is_small(axes: Sequence[Axis], values: tuple[Expr, ...]) -> bool:
    size = 1
    for axis in axes:
        if not isinstance(axis.extent, int):
            return False
        size *= axis.extent
    if size > UNROLL_LIMIT:
        return False
    nodes = reachable(values)
    return len(nodes) * size <= UNROLL_NODES and all(n.kind != "reduce" for n in nodes)


def unrolled(
    b: Builder, combiner: str, axes: Sequence[Axis], values: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    """The results of a small reduction as one expression per component."""
    points: list[dict[Expr, Expr]] = [{}]
    for axis in axes:
        node = b.axis(axis)
        points = [{**p, node: b.index(k)} for p in points for k in range(axis.length)]
    first, *others = points
    total = tuple(map(Rewriter(b, first), values))
    for point in others:
        total = combine(b, combiner, total, tuple(map(Rewriter(b, point), values)))
    return total


def start_values(b: Builder, combiner: str, values: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """What the carries of a reduction start from."""
    dtype = values[0].dtype
    if combiner in ("argmax", "argmin"):
        return b.const(identity(combiner, dtype), dtype), b.const(0, values[1].dtype)
    if combiner == "cmul":
        return b.const(1.0, dtype), b.const(0.0, dtype)
    if combiner == "exponentials":
        return b.const(identity(combiner, dtype), dtype), b.const(0.0, dtype)
    return (b.const(identity(combiner, dtype), dtype),)


def combine(
    b: Builder, combiner: str, total: tuple[Expr, ...], terms: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    """One step of a reduction: the next values of its components."""
    if combiner == "cmul":
        (x, y), (u, v) = total, terms
        real = b.sub(b.mul(x, u), b.mul(y, v))
        return real, b.add(b.mul(x, v), b.mul(y, u))
    if combiner == "exponentials":
        (largest, before), (value, weight) = total, terms
        most = b.const(-identity(combiner, value.dtype), value.dtype)
        apart = b.sub(value, largest)
        grows = b.gt(apart, b.const(0.0, value.dtype))
        # the larger of both counts as it is, the other by what it is of that
        share = b.exp(b.neg(b.abs(apart)))
        small, large = b.select(grows, before, weight), b.select(grows, weight, before)
        finite = b.select(b.gt(value, most), most, value)
        return b.select(grows, finite, largest), b.add(b.mul(small, share), large)
    if combiner in ("argmax", "argmin"):
        (best, place), (value, index) = total, terms
        no_better = b.op("le" if combiner == "argmax" else "ge", value, best)
        better = b.and_(b.not_(no_better), b.eq(best, best))  # the first NaN is
        return b.select(better, value, best), b.select(better, index, place)
    return (b.op(combiner, total[0], terms[0]),)


def exponent(b: Builder, total: tuple[Expr, ...], step: tuple[Expr, ...]) -> Expr | None:
    """What the exponential of is added in a `step` from `total`; None if it is no such step."""
    grows = step[0].args[0] if step[0].kind == "op" and step[0].data == "select" else None
    if grows is None or grows.args[0].kind != "op" or grows.args[0].data != "sub":
        return None
    value = grows.args[0].args[0]
    same = combine(b, "exponentials", total, (value, b.const(1.0, value.dtype)))
    return value if same == step else None


def exponentials(b: Builder, total: tuple[Expr, ...], values: Sequence[Expr]) -> tuple[Expr, ...]:
    """Several steps at once: their largest is known before the exponentials are taken, and what was
    added up before counts by what it is of that once rather than each time."""
    before, found = total
    most = b.const(-identity("exponentials", before.dtype), before.dtype)
    finite = [b.select(b.gt(value, most), most, value) for value in values]
    largest = before
    for value in finite:
        largest = b.select(b.gt(value, largest), value, largest)
    found = b.mul(found, b.exp(b.sub(before, largest)))
    for value in finite:
        found = b.add(found, b.exp(b.sub(value, largest)))
    return largest, found


def merge(
    b: Builder, combiner: str, total: tuple[Expr, ...], terms: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    """Combine two partial results of a reduction, over disjoint sets of elements in any order."""
    if combiner not in ("argmax", "argmin"):
        return combine(b, combiner, total, terms)
    (best, place), (value, index) = total, terms
    better = b.op("gt" if combiner == "argmax" else "lt", value, best)
    nan, best_nan = b.ne(value, value), b.ne(best, best)
    equal = b.or_(b.eq(value, best), b.and_(nan, best_nan))
    earlier = b.and_(equal, b.lt(index, place))
    better = b.or_(b.or_(better, b.and_(nan, b.not_(best_nan))), earlier)
    return b.select(better, value, best), b.select(better, index, place)


#: by how many loops must come before and what axes they have: reductions with their operands, and
#: the nodes that are these
Groups = dict[tuple[int, tuple[Axis, ...]], dict[tuple[str, tuple[Expr, ...]], list[Expr]]]


def loads(*found: Iterable[Expr]) -> set[Expr]:
    return {node for nodes in found for node in nodes if node.kind == "load"}


# --- placing loops ----------------------------------------------------------------------------
class Scheduler:
    """Places the reductions of one nest. `free` maps a node to the set of axes it depends on, as
    bits; `done` maps reductions that already have a loop to the values after it."""

    def __init__(self, b: Builder, entries: list[Entry], ranks: Sequence[int]):
        self.b = b
        self.entries = entries
        self.ranks = ranks
        self.bits: dict[Axis, int] = {}
        self.free: dict[Expr, int] = {}
        self.reduces: set[Expr] = set()  # nodes that are or contain a reduction
        for node in reachable([e for entry in entries for e in roots_of(entry)]):
            bits = self.bit(node.data) if node.kind == "axis" else 0
            for arg in node.args:
                bits |= self.free[arg]
                if arg in self.reduces:
                    self.reduces.add(node)
            if node.kind == "reduce":
                self.reduces.add(node)
                for axis in node.data[1]:
                    bits &= ~self.bit(axis)
            self.free[node] = bits
        self.done = Rewriter(b)

    def bit(self, axis: Axis) -> int:
        return self.bits.setdefault(axis, 1 << len(self.bits))

    def level(
        self, loops: list[tuple[Axis, str, int]], known: int = 0, outer: int = 0
    ) -> tuple[Statement, ...]:
        """The statements inside the axes in `known`: reductions, stores, then the next loop.

        Stores of fewer than `outer` axes stand further out.

        Axes that are no part of this nest belong to loops the caller makes around it.
        """
        if known == 0:
            mine = {axis for axis, _, _ in loops}
            inside = {a for n in self.reduces if n.kind == "reduce" for a in n.data[1]}
            known = ~sum(self.bit(axis) for axis in mine | inside)
        roots = [e for entry in self.entries for e in roots_of(entry)]
        before = self.place(roots, known)
        last = loops[0][2] if loops else max(self.ranks, default=0)
        here = [
            self.store(*entry)
            for entry, rank in zip(self.entries, self.ranks, strict=True)
            if outer <= rank <= last
        ]
        if not loops:
            return (*before, *here)
        (axis, kind, place), *rest = loops
        inner = self.level(rest, known | self.bit(axis), place + 1)
        return (*before, *here, For(axis, inner, kind=kind))

    def store(
        self, buffer: Buffer, index: tuple[Expr, ...], value: Expr, mask: Expr | None
    ) -> Store:
        index = tuple(map(self.done, index))
        return Store(buffer, index, self.done(value), None if mask is None else self.done(mask))

    def place(self, roots: list[Expr], known: int) -> list[Statement]:
        """Loops for all reductions below `roots` that depend on known axes only."""
        stage: dict[Expr, int] = {}
        groups: Groups = {}

        def skip(node: Expr) -> bool:
            return node in self.done.memo or node not in self.reduces

        for node in reachable(roots, skip):
            if skip(node):
                stage[node] = 0
                continue
            level = max((stage[a] for a in node.args), default=0)
            if node.kind == "reduce" and not self.free[node] & ~known:
                combiner, axes, _ = node.data
                group = groups.setdefault((level, axes), {})
                group.setdefault((combiner, node.args), []).append(node)
                level += 1
            stage[node] = level
        if len({level for level, _ in groups}) > 1:
            self.postpone(groups)
        statements: list[Statement] = []
        for (_, axes), group in sorted(groups.items(), key=lambda item: item[0][0]):
            for combiner, args in list(group):
                if combiner in ("argmax", "argmin"):  # the first component is the extreme itself
                    group[combiner, args] += group.pop((combiner[3:], args[:1]), [])
            if not group:
                continue
            keys = list(group)
            starts = [start_values(self.b, combiner, args) for combiner, args in keys]
            loop, finals = self.loops(axes, keys, starts, known)
            statements.extend(loop)
            for key, values in zip(keys, finals, strict=True):
                for node in group[key]:
                    self.done.memo[node] = values[node.data[2]]
        return statements

    def postpone(self, groups: Groups) -> None:
        """Moves reductions to later loops over the same extents that read all that they read, from
        loops that would read it for them alone. Only loops after these use them."""
        read = {
            place: {key: set(reachable(key[1])) for key in group} for place, group in groups.items()
        }
        for place, group in groups.items():
            for key in list(group):
                mine = loads(read[place][key])
                others = (nodes for other, nodes in read[place].items() if other != key)
                if not mine or any(a in self.reduces for a in key[1]) or mine <= loads(*others):
                    continue
                used = [
                    at for at, found in read.items()
                    if any(not nodes.isdisjoint(group[key]) for nodes in found.values())
                ]  # fmt: skip
                end = min((level for level, _ in used), default=None)
                for later in groups:
                    if later[0] <= place[0] or end is not None and later[0] >= end:
                        continue
                    if [a.extent for a in place[1]] != [a.extent for a in later[1]]:
                        continue
                    pairs = zip(place[1], later[1], strict=True)
                    renamed = Rewriter(self.b, {self.b.axis(a): self.b.axis(c) for a, c in pairs})
                    if {renamed(load) for load in mine} <= loads(*read[later].values()):
                        moved = key[0], tuple(map(renamed, key[1]))
                        groups[later].setdefault(moved, []).extend(group.pop(key))
                        read[later][moved] = set(reachable(moved[1]))
                        del read[place][key]
                        break

    def loops(
        self,
        axes: tuple[Axis, ...],
        keys: list[tuple[Any, ...]],
        starts: list[tuple[Expr, ...]],
        known: int,
    ) -> tuple[list[Statement], list[tuple[Expr, ...]]]:
        """The loops of reductions `keys` over `axes`, and their values afterwards."""
        b, (axis, *rest) = self.b, axes
        carries = [
            tuple(Carry(v.dtype, f"{combiner}{k}") for k, v in enumerate(start))
            for (combiner, _), start in zip(keys, starts, strict=True)
        ]
        inside = [tuple(map(b.carry, group)) for group in carries]
        known |= self.bit(axis)
        body = self.place([v for _, args in keys for v in args], known)
        combiners: list[str | None]
        if rest:
            inner, nexts = self.loops(tuple(rest), keys, inside, known)
            body += inner
            combiners = [None] * len(keys)
        else:
            combiners = [combiner for combiner, _ in keys]
            nexts = [
                combine(b, combiner, old, tuple(map(self.done, args)))
                for (combiner, args), old in zip(keys, inside, strict=True)
            ]
        carried = tuple(
            Carried(carry, start, new, combiner)
            for group, begin, after, combiner in zip(carries, starts, nexts, combiners, strict=True)
            for carry, start, new in zip(group, begin, after, strict=True)
        )
        finals = [tuple(map(b.final, group)) for group in carries]
        return [For(axis, tuple(body), carried)], finals
