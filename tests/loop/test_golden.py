"""What the passes make of typical kernels, as text."""

from __future__ import annotations

import pytest
from random_kernels import buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.backends.llvm.text import text
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.show import show


def elementwise():
    """[B, T, D] and a bias [D]: the outer two become one loop."""
    b = Builder()
    shape = (16, 32, 100)
    x, bias = buffer("x", "float32", shape), buffer("bias", "float32", shape[2:])
    y = buffer("y", "float32", shape, "out")
    axes = [Axis(n) for n in shape]
    index = [b.axis(a) for a in axes]
    value = b.mul(b.add(b.load(x, index), b.load(bias, index[2:])), b.const(2, "float32"))
    return Kernel("elementwise", (x, bias, y), nest(b, axes, [(y, index, value)]))


def softmax():
    """Equal reductions are one, and each row is read three times."""
    b = Builder()
    x, y = buffer("x", "float32", (8, 1000)), buffer("y", "float32", (8, 1000), "out")
    i, j, k, m, n = Axis(8), Axis(1000), Axis(1000), Axis(1000), Axis(1000)
    row = b.axis(i)
    largest = b.reduce("max", [k], b.load(x, (row, b.axis(k))))
    again = b.reduce("max", [m], b.load(x, (row, b.axis(m))))
    total = b.reduce("add", [n], b.exp(b.sub(b.load(x, (row, b.axis(n))), largest)))
    value = b.div(b.exp(b.sub(b.load(x, (row, b.axis(j))), again)), total)
    return Kernel("softmax", (x, y), nest(b, [i, j], [(y, (row, b.axis(j)), value)]))


def column_sums():
    """One result per lane."""
    b = Builder()
    x, y = buffer("x", "float32", (300, 1024)), buffer("y", "float32", (1024,), "out")
    j, k = Axis(1024), Axis(300)
    total = b.reduce("add", [k], b.load(x, (b.axis(k), b.axis(j))))
    return Kernel("columns", (x, y), nest(b, [j], [(y, (b.axis(j),), total)]))


def full_sum():
    """All axes become one, partial results per lane."""
    b = Builder()
    x, y = buffer("x", "float32", (30, 40, 50)), buffer("y", "float32", (), "out")
    axes = [Axis(n) for n in x.shape]
    total = b.reduce("add", axes, b.load(x, [b.axis(a) for a in axes]))
    return Kernel("sum", (x, y), nest(b, [], [(y, (), total)]))


def transpose():
    """Blocks go through local memory."""
    b = Builder()
    x, y = buffer("x", "float32", (256, 128)), buffer("y", "float32", (128, 256), "out")
    i, j = Axis(128), Axis(256)
    value = b.load(x, (b.axis(j), b.axis(i)))
    return Kernel("transpose", (x, y), nest(b, [i, j], [(y, (b.axis(i), b.axis(j)), value)]))


def reshape():
    """The divisions of two reshapes cancel."""
    b = Builder()
    x, y = buffer("x", "float32", (6, 20)), buffer("y", "float32", (4, 30), "out")
    i, j = Axis(4), Axis(30)
    flat = b.add(b.mul(b.axis(i), b.index(30)), b.axis(j))
    value = b.neg(b.load(x, (b.idiv(flat, b.index(20)), b.imod(flat, b.index(20)))))
    return Kernel("reshape", (x, y), nest(b, [i, j], [(y, (b.axis(i), b.axis(j)), value)]))


def argmax():
    """Two carries and masks."""
    b = Builder()
    x, y = buffer("x", "float32", (9, 256)), buffer("y", "int32", (9,), "out")
    i, k = Axis(9), Axis(256)
    place = b.cast(b.axis(k), "int32")
    found = b.reduce_component("argmax", [k], 1, b.load(x, (b.axis(i), b.axis(k))), place)
    return Kernel("argmax", (x, y), nest(b, [i], [(y, (b.axis(i),), found)]))


KERNELS = [elementwise, softmax, column_sums, full_sum, transpose, reshape, argmax]


@pytest.mark.parametrize("make", KERNELS, ids=lambda make: make.__name__)
def test_passes(make, golden):
    stages: dict[str, str] = {}
    kernel = make()
    cpu.prepare(kernel, find("avx2"), stages)
    stages = {"kernel": show(kernel), **stages}
    del stages["legalize"]  # mostly polynomials
    golden(f"{make.__name__}.txt", "\n".join(f"# {k}\n{v}" for k, v in stages.items()))


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
def test_llvm_text(name, golden):
    target = find(name)
    golden(f"elementwise.{name}.ll", text(cpu.prepare(elementwise(), target), target))


def test_text_does_not_depend_on_names_or_order_of_creation():
    first, second = softmax(), softmax()
    assert show(first) == show(second)
    assert cpu.key(first, find("avx2")) == cpu.key(second, find("avx2"))
    assert cpu.key(first, find("avx2")) != cpu.key(first, find("sse2"))
