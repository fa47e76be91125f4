"""Kernels written by hand, one per thing that loops can do."""

from __future__ import annotations

import numpy as np
from random_kernels import Made, buffer, data

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import (
    Alloc,
    Axis,
    Buffer,
    Carried,
    Carry,
    For,
    If,
    Kernel,
    Store,
    While,
)


def running_sum(extent: int, reverse: bool = False) -> Made:
    """A carry that is stored in every step."""
    b = Builder()
    x, y = buffer("x", "float32", (extent,)), buffer("y", "float32", (extent,), "out")
    i, c = Axis(extent), Carry("float32")
    total = b.add(b.carry(c), b.load(x, (b.axis(i),)))
    body = (Store(y, (b.axis(i),), total),)
    loop = For(i, body, (Carried(c, b.const(0.5, "float32"), total),), reverse=reverse)
    return Made(Kernel("sum", (x, y), (loop,)), [*arrays(x, y)], [1])


def rows_of_running_sums(rows: int, extent: int) -> Made:
    """A serial loop inside of one that can be vectorized."""
    b = Builder()
    x = buffer("x", "int32", (extent, rows))
    y = buffer("y", "int32", (extent, rows), "out")
    r, i, c = Axis(rows), Axis(extent), Carry("int32")
    index = (b.axis(i), b.axis(r))
    total = b.add(b.carry(c), b.load(x, index))
    inner = For(i, (Store(y, index, total),), (Carried(c, b.const(0, "int32"), total),))
    return Made(Kernel("sums", (x, y), (For(r, (inner,)),)), [*arrays(x, y)], [1])


def collatz(count: int) -> Made:
    """A while loop whose lanes end at different times; its steps are the result."""
    b = Builder()
    x, y = buffer("x", "int32", (count,)), buffer("y", "int32", (count,), "out")
    i, n, steps = Axis(count), Carry("int32"), Carry("int32")
    one, two = b.const(1, "int32"), b.const(2, "int32")
    value = b.carry(n)
    odd = b.eq(b.and_(value, one), one)
    following = b.select(
        odd,
        b.add(b.mul(value, b.const(3, "int32")), one),
        b.shr_logical(value, one),
    )
    start = b.add(b.rem(b.abs(b.load(x, (b.axis(i),))), b.const(97, "int32")), one)
    condition = b.and_(b.gt(value, one), b.lt(b.carry(steps), b.const(100, "int32")))
    loop = While(
        condition,
        (
            Carried(n, start, following),
            Carried(steps, b.const(0, "int32"), b.add(b.carry(steps), one)),
        ),
    )
    body = (loop, Store(y, (b.axis(i),), b.mul(b.final(steps), two)))
    return Made(Kernel("collatz", (x, y), (For(i, body),)), [*arrays(x, y)], [1])


def search(count: int, size: int) -> Made:
    """A while loop that reads at an index it carries; idle lanes must not read out of bounds."""
    b = Builder()
    x, y = buffer("x", "int32", (size,)), buffer("y", "int64", (count,), "out")
    i, at = Axis(count), Carry("int64")
    place = b.carry(at)
    inside = b.lt(place, b.index(size))
    safe = b.load(x, (place,), mask=inside, other=b.const(0, "int32"))
    wanted = b.cast(b.axis(i), "int32")
    condition = b.and_(inside, b.ne(safe, wanted))
    loop = While(condition, (Carried(at, b.index(0), b.add(place, b.index(1))),))
    body = (loop, Store(y, (b.axis(i),), b.final(at)))
    found = Made(Kernel("search", (x, y), (For(i, body),)), [*arrays(x, y)], [1])
    found.arrays[0][:] = np.random.default_rng(0).permutation(size)
    return found


def branches(count: int) -> Made:
    """Stores under a condition that differs from lane to lane, both ways."""
    b = Builder()
    x, y = buffer("x", "float32", (count,)), buffer("y", "float32", (count,), "out")
    i = Axis(count)
    value = b.load(x, (b.axis(i),))
    condition = b.gt(value, b.const(0.0, "float32"))
    then = Store(y, (b.axis(i),), b.sqrt(value))
    orelse = Store(y, (b.axis(i),), b.neg(value))
    body = (For(i, (If(condition, (then,), (orelse,)),)),)
    return Made(Kernel("branches", (x, y), body), [*arrays(x, y)], [1])


def masked_store(count: int, dtype: str) -> Made:
    """Some elements keep what they were."""
    b = Builder()
    x, y = buffer("x", dtype, (count,)), buffer("y", dtype, (count,), "inout")
    i = Axis(count)
    third = b.eq(b.imod(b.axis(i), b.index(3)), b.index(1))
    body = (For(i, (Store(y, (b.axis(i),), b.load(x, (b.axis(i),)), third),)),)
    made = Made(Kernel("masked", (x, y), body), [*arrays(x, y)], [1])
    made.arrays[1][...] = data(dtype, (count,), 99)
    return made


