"""Observation: everything that happens is an event; logs, metrics and explanations are views."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "events": (
            "CacheHit", "CacheMiss", "Compiled", "Event", "Executed", "Lowered", "Traced",
            "explain_misses", "recent", "recording", "subscribe",
        ),
        "log": ("logger",),
    },
)  # fmt: skip
