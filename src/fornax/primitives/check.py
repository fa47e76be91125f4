"""The operation `check`: an error that is a value, to be noticed when it is known.

Operands are whether something failed (bool), which finding it was (int32), and the payloads of all
findings: arrays that go into their messages. At once it raises; a program that contains it must be
made into one that returns the error before it is compiled (`experimental.checkify`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import move_to_front
from fornax.ir.effects import Effect
from fornax.ir.primitive import Primitive
from fornax.source import located

CHECK = Effect("Check", innocuous=True)


class JaxException(Exception):
    """Base of the kinds of error that a program can find."""


class NaNError(JaxException):
    """An operation made NaN."""


class OOBError(JaxException):
    """An index out of bounds."""


class DivisionByZeroError(JaxException):
    """A division by zero."""


class FailedCheckError(JaxException):
    """The condition of a `check` did not hold."""


class JaxRuntimeError(ValueError):
    """A `check` failed, or an error that a program had found is thrown."""


class Finding:
    """One way to fail: its kind, its message made from the payload, how many arrays that has."""

    __slots__ = ("category", "size", "text", "types")

    def __init__(
        self, category: type[JaxException], text: Callable[[Sequence[Any]], str], types: tuple
    ):
        self.category = category
        self.text = text
        self.types = types
        self.size = len(types)

    def __repr__(self) -> str:
        return self.category.__name__


def failures(
    failed: np.ndarray,
    code: np.ndarray,
    payloads: Sequence[np.ndarray],
    findings: Sequence[Finding],
) -> list[tuple[tuple[int, ...], str]]:
    """(index in the mapped axes, message) of everything that failed."""
    starts = np.cumsum([0, *(f.size for f in findings)])
    found = []
    for where in np.argwhere(failed):
        place = tuple(int(i) for i in where)
        number = int(code[place])
        finding = findings[number]
        values = payloads[starts[number] : starts[number] + finding.size]
        found.append((place, finding.text([np.asarray(v)[place] for v in values])))
    return found


class Check(Primitive):
    """See the module. Mapped axes lead in all operands alike."""

    def type(self, *types, findings, debug):
        return []

    def effects(self, **_):
        return frozenset((CHECK,))

    def reference(self, failed, code, *payloads, findings, debug):
        if not debug:
            found = failures(np.asarray(failed), np.asarray(code), payloads, findings)
            if found:
                raise JaxRuntimeError(
                    located(
                        found[0][1],
                        attempt="checkify.checkify(f), which returns the error in place of "
                        "raising it",
                    )
                )
        return []

    def expand(self, *operands, findings, debug):
        if debug:
            return []
        raise ValueError(
            located(
                "Cannot abstractly evaluate a checkify.check which was not functionalized. This "
                "probably means you tried to stage (jit/scan/pmap/...) a `check` without "
                "functionalizing it through `checkify.checkify`.",
                why="a compiled program cannot raise, it can only return what went wrong",
                attempt="error, result = checkify.checkify(f)(...); error.throw()",
            )
        )

    def jvp(self, primals, tangents, **params):
        return self.bind(*primals, **params), []

    def transpose(self, cotangents, *operands, **params):
        return [None] * len(operands)

    def batch(self, size, operands, dims, **params):
        moved = [move_to_front(x, d, size) for x, d in zip(operands, dims, strict=True)]
        return self.bind(*moved, **params), []


check_p = Check("check")
