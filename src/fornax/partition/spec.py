"""PartitionSpec: which dimensions of an array are split over which axes of a mesh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["P", "PartitionSpec"]


class _Unconstrained:
    """The entry that leaves a dimension to the system."""

    def __repr__(self) -> str:
        return "UNCONSTRAINED"

    def __reduce__(self) -> Any:
        return _unconstrained, ()


UNCONSTRAINED = _Unconstrained()


def _unconstrained() -> _Unconstrained:
    return UNCONSTRAINED


def _entry(part: Any) -> Any:
    """One spelling of an entry: None for no axes, a bare name for a single one."""
    if isinstance(part, list | tuple):
        return tuple(part) if len(part) > 1 else part[0] if part else None
    return part


class PartitionSpec:
    """For each dimension an axis name, a tuple of names, None or UNCONSTRAINED.

    unreduced, reduced: names of axes over which sums are pending, or have been done. Compares equal
    to a tuple with the same entries' spelling only through `tuple(spec)`.
    """

    __slots__ = ("_entries", "reduced", "unreduced")
    UNCONSTRAINED = UNCONSTRAINED

    def __init__(
        self,
        *partitions: Any,
        unreduced: Iterable[Any] = frozenset(),
        reduced: Iterable[Any] = frozenset(),
    ):
        self._entries = tuple(map(_entry, partitions))
        self.unreduced = frozenset(unreduced)
        self.reduced = frozenset(reduced)

    @property
    def partitions(self) -> tuple[Any, ...]:
        return self._entries

    def axes(self) -> list[Any]:
        """The names of all axes, in order."""
        found: list[Any] = []
        for entry in self._entries:
            if entry is not None and entry is not UNCONSTRAINED:
                found.extend(entry if isinstance(entry, tuple) else (entry,))
        return found

    def update(self, **changes: Any) -> PartitionSpec:
        """The same specification with `partitions`, `unreduced` or `reduced` changed."""
        entries = changes.pop("partitions", self._entries)
        options = {"unreduced": self.unreduced, "reduced": self.reduced, **changes}
        return PartitionSpec(*entries, **options)

    def index(self, value: Any) -> int:
        return self._entries.index(value)

    def count(self, value: Any) -> int:
        return self._entries.count(value)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._entries)

    def __getitem__(self, index: Any) -> Any:
        return self._entries[index]

    def __add__(self, other: Any) -> PartitionSpec:
        if isinstance(other, PartitionSpec | tuple):
            return self.update(partitions=(*self._entries, *other))
        return NotImplemented

    def __radd__(self, other: Any) -> PartitionSpec:
        if isinstance(other, tuple):
            return self.update(partitions=(*other, *self._entries))
        return NotImplemented

    def _key(self) -> tuple[Any, ...]:
        return self._entries, self.unreduced, self.reduced

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, PartitionSpec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        parts = [repr(entry) for entry in self._entries]
        for name in ("unreduced", "reduced"):
            axes = getattr(self, name)
            if axes:
                parts.append(f"{name}={{{', '.join(map(repr, sorted(axes, key=str)))}}}")
        return f"P({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def __reduce__(self) -> Any:
        return _rebuild, self._key()


def _rebuild(entries: tuple[Any, ...], unreduced: Any, reduced: Any) -> PartitionSpec:
    return PartitionSpec(*entries, unreduced=unreduced, reduced=reduced)


#: the short name
P = PartitionSpec
