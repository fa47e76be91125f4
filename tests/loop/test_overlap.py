"""Reductions over nearly the same elements: one loop, and values stay."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

import fornax
import fornax.numpy as fnp
from fornax import settings
from fornax.backends.llvm.target import find
from fornax.compiler.loop import overlap
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, For, Kernel
from fornax.compiler.loop.overlap import overlapping
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.two_stages import cut


def differences(shape, combiner="add", dtype="float32", apart=1, rows=False) -> Made:
    """A reduction of the differences of neighbours along each dimension, of each of the first
    dimension's elements with `rows`; `apart`: how far neighbours are from one another."""
    b = Builder()
    result = shape[:1] if rows else ()
    x = buffer("x", dtype, shape)
    outer = [Axis(n) for n in result]
    outputs, stores = [], []
    for d in range(len(result), len(shape)):
        axes = [Axis(n - apart * (k == d)) for k, n in enumerate(shape)][len(result) :]
        here = [b.axis(a) for a in (*outer, *axes)]
        there = [b.add(i, b.index(apart)) if k == d else i for k, i in enumerate(here)]
        step = b.sub(b.load(x, there, dtype), b.load(x, here, dtype))
        value = b.mul(step, step) if combiner == "add" else step
        y = buffer(f"y{d}", dtype, result, "out")
        stores.append((y, tuple(map(b.axis, outer)), b.reduce(combiner, axes, value)))
        outputs.append(y)
    kernel = Kernel("differences", (x, *outputs), nest(b, outer, stores))
    arrays = [data(dtype, k.shape, n, whole=True) for n, k in enumerate(kernel.buffers)]
    return Made(kernel, arrays, list(range(1, len(arrays))))


CASES = {
    "rows": lambda: differences((20, 67)),
    "planes": lambda: differences((9, 10, 33)),
    "of each row": lambda: differences((5, 12, 40), rows=True),
    "largest": lambda: differences((20, 67), "max"),
    "products": lambda: differences((20, 40), "mul"),
    "float64": lambda: differences((20, 67), dtype="float64"),
    "int32": lambda: differences((20, 67), dtype="int32"),
    "int8": lambda: differences((20, 67), "min", dtype="int8"),
    "further apart": lambda: differences((40, 50), apart=3),
    "too far apart": lambda: differences((40, 50), apart=20),
}


@pytest.fixture
def always(monkeypatch):
    """Small nests are joined too."""
    monkeypatch.setattr(overlap, "RARE", 0)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("case", CASES)
def test_values(name, case, always):
    agree(CASES[case](), target(name))


def loops(made: Made, name: str = "avx512") -> int:
    """How many loops with carries there are at the first level."""
    ready = overlapping(simplify(made.kernel), find(name))
    while len(ready.body) == 1 and not ready.body[0].carries:
        ready = Kernel("", (), ready.body[0].body)
    return sum(isinstance(s, For) for s in ready.body)


def test_what_nearly_overlaps_is_one_loop():
    assert loops(differences((200, 300))) == 1
    assert loops(differences((40, 50, 60))) == 1
    assert loops(differences((3, 200, 300), rows=True)) == 1
    assert loops(differences((200, 300), "max")) == 1
    assert loops(differences((200, 300), apart=90)) == 2
    assert loops(differences((100, 100))) == 2  # small
    assert loops(differences((200, 300)), "sse2") == 2  # without masks


@pytest.mark.parametrize("shape", [(254, 300), (255, 1100), (67, 68, 69)])
@pytest.mark.parametrize("target", ["native", "avx2", "sse2"])
def test_sums_of_a_program(shape, target):
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)

    def program(x):
        return sum(fnp.sum(fnp.diff(x, axis=axis) ** 2) for axis in range(x.ndim))

    wanted = sum(np.sum(np.diff(x.astype(float), axis=axis) ** 2) for axis in range(x.ndim))
    with settings.override(target=target):
        np.testing.assert_allclose(fornax.jit(program)(x), wanted, rtol=1e-6)


def test_parts_of_shifted_slices_are_alike():
    for rows in (254, 2039, 4094):
        found = {cut((n, 2000), (0, 1), 65) for n in (rows, rows + 1, rows + 2)}
        assert len(found) == 1, found
