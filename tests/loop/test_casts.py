"""Floats become integers by saturation, NaN becomes 0, in whole vectors and one by one."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, For, Kernel, Store
from fornax.compiler.loop.meaning import numpy_dtype

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def edges(dtype: str) -> np.ndarray:
    """Numbers around every limit, and every number of 16 bits."""
    kind = numpy_dtype(dtype)
    if kind.itemsize == 2:
        infinite = np.array(np.inf, kind).view(np.uint16)
        bits = np.arange(1 << 16, dtype=np.uint16)
        numbers = bits[(bits & 0x7FFF) <= infinite]
        return np.append(numbers.view(kind), np.array(np.nan, kind))
    found = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-40, 0.999, -0.999, 1.5, -1.5, 1e30, -1e30]
    for bits in (7, 8, 15, 16, 31, 32, 63, 64):
        limit = kind.type(2.0**bits)
        near = [limit, np.nextafter(limit, kind.type(0)), np.nextafter(limit, kind.type(np.inf))]
        near += [limit - 1, limit + 1, limit - kind.type(0.5), limit + kind.type(0.5)]
        found += [*near, *(-n for n in near)]
    return np.array(found, kind)


@pytest.mark.parametrize("source", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", ["native", "avx2", "sse2"])
def test_floats_as_integers(name, source):
    values = edges(source)
    b = Builder()
    x = buffer("x", source, values.shape)
    results = [buffer(f"to_{dtype}", dtype, values.shape, "out") for dtype in INTEGERS]
    body = []
    for result in results:
        axis = Axis(len(values))
        at = (b.axis(axis),)
        body.append(For(axis, (Store(result, at, b.cast(b.load(x, at), result.dtype)),)))
    kernel = Kernel("casts", (x, *results), tuple(body))
    arrays = [values, *(np.zeros(values.shape, dtype) for dtype in INTEGERS)]
    agree(Made(kernel, arrays, [*range(1, len(arrays))]), target(name))
