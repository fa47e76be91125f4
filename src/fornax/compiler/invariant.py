"""Steps of a loop that do the same in every iteration move in front of it.

The kernels that pack a weight matrix for a product, for one: what they read does not change while
the loop runs, and nobody else writes what they write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from fornax.compiler.loop.forward import written as stores_of
from fornax.compiler.merge import Unit

if TYPE_CHECKING:
    from fornax.compiler.plan import Planner


def hoist(planner: Planner, front: int, begin: int, varying: Collection[int]) -> int:
    """Move invariant kernels among the steps from `begin` on to step `front`; how many there were.

    `varying` are slots whose memory changes from iteration to iteration by other steps than those.
    """
    steps = planner.plan.steps
    if any(step[0] in ("switch", "host") for step in steps[begin:]):
        return 0
    memory_of = _memories(steps)
    moving = set(varying)  # slots that stand for another place in every iteration
    writers = Counter({memory_of(slot): 2 for slot in varying})
    for step in steps[begin:]:
        moving.update(_set(step))
        writers.update(map(memory_of, written(step)))
    arena = {memory.slot: memory for memory in planner.plan.memories}
    moved: list[int] = []
    for position in range(begin, planner.here):
        if steps[position][0] != "kernel" or not isinstance(steps[position][1], Unit):
            continue
        slots = steps[position][2]
        outputs = written(steps[position])
        alone = all(writers[memory_of(slot)] == 1 and slot in arena for slot in outputs)
        known = all(slot in outputs or not writers[memory_of(slot)] for slot in slots)
        if alone and known and len(set(slots)) == len(slots) and not moving.intersection(slots):
            moved.append(position)
            for slot in outputs:
                del writers[memory_of(slot)]
    if moved:
        move(planner, moved, front, arena)
    return len(moved)


def _memories(steps: Sequence[tuple[Any, ...]]) -> Callable[[int], int]:
    """Tells of a slot one that stands for all that may lie in the same memory: an address within
    a slot and the slot, and slots that are swapped."""
    parent: dict[int, int] = {}

    def memory_of(slot: int) -> int:
        while slot in parent:
            slot = parent[slot]
        return slot

    for kind, *operands in steps:
        if kind in ("address", "swap"):
            first, second = map(memory_of, operands[:2])
            if first != second:
                parent[first] = second
    return memory_of


def _set(step: tuple[Any, ...]) -> list[int]:
    """The slots that stand for another place after a step."""
    kind, *operands = step
    if kind == "swap":
        return list(operands)
    return [operands[0]] if kind == "address" else []


def written(step: tuple[Any, ...]) -> list[int]:
    """The slots whose memory a step changes."""
    kind, *operands = step
    if kind == "kernel":
        stored = stores_of(operands[0].kernel.body)
        pairs = zip(operands[0].kernel.buffers, operands[1], strict=True)
        return [slot for buffer, slot in pairs if buffer in stored]
    return [operands[0]] if kind in ("copy", "store_counter") else []


def move(planner: Planner, moved: list[int], front: int, arena: dict[int, Any]) -> None:
    """Put the steps at positions `moved` in front of step `front`; what they write then lives to
    the end of what is planned."""
    steps = planner.plan.steps
    chosen = set(moved)

    def place(position: int) -> int:
        """Where the first step that stays, from `position` on, comes to stand."""
        while position in chosen:
            position += 1
        return position + sum(1 for m in moved if m > position) if position >= front else position

    def turned(step: tuple[Any, ...]) -> tuple[Any, ...]:
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
