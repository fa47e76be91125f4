"""Arrays out of the parts that devices or processes hold. One device of one process holds all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.inspect import device_put
from fornax.errors import UnexpectedTracerError
from fornax.ir.static import static_shape
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.partition.mesh import current_mesh
from fornax.partition.shardings import NamedSharding, Sharding
from fornax.partition.spec import PartitionSpec
from fornax.primitives.convert import convert_element_type
from fornax.runtime.device import Device
from fornax.runtime.key_array import KeyArray
from fornax.runtime.values import Array, to_array
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "make_array_from_callback", "make_array_from_process_local_data",
    "make_array_from_single_device_arrays",
]  # fmt: skip


def make_array_from_callback(
    shape: Sequence[int],
    sharding: Any,
    data_callback: Callable[[tuple[slice, ...]], Any],
    dtype: Any = None,
) -> Any:
    """The array whose part on each device is what `data_callback` gives for the part's slices.

    Args:
      shape: of the whole array.
      sharding: a Sharding, or a format with one.
      data_callback: tuple of slices -> NumPy array, Array or number.
      dtype: of the array; that of the first part by default.

    Raises TypeError for another kind of sharding or data, ValueError for parts of another shape or
    dtype, UnexpectedTracerError for a traced part.
    """
    place = _sharding("make_array_from_callback", sharding)
    shape = static_shape(shape)
    if place.is_fully_replicated:
        index = (slice(None),) * len(shape)
    else:
        index = next(iter(place.addressable_devices_indices_map(shape).values()))
    part = data_callback(index)
    if isinstance(part, Tracer):
        raise UnexpectedTracerError(
            located(
                "make_array_from_callback cannot be called within a traced context.",
                f"the callback gave {part}",
                "NumPy arrays in the callback",
            )
        )
    part = to_array(part)
    _check_dtype("make_array_from_callback", [part], dtype)
    _check_part("make_array_from_callback", place, shape, part)
    type = typeof(part)
    return convert_element_type(part, type.dtype) if type.weak_type else part


def make_array_from_single_device_arrays(
    shape: Sequence[int], sharding: Any, arrays: Sequence[Any], *, dtype: Any = None
) -> Any:
    """The array whose parts are arrays that lie on one device each: with one device, the only one.

    Args:
      shape: of the whole array.
      sharding: a Sharding.
      arrays: list or tuple of Arrays, as many as there are devices.
      dtype: of the array; that of the first part by default.

    Raises TypeError for another kind of sharding, sequence or part, ValueError for another number,
    shape or dtype of parts, and for traced ones.
    """
    name = "make_array_from_single_device_arrays"
    if not isinstance(arrays, list | tuple):
        raise TypeError(
            located(
                f"{name} `arrays` argument must be a list or tuple, but got {type(arrays)}.",
                attempt="[array]",
            )
        )
    _check_dtype(name, arrays, dtype)
    place = _sharding(name, sharding)
    if any(isinstance(x, Tracer) for x in arrays):
        raise ValueError(
            located(
                f"{name} requires a list of concrete arrays as input, but got types "
                f"{set(map(type, arrays))}",
                "traced values lie on no device yet",
                "lax.with_sharding_constraint",
            )
        )
    if len(arrays) != place.num_devices:
        raise ValueError(
            located(
                f"Expected {place.num_devices} per-device arrays (this is how many devices are "
                f"addressable by the sharding), but got {len(arrays)}",
                attempt="one array for each device of the sharding",
            )
        )
    (part,) = arrays
    if not isinstance(part, Array | KeyArray):
        raise TypeError(
            located(
                f"Unsupported type for elements in `arrays`: {type(part)}",
                attempt="device_put(x, device), which gives an array on one device",
            )
        )
    _check_part(name, place, static_shape(shape), part)
    kind = typeof(part)
    return convert_element_type(part, kind.dtype) if kind.weak_type else part


def make_array_from_process_local_data(
    sharding: Any, local_data: Any, global_shape: Any = None
) -> Any:
    """Arrays out of what this process holds of them. With one process that is all.

    Args:
      sharding: a Sharding, a device, or a PartitionSpec over the current mesh; or a tree of them
        that is a prefix of local_data.
      local_data: tree of NumPy arrays, Arrays and numbers.
      global_shape: the shape of the whole, or a tree of shapes. None, or that of local_data.

    Raises ValueError for another shape, a sharding that does not fit, a PartitionSpec without a
    mesh, and trees that are no prefixes.
    """
    leaves = pytree.tree_leaves(local_data)
    places = pytree.broadcast_prefix(sharding, local_data)
    shapes = pytree.broadcast_prefix(
        global_shape, local_data, is_leaf=lambda x: x is None or isinstance(x, tuple)
    )
    for leaf, place, shape in zip(leaves, places, shapes, strict=True):
        local = typeof(leaf).shape
        if shape is not None and shape != local:
            raise ValueError(
                located(
                    "When calling `make_array_from_process_local_data` on a single process, "
                    "global_shape should be None or equal to local_data.shape. Got "
                    f"global_shape={shape} and local_data.shape={local}.",
                    "this process holds all of the array",
                    "no global_shape",
                )
            )
        if not isinstance(place, Device):
            _on_mesh(place).check_compatible_aval(local)
    return device_put(local_data)


def _sharding(name: str, given: Any) -> Sharding:
    """The sharding that was meant, by itself or in a format. Raises TypeError for others."""
    inner = getattr(given, "sharding", None)
    found = inner if isinstance(inner, Sharding) else given
    if not isinstance(found, Sharding):
        raise TypeError(
            located(
                f"{name}: sharding should be an instance of `jax.sharding`. Got {given!r:.80} of "
                f"type {type(given)}",
                attempt="SingleDeviceSharding(devices()[0]), or a NamedSharding",
            )
        )
    return found


def _on_mesh(given: Any) -> Sharding:
    """A sharding as `device_put` takes them: a PartitionSpec is one over the current mesh."""
    if not isinstance(given, PartitionSpec):
        return _sharding("make_array_from_process_local_data", given)
    mesh = current_mesh()
    if mesh is None:
        raise ValueError(
            located(
                "Please set a mesh via `jax.set_mesh` if a PartitionSpec is passed to "
                "make_array_from_process_local_data",
                "its names are those of a mesh's axes",
                "with set_mesh(mesh):, or a NamedSharding",
            )
        )
    return NamedSharding(mesh, given)


def _check_dtype(name: str, parts: Sequence[Any], dtype: Any) -> None:
    """Raise ValueError unless the dtype that is given is that of the parts."""
    if dtype is None and not parts:
        raise ValueError(
            located(
                "If the Array has no addressable shards, `dtype` must be provided via the `dtype` "
                f"argument to `{name}`.",
                attempt="dtype='float32'",
            )
        )
    for part in parts[:1]:
        found = dtypes.as_dtype(part.dtype)
        if dtype is not None and dtypes.canonical(dtype) != found:
            raise ValueError(
                located(
                    f"If `dtype` is provided to `{name}`, it must match the dtype of the "
                    f"addressable shards. Got dtype={dtypes.canonical(dtype).name} and shard "
                    f"dtype={found.name}.",
                    attempt="astype for the parts",
                )
            )


def _check_part(name: str, place: Sharding, shape: tuple[int, ...], part: Any) -> None:
    """Raise ValueError unless the part has the shape that a device holds of the whole."""
    expected = place.shard_shape(shape)
    found = typeof(part).shape
    if found != expected:
        raise ValueError(
            located(
                f"{name}: Expected shard shape {expected} doesn't match the single device array "
                f"shape {found}. Shape of Array is {shape} with sharding {place}",
                attempt="parts that together are the whole",
            )
        )
