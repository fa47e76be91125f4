"""Sorts against the reference, bit for bit: what compares equal keeps its order."""

import kernel_running as running
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fornax.backends.llvm import target as targets
from fornax.compiler.kernels import merge, network, radix, sort
from fornax.primitives.sort import sort_p
from fornax.record import replace

DTYPES = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
    ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, "float32", "float64", "complex64", "complex128",
]  # fmt: skip
SPECIAL = [np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45]


@pytest.fixture
def small(monkeypatch):
    """Digits of few bits for lines not that long, which the interpreter gets through in time."""
    monkeypatch.setattr(radix, "DIGIT", 4)
    monkeypatch.setattr(sort, "LONGEST", 16)


def values(generator, shape, dtype):
    """Many equal values, and all the special ones."""
    x = running.random(generator, shape, dtype)
    if np.dtype(dtype).kind in "iu":  # the extremes, too
        info = np.iinfo(dtype)
        extreme = generator.random(shape)
        x = np.where(extreme < 0.1, info.min, np.where(extreme > 0.9, info.max, x)).astype(dtype)
    if np.dtype(dtype).kind in "fcV" and x.size:
        chosen = generator.integers(0, 16, shape)
        with np.errstate(all="ignore"):
            for k, value in enumerate(SPECIAL):
                x[chosen == k] = np.asarray(value).astype(dtype)
            if np.dtype(dtype).kind == "c":
                x.imag[generator.integers(0, 4, shape) == 0] = np.nan
        x[chosen == len(SPECIAL)] = x.flat[0]
    return x


def check(arrays, how, dimension=0, num_keys=1, **options):
    params = {"dimension": dimension, "is_stable": True, "num_keys": num_keys}
    outputs = [(a.shape, a.dtype) for a in arrays]
    found = running.apply("sort", params, arrays, outputs, how, **options)
    wanted = sort_p.reference(*arrays, **params)
    for x, y in zip(found, wanted, strict=True):
        if x.dtype == np.float16 or x.dtype.kind == "V":  # conversions may change a NaN's bits
            x, y = x.astype(np.float32), y.astype(np.float32)
            np.testing.assert_array_equal(np.signbit(x), np.signbit(y))
            np.testing.assert_array_equal(x, y)
        else:
            assert x.tobytes() == np.ascontiguousarray(y).tobytes()


def positions(shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.int32).reshape(shape)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 17, 33, 100, 256])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64"])
def test_short_lines(dtype, length, how):
    generator = np.random.default_rng(length)
    for shape, dimension in (((length,), 0), ((3, length), 1), ((length, 20), 0)):
        if how == "compile" or length < 20:
            check([values(generator, shape, dtype)], how, dimension)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("length", [13, 40])
def test_dtypes(dtype, length, how, small):
    generator = np.random.default_rng(length)
    x = values(generator, (2, length), dtype)
    check([x], how, 1)
    check([x, positions(x.shape)], how, 1)


@pytest.mark.parametrize("length", [9, 25])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axes(axis, length, how, small):
    shape = [2, 3, 2]
    shape[axis] = length
    x = values(np.random.default_rng(axis), tuple(shape), "float32")
    check([x, positions(x.shape)], how, axis)


@pytest.mark.parametrize("length", [12, 30])
@pytest.mark.parametrize(
    "dtypes",
    [
        ("int8", "float32"),
        ("float64", "int64"),
        ("complex64", "bool"),
        ("float32", "float32", "int16"),
    ],
)
def test_several_keys(dtypes, length, how, small):
    generator = np.random.default_rng(3)
    arrays = [values(generator, (2, length), dtype) for dtype in dtypes]
    check([*arrays, positions((2, length))], how, 1, num_keys=len(dtypes))
    check([*arrays, values(generator, (2, length), "complex64")], how, 1, num_keys=1)


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(101,), (2, 75), (3, 5000)])
def test_threads(shape, threads, how, small, monkeypatch):
    """Lines in chunks: results are the same for every number of threads."""
    monkeypatch.setattr(radix, "CHUNK", 20)
    if how == "interpret" and shape[-1] > 100:
        pytest.skip("takes long")
    generator = np.random.default_rng(threads)
    x, y = values(generator, shape, "float32"), values(generator, shape, "int16")
    dimension = len(shape) - 1
    check([x, positions(shape)], how, dimension, threads=threads)
    check([y, x, x.astype("complex64")], how, dimension, num_keys=2, threads=threads)


@pytest.mark.parametrize("name", ["avx2", "sse2"])
@pytest.mark.parametrize("length", [20, 300, 1100])
def test_other_targets(name, length):
    target = targets.find(name)
    generator = np.random.default_rng(length)
    for dtype in ("int8", "float32", "float64", ml_dtypes.bfloat16, "complex64"):
        x = values(generator, (21, length), dtype)
        check([x], "compile", 1, target=target)
        check([x, positions(x.shape)], "compile", 1, target=target)


def test_long():
    x = values(np.random.default_rng(0), (100_003,), "float32")
    for threads in (1, 2, 3):
        check([x], "compile", threads=threads)
        check([x, positions(x.shape)], "compile", threads=threads)


