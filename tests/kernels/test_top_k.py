"""The largest elements against the reference: order, positions, ties."""

import kernel_running as running
import ml_dtypes
import numpy as np
import pytest
from test_sort import values

from fornax.backends.llvm import target as targets
from fornax.compiler.kernels import radix, top_k
from fornax.primitives.sort import top_k_p

DTYPES = [
    "bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "float16", ml_dtypes.bfloat16,
    "float32", "float64",
]  # fmt: skip


def check(x, count, how, axis=None, **options):
    axis = x.ndim - 1 if axis is None else axis
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    found, places = running.apply(
        "top_k", {"k": count, "axis": axis}, [x], [(shape, x.dtype), (shape, "int32")], how,
        **options,
    )  # fmt: skip
    wanted, positions = top_k_p.reference(x, k=count, axis=axis)
    np.testing.assert_array_equal(places, positions)
    if x.dtype.kind == "V" or x.dtype == np.float16:
        found, wanted = found.astype(np.float32), wanted.astype(np.float32)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype, how):
    generator = np.random.default_rng(1)
    check(values(generator, (2, 150), dtype), 5, how)
    check(values(generator, (2, 20), dtype), 20, how)


@pytest.mark.parametrize(("length", "count"), [(1, 1), (5, 1), (65, 16), (64, 1), (130, 7)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_sizes(length, count, threads, how, monkeypatch):
    monkeypatch.setattr(top_k, "CHUNK", 16)
    check(values(np.random.default_rng(length), (length,), "float32"), count, how, threads=threads)


@pytest.mark.parametrize("axis", [0, 1])
def test_axes(axis, how):
    check(values(np.random.default_rng(axis), (33, 40), "float32"), 3, how, axis)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_large_counts_are_sorted(threads, how, monkeypatch):
    monkeypatch.setattr(radix, "DIGIT", 4)
    monkeypatch.setattr(radix, "CHUNK", 20)
    check(values(np.random.default_rng(0), (90,), "int16"), 50, how, threads=threads)


@pytest.mark.parametrize("order", [1, -1])
def test_sorted_lines(order, how):
    """Where every element qualifies, or none does."""
    check(np.arange(100, dtype=np.float32)[::order].copy(), 9, how)


@pytest.mark.parametrize("value", [0.0, -np.inf, np.nan, -np.nan])
def test_equal_elements(value, how):
    check(np.full(100, value, np.float32), 9, how)


@pytest.mark.parametrize("dtype", ["uint32", "int32", "uint8", "float32", "int64"])
@pytest.mark.parametrize("better", [0, 2, 40])
def test_many_of_the_worst(dtype, better, how):
    """Where fewer elements than are wanted, or just as many, are better than the worst of all."""
    generator = np.random.default_rng(better)
    x = np.full(600, -np.nan if dtype == "float32" else np.iinfo(dtype).min).astype(dtype)
    if dtype == "float32":
        x.view(np.uint32)[:] = 0xFFFFFFFF
    x[generator.choice(600, better, replace=False)] = generator.integers(1, 4, better)
    check(x, 7, how)


@pytest.mark.parametrize("length", [300, 5000])
@pytest.mark.parametrize("count", [1, 8, 33])
def test_long_lines(length, count, how):
    """More elements pass than there is room for: in falling runs, each above the one before."""
    if how == "interpret" and length > 1000:
        pytest.skip("takes long")
    order = np.arange(length)
    rising = (order // 50 * 50 + 49 - order % 50).astype(np.float32)
    for x in (rising, rising % 97, values(np.random.default_rng(count), length, "float32")):
        check(x, count, how)


@pytest.mark.parametrize("name", ["avx2", "sse2"])
def test_other_targets(name):
    for dtype in ("float32", "int64"):
        x = values(np.random.default_rng(2), (3, 1000), dtype)
        check(x, 17, "compile", target=targets.find(name))


def test_empty(how):
    check(np.zeros((0, 4), np.float32), 2, how)
    check(np.zeros((3, 4), np.float32), 0, how)
