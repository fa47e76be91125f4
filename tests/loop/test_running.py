"""Loops that store running values: in lanes, and the same values everywhere where additions are
exact."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import TARGETS
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.check import IllFormed, check
from fornax.compiler.loop.ir import Axis, Carried, Carry, For, Kernel, Store
from fornax.compiler.loop.rewrite import walk

NAMES = ["avx512", "avx2", "sse2", "wide"]


def kernel(combiner: str, dtype: str, extent: int, reverse=False, known=True) -> Kernel:
    """Running values that start from 2, beside a plain sum and a maximum, and what is left."""
    b = Builder()
    x, limit = buffer("x", dtype, (extent,)), buffer("limit", "int64", (1,))
    y, z = buffer("y", dtype, (extent,), "out"), buffer("z", dtype, (3,), "out")
    step = Axis(extent if known else b.min(b.load(limit, (b.index(0),)), b.index(extent)), "i")
    at = b.sub(b.index(extent - 1), b.axis(step)) if reverse else b.axis(step)
    value = b.load(x, (at,))
    total, plain, most = (Carry(value.dtype, name) for name in ("total", "plain", "most"))
    new = b.op(combiner, b.carry(total), value)
    carries = (
        Carried(plain, b.const(0, dtype), b.add(b.carry(plain), value), "add"),
        Carried(total, b.const(2, dtype), new, combiner),
        Carried(most, b.const(1, dtype), b.max(b.carry(most), value), "max"),
    )
    loop = For(step, (Store(y, (at,), b.add(new, value)),), carries)
    ends = tuple(
        Store(z, (b.index(k),), b.final(c)) for k, c in enumerate((total, plain, most))
    )  # fmt: skip
    return Kernel("running", (x, limit, y, z), (loop, *ends))


def operands(dtype: str, extent: int) -> list[np.ndarray]:
    """Small whole numbers, whose sums and products are exact."""
    x = np.random.default_rng(3).integers(1, 4, extent).astype(dtype)
    if extent > 20:
        x[20:] = 1
    limit = np.asarray([extent - extent // 3], np.int64)
    return [x, limit, np.zeros(extent, dtype), np.zeros(3, dtype)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("combiner", ["add", "mul", "max", "min"])
def test_the_same_values_everywhere(name, combiner):
    for dtype, extent, reverse, known in (
        ("float32", 1, False, True),
        ("float32", 15, True, True),
        ("float32", 33, False, True),
        ("float64", 100, False, False),
        ("int32", 100, True, True),
        ("uint8", 100, False, False),
    ):
        made = kernel(combiner, dtype, extent, reverse, known)
        agree(Made(made, operands(dtype, extent), [2, 3]), target(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("combiner", ["max", "min"])
def test_not_a_number_stays(name, combiner):
    arrays = operands("float32", 100)
    arrays[0][[40, 70]] = np.nan, 9
    agree(Made(kernel(combiner, "float32", 100), arrays, [2, 3]), target(name))


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
def test_running_values_are_lanes(name):
    ready = cpu.prepare(kernel("add", "float32", 100), TARGETS[name])
    (loop,) = (s for s in walk(ready.body) if isinstance(s, For))
    assert (loop.kind, loop.lanes) == ("vector", TARGETS[name].vector_bits // 32)


def test_carries_that_lanes_cannot_hold():
    """What is stored before the step would be the value of the lane before."""
    b, step, total = Builder(), Axis(32, "i"), Carry("float32", "total")
    x, y = buffer("x", "float32", (32,)), buffer("y", "float32", (32,), "out")
    after = b.add(b.carry(total), b.load(x, (b.axis(step),)))
    carries = (Carried(total, b.const(0, "float32"), after, "add"),)
    loop = For(step, (Store(y, (b.axis(step),), b.carry(total)),), carries)
    ready = cpu.prepare(Kernel("before", (x, y), (loop,)), TARGETS["avx512"])
    assert all(s.kind == "serial" for s in walk(ready.body) if isinstance(s, For))
    marked = For(step, loop.body, carries, "vector", 16)
    with pytest.raises(IllFormed, match="reads its carries"):
        check(Kernel("before", (x, y), (marked,)))
