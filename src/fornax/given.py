"""The default of an argument for which None is a value."""

from __future__ import annotations

from typing import Any

__all__ = ["NotGiven", "not_given"]


class NotGiven:
    """Its one object, `not_given`, is the default of arguments that may be None."""

    def __repr__(self) -> str:
        return "<not given>"


not_given: Any = NotGiven()
