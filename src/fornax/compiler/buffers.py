"""Memory of a program run: which values share memory, and where in the arena each lies."""

from __future__ import annotations

from dataclasses import dataclass

ALIGNMENT = 64


@dataclass(eq=False)
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


def assign(memories: list[Memory]) -> tuple[int, list[tuple[int, int]]]:
    """(arena size, (slot, offset) pairs): offsets such that memories alive together are apart.

    Largest first, each at the lowest offset that is free during its whole life.
    """
    placed: list[tuple[int, int, Memory]] = []  # offset, end offset
    total = 0
    result = []
    for memory in sorted(memories, key=lambda m: -m.nbytes):
        size = -(-max(memory.nbytes, 1) // ALIGNMENT) * ALIGNMENT
        busy = sorted(
            (low, high)
            for low, high, other in placed
            if other.start <= memory.end and memory.start <= other.end
        )
        offset = 0
        for low, high in busy:
            if low - offset >= size:
                break
            offset = max(offset, high)
        placed.append((offset, offset + size, memory))
        total = max(total, offset + size)
        result.append((memory.slot, offset))
    return total, result
