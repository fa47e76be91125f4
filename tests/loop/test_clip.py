"""Reductions over what is padded with their neutral element end where the padding begins."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.compiler.loop.builder import Builder, identity
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import Axis, Expr, For, Kernel
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify

KINDS = [
    (combiner, dtype)
    for combiner in ("max", "min", "argmax", "argmin", "add")
    for dtype in ("float32", "int32", "uint8")
] + [("and", "bool"), ("or", "bool"), ("or", "int32")]


def parts(combiner: str, dtype: str, size: int, count: int, length: int, before: int = 0) -> Kernel:
    """The reductions of `count` parts of an array, with padding before and after it."""
    b = Builder()
    x = buffer("x", dtype, (size,))
    y = buffer("y", "int64" if combiner.startswith("arg") else dtype, (count,), "out")
    part, step = Axis(count), Axis(length)
    place = b.add(b.mul(b.axis(part), b.index(length)), b.axis(step))
    place = b.sub(place, b.index(before))
    inside = b.within(place, 0, size) if before else b.lt(place, b.index(size))
    value = b.load(x, [b.clamp_index(place, 0, size - 1)])
    value = b.select(inside, value, b.const(identity(combiner, dtype), dtype))
    if combiner.startswith("arg"):
        result = b.reduce_component(combiner, [step], 1, value, b.axis(step))
    else:
        result = b.reduce(combiner, [step], value)
    return Kernel("parts", (x, y), nest(b, [part], [(y, (b.axis(part),), result)]))


def is_clipped(kernel: Kernel) -> bool:
    loops = [s for s in walk(simplify(kernel).body) if isinstance(s, For)]
    return any(isinstance(loop.axis.extent, Expr) for loop in loops)


@pytest.mark.parametrize("size,count,length", [(301, 5, 100), (64, 1, 64)])
@pytest.mark.parametrize("combiner,dtype", KINDS)
def test_parts_of_padded_arrays(combiner, dtype, size, count, length):
    """The last parts are short, or empty."""
    kernel = parts(combiner, dtype, size, count, length)
    in_any_order = combiner != "add" or dtype != "float32"
    assert is_clipped(kernel) == (in_any_order and size < count * length)
    x = data(dtype, (size,), 3, whole=combiner == "add")
    if dtype == "float32" and combiner != "add":
        x[[7, 11]] = np.nan, -np.inf
        if combiner == "argmax":
            x[100:200] = -np.inf
    agree(Made(kernel, [x, np.zeros(count, kernel.buffers[1].dtype)], [1]), target("native"))


@pytest.mark.parametrize(
    "combiner,dtype", [("max", "float32"), ("argmin", "int32"), ("or", "bool")]
)
@pytest.mark.parametrize("name", ["native", "avx2", "sse2"])
def test_padding_on_both_sides(name, combiner, dtype):
    kernel = parts(combiner, dtype, 950, 10, 100, before=13)
    assert is_clipped(kernel)
    x, y = data(dtype, (950,), 4), np.zeros(10, kernel.buffers[1].dtype)
    agree(Made(kernel, [x, y], [1]), target(name))


def rows(size: int, count: int, length: int, columns: int) -> Kernel:
    """The sums of `count` parts of the rows of a matrix times a vector."""
    b = Builder()
    x, v = buffer("x", "float32", (size, columns)), buffer("v", "float32", (columns,))
    y = buffer("y", "float32", (count,), "out")
    part, row, column = Axis(count), Axis(length), Axis(columns)
    place = b.add(b.mul(b.axis(part), b.index(length)), b.axis(row))
    value = b.load(x, [b.clamp_index(place, 0, size - 1), b.axis(column)])
    value = b.mul(value, b.load(v, [b.axis(column)]))
    value = b.select(b.lt(place, b.index(size)), value, b.const(0.0, "float32"))
    total = b.reduce("add", [row, column], value)
    return Kernel("rows", (x, v, y), nest(b, [part], [(y, (b.axis(part),), total)]))


@pytest.mark.parametrize("size,count,length,columns", [(37, 5, 8, 40), (60, 5, 30, 17)])
@pytest.mark.parametrize("name", ["native", "sse2"])
def test_sums_of_rows_end_with_the_rows(name, size, count, length, columns):
    kernel = rows(size, count, length, columns)
    assert is_clipped(kernel)
    x, v = (data("float32", s, 5, whole=True) for s in ((size, columns), (columns,)))
    agree(Made(kernel, [x, v, np.zeros(count, np.float32)], [2]), target(name))


@pytest.mark.parametrize("size", [3 * 20000 + 7, 5 * 20000 - 4000])
def test_what_is_left_of_sums_after_whole_blocks_ends_as_well(size):
    kernel = parts("add", "float32", size, 5, 20000)
    ready = cpu.prepare(kernel, find("native"))
    loops = [s for s in walk(ready.body) if isinstance(s, For)]
    assert any(isinstance(loop.axis.extent, Expr) for loop in loops)
    x = data("float32", (size,), 6, whole=True)
    agree(Made(kernel, [x, np.zeros(5, np.float32)], [1]), target("native"))


def test_what_is_not_neutral_is_combined():
    """Padding of zeros is less than some elements and more than others."""
    b = Builder()
    x, y = buffer("x", "float32", (90,)), buffer("y", "float32", (1,), "out")
    step = Axis(100)
    inside = b.lt(b.axis(step), b.index(90))
    value = b.load(x, [b.clamp_index(b.axis(step), 0, 89)])
    value = b.reduce("max", [step], b.select(inside, value, b.const(0.0, "float32")))
    kernel = Kernel("zeros", (x, y), nest(b, [], [(y, (b.index(0),), value)]))
    assert not is_clipped(kernel)
    arrays = [-np.ones(90, np.float32), np.ones(1, np.float32)]
    interpret(simplify(kernel), arrays)
    assert arrays[1][0] == 0


def test_short_loops_keep_their_masks():
    assert not is_clipped(parts("max", "float32", 100, 4, 30))
    assert is_clipped(parts("max", "float32", 300, 4, 80))
