"""Perfect nests: loops that hold nothing but the next one, which continues their reductions."""

from __future__ import annotations

from fornax._native import reachable
from fornax.compiler.loop.ir import Expr, For
from fornax.compiler.loop.rewrite import expressions


def nest_of(loop: For, known: bool = True) -> list[For]:
    """The loops of the perfect nest that starts with `loop`, the outermost first; with `known`,
    those whose extents are numbers."""
    nest = [loop]
    while (inner := mergeable(nest[-1], known)) is not None:
        nest.append(inner)
    return nest


def mergeable(outer: For, known: bool = True) -> For | None:
    """The loop in a loop that holds nothing else, if it may continue its reductions."""
    if len(outer.body) != 1 or not isinstance(outer.body[0], For):
        return None
    inner = outer.body[0]
    if outer.kind != "serial" or inner.kind != "serial" or outer.reverse or inner.reverse:
        return None
    if known and (isinstance(outer.axis.extent, Expr) or isinstance(inner.axis.extent, Expr)):
        return None
    if len(outer.carries) != len(inner.carries):
        return None
    # what the outer loop carries stays as it is in the inner one, which must not look at it
    steps = [*expressions(inner.body), *(c.next for c in inner.carries)]
    before = {c.carry for c in outer.carries}
    if before and any(n.kind == "carry" and n.data in before for n in reachable(steps)):
        return None
    continues = all(
        c.start.kind == "carry" and c.start.data is o.carry
        and o.next.kind == "final" and o.next.data is c.carry
        for o, c in zip(outer.carries, inner.carries, strict=True)
    )  # fmt: skip
    return inner if continues else None
