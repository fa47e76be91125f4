"""The functions of lax that move elements: what they refuse, and what they fill in."""

import numpy as np
import pytest

import fornax as fx
from fornax import lax

X = np.arange(12.0, dtype=np.float32).reshape(3, 4)
ROW = X[0]
GATHER, SCATTER = lax.GatherDimensionNumbers, lax.ScatterDimensionNumbers
I1 = np.array([1], np.int32)


@pytest.mark.parametrize(
    ("function", "arguments", "error", "text"),
    [
        (lax.reshape, (X, (5,)), ValueError, "total size must be unchanged"),
        (lax.reshape, (X, (-1,)), TypeError, "must all be positive"),
        (lax.reshape, (X, (4, 3), (1, 1)), TypeError, "permutation of operand dimensions"),
        (lax.squeeze, (X, (0,)), ValueError, "size not equal to one"),
        (lax.squeeze, (X, (5,)), ValueError, "axis 5 is out of bounds"),
        (lax.squeeze, (X[None], (0, 0)), ValueError, "not unique"),
        (lax.expand_dims, (X, (5,)), ValueError, "axis 5 is out of bounds"),
        (lax.expand_dims, (X, (0, 0)), ValueError, "repeated axis"),
        (lax.rev, (X, (5,)), TypeError, "less than operand ndim"),
        (lax.rev, (X, (0, 0)), TypeError, "unique"),
        (lax.rev, (X, (-1,)), TypeError, "nonnegative"),
        (lax.transpose, (X, (0, 0)), TypeError, "isn't a permutation"),
        (lax.split, (X, (1, 1)), ValueError, "Sum of sizes 2 must be equal"),
        (lax.split, (X, (-1, 4)), ValueError, "nonnegative"),
        (lax.iota, (np.bool_, 3), TypeError, "does not accept dtype bool"),
        (lax.broadcasted_iota, (np.int32, (2, 3), 2), ValueError, "iota dimension must be between"),
        (lax.pad, (X, 0.0, [(-3, -1, 0), (0, 0, 0)]), ValueError, "not at least 0"),
        (lax.pad, (X, 0.0, [(0, 0, 0)]), ValueError, "must equal the number of axes"),
        (lax.pad, (X, 0, [(1, 1, 0), (0, 0, 0)]), TypeError, "must be same dtype"),
        (lax.pad, (X, 0.0, [(1, 1, -1), (0, 0, 0)]), ValueError, "nonnegative"),
        (lax.pad, (X, ROW, [(1, 1, 1), (0, 0, 0)]), ValueError, "must be a scalar"),
        (lax.concatenate, ([], 0), ValueError, "non-empty"),
        (lax.concatenate, ([X, ROW], 0), TypeError, "different numbers of dimensions"),
        (lax.concatenate, ([X, X], 2), TypeError, "dimension out of bounds"),
        (lax.concatenate, ([X, X[:1]], 1), TypeError, "differ in dimensions other than"),
        (lax.concatenate, ([X, X.astype(np.int32)], 1), TypeError, "same dtypes"),
        (lax.slice, (X, (0,), (1,)), TypeError, "length equal to the number of dimensions"),
        (lax.slice, (X, (0, 0), (4, 1)), TypeError, "less than or equal to operand shape"),
        (lax.slice, (X, (2, 0), (1, 1)), TypeError, "greater than or equal to start_indices"),
        (lax.slice, (X, (-1, 0), (1, 1)), TypeError, "nonnegative"),
        (lax.index_in_dim, (X, 5), IndexError, "index 5 is out of bounds"),
        (lax.dynamic_slice, (X, (0,), (1, 1)), ValueError, "Length of slice indices"),
        (lax.dynamic_slice, (X, (0, 0), (4, 1)), TypeError, "less than or equal to operand shape"),
        (lax.dynamic_slice, (X, (0, 0.0), (1, 1)), TypeError, "integers of the same type"),
        (lax.dynamic_slice, (X, (I1, 0), (1, 1)), TypeError, "must be scalars"),
        (lax.dynamic_update_slice, (X, ROW, (0, 0)), TypeError, "same rank as operand"),
        (lax.dynamic_update_slice, (X, X.astype(np.int32), (0, 0)), TypeError, "same dtypes"),
        (lax.dynamic_update_slice, (X[:2], X, (0, 0)), TypeError, "must be smaller"),
        (lax.gather, (X, I1, GATHER((0,), (0,), (0,)), (1, 5)), TypeError, "out of range"),
        (lax.gather, (X, I1, GATHER((0,), (0,), (0,)), (1,)), TypeError, "one slice size for"),
        (lax.gather, (X, I1, GATHER((1,), (0,), (0,)), (1, 4)), TypeError, "out of bounds"),
        (lax.gather, (X, I1, GATHER((0,), (0,), (0, 1)), (1, 4)), TypeError, "2 elements in"),
        (lax.gather, (X, I1, GATHER((0,), (0,), (2,)), (1, 4)), TypeError, "domain is"),
        (lax.gather, (X, I1, GATHER((0,), (0,), (0,)), (2, 4)), TypeError, "can only collapse"),
        (lax.gather, (X, ROW, GATHER((0,), (0,), (0,)), (1, 4)), ValueError, "integer type"),
        (lax.scatter, (X, I1, np.ones(5, np.float32), SCATTER((0,), (0,), (0,))), TypeError,
         "must not exceed"),
        (lax.scatter, (X, I1, np.ones(4, np.int32), SCATTER((0,), (0,), (0,))), TypeError,
         "same dtypes"),
        (lax.scatter, (X, I1, X, SCATTER((0,), (0,), (0,))), TypeError, "must be of rank 1"),
        (lax.scatter_add, (X > 1, I1, ROW > 1, SCATTER((0,), (0,), (0,))), TypeError,
         "does not accept dtype bool"),
        (lax.sort, ((),), TypeError, "at least one operand"),
        (lax.sort, ((X, ROW),), TypeError, "equal shapes"),
        (lax.sort, (X, 2), ValueError, "axis 2 is out of bounds"),
        (lax.top_k, (X, 5), ValueError, "no larger than size along axis"),
        (lax.top_k, (X, -1), ValueError, "nonnegative"),
        (lax.top_k, (X + 1j, 1), ValueError, "complex"),
        (lax.full, ((2,), ROW), TypeError, "scalar fill_value"),
        (lax.broadcast_shapes, ((2,), (3,)), ValueError, "Incompatible shapes"),
        (lax.broadcast_in_dim, (X, (3, 5), (0, 1)), TypeError, "must either be 1"),
    ],
)  # fmt: skip
def test_refused(function, arguments, error, text):
    with pytest.raises(error, match=text):
        function(*arguments)


