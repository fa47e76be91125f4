"""Rows of large results that begin anywhere in a cache line: whole lines past the caches."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import equal, first_difference, target
from random_kernels import Made, buffer, data

from fornax.backends import cpu
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import STORAGE, Axis, Kernel
from fornax.compiler.loop.schedule import nest
from fornax.compiler.target import Target

NAMES = ["avx512", "avx2", "sse2"]


@pytest.fixture(autouse=True)
def all_streamed(monkeypatch):
    """Results of any size are written past the caches."""
    monkeypatch.setattr(Target, "streamed", property(lambda self: 1))
    monkeypatch.setattr(cpu, "compiled", {})


def kernel(dtype: str, result: str, rows: int, columns: int, padded: bool) -> Made:
    """y[i, j] = x[i, j + 1] * row[j] + x[i, j], or with x[i, j - 1] where there are both."""
    b = Builder()
    x = buffer("x", dtype, (rows, columns + 1))
    row = buffer("row", dtype, (columns,))
    y = buffer("y", result, (rows, columns), "out")
    axes = i, j = Axis(rows, "i"), Axis(columns, "j")
    at, place = b.axis(i), b.axis(j)
    following = b.add(place, b.index(1))
    computed = STORAGE.get(dtype, dtype)
    if padded:
        before = b.sub(place, b.index(1))
        there = b.and_(b.ge(before, b.index(0)), b.lt(following, b.index(columns)))
        value = b.load(x, (at, before), mask=there, other=b.const(0, computed))
    else:
        value = b.load(x, (at, following))
    value = b.add(b.mul(value, b.load(row, (place,))), b.load(x, (at, place)))
    value = b.cast(value, STORAGE.get(result, result))
    made = Kernel("rows", (x, row, y), nest(b, axes, [(y, (at, place), value)]))
    arrays = [data(one.dtype, one.shape, seed, whole=True) for seed, one in enumerate((x, row, y))]
    return Made(made, arrays, [2])


def run(made: Made, name: str) -> str:
    """Run on a result that begins at a line and has no room beside it; the assembly."""
    compiled = cpu.compile_kernel(made.kernel, target(name), stages=True)
    expected, found = made.copies(), made.copies()
    interpret(made.kernel, expected)
    room = np.full(expected[2].nbytes + 256, 77, np.uint8)
    begin = -room.ctypes.data % 64 + 64
    inside = slice(begin, begin + expected[2].nbytes)
    found[2] = room[inside].view(expected[2].dtype).reshape(expected[2].shape)
    cpu.run(compiled, found)
    assert equal(expected[2], found[2]), first_difference(expected[2], found[2])
    assert (room[: inside.start] == 77).all() and (room[inside.stop :] == 77).all()
    return compiled.stages["assembly"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("dtype", "result", "columns"),
    [
        ("float32", "float32", 131),
        ("float64", "float64", 70),
        ("int8", "int8", 270),
        ("bfloat16", "bfloat16", 149),
        ("float64", "int8", 263),  # a line holds more elements than a register of numbers
        ("float64", "int8", 67),
    ],
)
def test_every_element_of_odd_rows_and_nothing_else_is_written(name, dtype, result, columns):
    text = run(kernel(dtype, result, 3, columns, padded=columns % 2 == 1), name)
    assert "movnt" in text or dtype != result or dtype == "bfloat16"


def test_short_rows_are_written_as_they_are():
    assert "movnt" not in run(kernel("float32", "float32", 3, 27, False), "avx2")
