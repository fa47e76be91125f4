"""Steps of a loop that do the same in every iteration move in front of it.

The kernels that pack a weight matrix for a product, for one: what they read does not change while
the loop runs, and nobody else writes what they write.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fornax.compiler.loop.forward import written as stores_of
from fornax.compiler.merge import Unit


def hoist(planner: Any, front: int, begin: int, varying: Collection[int]) -> int:
    """Move invariant kernels among the steps from `begin` on to step `front`; how many there were.

    `varying` are slots whose memory changes from iteration to iteration by other steps than those.
    """
    steps = planner.plan.steps
    if any(step[0] in ("switch", "host") for step in steps[begin:]):
        return 0
    writers: dict[int, int] = dict.fromkeys(varying, 2)
    for step in steps[begin:]:
        for slot in written(step):
            writers[slot] = writers.get(slot, 0) + 1
    arena = {memory.slot: memory for memory in planner.plan.memories}
    moved: list[int] = []
    for position in range(begin, planner.here):
        if steps[position][0] != "kernel" or not isinstance(steps[position][1], Unit):
            continue
        slots = steps[position][2]
        outputs = written(steps[position])
        alone = all(writers.get(slot) == 1 and slot in arena for slot in outputs)
        known = all(slot in outputs or not writers.get(slot) for slot in slots)
        if alone and known and len(set(slots)) == len(slots):
            moved.append(position)
            for slot in outputs:
                del writers[slot]
    if moved:
        move(planner, moved, front, arena)
    return len(moved)


def written(step: tuple) -> list[int]:
    """The slots that a step changes, or whose memory it does."""
    kind, *operands = step
    if kind == "kernel":
        stored = stores_of(operands[0].kernel.body)
        pairs = zip(operands[0].kernel.buffers, operands[1], strict=True)
        return [slot for buffer, slot in pairs if buffer in stored]
    if kind == "swap":
        return list(operands)
    return [operands[0]] if kind in ("copy", "address", "store_counter") else []


def move(planner: Any, moved: list[int], front: int, arena: dict[int, Any]) -> None:
    """Put the steps at positions `moved` in front of step `front`; what they write then lives to
    the end of what is planned."""
    steps = planner.plan.steps
    chosen = set(moved)

    def place(position: int) -> int:
        """Where the first step that stays, from `position` on, comes to stand."""
        while position in chosen:
            position += 1
        return position + sum(1 for m in moved if m > position) if position >= front else position

    def turned(step: tuple) -> tuple:
        kind, *operands = step
        if kind == "jump" and operands:
            return kind, place(operands[0])
        if kind in ("jump_if_not", "jump_lt") and operands:
            return kind, *operands[:-1], place(operands[-1])
        return step

    hoisted = [steps[m] for m in moved]
    kept = [turned(step) for k, step in enumerate(steps) if k >= front and k not in chosen]
    end = len(steps)
    for memory in planner.plan.memories:
        memory.start, memory.end = place(memory.start), place(memory.end)
    steps[front:] = [*hoisted, *kept]
    for step in hoisted:
        for slot in written(step):
            arena[slot].start, arena[slot].end = front, end
