"""Orthogonal initializers, and the dimension numbers of convolutions."""

from __future__ import annotations

import numpy as np
import pytest

from fornax import lax, random
from fornax.nn import initializers

KEY = random.key(0)


@pytest.mark.parametrize("shape, axis", [((3, 2), -1), ((2, 3), -1), ((2, 2, 3), 1), ((4, 4), 0)])
def test_columns_or_rows_are_orthonormal(shape, axis):
    x = np.asarray(initializers.orthogonal(2.0, axis)(KEY, shape))
    assert x.shape == shape and x.dtype == np.float32
    matrix = np.moveaxis(x, axis, -1).reshape(-1, shape[axis])
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_values_are_those_of_jax():
    """Values of jax 0.10.2."""
    expected = [[0.96083665, 0.18604839], [-0.25675002, 0.3188112], [0.10427104, -0.92937905]]
    np.testing.assert_allclose(initializers.orthogonal()(KEY, (3, 2)), expected, rtol=1e-5)


def test_delta_orthogonal_is_zero_off_its_centre():
    x = np.array(initializers.delta_orthogonal()(KEY, (3, 4, 2, 3)))
    np.testing.assert_allclose(x[1, 1] @ x[1, 1].T, np.eye(2), atol=1e-6)
    x[1, 1] = 0
    assert not x.any()


def test_dimension_numbers():
    shapes = (1, 2, 3, 4), (5, 6, 7, 8)
    plain = lax.conv_dimension_numbers(*shapes, None)
    assert plain == ((0, 1, 2, 3),) * 3 and lax.conv_dimension_numbers(*shapes, plain) is plain
    found = lax.conv_dimension_numbers(*shapes, ("NHWC", "HWIO", "NWHC"))
    assert found == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 2, 1))


four = (1, 2, 3, 4)
ERRORS = {
    "rank": (lambda: lax.conv_dimension_numbers(four, (5, 6, 7), None), TypeError, "ndim"),
    "two": (lambda: lax.conv_dimension_numbers(four, four, ("NHWC", "HWIO")), TypeError, "length"),
    "kind": (lambda: lax.conv_dimension_numbers(four, four, 3), TypeError, "tuple/list"),
    "numbers": (lambda: lax.conv_dimension_numbers(four, four, (1, 2, 3)), TypeError, "strings"),
    "letters": (lambda: lax.conv_dimension_numbers(four, four, ("NHWC", "HWIX", "NHWC")),
                TypeError, "exactly once"),
    "spatial": (lambda: lax.conv_dimension_numbers(four, four, ("NHWC", "HWIO", "NHDC")),
                TypeError, "same set of spatial"),
    "length": (lambda: lax.conv_dimension_numbers(four, four, ("NHC", "HWIO", "NHWC")),
               TypeError, "len equal"),
    "vector": (lambda: initializers.orthogonal()(KEY, (3,)), ValueError, "at least a 2D"),
    "matrix": (lambda: initializers.delta_orthogonal()(KEY, (3, 3)), ValueError, "3D, 4D"),
    "inputs": (lambda: initializers.delta_orthogonal()(KEY, (3, 3, 2)), ValueError, "fan_in"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_mistakes_are_named(name):
    function, error, text = ERRORS[name]
    with pytest.raises(error, match=text):
        function()
