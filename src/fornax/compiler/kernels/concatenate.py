"""`concatenate`: every operand is written to its place, with no choice in the inner loop."""

from __future__ import annotations

from math import prod

from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.update import around
from fornax.compiler.loop.ir import Axis, Expr, Statement

#: A result of at most this many elements is written by one kernel, piece after piece.
SMALL = 1 << 14


def concatenate(k: KernelContext) -> None:
    """Emit the nests of a `concatenate` along `dimension`.

    Dimensions before it are loops around all pieces; a large result joined along its first
    dimension gets one nest for each piece.
    """
    b = k.b
    shape = k.outputs[0].shape
    dimension = k.params["dimension"] % len(shape)
    if 0 in shape:
        return
    outer = [Axis(n, "i") for n in shape[:dimension]]
    pieces: list[tuple[list[Axis], tuple[Statement, ...]]] = []
    position = 0
    for i, operand in enumerate(k.inputs):
        extents = operand.shape[dimension:]
        axes = [Axis(n, "i") for n in extents]
        at: list[Expr] = [b.axis(a) for a in (*outer, *axes)]
        place = list(at)
        place[dimension] = b.add(at[dimension], b.index(position))
        position += extents[0]
        if 0 not in extents:
            pieces.append((axes, k.store(0, place, k.operand(i, at))))
    if prod(shape[:dimension]) == 1 and prod(shape) > SMALL:
        for axes, stores in pieces:
            k.emit(around(axes, stores))
        return
    body = tuple(s for axes, stores in pieces for s in around(axes, stores))
    k.emit(around(outer, body))
