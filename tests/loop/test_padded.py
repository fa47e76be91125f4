"""Padded arrays are read as rows, under masks, not at clamped indices."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.show import show
from fornax.compiler.loop.simplify import simplify


def padded(dtype: str, rows: int, columns: int) -> Kernel:
    """An array with one element of padding on each side."""
    b = Builder()
    x = buffer("x", dtype, (rows, columns))
    y = buffer("y", dtype, (rows + 2, columns + 2), "out")
    axes = Axis(rows + 2), Axis(columns + 2)
    inside, index = b.const(True, "bool"), []
    for axis, extent in zip(axes, (rows, columns), strict=True):
        place = b.sub(b.axis(axis), b.index(1))
        inside = b.op("and", inside, b.within(place, 0, extent))
        index.append(b.clamp_index(place, 0, extent - 1))
    value = b.select(inside, b.load(x, index), b.const(0, dtype))
    return Kernel("padded", (x, y), nest(b, axes, [(y, tuple(map(b.axis, axes)), value)]))


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "float32"])
@pytest.mark.parametrize("columns", [1, 16, 70])
def test_rows_of_padded_arrays(name, dtype, columns):
    kernel = padded(dtype, 5, columns)
    text = show(simplify(kernel))
    assert "max(" not in text and " if " in text
    result = np.ones((7, columns + 2), kernel.buffers[1].dtype)
    agree(Made(kernel, [data(dtype, (5, columns), 3), result], [1]), target(name))
