"""What happens inside Fornax, as events that can be watched.

    from fornax.observe import events
    with events.recording() as seen:
        f(x)

`emit` builds nothing unless somebody listens or the event belongs to the ring of recent ones.
Compilations are rare, so their events are always kept there; `explain_misses` reads them.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from fornax import _native, observe, settings
from fornax.record import field, record

__all__ = [
    "CacheHit",
    "CacheMiss",
    "Compiled",
    "Event",
    "Executed",
    "Lowered",
    "Traced",
    "clear",
    "emit",
    "explain_misses",
    "recent",
    "recording",
    "subscribe",
]


@record(frozen=True)
class Event:
    """Something that happened to the function `name` at `time` (seconds since the epoch)."""

    name: str
    time: float = field(default_factory=time.time, kw_only=True)


@record(frozen=True)
class Traced(Event):
    """A function was traced to a program."""

    seconds: float = 0.0
    equations: int = 0
    inputs: tuple[str, ...] = ()


@record(frozen=True)
class Lowered(Event):
    """A program was lowered to kernels."""

    seconds: float = 0.0
    kernels: int = 0


@record(frozen=True)
class Compiled(Event):
    """A program was compiled; `shared` of its kernels were already there."""

    seconds: float = 0.0
    kernels: int = 0
    shared: int = 0


@record(frozen=True)
class CacheHit(Event):
    """A compiled program or kernel was found in the cache called `cache`."""

    cache: str = ""


@record(frozen=True)
class CacheMiss(Event):
    """The cache called `cache` had nothing; `reason` says what was different this time."""

    cache: str = ""
    reason: str = ""
    #: (path of the argument, what it was, what it is)
    changes: tuple[tuple[str, str, str], ...] = ()


@record(frozen=True)
class Executed(Event):
    """A compiled program ran for `seconds`."""

    seconds: float = 0.0


_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (Traced, Lowered, Compiled, CacheHit, CacheMiss, Executed)
}
_KEPT = frozenset(("Traced", "Lowered", "Compiled", "CacheMiss"))
_listeners: tuple[Callable[[Event], None], ...] = ()
_recent: collections.deque[Event] = collections.deque(maxlen=1024)
_lock = threading.Lock()


def emit(kind: str, /, **fields: Any) -> None:
    """Announce an event. kind: the name of one of the classes above.

    Raises KeyError for another kind. An exception in a listener is logged, not raised.
    """
    if not _listeners and kind not in _KEPT:
        return
    event = _KINDS[kind](**fields)
    if kind in _KEPT:
        _recent.append(event)
    current = settings.current()
    if (current.log_compiles and kind in ("Traced", "Compiled")) or (
        current.explain_cache_misses and kind == "CacheMiss"
    ):
        observe.logger.warning("%s", event)
    for listener in _listeners:
        try:
            listener(event)
        except Exception:
            observe.logger.exception("a listener failed on %s", event)


def subscribe(listener: Callable[[Event], None]) -> Callable[[], None]:
    """Call `listener` with every event from now on; returns a function that stops it."""
    with _lock:
        _listen((*_listeners, listener))

    def unsubscribe() -> None:
        with _lock:
            _listen(tuple(known for known in _listeners if known is not listener))

    return unsubscribe


def _listen(listeners: tuple[Callable[[Event], None], ...]) -> None:
    global _listeners
    _listeners = listeners
    # the native core announces only while somebody listens
    _native.set_on_event(_native_event if listeners else None)


def _native_event(kind: str, name: str, seconds: float) -> None:
    """What happens without Python: calls that find their program, and runs."""
    if kind == "CacheHit":
        emit(kind, name=name, cache="jit")
    else:
        emit(kind, name=name, seconds=seconds)


@contextlib.contextmanager
def recording() -> Iterator[list[Event]]:
    """The events during the body of a `with`, as a list that grows."""
    seen: list[Event] = []
    stop = subscribe(seen.append)
    try:
        yield seen
    finally:
        stop()


def recent(kind: type[Event] = Event) -> list[Event]:
    """The last events of a kind that are kept (compilations and what led to them)."""
    return [event for event in list(_recent) if isinstance(event, kind)]


def clear() -> None:
    """Forget the recent events."""
    _recent.clear()


def explain_misses(function: object = None, show: bool = True) -> list[CacheMiss]:
    """Why functions were traced and compiled (again): prints it, and returns the events.

    function: a jitted function or its name; None means all. show: whether to print.
    """
    name = getattr(function, "__name__", function)
    misses = [
        e for e in recent(CacheMiss)
        if isinstance(e, CacheMiss) and (name is None or e.name == name)
    ]  # fmt: skip
    if show:
        for miss in misses:
            print(f"{miss.name}: {miss.reason}")
            for path, before, after in miss.changes:
                print(f"    {path}: {before} -> {after}")
    return misses
