"""Devices: there is one, the processor."""

from __future__ import annotations

from typing import Any

from fornax import _native
from fornax.api import eager as functions
from fornax.api import jit
from fornax.runtime import eager, shared
from fornax.runtime.device import CPU, Device

__all__ = [
    "Device", "clear_caches", "default_backend", "device_count", "devices", "live_arrays",
    "local_device_count", "local_devices", "process_count", "process_index",
]  # fmt: skip


def devices(backend: str | None = None) -> list[Device]:
    """All devices. Raises RuntimeError for a backend other than "cpu"."""
    if backend not in (None, "cpu"):
        raise RuntimeError(f"Unknown backend {backend!r}: only 'cpu' is present")
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
