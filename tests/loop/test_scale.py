"""Products with powers of two in one instruction, and exponentials made of them."""

from __future__ import annotations

import numpy as np
import pytest
from math_truth import errors, ranges, samples
from random_kernels import buffer
from test_math import SPECIAL, same

from fornax.backends import cpu
from fornax.backends.llvm.target import REQUIRED, cpu_flags, find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest

DTYPES = ("float32", "float64")


@pytest.fixture(autouse=True, scope="module")
def avx512():
    if not REQUIRED["avx512"] <= cpu_flags():
        pytest.skip("this processor has no such instruction")


def kernel(name: str, dtype: str, count: int, operands: int) -> Kernel:
    b, i = Builder(), Axis(count)
    index = (b.axis(i),)
    read = [buffer(f"x{k}", dtype, (count,)) for k in range(operands)]
    y = buffer("y", dtype, (count,), "out")
    value = b.op(name, *(b.load(x, index) for x in read))
    return Kernel("scales", (*read, y), nest(b, [i], [(y, index, value)]))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 21, 64, 1000])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["scale", "within"])
def test_lanes(name, dtype, count):
    rng = np.random.default_rng(count)
    x, n = rng.normal(size=count).astype(dtype), (rng.normal(size=count) * 60).astype(dtype)
    special = [
        (1, np.inf),
        (1, -np.inf),
        (1, np.nan),
        (np.nan, 1),
        (0, -3),
        (-2, 5000),
        (3, -151.5),
    ]
    x[: len(special)], n[: len(special)] = np.array(special[:count], dtype).T
    if name == "within":
        n = np.nan_to_num(np.abs(n), nan=1.0, posinf=3.0)
    made = kernel(name, dtype, count, 2)
    expected, found = np.zeros(count, dtype), np.zeros(count, dtype)
    with np.errstate(all="ignore"):
        interpret(made, [x, n, expected])
    cpu.run(cpu.compile_kernel(made, find("avx512")), [x, n, found])
    np.testing.assert_array_equal(found, expected)


def exp(x: np.ndarray) -> np.ndarray:
    found = np.zeros_like(x)
    made = cpu.compile_kernel(kernel("exp", x.dtype.name, x.size, 1), find("avx512"), stages=True)
    assert "scale(" in made.stages["legalize"]
    cpu.run(made, [x, found])
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials(dtype):
    for i, where in enumerate(ranges("exp", dtype)):
        x = samples(where, dtype, 2000, i)
        assert errors(exp(x), "exp", x).max() <= 2, where
    x, want = np.array([*SPECIAL["exp"], (np.nan, np.nan)]).T.astype(dtype)
    assert np.all(same(exp(np.ascontiguousarray(x)), want))
