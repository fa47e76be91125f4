"""Arrays of other libraries without copies, by the DLPack protocol: JAX's `jax.dlpack`."""

from __future__ import annotations

from typing import Any

from fornax.numpy import texts
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["from_dlpack", "is_supported_dtype"]

_SUPPORTED = frozenset(
    (dtypes.bool_, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.uint8,
     dtypes.uint16, dtypes.uint32, dtypes.uint64, dtypes.float16, dtypes.bfloat16, dtypes.float32,
     dtypes.float64, dtypes.complex64, dtypes.complex128)
)  # fmt: skip


def from_dlpack(external_array: Any, device: Any = None, copy: bool | None = None) -> Any:
    """An array that shares its memory with `external_array`, or is a copy of it if `copy`.

    external_array: an object with `__dlpack__` and `__dlpack_device__`. device: the processor.
    Raises TypeError for other objects.
    """
    if not (hasattr(external_array, "__dlpack__") and hasattr(external_array, "__dlpack_device__")):
        raise TypeError(
            located(
                "The array passed to from_dlpack must have __dlpack__ and __dlpack_device__ "
                f"methods, got {type(external_array).__name__}",
                attempt="fornax.numpy.asarray(x), which takes whatever NumPy understands",
            )
        )
    return texts.from_dlpack(external_array, device=device, copy=copy)


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of a dtype can be given by DLPack. Raises TypeError for None."""
    if dtype is None:
        raise TypeError(
            located(
                "Expected a string or dtype-like object; got dtype=None",
                attempt="leave dtype out, or 'float32'",
            )
        )
    return dtypes.as_dtype(dtype) in _SUPPORTED
