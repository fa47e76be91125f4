"""Loops in time: what their body keeps in memory from step to step becomes carries.

A loop made of kernels passes everything from one to the next through memory. Here a load that
follows a store to the same element takes the stored value instead; an element that is stored in
every iteration, at an index that does not change, is a carry of the loop, in a register; a carry
that counts is a linear form of the loop's axis; and what nobody reads any more is not stored.

Every store stays where it is until the end, so that memory is always current: a value that may
have changed is simply read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import (
    STORAGE,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    If,
    Statement,
    Store,
    While,
    is_float,
)
from fornax.compiler.loop.recurrence import recurrent, written_out
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: elements of a buffer that may become carries
MOST = 128
#: nodes of both sides of a branch that are computed both, the result selected
BOTH = 64

Place = tuple[Buffer, int]


def written(body: Iterable[Statement]) -> set[Buffer]:
    """The buffers that statements store to."""
    return {s.buffer for s in walk(body) if isinstance(s, Store)}


class Forwarder(Rewriter):
    """Copies flat statements into builder `b`; `known` holds what elements of memory contain."""

    def __init__(self, b: Builder, known: dict[Place, Expr]):
        super().__init__(b)
        self.known = known

    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        """What is known to be in memory, instead of reading it."""
        if node.kind != "load" or node.masked or args[0].kind != "const":
            return None
        found = self.known.get((node.data, args[0].data))
        return found if found is not None and found.dtype == node.dtype else None

    def changed(self, buffers: Collection[Buffer], index: Expr | None = None) -> None:
        """What was read from these buffers, at `index` if it is given, is no longer what they
        hold."""
        self.memo.clear()
        for place, value in list(self.known.items()):
            here = place[0] in buffers and not apart(index, self.b.index(place[1]))
            if here or reads(value, buffers, index):
                del self.known[place]

    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, Store):
            for new in super().statement(old):
                yield new
                if isinstance(new, Store):
                    self.stored(new)
            return
        if isinstance(old, If):
            condition = self(old.condition)
            if condition.kind == "const":
                yield from self.statements(old.body if condition.data else old.orelse)
                return
            chosen = self.choice(old) if self.is_choice(old) else None
            if chosen is None:
                yield from self.branch(old)
            else:
                yield from chosen
        elif isinstance(old, For | While):
            inside = written((old,))
            self.changed(inside)
            before = dict(self.known)
            yield from super().statement(old)
            self.known = before
            self.changed(inside)
        else:
            yield from super().statement(old)

    def stored(self, store: Store) -> None:
        (index,), same = store.index, (store.buffer,)
        self.changed(same, index)
        plain = index.kind == "const" and store.mask is None
        plain = plain and store.value.dtype == store.buffer.dtype
        if plain and not reads(store.value, same, index):
            self.known[store.buffer, index.data] = store.value

    # --- branches ---
    def is_choice(self, branch: If) -> bool:
        """Whether both sides only compute a few scalars: selecting is cheaper than jumping."""
        if not all(
            isinstance(s, If) and self.is_choice(s)
            or isinstance(s, Store) and s.mask is None and s.index[0].kind == "const"
            and s.buffer.dtype not in STORAGE
            for s in (*branch.body, *branch.orelse)
        ):  # fmt: skip
            return False
        return len(reachable(expressions((branch,)))) <= BOTH

    def branch(self, branch: If) -> Iterator[Statement]:
        """A branch that stays one."""
        condition = self(branch.condition)
        before, sides = dict(self.known), []
        for body in (branch.body, branch.orelse):
            sides.append(self.statements(body))
            self.memo.clear()
            self.known = dict(before)
        self.changed(written((branch,)))
        yield If(condition, *sides)

    def choice(self, branch: If) -> list[Statement] | None:
        """Both sides computed, and what they store selected; None if their order matters."""
        condition = self(branch.condition)
        sides: list[dict[Place, Expr]] = []
        before, buffers = self.known, written((branch,))
        for body in (branch.body, branch.orelse):
            self.memo.clear()
            self.known = dict(before)
            after = {}
            for statement in self.statements(body):
                assert isinstance(statement, Store)
                after[statement.buffer, statement.index[0].data] = statement.value
            sides.append(after)
        self.memo.clear()
        self.known = before
        values: dict[Place, Expr] = {}
        for place in dict.fromkeys((*sides[0], *sides[1])):
            buffer, index = place
            now = before.get(place)
            if now is None:
                now = self.b.node("load", buffer.dtype, buffer, (self.b.index(index),))
            value = self.b.select(condition, *(side.get(place, now) for side in sides))
            old = value if value is now else None
            if old is None and reads(value, buffers):
                return None
            values[place] = value
        self.changed(buffers)
        kept = {place: value for place, value in values.items() if not reads(value, buffers)}
        self.known.update(kept)
        return [Store(k, (self.b.index(i),), value) for (k, i), value in values.items()]


def reads(value: Expr, buffers: Collection[Buffer], index: Expr | None = None) -> bool:
    """Whether a value is computed from what is in these buffers, at `index` if it is given."""
    return any(
        n.kind == "load" and n.data in buffers and not apart(index, n.args[0])
        for n in reachable((value,))
    )


def apart(index: Expr | None, other: Expr) -> bool:
    """Whether two indices are never the same."""
    if index is None:
        return False
    (terms, constant), (others, distance) = affine.linear(index), affine.linear(other)
    return constant != distance and dict(terms) == dict(others)


def candidates(body: Iterable[Statement]) -> dict[Place, DtypeName]:
    """Elements that statements store to at constant indices only, outside of inner loops, with
    the dtypes of their values."""
    places: dict[Place, DtypeName] = {}
    out: set[Buffer] = set()

    def visit(statements: Iterable[Statement], top: bool) -> None:
        for s in statements:
            if isinstance(s, Store):
                plain = top and s.mask is None and s.index[0].kind == "const"
                if plain and s.value.dtype == s.buffer.dtype and s.buffer.size <= MOST:
                    places[s.buffer, s.index[0].data] = s.value.dtype
                else:
                    out.add(s.buffer)
            elif isinstance(s, For | While):
                visit(s.body, False)
            elif isinstance(s, If):
                visit(s.body, top)
                visit(s.orelse, top)

    visit(body, True)
    return {place: dtype for place, dtype in places.items() if place[0] not in out}


def loop_in_time(
    b: Builder,
    loop: For | While,
    live: Collection[Buffer],
    starts: dict[Place, Expr],
    condition: tuple[Statement, ...] = (),
) -> tuple[Statement, ...]:
    """The flat `loop` without carries, with what it keeps in memory as its carries where that can
    be. `live` buffers are read afterwards; `starts` are values that elements are known to have.

    A While tests what the statements `condition`, which run before every test, leave in memory.
    """
    body = written_out(b, loop.body)
    tests = list(condition)
    inline = all(isinstance(s, Store) and s.index[0].kind == "const" for s in tests)
    if isinstance(loop, While) and not inline:
        body = (*body, *tests)
    places = candidates((*body, *tests) if inline else body)
    carries = {place: Carry(dtype, f"c{k}") for k, (place, dtype) in enumerate(places.items())}
    before: list[Statement] = []
    outside = Forwarder(b, dict(starts))
    outside.fresh = True
    if isinstance(loop, While) and not inline:
        before += outside.statements(tests)
    begin = {
        place: outside(b.node("load", dtype, place[0], (b.index(place[1]),)))
        for place, dtype in places.items()
    }
    inside = {place: b.carry(carry) for place, carry in carries.items()}
    if isinstance(loop, For):
        counted = counting(b, loop, body, begin, inside)
        inside.update(counted)
    forward = Forwarder(b, dict(inside))
    test = None
    if isinstance(loop, While):
        if inline:
            forward.statements(tests)
        test = forward(loop.condition)
        forward.memo.clear()
        forward.known = dict(inside)
    made = forward.statements(body)
    nexts = {
        place: forward(b.node("load", dtype, place[0], (b.index(place[1]),)))
        for place, dtype in places.items()
    }
    # carries that are needed: read by a statement that stays, by the test, or by one of these
    made, needed = without_unread(made, test, nexts, inside, live)
    carried = tuple(
        Carried(carries[place], begin[place], nexts[place]) for place in places if place in needed
    )
    new: Statement
    if isinstance(loop, For):
        new = recurrent(b, For(loop.axis, made, carried, loop.kind, loop.lanes, loop.reverse))
    else:
        assert test is not None
        new = While(test, carried, made)
    still = written(made)
    after = [
        Store(place[0], (b.index(place[1]),), b.final(carries[place]))
        for place in places
        if place in needed and place[0] in live and place[0] not in still
    ]
    return (*before, new, *after)


def counting(
    b: Builder, loop: For, body: tuple[Statement, ...], begin: dict[Place, Expr],
    inside: dict[Place, Expr],
) -> dict[Place, Expr]:  # fmt: skip
    """Integers that start from a constant and grow by one each time, as forms of the axis."""
    found: dict[Place, Expr] = {}
    length = loop.axis.extent
    if not isinstance(length, int):
        return found
    step = b.axis(loop.axis)
    if loop.reverse:
        step = b.sub(b.index(length - 1), step)
    probe = Forwarder(b, dict(inside))
    probe.statements(body)
    for place, start in begin.items():
        carry, after = inside[place], probe.known.get(place)
        if after is None or start.kind != "const" or is_float(start.dtype):
            continue
        if start.dtype == "bool" or after.kind != "op" or after.data != "add":
            continue
        amount = next((a for a in after.args if a.kind == "const"), None)
        if carry not in after.args or amount is None:
            continue
        last = start.data + amount.data * length
        low, high = min(start.data, last), max(start.data, last)
        limits = b.carry(Carry(start.dtype))
        if limits.low <= low and high <= limits.high:
            form = b.add(b.mul(step, b.index(amount.data)), b.index(start.data))
            found[place] = b.cast(form, start.dtype)
    return found


def without_unread(
    body: tuple[Statement, ...], test: Expr | None, nexts: dict[Place, Expr],
    inside: dict[Place, Expr], live: Collection[Buffer],
) -> tuple[tuple[Statement, ...], set[Place]]:  # fmt: skip
    """The statements without stores that nobody reads, and the places whose carries are needed."""
    homes = {value: place for place, value in inside.items() if value.kind == "carry"}
    counted = {place for place, value in inside.items() if value.kind != "carry"}
    ends = {place for place in nexts if place[0] in live}
    while True:
        needed = set(ends)
        roots = [*expressions(body), *(() if test is None else (test,))]
        roots += [nexts[place] for place in needed]
        while True:
            nodes = reachable(roots)
            more = {homes[n] for n in nodes if n in homes} - needed
            if not more:
                break
            needed |= more
            roots += [nexts[place] for place in more]
        read = {n.data for n in nodes if n.kind == "load"}
        stored = {place[0] for place in nexts}
        kept = tuple(dropping(body, {k for k in stored if k not in read}))
        if len(list(walk(kept))) == len(list(walk(body))):
            return kept, needed | (counted & ends)
        body = kept


def dropping(body: Iterable[Statement], unread: Collection[Buffer]) -> Iterator[Statement]:
    """Statements without stores to some buffers."""
    for statement in body:
        if isinstance(statement, Store):
            if statement.buffer not in unread:
                yield statement
        elif isinstance(statement, If):
            sides = (
                tuple(dropping(statement.body, unread)),
                tuple(dropping(statement.orelse, unread)),
            )
            if sides[0] or sides[1]:
                yield If(statement.condition, *sides)
        else:
            yield statement