@pytest.mark.parametrize(
    ("start", "expected"), [(1, [1, 2]), (7, [2, 3]), (-1, [2, 3]), (-9, [0, 1])]
)
def test_dynamic_slices_fit_inside(start, expected):
    row = np.arange(4)
    for function in (lax.dynamic_slice_in_dim, fx.jit(lax.dynamic_slice_in_dim, static_argnums=2)):
        assert function(row, start, 2).tolist() == expected
    updated = lax.dynamic_update_slice_in_dim(row, np.array([-1, -1]), start, 0)
    assert [i for i, v in enumerate(updated.tolist()) if v == -1] == expected


@pytest.mark.parametrize(
    ("dtype", "filled"),
    [("float32", np.nan), ("int8", -128), ("uint16", 65535), ("bool", True), ("complex64", np.nan)],
)
def test_gather_fills_with_the_default_of_the_dtype(dtype, filled):
    numbers = GATHER((0,), (0,), (0,))
    result = lax.gather(X.astype(dtype), np.array([7]), numbers, (1, 4), mode="fill")
    np.testing.assert_array_equal(result, np.full(4, filled).astype(dtype))


def test_order_of_special_values():
    x = np.array([1, np.nan, np.inf, -np.nan, -np.inf, 2, 2, -0.0, 0.0], np.float32)
    values, places = lax.top_k(x, 9)
    assert places.tolist() == [1, 2, 5, 6, 0, 8, 7, 4, 3]
    order = lax.sort((x, np.arange(9)))[1]
    assert order.tolist() == [4, 7, 8, 0, 5, 6, 2, 1, 3]


def test_derivatives_of_sort_and_top_k():
    weights = np.array([1.0, 10.0, 100.0], np.float32)
    x = np.array([3.0, 1.0, 2.0], np.float32)
    assert fx.grad(lambda x: (lax.sort(x) * weights).sum())(x).tolist() == [100, 1, 10]
    assert fx.grad(lambda x: (lax.top_k(x, 2)[0] * weights[:2]).sum())(x).tolist() == [1, 0, 10]
    dx = fx.jit(fx.grad(lambda x: lax.sort_key_val(x, x * 2)[1][0]))(x)
    assert dx.tolist() == [0, 2, 0]


def test_pieces_put_together_again():
    pieces = lax.split(X, (1, 3), 1)
    np.testing.assert_array_equal(lax.concatenate(pieces, 1), X)
    np.testing.assert_array_equal(lax.stack(lax.unstack(X, 1), 1), X)
    np.testing.assert_array_equal(lax.tile(X, (2, 3)), np.tile(X, (2, 3)))
    assert lax.collapse(X[None], 0, 2).shape == (3, 4)
