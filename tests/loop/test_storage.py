"""Formats that exist in memory only: every bit pattern, both ways, like ml_dtypes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_kernels import buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import STORAGE, Axis, Kernel
from fornax.compiler.loop.meaning import numpy_dtype
from fornax.compiler.loop.schedule import nest

FLOATS = [d for d in STORAGE if "float" in d]
TARGETS = ["avx2", "sse2"]


def converter(source: str, to: str, count: int) -> Kernel:
    b = Builder()
    x, y = buffer("x", source, (count,)), buffer("y", to, (count,), "out")
    i = Axis(count)
    return Kernel("convert", (x, y), nest(b, [i], [(y, (b.axis(i),), b.load(x, (b.axis(i),)))]))


def convert(array: np.ndarray, to: str, name: str) -> np.ndarray:
    result = np.zeros(array.shape, numpy_dtype(to))
    compiled = cpu.compile_kernel(converter(array.dtype.name, to, array.size), find(name))
    cpu.run(compiled, [array, result])
    return result


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_widening_every_pattern(dtype, name):
    bits = numpy_dtype(dtype).itemsize * 8
    patterns = np.arange(1 << bits, dtype=f"u{bits // 8}").view(numpy_dtype(dtype))
    found = convert(patterns, "float32", name)
    np.testing.assert_array_equal(found, patterns.astype(np.float32))
    numbers = ~np.isnan(found)
    np.testing.assert_array_equal(
        np.signbit(found[numbers]), np.signbit(patterns.astype(np.float32)[numbers])
    )


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_narrowing_rounds_to_even(dtype, name):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1 << 32, 40_000, dtype=np.uint32).view(np.float32)
    scaled = (rng.standard_normal(20_000) * 10.0 ** rng.integers(-9, 6, 20_000)).astype("f4")
    patterns = np.arange(1 << 8 * numpy_dtype(dtype).itemsize, dtype=np.uint32)
    kept = patterns.astype(f"u{numpy_dtype(dtype).itemsize}").view(numpy_dtype(dtype))
    exact = kept.astype(np.float32)
    with np.errstate(all="ignore"):
        ties = (exact[:-1] + exact[1:]) / 2
        values = np.concatenate([values, scaled, exact, ties, np.nextafter(ties, np.inf)])
        expected = values.astype(numpy_dtype(dtype))
    found = convert(values.astype(np.float32), dtype, name)
    same = found.astype("f8") == expected.astype("f8")
    both_nan = np.isnan(found.astype("f8")) & np.isnan(expected.astype("f8"))
    assert (same | both_nan).all(), values[~(same | both_nan)][:5]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("to", ["float32", "stored"])
def test_rounding_in_between(dtype, to, name):
    """A value rounded to a format and made wide again is so in one place, or where it is stored."""
    patterns = np.arange(0, 1 << 32, 99_991, dtype=np.uint64).astype(np.uint32)
    values = patterns.view(np.float32)
    b, to = Builder(), dtype if to == "stored" else to
    x, y = buffer("x", "float32", values.shape), buffer("y", to, values.shape, "out")
    i = Axis(values.size)
    index = (b.axis(i),)
    rounded = b.op("cast", b.op("cast", b.load(x, index), dtype=dtype), dtype="float32")
    kernel = Kernel("rounded", (x, y), nest(b, [i], [(y, index, rounded)]))
    found = np.zeros(values.shape, numpy_dtype(to))
    cpu.run(cpu.compile_kernel(kernel, find(name)), [values, found])
    with np.errstate(all="ignore"):
        expected = values.astype(numpy_dtype(dtype))
    np.testing.assert_array_equal(found.astype("f4"), expected.astype("f4"))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", ["int4", "uint4"])
def test_four_bits(dtype, name):
    values = np.arange(-8 if dtype == "int4" else 0, 8 if dtype == "int4" else 16)
    wide = STORAGE[dtype]
    narrow = values.astype(np.int8).astype(numpy_dtype(dtype))
    np.testing.assert_array_equal(convert(narrow, wide, name), values)
    found = convert(values.astype(wide), dtype, name)
    np.testing.assert_array_equal(found.astype(np.int8), values)


def test_half_without_hardware():
    target = replace(find("avx2"), half=False)
    patterns = np.arange(1 << 16, dtype="u2").view(np.float16)
    result = np.zeros(patterns.shape, np.float32)
    cpu.run(
        cpu.compile_kernel(converter("float16", "float32", 1 << 16), target), [patterns, result]
    )
    np.testing.assert_array_equal(result, patterns.astype(np.float32))
