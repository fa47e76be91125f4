"""A few random programs of the fuzzer (`make fuzz` runs as many as you like)."""

from __future__ import annotations

import pytest

from tests import fuzz
from tests.fuzz_found import FIRST, FOUND

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
