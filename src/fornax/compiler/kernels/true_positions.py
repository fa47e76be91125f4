"""`true_positions`: where a mask holds, in order.

The mask is cut into blocks. One nest writes the positions of each block one behind the other into
the block's own part of a workspace: every element stores its position, and only where the mask
holds does the next one go behind it, so nothing jumps. One nest adds the numbers up, one moves the
positions of each block to where they belong.
"""

from __future__ import annotations

from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.loop.ir import REAL, Axis, Carried, Carry, Expr, For, Store

#: elements of a block
BLOCK = 2048
#: blocks worth a thread of their own
WORTH_A_THREAD = 8


def true_positions(k: KernelContext) -> None:
    """Emit the nests. Parameters: `wanted`, the number of positions wanted; `index_dtype`. Results:
    the positions, 0 where there are no more, and how many there are in all (int64)."""
    b, (length,), size = k.b, k.inputs[0].shape, k.params["wanted"]
    dtype = REAL[k.outputs[0].dtype_name]
    count = -(-length // BLOCK)
    zero = b.index(0)
    if not length:
        k.emit(k.store(1, (), b.cast(zero, k.outputs[1].dtype_name)))
        fill(k, zero)
        return
    found = k.workspace("found", dtype, (count * BLOCK,))
    numbers = k.workspace("numbers", "int64", (count,))
    starts = k.workspace("starts", "int64", (count + 1,))

    def block_of(axis: Axis) -> tuple[Expr, Expr]:
        first = b.mul(b.axis(axis), b.index(BLOCK))
        return first, b.min(b.index(BLOCK), b.sub(b.index(length), first))

    # the positions of each block, one behind the other
    block = Axis(count, "block")
    first, left = block_of(block)
    one, place = Axis(left, "i"), Carry("int64", "place")
    at = b.add(first, b.axis(one))
    mask = k.operand(0, (at,))
    assert isinstance(mask, Expr)
    following = b.add(b.carry(place), b.cast(mask, "int64"))
    store = Store(found, (b.add(first, b.carry(place)),), b.cast(at, dtype))
    body = (
        For(one, (store,), (Carried(place, zero, following),)),
        Store(numbers, (b.axis(block),), b.final(place)),
    )
    k.emit((For(block, body, kind="parallel"),), count, WORTH_A_THREAD)

    # how many there are before each block
    block, total = Axis(count, "block"), Carry("int64", "total")
    after = b.add(b.carry(total), b.load(numbers, (b.axis(block),)))
    store = Store(starts, (b.axis(block),), b.carry(total))
    k.emit(
        (
            For(block, (store,), (Carried(total, zero, after),)),
            Store(starts, (b.index(count),), b.final(total)),
            *k.store(1, (), b.cast(b.final(total), k.outputs[1].dtype_name)),
        )
    )

    # the positions of each block to where they belong
    block = Axis(count, "block")
    first, start = b.mul(b.axis(block), b.index(BLOCK)), b.load(starts, (b.axis(block),))
    room = b.max(b.sub(b.index(size), start), zero)
    kept = b.min(b.min(b.load(numbers, (b.axis(block),)), room), b.index(BLOCK))
    one = Axis(kept, "i")
    value = b.load(found, (b.add(first, b.axis(one)),))
    lanes = k.target.lanes(dtype)
    kind = "vector" if size > 1 else "serial"  # lanes have no room in one element
    move = For(one, k.store(0, (b.add(start, b.axis(one)),), value), kind=kind, lanes=lanes)
    k.emit((For(block, (move,), kind="parallel"),), count, WORTH_A_THREAD)
    fill(k, b.load(starts, (b.index(count),)))


def fill(k: KernelContext, total: Expr) -> None:
    """Emit zeros behind the positions."""
    b, size = k.b, k.params["wanted"]
    if not size:
        return
    one = Axis(size, "i")
    nothing = b.const(0, k.outputs[0].dtype_name)
    k.emit((For(one, k.store_where(0, (b.axis(one),), nothing, b.ge(b.axis(one), total))),))
