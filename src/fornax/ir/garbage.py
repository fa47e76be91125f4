"""The collector of cyclic garbage waits while programs are made.

Tracing and compiling make many small objects that stay alive, and the collector would look at all
of them again and again: 15 to 20 % of the time of programs of 10 000 equations.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

__all__ = ["kept"]

_lock = threading.Lock()
_waiting = 0
_was_on = False


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """No collection during the body of a `with`, in any thread. Bodies may nest and overlap: the
    last one that ends turns the collector on again, if it was on before the first."""
    global _waiting, _was_on
    with _lock:
        if not _waiting:
            _was_on = gc.isenabled()
            gc.disable()
        _waiting += 1
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1
            if not _waiting and _was_on:
                gc.enable()
