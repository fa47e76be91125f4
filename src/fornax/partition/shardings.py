"""Shardings: on which devices the parts of an array lie."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

from fornax.errors import message
from fornax.partition.mesh import AbstractMesh, Mesh
from fornax.partition.spec import UNCONSTRAINED, PartitionSpec
from fornax.source import located

__all__ = ["NamedSharding", "Sharding", "SingleDeviceSharding"]

Shape = tuple[int, ...]
Index = tuple[slice, ...]


class Sharding:
    """How arrays of any shape are split over devices. What the kinds of sharding share."""

    @property
    def device_set(self) -> set[Any]:
        """The devices that hold a part."""
        raise NotImplementedError

    @property
    def memory_kind(self) -> str | None:
        raise NotImplementedError

    def devices_indices_map(self, global_shape: Shape) -> dict[Any, Index]:
        """Which part of an array of this shape each device holds."""
        raise NotImplementedError

    def shard_shape(self, global_shape: Shape) -> Shape:
        """The shape of the part on each device. Raises ValueError where it does not divide."""
        raise NotImplementedError

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device holds all of an array."""
        raise NotImplementedError

    @property
    def num_devices(self) -> int:
        return len(self.device_set)

    @property
    def addressable_devices(self) -> set[Any]:
        return self.device_set

    has_addressable_devices = True
    is_fully_addressable = True

    def addressable_devices_indices_map(self, global_shape: Shape) -> dict[Any, Index]:
        return self.devices_indices_map(global_shape)

    def check_compatible_aval(self, shape: Shape) -> None:
        """Raise ValueError if an array of this shape cannot lie so."""

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether both put the same parts of arrays with `ndim` dimensions on the same devices."""
        if self.device_set != other.device_set or self.memory_kind != other.memory_kind:
            return False
        shape = (math.prod(d for d in range(1, self.num_devices + 1)),) * ndim
        return self.devices_indices_map(shape) == other.devices_indices_map(shape)


class SingleDeviceSharding(Sharding):
    """All of an array on one device."""

    def __init__(self, device: Any, *, memory_kind: str | None = None):
        self._device = device
        self._memory_kind = memory_kind or "device"

    @property
    def device_set(self) -> set[Any]:
        return {self._device}

    @property
    def memory_kind(self) -> str | None:
        return self._memory_kind

    def with_memory_kind(self, kind: str) -> SingleDeviceSharding:
        return SingleDeviceSharding(self._device, memory_kind=kind)

    def devices_indices_map(self, global_shape: Shape) -> dict[Any, Index]:
        return {self._device: (slice(None),) * len(global_shape)}

    def shard_shape(self, global_shape: Shape) -> Shape:
        return tuple(global_shape)

    @property
    def is_fully_replicated(self) -> bool:
        return True

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, SingleDeviceSharding) and self._key() == other._key()

    def _key(self) -> tuple[Any, ...]:
        return self._device, self._memory_kind

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> Any:
        return functools.partial(SingleDeviceSharding, memory_kind=self._memory_kind), (
            self._device,
        )

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self._device!r}, memory_kind={self._memory_kind})"


class NamedSharding(Sharding):
    """Dimensions of an array split over the axes of a mesh, as a PartitionSpec says.

    Raises ValueError for a spec with an axis that the mesh lacks, or with one axis twice.
    """

    def __init__(
        self,
        mesh: Mesh | AbstractMesh,
        spec: PartitionSpec,
        *,
        memory_kind: str | None = None,
    ):
        if not isinstance(spec, PartitionSpec):
            raise TypeError(
                located(
                    f"NamedSharding needs a PartitionSpec, got {spec!r}",
                    attempt="NamedSharding(mesh, P('x')), or P() for no split",
                )
            )
        self.mesh = mesh
        self.spec = spec
        self._memory_kind = memory_kind or "device"
        seen = set()
        for axis in spec.axes():
            if axis not in mesh.axis_names:
                raise ValueError(
                    located(
                        f"Resource axis: {axis} of {spec} is not found in mesh: {mesh.axis_names}.",
                        attempt="one of the axes of the mesh, or None for a dimension that is "
                        "not split",
                    )
                )
            if axis in seen:
                raise ValueError(
                    located(
                        "A single NamedSharding spec specification can map every mesh axis to at "
                        f"most one positional dimension, but {spec} has duplicate entries for "
                        f"`{axis}`",
                        attempt="name the axis for one dimension; P(('x', 'y')) splits one "
                        "dimension over two axes",
                    )
                )
            seen.add(axis)

    def update(self, **changes: Any) -> NamedSharding:
        """The same sharding with `mesh`, `spec` or `memory_kind` changed."""
        spec = changes.get("spec", self.spec)
        return NamedSharding(
            changes.get("mesh", self.mesh),
            spec if isinstance(spec, PartitionSpec) else PartitionSpec(*spec),
            memory_kind=changes.get("memory_kind", self._memory_kind),
        )

    def with_memory_kind(self, kind: str) -> NamedSharding:
        return self.update(memory_kind=kind)

    @property
    def memory_kind(self) -> str | None:
        return self._memory_kind

    @property
    def device_set(self) -> set[Any]:
        if not isinstance(self.mesh, Mesh):
            raise ValueError(
                message(
                    f"{self} has no devices",
                    why="its mesh is abstract",
                    attempt="a NamedSharding of a Mesh",
                )
            )
        return set(self.mesh.devices.flat)

    def _parts(self, entry: Any) -> tuple[Any, ...]:
        if entry is None or entry is UNCONSTRAINED:
            return ()
        return entry if isinstance(entry, tuple) else (entry,)

    def _splits(self, ndim: int) -> list[tuple[Any, ...]]:
        """The axes over which each dimension is split."""
        self._check_rank(ndim)
        given = [self._parts(entry) for entry in self.spec]
        return given + [()] * (ndim - len(given))

    def _check_rank(self, ndim: int) -> None:
        if len(self.spec) > ndim:
            raise ValueError(
                located(
                    f"Sharding {self} is only valid for values of rank at least {len(self.spec)}, "
                    f"but was applied to a value of rank {ndim}.",
                    attempt=f"a spec with at most {ndim} entries",
                )
            )

    def _count(self, axes: tuple[Any, ...]) -> int:
        return math.prod(self.mesh.shape[axis] for axis in axes)

    def check_compatible_aval(self, shape: Shape) -> None:
        self._check_rank(len(shape))

    def shard_shape(self, global_shape: Shape) -> Shape:
        counts = [self._count(axes) for axes in self._splits(len(global_shape))]
        for dimension, (size, count) in enumerate(zip(global_shape, counts, strict=True)):
            if size % count:
                raise ValueError(
                    located(
                        f"Sharding {self} implies that array axis {dimension} is partitioned "
                        f"{count} times, but the dimension size is {size} (full shape: "
                        f"{global_shape}, per-dimension tiling factors: {counts} should evenly "
                        "divide the shape)",
                        attempt=f"pad the dimension to a multiple of {count}, or split another one",
                    )
                )
        return tuple(size // count for size, count in zip(global_shape, counts, strict=True))

    def devices_indices_map(self, global_shape: Shape) -> dict[Any, Index]:
        splits = self._splits(len(global_shape))
        extents = self.shard_shape(global_shape)
        mesh = self.mesh
        found: dict[Any, Index] = {}
        if not isinstance(mesh, Mesh):
            return {device: () for device in self.device_set}
        for place in itertools.product(*map(range, mesh.axis_sizes)):
            where = dict(zip(mesh.axis_names, place, strict=True))
            index = []
            for axes, extent in zip(splits, extents, strict=True):
                if self._count(axes) == 1:
                    index.append(slice(None))
                    continue
                part = functools.reduce(
                    lambda total, axis: total * mesh.shape[axis] + where[axis], axes, 0
                )
                index.append(slice(part * extent, (part + 1) * extent))
            found[mesh.devices[place]] = tuple(index)
        return found

    @property
    def is_fully_replicated(self) -> bool:
        return self._count(tuple(self.spec.axes())) == 1

    def _key(self) -> tuple[Any, ...]:
        return self.mesh, self.spec, self._memory_kind

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, NamedSharding) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> Any:
        return functools.partial(NamedSharding, memory_kind=self._memory_kind), (
            self.mesh,
            self.spec,
        )

    def __repr__(self) -> str:
        if isinstance(self.mesh, AbstractMesh):
            return f"NamedSharding(mesh={self.mesh}, spec={self.spec})"
        return (
            f"NamedSharding(mesh={self.mesh!s}, spec={self.spec}, memory_kind={self._memory_kind})"
        )
