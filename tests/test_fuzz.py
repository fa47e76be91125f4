"""A few random programs of the fuzzer (`make fuzz` runs as many as you like)."""

from __future__ import annotations

import numpy as np
import pytest

import fornax.numpy as fnp
from tests import fuzz, fuzz_callbacks, fuzz_values
from tests.fuzz_found import FIRST, FOUND
from tests.fuzz_rounding import shaken

TARGETS = ("native", "sse2")


@pytest.mark.parametrize("found", FIRST, ids=lambda found: str(found[0]))
def test_programs_that_were_wrong_at_first(found):
    fuzz.check_plain(*found, TARGETS)


@pytest.mark.parametrize("number", range(len(FOUND)))
def test_programs_that_were_wrong_once(number):
    program = FOUND[number]
    assert fuzz.difference(program) is None, fuzz.difference(program)


@pytest.mark.parametrize("seed", range(24))
def test_program(seed):
    problem = fuzz.check_seed(seed)
    assert problem is None, problem


def test_a_wrong_program_is_noticed_and_shrunk(monkeypatch):
    """A compiler that negates, seen through all the layers."""
    program = fuzz.Program(
        (fuzz.Input("float32", (3, 4), 1), fuzz.Input("int8", (5,), 2, "odd")),
        (
            fuzz.Instruction("plus", (0, 1), 1),
            fuzz.Instruction("jit", (0, 1), 0, (fuzz.Instruction("one", (0, 0), 0),)),
            fuzz.Instruction("cut", (0, 1), 3),
        ),
    )
    assert fuzz.difference(program) is None
    right = fuzz.compiled_of

    def negated(program):
        function = right(program)
        return lambda inputs: [-a if a.ndim else a for a in function(inputs)]

    monkeypatch.setattr(fuzz, "compiled_of", negated)
    short, problem = fuzz.shrink(program)
    assert len(short.instructions) == 1
    assert "differs" in problem


@pytest.mark.parametrize(
    ("ordered", "text"),
    [(True, "ordered io calls, expected 2; they differ from call 0"), (False, "1 too many")],
)
def test_calls_that_are_wrong_are_noticed(monkeypatch, ordered, text):
    """A compiler that turns the order of calls, or calls once more."""
    program = fuzz.Program(
        (fuzz.Input("float32", (3,), 1),),
        (
            fuzz.Instruction("told", (0, 0), 4 if ordered else 1),
            fuzz.Instruction("remembered", (0, 0), 0),
            fuzz.Instruction("plus", (0, 0), 1),
            fuzz.Instruction("told", (0, 0), 4 if ordered else 1),
        ),
    )
    assert fuzz.difference(program) is None
    right = fuzz.compiled_of

    def wrong(program):
        function = right(program)

        def call(inputs):
            results = function(inputs)
            seen = fuzz_callbacks.latest()
            if ordered:
                seen.ordered["io"].reverse()
            else:
                seen.others.update(list(seen.others)[:1])
            return results

        return call

    monkeypatch.setattr(fuzz, "compiled_of", wrong)
    assert text in fuzz.difference(program)


@pytest.mark.parametrize("module", ["fuzz_references", "fuzz_callbacks"])
def test_programs_with_more_of_a_kind(module):
    often = fuzz.operations_of([module])
    chosen = [i for seed in range(6) for i in fuzz.make(seed, often).instructions]
    assert sum(i.operation in often for i in chosen) > len(chosen) / 3
    for seed in range(6):
        problem = fuzz.check_seed(seed, often)
        assert problem is None, problem


def test_a_reference_among_the_inputs_has_its_last_value():
    program = fuzz.Program(
        (fuzz.Input("int32", (4,), 1, "reference"),),
        (fuzz.Instruction("accumulated", (0, 0), 0), fuzz.Instruction("one", (0, 0), 1)),
    )
    (given,) = (i.make() for i in program.inputs)
    *_, inside, after = fuzz.compiled_of(program)([given])
    np.testing.assert_array_equal(after, given.array * 2)
    np.testing.assert_array_equal(inside, after)
    assert fuzz.difference(program) is None


@pytest.mark.parametrize("seed", [85000506, 94008178])
def test_what_cancels_is_no_error(seed):
    """Gradients of some 1e-9, of terms near 1e3, and a sum that is zero by luck."""
    assert fuzz.difference(fuzz.make(seed)) is None


def test_results_scatter_where_terms_cancel_only():
    x = np.linspace(1, 2, 50, dtype=np.float32)
    plain = fnp.exp(x)
    with shaken(3):
        moved, again = fnp.exp(fnp.asarray(x)), fnp.asarray(x)
        rest = fnp.subtract(fnp.add(1e3, again), fnp.add(1e3, again))
    apart = np.abs(np.asarray(moved) / np.asarray(plain) - 1)
    assert 0 < apart.max() < 2e-7
    assert 1e-6 < np.abs(rest).max() < 1e-3
    np.testing.assert_array_equal(again, x)
    np.testing.assert_array_equal(fnp.exp(x), plain)
    v = fuzz_values.V(np.asarray(plain), "float32", None)
    off = np.asarray(plain) * np.float32(1.01)
    assert "differs" in fuzz.wrong(off, v, lambda: plain, 1.0, lambda: np.abs(moved - plain))
