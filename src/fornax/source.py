"""Where in the user's program something happened: the innermost frame outside Fornax.

Recording keeps only a code object and an instruction offset; the file and line are worked out
when somebody prints them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

from fornax import _native
from fornax.errors import message

_ROOT = os.path.dirname(os.path.abspath(__file__)) + os.sep
#: modules that only pass calls on
_BETWEEN = (contextlib.__file__, functools.__file__)
#: where NumPy is: its functions take our arrays and call back
_NUMPY = os.path.join("site-packages", "numpy") + os.sep
#: by identity of the code, which is kept beside the answer: to hash code is to hash all of it
_inside: dict[int, tuple[bool, CodeType]] = {}


class Source(NamedTuple):
    """A place in Python code."""

    code: CodeType
    offset: int

    @property
    def line(self) -> int:
        lines = list(self.code.co_positions())
        position = lines[self.offset // 2] if self.offset // 2 < len(lines) else (None,)
        return position[0] or self.code.co_firstlineno

    def __str__(self) -> str:
        return f"{self.code.co_filename}:{self.line} ({self.code.co_name})"


def is_inside(code: CodeType) -> bool:
    """Whether code is part of Fornax, of NumPy or of the import system."""
    found = _inside.get(id(code))
    if found is None:
        name = code.co_filename
        ours = name.startswith((_ROOT, "<frozen")) or name in _BETWEEN
        found = _inside[id(code)] = ours or _NUMPY in name, code
    return found[0]


here, stand_for = _native.here, _native.stand_for
_native.set_places(Source, is_inside)


def in_own_lines(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a user's function, whatever its call stands for: its lines are where it does what."""
    before = stand_for(None)
    try:
        return function(*args, **kwargs)
    finally:
        stand_for(before)


def located(what: str, why: str = "", attempt: str = "") -> str:
    """`errors.message` with the user's line as where."""
    return message(what, str(here() or ""), why, attempt)


def outermost() -> tuple[str, int]:
    """The name of the function of Fornax that the user called, and how many frames are inside."""
    name, depth = "", 0
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inside(frame.f_code):
        name, depth, frame = frame.f_code.co_name, depth + 1, frame.f_back
    return name, depth


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """A warning at the user's line."""
    warnings.warn(text, category, stacklevel=outermost()[1] + 1)
