"""The backends in use: parts of `jax._src.xla_bridge`."""

from __future__ import annotations

from typing import Any

from fornax.runtime.device import CPU, check_backend

__all__ = ["backends", "get_backend"]

_backends: dict[str, Any] = {"cpu": CPU}


def backends() -> dict[str, Any]:
    """The backends by name: the processor."""
    return _backends


def get_backend(platform: str | None = None) -> Any:
    """The backend of a platform. Raises RuntimeError for any but "cpu"."""
    check_backend(platform)
    return CPU
