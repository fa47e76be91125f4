"""Operands laid out for the lanes: values stay the same, and it happens where it pays."""

from __future__ import annotations

import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.backends.llvm.target import find
from fornax.compiler.loop import stage, vectorize
from fornax.compiler.loop.builder import Builder, compute_dtype
from fornax.compiler.loop.ir import Alloc, Axis, For, Kernel
from fornax.compiler.loop.meaning import numpy_dtype
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify


def pairs(rows: int, others: int, depth: int, dtype: str = "float32", turned: bool = False) -> Made:
    """The sum of squared differences of all rows of one matrix from all rows of another; with
    `turned` the first is read column by column."""
    b = Builder()
    x = buffer("x", dtype, (depth, rows) if turned else (rows, depth))
    y = buffer("y", dtype, (others, depth))
    z = buffer("z", compute_dtype(dtype), (rows, others), "out")
    i, j, k = Axis(rows), Axis(others), Axis(depth)
    first = (b.axis(k), b.axis(i)) if turned else (b.axis(i), b.axis(k))
    apart = b.sub(b.load(x, first, dtype), b.load(y, (b.axis(j), b.axis(k)), dtype))
    total = b.reduce("add", [k], b.mul(apart, apart))
    index = (b.axis(i), b.axis(j))
    return made(Kernel("pairs", (x, y, z), nest(b, [i, j], [(z, index, total)])))


def nearest(rows: int, others: int, depth: int, dtype: str = "float32") -> Made:
    """For every row of one matrix the smallest such sum, and the row of the other where it is."""
    b = Builder()
    x, y = buffer("x", dtype, (rows, depth)), buffer("y", dtype, (others, depth))
    z = buffer("z", compute_dtype(dtype), (rows,), "out")
    where = buffer("where", "int64", (rows,), "out")
    i, j, k = Axis(rows), Axis(others), Axis(depth)
    apart = b.sub(
        b.load(x, (b.axis(i), b.axis(k)), dtype), b.load(y, (b.axis(j), b.axis(k)), dtype)
    )
    total = b.reduce("add", [k], b.mul(apart, apart))
    found = [b.reduce_component("argmin", [j], n, total, b.axis(j)) for n in (0, 1)]
    stores = [(z, (b.axis(i),), found[0]), (where, (b.axis(i),), found[1])]
    return made(Kernel("nearest", (x, y, z, where), nest(b, [i], stores)))


def weighted(rows: int, others: int, depth: int) -> Made:
    """Two operands that are gathered, one with a small stride and one with two inner loops."""
    b = Builder()
    x, y = buffer("x", "float32", (rows, depth, 3)), buffer("y", "float32", (others, depth, 3))
    w, z = buffer("w", "float32", (rows, 2)), buffer("z", "float32", (rows,), "out")
    i, j, k, m = Axis(rows), Axis(others), Axis(depth), Axis(3)
    part = b.mul(
        b.load(x, (b.axis(i), b.axis(k), b.axis(m))), b.load(y, (b.axis(j), b.axis(k), b.axis(m)))
    )
    largest = b.reduce("max", [j], b.reduce("add", [k, m], part))
    value = b.mul(largest, b.load(w, (b.axis(i), b.index(1))))
    return made(Kernel("weighted", (x, y, w, z), nest(b, [i], [(z, (b.axis(i),), value)])))


def made(kernel: Kernel) -> Made:
    arrays = [
        data(k.dtype, k.shape, seed, whole=True).astype(numpy_dtype(k.dtype))
        for seed, k in enumerate(kernel.buffers)
    ]
    outputs = [k for k, b in enumerate(kernel.buffers) if b.role == "out"]
    return Made(kernel, arrays, outputs)


CASES = {
    "pairs": lambda: pairs(40, 64, 16),
    "pairs, odd sizes": lambda: pairs(37, 83, 19),
    "pairs of rows of three": lambda: pairs(64, 50, 9),
    "pairs of float64": lambda: pairs(33, 40, 12, "float64"),
    "pairs of bfloat16": lambda: pairs(33, 70, 16, "bfloat16"),
    "pairs of int8": lambda: pairs(40, 96, 20, "int8"),
    "pairs, one turned": lambda: pairs(48, 70, 16, turned=True),
    "nearest": lambda: nearest(64, 40, 16),
    "nearest, odd sizes": lambda: nearest(77, 41, 17),
    "nearest of bfloat16": lambda: nearest(70, 30, 16, "bfloat16"),
    "weighted": lambda: weighted(67, 30, 5),
}


@pytest.fixture
def always(monkeypatch):
    """Small nests are staged too."""
    monkeypatch.setattr(stage, "WORTH", 0)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2", "wide"])
@pytest.mark.parametrize("case", CASES)
def test_values(name, case, always):
    agree(CASES[case](), target(name))


def locals_of(kernel: Kernel) -> list[int]:
    """The sizes of the local buffers of a kernel after vectorization."""
    ready = vectorize.vectorize(simplify(kernel), find("avx512"))
    return [s.buffer.size for s in walk(ready.body) if isinstance(s, Alloc)]


def test_the_operand_of_the_lanes_is_laid_out():
    assert locals_of(pairs(2000, 2000, 16).kernel) == [16 * 128]
    assert locals_of(nearest(2000, 2000, 16).kernel) == [16 * 64]
    assert len(locals_of(weighted(2000, 2000, 7).kernel)) == 1


def test_nothing_is_laid_out_that_is_read_once_or_is_too_large():
    b = Builder()
    x, y = buffer("x", "float32", (4000, 500)), buffer("y", "float32", (4000,), "out")
    i, k = Axis(4000), Axis(500)
    total = b.reduce("add", [k], b.load(x, (b.axis(i), b.axis(k))))
    assert locals_of(Kernel("sums", (x, y), nest(b, [i], [(y, (b.axis(i),), total)]))) == []
    assert locals_of(pairs(200, 200, 4000).kernel) == []


@pytest.mark.parametrize("name", ["avx512", "avx2"])
@pytest.mark.parametrize("case", CASES)
def test_loops_have_axes_of_their_own(name, case, always):
    """Kernels are linked into others by rewriters that give every axis a new name."""
    ready = vectorize.vectorize(simplify(CASES[case]().kernel), target(name))
    axes = [s.axis for s in walk(ready.body) if isinstance(s, For)]
    assert len(set(axes)) == len(axes)
