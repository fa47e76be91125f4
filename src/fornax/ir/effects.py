"""Effects: what an operation does besides computing its results.

Program order is kept for effects by the compiler, so there are no tokens.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effect:
    """A kind of effect. `ordered` ones happen in program order."""

    name: str
    ordered: bool = False
    allowed_in_loops: bool = True
    allowed_in_remat: bool = False
