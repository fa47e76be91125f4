"""Partial application as a pytree."""

from __future__ import annotations

import functools
from typing import Any

from .registry import register_pytree_node

__all__ = ["Partial"]


class Opaque:
    """Hides a partially applied function, which `functools.partial` would otherwise take apart.

    Two of these are equal when the functions in them are.
    """

    __slots__ = ("function",)

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.function(*arguments, **keywords)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Opaque):
            return NotImplemented
        return bool(self.function == other.function)

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        return f"Opaque({self.function!r})"


class Partial(functools.partial):  # type: ignore[type-arg]
    """`functools.partial` as a pytree: the bound arguments are children, the function is static.

    `Partial(function, *arguments, **keywords)` can therefore be passed through transformations
    with its arguments traced. Two structures are equal when their functions are. A function that
    is itself a partial application is kept whole, so its own arguments are static.
    Raises TypeError when the function is not callable.
    """

    def __new__(cls, func: Any, *args: Any, **kw: Any) -> Partial:
        if isinstance(func, functools.partial):
            func = Opaque(func)
        return super().__new__(cls, func, *args, **kw)


register_pytree_node(
    Partial,
    lambda partial: ((partial.args, partial.keywords), partial.func),
    lambda function, children: Partial(function, *children[0], **children[1]),
)
