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
from fornax.scalars.formats import FORMATS, POWERS, UPPER_HALF

FLOATS = [d for d in STORAGE if "float" in d]
INTEGERS = [d for d in STORAGE if "float" not in d]
TARGETS = ["avx2", "sse2", *(["avx512"] if find().name == "avx512" else [])]


def converter(source: str, to: str, count: int) -> Kernel:
    b = Builder()
    x, y = buffer("x", source, (count,)), buffer("y", to, (count,), "out")
    i = Axis(count)
    value = b.cast(b.load(x, (b.axis(i),)), to)
    return Kernel("convert", (x, y), nest(b, [i], [(y, (b.axis(i),), value)]))


def every(dtype: str) -> np.ndarray:
    """All elements of a format, in the order of their bits."""
    row = FORMATS[dtype]
    return np.arange(1 << row.bits, dtype=row.raw).view(row.dtype)


def nearest(values: np.ndarray, dtype: str) -> np.ndarray:
    """What ml_dtypes rounds to, but -0 for every NaN in formats that have none, as in jax."""
    with np.errstate(all="ignore"):
        found = values.astype(numpy_dtype(dtype))
        if np.isnan(np.float32("nan").astype(found.dtype).astype("f4")):
            return found
        return np.where(np.isnan(values), np.float32(-0.0).astype(found.dtype), found)


def same_bits(found: np.ndarray, expected: np.ndarray, values: np.ndarray) -> None:
    """Bit for bit, but for the sign and payload of NaN."""
    raw = f"u{found.dtype.itemsize}"
    bad = found.view(raw) != expected.view(raw)
    with np.errstate(all="ignore"):  # of NaNs that signal
        bad &= ~(np.isnan(found.astype("f4")) & np.isnan(expected.astype("f4")))
    assert not bad.any(), (values[bad][:5], found[bad][:5], expected[bad][:5])


def convert(array: np.ndarray, to: str, name: str) -> np.ndarray:
    result = np.zeros(array.shape, numpy_dtype(to))
    compiled = cpu.compile_kernel(converter(array.dtype.name, to, array.size), find(name))
    cpu.run(compiled, [array, result])
    return result


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_widening_every_pattern(dtype, name):
    patterns = every(dtype)
    for wide in ("float32", "float64"):
        with np.errstate(all="ignore"):  # of NaNs that signal
            expected = patterns.astype(wide)
        same_bits(convert(patterns, wide, name), expected, patterns)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_narrowing_rounds_to_even(dtype, name):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1 << 32, 40_000, dtype=np.uint32).view(np.float32)
    scaled = (rng.standard_normal(20_000) * 10.0 ** rng.integers(-9, 6, 20_000)).astype("f4")
    exact = every(dtype).astype(np.float32)
    with np.errstate(all="ignore"):
        ties = (exact[:-1] + exact[1:]) / 2
        near = [np.nextafter(ties, np.float32(end)) for end in (-np.inf, np.inf)]
    values = np.concatenate([values, scaled, exact, ties, *near, ENDS]).astype(np.float32)
    same_bits(convert(values, dtype, name), nearest(values, dtype), values)


ENDS = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 7e-39, 3e38], "f4")


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("source", ["float16", "bfloat16", "int8", "uint8", "int32"])
def test_narrowing_from_other_dtypes(dtype, source, name):
    if source in FORMATS:
        values = every(source)
    elif source == "int32":
        values = np.arange(-70_000, 70_000, dtype=np.int32)
    else:
        values = np.arange(256, dtype=np.uint8).view(source)
    with np.errstate(all="ignore"):  # of NaNs that signal
        wide = values.astype("f4")
    same_bits(convert(values, dtype, name), nearest(wide, dtype), values)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", [d for d in FLOATS if FORMATS[d].special != UPPER_HALF])
def test_float64_is_rounded_once(dtype, name):
    """Numbers that float32 would round to the middle between two neighbours."""
    exact = np.unique(np.abs(every(dtype).astype(np.float64)))
    exact = exact[np.isfinite(exact)]
    low, high = exact[:-1], exact[1:]
    middle = (low + high) / 2
    if FORMATS[dtype].special == POWERS:  # these lie so that float32 may flush the least of them
        low, high, middle = low[1:], high[1:], middle[1:]
    for values, expected in ((np.nextafter(middle, -np.inf), low),
                             (np.nextafter(middle, np.inf), high)):  # fmt: skip
        same_bits(convert(values, dtype, name), nearest(expected, dtype), values)
        same_bits(convert(-values, dtype, name), nearest(-expected, dtype), -values)
    same_bits(convert(middle, dtype, name), nearest(middle, dtype), middle)
    ends = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-30, -1.0, 1.0])
    same_bits(convert(ends, dtype, name), nearest(ends, dtype), ends)


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
    np.testing.assert_array_equal(found.astype("f4"), nearest(values, dtype).astype("f4"))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("function", [None, "tanh", "exp", "log", "erf", "select", "cast"])
