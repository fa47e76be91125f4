"""The device: the processor that this process runs on."""

from __future__ import annotations

from typing import Any

from fornax import _native
from fornax.source import located

__all__ = ["CPU", "Device", "check_backend"]


class Device:
    """A place where arrays live and programs run."""

    platform = "cpu"
    device_kind = "cpu"
    id = 0
    process_index = 0
    host_id = 0
    task_id = 0
    local_hardware_id = 0

    def __repr__(self) -> str:
        return "CpuDevice(id=0)"

    def __str__(self) -> str:
        return "cpu:0"

    def __reduce__(self) -> tuple[Any, ...]:
        return _the_processor, ()

    def memory_stats(self) -> dict[str, int]:
        """Bytes live, cached and at most used, and the number of live arrays."""
        return _native.memory_stats()


CPU = Device()
_native.set_default_device(CPU)


def check_backend(name: str | None) -> None:
    """Raise RuntimeError for the name of a backend that is not there."""
    if name not in (None, "cpu"):
        raise RuntimeError(
            located(
                f"Unknown backend {name!r}. Available backends are ['cpu']",
                "programs are compiled for the processor of this machine",
                "'cpu', or no backend at all",
            )
        )


def _the_processor() -> Device:
    return CPU