@pytest.mark.parametrize("value", [0.0, -1.5, np.nan])
def test_equal_keys_move_nothing(value, how, small):
    x = np.full((2, 40), value, np.float32)
    check([x, positions(x.shape)], how, 1)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_empty(shape, how):
    check([np.zeros(shape, np.float32)], how)


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 2000), st.integers(1, 3)),
    axis=st.integers(0, 2),
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=1, max_size=3),
    num_keys=st.integers(1, 3),
    threads=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=10, deadline=None)
def test_any(shape, axis, dtypes, num_keys, threads, seed):
    generator = np.random.default_rng(seed)
    arrays = [values(generator, shape, dtype) for dtype in dtypes]
    old = radix.CHUNK
    radix.CHUNK = 64
    try:
        check(arrays, "compile", axis, min(num_keys, len(dtypes)), threads=threads)
    finally:
        radix.CHUNK = old


def merged_in_chunks(monkeypatch, blocks):
    """Merges whose chunks have at most so many blocks of float32."""
    monkeypatch.setattr(merge, "CHUNK", 1)
    return replace(targets.find("avx512"), l2=16 * 256 * blocks)


@pytest.mark.parametrize("length", [33, 256, 257, 513, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_lines_alone(dtype, length):
    x = values(np.random.default_rng(length), (length,), dtype)
    check([x], "compile")
    check([x, positions(x.shape)], "compile")


@pytest.mark.parametrize("name", ["avx512", "avx2"])
def test_merges_in_the_interpreter(name):
    x = values(np.random.default_rng(0), (2, 700), "float32")
    check([x], "interpret", 1, target=targets.find(name))


def test_chunks_in_the_interpreter(monkeypatch):
    target = merged_in_chunks(monkeypatch, 2)
    x = np.sort(np.random.default_rng(0).integers(0, 3, 1280).astype(np.float32))
    check([x], "interpret", target=target)


@pytest.mark.parametrize("shape", [(40, 3), (500, 2), (1100, 4), (2, 1500, 3)])
def test_merges_of_strided_lines(shape):
    x = values(np.random.default_rng(1), shape, "float32")
    check([x], "compile", len(shape) - 2)
    check([x, positions(shape)], "compile", len(shape) - 2)


@pytest.mark.parametrize("blocks, length", [(1, 1280), (2, 2816), (3, 5000), (8, 2600)])
def test_merges_of_chunks(blocks, length, monkeypatch):
    """Chunks of any number of blocks, and a last one that is shorter, come together in order."""
    target = merged_in_chunks(monkeypatch, blocks)
    generator = np.random.default_rng(length)
    params = {"dimension": 0, "is_stable": True, "num_keys": 1}
    x = generator.integers(0, 1 << 32, length).astype(np.uint32)
    k = running.context("sort", params, [x], [(x.shape, x.dtype)], target)
    for distinct in (1, 2, 3, 10, length, 1 << 32):
        x = generator.integers(0, distinct, length).astype(np.uint32)
        x[x == distinct - 1] = (1 << 32) - 1
        parts = np.sort(x[: length // 3]), np.sort(x[length // 3 :])
        for y in (x, np.sort(x), np.sort(x)[::-1], np.concatenate(parts)):
            (found,) = running.run(k, [np.ascontiguousarray(y)], "compile")
            assert np.array_equal(found, np.sort(x))


def test_merges_on_threads(monkeypatch):
    monkeypatch.setattr(merge, "CHUNK", 1000)
    x = values(np.random.default_rng(0), (2, 5000), "float32")
    for threads in (2, 3, 4):
        check([x], "compile", 1, threads=threads)
        check([x[0], positions(x[0].shape)], "compile", threads=threads)


@given(
    lines=st.integers(1, 3),
    length=st.integers(33, 6000),
    dtype=st.sampled_from(["float32", "int32", "float64", "uint64", "float16"]),
    distinct=st.sampled_from([1, 2, 7, 1000]),
    name=st.sampled_from(["avx512", "avx2", "sse2"]),
    threads=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=8, deadline=None)
def test_any_merges(lines, length, dtype, distinct, name, threads, seed):
    generator = np.random.default_rng(seed)
    pool = values(generator, (distinct,), dtype)
    x = pool[generator.integers(0, distinct, (lines, length))]
    old = merge.CHUNK
    merge.CHUNK = 64
    try:
        target = targets.find(name)
        check([x], "compile", 1, target=target, threads=threads)
        check([x, positions(x.shape)], "compile", 1, target=target, threads=threads)
    finally:
        merge.CHUNK = old


def test_ways():
    """Which lines are sorted how."""
    most = network.LONGEST
    for shape, dtype, names in (
        ((20,), "float32", {"tile0_0"}),
        ((most,), "float32", {"merged"}),
        ((16, most), "float32", {"tile0_0"}),
        ((16, most + 1), "float32", {"merged"}),
        ((most + 1,), "uint8", {"counts"}),
        ((most + 1,), "complex128", {"counts"}),
    ):
        x = np.zeros(shape, dtype)
        params = {"dimension": x.ndim - 1, "is_stable": True, "num_keys": 1}
        target = targets.find("avx512")
        k = running.context("sort", params, [x], [(x.shape, x.dtype)], target)
        assert names <= {b.name for kernel in k.kernels for b in kernel.buffers}
