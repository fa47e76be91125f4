"""Which files are not the user's: what `jax._src.traceback_util` keeps.

Fornax's errors name the user's line themselves; what libraries register here is kept for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["UnfilteredStackTrace", "api_boundary", "include_frame", "register_exclusion"]

T = TypeVar("T", bound=Callable[..., Any])
_exclude_paths: list[str] = []


class UnfilteredStackTrace(Exception):  # noqa: N818  (JAX's name)
    """The cause of an error from whose traceback frames were taken. Never raised here."""


def register_exclusion(path: str) -> None:
    """Say that a file belongs to a library."""
    if path not in _exclude_paths:
        _exclude_paths.append(path)


def include_frame(frame: Any) -> bool:
    """Whether a frame is in none of the registered files."""
    return not any(frame.f_code.co_filename.startswith(path) for path in _exclude_paths)


def api_boundary(fun: T, **options: Any) -> T:
    """The function itself: errors need no change on their way out."""
    return fun
