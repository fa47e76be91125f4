"""Mathematical functions inside of compiled kernels: expanded in place, or called where many."""

from __future__ import annotations

import numpy as np
import pytest
from random_kernels import buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest

NAMES = ("exp", "log1p", "sin", "tanh", "logistic", "atan")


def kernel(dtype: str, repeats: int, count: int) -> Kernel:
    """Sums of functions of x, then a chain of sines."""
    b = Builder()
    x, y = buffer("x", dtype, (count,)), buffer("y", dtype, (count,), "out")
    i = Axis(count)
    value = b.load(x, (b.axis(i),))
    total = value
    for k in range(repeats):
        shifted = b.add(value, b.const(k / 8, dtype))
        for name in NAMES:
            total = b.add(b.mul(total, b.const(0.5, dtype)), b.op(name, b.abs(shifted)))
    for _ in range(repeats):
        total = b.sin(total)
    return Kernel("functions", (x, y), nest(b, [i], [(y, (b.axis(i),), total)]))


@pytest.mark.parametrize("name", ["avx2", "sse2"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("repeats, count", [(1, 37), (1, 64), (8, 37), (8, 64), (8, 1), (8, 3)])
def test_functions(name, dtype, repeats, count):
    made = kernel(dtype, repeats, count)
    x = np.random.default_rng(0).standard_normal(count).astype(dtype)
    expected, found = np.zeros_like(x), np.zeros_like(x)
    interpret(made, [x, expected])
    compiled = cpu.compile_kernel(made, find(name), stages=True)
    cpu.run(compiled, [x, found])
    assert ("define internal" in compiled.stages["llvm"]) == (repeats > 1)
    np.testing.assert_allclose(found, expected, rtol=4e-6 if dtype == "float32" else 1e-14)


def test_long_kernels_stay_small():
    made = kernel("float32", 60, 4096)
    compiled = cpu.compile_kernel(made, find("avx2"), stages=True)
    assert compiled.stages["llvm"].count("\n") < 3000
