"""Loops that write some of their values one behind the other, as lanes do.

    for i < n
      into[place] = value(i)
      place <- place + cast i64(chosen(i))

Every iteration stores, but only behind a chosen one does the next store go on. In a vector loop the
chosen lanes are pushed together and stored at once. What others store is written over by the next
one, but for that of the last iteration, which therefore runs by itself.
"""

from __future__ import annotations

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.ir import WIDTH, Expr, For, Store
from fornax.compiler.target import Target

#: widths of elements whose lanes processors push together
WIDTHS = (32, 64)


def chosen(loop: For) -> Expr | None:
    """The condition that chooses iterations, if a loop is of this kind."""
    if len(loop.carries) != 1 or loop.reverse or not loop.body:
        return None
    (carried,) = loop.carries
    condition = counted(carried.next, carried.carry)
    if carried.combiner is not None or condition is None:
        return None
    written = set()
    roots = [condition]
    for statement in loop.body:
        if not isinstance(statement, Store) or statement.mask is not None:
            return None
        if WIDTH[statement.buffer.dtype] not in WIDTHS or len(statement.index) != 1:
            return None
        if statement.buffer in written:
            return None
        terms = dict(affine.linear(statement.index[0])[0])
        places = [p for p in terms if p.kind == "carry" and p.data is carried.carry]
        if len(places) != 1 or terms.pop(places[0]) != 1:
            return None
        if any(n.kind == "axis" and n.data is loop.axis for n in reachable(terms)):
            return None
        written.add(statement.buffer)
        roots += [*terms, statement.value]
    for node in reachable(roots):
        if node.kind == "carry" and node.data is carried.carry:
            return None
        if node.kind == "load" and node.data in written:
            return None
    return condition


def lanes(loop: For, target: Target) -> int:
    """As many lanes as a register has of the widest elements that are written."""
    return target.vector_bits // max(
        WIDTH[s.buffer.dtype] for s in loop.body if isinstance(s, Store)
    )


def counted(following: Expr, carry: object) -> Expr | None:
    """The bool whose truth is counted by `carry + cast i64(bool)`."""
    if following.kind != "op" or following.data != "add" or following.dtype != "int64":
        return None
    one, other = following.args
    for place, step in ((one, other), (other, one)):
        if place.kind == "carry" and place.data is carry and step.kind == "op":
            if step.data == "cast" and step.args[0].dtype == "bool":
                return step.args[0]
    return None
