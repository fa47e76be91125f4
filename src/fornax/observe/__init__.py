"""Observation: everything that happens is an event; logs, metrics and explanations are views."""

from __future__ import annotations

from fornax.observe.events import explain_misses, recent, recording, subscribe

__all__ = ["explain_misses", "recent", "recording", "subscribe"]
