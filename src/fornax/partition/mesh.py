"""Meshes: devices in a grid whose axes have names."""

from __future__ import annotations

import collections
import contextlib
import enum
import functools
import math
import threading
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from fornax.errors import message
from fornax.source import located

__all__ = ["AbstractMesh", "AxisType", "Mesh", "current_mesh", "mesh_scope"]


class AxisType(enum.Enum):
    """Who decides how arrays lie along an axis: the system, the types, or the program by hand."""

    Auto = enum.auto()
    Explicit = enum.auto()
    Manual = enum.auto()

    def __repr__(self) -> str:
        return self.name


def _axis_types(given: Any, count: int) -> tuple[AxisType, ...]:
    if given is None:
        return (AxisType.Auto,) * count
    types = (given,) if isinstance(given, AxisType) else tuple(given)
    if len(types) != count:
        raise ValueError(
            located(
                f"Number of axis names should match the number of axis_types. Got {count} names "
                f"and axis_types={types}",
                attempt="one AxisType for each axis name, or leave axis_types out",
            )
        )
    for kind in types:
        if not isinstance(kind, AxisType):
            raise TypeError(
                located(
                    f"axis_types must be made of AxisType, got {kind!r}",
                    attempt="AxisType.Auto, AxisType.Explicit or AxisType.Manual",
                )
            )
    return types


class _Axes:
    """What concrete and abstract meshes share: names, sizes and types of axes."""

    axis_names: tuple[Any, ...]
    axis_sizes: tuple[int, ...]
    axis_types: tuple[AxisType, ...]

    @property
    def shape(self) -> collections.OrderedDict[Any, int]:
        return collections.OrderedDict(self.shape_tuple)

    @property
    def shape_tuple(self) -> tuple[tuple[Any, int], ...]:
        return tuple(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def size(self) -> int:
        return math.prod(self.axis_sizes) if self.axis_names else 0

    @property
    def empty(self) -> bool:
        return not self.axis_names

    def _all(self, kind: AxisType) -> bool:
        return bool(self.axis_types) and all(found is kind for found in self.axis_types)

    are_all_axes_auto = property(lambda self: self._all(AxisType.Auto))
    are_all_axes_explicit = property(lambda self: self._all(AxisType.Explicit))
    are_all_axes_manual = property(lambda self: self._all(AxisType.Manual))

    def _axes_of(self, kind: AxisType) -> tuple[Any, ...]:
        pairs = zip(self.axis_names, self.axis_types, strict=True)
        return tuple(name for name, found in pairs if found is kind)

    auto_axes = property(lambda self: self._axes_of(AxisType.Auto))
    explicit_axes = property(lambda self: self._axes_of(AxisType.Explicit))
    manual_axes = property(lambda self: self._axes_of(AxisType.Manual))

    def _describe(self) -> str:
        axes = ", ".join(f"{name!r}: {size}" for name, size in self.shape_tuple)
        types = ", ".join(map(repr, self.axis_types))
        comma = "," if len(self.axis_types) == 1 else ""
        return f"{axes or '()'}, axis_types=({types}{comma})"


class AbstractMesh(_Axes):
    """The axes of a mesh without devices.

    axis_sizes, axis_names: one entry for each axis. axis_types: AxisType of each, Auto by default.
    """

    def __init__(
        self,
        axis_sizes: Sequence[int],
        axis_names: Sequence[Hashable],
        axis_types: AxisType | Sequence[AxisType] | None = None,
        *,
        abstract_device: Any = None,
    ):
        self.axis_sizes = tuple(axis_sizes)
        self.axis_names = tuple(axis_names)
        self.abstract_device = abstract_device
        if len(self.axis_sizes) != len(self.axis_names):
            raise ValueError(
                located(
                    "Number of axis names should match the number of axis_sizes. Got "
                    f"axis_sizes={self.axis_sizes} and axis_names={self.axis_names}",
                    attempt="one name for each size, as in AbstractMesh((2, 4), ('x', 'y'))",
                )
            )
        self.axis_types = _axis_types(axis_types, len(self.axis_names))

    @property
    def abstract_mesh(self) -> AbstractMesh:
        return self

    def _key(self) -> tuple[Any, ...]:
        return self.axis_sizes, self.axis_names, self.axis_types

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, AbstractMesh) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"AbstractMesh({self._describe()})"


