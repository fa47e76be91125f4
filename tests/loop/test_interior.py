"""Loops that choose by where they are: the interior has no conditions, and values stay."""

from __future__ import annotations

import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax._native import reachable
from fornax.backends.llvm.target import find
from fornax.compiler.loop import interior, vectorize
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Expr, For, If, Kernel
from fornax.compiler.loop.rewrite import expressions, walk
from fornax.compiler.loop.schedule import nest
from fornax.compiler.loop.simplify import simplify


def element(b: Builder, x, index: list[Expr], shape: tuple[int, ...]) -> Expr:
    """An element of an array that is padded with zeros in all directions."""
    inside, place = b.const(True, "bool"), []
    for i, extent in zip(index, shape, strict=True):
        inside = b.op("and", inside, b.within(i, 0, extent))
        place.append(b.clamp_index(i, 0, extent - 1))
    return b.select(inside, b.load(x, place), b.const(0, x.dtype))


def neighbours(shape: tuple[int, ...], reach: int = 1, dtype: str = "float32") -> Made:
    """The sum of each element's neighbours along all dimensions."""
    b = Builder()
    x, y = buffer("x", dtype, shape), buffer("y", dtype, shape, "out")
    axes = [Axis(n) for n in shape]
    here = [b.axis(a) for a in axes]
    total = element(b, x, here, shape)
    for d in range(len(shape)):
        for step in (-reach, reach):
            there = [b.add(i, b.index(step)) if k == d else i for k, i in enumerate(here)]
            total = b.add(total, element(b, x, there, shape))
    kernel = Kernel("neighbours", (x, y), nest(b, axes, [(y, tuple(here), total)]))
    return Made(kernel, [data(dtype, shape, 1, whole=True), data(dtype, shape, 2)], [1])


def halves(rows: int, columns: int) -> Made:
    """The two halves of rows exchanged, one of them with another sign."""
    b, half = Builder(), columns // 2
    x, y = buffer("x", "float32", (rows, columns)), buffer("y", "float32", (rows, columns), "out")
    i, j = Axis(rows), Axis(columns)
    before = b.lt(b.axis(j), b.index(half))
    left = b.load(x, (b.axis(i), b.min(b.add(b.axis(j), b.index(half)), b.index(columns - 1))))
    right = b.load(x, (b.axis(i), b.max(b.sub(b.axis(j), b.index(half)), b.index(0))))
    value = b.select(before, b.neg(left), right)
    index = (b.axis(i), b.axis(j))
    kernel = Kernel("halves", (x, y), nest(b, [i, j], [(y, index, value)]))
    shape = rows, columns
    return Made(kernel, [data("float32", shape, 1), data("float32", shape, 2)], [1])


CASES = {
    "rows": lambda: neighbours((9, 160)),
    "rows that begin anywhere": lambda: neighbours((10, 143)),
    "long rows that begin anywhere": lambda: neighbours((9, 1061)),
    "planes": lambda: neighbours((9, 10, 128)),
    "one row": lambda: neighbours((300,)),
    "far neighbours": lambda: neighbours((40, 200), 3),
    "neighbours in other cache lines": lambda: neighbours((20, 260), 70),
    "short rows": lambda: neighbours((7, 9, 40)),
    "columns": lambda: neighbours((500, 3)),
    "bytes": lambda: neighbours((10, 600), dtype="int8"),
    "halves": lambda: halves(20, 256),
    "odd halves": lambda: halves(20, 301),
}


@pytest.fixture
def always(monkeypatch):
    """Small nests are cut too."""
    monkeypatch.setattr(interior, "RARE", 0)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("case", CASES)
def test_values(name, case, always):
    agree(CASES[case](), target(name))


def middle(made: Made) -> tuple[int, set[str], bool]:
    """Of the longest vector loop in the usual branch: its extent and the operations in it; and
    whether it reads under masks."""
    ready = vectorize.vectorize(simplify(made.kernel), find("avx512"))
    branches = [s for s in walk(ready.body) if isinstance(s, If)]
    inside = [s for s in walk(branches[0].body if branches else ready.body) if isinstance(s, For)]
    longest = max((s for s in inside if s.kind == "vector"), key=lambda s: s.axis.length)
    nodes = reachable(expressions(longest.body))
    masks = any(node.kind == "load" and node.masked for node in nodes)
    return longest.axis.length, {n.data for n in nodes if n.kind == "op"}, masks


def test_the_interior_has_no_conditions():
    assert middle(neighbours((256, 256))) == (224, {"add", "mul"}, False)
    assert middle(neighbours((64, 64, 256))) == (224, {"add", "mul"}, False)
    assert middle(neighbours((50, 2053))) == (2016, {"add", "mul"}, False)
    assert middle(halves(200, 256)) == (128, {"add", "mul", "neg"}, False)


def test_short_rows_of_the_interior_have_conditions_along_themselves_alone():
    ready = vectorize.vectorize(simplify(neighbours((40, 40, 40)).kernel), find("avx512"))
    (branch,) = [s for s in walk(ready.body) if isinstance(s, If)]
    for body, many in ((branch.body, False), (branch.orelse, True)):
        nodes = [n for n in reachable(expressions(body)) if n.kind == "load" and n.masked]
        assert (len(nodes) > 2) == many


def test_what_is_small_or_a_single_loop_is_left():
    extent, _, masks = middle(neighbours((1 << 16,)))
    assert extent == 1 << 16 and masks
    extent, _, masks = middle(neighbours((16, 128)))
    assert extent == 128 and masks
    extent, _, masks = middle(neighbours((500, 143)))
    assert extent == 143 and masks  # its rows begin anywhere and are short
