"""How many registers' worth of lanes a loop takes: by its length, the values it needs at once, its
runs, and the target."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import TARGETS
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, For, Kernel
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.loop.vectorize import vectorize


def registers(functions: int, count: int, name: str, at_once: bool = False, apart: int = 1) -> int:
    """Registers' worth of lanes of a loop with so many exponentials, one of the other or, with all
    their values needed at once, of products, of elements that lie `apart`."""
    b, i = Builder(), Axis(count)
    x, y = buffer("x", "float32", (apart * count,)), buffer("y", "float32", (count,), "out")
    value = b.load(x, (b.mul(b.axis(i), b.index(apart)),))
    powers = [b.op("exp", b.mul(value, b.const(float(k), "float32"))) for k in range(functions)]
    for power in powers if at_once else ():
        value = b.sub(power, value)
    for _ in range(0 if at_once else functions):
        value = b.op("exp", value)
    kernel = Kernel("lanes", (x, y), nest(b, [i], [(y, (b.axis(i),), value)]))
    target = TARGETS[name]
    (lanes,) = (
        s.lanes for s in walk(cpu.prepare(kernel, target).body)
        if isinstance(s, For) and s.kind == "vector"
    )  # fmt: skip
    return lanes // target.lanes("float32")


@pytest.mark.parametrize(
    ("functions", "count", "name", "expected"),
    [
        (0, 1 << 16, "avx2", 4),
        (1, 1 << 16, "avx2", 2),
        (3, 1 << 16, "avx2", 1),  # the values of two iterations would find no room
        (3, 1 << 16, "avx512", 2),  # where there are 32 registers they do
        (3, 1 << 20, "avx512", 4),  # and longer code pays where it runs often
        (19, 1 << 20, "avx512", 4),  # also where it is long, for it needs few values at once
        (19, 1 << 16, "avx512", 2),
        (21, 1 << 20, "avx512", 1),
        (3, 1 << 20, "avx2", 1),
        (1, 1 << 12, "avx512", 1),
    ],
)
def test_registers_of_a_loop(functions, count, name, expected):
    assert registers(functions, count, name) == expected


@pytest.mark.parametrize(("functions", "expected"), [(3, 4), (6, 2), (9, 1)])
def test_registers_of_a_loop_that_needs_many_values_at_once(functions, expected):
    assert registers(functions, 1 << 20, "avx512", at_once=True) == expected


@pytest.mark.parametrize(
    ("dtype", "count", "name", "expected"),
    [
        ("float32", 3, "avx512", 4), ("float32", 4, "avx512", 4), ("float32", 5, "avx512", 8),
        ("float32", 8, "avx512", 8), ("float32", 9, "avx512", 16), ("float32", 3, "avx2", 4),
        ("float64", 2, "avx512", 2), ("float64", 3, "avx512", 4), ("int8", 2, "avx512", 16),
    ],
)  # fmt: skip
def test_short_loops_take_short_registers(dtype, count, name, expected):
    b, i = Builder(), Axis(count)
    x, y = buffer("x", dtype, (count,)), buffer("y", dtype, (count,), "out")
    value = b.add(b.load(x, (b.axis(i),)), b.load(x, (b.axis(i),)))
    kernel = Kernel("short", (x, y), nest(b, [i], [(y, (b.axis(i),), value)]))
    found = [s.lanes for s in walk(cpu.prepare(kernel, TARGETS[name]).body) if isinstance(s, For)]
    assert found == [expected]


def test_loops_that_would_run_one_by_one_are_no_lanes():
    """Stores of the outer loop are not neighbours, so a rest of it cannot be masked; and it has no
    more than a rest. Those of the inner one are neighbours."""
    b, i, j = Builder(), Axis(5), Axis(5)
    x, y = buffer("x", "float32", (5, 6)), buffer("y", "float32", (5, 5), "out")
    value = b.load(x, (b.axis(j), b.index(0))), b.load(x, (b.axis(i), b.index(0)))
    between = b.sub(*value)
    kernel = Kernel(
        "pairs", (x, y), nest(b, [i, j], [(y, (b.axis(i), b.axis(j)), b.mul(between, between))])
    )
    body = cpu.prepare(kernel, TARGETS["avx512"]).body
    assert [s.kind for s in walk(body) if isinstance(s, For)] == ["serial", "vector"]


@pytest.mark.parametrize(("apart", "expected"), [(1, 4), (2, 4), (3, 1), (4, 2)])
def test_registers_of_a_loop_that_reads_elements_apart(apart, expected):
    assert registers(0, 1 << 20, "avx512", apart=apart) == expected


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("name", ["sse2", "avx2", "avx512"])
def test_elements_between_those_of_lanes_are_written_together(count, name):
    """What lies one row after the other in `x` is written element beside element: where lanes go
    along rows, all results of a lane are made at once."""
    b, i, j = Builder(), Axis(100), Axis(count)
    x, y = buffer("x", "float32", (count, 100)), buffer("y", "float32", (100, count), "out")
    place = b.axis(i), b.axis(j)
    value = b.mul(b.load(x, place[::-1]), b.const(2.0, "float32"))
    kernel = Kernel("beside", (x, y), nest(b, [i, j], [(y, place, value)]))
    numbers = np.arange(100 * count, dtype=np.float32).reshape(count, 100)
    agree(Made(kernel, [numbers, np.zeros((100, count), np.float32)], [1]), target(name))
    kinds = [
        s.kind for s in walk(vectorize(simplify(kernel), TARGETS[name]).body) if isinstance(s, For)
    ]
    assert kinds == ["vector", "unroll"]
