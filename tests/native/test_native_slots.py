"""Thread-local slots: the current trace and the current settings."""

from __future__ import annotations

import threading

from fornax import _native as native


def in_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_trace_slot():
    trace = object()
    assert native.swap_trace(trace) is None
    assert native.current_trace() is trace
    assert in_thread(native.current_trace) is None
    assert native.swap_trace(None) is trace
    assert native.current_trace() is None


def test_settings_override():
    default, override = native.current_settings(), object()
    before = native.swap_settings(override)
    assert native.current_settings() is override
    assert in_thread(native.current_settings) is default
    assert native.swap_settings(before) is override
    assert native.current_settings() is default
