"""Where in the user's program something happened: the innermost frame outside Fornax.

Recording keeps only a code object and an instruction offset; the file and line are worked out
when somebody prints them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import warnings
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

from fornax.errors import message

_ROOT = os.path.dirname(os.path.abspath(__file__)) + os.sep
#: modules that only pass calls on
_BETWEEN = (contextlib.__file__, functools.__file__)
#: where NumPy is: its functions take our arrays and call back
_NUMPY = os.path.join("site-packages", "numpy") + os.sep
#: by identity of the code, which is kept beside the answer: to hash code is to hash all of it
_inside: dict[int, tuple[bool, CodeType]] = {}
#: of that the code inside, which `here` passes for every equation
_ours: set[int] = set()


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


#: what `Source(...)` comes to, without the call in between
_made = tuple.__new__


def is_inside(code: CodeType) -> bool:
    """Whether code is part of Fornax, of NumPy or of the import system."""
    found = _inside.get(id(code))
    if found is None:
        name = code.co_filename
        ours = name.startswith((_ROOT, "<frozen")) or name in _BETWEEN
        found = _inside[id(code)] = ours or _NUMPY in name, code
        if found[0]:
            _ours.add(id(code))
    return found[0]


class _Standing(threading.local):
    source: Source | None = None


_standing = _Standing()


def stand_for(source: Source | None) -> Source | None:
    """What is done from now on stands for what was done there: `here` says so, until it is told
    otherwise (None: it looks for the user's line again). Returns what it was told before."""
    before = _standing.source
    _standing.source = source
    return before


def in_own_lines(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a user's function, whatever its call stands for: its lines are where it does what."""
    before = stand_for(None)
    try:
        return function(*args, **kwargs)
    finally:
        stand_for(before)


def here(depth: int = 1) -> Source | None:
    """The innermost caller that is not part of Fornax, or the place that it stands for.

    depth: the caller to begin with, 1 for the one that calls this; those before are Fornax's.
    """
    if _standing.source is not None:
        return _standing.source
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        if id(code) not in _ours and not is_inside(code):
            return _made(Source, (code, frame.f_lasti))
        frame = frame.f_back
    return None


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
