"""Transposes in blocks: whole ones, and what is left at their sides."""

from __future__ import annotations

import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64"])
@pytest.mark.parametrize("rows,columns", [(67, 133), (67, 37), (67, 12)])
def test_transposes(name, dtype, rows, columns):
    b = Builder()
    x, y = buffer("x", dtype, (rows, columns)), buffer("y", dtype, (columns, rows), "out")
    axes = Axis(columns), Axis(rows)
    first, second = map(b.axis, axes)
    value = b.op("not" if dtype == "bool" else "neg", b.load(x, (second, first)))
    kernel = Kernel("transpose", (x, y), nest(b, axes, [(y, (first, second), value)]))
    arrays = [data(dtype, (rows, columns), 1), data(dtype, (columns, rows), 2)]
    agree(Made(kernel, arrays, [1]), target(name))
