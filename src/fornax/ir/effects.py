"""Effects: what an operation does besides computing its results.

Program order is kept for effects by the compiler, so there are no tokens.
"""

from __future__ import annotations

from fornax.record import record

__all__ = ["Effect"]


@record(frozen=True)
class Effect:
    """A kind of effect. `ordered` ones happen in program order."""

    name: str = ""  #: of the class, where it is empty
    ordered: bool = False
    #: may happen more often than the program says, as debugging output may; transformations that
    #: would repeat other effects refuse them
    innocuous: bool = False

    def __str__(self) -> str:
        return self.name or type(self).__name__
