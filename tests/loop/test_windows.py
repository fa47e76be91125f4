"""Every second or third element of rows that end with the array, or begin anywhere in it."""

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


def kernel(dtype: str, columns: int, stride: int, shift: int, beside: bool, rows=3) -> Made:
    """y[i, j] = x[i, stride * j + shift] and itself, or with z[i, j]; x ends with the last one."""
    b = Builder()
    x = buffer("x", dtype, (rows, stride * (columns - 1) + shift + 1))
    y, z = buffer("y", dtype, (rows, columns), "out"), buffer("z", dtype, (rows, columns))
    axes = i, j = Axis(rows, "i"), Axis(columns, "j")
    at, place = b.axis(i), b.axis(j)
    found = b.load(x, (at, b.add(b.mul(place, b.index(stride)), b.index(shift))))
    other = b.load(z, (at, place)) if beside else found
    value = b.not_(found) if dtype == "bool" else b.add(found, other)
    value = b.cast(value, STORAGE.get(dtype, dtype))
    buffers = (x, z, y) if beside and dtype != "bool" else (x, y)
    made = Kernel("windows", buffers, nest(b, axes, [(y, (at, place), value)]))
    arrays = [data(one.dtype, one.shape, seed, whole=True) for seed, one in enumerate(buffers)]
    return Made(made, arrays, [len(buffers) - 1])


@pytest.mark.parametrize("dtype", ["float32", "bool", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_lanes_are_picked_from_windows_that_end_with_the_array(dtype, name):
    for columns in (15, 63, 95):
        for stride, shift, beside in ((2, 0, False), (2, 1, True), (3, 1, False)):
            made = kernel(dtype, columns, stride, shift, beside)
            compiled = cpu.compile_kernel(made.kernel, target(name))
            expected, found = made.copies(), made.copies()
            interpret(made.kernel, expected)
            cpu.run(compiled, found)
            place = made.outputs[0]
            same = equal(expected[place], found[place])
            assert same, first_difference(expected[place], found[place])


def test_what_is_written_past_the_caches_may_end_anywhere(monkeypatch):
    monkeypatch.setattr(Target, "streamed", property(lambda self: 1))
    monkeypatch.setattr(cpu, "compiled", {})
    for name in NAMES:
        made = kernel("float32", 95, 2, 0, False, rows=1)
        room = np.zeros(95 + 16, np.float32)
        begin = -room.ctypes.data % 64 // 4
        expected, found = made.copies(), made.copies()
        interpret(made.kernel, expected)
        found[1] = room[begin : begin + 95].reshape(1, 95)
        compiled = cpu.compile_kernel(made.kernel, target(name), stages=True)
        cpu.run(compiled, found)
        assert equal(expected[1], found[1]), first_difference(expected[1], found[1])


def test_rows_of_windows_take_no_gathers():
    made = kernel("float32", 210, 2, 0, False)
    text = cpu.compile_kernel(made.kernel, target("avx512"), stages=True).stages["assembly"]
    assert "gather" not in text and "vinsertps" not in text
