"""What happens is announced, to whoever listens."""

from __future__ import annotations

import numpy as np

import fornax
import fornax.numpy as jnp
from fornax.observe import events


def kinds(seen):
    return [type(event).__name__ for event in seen]


def test_a_first_call_and_the_next():
    def twice(x):
        return x * 2

    f = fornax.jit(twice)
    with events.recording() as seen:
        f(np.ones(3, np.float32))
    found = kinds(seen)
    for kind in ("CacheMiss", "Traced", "Lowered", "Compiled", "Executed"):
        assert kind in found, (kind, found)
    with events.recording() as seen:
        f(np.ones(3, np.float32))
    assert sorted(kinds(seen)) == ["CacheHit", "Executed"]
    assert {event.name for event in seen} == {"twice"}
    assert any(getattr(event, "seconds", 0) > 0 for event in seen)
    f(np.ones(3, np.float32))
    assert len(seen) == 2  # nobody listens any more


def test_every_run_is_announced():
    f = fornax.jit(lambda x: jnp.sin(x) + 1)
    x = jnp.ones(10)
    f(x)
    with events.recording() as seen:
        for _ in range(5):
            f(x)
    assert kinds(seen).count("Executed") == 5


def test_a_listener_that_fails_is_logged_and_the_result_stands(caplog):
    f = fornax.jit(lambda x: x + 1)
    f(1.0)

    def fails(event):
        raise RuntimeError("no")

    stop = events.subscribe(fails)
    try:
        assert f(1.0) == 2
    finally:
        stop()
    assert any("a listener failed" in record.message for record in caplog.records)
