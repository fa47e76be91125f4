"""What the array API standard lets programs ask of a namespace."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax import settings
from fornax.runtime.device import CPU
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["__array_api_version__", "__array_namespace_info__"]

#: the version of the array API standard that this namespace follows
__array_api_version__ = "2024.12"

_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]
_WIDE = ("int64", "uint64", "float64", "complex128")


def _check_device(device: Any) -> None:
    if device is not None and device is not CPU and getattr(device, "device_set", None) != {CPU}:
        raise ValueError(located(f"unknown device {device!r}", attempt="None, or one of devices()"))


class ArrayNamespaceInfo:
    """Capabilities, devices and dtypes of `fornax.numpy`, as the array API standard defines."""

    def capabilities(self) -> dict[str, Any]:
        """Which optional features there are: none whose result has a shape known only when run."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": 64}

    def default_device(self) -> None:
        """None: the place of arrays that nobody has put anywhere."""
        return None

    def devices(self) -> list[Any]:
        """The devices that arrays can lie on."""
        return [None, CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes of new arrays, by kind."""
        _check_device(device)
        return {
            "real floating": dtypes.canonical(dtypes.float64),
            "complex floating": dtypes.canonical(dtypes.complex128),
            "integral": dtypes.canonical(dtypes.int64),
            "indexing": dtypes.canonical(dtypes.int64),
        }

    def dtypes(
        self, *, device: Any = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype]:
        """The dtypes of a kind (all by default), or of several. Raises ValueError for others."""
        _check_device(device)
        kinds = ("bool", "numeric") if kind is None else kind
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        if unknown := [k for k in kinds if k not in _KINDS]:
            raise ValueError(
                located(
                    f"unknown kind of dtype {unknown[0]!r}; there are: {', '.join(_KINDS)}",
                    attempt="one of these, or a tuple of them",
                )
            )
        names = dict.fromkeys(name for k in kinds for name in _KINDS[k])
        wide = settings.current().x64
        return {name: np.dtype(name) for name in names if wide or name not in _WIDE}


def __array_namespace_info__() -> ArrayNamespaceInfo:
    """The `ArrayNamespaceInfo` of this namespace."""
    return ArrayNamespaceInfo()
