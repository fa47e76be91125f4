"""`dynamic_update_slice` and `concatenate`."""

import kernel_running as running
import ml_dtypes
import numpy as np
import pytest

from fornax.compiler.kernels import concatenate

DTYPES = ["bool", "int8", "uint32", "float16", ml_dtypes.bfloat16, "float64", "complex64"]
UPDATES = [  # shape, update, starts
    ((9,), (4,), (3,)), ((9,), (4,), (7,)), ((9,), (4,), (-3,)), ((9,), (9,), (5,)),
    ((6, 20), (2, 17), (3, 1)), ((6, 20), (6, 1), (0, 19)), ((3, 4, 5), (1, 4, 2), (2, 0, 9)),
    ((5,), (0,), (2,)), ((), (), ()),
]  # fmt: skip


def update(shape, block, starts, how, dtype="float32", index="int32"):
    generator = np.random.default_rng(3)
    x, y = (running.random(generator, s, dtype) for s in (shape, block))
    places = [np.asarray(s, index) for s in starts]
    (found,) = running.apply("dynamic_update_slice", {}, [x, y, *places], [(shape, dtype)], how)
    inside = [min(max(int(s), 0), n - m) for s, n, m in zip(starts, shape, block, strict=True)]
    x[tuple(slice(s, s + m) for s, m in zip(inside, block, strict=True))] = y
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("case", UPDATES, ids=str)
def test_update(case, how):
    update(*case, how)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_update_dtypes(dtype, how):
    update((6, 20), (2, 17), (3, 1), how, dtype)


@pytest.mark.parametrize("index", ["int8", "uint8", "int64", "uint64"])
def test_update_index_dtypes(index, how):
    update((300,), (10,), (100,), how, index=index)


@pytest.mark.parametrize("small", [0, 1 << 14])
@pytest.mark.parametrize(
    "shapes,dimension",
    [
        ([(3,), (4,), (0,), (1,)], 0), ([(3, 5), (2, 5)], 0), ([(3, 5), (3, 1), (3, 20)], 1),
        ([(2, 3, 4), (2, 1, 4)], 1), ([(1,)] * 9, 0), ([(4, 0), (4, 0)], 1), ([(2, 7)], -1),
    ],
    ids=str,
)  # fmt: skip
def test_concatenate(shapes, dimension, small, how, monkeypatch):
    monkeypatch.setattr(concatenate, "SMALL", small)
    generator = np.random.default_rng(4)
    arrays = [running.random(generator, s, "float32") for s in shapes]
    expected = np.concatenate(arrays, dimension)
    outputs = [(expected.shape, "float32")]
    (found,) = running.apply("concatenate", {"dimension": dimension}, arrays, outputs, how)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_concatenate_dtypes(dtype, how):
    generator = np.random.default_rng(5)
    arrays = [running.random(generator, s, dtype) for s in [(2, 3), (2, 4)]]
    expected = np.concatenate(arrays, 1)
    (found,) = running.apply(
        "concatenate", {"dimension": 1}, arrays, [(expected.shape, dtype)], how
    )
    np.testing.assert_array_equal(found, expected)
