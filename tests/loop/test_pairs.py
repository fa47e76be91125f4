"""Products of pairs: words of two bfloat16 or int16, for any number of lanes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from random_kernels import buffer

from fornax.backends import cpu
from fornax.backends.llvm.target import cpu_flags, find
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import Axis, Carried, Carry, For, Kernel, Store
from fornax.record import replace

COUNTS = [1, 3, 4, 8, 16, 21, 64, 1000]


def kernel(dtype: str, count: int) -> Kernel:
    """Each total after three steps, the left word being the same for all lanes."""
    b = Builder()
    i, k = Axis(count, "i"), Axis(3, "k")
    x, y = buffer("x", "uint32", (3,)), buffer("y", "uint32", (3, count))
    out = buffer("out", dtype, (count,), "out")
    total = Carry(dtype, "total")
    step = b.pair_dot(b.load(x, (b.axis(k),)), b.load(y, (b.axis(k), b.axis(i))), b.carry(total))
    loop = For(k, (), (Carried(total, b.const(0, dtype), step),))
    store = Store(out, (b.axis(i),), b.final(total))
    return Kernel("pairs", (x, y, out), (For(i, (loop, store)),))


def run(made: Kernel, target, x: np.ndarray, y: np.ndarray, dtype: str) -> np.ndarray:
    found = np.zeros(y.shape[1], dtype)
    cpu.run(cpu.compile_kernel(made, target), [x.view(np.uint32)[:, 0], words(y), found])
    return found


def words(y: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(y).view(np.uint32)[..., 0]


def pairs_of(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == np.int16:
        return rng.choice(np.array([-32768, 32767, -1, 3, 20000], np.int16), (*shape, 2))
    return rng.standard_normal((*shape, 2)).astype(dtype)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
def test_int16(name, count):
    order = ["sse2", "avx2", "avx512"]
    if order.index(name) > order.index(find("native").name):
        pytest.skip(f"this processor does not run {name} code")
    x, y = pairs_of(np.int16, (3,)), pairs_of(np.int16, (3, count), 1)
    exact = np.einsum("kp,kip->i", x.astype(np.int64), y.astype(np.int64)).astype(np.int32)
    found = run(kernel("int32", count), find(name), x, y, "int32")
    np.testing.assert_array_equal(found, exact)
    meant = np.zeros(count, "int32")
    interpret(kernel("int32", count), [x.view(np.uint32)[:, 0], words(y), meant])
    np.testing.assert_array_equal(meant, exact)


@pytest.mark.parametrize("count", COUNTS)
def test_bfloat16(count):
    x, y = pairs_of(ml_dtypes.bfloat16, (3,)), pairs_of(ml_dtypes.bfloat16, (3, count), 1)
    y[:, 0] = np.inf
    exact = np.einsum("kp,kip->i", x.astype(np.float64), y.astype(np.float64))
    size = np.einsum("kp,kip->i", np.abs(x).astype(np.float64), np.abs(y).astype(np.float64))
    meant = np.zeros(count, "float32")
    interpret(kernel("float32", count), [x.view(np.uint32)[:, 0], words(y), meant])
    results = [meant]
    if "avx512_bf16" in cpu_flags():
        target = replace(find("avx512"), features="-prefer-256-bit,+avx512bf16")
        results.append(run(kernel("float32", count), target, x, y, "float32"))
    for found in results:
        np.testing.assert_array_equal(np.isnan(found), np.isnan(exact))
        finite = np.isfinite(exact)
        assert (np.abs(found - exact)[finite] <= 4 * 2**-24 * size[finite]).all()
