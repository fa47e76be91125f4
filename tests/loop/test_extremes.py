"""The largest and smallest number of short rows, in which some are none: these win."""

from __future__ import annotations

import ml_dtypes
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


def kernel(dtype: str, columns: int, combiner: str, signs: tuple[str, ...] = ()) -> Kernel:
    b = Builder()
    x, y = buffer("x", dtype, (ROWS, columns)), buffer("y", dtype, (ROWS,), "out")
    i, j = Axis(ROWS), Axis(columns)
    found = b.load(x, (b.axis(i), b.axis(j)))
    for change in signs:
        found = b.op(change, found)
    found = b.reduce(combiner, [j], found)
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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e5m2", "float8_e4m3fn"])
@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
def test_narrow_floats_are_compared_as_they_lie_in_memory(name, dtype):
    format = np.dtype(getattr(ml_dtypes, dtype, dtype))
    raw = np.dtype(f"uint{8 * format.itemsize}")
    above = np.random.default_rng(3).integers(1 << 8 * format.itemsize, size=(ROWS, 67), dtype=raw)
    x = above.view(format)
    x[0], x[1], x[2, :50] = -np.abs(x[0]), np.abs(x[1]), -x[2, 7]
    x[:5][np.isnan(x[:5].astype(np.float32))] = 1.0
    x[np.abs(x.astype(np.float32)) < 2e-38] = 0.0  # denormal numbers may count as zero
    x[3] = np.inf if dtype != "float8_e4m3fn" else 1.0
    above[5, 40] |= raw.type((1 << (8 * format.itemsize - 1)) - 1)  # NaN of either sign
    for combiner in ("max", "min"):
        for signs in ((), ("abs",), ("neg",), ("abs", "neg")):
            compiled = cpu.compile_kernel(kernel(dtype, 67, combiner, signs), target(name))
            memory = [x, np.zeros(ROWS, format)]
            cpu.run(compiled, memory)
            wide = x.astype(np.float32)
            for change in signs:
                wide = np.abs(wide) if change == "abs" else -wide
            expected = getattr(np, combiner)(wide, -1)
            np.testing.assert_array_equal(memory[1].astype(np.float32), expected)
