"""The order of loops in which memory is read from end to end, for results written past the caches.

Element-wise nests run in the order of their results. Where these are written past the caches, a few
whole lines at a time, the order of what is written does not matter, while the processor foresees
what is read only within a page. So an array whose rows are to lie in another order is read in its
own.
"""

from __future__ import annotations

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.ir import WIDTH, Axis, Expr, For, Kernel, Statement, Store
from fornax.compiler.loop.parallelize import is_independent
from fornax.compiler.loop.rewrite import expressions
from fornax.compiler.target import Target

#: bytes that lie side by side both where they are read and where they are written, at least
PIECE = 64


def in_order_of_reading(kernel: Kernel, target: Target) -> Kernel:
    """The kernel, such nests with their loops in the order of what they read."""
    if not target.streams:
        return kernel
    body = tuple(reordered(statement, target) for statement in kernel.body)
    return Kernel(kernel.name, kernel.buffers, body, kernel.extent, kernel.grain)


def reordered(statement: Statement, target: Target) -> Statement:
    """The same nest with its loops in another order, if it is such a nest."""
    nest: list[For] = []
    body: tuple[Statement, ...] = (statement,)
    while len(body) == 1 and isinstance(body[0], For):
        if not isinstance(body[0].axis.extent, int) or not is_independent(body[0]):
            return statement
        nest.append(body[0])
        body = nest[-1].body
    stores = [s for s in body if isinstance(s, Store)]
    if len(nest) < 3 or len(stores) < len(body):
        return statement
    *outer, last = (loop.axis for loop in nest)

    def is_large(node: Store | Expr) -> bool:
        buffer = node.buffer if isinstance(node, Store) else node.data
        return buffer.size * WIDTH[buffer.dtype] // 8 >= target.streamed

    loads = [n for n in reachable(expressions(body)) if n.kind == "load" and is_large(n)]
    if not loads or not all(s.buffer.role == "out" and is_large(s) for s in stores):
        return statement
    narrowest = min(WIDTH[s.buffer.dtype] for s in stores) // 8
    if last.length * narrowest < PIECE or any(steps(s.index[0]).get(last) != 1 for s in stores):
        return statement
    orders = set()
    for load in loads:
        moves = steps(load.args[0])
        if moves.get(last) != 1 or any(axis not in moves for axis in outer):
            return statement
        reach = {axis: -abs(moves[axis]) for axis in outer}
        orders.add(tuple(sorted(outer, key=reach.__getitem__)))
    if len(orders) > 1:
        return statement
    result = nest[-1]
    for axis in reversed(orders.pop()):
        result = For(axis, (result,))
    return result


def steps(offset: Expr) -> dict[Axis, int]:
    """How far one step of each loop moves."""
    return {part.data: by for part, by in affine.linear(offset)[0] if part.kind == "axis"}
