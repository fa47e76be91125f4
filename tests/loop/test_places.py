"""Quotients and remainders of places, in lanes, up to where 32 bits end and beyond."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("first", [0, (1 << 32) - 100, (1 << 32) - 40, 1 << 33])
def test_divisions(name, first):
    b = Builder()
    axis = Axis(100)
    place = b.add(b.axis(axis), b.index(first))
    stores, buffers = [], []
    for divisor in (2, 3, 7, 45, 8191, (1 << 31) + 7, (1 << 32) - 77):
        for name_, part in (("q", b.idiv), ("r", b.imod)):
            made = buffer(f"{name_}{divisor}", "int64", (100,), "out")
            buffers.append(made)
            stores.append((made, (b.axis(axis),), part(place, b.index(divisor))))
    kernel = Kernel("places", tuple(buffers), nest(b, [axis], stores))
    arrays = [np.zeros(100, "int64") for _ in buffers]
    agree(Made(kernel, arrays, list(range(len(buffers)))), target(name))
