"""What an iteration stores and a later one reads stays in a register on the way.

A loop that writes x[i] from x[i - 1] would wait for memory every time: a store and the load that
follows it take as long as two products. What was stored last is a carry, what was stored before
that another one.
"""

from __future__ import annotations

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Carried, Carry, Expr, For, If, Statement, Store
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk

#: iterations that a value is kept for, at most
FARTHEST = 4
#: iterations of short loops that are written out
SHORT = 8


def recurrent(b: Builder, loop: For) -> For:
    """The serial loop with carries for elements that it stored some iterations ago."""
    if loop.kind != "serial" or not isinstance(loop.axis.extent, int):
        return loop
    every = [s for s in walk(loop.body) if isinstance(s, Store)]
    loads = [
        n
        for n in reachable(expressions(loop.body, nested=False))
        if n.kind == "load" and not n.masked
    ]
    memo: dict[Expr, Expr] = {}
    rows: list[tuple[Store, list[Carry]]] = []
    for store in loop.body:
        if not isinstance(store, Store) or store.mask is not None:
            continue
        if sum(s.buffer is store.buffer for s in every) > 1 or not is_exact(store):
            continue
        found = {
            load: distance
            for load in loads
            if load.data is store.buffer and load.dtype == store.value.dtype
            for distance in [iterations_ago(store.index[0], load.args[0], loop)]
            if 0 < distance < min(FARTHEST + 1, loop.axis.extent)
        }
        if found:
            kept = [Carry(store.value.dtype, f"r{k}") for k in range(max(found.values()))]
            memo.update({load: b.carry(kept[distance - 1]) for load, distance in found.items()})
            rows.append((store, kept))
    if not rows:
        return loop
    copy = Rewriter(b, memo)
    body = copy.statements(loop.body)
    carries = list(copy.steps(loop.carries, [(c.carry, c.start) for c in loop.carries]))
    for store, kept in rows:
        for k, carry in enumerate(kept):
            index = before(b, store.index[0], loop, k + 1)
            start = b.node("load", carry.dtype, store.buffer, (index,))
            after = copy(store.value) if k == 0 else b.carry(kept[k - 1])
            carries.append(Carried(carry, start, after))
    return For(loop.axis, body, tuple(carries), loop.kind, loop.lanes, loop.reverse)


def is_exact(store: Store) -> bool:
    """Whether reading back gives the stored value: it is not rounded on the way."""
    value, dtype = store.value, store.buffer.dtype
    if value.dtype == dtype:
        return True
    origin = value.data.dtype if value.kind == "load" else ""
    if value.kind == "op" and value.data == "cast":
        origin = value.args[0].dtype
    return origin == dtype


def step_of(index: Expr, loop: For) -> int:
    """Elements from an iteration to the next one, of an index of axes; 0 of any other."""
    step = 0
    for part, coefficient in affine.linear(index)[0]:
        if part.kind != "axis":
            return 0
        if part.data is loop.axis:
            step = -coefficient if loop.reverse else coefficient
    return step


def iterations_ago(stored: Expr, read: Expr, loop: For) -> int:
    """How many iterations ago the element read was stored; 0 if that is not known."""
    step = step_of(stored, loop)
    terms, constant = affine.linear(stored)
    others, other = affine.linear(read)
    if not step or dict(terms) != dict(others):
        return 0
    distance, rest = divmod(constant - other, step)
    return distance if rest == 0 and distance > 0 else 0


def before(b: Builder, index: Expr, loop: For, distance: int) -> Expr:
    """The index of what was stored so many iterations before the first one."""
    first = loop.axis.length - 1 if loop.reverse else 0
    start = Rewriter(b, {b.axis(loop.axis): b.index(first)})(index)
    return b.add_index(start, -distance * step_of(index, loop))


def written_out(b: Builder, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Statements with the short loops that store far apart, or read so, iteration by iteration:
    they have nothing that lanes could do at once, and single elements can stay in registers."""
    result: list[Statement] = []
    for s in body:
        if isinstance(s, For) and is_scattered(s):
            for k in range(s.axis.length):
                copy = Rewriter(b)
                copy.bound["axis", s.axis] = b.index(k)
                result += copy.statements(s.body)
        elif isinstance(s, If):
            result.append(If(s.condition, written_out(b, s.body), written_out(b, s.orelse)))
        else:
            result.append(s)
    return tuple(result)


def is_scattered(loop: For) -> bool:
    """Whether a loop is short, only stores, and strides through memory."""
    extent = loop.axis.extent
    if not isinstance(extent, int) or extent > SHORT or loop.carries or loop.reverse:
        return False
    if not all(isinstance(s, Store) for s in loop.body):
        return False
    loads = [n.args[0] for n in reachable(expressions(loop.body)) if n.kind == "load"]
    stores = [s.index[0] for s in loop.body if isinstance(s, Store)]
    return any(strided(index, loop.axis) for index in (*loads, *stores))


def strided(index: Expr, axis: Axis) -> bool:
    """Whether an index moves by more than one element along an axis."""
    return any(
        abs(coefficient) > 1 and part.kind == "axis" and part.data is axis
        for part, coefficient in affine.linear(index)[0]
    )
