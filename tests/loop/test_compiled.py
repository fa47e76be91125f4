"""Machine code does what the interpreter says, for many kernels, dtypes and sizes."""

from __future__ import annotations

import pytest
from agreement import agree, target
from hypothesis import given, settings
from hypothesis import strategies as st
from random_kernels import make
from written_kernels import CASES

from fornax.backends import cpu
from fornax.backends.llvm.target import find
from fornax.compiler.loop import parallelize, tile

SEEDS = st.integers(0, 2**20)


@pytest.fixture
def small_blocks(monkeypatch):
    """Parallel blocks and transposed tiles also for the small arrays of tests."""
    monkeypatch.setattr(parallelize, "GRAIN", 1.0)
    monkeypatch.setattr(parallelize, "BLOCK", 30.0)
    monkeypatch.setattr(tile, "BLOCK", 8)
    monkeypatch.setattr(tile, "STEPS", 1)


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
