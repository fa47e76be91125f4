"""Reductions of columns walk along rows where that pays, and give the same."""

from __future__ import annotations

import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.backends.llvm.target import find
from fornax.compiler.loop import columns, vectorize
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Alloc, Axis, For, Kernel
from fornax.compiler.loop.meaning import numpy_dtype
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify


def deviations(rows: int, count: int, dtype: str = "float32") -> Made:
    """The largest of each column, the sum of squared distances from it, and those themselves."""
    b = Builder()
    x, y = buffer("x", dtype, (rows, count)), buffer("y", dtype, (count,), "out")
    z = buffer("z", dtype, (count,), "out")
    j, i, k = Axis(count), Axis(rows), Axis(rows)
    column = b.axis(j)
    largest = b.reduce("max", [i], b.load(x, (b.axis(i), column)))
    apart = b.sub(b.load(x, (b.axis(k), column)), largest)
    total = b.reduce("add", [k], b.mul(apart, apart))
    stores = [(y, (column,), largest), (z, (column,), total)]
    return made(Kernel("deviations", (x, y, z), nest(b, [j], stores)))


def extremes(rows: int, count: int, dtype: str = "float32") -> Made:
    """Where the largest and the smallest of each column are."""
    b = Builder()
    x = buffer("x", dtype, (rows, count))
    outs = [buffer(name, "int64", (count,), "out") for name in ("high", "low")]
    j, i = Axis(count), Axis(rows)
    value = b.load(x, (b.axis(i), b.axis(j)))
    stores = [
        (out, (b.axis(j),), b.reduce_component(combiner, [i], 1, value, b.axis(i)))
        for out, combiner in zip(outs, ("argmax", "argmin"), strict=True)
    ]
    return made(Kernel("extremes", (x, *outs), nest(b, [j], stores)))


def largest(rows: int, count: int) -> Made:
    """The largest of each column and where it is."""
    b = Builder()
    x, y = buffer("x", "float32", (rows, count)), buffer("y", "float32", (count,), "out")
    place = buffer("place", "int64", (count,), "out")
    j, i = Axis(count), Axis(rows)
    value = b.load(x, (b.axis(i), b.axis(j)))
    where = b.reduce_component("argmax", [i], 1, value, b.axis(i))
    stores = [(y, (b.axis(j),), b.reduce("max", [i], value)), (place, (b.axis(j),), where)]
    return made(Kernel("largest", (x, y, place), nest(b, [j], stores)))


def made(kernel: Kernel) -> Made:
    arrays = [
        data(k.dtype, k.shape, seed, whole=True).astype(numpy_dtype(k.dtype))
        for seed, k in enumerate(kernel.buffers)
    ]
    outputs = [k for k, b in enumerate(kernel.buffers) if b.role == "out"]
    return Made(kernel, arrays, outputs)


CASES = {
    "deviations": lambda: deviations(40, 256),
    "deviations, odd sizes": lambda: deviations(33, 203),
    "deviations of float64": lambda: deviations(20, 131, "float64"),
    "deviations of int16": lambda: deviations(20, 300, "int16"),
    "extremes": lambda: extremes(40, 256),
    "extremes, odd sizes": lambda: extremes(21, 199),
    "extremes of float64": lambda: extremes(21, 100, "float64"),
    "largest and places": lambda: largest(40, 256),
}


@pytest.fixture
def always(monkeypatch):
    """Small arrays are walked along, too, in several pieces."""
    monkeypatch.setattr(columns, "PIECE", 256)
    monkeypatch.setattr(columns, "FAR", 1)
    monkeypatch.setattr(columns, "MANY", 2)
    monkeypatch.setattr(columns, "LARGE", 0)
    monkeypatch.setattr(columns, "PIECES", 2)


def pieces(kernel: Kernel) -> int:
    ready = vectorize.vectorize(simplify(kernel), find("avx512"))
    return sum(isinstance(s, Alloc) for s in walk(ready.body))


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2", "wide"])
@pytest.mark.parametrize("case", CASES)
def test_values(name, case, always):
    agree(CASES[case](), target(name))


def sums(rows: int, count: int) -> Kernel:
    b = Builder()
    x, y = buffer("x", "float32", (rows, count)), buffer("y", "float32", (count,), "out")
    j, i = Axis(count), Axis(rows)
    total = b.reduce("add", [i], b.load(x, (b.axis(i), b.axis(j))))
    return Kernel("sums", (x, y), nest(b, [j], [(y, (b.axis(j),), total)]))


def test_results_lie_in_local_memory_where_arrays_are_large():
    assert pieces(extremes(4096, 4096).kernel) == 4
    assert pieces(largest(4096, 4096).kernel) == 2  # its place is found with the largest
    assert pieces(sums(4096, 4096)) == 1
    assert pieces(sums(1 << 16, 96)) == 0  # neighbouring rows are near
    assert pieces(sums(1 << 16, 80)) == 1  # but one register of sums would wait for itself
    assert pieces(largest(1 << 16, 80).kernel) == 2
    assert pieces(largest(1 << 16, 64).kernel) == 0
    assert pieces(sums(256, 1024)) == 0  # it stays in the caches


def test_several_rows_pass_at_once():
    ready = vectorize.vectorize(simplify(sums(4099, 4096)), find("avx512"))
    at_once = [s.axis.extent for s in walk(ready.body) if isinstance(s, For) and s.kind == "unroll"]
    assert at_once == [columns.ROWS, 4099 % columns.ROWS]
