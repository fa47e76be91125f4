"""Which loops may be shared by threads: a claim of independence is checked address by address."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_kernels import buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Buffer, Expr, For, Kernel, Store, row_major
from fornax.compiler.loop.parallelize import distinct, parallelize
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.loop.vectorize import vectorize

axes_and_steps = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, -1, -4])),
    min_size=1,
    max_size=4,
)


def addresses(extents, steps, which):
    """For each value of loop `which` the elements that its iterations store to."""
    found: dict[int, set[int]] = {}
    for values in product(*map(range, extents)):
        place = sum(s * v for s, v in zip(steps, values, strict=True))
        found.setdefault(values[which], set()).add(place)
    return list(found.values())


@settings(max_examples=400, deadline=None)
@given(axes_and_steps, st.data())
def test_iterations_said_to_be_distinct_are(described, data):
    b = Builder()
    extents, steps = zip(*described, strict=True)
    axes = [Axis(n, f"i{k}") for k, n in enumerate(extents)]
    which = data.draw(st.integers(0, len(axes) - 1))
    offset = b.index(0)
    for axis, step in zip(axes, steps, strict=True):
        if axis.extent > 1:
            offset = b.add(offset, b.mul(b.axis(axis), b.index(step)))
    said = distinct(offset, For(axes[which], ()), set(axes) - {axes[which]})
    places = addresses(extents, steps, which)
    really = sum(map(len, places)) == len(set().union(*places))
    assert really or not said


def blocked(extent: int, size: int, pitch: int) -> tuple[For, Expr, set[Axis]]:
    """A loop over blocks of columns around one over rows: each stores to rows * pitch + column."""
    b = Builder()
    blocks = Axis(-(-extent // size), "block")
    first = b.mul(b.axis(blocks), b.index(size))
    left = b.min(b.sub(b.index(extent), first), b.index(size))
    column = Axis(left.data if left.kind == "const" else left, "column")
    row = Axis(5, "row")
    offset = b.add(b.mul(b.axis(row), b.index(pitch)), b.add(first, b.axis(column)))
    buffer = Buffer("out", "float32", (pitch * 5,), row_major((pitch * 5,)), "out")
    store = Store(buffer, (offset,), b.const(0.0, "float32"))
    return For(blocks, (For(row, (For(column, (store,)),)),)), offset, {row, column}


def test_blocks_of_columns_do_not_meet():
    for extent, size in ((20, 8), (24, 8), (7, 3)):
        loop, offset, inside = blocked(extent, size, extent)
        assert distinct(offset, loop, inside)


def test_blocks_that_reach_into_the_next_row_meet():
    loop, offset, inside = blocked(20, 8, 16)
    assert not distinct(offset, loop, inside)


def test_what_is_computed_before_the_loop_is_computed_by_each_thread():
    b, rows, columns, values = Builder(), Axis(3000, "row"), Axis(100, "column"), Axis(200, "value")
    x, y = buffer("x", "float32", (3000, 100)), buffer("y", "float32", (3000, 100), "out")
    v = buffer("v", "float32", (200,))
    total = b.reduce("add", [values], b.load(v, (b.axis(values),)))
    index = (b.axis(rows), b.axis(columns))
    stores = [(y, index, b.op("tanh", b.mul(b.load(x, index), total)))]
    made = Kernel("before", (x, v, y), nest(b, [rows, columns], stores))
    ready = parallelize(vectorize(simplify(made), find()), find())
    assert [s.kind for s in ready.body if isinstance(s, For)] == ["vector", "parallel"]
    assert ready.extent > ready.grain
    rng = np.random.default_rng(0)
    data, weights = (rng.normal(size=n).astype(np.float32) for n in ((3000, 100), 200))
    found = np.zeros_like(data)
    compiled = cpu.compile_kernel(made)
    for begin, end in ((0, 0), (0, 7), (7, ready.extent)):
        cpu.run(compiled, [data, weights, found], begin, end)
    np.testing.assert_allclose(found, np.tanh(data * weights.sum()), rtol=1e-5)


def test_what_costs_more_than_the_loop_is_computed_once():
    b, rows, values = Builder(), Axis(1 << 16, "row"), Axis(1 << 20, "value")
    v, y = buffer("v", "float32", (1 << 20,)), buffer("y", "float32", (1 << 16,), "out")
    total = b.reduce("add", [values], b.load(v, (b.axis(values),)))
    made = Kernel("before", (v, y), nest(b, [rows], [(y, (b.axis(rows),), total)]))
    ready = parallelize(vectorize(simplify(made), find()), find())
    assert ready.extent == 1
