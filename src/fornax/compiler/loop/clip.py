"""Reductions over padded arrays end where the padding begins.

What is there instead of an array's elements changes nothing in such a reduction, as it is the
neutral element. Its loop ends earlier then, and needs no mask for each element:

    for i < n: c <- max(c, select(lt(i + r, size), x[min(i + r, size - 1)], -inf))
    for i < max(min(n, size - r), 0): c <- max(c, x[i + r])

Sums are left as they are: the order of their additions comes from the extent (`tile.block_sums`).
"""

from __future__ import annotations

from collections.abc import Iterator

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder, identity
from fornax.compiler.loop.ir import Axis, Carried, Expr, For, Kernel, Statement
from fornax.compiler.loop.rewrite import Rewriter

#: loops of fewer iterations keep their masks: an extent that is not known costs more
SHORTEST = 64
#: combiners whose results do not depend on the order of what they combine
EXACT = {"min", "max", "and", "or", "argmin", "argmax"}


def clip(b: Builder, kernel: Kernel) -> Kernel:
    """The flat kernel, made with `b`, with such loops cut."""
    body = statements(b, kernel.body)
    return Kernel(kernel.name, kernel.buffers, body, kernel.extent, kernel.grain)


def statements(b: Builder, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The statements of a body, itself where no loop in it is cut."""
    made = tuple(loop(b, s) if isinstance(s, For) else s for s in body)
    return body if all(new is old for new, old in zip(made, body, strict=True)) else made


def loop(b: Builder, old: For) -> For:
    if old.body:
        inner = statements(b, old.body)
        if inner is old.body:
            return old
        return For(old.axis, inner, old.carries, old.kind, old.lanes, old.reverse)
    if old.kind != "serial" or old.reverse or not isinstance(old.axis.extent, int):
        return old
    if old.axis.extent < SHORTEST or any(c.combiner not in EXACT for c in old.carries):
        return old
    for condition in ends(b, old):
        outside = Rewriter(b, {condition: b.const(condition.data != "lt", "bool")})
        if all(is_neutral(b, carried, outside(carried.next)) for carried in old.carries):
            return until(b, old, condition)
    return old


def ends(b: Builder, loop: For) -> Iterator[Expr]:
    """Comparisons with one answer up to some iteration of a loop and the other after it."""
    for node in reachable(carried.next for carried in loop.carries):
        if node.kind != "op" or node.data not in ("lt", "ge") or node.args[1].kind != "const":
            continue
        if node.args[0].dtype != "int64":
            continue
        terms = dict(affine.linear(node.args[0])[0])
        if terms.pop(b.axis(loop.axis), 0) == 1 and all(part.kind == "axis" for part in terms):
            yield node


def is_neutral(b: Builder, carried: Carried, value: Expr) -> bool:
    """Whether a carry whose next value this is keeps what it has."""
    carry, combiner = b.carry(carried.carry), carried.combiner
    if value is carry:
        return True
    if combiner is None or value.kind != "op" or value.data != combiner:
        return False
    if carry not in value.args:
        return False
    (other,) = (a for a in value.args if a is not carry)
    return other is b.const(identity(combiner, carry.dtype), carry.dtype)


def until(b: Builder, old: For, condition: Expr) -> For:
    """The loop up to where the answer of a comparison changes."""
    place, end = condition.args
    start = affine.sum_of(b, (place, 1), (b.axis(old.axis), -1))
    extent = b.max(b.min(b.sub(end, start), b.index(old.axis.extent)), b.index(0))
    axis = Axis(extent.data if extent.kind == "const" else extent, old.axis.name)
    memo = {b.axis(old.axis): b.axis(axis)}
    memo[condition] = b.const(condition.data == "lt", "bool")
    here = Rewriter(b, dict(memo))(place)
    for node in reachable(carried.next for carried in old.carries):
        clamped = node.kind == "op" and node.data == "min" and node.args[0] is place
        if clamped and node.args[1].kind == "const" and node.args[1].data >= end.data - 1:
            memo[node] = here
    step = Rewriter(b, memo)
    carries = tuple(Carried(c.carry, c.start, step(c.next), c.combiner) for c in old.carries)
    return For(axis, (), carries)
