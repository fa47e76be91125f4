"""Long sums are added up in blocks: errors hardly grow, and every element counts."""

from __future__ import annotations

import numpy as np
import pytest

import fornax

#: shape, axis: lengths with and without rests, columns in few and many registers, nests, long rows
SHAPES = [
    ((127, 5), 0), ((128, 5), 0), ((1003, 8), 0), ((12_600, 5), 0), ((9001, 17), 0),
    ((4101, 64), 0), ((1000, 300), 0), ((8200, 1), 0), ((3, 1000, 7), 1), ((2, 700, 40), 1),
    ((5000, 3, 3), (0, 2)), ((3, 300, 5), (0, 1)), ((70, 129, 2), (0, 1)), ((2, 9000), 1),
    ((3, 40_000), 1), ((100_003,), 0),
]  # fmt: skip


def nearly_equal(shape):
    """Numbers whose roundings all go one way in a plain loop."""
    x = np.full(shape, 0.1, np.float32)
    x.reshape(-1)[::3] = 0.17
    return x


@pytest.mark.parametrize("shape, axis", SHAPES)
def test_errors_are_small(shape, axis):
    x = nearly_equal(shape)
    got = np.asarray(fornax.jit(lambda x: x.sum(axis))(x))
    exact = x.astype(float).sum(axis)
    assert np.max(np.abs(got / exact - 1)) < 32 * 2.0**-24


@pytest.mark.parametrize("shape, axis", SHAPES)
def test_every_element_counts_once(shape, axis):
    """Sums of whole numbers are exact in any order."""
    x = np.random.default_rng(2).integers(-9, 9, shape).astype(np.float32)
    function = fornax.jit(lambda x: (x.sum(axis), (2 * x).sum(axis), x.max(axis)))
    for got, want in zip(function(x), (x.sum(axis), 2 * x.sum(axis), x.max(axis)), strict=True):
        np.testing.assert_array_equal(np.asarray(got), want)


@pytest.mark.parametrize("dtype", ["float64", "float16", "complex64"])
def test_other_types(dtype):
    x = nearly_equal((3000, 6)).astype(dtype)
    with fornax.enable_x64(True):
        got = np.asarray(fornax.jit(lambda x: x.sum(0))(x))
    assert got.dtype == dtype
    rounding = {"float64": 2.0**-53, "float16": 2.0**-11, "complex64": 2.0**-24}[dtype]
    np.testing.assert_allclose(
        got, x.astype("complex256" if dtype[0] == "c" else "longdouble").sum(0), rtol=32 * rounding
    )


def test_results_do_not_depend_on_the_number_of_threads():
    x = np.random.default_rng(4).standard_normal((20_011, 7)).astype(np.float32)
    found = [np.asarray(fornax.jit(lambda x: x.sum(0), threads=k)(x)) for k in (1, 2, 3, 4)]
    assert all(np.array_equal(found[0], other) for other in found[1:])
