"""What the emitter keeps about values, straight-line code and the vector loop around it."""

from __future__ import annotations

from typing import NamedTuple

from fornax.compiler.loop.ir import Axis, Buffer
from fornax.record import field, record


class Value(NamedTuple):
    """The name of an SSA value or constant, its lanes, and the depth of its scope."""

    name: str
    lanes: int = 1
    depth: int = 0


@record(eq=False)
class Scope:
    """Straight-line code under construction, at one depth of nesting."""

    depth: int
    block: str  #: label of the block the next line goes to
    writes: frozenset[Buffer] = frozenset()  #: buffers stored to while the scope repeats
    guarded: bool = False  #: may run zero times: loads that might be out of bounds stay inside
    branch: bool = False  #: runs conditionally: everything stays inside
    lines: list[str] = field(default_factory=list)
    #: keys of known values that end with the scope
    owned: list[object] = field(default_factory=list)


@record(frozen=True)
class Vector:
    """The vector loop being emitted: `base` is the name of the axis in the first lane; in a
    `partial` one, lanes may lie beyond the end of the loop."""

    axis: Axis
    lanes: int
    base: str
    depth: int
    partial: bool = False
