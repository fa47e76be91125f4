"""Memory of a program run: which values share memory, and where in the arena each lies."""

from __future__ import annotations

import numpy as np

from fornax.ir.types import ArrayType
from fornax.record import record

ALIGNMENT = 64


@record(eq=False)
class Memory:
    """A piece of memory behind one slot of the plan.

    Arena memory lives from step `start` to step `end`; other memory (inputs, outputs, constants,
    addresses inside them) is given from outside and `fixed`. `owned` memory may be overwritten
    once its value has been read for the last time; memory that is `donated` by the caller only by
    the very output that takes it over.
    """

    slot: int
    nbytes: int
    fixed: bool
    owned: bool
    start: int = 0
    end: int = 0
    donated: bool = False


@record(eq=False)
class Next(Memory):
    """Where the next value of a carry goes; `carry` is the memory of the current one."""

    carry: Memory | None = None


def nbytes(type: ArrayType) -> int:
    """Bytes of an array of this type."""
    return type.size * type.dtype.itemsize


def assign(memories: list[Memory]) -> tuple[int, list[tuple[int, int]]]:
    """(arena size, (slot, offset) pairs): offsets such that memories alive together are apart.

    Largest first, each at the lowest offset that is free during its whole life.
    """
    total = 0
    result = []
    # of what is placed: first and last step, offset and end in the arena
    placed = np.empty((4, len(memories)), np.int64)
    for count, memory in enumerate(sorted(memories, key=lambda m: -m.nbytes)):
        size = -(-max(memory.nbytes, 1) // ALIGNMENT) * ALIGNMENT
        starts, ends, lows, highs = placed[:, :count]
        alive = np.flatnonzero((starts <= memory.end) & (ends >= memory.start))
        alive = alive[np.argsort(lows[alive])]
        # where what lies below ends: the first gap that is wide enough begins there
        below = np.maximum.accumulate(np.append(0, highs[alive]))
        wide = np.flatnonzero(lows[alive] - below[:-1] >= size)
        offset = int(below[wide[0] if len(wide) else -1])
        placed[:, count] = memory.start, memory.end, offset, offset + size
        total = max(total, offset + size)
        result.append((memory.slot, offset))
    return total, result
