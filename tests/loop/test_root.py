"""Square roots by products and sums are the rounded ones, for every significand."""

from __future__ import annotations

import numpy as np
import pytest
from random_kernels import buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import REQUIRED, cpu_flags, find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Kernel
from fornax.compiler.loop.schedule import nest

COUNT = 1 << 16


def quotients(dtype: str = "float32") -> Kernel:
    """y / sqrt(x): a loop that the divider would hold up."""
    b = Builder()
    x, y = buffer("x", dtype, (COUNT,)), buffer("y", dtype, (COUNT,))
    z, root = buffer("z", dtype, (COUNT,), "out"), buffer("root", dtype, (COUNT,), "out")
    i = Axis(COUNT)
    index = (b.axis(i),)
    found = b.op("sqrt", b.load(x, index))
    stores = [(z, index, b.div(b.load(y, index), found)), (root, index, found)]
    return Kernel("quotients", (x, y, z, root), nest(b, [i], stores))


def estimates(kernel: Kernel) -> bool:
    from_text = cpu.compile_kernel(kernel, find("avx512"), stages=True, load_code=False)
    return "inverse_root" in from_text.stages["legalize"]


def test_only_float32_beside_divisions_is_computed_so():
    assert estimates(quotients())
    assert not estimates(quotients("float64"))
    b = Builder()
    x, y = buffer("x", "float32", (COUNT,)), buffer("y", "float32", (COUNT,), "out")
    i = Axis(COUNT)
    value = b.op("sqrt", b.load(x, (b.axis(i),)))
    assert not estimates(Kernel("roots", (x, y), nest(b, [i], [(y, (b.axis(i),), value)])))


@pytest.fixture(scope="module")
def run():
    if not REQUIRED["avx512"] <= cpu_flags():
        pytest.skip("this processor has no such estimates")
    compiled = cpu.compile_kernel(quotients(), find("avx512"))

    def run(x: np.ndarray) -> np.ndarray:
        ones, z, root = np.ones_like(x), np.empty_like(x), np.empty_like(x)
        cpu.run(compiled, [x, ones, z, root])
        return root

    return run


def test_every_significand(run):
    for block in range(0, 2 << 23, COUNT):  # from 1 to 4
        x = np.arange((127 << 23) + block, (127 << 23) + block + COUNT, dtype=np.uint32)
        x = x.view(np.float32)
        np.testing.assert_array_equal(run(x), np.sqrt(x))


def test_every_exponent_and_special_numbers(run):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 1 << 32, COUNT, dtype=np.uint32)
    x[:512] = np.arange(512, dtype=np.uint32) << 23  # powers of two, zeros, infinities, negatives
    x[512:1024] = (np.arange(512, dtype=np.uint32) << 23) + 0x7FFFFF
    x = x.view(np.float32)
    with np.errstate(invalid="ignore"):
        expected = np.sqrt(x)
    got = run(x)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got[x == 0]), np.signbit(x[x == 0]))
