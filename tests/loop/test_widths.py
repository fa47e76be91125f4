"""Every dtype at every width: whole vectors, masked rests and single lanes, whatever the target.

A kernel is a row of loops over the same kind of access, one loop per width. Their results lie
apart, last loop first, over old values that are not zero: a lane too many overwrites something.
"""

from __future__ import annotations

import pytest
from agreement import agree, target
from random_kernels import COMPUTED, STORED, Made, buffer, data

from fornax.compiler.loop.builder import Builder, compute_dtype
from fornax.compiler.loop.ir import Axis, Kernel, is_float
from fornax.compiler.loop.schedule import nest

DTYPES = (*COMPUTED, *STORED)
TARGETS = ["avx512", "avx2", "sse2", "wide"]
FEW = (1, 3, 9, 17, 33, 65)
#: in pieces: LLVM is to compile them as it compiles what users write, so they must not be huge
EVERY = [tuple(range(start, start + 8)) for start in range(1, 128, 8)]
#: elements between the results of two widths
GAP = 3


def begins(widths, step=1):
    """Where the elements of each width begin, with gaps before, between and after; the size."""
    places, at = [], GAP
    for width in widths:
        places.append(at)
        at += width * step + GAP
    return places, at


def made(source: str, to: str, widths, access) -> Made:
    """`access(b, x, y, axis, at)` gives the stores of one width, [(buffer, index, value …)]."""
    b = Builder()
    places, size = begins(widths, 4)
    x, y = buffer("x", source, (size,)), buffer("y", to, (size,), "out")
    body = ()
    for width, at in reversed(list(zip(widths, places, strict=True))):
        axis = Axis(width)
        body += nest(b, [axis], access(b, x, y, axis, at))
    arrays = [data(source, (size,), 7), data(to, (size,), 8)]
    if to in ("bool", "int4", "uint4") or source != to:
        arrays[1] = data(to, (size,), 9, whole=True)
    return Made(Kernel("widths", (x, y), body), arrays, [1])


def moved(b, x, axis, shift, scale=1):
    """The element `shift` + `scale` · axis."""
    return b.add(b.mul(b.axis(axis), b.index(scale)), b.index(shift))


def plain(b, x, y, axis, at):
    value = b.cast(b.load(x, (moved(b, x, axis, at),)), compute_dtype(y.dtype))
    return [(y, (moved(b, y, axis, at),), value)]


def reversed_(b, x, y, axis, at):
    value = b.load(x, (moved(b, x, axis, at + axis.extent - 1, -1),))
    return [(y, (moved(b, y, axis, at),), value)]


def spread(b, x, y, axis, at):
    """Loads and stores of every second, third and fourth element."""
    value = b.load(x, (moved(b, x, axis, at, 3),))
    return [(y, (moved(b, y, axis, at, 2),), value)]


def woven(b, x, y, axis, at):
    """Neighbours are swapped: stores that fill a window together."""
    first, second = (b.load(x, (moved(b, x, axis, at + k, 2),)) for k in (0, 1))
    return [(y, (moved(b, y, axis, at, 2),), second), (y, (moved(b, y, axis, at + 1, 2),), first)]


def guarded(b, x, y, axis, at):
    """Loads that are masked where they would leave the row."""
    place = moved(b, x, axis, -1)
    inside = b.within(place, 0, axis.extent - 1)
    other = b.const(1, compute_dtype(x.dtype))
    value = b.load(x, (b.add(place, b.index(at)),), mask=inside, other=other)
    return [(y, (moved(b, y, axis, at),), value)]


def picked(b, x, y, axis, at):
    """A store of one lane that is known in advance."""
    value = b.cast(b.load(x, (moved(b, x, axis, at),)), compute_dtype(y.dtype))
    only = b.eq(b.axis(axis), b.index(axis.extent // 2))
    return [(y, (moved(b, y, axis, at),), value, only)]


def scattered(b, x, y, axis, at):
    """A store to every third element, of one lane that is known in advance, and of all."""
    value = b.cast(b.load(x, (moved(b, x, axis, at),)), compute_dtype(y.dtype))
    only = b.eq(b.axis(axis), b.index(axis.extent - 1))
    return [(y, (moved(b, y, axis, at + 1, 3),), value, only),
            (y, (moved(b, y, axis, at, 3),), value)]  # fmt: skip


def chosen(b, x, y, axis, at):
    """A store whose lanes depend on the values."""
    value = b.load(x, (moved(b, x, axis, at),))
    zero = b.const(0, value.dtype)
    test = value if x.dtype == "bool" else b.ne(value, zero)
    return [(y, (moved(b, y, axis, at),), value, test)]


ACCESSES = [plain, reversed_, spread, woven, guarded, picked, scattered, chosen]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("access", ACCESSES, ids=lambda access: access.__name__.strip("_"))
def test_accesses(access, name):
    for dtype in DTYPES:
        agree(made(dtype, dtype, FEW, access), target(name))


@pytest.mark.parametrize("name", TARGETS)
def test_conversions(name):
    for k, source in enumerate(DTYPES):
        agree(made(source, DTYPES[k - 1], FEW, plain), target(name))
        agree(made(source, DTYPES[k - 4], FEW, picked), target(name))


def totals(dtype: str, name: str, widths) -> Made:
    """Reductions of every width."""
    b = Builder()
    places, size = begins(widths)
    x = buffer("x", dtype, (size,))
    y = buffer("y", dtype, (len(widths),), "out")
    body = ()
    for k, (width, at) in enumerate(zip(widths, places, strict=True)):
        axis = Axis(width)
        value = b.reduce(name, [axis], b.load(x, (moved(b, x, axis, at),)))
        body += nest(b, [], [(y, (b.index(k),), value)])
    arrays = [data(dtype, (size,), 7, whole=True), data(dtype, (len(widths),), 8)]
    return Made(Kernel("totals", (x, y), body), arrays, [1])


def reductions(dtype: str) -> tuple[str, ...]:
    if dtype == "bool":
        return ("and", "or", "xor")
    return ("add", "max") if is_float(dtype) else ("add", "min", "xor")


@pytest.mark.parametrize("name", TARGETS)
def test_reductions(name):
    for dtype in COMPUTED:
        for combiner in reductions(dtype):
            agree(totals(dtype, combiner, FEW), target(name))


@pytest.mark.sweep
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_width(dtype, name):
    for widths in EVERY:
        for access in ACCESSES:
            agree(made(dtype, dtype, widths, access), target(name))
        for to in DTYPES:
            agree(made(dtype, to, widths, plain), target(name))
        for combiner in reductions(dtype) if dtype in COMPUTED else ():
            agree(totals(dtype, combiner, widths), target(name))
