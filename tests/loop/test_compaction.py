"""Loops that write chosen values one behind the other: in lanes where a processor pushes them
together, and the same values in the same places everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.backends import cpu
from fornax.backends.llvm.target import TARGETS
from fornax.backends.llvm.text import text
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.compaction import chosen
from fornax.compiler.loop.ir import Alloc, Axis, Buffer, Carried, Carry, For, Kernel, Store
from fornax.compiler.loop.rewrite import walk


def kernel(dtype: str, extent: int, known: bool = True, start: int = 0) -> Kernel:
    """Positive elements and their positions, counted from `start` and copied to the results."""
    b = Builder()
    x, limit = buffer("x", dtype, (extent,)), buffer("limit", "int64", (1,))
    y, z = buffer("y", dtype, (extent + start,), "inout"), buffer("z", "int32", (1,), "out")
    values = Buffer("values", dtype, (extent + start + 1,), (1,), "local")
    places = Buffer("places", "int32", (extent + start + 1,), (1,), "local")
    end = extent if known else b.min(b.load(limit, (b.index(0),)), b.index(extent))
    one, place = Axis(end, "i"), Carry("int64", "place")
    value = b.load(x, (b.axis(one),))
    positive = b.gt(value, b.const(0, dtype))
    at = (b.carry(place),)
    step = b.add(b.carry(place), b.cast(positive, "int64"))
    look = For(
        one,
        (Store(values, at, value), Store(places, at, b.cast(b.axis(one), "int32"))),
        (Carried(place, b.index(start), step),),
    )
    copy = Axis(b.sub(b.final(place), b.index(start)), "i")
    here = b.add(b.axis(copy), b.index(start))
    checked = b.eq(b.load(x, (b.cast(b.load(places, (here,)), "int64"),)), b.load(values, (here,)))
    moved = b.select(checked, b.load(values, (here,)), b.const(-1, dtype))
    body = (
        Alloc(values),
        Alloc(places),
        look,
        For(copy, (Store(y, (here,), moved),)),
        Store(z, (b.index(0),), b.cast(b.final(place), "int32")),
    )
    return Kernel("positive", (x, limit, y, z), body)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2", "wide"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "int64", "int16"])
@pytest.mark.parametrize("extent", [1, 7, 8, 15, 16, 17, 100])
def test_the_same_values_everywhere(name, dtype, extent):
    for known, start, sign in (
        (True, 0, 0),
        (False, 0, 0),
        (True, 3, 0),
        (True, 0, 1),
        (True, 0, -1),
    ):
        made = kernel(dtype, extent, known, start)
        x = data(dtype, (extent,), 7)
        if sign:
            x = np.full_like(x, sign)
        limit = np.asarray([extent - extent // 3], np.int64)
        arrays = [x, limit, np.zeros(extent + start, x.dtype), np.zeros(1, np.int32)]
        agree(Made(made, arrays, [2, 3]), target(name))


@pytest.mark.parametrize(("name", "lanes"), [("avx512", 16), ("avx2", 1), ("sse2", 1)])
def test_lanes_where_the_processor_pushes_them_together(name, lanes):
    ready = cpu.prepare(kernel("float32", 100), TARGETS[name])
    loops = [s for s in walk(ready.body) if isinstance(s, For) and s.carries]
    assert [(s.lanes if s.kind == "vector" else 1) for s in loops] == [lanes]
    lines = text(ready, TARGETS[name])
    assert ("vector.compress.v16f32" in lines) == (lanes > 1)
    # in one instruction with the store it takes hundreds of cycles on Zen 4
    assert "compressstore" not in lines


@pytest.mark.parametrize("width", ["int16", "bool"])
def test_narrow_elements_stay_alone(width):
    assert not any(
        chosen(s) for s in walk(kernel(width, 100).body) if isinstance(s, For) and s.carries
    )


def changed(**how) -> For:
    """A loop of this kind with one thing changed."""
    b = Builder()
    x, y = buffer("x", "int32", (100,)), buffer("y", "int32", (200,), "inout")
    one, place = Axis(100, "i"), Carry("int64", "place")
    here = b.carry(place)
    value = b.load(x, (b.axis(one),))
    parts = {"value": value, "index": here, "chosen": b.gt(value, b.const(0, "int32"))}
    parts |= {name: make(b, y, b.axis(one), here) for name, make in how.items()}
    step = parts.get("step", b.add(here, b.cast(parts["chosen"], "int64")))
    store = Store(y, (parts["index"],), parts["value"], parts.get("mask"))
    return For(one, (store,), (Carried(place, b.index(0), step),))


def test_what_is_of_this_kind():
    assert chosen(changed()) is not None
    assert chosen(changed(index=lambda b, y, i, here: b.add(here, b.index(7)))) is not None
    others = [
        {"index": lambda b, y, i, here: b.mul(here, b.index(2))},
        {"index": lambda b, y, i, here: b.add(here, i)},
        {"index": lambda b, y, i, here: i},
        {"value": lambda b, y, i, here: b.cast(here, "int32")},
        {"value": lambda b, y, i, here: b.load(y, (i,))},
        {"chosen": lambda b, y, i, here: b.lt(here, b.index(5))},
        {"step": lambda b, y, i, here: b.add(here, b.index(1))},
        {"mask": lambda b, y, i, here: b.lt(i, b.index(5))},
    ]
    for other in others:
        assert chosen(changed(**other)) is None


def written_through(extent: int, twice: bool = False) -> Kernel:
    """Chosen elements go to memory that is read as a whole afterwards."""
    b, one, place = Builder(), Axis(extent, "i"), Carry("int64", "place")
    x, y = buffer("x", "float32", (extent,)), buffer("y", "float32", (extent + 2,), "inout")
    value = b.load(x, (b.axis(one),))
    stores = [Store(y, (b.carry(place),), value)]
    if twice:
        behind = b.add(b.carry(place), b.index(1))
        stores.append(Store(y, (behind,), b.neg(value)))
    step = b.add(b.carry(place), b.cast(b.gt(value, b.const(0, "float32")), "int64"))
    loop = For(one, tuple(stores), (Carried(place, b.index(0), step),))
    return Kernel("through", (x, y), (loop,))


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("extent", [1, 15, 16, 17, 32, 100])
def test_what_the_last_iteration_writes_stays(name, twice, extent):
    for last in (-7.0, 7.0):
        x = data("float32", (extent,), 3)
        x[-1] = last
        made = written_through(extent, twice)
        agree(Made(made, [x, np.zeros(extent + 2, np.float32)], [1]), target(name))
