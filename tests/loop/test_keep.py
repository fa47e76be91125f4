"""What neighbouring loops have in common is computed once, where that is right and pays."""

from __future__ import annotations

import numpy as np
import pytest
from random_kernels import buffer, data

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.check import check
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import Alloc, Axis, Carried, Carry, For, Kernel, Store
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify


def exponentials(rows: int, columns: int, along: int = 1) -> Kernel:
    """exp(x), divided by its sum over dimension `along`."""
    b = Builder()
    shape = (rows, columns)
    x, y = buffer("x", "float32", shape), buffer("y", "float32", shape, "out")
    i, j, k = Axis(rows), Axis(columns), Axis(shape[along])
    inner = (b.axis(i), b.axis(k)) if along == 1 else (b.axis(k), b.axis(j))
    total = b.reduce("add", [k], b.exp(b.load(x, inner)))
    index = (b.axis(i), b.axis(j))
    value = b.div(b.exp(b.load(x, index)), total)
    return Kernel("exponentials", (x, y), nest(b, [i, j], [(y, index, value)]))


def quotients(rows: int, columns: int, again: bool = True) -> Kernel:
    """exp(x) by its sum, less the mean of that, and with `again` plus exp(x): read by three loops
    over a row, two keep."""
    b = Builder()
    shape = (rows, columns)
    x, y = buffer("x", "float32", shape), buffer("y", "float32", shape, "out")
    i, j, k, m = Axis(rows), Axis(columns), Axis(columns), Axis(columns)

    def element(axis):
        return b.exp(b.load(x, (b.axis(i), b.axis(axis))))

    total = b.reduce("add", [k], element(k))

    def share(axis):
        return b.mul(b.div(element(axis), total), b.div(element(axis), b.const(3.5, "float32")))

    sums = b.reduce("add", [m], share(m))
    value = b.sub(b.add(share(j), element(j)) if again else share(j), sums)
    index = (b.axis(i), b.axis(j))
    return Kernel("quotients", (x, y), nest(b, [i, j], [(y, index, value)]))


def overwritten(length: int) -> Kernel:
    """The sum of exp(x) while x becomes its double, then exp of what x is by then."""
    b = Builder()
    x, y = buffer("x", "float32", (length,), "inout"), buffer("y", "float32", (length,), "out")
    i, j = Axis(length), Axis(length)
    first, second = b.load(x, [b.axis(i)]), b.load(x, [b.axis(j)])
    doubled = Store(x, (b.axis(i),), b.mul(b.exp(first), b.const(2, "float32")))
    return Kernel(
        "overwritten",
        (x, y),
        (For(i, (doubled,)), For(j, (Store(y, (b.axis(j),), b.exp(second)),))),
    )


def kept(kernel: Kernel) -> int:
    return sum(isinstance(s, Alloc) for s in walk(simplify(kernel).body))


@pytest.mark.parametrize("rows,columns", [(1, 64), (3, 70), (5, 1000)])
def test_rows_are_kept(rows, columns):
    kernel = exponentials(rows, columns)
    assert kept(kernel) == 1
    x = data("float32", (rows, columns), 1, whole=True)
    expected = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    for run in (kernel, check(simplify(kernel))):
        arrays = [x.copy(), np.zeros_like(x)]
        interpret(run, arrays)
        np.testing.assert_allclose(arrays[1], expected, rtol=1e-5)
    for name in ("sse2", "native"):
        compiled = cpu.compile_kernel(kernel, find(name))
        arrays = [x.copy(), np.zeros_like(x)]
        cpu.run(compiled, arrays)
        np.testing.assert_allclose(arrays[1], expected, rtol=1e-5)


@pytest.mark.parametrize("again", [True, False])
def test_what_several_loops_have_in_common_is_kept_once(again):
    kernel = quotients(3, 100, again)
    assert kept(kernel) == 1 + again  # in place of what nobody reads any more
    x = data("float32", (3, 100), 1, whole=True)
    e = np.exp(x)
    share = e / e.sum(1, keepdims=True) * (e / 3.5)
    expected = share + again * e - share.sum(1, keepdims=True)
    arrays = [x.copy(), np.zeros_like(x)]
    interpret(check(simplify(kernel)), arrays)
    np.testing.assert_allclose(arrays[1], expected, rtol=1e-4, atol=1e-5)
    for name in ("sse2", "native"):
        arrays = [x.copy(), np.zeros_like(x)]
        cpu.run(cpu.compile_kernel(kernel, find(name)), arrays)
        np.testing.assert_allclose(arrays[1], expected, rtol=1e-4, atol=1e-5)


def test_what_does_not_pay_is_computed_again():
    assert kept(exponentials(300, 10)) == 0  # short rows run in lanes over the rows
    assert kept(exponentials(100, 100, along=0)) == 0  # columns are far apart in memory
    assert kept(exponentials(2, 1 << 15)) == 0  # a row does not fit the first caches


def test_what_changes_in_between_is_computed_again():
    kernel = overwritten(100)
    assert kept(kernel) == 0
    x = np.linspace(-1, 1, 100, dtype=np.float32)
    arrays = [x.copy(), np.zeros_like(x)]
    interpret(simplify(kernel), arrays)
    np.testing.assert_allclose(arrays[1], np.exp(2 * np.exp(x)), rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 33])
def test_a_sum_is_taken_before_what_it_reads_is_overwritten(length):
    b = Builder()
    x, y = buffer("x", "float32", (length,), "inout"), buffer("y", "float32", (1,), "out")
    i, j = Axis(length), Axis(length)
    total, sum_of = Carry("float32", "total"), b.load(x, [b.axis(i)])
    carried = Carried(total, b.const(1, "float32"), b.add(b.carry(total), sum_of), "add")
    kernel = Kernel(
        "late",
        (x, y),
        (
            For(i, (), (carried,)),
            For(j, (Store(x, (b.axis(j),), b.const(7, "float32")),)),
            Store(y, (b.index(0),), b.final(total)),
        ),
    )
    for run in (kernel, check(simplify(kernel))):
        arrays = [np.arange(3, length + 3, dtype=np.float32), np.zeros(1, np.float32)]
        expected = arrays[0].sum() + 1
        interpret(run, arrays)
        assert arrays[1][0] == expected
    compiled = cpu.compile_kernel(kernel, find("native"))
    arrays = [np.arange(3, length + 3, dtype=np.float32), np.zeros(1, np.float32)]
    cpu.run(compiled, arrays)
    assert arrays[1][0] == expected
