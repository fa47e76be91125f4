"""The functions of `lax` that do more than apply one primitive: shapes, dtypes, errors."""

import functools
import operator

import numpy as np
import pytest

import fornax
import laws
from fornax import lax, tree
from fornax.scipy import fft, linalg

F = np.float32


def array(x):
    return laws.numpy(x)


# --- shapes and dtypes -------------------------------------------------------------------------
def test_sizes_of_one_are_repeated():
    result = lax.add(np.ones((3, 1), F), np.arange(2, dtype=F).reshape(1, 2))
    np.testing.assert_array_equal(array(result), [[1, 2]] * 3)


def test_scalars_go_with_every_element():
    np.testing.assert_array_equal(array(lax.mul(np.ones((2, 2), F), 3.0)), np.full((2, 2), 3, F))


@pytest.mark.parametrize(
    ("function", "operands", "error", "text"),
    [
        (lax.add, (np.ones(2, F), 1), TypeError, "same dtypes, got float32, int32"),
        (lax.add, (True, False), TypeError, "add does not accept dtype bool at position 0"),
        (lax.add, (np.ones(2, F), np.ones(3, F)), TypeError, "incompatible shapes"),
        (lax.add, (np.ones((2, 2), F), np.ones(2, F)), TypeError, "same number of dimensions"),
        (lax.sin, (1,), TypeError, "sin does not accept dtype int32"),
        (lax.sin, ("text",), TypeError, "not a valid JAX type"),
        (lax.shift_left, (1.0, 2.0), TypeError, "subtypes of integer"),
        (lax.complex, (np.float16(1), np.float16(2)), TypeError, "float32, float64"),
        (lax.integer_pow, (2, -1), TypeError, "negative powers"),
        (lax.pow, (np.complex64(1), np.float32(1)), TypeError, "two inexact dtypes"),
        (lax.select, (True, np.ones(2, F), 1.0), TypeError, "must have the same shapes"),
        (lax.select_n, (np.ones(2, bool), np.ones(3, F)), TypeError, "`which` must be scalar"),
        (lax.select_n, (1.0, 1.0, 2.0), TypeError, "boolean or integer"),
        (lax.select_n, (True, 1.0, 2.0, 3.0), TypeError, "more than 2 cases"),
        (lax.clamp, (np.ones(3, F), np.ones(2, F), 1.0), TypeError, "clamp requires min.shape"),
        (lax.argmax, (np.ones(2, F), 1, np.int32), ValueError, "Invalid axis 1"),
        (lax.argmax, (np.ones(2, F), 0, np.float32), TypeError, "must be an integer type"),
        (lax.argmax, (np.ones((0,), F), 0, np.int32), ValueError, "empty sequence"),
        (lax.reduce_max, (np.ones(2, F), (1,)), ValueError, "out of bounds"),
        (lax.reduce_sum, (np.ones((2, 2), F), (0, 0)), ValueError, "duplicate"),
        (lax.reduce_and, (np.ones(2, F), (0,)), TypeError, "dtype bool or int"),
        (lax.cumsum, (np.ones(2, bool),), TypeError, "does not accept dtype bool"),
        (lax.cumsum, (np.ones(2, F), 1), ValueError, "out of bounds"),
        (lax.dot, (np.ones((2, 3), F), np.ones((2, 3), F)), ValueError, "dimension_numbers"),
        (lax.dot, (np.ones((2, 3, 4), F), np.ones((2, 2), F)), ValueError, "dimension_numbers"),
        (lax.approx_max_k, (np.arange(6), 2), ValueError, "must be a floating type"),
        (lax.approx_min_k, (np.arange(6, dtype=np.uint8), 2), ValueError, "floating type"),
        (lax.bitcast_convert_type, (True, np.int8), TypeError, "bool or complex"),
        (lax.reduce_precision, (1, 5, 5), TypeError, "does not accept dtype int32"),
    ],
)
def test_errors(function, operands, error, text):
    with pytest.raises(error, match=text):
        function(*operands)


def test_weak_types_stay_weak_among_themselves():
    assert fornax.make_jaxpr(lambda: lax.add(1.0, 2.0))().out_avals[0].weak_type
    assert not fornax.make_jaxpr(lambda: lax.add(1.0, F(2)))().out_avals[0].weak_type


def test_complex_to_real_warns():
    with pytest.warns(np.exceptions.ComplexWarning):
        lax.convert_element_type(np.complex64(1 + 2j), np.float32)


