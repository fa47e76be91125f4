"""Entries of key paths, and paths as text."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from fornax.source import located

__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "SequenceKey",
    "keystr",
]

_set = object.__setattr__


class _Key:
    """What the four kinds share: one immutable field, equality within the kind."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def _value(self) -> Any:
        return getattr(self, self.__match_args__[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__match_args__[0]}={self._value()!r})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return bool(self._value() == other._value())

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._value()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._value(),)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(
            located(
                f"{type(self).__name__} is immutable: cannot set {name!r}",
                attempt="make a new key; keys are parts of paths and are compared by value",
            )
        )


def _require(kind: str, value: Any, expected: type) -> None:
    if not isinstance(value, expected):
        got = f"{type(value).__name__}: {value!r}"
        raise TypeError(
            located(
                f"{kind} expects {expected.__name__}, got {got}",
                attempt=f"{kind}({expected.__name__}(...))",
            )
        )


class SequenceKey(_Key):
    """Position `idx` (int) in a tuple or list."""

    __slots__ = ("idx",)
    __match_args__ = ("idx",)
    idx: int

    def __init__(self, idx: int) -> None:
        _require("SequenceKey", idx, int)
        _set(self, "idx", idx)

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


class DictKey(_Key):
    """Key `key` (any hashable) of a dictionary."""

    __slots__ = ("key",)
    __match_args__ = ("key",)
    key: Any

    def __init__(self, key: Any) -> None:
        _set(self, "key", key)

    def __str__(self) -> str:
        return f"[{self.key!r}]"


class GetAttrKey(_Key):
    """Attribute `name` (str) of a named tuple, dataclass or registered class."""

    __slots__ = ("name",)
    __match_args__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        _require("GetAttrKey", name, str)
        _set(self, "name", name)

    def __str__(self) -> str:
        return f".{self.name}"


class FlattenedIndexKey(_Key):
    """Child number `key` (int) of a registered class that does not name its children."""

    __slots__ = ("key",)
    __match_args__ = ("key",)
    key: int

    def __init__(self, key: int) -> None:
        _require("FlattenedIndexKey", key, int)
        _set(self, "key", key)

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


KeyEntry = TypeVar("KeyEntry")
KeyPath = tuple[KeyEntry, ...]


def keystr(keys: KeyPath[Any], *, simple: bool = False, separator: str = "") -> str:
    """The key path `keys` as text, `['a'][0].weight`; `simple=True` drops brackets and quotes.

    `separator` goes between entries: `keystr(path, simple=True, separator="/")` is `a/0/weight`.
    """
    if not simple:
        return separator.join(map(str, keys))
    return separator.join(str(k._value()) if isinstance(k, _Key) else str(k) for k in keys)
