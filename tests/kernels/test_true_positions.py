"""Where masks hold, against the reference: blocks, sizes, threads."""

import kernel_running as running
import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax.backends.llvm import target as targets
from fornax.compiler.kernels import true_positions
from fornax.primitives.true_positions import true_positions_p


def check(mask, size, how, dtype="int32", **options):
    found, count = running.apply(
        "true_positions", {"wanted": size, "index_dtype": np.dtype(dtype)}, [mask],
        [((size,), dtype), ((), dtype)], how, **options,
    )  # fmt: skip
    wanted, total = true_positions_p.reference(mask, wanted=size, index_dtype=np.dtype(dtype))
    np.testing.assert_array_equal(found, wanted)
    assert count == total


def mask_of(length, share, seed=0):
    return np.random.default_rng(seed).random(length) < share


@pytest.mark.parametrize("length", [1, 7, 16, 50])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("threads", [1, 3])
def test_lengths(length, share, threads, how, monkeypatch):
    monkeypatch.setattr(true_positions, "BLOCK", 8)
    monkeypatch.setattr(true_positions, "WORTH_A_THREAD", 1)
    mask = mask_of(length, share, length)
    for size in (0, 1, length // 2, length, length + 5):
        check(mask, size, how, threads=threads)


@pytest.mark.parametrize("target", ["sse2", "avx2"])
def test_other_targets(target):
    for dtype in ("int32", "int64"):
        check(mask_of(9000, 0.5), 9000, "compile", dtype, target=targets.find(target))


def test_nothing(how):
    check(np.zeros(0, bool), 3, how)
    check(np.zeros(0, bool), 0, how)


@pytest.mark.parametrize("shape", [(5000,), (70, 90), (0, 3)])
def test_nonzero(shape):
    """Under jit and outside, of masks that are computed on the way."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for size in (0, 100, 6000):
        program = lambda x, size=size: fnp.nonzero(x > 0.5, size=size, fill_value=-1)  # noqa: E731
        wanted = [np.resize(p, size) if len(p) >= size > 0 else p for p in np.nonzero(x > 0.5)]
        for places, expected in zip(fornax.jit(program)(x), wanted, strict=True):
            padded = np.full(size, -1)
            padded[: len(expected)] = expected[:size]
            np.testing.assert_array_equal(places, padded)
        for places, same in zip(program(fnp.asarray(x)), fornax.jit(program)(x), strict=True):
            np.testing.assert_array_equal(places, same)


def test_mapped():
    masks = np.random.default_rng(0).random((3, 40)) < 0.4
    program = lambda m: fnp.nonzero(m, size=20)[0]  # noqa: E731
    found = fornax.jit(fornax.vmap(program))(masks)
    np.testing.assert_array_equal(found, [program(fnp.asarray(m)) for m in masks])


@pytest.mark.parametrize("length", [10, 20_000])
def test_boolean_indices(length):
    generator = np.random.default_rng(1)
    x, mask = generator.standard_normal((length, 2)), generator.random(length) < 0.5
    array = fnp.asarray(x)
    for _ in range(3):
        np.testing.assert_array_equal(array[fnp.asarray(mask)], np.asarray(array)[mask])
    traced = fornax.jit(lambda a: a[mask] * 2)(array)
    np.testing.assert_array_equal(traced, np.asarray(array)[mask] * 2)
    gradient = fornax.grad(lambda a: (a[mask] ** 2).sum())(array)
    np.testing.assert_allclose(gradient, np.where(mask[:, None], 2 * np.asarray(array), 0))


def test_one_position():
    program = fornax.jit(lambda m: fnp.nonzero(m, size=1, fill_value=-1)[0])
    for mask, place in (([False, True, True], 1), ([False], -1), ([True], 0)):
        assert program(np.asarray(mask)).tolist() == [place]