# --- derivatives by convention -----------------------------------------------------------------
CONVENTIONS = [
    (lax.abs, (0.0,), (1.0,)),
    (lax.max, (1.0, 1.0), (0.5, 0.5)),
    (lax.min, (1.0, 1.0), (0.5, 0.5)),
    (lax.clamp, (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),
    (lax.clamp, (0.0, -1.0, 1.0), (1.0, 0.0, 0.0)),
    (lax.clamp, (0.0, 0.5, 1.0), (0.0, 1.0, 0.0)),
    (lax.pow, (0.0, 0.0), (0.0, 0.0)),
    (lax.pow, (0.0, 2.0), (0.0, 0.0)),
    (lax.pow, (0.0, 1.0), (1.0, 0.0)),
    (lax.rem, (-7.0, 2.0), (1.0, 3.0)),
    (lax.sign, (2.0,), (0.0,)),
    (lax.floor, (2.5,), (0.0,)),
    (lax.stop_gradient, (2.5,), (0.0,)),
]


@pytest.mark.parametrize(("function", "point", "slopes"), CONVENTIONS)
def test_derivative_conventions(function, point, slopes):
    got = fornax.grad(function, argnums=tuple(range(len(point))))(*map(F, point))
    np.testing.assert_array_equal([float(g) for g in got], slopes)


def test_ties_share_the_derivative_of_a_reduction():
    got = fornax.grad(lambda x: lax.reduce_max(x, (0,)))(np.array([1, 3, 3, 2], F))
    np.testing.assert_array_equal(array(got), [0, 0.5, 0.5, 0])


def test_product_with_zeros_has_exact_derivatives():
    point = np.array([0, 2, 3], F)
    slope = fornax.grad(lambda x: lax.reduce_prod(x, (0,)))
    np.testing.assert_array_equal(array(slope(point)), [6, 0, 0])
    curvature = fornax.jacfwd(slope)(point)
    np.testing.assert_array_equal(array(curvature), [[0, 3, 2], [3, 0, 0], [2, 0, 0]])


def test_gradients_of_complex_numbers_are_not_conjugated():
    got = fornax.grad(lambda z: lax.abs(z))(np.complex64(3 + 4j))
    np.testing.assert_allclose(complex(got), 0.6 - 0.8j, rtol=1e-6)


def test_incomplete_gamma_derivatives():
    a, x = F(2.0), F(1.5)
    with laws.wide_types():
        for position, function in enumerate((lax.igamma, lax.igammac)):
            got = fornax.grad(function, argnums=(0, 1))(float(a), float(x))
            step = 1e-6
            for k, slope in enumerate(got):
                above, below = [float(a), float(x)], [float(a), float(x)]
                above[k] += step
                below[k] -= step
                expected = float(function(*above)) - float(function(*below))
                np.testing.assert_allclose(float(slope), expected / (2 * step), rtol=1e-6)
            assert position in (0, 1)


# --- products ----------------------------------------------------------------------------------
@pytest.mark.parametrize("precision", [None, "highest", lax.Precision.HIGH, ("high", "default")])
def test_every_precision_is_accepted(precision):
    x = np.arange(6, dtype=F).reshape(2, 3)
    np.testing.assert_array_equal(array(lax.dot(x, x.T, precision=precision)), x @ x.T)


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="Precision"):
        lax.dot(np.ones(2, F), np.ones(2, F), precision="exact")


def test_batch_matmul():
    x = np.arange(12, dtype=F).reshape(2, 2, 3)
    y = np.arange(18, dtype=F).reshape(2, 3, 3)
    np.testing.assert_array_equal(array(lax.batch_matmul(x, y)), x @ y)


# --- general reductions ------------------------------------------------------------------------
@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8])
def test_reduce_keeps_the_order_of_elements(length):
    # 2 x 2 matrices as quadruples: an associative product that does not commute
    def multiply(x, y):
        a, b, c, d = x
        e, f, g, h = y
        return (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)

    parts = np.random.default_rng(0).integers(-2, 3, (4, length, 3)).astype(F)
    start = (F(1), F(0), F(0), F(1))
    got = lax.reduce(tuple(parts), start, multiply, (0,))
    for column in range(3):
        matrices = [parts[:, i, column].reshape(2, 2) for i in range(length)]
        expected = functools.reduce(operator.matmul, matrices, np.eye(2, dtype=F)).ravel()
        np.testing.assert_array_equal([array(g)[column] for g in got], expected)


def test_reduce_of_one_operation_is_that_reduction():
    program = fornax.make_jaxpr(lambda x: lax.reduce(x, 1.0, lax.max, (1,)))(np.ones((2, 3), F))
    assert "reduce_max[axes=(1,)]" in str(program)
    got = lax.reduce(np.arange(6, dtype=F).reshape(2, 3), 1.0, lax.add, (0, 1))
    assert float(got) == 16.0


