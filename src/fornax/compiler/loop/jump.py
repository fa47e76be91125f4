"""Selections between a dear value and a cheap one, where every iteration waits for the last, jump.

A selection waits for both of its values. Where a loop is a chain from one iteration to the next,
as loops of scalars are, its time is the length of that chain; a branch leaves the dear value out of
it where the other one is wanted, and costs time only where the processor foresees it wrongly. If
it never foresees it, a value of `WORTH` is about as long as what is lost. Remainders leave the
repair of their sign to such a branch as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import (
    UNSIGNED,
    WIDTH,
    Expr,
    For,
    Kernel,
    Statement,
    Store,
    While,
    is_float,
)
from fornax.compiler.loop.rewrite import Rewriter, walk
from fornax.compiler.target import Target

#: cycles from operands to result from which on a value is jumped over
WORTH = 12
#: conditions of one loop that become branches, at most: each may be foreseen wrongly
MOST = 2
#: cycles of operations of floats and of integers; others take one
FLOATS = {"div": 11, "sqrt": 13, "rem": 30, "select": 2, "floor": 8, "ceil": 8, "trunc": 8,
          "round_even": 8, "neg": 1, "abs": 1, "copysign": 2}  # fmt: skip
INTEGERS = {"mul": 3, "div": 15, "rem": 15, "idiv": 15, "imod": 15, "select": 1}
#: division by a constant is a product, shifts and sums
BY_CONSTANT = 8


def jump(kernel: Kernel, target: Target) -> Kernel:
    """The kernel with branches instead of some selections between carries' next values."""
    loops = list(chains(kernel.body))
    remainders = {node for loop in loops for node in floor_remainders(loop)}
    if remainders:
        kernel = without_signs(kernel, remainders)
        loops = list(chains(kernel.body))
    chosen: dict[Expr, int] = {}
    for loop in loops:
        chosen.update(dear_selections(loop))
    if not chosen:
        return kernel
    b = Builder()

    def rule(node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if node not in chosen:
            return None
        condition, then, otherwise = args
        if chosen[node] == 2:
            condition, then, otherwise = b.op("not", condition), otherwise, then
        return b.op("rarely", condition, then, otherwise)

    return Rewriter(b, rule=rule).kernel(kernel)


def floor_remainders(loop: For | While) -> set[Expr]:
    """Remainders that get the sign of a positive constant, of what may be negative, between the
    value of a carry and its next one."""
    found = set()
    for node in reachable(c.next for c in loop.carries):
        if node.kind != "op" or node.data != "select":
            continue
        negative, repaired, rest = node.args
        if not (rest.kind == "op" and rest.data == "rem" and rest.dtype.startswith("int")):
            continue
        x, size = rest.args
        if size.kind != "const" or size.data <= 0 or x.low >= 0 or cycles(rest) < BY_CONSTANT:
            continue
        below = negative.kind == "op" and negative.data == "lt" and negative.args[0] is rest
        added = (
            repaired.kind == "op" and repaired.data == "add" and set(repaired.args) == {rest, size}
        )
        if below and added and negative.args[1].kind == "const" and negative.args[1].data == 0:
            sources = {n.data for n in reachable([x]) if n.kind == "carry"}
            if any(c.carry in sources and node in reachable([c.next]) for c in loop.carries):
                found.add(node)
    return found


def without_signs(kernel: Kernel, wanted: Collection[Expr]) -> Kernel:
    """The kernel with such remainders taken of numbers without a sign, and a branch for negative
    ones: whether there are any is foreseen nearly always."""
    b = Builder()

    def rule(node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if node not in wanted:
            return None
        x, size = args[2].args
        plain = UNSIGNED[WIDTH[x.dtype]]
        # the bit of the sign left out: smaller numbers are divided by constants in fewer steps
        bits = b.op("and", b.cast(x, plain), b.const(affine.limits(x.dtype)[1], plain))
        usual = b.op("rem", bits, b.const(size.data, plain))
        negative = b.lt(x, b.const(0, x.dtype))
        return b.op("rarely", negative, b.select(*args), b.cast(usual, x.dtype))

    return Rewriter(b, rule=rule).kernel(kernel)


def chains(body: Iterable[Statement]) -> Iterator[For | While]:
    """Loops of single values from one iteration to the next, without loops in them."""
    for statement in body:
        if isinstance(statement, For) and statement.kind in ("vector", "unroll"):
            continue
        if isinstance(statement, For | While):
            if not any(isinstance(s, For | While) for s in walk(statement.body)):
                yield statement
            else:
                yield from chains(statement.body)


def dear_selections(loop: For | While) -> dict[Expr, int]:
    """Selections that should jump, each with the operand to jump over."""
    carries = {c.carry for c in loop.carries}
    nexts = [c.next for c in loop.carries]
    nodes = reachable(nexts)
    after = lengths(nodes, {n for n in nodes if n.kind == "carry" and n.data in carries})
    selections: dict[Expr, list[Expr]] = {}
    for node in nodes:
        if node.kind == "op" and node.data == "select" and node in after:
            selections.setdefault(node.args[0], []).append(node)
    others = [e for s in walk(loop.body) if isinstance(s, Store) for e in (*s.index, s.value)]
    if isinstance(loop, While):
        others.append(loop.condition)
    longest = max((after.get(n, 0) for n in nexts), default=0)
    found: list[tuple[int, int, list[Expr]]] = []
    for group in selections.values():
        for side in (1, 2):
            if max(after.get(n.args[side], 0) for n in group) < WORTH:
                continue
            length = own_length([*nexts, *others], group, side, after)
            if length >= WORTH and 2 * length >= longest:
                found.append((length, side, group))
    found.sort(key=lambda one: -one[0])
    return {node: side for _, side, group in found[:MOST] for node in group}


def own_length(
    roots: Iterable[Expr], group: Collection[Expr], side: int, after: Collection[Expr]
) -> int:
    """Cycles of the longest chain that nothing but one operand of some selections needs."""
    needed: set[Expr] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack += node.args[:side] + node.args[side + 1 :] if node in group else node.args
    own = [n for n in reachable(n.args[side] for n in group) if n not in needed and n in after]
    return max(lengths(own, set(own)).values(), default=0)


def lengths(nodes: Iterable[Expr], starts: Collection[Expr]) -> dict[Expr, int]:
    """Cycles until each node is known, for the nodes that `starts` lead to."""
    found: dict[Expr, int] = {}
    for node in nodes:
        before = [found[a] for a in node.args if a in found]
        if before or node in starts:
            found[node] = max(before, default=0) + cycles(node)
    return found


def cycles(node: Expr) -> int:
    """Cycles from the operands of a node to its value."""
    if node.kind == "load":
        return 5
    if node.kind != "op":
        return 0
    source = node.args[-1].dtype
    if node.data == "cast" and is_float(source) != is_float(node.dtype):
        return 5
    if is_float(source):
        return FLOATS.get(node.data, 4)
    if node.data in ("div", "rem", "idiv", "imod") and node.args[1].kind == "const":
        size = abs(node.args[1].data)
        return 2 if size & (size - 1) == 0 else BY_CONSTANT
    return INTEGERS.get(node.data, 1)


__all__ = ["jump"]