def test_nan_stays_where_values_are_rounded_in_between(function, name):
    """Every bfloat16, so every NaN of one, through arithmetic that is rounded after each step."""
    values = every("bfloat16")
    b = Builder()
    x, y = buffer("x", "bfloat16", values.shape), buffer("y", "bfloat16", values.shape, "out")
    i = Axis(values.size)
    index = (b.axis(i),)

    def rounded(value):
        return b.cast(b.cast(value, "bfloat16"), "float32")

    loaded = b.load(x, index)
    if function == "select":
        middle = b.select(b.gt(loaded, b.const(1.0, "float32")), b.neg(loaded), loaded)
    elif function == "cast":  # a NaN of float16 has more digits
        middle = b.cast(b.cast(loaded, "float16"), "float32")
    else:
        middle = loaded if function is None else b.op(function, loaded)
    middle = rounded(middle)
    total = rounded(b.add(rounded(b.mul(middle, loaded)), loaded))
    kernel = Kernel("steps", (x, y), nest(b, [i], [(y, index, total)]))
    found = np.zeros(values.shape, values.dtype)
    cpu.run(cpu.compile_kernel(kernel, find(name)), [values, found])
    if function in (None, "select"):
        with np.errstate(all="ignore"):
            wide = values.astype("f4")
            middle = -wide if function else wide
            middle = np.where(wide > 1, middle, wide).astype(values.dtype).astype("f4")
            product = (middle * wide).astype(values.dtype).astype("f4")
            expected = (product + wide).astype(values.dtype)
        same_bits(found, expected, values)
    nan, stays = (v.view("u2") & 0x7FFF > 0x7F80 for v in (values, found))
    assert stays[nan].all()


#: what gives a bfloat16 of bfloat16s, or does not, and what it is in NumPy
STEPS = {
    "twice": (lambda b, x: b.mul(x, b.const(2.0, "float32")), lambda x: x * np.float32(2)),
    "half": (lambda b, x: b.mul(x, b.const(0.5, "float32")), lambda x: x * np.float32(0.5)),
    "thrice": (lambda b, x: b.mul(b.const(3.0, "float32"), x), lambda x: x * np.float32(3)),
    "negative": (lambda b, x: b.neg(b.abs(x)), lambda x: -abs(x)),
    "sign": (lambda b, x: b.copysign(b.const(1.5, "float32"), x), lambda x: np.copysign(1.5, x)),
    "at least": (lambda b, x: b.max(x, b.const(1.5, "float32")), lambda x: np.maximum(x, 1.5)),
    "not short": (
        lambda b, x: b.select(b.gt(x, b.const(0.0, "float32")), b.const(1.001, "float32"), x),
        lambda x: np.where(x > 0, np.float32(1.001), x),
    ),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("step", STEPS)
def test_what_is_a_bfloat16_already_is_rounded_to_itself(step, name):
    """Every bfloat16, where it is stored and where it is used again."""
    values = every("bfloat16")
    b = Builder()
    x, y = buffer("x", "bfloat16", values.shape), buffer("y", "bfloat16", values.shape, "out")
    z = buffer("z", "float32", values.shape, "out")
    i = Axis(values.size)
    index = (b.axis(i),)
    build, meaning = STEPS[step]
    value = build(b, b.load(x, index))
    wide = b.cast(b.cast(value, "bfloat16"), "float32")
    kernel = Kernel("steps", (x, y, z), nest(b, [i], [(y, index, value), (z, index, wide)]))
    found, again = np.zeros(values.shape, values.dtype), np.zeros(values.shape, np.float32)
    cpu.run(cpu.compile_kernel(kernel, find(name)), [values, found, again])
    with np.errstate(all="ignore"):
        expected = meaning(values.astype("f4")).astype("f4").astype(values.dtype)
        same_bits(found, expected, values)
        same_bits(again, expected.astype("f4"), values)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_few_bits(dtype, name):
    row, wide = FORMATS[dtype], STORAGE[dtype]
    low, high = row.limits
    numbers = np.roll(np.arange(low, high + 1), low)  # in the order of their bits
    np.testing.assert_array_equal(convert(every(dtype), wide, name), numbers)
    upper = np.arange(256, dtype=np.uint8)  # bits above those of the number mean nothing
    again = numbers[upper & ((1 << row.bits) - 1)]
    np.testing.assert_array_equal(convert(upper.view(row.dtype), wide, name), again)
    wrapped = convert(upper.view(wide), dtype, name)
    np.testing.assert_array_equal(wrapped.astype(np.int8), again)
    np.testing.assert_array_equal(wrapped.view("u1"), upper & ((1 << row.bits) - 1))


def test_half_without_hardware():
    target = replace(find("avx2"), half=False)
    patterns = np.arange(1 << 16, dtype="u2").view(np.float16)
    result = np.zeros(patterns.shape, np.float32)
    cpu.run(
        cpu.compile_kernel(converter("float16", "float32", 1 << 16), target), [patterns, result]
    )
    np.testing.assert_array_equal(result, patterns.astype(np.float32))