def test_reduce_is_differentiable_and_maps():
    x = np.random.default_rng(1).uniform(0.5, 2, (3, 4)).astype(F)

    def total(x):
        return lax.reduce(x, F(0), lambda a, b: lax.add(a, lax.mul(b, F(1))), (0,))

    np.testing.assert_allclose(array(fornax.grad(total)(x[0])), np.ones(4), rtol=1e-6)
    np.testing.assert_allclose(array(fornax.vmap(total)(x)), x.sum(1), rtol=1e-6)
    np.testing.assert_allclose(array(fornax.jit(total)(x[1])), x[1].sum(), rtol=1e-6)


def test_reduce_checks_dtypes():
    with pytest.raises(TypeError, match="dtypes should match"):
        lax.reduce(np.ones(3, F), 1, lambda a, b: a * b + a, (0,))


# --- descriptions ------------------------------------------------------------------------------
def test_dtype_of_values_and_types():
    for x, expected in (
        (3, "int32"), (3.0, "float32"), (True, "bool"), (1j, "complex64"), (int, "int32"),
        (float, "float32"), (np.float64, "float32"), (np.float64(2), "float32"), ("f4", "float32"),
        (np.zeros(2), "float32"), (fornax.numpy.int8, "int8"), (np.dtype("f8"), "float32"),
    ):  # fmt: skip
        assert lax.dtype(x) == np.dtype(expected), x
    assert lax.dtype(fornax.random.key(0)) == fornax.random.key(0).dtype
    with pytest.raises(ValueError, match="Invalid argument to dtype: None"):
        lax.dtype(None)
    for x in ("S1", [1, 2], object()):
        with pytest.raises(TypeError):
            lax.dtype(x)


def test_shape_as_value():
    for shape, expected in (((), "int32"), ((2, 3), "int32"), ((2**33,), "int64")):
        value = lax.shape_as_value(shape)
        assert np.asarray(value).tolist() == list(shape) and value.dtype == expected


def test_mul_as_another_dtype():
    for x, y, dtype, expected in (
        (F(300), F(300), np.float16, np.inf), (np.int32(2**30), np.int32(4), F, 2.0**32),
        (F(1.7), F(1.7), np.int32, 1), (F(3), np.int32(2), F, 6),
    ):  # fmt: skip
        got = lax.mul(x, y, out_dtype=dtype)
        assert (got.dtype, float(got)) == (dtype, expected)
        jitted = fornax.jit(lambda x, y, d=dtype: lax.mul(x, y, out_dtype=d))(x, y)
        assert (jitted.dtype, float(jitted)) == (dtype, expected)
    assert lax.mul(2.0, 3.0, out_dtype=F).weak_type
    total = lambda x: lax.mul(x, x, out_dtype=np.float16).sum()  # noqa: E731
    got = fornax.grad(total)(np.ones(2, F))
    assert got.dtype == F and array(got).tolist() == [2, 2]


def test_accuracy_is_accepted():
    for accuracy in (lax.AccuracyMode.HIGHEST, lax.Tolerance(rtol=1e-6, ulps=2)):
        assert float(lax.exp(F(0), accuracy=accuracy)) == 1
    with pytest.raises(ValueError, match="non-negative"):
        lax.Tolerance(atol=-1)


@pytest.mark.parametrize("compiled", [False, True])
def test_ends_of_the_incomplete_gamma_functions(compiled):
    """Limits in the order and in x; NaN where there is none."""
    infinity = np.inf
    a = np.array([0, 0, 0.5, 2, infinity, infinity, infinity, infinity, -1, infinity], np.float32)
    x = np.array([0, 3, 0, infinity, 0, 0.5, 30, infinity, 1, -1], np.float32)
    lower = np.array([np.nan, 1, 0, 1, 0, 0, 0, 1, np.nan, np.nan], np.float32)
    for function, expected in ((lax.igamma, lower), (lax.igammac, 1 - lower)):
        with fornax.disable_jit(not compiled):
            got = fornax.jit(function)(a, x)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fft.dct(F(1)), ValueError, "axis -1 is out of bounds"),
        (lambda: fft.idct(np.ones(3, F), n=()), TypeError, "n: 'tuple' object"),
        (lambda: linalg.cho_solve(np.ones((3, 2), F), 2), ValueError, "needs the pair"),
        (lambda: tree.transpose(None, [1.0], [1.0]), TypeError, "needs PyTreeDefs"),
        (lambda: tree.transpose(tree.structure([1]), (), [1.0]), TypeError, "needs PyTreeDefs"),
    ],
)
def test_arguments_of_another_kind_are_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
