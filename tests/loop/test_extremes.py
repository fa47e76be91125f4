"""The largest and smallest number of short rows, in which some are none: these win."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import equal, first_difference, target
from random_kernels import buffer

from fornax.backends import cpu
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest

ROWS = 7


def kernel(dtype: str, columns: int, combiner: str) -> Kernel:
    b = Builder()
    x, y = buffer("x", dtype, (ROWS, columns)), buffer("y", dtype, (ROWS,), "out")
    i, j = Axis(ROWS), Axis(columns)
    found = b.reduce(combiner, [j], b.load(x, (b.axis(i), b.axis(j))))
    return Kernel("extremes", (x, y), nest(b, [i], [(y, (b.axis(i),), found)]))


@pytest.mark.parametrize("combiner", ["max", "min"])
@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
def test_what_is_no_number_is_found_in_every_lane(name, combiner):
    for dtype, columns in (("float32", 16), ("float32", 83), ("float64", 32), ("float16", 16)):
        x = np.random.default_rng(columns).standard_normal((ROWS, columns)).astype(dtype)
        x[1], x[2], x[3] = np.inf, -np.inf, np.nan
        made = kernel(dtype, columns, combiner)
        compiled = cpu.compile_kernel(made, target(name))
        for place in range(columns):
            given = x.copy()
            given[0, place] = given[2, place] = np.nan
            expected, found = [given, np.zeros(ROWS, dtype)], [given, np.zeros(ROWS, dtype)]
            interpret(made, expected)
            cpu.run(compiled, found)
            assert equal(expected[1], found[1]), first_difference(expected[1], found[1])
