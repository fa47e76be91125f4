"""EagerFunction: when it asks for a compiled form, and what it leaves to the function."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from test_native_dispatch import Settings, identity_entry, scalar, settings  # noqa: F401  (a fixture)

from fornax import _native as native


def eager(after=-1.0, function=None, static_argnums=(), static_argnames=()):
    """An EagerFunction that is compiled to the identity, and what it asked for."""
    asked = []
    keyed = native.JitFunction(lambda *_: None, static_argnums, static_argnames)

    def promote(self, args, kwargs):
        asked.append((args, kwargs))
        leaves, structure, _, _ = keyed.key_description(args, kwargs)
        arrays = [native.empty(shape, dtype, weak) for _, dtype, shape, weak in leaves]
        return identity_entry(arrays, structure)

    function = function or (lambda *args, **kwargs: "called")
    return native.EagerFunction(function, promote, after, static_argnums, static_argnames), asked


def test_calls_are_compiled_when_they_have_cost_enough():
    function, asked = eager(after=1e9)
    x = scalar(1)
    assert function(x) == function(x) == "called" and not asked
    ((spent, entry),) = function.tallies()
    assert spent > 0 and entry is None
    function.after = 0.0
    ((got,), keywords) = function(x)
    assert asked == [((x,), {})]
    assert function(x) == ((x,), {})
    assert got is x and keywords == {} and len(asked) == 1
    function.clear_cache()
    assert function.tallies() == [] and function(x) == "called"


def test_costs_are_what_operations_say_not_time():
    def function(x):
        time.sleep(1e-3)
        native.add_work(0.25)
        return "called"

    made, asked = eager(after=0.9, function=function)
    before = native.work()
    assert [made(scalar(1)) for _ in range(4)] == ["called"] * 4 and not asked
    ((spent, entry),) = made.tallies()
    assert spent == native.work() - before and 1 <= spent < 1.001 and entry is None
    made(scalar(1))
    assert len(asked) == 1
    outer, _ = eager(after=1e9, function=made)
    outer(scalar(1)), outer(scalar(1))
    assert 0 < outer.tallies()[0][0] < 1e-3  # what a program answered is cheap
    with pytest.raises(TypeError, match="real number"):
        native.add_work("much")


@pytest.mark.parametrize("mode", ["compiled", "reference"])
def test_the_setting_chooses_one_way_from_the_first_call_on(mode):
    function, asked = eager(after=-1.0)
    x = scalar(1)
    before = native.swap_settings(Settings(eager=mode))
    try:
        answers = [function(x) for _ in range(3)]
    finally:
        native.swap_settings(before)
    assert answers == [((x,), {})] * 3 if mode == "compiled" else ["called"] * 3
    assert len(asked) == (mode == "compiled")


def test_kinds_of_calls():
    function, asked = eager(static_argnames=("n",), function=lambda x, n=0: "called")
    for call in (lambda x: function(x), lambda x: function(x, n=1), lambda x: function(x, n=2)):
        for x in (scalar(1), scalar(1, np.int32), native.empty((2,), np.float32)):
            assert call(x) == "called" and call(x) != "called"
    assert len(asked) == len(function.tallies()) == 9


def test_what_is_left_to_the_function():
    calls = []

    def function(*args):
        calls.append(args)
        return NotImplemented if args == (None,) else args

    made, asked = eager(function=function, static_argnums=(1,))
    for args in (("text",), (object(),), (scalar(1), [1]), (2**40,)):
        assert made(*args) == args
    assert not asked and made.tallies() == []
    for _ in range(2):
        assert made(None) is NotImplemented
    assert not asked and len(calls) == 6


def test_while_tracing_the_function_is_called():
    function, asked = eager()
    before = native.swap_trace(object())
    try:
        assert function(scalar(1)) == "called"
    finally:
        native.swap_trace(before)
    assert not asked and function.tallies() == []


def test_errors():
    def fail(x):
        raise KeyError("mine")

    function, asked = eager(function=fail)
    for _ in range(3):
        with pytest.raises(KeyError, match="mine"):
            function(scalar(1))
    assert not asked
    wrong = native.EagerFunction(lambda x: x, lambda *_: 3, -1.0)
    wrong(scalar(1))
    with pytest.raises(TypeError, match="must return an Entry or None, not int"):
        wrong(scalar(1))
    assert wrong(scalar(1)) is not None  # not asked again
    with pytest.raises(TypeError, match="static_argnames must be str"):
        native.EagerFunction(fail, fail, 0.0, (), (1,))


def test_never_compiled():
    asked = []
    function = native.EagerFunction(lambda x: x, lambda *args: asked.append(args), -1.0)
    x = scalar(1)
    assert function(x) is x and function(x) is x and len(asked) == 1


def test_looks_like_a_method():
    class Holder:
        method, _ = eager(function=lambda self, x: (self, x))

    holder = Holder()
    assert holder.method(3) == (holder, 3) and Holder.method(holder, 3) == (holder, 3)
    Holder.method.__qualname__ = "some.name"
    assert "some.name" in repr(Holder.method) and Holder.method.__reduce__() == "some.name"


def test_arguments_are_released():
    function, asked = eager(function=lambda x: None)
    x = scalar(1)
    count = sys.getrefcount(x)
    for _ in range(5):
        function(x)
    asked.clear()
    assert sys.getrefcount(x) == count


def test_cycles_are_collected():
    function, _ = eager(function=lambda x: None)
    function(scalar(1)), function(scalar(1))
    function.myself = function
    gone = weakref.ref(function)
    del function
    gc.collect()
    assert gone() is None


def test_threads():
    function, _ = eager(after=1e-5, function=lambda x: ((x,), {}))
    arrays = [native.empty((n,), np.float32) for n in range(20)]
    wrong = []

    def work():
        for _ in range(200):
            for x in arrays:
                ((got,), _) = function(x)
                if got is not x:
                    wrong.append(x)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert not wrong and len(function.tallies()) == 20
