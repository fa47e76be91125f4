"""Scatters whose updates may meet anywhere, in parallel: every thread owns a part of the operand.

Every thread looks at all updates and makes those that go to its part, in their order, so that the
result is the one of a serial loop. Looking does not jump: the numbers of a block's own updates are
written one behind the other into local memory, and then followed. A part is smaller than the
operand, so it also stays in a nearer cache.
"""

from __future__ import annotations

from collections.abc import Callable

from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.loop.ir import (
    Alloc,
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    If,
    Statement,
    Store,
)

#: updates that are looked at before those among them are made that belong to the part
BLOCK = 1024
#: the fewest updates, and elements of the operand, that are worth it
MANY = 1 << 17

#: an update by its number: the operand's index, whether it is inside, the statements that make it
Update = Callable[[Expr], tuple[list[Expr], Expr, tuple[Statement, ...]]]


def in_parts(k: KernelContext, count: int, dimension: int, update: Update) -> None:
    """Emit one nest that makes `count` updates; parts are shares of `dimension` of the operand."""
    b, extent = k.b, k.inputs[0].shape[dimension]
    share = -(-extent // k.threads)
    part, block = Axis(k.threads, "part"), Axis(-(-count // BLOCK), "block")
    first = b.mul(b.axis(block), b.index(BLOCK))
    left = b.min(b.index(BLOCK), b.sub(b.index(count), first))
    begin = b.mul(b.axis(part), b.index(share))

    one = Axis(left, "u")
    number, place = b.add(first, b.axis(one)), Carry("int64", "place")
    index, _, _ = update(number)
    size = b.min(b.index(share), b.sub(b.index(extent), begin))
    distance = b.cast(b.sub(index[dimension], begin), "uint64")  # huge where it is negative
    here = b.lt(distance, b.cast(size, "uint64"))
    own = Buffer("own", "int32", (BLOCK,), (1,), "local")
    look = For(
        one,
        (Store(own, (b.carry(place),), b.cast(b.axis(one), "int32")),),
        (Carried(place, b.index(0), b.add(b.carry(place), b.cast(here, "int64"))),),
    )
    found = b.min(b.final(place), b.index(BLOCK))
    one = Axis(found, "u")
    chosen = b.add(first, b.cast(b.load(own, (b.axis(one),)), "int64"))
    _, inside, body = update(chosen)
    if not (inside.kind == "const" and inside.data):
        body = (If(inside, body),)
    make = For(one, body)
    loops = For(block, (Alloc(own), look, make))
    k.emit((For(part, (loops,), kind="parallel"),), k.threads, 1)