def in_place(count: int) -> Made:
    """Two results of one array, the first of which overwrites it."""
    b = Builder()
    x = buffer("x", "float32", (count,), "inout")
    y = buffer("y", "float32", (count,), "out")
    i = Axis(count)
    value = b.load(x, (b.axis(i),))
    two = b.const(2.0, "float32")
    body = (
        Store(x, (b.axis(i),), b.mul(value, two)),
        Store(y, (b.axis(i),), b.add(value, two)),
    )
    return Made(Kernel("in_place", (x, y), (For(i, body),)), [*arrays(x, y)], [0, 1])


def recurrence(steps: int, width: int) -> Made:
    """Steps that each read what the step before wrote: a stencil with two local rows."""
    b = Builder()
    x = buffer("x", "float64", (width,), "inout")
    row = Buffer("row", "float64", (width,), (1,), "local")
    t, i, j = Axis(steps), Axis(width), Axis(width)
    last = b.index(width - 1)
    left = b.load(x, (b.max(b.sub(b.axis(i), b.index(1)), b.index(0)),))
    right = b.load(x, (b.min(b.add(b.axis(i), b.index(1)), last),))
    mean = b.mul(b.add(left, right), b.const(0.5, "float64"))
    body = (
        For(i, (Store(row, (b.axis(i),), mean),)),
        For(j, (Store(x, (b.axis(j),), b.load(row, (b.axis(j),))),)),
    )
    kernel = Kernel("stencil", (x,), (Alloc(row), For(t, body)))
    return Made(kernel, [data("float64", (width,), 3, whole=True)], [0])


def unrolled(extent: int) -> Made:
    """An unrolled loop with a carry and a loop inside of it."""
    b = Builder()
    x, y = buffer("x", "int32", (4, extent)), buffer("y", "int32", (), "out")
    k, i = Axis(4), Axis(extent)
    outer, inner = Carry("int32"), Carry("int32")
    step = b.add(b.carry(inner), b.load(x, (b.axis(k), b.axis(i))))
    loop = For(i, (), (Carried(inner, b.const(0, "int32"), step, "add"),))
    total = b.add(b.mul(b.carry(outer), b.const(3, "int32")), b.final(inner))
    body = (
        For(k, (loop,), (Carried(outer, b.const(1, "int32"), total),), kind="unroll"),
        Store(y, (), b.final(outer)),
    )
    return Made(Kernel("unrolled", (x, y), body), [*arrays(x, y)], [1])


def chunks(extent: int) -> Made:
    """A parallel loop written by hand, with scratch memory of its worker."""
    b = Builder()
    x, y = buffer("x", "int32", (extent, 8)), buffer("y", "int32", (extent, 8), "out")
    room = buffer("room", "int32", (8,), "scratch")
    p, i, j = Axis(extent), Axis(8), Axis(8)
    doubled = b.mul(b.load(x, (b.axis(p), b.axis(i))), b.const(2, "int32"))
    turned = b.load(room, (b.sub(b.index(7), b.axis(j)),))
    body = (
        For(i, (Store(room, (b.axis(i),), doubled),)),
        For(j, (Store(y, (b.axis(p), b.axis(j)), turned),)),
    )
    loop = For(p, body, kind="parallel")
    kernel = Kernel("chunks", (x, y, room), (loop,), extent)
    return Made(kernel, arrays(x, y, room), [1])


def ragged(rows: int) -> Made:
    """An inner loop whose extent is the outer loop's variable: a lower triangle."""
    b = Builder()
    x, y = buffer("x", "int32", (rows, rows)), buffer("y", "int32", (rows,), "out")
    i, c = Axis(rows), Carry("int32")
    j = Axis(b.axis(i))
    step = b.add(b.carry(c), b.load(x, (b.axis(i), b.axis(j))))
    inner = For(j, (), (Carried(c, b.const(0, "int32"), step, "add"),))
    body = (inner, Store(y, (b.axis(i),), b.final(c)))
    return Made(Kernel("ragged", (x, y), (For(i, body),)), [*arrays(x, y)], [1])


def arrays(*buffers: Buffer) -> list[np.ndarray]:
    """Random data for inputs, zeros for the others."""
    return [
        data(k.dtype, k.shape, 7 + n, whole=k.dtype.startswith("float"))
        if k.role in ("in", "inout")
        else np.zeros(k.shape, data(k.dtype, (0,), 0).dtype)
        for n, k in enumerate(buffers)
    ]


CASES = {
    "running sum": lambda: running_sum(37),
    "running sum backwards": lambda: running_sum(37, reverse=True),
    "running sum of nothing": lambda: running_sum(0),
    "columns of running sums": lambda: rows_of_running_sums(45, 6),
    "while in lanes": lambda: collatz(43),
    "while, one": lambda: collatz(1),
    "search": lambda: search(30, 19),
    "branches": lambda: branches(67),
    "masked store": lambda: masked_store(53, "float32"),
    "masked store of bytes": lambda: masked_store(53, "uint8"),
    "in place": lambda: in_place(77),
    "stencil": lambda: recurrence(5, 33),
    "unrolled": lambda: unrolled(21),
    "chunks": lambda: chunks(5),
    "ragged": lambda: ragged(23),
}
