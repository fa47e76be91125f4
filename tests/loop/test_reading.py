"""Nests whose results are written past the caches run in the order of what they read."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer

from fornax.backends import cpu
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.reading import PIECE, in_order_of_reading
from fornax.compiler.loop.rewrite import walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.target import Target


@pytest.fixture(autouse=True)
def all_large(monkeypatch):
    monkeypatch.setattr(Target, "streamed", property(lambda self: 1))
    monkeypatch.setattr(cpu, "compiled", {})


def kernel(*shape: int, beside: tuple[int, ...] = (0, 2, 1, 3)) -> Made:
    """y[i, j, k, l] = x[i, k, j, l] + z[...], with the axes of z in the order `beside`."""
    b = Builder()
    axes = [Axis(extent, "ijkl"[k]) for k, extent in enumerate(shape)]
    i, j, k, l = map(b.axis, axes)  # noqa: E741
    first, second, third, last = shape
    x = buffer("x", "float32", (first, third, second, last))
    z = buffer("z", "float32", tuple(shape[axis] for axis in beside))
    y = buffer("y", "float32", shape, "out")
    value = b.add(b.load(x, (i, k, j, l)), b.load(z, tuple((i, j, k, l)[axis] for axis in beside)))
    made = Kernel("heads", (x, z, y), nest(b, axes, [(y, (i, j, k, l), value)]))
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(one.shape).astype(np.float32) for one in (x, z, y)]
    return Made(made, arrays, [2])


def order(made: Made, name: str = "avx2") -> str:
    """The names of the loops, outermost first, after this pass alone."""
    flat = cpu.PASSES["simplify"](made.kernel, target(name))
    loops = walk(in_order_of_reading(flat, target(name)).body)
    return "".join(s.axis.name for s in loops if hasattr(s, "axis"))


def test_the_order_is_that_of_what_is_read():
    assert order(kernel(4, 3, 5, 32)) == "ikjl"
    assert order(kernel(4, 3, 5, PIECE // 4 - 1)) == "ijkl"  # less than a line at a time
    assert order(kernel(4, 3, 5, 32, beside=(0, 1, 2, 3))) == "ijkl"  # both orders are read
    assert order(kernel(4, 3, 5, 32, beside=(0, 1, 3, 2))) == "ijkl"  # rows across those written


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("shape", [(2, 3, 5, 16), (70, 3, 4, 33), (1, 5, 7, 64), (3, 1, 4, 16)])
def test_results_stay_the_same(name, shape):
    agree(kernel(*shape), target(name))
