"""Quotients by what a loop does not change are those that a division gives."""

from __future__ import annotations

import numpy as np
import pytest
from random_kernels import buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.quotients import shared_divisors
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.loop.vectorize import vectorize

FLOATS = {"float32": np.uint32, "float64": np.uint64}


def by_rows(dtype: str, rows: int, columns: int, inner: bool = False) -> Kernel:
    """x[i, j] / y[i], or y[i, j] with `inner`."""
    b = Builder()
    x = buffer("x", dtype, (rows, columns))
    y = buffer("y", dtype, (rows, columns) if inner else (rows,))
    z = buffer("z", dtype, (rows, columns), "out")
    i, j = Axis(rows), Axis(columns)
    index = (b.axis(i), b.axis(j))
    value = b.div(b.load(x, index), b.load(y, index if inner else index[:1]))
    return Kernel("quotients", (x, y, z), nest(b, [i, j], [(z, index, value)]))


def numbers(dtype: str, count: int, seed: int) -> np.ndarray:
    """Numbers of all exponents, and special ones."""
    bits = FLOATS[dtype]
    found = np.random.default_rng(seed).integers(0, np.iinfo(bits).max, count, bits, endpoint=True)
    found = found.view(dtype).copy()
    info = np.finfo(dtype)
    special = [0, -0.0, np.inf, -np.inf, np.nan, info.tiny, -info.tiny / 8, info.max, -info.max]
    special += [1, -3, info.tiny * 3, info.max / 3, 1 + info.eps, 2 - info.eps]
    found[: len(special)] = special
    return found


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["avx2", "native"])
def test_they_are_rounded_as_divisions_are(dtype, name):
    kernel = by_rows(dtype, 60, 1000)
    target = find(name)
    marked = vectorize(simplify(kernel), target)
    assert bool(shared_divisors(marked, target)) == target.fma
    x = numbers(dtype, 1000, 1)[None, :].repeat(60, 0)
    y = numbers(dtype, 60, 2)
    z = np.zeros_like(x)
    cpu.run(cpu.compile_kernel(kernel, target), [x, y, z])
    with np.errstate(all="ignore"):
        expected = x / y[:, None]
    bits = FLOATS[dtype]
    differs = (z.view(bits) != expected.view(bits)) & ~(np.isnan(z) & np.isnan(expected))
    apart = np.abs(z.view(bits).astype(np.int64) - expected.view(bits).astype(np.int64))
    overflows = np.isinf(z) & (np.abs(expected) == np.finfo(dtype).max)
    assert not np.any(differs & (apart > 1) & ~overflows)
    info = np.finfo(dtype)
    representable = np.abs(x) >= info.tiny * 2.0 ** (info.nmant + 3)
    assert not np.any(differs & representable & ~overflows)


def test_a_divisor_that_changes_is_divided_by():
    target = find("native")
    kernel = vectorize(simplify(by_rows("float32", 8, 1000, inner=True)), target)
    assert not shared_divisors(kernel, target)
    kernel = vectorize(simplify(by_rows("float32", 8, 1000)), find("sse2"))
    assert not shared_divisors(kernel, find("sse2"))
