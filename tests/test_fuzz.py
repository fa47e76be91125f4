"""A few random programs of the fuzzer (`make fuzz` runs as many as you like)."""

from __future__ import annotations

import pytest

from tests import fuzz
from tests.fuzz_found import FOUND

TARGETS = ("native", "sse2")


@pytest.mark.parametrize("found", FOUND, ids=lambda found: str(found[0]))
def test_programs_that_were_wrong_once(found):
    seed, shapes, instructions = found
    program = [fuzz.Instruction(name, (a, b), choice) for name, a, b, choice in instructions]
    fuzz.compare(f"program {seed}", fuzz.arrays(seed, shapes), program, TARGETS)


@pytest.mark.parametrize("seed", range(1000, 1016))
def test_program(seed):
    fuzz.check(seed, TARGETS)
