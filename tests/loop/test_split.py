"""Rows of tiles, and of rows taken several times, are read from end to end."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, For, Kernel
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.loop.split import split


def products(rows: int, pieces: int, length: int, most: int) -> Kernel:
    """Rows of all products of two arrays, and tiles of `most` elements of a third one."""
    b = Builder()
    x, y = buffer("x", "float32", (rows, pieces)), buffer("y", "float32", (length,))
    z = buffer("z", "float32", (most,))
    result = buffer("result", "float32", (rows, pieces * length), "out")
    row, place = Axis(rows), Axis(pieces * length)
    index, size = b.axis(place), b.index(length)
    value = b.mul(b.load(x, (b.axis(row), b.idiv(index, size))), b.load(y, (b.imod(index, size),)))
    value = b.add(value, b.load(z, (b.imod(index, b.index(most)),)))
    axes = [row, place]
    return Kernel(
        "products", (x, y, z, result), nest(b, axes, [(result, (*map(b.axis, axes),), value)])
    )


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize(
    "rows,pieces,length,most,loops",
    [
        (3, 5, 45, 45, 3),
        (3, 4, 33, 66, 4),  # pieces of pieces
        (3, 4, 33, 44, 2),  # neither divides the other
        (3, 9, 5, 5, 2),  # short
        (1, 3, 100, 100, 1),  # few, for threads
        (1, 70, 40, 40, 2),
    ],
)
def test_pieces(name, rows, pieces, length, most, loops):
    kernel = products(rows, pieces, length, most)
    found = [s for s in walk(split(simplify(kernel)).body) if isinstance(s, For)]
    assert len(found) == loops
    shapes = [(rows, pieces), (length,), (most,)]
    arrays = [data("float32", shape, k) for k, shape in enumerate(shapes)]
    arrays.append(np.zeros((rows, pieces * length), "float32"))
    agree(Made(kernel, arrays, [3]), target(name))
