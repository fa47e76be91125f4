"""Observation: everything that happens is an event; logs, metrics and explanations are views."""

from fornax.observe.events import (
    CacheHit,
    CacheMiss,
    Compiled,
    Event,
    Executed,
    Lowered,
    Traced,
    explain_misses,
    recent,
    recording,
    subscribe,
)

__all__ = [
    "CacheHit", "CacheMiss", "Compiled", "Event", "Executed", "Lowered", "Traced",
    "explain_misses", "recent", "recording", "subscribe",
]  # fmt: skip
