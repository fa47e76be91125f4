"""What is asked for before it is read: the next row where one is read again, or anywhere."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.backends import cpu
from fornax.backends.llvm.fetch import fetched
from fornax.backends.llvm.target import TARGETS, find
from fornax.backends.llvm.text import text
from fornax.runtime.compile import plan

NAMES = ["avx2", "sse2", *(["avx512"] if find().name == "avx512" else [])]


def fetches(function, *shape: int, name: str = "avx2", others: tuple = ()) -> list[int]:
    """How many bytes further on the kernels of a function of float32 (and `others`) ask."""
    texts = []

    def compile_kernel(kernel):
        texts.append(text(cpu.prepare(kernel, TARGETS[name]), TARGETS[name], "kernel"))
        return cpu.compile_kernel(kernel, TARGETS[name], load_code=False)

    first = fornax.ShapeDtypeStruct(shape, "float32")
    traced = fornax.jit(function).trace(first, *others)
    plan(traced.jaxpr, TARGETS[name], 2, compile_kernel)
    found = []
    for lines in texts:
        asked = re.findall(r"prefetch\.p0\(ptr (%\w+), i32 0", lines)
        for pointer in asked:
            found += map(int, re.findall(rf"{pointer} = getelementptr i8, .*, i64 (-?\d+)", lines))
    return sorted({bytes_ // 64 * 64 for bytes_ in found})  # they ask for the ends of lines


def softmax(x):
    return fornax.nn.softmax(x, axis=-1)


def spread(x):
    return x - x.mean(-1, keepdims=True)


def loads(function, *shape: int, name: str) -> list[int]:
    """How many elements further on each load asks, of those that ask."""
    found = []

    def compile_kernel(kernel):
        asked = fetched(cpu.prepare(kernel, TARGETS[name]), TARGETS[name])
        found.extend(step for steps in asked.values() for step in steps)
        return cpu.compile_kernel(kernel, TARGETS[name], load_code=False)

    traced = fornax.jit(function).trace(fornax.ShapeDtypeStruct(shape, "float32"))
    plan(traced.jaxpr, TARGETS[name], 2, compile_kernel)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_loop_that_computes_longest_asks_for_the_next_row(name):
    assert loads(softmax, 4096, 4096, name=name) == [4096]
    found = fetches(softmax, 4096, 4096, name=name)
    assert found[0] == 4 * 4096
    assert all(0 <= bytes_ - found[0] < 512 and bytes_ % 64 == 0 for bytes_ in found)


@pytest.mark.parametrize("name", NAMES)
def test_all_loops_but_the_first_ask_where_one_computes_for_long(name):
    def marked(x):
        largest = x.max(-1, keepdims=True)
        shares = fnp.exp(x - largest)
        return fnp.where(x == largest, shares / shares.sum(-1, keepdims=True), shares)

    assert loads(marked, 4096, 4096, name=name) == [4096, 4096]


@pytest.mark.parametrize("name", NAMES)
def test_every_loop_asks_for_the_next_row_where_none_computes_for_long(name):
    assert loads(spread, 4096, 4096, name=name) == [4096, 4096]
    assert not loads(spread, 256, 4096, name=name)  # it lies in the third cache


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_of_the_next_block_are_asked_for(name):
    def gradients(x, d, scale):
        def scaled(x, scale):
            return x * lax.rsqrt(fnp.mean(x * x, -1, keepdims=True)) * scale

        return fornax.vjp(scaled, x, scale)[1](d)

    like = fornax.ShapeDtypeStruct((2048, 3072), "float32")
    scale = fornax.ShapeDtypeStruct((3072,), "float32")
    asked = fetches(gradients, 2048, 3072, name=name, others=(like, scale))
    assert {distance // 1024 for distance in asked} == {4 * 3072 * 4 // 1024}


def test_rows_are_asked_for_from_afar():
    assert loads(softmax, 4096, 2048, name="avx2") == [2 * 2048]
    assert loads(softmax, 4096, 5000, name="avx2") == [5000]


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: fnp.exp(x).sum(-1), (4096, 1024)),  # each row once
        (softmax, (64, 1024)),  # all of it stays in the caches
        (softmax, (16384, 1024)),  # the processor foresees a page
        (softmax, (64, 1 << 17)),  # two rows have no room
    ],
)
def test_nothing_is_asked_for_where_it_gains_nothing(function, shape):
    assert not fetches(function, *shape)


def scaled(x, shift, scale):
    return fnp.exp(x - shift) * scale


@pytest.mark.parametrize("name", NAMES)
def test_a_page_ahead_is_asked_for_where_rows_are_read_beside_the_same_ones(name):
    row = fornax.ShapeDtypeStruct((2048,), "float32")
    found = fetches(scaled, 1 << 13, 2048, name=name, others=(row, row))
    assert found[0] == 4096
    assert all(4096 <= bytes_ < 4096 + 512 for bytes_ in found)
    one = fornax.ShapeDtypeStruct((), "float32")
    assert not fetches(scaled, 1 << 13, 2048, name=name, others=(row, one))
    assert not fetches(scaled, 512, 2048, name=name, others=(row, row))  # it stays in the caches


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", [lambda x: x.sum(0), lambda x: (x.argmax(0), x.min(0))])
def test_the_rows_after_those_that_are_added_up_are_asked_for(function, name):
    rows = 8 * 2048 * 4
    found = fetches(function, 1 << 10, 2048, name=name)
    assert found[0] == rows
    assert all(rows <= bytes_ < rows + 512 for bytes_ in found)


def test_loops_before_the_longest_ask_for_rows_too():
    asked = loads(lambda x: x.var(0), 1 << 12, 2048, name="avx2")
    assert len(asked) == 16 and set(asked) == {8 * 2048}  # of two loops, eight rows at once each


@pytest.mark.parametrize("name", NAMES)
def test_a_page_down_is_asked_for_where_memory_is_read_from_its_end(name):
    assert fetches(lambda x: x[::-1] + 1, 1 << 20, name=name)[0] == -4096
    assert not fetches(lambda x: x[::-1] + 1, 1 << 16, name=name)  # all of it stays in the caches
    assert loads(lambda x: fornax.lax.cumsum(x, 1, True), 1 << 10, 2048, name=name) == [-1024]


@pytest.mark.parametrize("name", NAMES)
def test_rows_further_on_are_asked_for_where_sums_run_down_them(name):
    down, up = lambda x: fornax.lax.cumsum(x, 0), lambda x: fornax.lax.cumsum(x, 0, reverse=True)
    rows = 65536 // (1024 * 4)  # each of two threads has half of the columns
    assert loads(down, 1 << 10, 2048, name=name) == [rows * 2048]
    assert loads(up, 1 << 10, 2048, name=name) == [-rows * 2048]
    assert loads(up, 1 << 15, 512, name=name)  # downwards, it does not foresee a page
    assert not loads(down, 1 << 6, 2048, name=name)  # all of it stays in the caches
    assert not loads(down, 1 << 15, 512, name=name)  # the processor foresees a page


def test_the_last_row_asks_for_what_is_not_there():
    x = np.random.default_rng(0).standard_normal((1000, 3000)).astype(np.float32)
    shifted = np.exp(x - x.max(-1, keepdims=True))
    expected = shifted / shifted.sum(-1, keepdims=True)
    np.testing.assert_allclose(fornax.jit(softmax)(x), expected, rtol=2e-6)


def along(x, i):
    return fnp.take_along_axis(x, i, 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_next_row_is_asked_for_where_one_is_read_anywhere(name):
    row = 4 * 1024
    indices = fornax.ShapeDtypeStruct((4096, 1024), "int32")
    found = fetches(along, 4096, 1024, name=name, others=(indices,))
    assert found[0] == row
    assert all(row <= bytes_ < row + 512 for bytes_ in found)


@pytest.mark.parametrize("name", NAMES)
def test_the_next_blocks_are_asked_for_where_matrices_are_read_in_blocks(name):
    other = fornax.ShapeDtypeStruct((2048, 4096), "float32")
    found = fetches(lambda x, y: x.T * y, 4096, 2048, name=name, others=(other,))
    beside = [bytes_ for bytes_ in found if bytes_ < 4096]
    block = 16 * 4 * 4096
    assert {bytes_ // 256 for bytes_ in beside} == {1, 2}
    assert {bytes_ // block for bytes_ in found if bytes_ >= 4096} == {1, 2}
    assert all(bytes_ % block < 256 for bytes_ in found if bytes_ >= 4096)


@pytest.mark.parametrize("shape", [(256, 256), (1 << 20, 16)])
def test_small_matrices_and_thin_ones_ask_for_nothing(shape):
    assert not fetches(lambda x: x.T * 2, *shape)


@pytest.mark.parametrize(("shape", "picked"), [((64, 1024), 1024), ((4096, 1024), 64)])
def test_rows_in_the_caches_and_rows_of_which_little_is_read_are_not_asked_for(shape, picked):
    indices = fornax.ShapeDtypeStruct((shape[0], picked), "int32")
    assert not fetches(along, *shape, others=(indices,))


def padded(x):
    around = fnp.pad(x, 1)
    return around[2:, 1:-1] - around[:-2, 1:-1]


def differences(x):
    return x[1:, 1:] - x[:-1, 1:] - x[1:, :-1]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_of_several_rows_asks(name):
    assert loads(differences, 2048, 2049, name=name) == [2048]
    assert loads(differences, 128, 129, name=name) == []
    # its rows are as far apart as all of the third cache: neither comes from there
    assert loads(lambda x: x[1:] - x[:-1], 2, 1 << 24, name=name) == []
    assert {*loads(padded, 2048, 2048, name=name)} == {2048}
