"""References that a rule uses although nobody knew of them when its program was made.

A program has taken the values of the references that it uses, and gives new ones when it has
ended. A user's rule that runs while the program is transformed gets those of the references that
were found to belong to it (`api.closures`). Any other that is `taken` must not be read where it
is, for its value there is an old one: `RefTaken` says so at once. Whoever made the program and
applies it (`retraced`) makes it again then, knowing of the reference, so that it is handed to the
rule like the others.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fornax import source
from fornax.errors import message

__all__ = [
    "RefTaken", "RefsFromOutside", "any_taken", "check_taken", "is_taken", "known", "retraced",
    "taken",
]  # fmt: skip


class RefsFromOutside(NotImplementedError):
    """A function uses the reference `ref` from outside where a program without it is made.

    refused: there is no other way to apply what the function belongs to.
    """

    refused = False

    def __init__(self, text: str, ref: Any):
        super().__init__(text)
        self.ref = ref


class RefTaken(NotImplementedError):
    """A function uses the reference `ref` while a program has its value."""

    def __init__(self, text: str, ref: Any):
        super().__init__(text)
        self.ref = ref


class _State(threading.local):
    def __init__(self) -> None:
        #: references that programs have taken, and whether those write to them
        self.taken: tuple[Mapping[Any, bool], ...] = ()
        #: references that rules turned out to use
        self.known: tuple[Any, ...] = ()


_state = _State()


def any_taken() -> bool:
    """Whether any reference is taken."""
    return bool(_state.taken)


def is_taken(ref: Any) -> bool:
    """Whether a program that is being applied has the value of this reference."""
    return any(ref in each for each in _state.taken)


@contextlib.contextmanager
def taken(refs: Mapping[Any, bool]) -> Iterator[None]:
    """While this lasts a program has the values of references: {reference: whether it writes}."""
    before = _state.taken
    if refs:
        _state.taken = (*before, refs)
    try:
        yield
    finally:
        _state.taken = before


def check_taken(ref: Any, writes: bool) -> None:
    """Raise RefTaken if this would read an old value, or write one that nobody sees."""
    for each in _state.taken:
        written = each.get(ref)
        if written or (writes and written is not None):
            raise RefTaken(
                message(
                    f"a rule or a callback uses a mutable reference of type {ref.aval} while a "
                    "program that the function belongs to has its value",
                    where=str(source.here() or "unknown"),
                    why="the program gives the new value when it has ended, and hands what it has "
                    "only to rules that close over the reference, if it is no argument",
                    attempt="pass the reference as an argument to the function that has the rule, "
                    "the value to the callback",
                ),
                ref,
            )


def known() -> tuple[Any, ...]:
    """The references that rules use although they were not found, as far as that turned out."""
    return _state.known


def retraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which makes a program and applies it; again if it turns out that a rule uses a
    reference that nobody knew of."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (RefsFromOutside, RefTaken) as error:
            if error.ref in _state.known:
                raise
            found: Sequence[Any] = (*_state.known, error.ref)
        before, _state.known = _state.known, tuple(found)
        try:
            return wrapper(*args, **kwargs)
        finally:
            _state.known = before

    return wrapper
