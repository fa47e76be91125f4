"""Recording: `Operation.bind` under stages and other traces, and the user's lines."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

from fornax import _native, source
from fornax.ir.jaxpr import Literal, Var
from fornax.ir.primitive import Primitive
from fornax.ir.trace import Trace, new_trace
from fornax.ir.types import ArrayType
from fornax.runtime.eager import evaluate
from fornax.transforms.stage import Stage, StageTracer

F32 = ArrayType((3,), np.float32)


class Twice(Primitive):
    """As many results as `count` says, each of its operand's type."""

    def type(self, *types, count=1):
        return [types[0]] * count

    def reference(self, *arrays, count=1):
        return [np.asarray(arrays[0])] * count


class Counted(Twice):
    """Counts how often its rule is asked."""

    remembers_types = True

    def __init__(self):
        super().__init__("counted", register=False)
        self.asked = 0

    def type(self, *types, **params):
        self.asked += 1
        if params.get("wrong"):
            raise ValueError("wrong")
        return [t.update(weak_type=params.get("weak", False)) for t in types]


class Generous(Twice):
    """Its rule gives no list."""

    def type(self, *types, **params):
        return 7


twice, generous = Twice("twice", register=False), Generous("generous", register=False)


@pytest.mark.parametrize("count", [0, 1, 2, 20])
@pytest.mark.parametrize("width", [1, 2, 20])
def test_an_operation_becomes_an_equation(width, count):
    stage = Stage()
    with new_trace(stage):
        x = stage.new_input(F32)
        results = twice.bind(x, *[2.0] * (width - 1), count=count)
    (equation,) = stage.equations
    assert equation.primitive is twice and equation.params == {"count": count}
    assert equation.inputs[0] is x.atom
    assert all(type(a) is Literal and a.value == 2.0 for a in equation.inputs[1:])
    assert [type(v) for v in equation.outputs] == [Var] * count
    assert all(v.type is F32 for v in equation.outputs)
    assert [type(r) for r in results] == [StageTracer] * count
    assert [r.atom for r in results] == list(equation.outputs)
    assert all(r._trace is stage and r.type is F32 for r in results)


def test_the_slot_is_empty_while_a_rule_runs_and_full_afterwards():
    seen = []

    class Watched(Trace):
        def process(self, primitive, operands, params):
            seen.append((_native.current_trace(), operands, params))
            raise LookupError

    trace = Watched()
    before = _native.swap_trace(trace)
    try:
        with pytest.raises(LookupError):
            twice.bind(1, 2, count=3)
        assert _native.current_trace() is trace
    finally:
        _native.swap_trace(before)
    assert seen == [(None, (1, 2), {"count": 3})]


def test_a_stage_that_failed_to_record_is_as_before():
    stage = Stage()
    with new_trace(stage):
        x = stage.new_input(F32)
        with pytest.raises(TypeError, match=r"must return a list of types, got 7(.|\n)*try:"):
            generous.bind(x)
        with pytest.raises(TypeError, match="not a valid JAX type"):
            twice.bind(object())
        assert _native.current_trace() is stage
    assert not stage.equations


@pytest.mark.parametrize("stage", [Stage, lambda: Stage(partial=True)], ids=["whole", "partial"])
def test_a_rule_that_remembers_is_asked_once_for_types_and_params(stage):
    counted, trace = Counted(), stage()
    with new_trace(trace):
        x, y = trace.new_input(F32), trace.new_input(ArrayType((4,), np.int32))
        for _ in range(3):
            assert [r.type for r in counted.bind(x, y)] == [x.type, y.type]
            assert [r.type for r in counted.bind(y, x)] == [y.type, x.type]
            (weak,) = counted.bind(x, weak=True)
            assert weak.type is F32.update(weak_type=True)
        assert counted.asked == 3
        results = counted.bind(x, y)
        results.clear()  # a list of its own
        assert len(counted.bind(x, y)) == 2 and counted.asked == 3
        for _ in range(2):  # what cannot be looked up, and refusals
            counted.bind(x, sizes=[1])
            with pytest.raises(ValueError, match="wrong"):
                counted.bind(x, wrong=True)
        assert counted.asked == 7
    assert len(trace.equations) == 13


