"""Machine code does what the interpreter says, for many kernels, dtypes and sizes."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from agreement import agree, equal, first_difference, target
from hypothesis import given, settings
from hypothesis import strategies as st
from random_kernels import make
from written_kernels import CASES

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.compiler.loop import parallelize, sums, tile
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.target import Target

SEEDS = st.integers(0, 2**20)


@pytest.fixture
def small_blocks(monkeypatch):
    """Parallel blocks and transposed tiles also for the small arrays of tests."""
    monkeypatch.setattr(parallelize, "GRAIN", 1.0)
    monkeypatch.setattr(parallelize, "BLOCK", 30.0)
    for name, small in (("RUN", 32), ("ROWS", 8), ("LEAST", 4)):
        monkeypatch.setattr(tile, name, small)
    monkeypatch.setattr(sums, "STEPS", 1)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2", "wide"])
@pytest.mark.parametrize("kind", ["elementwise", "reduction"])
def test_random_kernels(name, kind, small_blocks):
    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(SEEDS)
    def run(seed):
        agree(make(kind, seed), target(name))

    run()


@pytest.mark.parametrize("kind", ["elementwise", "reduction"])
@pytest.mark.parametrize("seed", range(4))
def test_kernels_compile_for_a_target_that_cannot_run_here(kind, seed):
    compiled = cpu.compile_kernel(make(kind, seed).kernel, find("avx512"), load_code=False)
    assert compiled.object[:4] == b"\x7fELF" or compiled.object


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2", "wide"])
@pytest.mark.parametrize("case", CASES)
def test_written_kernels(name, case):
    agree(CASES[case](), target(name))


@pytest.fixture
def all_streamed(monkeypatch):
    """Results of any size are written past the caches."""
    monkeypatch.setattr(Target, "streamed", property(lambda self: 1))
    monkeypatch.setattr(cpu, "compiled", {})


def placed(array: np.ndarray, offset: int) -> np.ndarray:
    """A copy that begins `offset` bytes behind a cache line."""
    raw = np.zeros(array.nbytes + 128, np.uint8)
    begin = -raw.ctypes.data % 64 + offset
    copy = raw[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("kind", ["elementwise", "reduction"])
@pytest.mark.parametrize("offset", [0, 8])
def test_results_past_the_caches(name, kind, offset, small_blocks, all_streamed):
    """Aligned results are streamed, others stored; both hold what the interpreter says."""
    chosen = target(name)
    streamed = 0
    for seed in range(8):
        made = make(kind, seed)
        expected, found = made.copies(), [placed(a, offset) for a in made.copies()]
        agree(made, chosen)
        compiled = cpu.compile_kernel(made.kernel, chosen, stages=True)
        streamed += "movnt" in compiled.stages["assembly"]
        interpret(made.kernel, expected)
        cpu.run(compiled, found)
        for k in made.outputs:
            assert equal(expected[k], found[k]), first_difference(expected[k], found[k])
    assert streamed


def test_scratch_memory_of_workers_shares_no_cache_line():
    """Two workers that wrote to one line would wait for one another at every store."""
    made = CASES["chunks"]()
    x, y, room = made.arrays
    memory = np.zeros((2, made.kernel.buffers[2].nbytes // room.itemsize), room.dtype)
    assert memory.strides[0] % 128 == 0 and memory[0].nbytes >= room.nbytes
    compiled = cpu.compile_kernel(made.kernel, target("avx2"))
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(compiled.address)
    pointers = (ctypes.c_void_p * 3)(*[a.ctypes.data for a in (x, y, memory)])
    function(pointers, 0, made.kernel.extent, 1)
    assert not memory[0].any() and memory[1].any()
