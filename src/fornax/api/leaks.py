"""Finding leaked tracers early: with `checking_leaks`, when the transformation ends."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator

from fornax import settings
from fornax.errors import UnexpectedTracerError
from fornax.ir.trace import Trace, Tracer, current
from fornax.source import located

__all__ = ["checked"]


@contextlib.contextmanager
def checked() -> Iterator[Callable[[], None]]:
    """The body of a `with` runs a transformation, which calls the given function inside.

    If the setting `check_tracer_leaks` is on, raises UnexpectedTracerError when the trace that was
    current then is still referred to afterwards.
    """
    if not settings.current().check_tracer_leaks:
        yield _nothing
        return
    seen: list[weakref.ref[Trace]] = []

    def remember() -> None:
        trace = current()
        if trace is not None:
            seen.append(weakref.ref(trace))

    yield remember
    for reference in seen:
        if reference() is not None:
            gc.collect()
        trace = reference()
        if trace is not None:
            tracers = [x for x in gc.get_referrers(trace) if isinstance(x, Tracer)]
            shown = ", ".join(f"{x!r}, {x.origin()}" for x in tracers[:5])
            raise UnexpectedTracerError(
                located(
                    f"Leaked trace of {trace.purpose}: it has ended and values of it are still "
                    f"referred to: {shown or 'no tracer itself, but the trace'}",
                    why="a traced value was stored in a global, an attribute or a container",
                    attempt="return values instead of storing them",
                )
            )


def _nothing() -> None:
    pass
