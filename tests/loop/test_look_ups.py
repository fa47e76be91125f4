"""Functions by pieces: their accuracy, and look-ups with any number of lanes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from elementwise import Elementwise
from math_truth import errors, pairs, ranges, samples
from random_kernels import buffer
from test_math import SPECIAL, same

from fornax.backends import cpu
from fornax.backends.llvm.target import REQUIRED, cpu_flags, find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.check import check
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest

NAMES = ("erf", "tanh")
#: with fused multiply-add only
FUSED = ("exp",)


def compiled(name: str, fma: bool = True) -> Elementwise:
    found = Elementwise(lambda b, x: b.op(name, x), ("float32",), fma, tables=True)
    assert found.count()["table"] > (0 if name in FUSED else 3)
    return found


@pytest.mark.parametrize(
    "name,fma", [*((name, fma) for name in NAMES for fma in (True, False)), ("exp", True)]
)
def test_accuracy(name, fma):
    f = compiled(name, fma)
    for i, where in enumerate(ranges(name, "float32")):
        x = samples(where, "float32", 2000, i)
        found = errors(f(x), name, x)
        assert found.max() <= 2, f"{found.max():.3f} ulp at {x[np.argmax(found)]!r}"


def power() -> Elementwise:
    found = Elementwise(lambda b, *x: b.op("pow", *x), ("float32",) * 2, tables=True)
    assert found.count()["table"] == 6  # three where numbers are usual, three elsewhere
    return found


def test_accuracy_of_powers():
    f = power()
    for label, x, y in pairs("pow", "float32", 1000):
        assert errors(f(x, y), "pow", x, y).max() <= 2, label
    # next to one, where results are large though logarithms are small
    rng = np.random.default_rng(0)
    x = np.float32(1) + rng.uniform(-0.08, 0.08, 2000).astype(np.float32)
    x = x[x != 1]
    y = (rng.uniform(-86, 86, x.size) / np.log(x.astype(np.float64))).astype(np.float32)
    assert errors(f(x, y), "pow", x, y).max() <= 2
    # up to the largest exponent of the quick way and the numbers it gives, and beyond
    x, y = np.exp(rng.uniform(-1.5, 1.5, (2, 2000))).astype(np.float32)
    y *= rng.choice(np.float32([-16, 16]), y.size)
    assert errors(f(x, y), "pow", x, y).max() <= 2


def test_powers_that_are_numbers_are_exact():
    f = power()
    for exponent in range(1, 24):
        x = np.arange(1, int(2 ** (24 / exponent)) + 1)[:5000]
        exact = (x.astype(object) ** exponent).astype(np.float32)
        x, y = x.astype(np.float32), np.full(x.size, exponent, np.float32)
        assert np.array_equal(f(x, y), exact), exponent
        assert np.array_equal(f(-x, y), exact * (-1) ** exponent), exponent


@pytest.mark.parametrize("name", (*NAMES, *FUSED))
def test_special_values(name):
    x, want = np.array([*SPECIAL[name], (np.nan, np.nan)]).T.astype(np.float32)
    assert np.all(same(compiled(name)(x), want))


def test_denormals():
    x = np.array([1, -1, 2, 5, 1000, -77777], np.float32) * np.finfo(np.float32).smallest_subnormal
    assert np.array_equal(compiled("tanh")(x), x)


def kernel(name: str, count: int, wide: bool) -> Kernel:
    """f(x), or f(x) times a float64, so that registers have half as many lanes."""
    b, i = Builder(), Axis(count)
    index = (b.axis(i),)
    x, z = buffer("x", "float32", (count,)), buffer("z", "float64", (count,))
    dtype = "float64" if wide else "float32"
    y = buffer("y", dtype, (count,), "out")
    value = b.op(name, b.load(x, index))
    if wide:
        value = b.mul(b.cast(value, "float64"), b.load(z, index))
    return Kernel("pieces", (x, z, y), nest(b, [i], [(y, index, value)]))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("count", [1, 3, 8, 16, 21, 64, 1000, 1 << 14])
@pytest.mark.parametrize("name", NAMES)
def test_lanes(name, count, wide):
    if not REQUIRED["avx512"] <= cpu_flags():
        pytest.skip("this processor has no such registers")
    target = replace(find("avx512"), fma=False)  # rounds as the interpreter does
    made = kernel(name, count, wide)
    ready = check(cpu.prepare(made, target))
    rng = np.random.default_rng(count)
    x = (rng.normal(size=count) * 3).astype(np.float32)
    z, dtype = rng.normal(size=count), np.float64 if wide else np.float32
    expected, found = np.zeros(count, dtype), np.zeros(count, dtype)
    interpret(ready, [x, z, expected])
    compiled = cpu.compile_kernel(made, target, stages=True)
    assert "…" in compiled.stages["legalize"]
    cpu.run(compiled, [x, z, found])
    np.testing.assert_array_equal(found, expected)
