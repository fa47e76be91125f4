"""Loops that store what a carry has combined so far: running sums, products and extremes.

    for i < n
      into[i] = total + x(i)
      total <- total + x(i)

Such a carry has a combiner, and the body reads its next value. In a vector loop every lane gets
what the lanes before it hold, too; the order of additions is then that of a tree, over the lanes of
a register, within the serial one. Rounding errors are no larger for it.
"""

from __future__ import annotations

from fornax._native import reachable
from fornax.compiler.loop.ir import Carried, Carry, For, Store
from fornax.compiler.loop.rewrite import expressions


def running(loop: For) -> dict[Carry, Carried]:
    """The carries whose values the body reads."""
    if not loop.carries or not loop.body:
        return {}
    read = {n.data for n in reachable(expressions(loop.body)) if n.kind == "carry"}
    return {c.carry: c for c in loop.carries if c.carry in read}


def is_scan(loop: For) -> bool:
    """Whether lanes can hold the running values of a loop: their carries are read nowhere but in
    their next values, and every iteration stores."""
    found = running(loop)
    if not found or not all(isinstance(s, Store) for s in loop.body):
        return False
    nexts = {c.next: c for c in found.values()}
    for carried in found.values():
        node, carry = carried.next, carried.carry
        if node.kind != "op" or node.data != carried.combiner:
            return False
        if sum(a.kind == "carry" and a.data is carry for a in node.args) != 1:
            return False
    roots = [*expressions(loop.body), *(c.next for c in loop.carries)]
    for node in reachable(roots):
        for arg in node.args:
            if arg.kind == "carry" and arg.data in found:
                if node not in nexts or nexts[node].carry is not arg.data:
                    return False
    return all(root.kind != "carry" or root.data not in found for root in roots)
