"""Reductions wait for a later loop that reads what they read, if nothing before it needs them."""

from __future__ import annotations

import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, For, Kernel
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.loop.schedule import nest


def rows(columns: int, early: bool) -> Made:
    """Of each row the sum of x, that of its deviations from it times y, and that of y, which with
    `early` the deviations need as well."""
    b = Builder()
    x, y = (buffer(name, "float32", (5, columns)) for name in "xy")
    results = tuple(buffer(f"z{k}", "float32", (5,), "out") for k in range(3))
    row, r, s, t = Axis(5), Axis(columns), Axis(columns), Axis(columns)
    place = b.axis(row)
    total = b.reduce("add", [r], b.load(x, (place, b.axis(r)), "float32"))
    other = b.reduce("add", [t], b.load(y, (place, b.axis(t)), "float32"))
    far = b.sub(b.load(x, (place, b.axis(s)), "float32"), b.add(total, other) if early else total)
    apart = b.reduce("add", [s], b.mul(far, b.load(y, (place, b.axis(s)), "float32")))
    values = total, apart, other
    stores = [(z, (place,), v) for z, v in zip(results, values, strict=True)]
    kernel = Kernel("rows", (x, y, *results), nest(b, [row], stores))
    arrays = [data("float32", k.shape, n, whole=True) for n, k in enumerate(kernel.buffers)]
    return Made(kernel, arrays, [2, 3, 4])


@pytest.mark.parametrize("early", [False, True])
def test_where_the_sum_is_made(early):
    (outer,) = rows(40, early).kernel.body
    inner = [s for s in walk((outer,)) if isinstance(s, For) and s.carries]
    assert [len(loop.carries) for loop in inner] == ([2, 1] if early else [1, 2])


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("early", [False, True])
def test_values(name, early):
    for columns in (9, 40, 67):
        agree(rows(columns, early), target(name))
