"""The backends in use: parts of `jax._src.xla_bridge`."""

from __future__ import annotations

from typing import Any

from fornax.runtime.device import CPU
from fornax.source import located

__all__ = ["backends", "get_backend"]

_backends: dict[str, Any] = {"cpu": CPU}


def backends() -> dict[str, Any]:
    """The backends by name: the processor."""
    return _backends


def get_backend(platform: str | None = None) -> Any:
    """The backend of a platform. Raises RuntimeError for any but "cpu"."""
    if platform not in (None, "cpu"):
        raise RuntimeError(
            located(
                f"Unknown backend {platform!r}: only 'cpu' is present",
                attempt="'cpu', or no name at all",
            )
        )
    return CPU
