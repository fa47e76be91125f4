"""Where arrays lie: `sharding`, `devices`, `addressable_shards`, and the sharding of a type.

Importing this module gives arrays, tracers and types these attributes. There is one device, so
that every array lies on it whole.
"""

from __future__ import annotations

from typing import Any

from fornax import _native
from fornax.ir.trace import Tracer
from fornax.ir.types import ArrayType
from fornax.partition.mesh import AbstractMesh
from fornax.partition.shardings import NamedSharding, Sharding, SingleDeviceSharding
from fornax.partition.spec import PartitionSpec
from fornax.record import record
from fornax.runtime.device import CPU, Device
from fornax.source import located

__all__ = ["ON_CPU", "Shard", "check_place", "type_sharding"]

ON_CPU = SingleDeviceSharding(CPU)
_NO_MESH = AbstractMesh((), ())


@record(frozen=True)
class Shard:
    """The part of an array that one device holds."""

    device: Any
    index: tuple[slice, ...]
    replica_id: int
    data: Any


def type_sharding(type: ArrayType) -> NamedSharding:
    """The sharding that a type prescribes: none, over a mesh without axes."""
    return NamedSharding(_NO_MESH, PartitionSpec(*(None,) * type.ndim))


def check_place(name: str, device: Any = None, out_sharding: Any = None) -> None:
    """Raise unless a function's `device` and `out_sharding` are of a sort that it can follow.

    ValueError for a device that is none, TypeError for a sharding that is none. Arrays lie on the
    one device whatever they say.
    """
    if not (device is None or is_place(device)):
        raise ValueError(
            located(
                f"{name}: device={device!r:.80} must be a Device or an instance of Sharding",
                "it says where the result lies",
                "devices()[0], a sharding, or None",
            )
        )
    if not (out_sharding is None or isinstance(out_sharding, NamedSharding | PartitionSpec)):
        raise TypeError(
            located(
                f"`out_sharding` argument of {name} only supports instances of `NamedSharding` or "
                f"`PartitionSpec`. Got {out_sharding!r:.80} of type: {type(out_sharding)}",
                "it says how the result is split over the devices of a mesh",
                "PartitionSpec('axis'), or None",
            )
        )


def is_place(device: Any) -> bool:
    """Whether `device` is a device, a sharding, or a format with a sharding."""
    return isinstance(device, Device | Sharding) or isinstance(
        getattr(device, "sharding", 0), Sharding | None
    )


def _shards(array: Any) -> list[Shard]:
    return [Shard(CPU, (slice(None),) * array.ndim, 0, array)]


def _to_device(self: Any, device: Any, *, stream: Any = None) -> Any:
    """The array on a device: itself, for there is one. Raises ValueError for another device."""
    if device is not None and device is not CPU and getattr(device, "device_set", None) != {CPU}:
        raise ValueError(located(f"unknown device {device!r}", attempt="None, or one of devices()"))
    return self


def _install() -> None:
    array: Any = _native.Array
    array.sharding = property(lambda self: ON_CPU)
    array.devices = lambda self: {CPU}
    array.addressable_shards = array.global_shards = property(_shards)
    array.is_fully_replicated = property(lambda self: True)
    array.to_device = _to_device
    types: Any = ArrayType
    types.sharding = property(type_sharding)
    tracers: Any = Tracer
    tracers.to_device = _to_device
    tracers.sharding = property(lambda self: type_sharding(self.type))


_install()
