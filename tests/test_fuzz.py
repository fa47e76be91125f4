"""A few random programs of the fuzzer (`make fuzz` runs as many as you like)."""

from __future__ import annotations

import pytest

from tests import fuzz

#: programs that were compiled wrongly once
REGRESSIONS = (6, 10, 20, 129)


@pytest.mark.parametrize("seed", [*REGRESSIONS, *range(1000, 1016)])
def test_program(seed):
    fuzz.check(seed, ("native", "sse2"))
