"""Reductions over padded arrays end where the padding begins.

What is there instead of an array's elements changes nothing in such a reduction, as it is the
neutral element. Its loop ends earlier then, and needs no mask for each element:

    for i < n: c <- max(c, select(lt(i + r, size), x[min(i + r, size - 1)], -inf))
    for i < max(min(n, size - r), 0): c <- max(c, x[i + r])

Loops over rows of which each is reduced end with the rows. Single sums of floats are left as they
are at first: the order of their additions comes from the extent. They end there as well once that
is settled (`sums`).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder, identity
from fornax.compiler.loop.ir import (
    COMBINERS,
    Axis,
    Carried,
    Expr,
    For,
    Kernel,
    Statement,
    is_float,
)
from fornax.compiler.loop.nests import nest_of
from fornax.compiler.loop.rewrite import Rewriter

#: loops of fewer iterations keep their masks: an extent that is not known costs more
SHORTEST = 64
#: combiners of floats whose results depend on the order of what they combine
ROUNDED = {"add", "mul"}


def clip(b: Builder, kernel: Kernel) -> Kernel:
    """The flat kernel, made with `b`, with such loops cut."""
    body = statements(b, kernel.body)
    return Kernel(kernel.name, kernel.buffers, body, kernel.extent, kernel.grain)


def statements(b: Builder, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The statements of a body, itself where no loop in it is cut."""
    made = tuple(loop(b, s) if isinstance(s, For) else s for s in body)
    return body if all(new is old for new, old in zip(made, body, strict=True)) else made


def loop(b: Builder, old: For) -> For:
    nest = nest_of(old)
    rounded = any(c.combiner in ROUNDED and is_float(c.carry.dtype) for c in old.carries)
    if old.kind == "serial" and (len(nest) > 1 or not rounded):
        found = ended(b, old)
        if found is not old:
            return found
    inner = statements(b, old.body)
    if inner is old.body:
        return old
    return For(old.axis, inner, old.carries, old.kind, old.lanes, old.reverse)


def ended(b: Builder, old: For) -> For:
    """A loop cut if it is one of those, or holds loops alone that continue its reductions."""
    nest = nest_of(old)
    last, extents = nest[-1], [loop.axis.extent for loop in nest]
    if last.body or old.reverse or not all(isinstance(n, int) for n in extents):
        return old
    if prod(loop.axis.length for loop in nest) < SHORTEST:
        return old
    if any(c.combiner not in COMBINERS or c.combiner == "cmul" for c in last.carries):
        return old
    for condition in ends(nest):
        outside = Rewriter(b, {condition: b.const(condition.data != "lt", "bool")})
        if all(is_neutral(b, carried, outside(carried.next)) for carried in last.carries):
            return until(b, old, last, condition)
    return old


def ends(nest: list[For]) -> Iterator[Expr]:
    """Comparisons in a nest with one answer up to some iteration of its first loop and the other
    after it."""
    first, *others = (loop.axis for loop in nest)
    for node in reachable(carried.next for carried in nest[-1].carries):
        if node.kind != "op" or node.data not in ("lt", "ge") or node.args[1].kind != "const":
            continue
        if node.args[0].dtype != "int64":
            continue
        terms = affine.linear(node.args[0])[0]
        if [by for part, by in terms if part.data is first] != [1]:
            continue
        if all(part.kind == "axis" and part.data not in others for part, _ in terms):
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


def until(b: Builder, old: For, last: For, condition: Expr) -> For:
    """A loop, which holds the loop `last`, up to where the answer of a comparison changes."""
    place, end = condition.args
    start = affine.sum_of(b, (place, 1), (b.axis(old.axis), -1))
    extent = b.max(b.min(b.sub(end, start), b.index(old.axis.extent)), b.index(0))
    axis = Axis(extent, old.axis.name)
    memo = {b.axis(old.axis): b.axis(axis)}
    memo[condition] = b.const(condition.data == "lt", "bool")
    here = Rewriter(b, dict(memo))(place)
    for node in reachable(carried.next for carried in last.carries):
        clamped = node.kind == "op" and node.data == "min" and node.args[0] is place
        if clamped and node.args[1].kind == "const" and node.args[1].data >= end.data - 1:
            memo[node] = here
    step = Rewriter(b, memo)
    body = step.statements(old.body)
    carries = tuple(Carried(c.carry, c.start, step(c.next), c.combiner) for c in old.carries)
    return For(axis, body, carries, old.kind, old.lanes)
