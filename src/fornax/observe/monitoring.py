"""Listeners for named events, in the manner of `jax.monitoring`.

Anybody may record events, durations, time spans and scalars under a name; listeners get all of
them. What Fornax does is recorded under JAX's names: tracing, lowering and compiling.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fornax.observe import events
from fornax.source import located

__all__ = [
    "clear_event_listeners",
    "record_event",
    "record_event_duration_secs",
    "record_event_time_span",
    "record_scalar",
    "register_event_duration_secs_listener",
    "register_event_listener",
    "register_event_time_span_listener",
    "register_scalar_listener",
    "unregister_event_duration_listener",
    "unregister_event_listener",
    "unregister_event_time_span_listener",
    "unregister_scalar_listener",
]

Listener = Callable[..., None]
_NAMES = {
    "Traced": "/jax/core/compile/jaxpr_trace_duration",
    "Lowered": "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "Compiled": "/jax/core/compile/backend_compile_duration",
}
_event: list[Listener] = []
_duration: list[Listener] = []
_span: list[Listener] = []
_scalar: list[Listener] = []
_stop: Callable[[], None] | None = None
_logger = logging.getLogger(__name__)


def _call(listeners: list[Listener], *args: Any, **kwargs: Any) -> None:
    for listener in list(listeners):
        try:
            listener(*args, **kwargs)
        except Exception:  # a listener must not break what it listens to
            _logger.exception("a monitoring listener failed on %s", args)


def _forward(event: events.Event) -> None:
    name = _NAMES.get(type(event).__name__)
    if name is not None:
        seconds: float = getattr(event, "seconds", 0.0)
        _call(_duration, name, seconds, fun_name=event.name)
        _call(_span, name, event.time - seconds, event.time, fun_name=event.name)


def _add(listeners: list[Listener], callback: Listener) -> None:
    global _stop
    listeners.append(callback)
    if _stop is None and (_duration or _span):
        _stop = events.subscribe(_forward)


def _remove(listeners: list[Listener], callback: Listener) -> None:
    global _stop
    if callback not in listeners:
        raise ValueError(
            located(
                f"{callback} is not a registered listener",
                attempt="the same object that was registered; functions are compared by identity",
            )
        )
    listeners.remove(callback)
    if _stop is not None and not _duration and not _span:
        _stop()
        _stop = None


def record_event(event: str, **kwargs: str | int) -> None:
    """Something called `event` happened."""
    _call(_event, event, **kwargs)


def record_event_duration_secs(event: str, duration: float, **kwargs: str | int) -> None:
    """Something called `event` took `duration` seconds."""
    _call(_duration, event, duration, **kwargs)


def record_event_time_span(
    event: str, start_time: float, end_time: float, **kwargs: str | int
) -> None:
    """Something called `event` took from `start_time` to `end_time`, seconds since the epoch."""
    _call(_span, event, start_time, end_time, **kwargs)


def record_scalar(event: str, value: float | int, **kwargs: str | int) -> None:
    """A number called `event` has a value."""
    _call(_scalar, event, value, **kwargs)


def register_event_listener(callback: Listener) -> None:
    """Call `callback(event, **kwargs)` for every event."""
    _add(_event, callback)


def register_event_duration_secs_listener(callback: Listener) -> None:
    """Call `callback(event, seconds, **kwargs)` for every duration, those of compiling included."""
    _add(_duration, callback)


def register_event_time_span_listener(callback: Listener) -> None:
    """Call `callback(event, start, end, **kwargs)` for every span, those of compiling included."""
    _add(_span, callback)


def register_scalar_listener(callback: Listener) -> None:
    """Call `callback(event, value, **kwargs)` for every number."""
    _add(_scalar, callback)


def unregister_event_listener(callback: Listener) -> None:
    """Stop calling it. Raises ValueError if it is not registered."""
    _remove(_event, callback)


def unregister_event_duration_listener(callback: Listener) -> None:
    """Stop calling it. Raises ValueError if it is not registered."""
    _remove(_duration, callback)


def unregister_event_time_span_listener(callback: Listener) -> None:
    """Stop calling it. Raises ValueError if it is not registered."""
    _remove(_span, callback)


def unregister_scalar_listener(callback: Listener) -> None:
    """Stop calling it. Raises ValueError if it is not registered."""
    _remove(_scalar, callback)


def clear_event_listeners() -> None:
    """Stop calling all listeners."""
    for listeners in (_event, _duration, _span, _scalar):
        for callback in list(listeners):
            _remove(listeners, callback)
