"""Transposes in blocks: whole ones, and what is left at their sides."""

from __future__ import annotations

import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32"])
def test_transposes(name, dtype):
    b = Builder()
    x, y = buffer("x", dtype, (67, 133)), buffer("y", dtype, (133, 67), "out")
    axes = Axis(133), Axis(67)
    first, second = map(b.axis, axes)
    value = b.op("not" if dtype == "bool" else "neg", b.load(x, (second, first)))
    kernel = Kernel("transpose", (x, y), nest(b, axes, [(y, (first, second), value)]))
    arrays = [data(dtype, (67, 133), 1), data(dtype, (133, 67), 2)]
    agree(Made(kernel, arrays, [1]), target(name))