def test_not_all_types_are_remembered_for_ever():
    counted, stage = Counted(), Stage()
    with new_trace(stage):
        x = stage.new_input(F32)
        for n in range(1500):
            counted.bind(x, n=n)
        assert 0 < len(counted.known_types) <= 1024
        counted.bind(x, n=1499)
    assert counted.asked == 1500


def test_partial_and_dead_stages_are_asked():
    partial = Stage(partial=True)
    with new_trace(partial):
        assert np.asarray(twice.bind(1.5)[0]) == 1.5  # nothing that it knows: evaluated outside
        assert not partial.equations
        twice.bind(partial.new_input(F32))
    assert len(partial.equations) == 1
    dead = Stage()
    with new_trace(dead):
        x = dead.new_input(F32)
    before = _native.swap_trace(dead)
    try:
        with pytest.raises(Exception, match="leaked"):
            twice.bind(x)
    finally:
        _native.swap_trace(before)


def test_the_function_outside_of_traces_is_the_one_set():
    called = []
    _native.set_evaluate(lambda *args: called.append(args) or [None])
    try:
        assert twice.bind(1, count=2) == [None]
    finally:
        _native.set_evaluate(evaluate)
    assert called == [(twice, (1,), {"count": 2})]
    assert np.asarray(twice.bind(4)[0]) == 4


def line() -> int:
    return sys._getframe(1).f_lineno


def test_equations_remember_the_line():
    stage = Stage()
    with new_trace(stage):
        x = stage.new_input(F32)
        twice.bind(x)
        expected = line() - 1
        place = source.Source(twice.type.__code__, 0)
        before = source.stand_for(place)
        twice.bind(x)
        assert source.here() is place
        assert source.stand_for(before) is place
    first, second = stage.equations
    assert type(first.source) is source.Source and first.source.line == expected
    assert first.source.code is test_equations_remember_the_line.__code__
    assert second.source is place


def test_what_is_stood_for_is_a_matter_of_the_thread():
    place = source.Source(line.__code__, 0)
    found = []
    before = source.stand_for(place)
    try:
        thread = threading.Thread(target=lambda: found.append(source.here()))
        thread.start()
        thread.join()
    finally:
        source.stand_for(before)
    assert found[0] is not place and found[0].code.co_filename == __file__


@pytest.mark.parametrize(
    "call",
    [
        lambda: _native.set_recording(Stage, StageTracer, Var),
        lambda: _native.set_recording(Stage, StageTracer, Var, Var),
        lambda: _native.set_recording(Stage, StageTracer, 3, Var),
        lambda: _native.set_places(int, print),
        lambda: _native.record(Trace(), twice, (), {}),
        lambda: _native.record(Stage(), twice, 3, {}),
        lambda: _native.record(Stage(), twice, (), ()),
    ],
)
def test_misuse_is_refused(call):
    with pytest.raises((TypeError, AttributeError)):
        call()
    stage = Stage()
    with new_trace(stage):
        twice.bind(stage.new_input(F32))
    assert len(stage.equations) == 1


def test_nothing_is_left_over():
    def traced() -> None:
        stage = Stage()
        with new_trace(stage):
            x = stage.new_input(F32)
            for _ in range(10):
                (x,) = twice.bind(x, 1.0, count=1)

    counted = (twice, F32, traced.__code__, Stage, StageTracer, Var)
    traced()
    gc.collect()
    before = [sys.getrefcount(o) for o in counted]
    for _ in range(50):
        traced()
    gc.collect()
    assert [sys.getrefcount(o) for o in counted] == before