class Mesh(_Axes):
    """Devices in a grid with a name for every axis; a context manager that makes it current.

    devices: array of devices, with one dimension for each name. axis_names: one name or several.
    axis_types: AxisType of each axis, Auto by default. Raises ValueError where their numbers
    differ or a name comes twice.
    """

    devices: np.ndarray

    def __init__(
        self,
        devices: Any,
        axis_names: str | Sequence[Hashable],
        axis_types: AxisType | Sequence[AxisType] | None = None,
    ):
        names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        grid = np.array(devices, dtype=object)
        if grid.ndim != len(names):
            raise ValueError(
                located(
                    "Mesh requires the ndim of its first argument (`devices`) to equal the "
                    "length of its second argument (`axis_names`), but got devices.ndim == "
                    f"{grid.ndim} and len(axis_names) == {len(names)}.",
                    attempt="devices.reshape to one dimension for each name, or make_mesh, which "
                    "does it",
                )
            )
        if any(name is None for name in names):
            raise ValueError(
                located(
                    f"Mesh axis names cannot be None. Got: {names}",
                    attempt="strings, as in ('x', 'y')",
                )
            )
        if len(set(names)) != len(names):
            raise ValueError(
                message(
                    f"Mesh axis names must be different, got {names}",
                    attempt="give every axis a name of its own",
                )
            )
        grid.flags.writeable = False
        self.devices = grid
        self.axis_names = names
        self.axis_sizes = grid.shape
        self.axis_types = _axis_types(axis_types, len(names))
        self._entered: list[Any] = []

    @property
    def size(self) -> int:
        return math.prod(self.axis_sizes) if self.axis_names else 0

    @functools.cached_property
    def abstract_mesh(self) -> AbstractMesh:
        return AbstractMesh(self.axis_sizes, self.axis_names, self.axis_types)

    @property
    def device_ids(self) -> np.ndarray:
        return np.vectorize(lambda device: device.id, otypes=[int])(self.devices)

    @property
    def local_mesh(self) -> Mesh:
        return self

    @property
    def local_devices(self) -> list[Any]:
        return list(self.devices.flat)

    @property
    def is_multi_process(self) -> bool:
        return len({device.process_index for device in self.devices.flat}) > 1

    def __enter__(self) -> Mesh:
        scope = mesh_scope(self)
        scope.__enter__()
        self._entered.append(scope)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._entered.pop().__exit__(*exception)

    def _key(self) -> tuple[Any, ...]:
        return tuple(self.devices.flat), self.devices.shape, self.axis_names, self.axis_types

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Mesh) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> Any:
        return Mesh, (self.devices, self.axis_names, self.axis_types)

    def __repr__(self) -> str:
        if self.empty:
            return "Mesh()"
        return (
            f"Mesh(axis_sizes={self.axis_sizes}, axis_names={self.axis_names}, "
            f"axis_types={self.axis_types})"
        )

    def __str__(self) -> str:
        return f"Mesh({self._describe()})" if not self.empty else "Mesh()"


class _Current(threading.local):
    mesh: Mesh | AbstractMesh | None = None
    manual: tuple[Any, ...] = ()


_current = _Current()


def current_mesh() -> Mesh | AbstractMesh | None:
    """The mesh set by the innermost `with mesh` or `set_mesh` of this thread."""
    return _current.mesh


def set_current(mesh: Mesh | AbstractMesh | None) -> None:
    """Make a mesh current for this thread until it is changed again."""
    _current.mesh = mesh


@contextlib.contextmanager
def mesh_scope(mesh: Mesh | AbstractMesh | None) -> Iterator[Mesh | AbstractMesh | None]:
    """Make a mesh current for the body of a `with`."""
    before = _current.mesh
    _current.mesh = mesh
    try:
        yield mesh
    finally:
        _current.mesh = before


def manual_axes() -> tuple[Any, ...]:
    """The names of the mesh axes that running functions of `shard_map` may name, on this thread."""
    return _current.manual


@contextlib.contextmanager
def manual_scope(names: tuple[Any, ...]) -> Iterator[None]:
    """The body of a `with` is a function of `shard_map`, over axes of these names."""
    before = _current.manual
    _current.manual = (*before, *names)
    try:
        yield
    finally:
        _current.manual = before
