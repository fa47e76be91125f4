"""The collector of cyclic garbage waits for tracing and compiling, and is as before afterwards."""

import gc

import pytest

import fornax
from fornax.ir import garbage


@pytest.fixture(params=[True, False], ids=["on", "off"])
def collector(request):
    """The collector turned on or off, and put back."""
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def test_nested_and_overlapping(collector):
    first, second = garbage.kept(), garbage.kept()
    first.__enter__()
    with garbage.kept():
        assert not gc.isenabled()
    assert not gc.isenabled()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled() == collector


def test_waits_while_a_function_is_traced(collector):
    seen = []

    def function(x):
        seen.append(gc.isenabled())
        return x + 1

    fornax.jit(function)(1.0)
    assert seen == [False]
    assert gc.isenabled() == collector


def test_errors_turn_it_on_again(collector):
    def function(x):
        raise KeyError(x)

    with pytest.raises(KeyError):
        fornax.jit(function)(1.0)
    assert gc.isenabled() == collector
