"""Devices: there is one, the processor."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from typing import Any

import numpy as np

import fornax
from fornax import _native, pytree
from fornax.api import eager as functions
from fornax.api import jit
from fornax.runtime import eager, shared
from fornax.runtime.device import CPU, Device, check_backend

__all__ = [
    "Device", "clear_caches", "copy_to_host_async", "default_backend", "device_count", "devices",
    "host_count", "host_id", "host_ids", "live_arrays", "local_device_count", "local_devices",
    "print_environment_info", "process_count", "process_index", "process_indices",
]  # fmt: skip


def devices(backend: str | None = None) -> list[Device]:
    """All devices. Raises RuntimeError for a backend other than "cpu"."""
    check_backend(backend)
    return [CPU]


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Device]:
    """The devices of this process."""
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """How many devices there are."""
    return len(devices(backend))


local_device_count = device_count


def default_backend() -> str:
    """The name of the backend: "cpu"."""
    return "cpu"


def process_index(backend: str | None = None) -> int:
    """The number of this process: 0."""
    return 0


def process_count(backend: str | None = None) -> int:
    """How many processes there are: 1."""
    return 1


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of all processes: [0]."""
    return list(range(process_count(backend)))


def _renamed(old: str, new: str) -> None:
    warnings.warn(f"jax.{old} has been renamed to jax.{new}", stacklevel=3)


def host_count(backend: str | None = None) -> int:
    """The former name of `process_count`."""
    _renamed("host_count", "process_count")
    return process_count(backend)


def host_id(backend: str | None = None) -> int:
    """The former name of `process_index`."""
    _renamed("host_id", "process_index")
    return process_index(backend)


def host_ids(backend: str | None = None) -> list[int]:
    """The former name of `process_indices`."""
    _renamed("host_ids", "process_indices")
    return process_indices(backend)


def copy_to_host_async(x: Any) -> Any:
    """Start to copy the arrays of a pytree to the host, and give the pytree back.

    Leaves without a method `copy_to_host_async` are left alone.
    """
    for leaf in pytree.tree_leaves(x):
        if hasattr(leaf, "copy_to_host_async"):
            leaf.copy_to_host_async()
    return x


def print_environment_info(return_string: bool = False) -> str | None:
    """Print what a bug report should say: versions, devices, the system and JAX's variables.

    return_string: give the text instead.
    """
    lines = [
        f"fornax: {fornax.__version__}",
        f"numpy:  {np.__version__}",
        f"python: {' '.join(sys.version.split())}",
        f"device info: {CPU.device_kind}-{device_count()}, {local_device_count()} local devices",
        f"process_count: {process_count()}",
        f"platform: {platform.uname()}",
    ]
    lines += [f"{k}={v}" for k, v in os.environ.items() if k.startswith(("FORNAX_", "JAX_"))]
    text = "\n".join(lines)
    if return_string:
        return text
    print(text)
    return None


def live_arrays(platform: str | None = None) -> list[Any]:
    """The arrays that are alive."""
    return _native.live_arrays()


def clear_caches() -> None:
    """Forget traced and compiled programs, eager counters and cached memory."""
    jit.clear_caches()
    shared.clear()
    eager.clear()
    functions.clear()
    _native.trim_cache()
