"""Arrays without elements, conditions of other lengths, orders of equal elements: as in JAX."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.scipy.stats
from fornax import numpy as fnp

E, E3, X = np.zeros(0, "f"), np.zeros((3, 0), "f"), np.arange(3, dtype="f")
TRUE = np.array([True])

REFUSED = {
    "median": (lambda: fnp.median(E), TypeError, "no elements"),
    "median in jit": (lambda: fornax.jit(fnp.median)(E), TypeError, "no elements"),
    "quantile": (lambda: fnp.quantile(E3, 0.5, axis=1), TypeError, "no elements"),
    "percentile": (lambda: fnp.percentile(E, 50), TypeError, "no elements"),
    "nanmedian": (lambda: fnp.nanmedian(E), IndexError, "no elements"),
    "nanquantile": (lambda: fnp.nanquantile(E3, 0.5, axis=1), TypeError, "no elements"),
    "nanpercentile": (lambda: fnp.nanpercentile(E, 50), IndexError, "no elements"),
    "integer q": (lambda: fnp.quantile(X, 1), TypeError, "does not accept dtype int32"),
    "bool q": (lambda: fnp.nanquantile(X, True), TypeError, "does not accept dtype bool"),
    "histogram": (lambda: fnp.histogram(E), ValueError, "zero-size array"),
    "trapezoid": (lambda: fnp.trapezoid(E), IndexError, "no elements"),
    "stack": (lambda: fnp.stack(E), ValueError, "Need at least one array to stack"),
    "concatenate": (lambda: fnp.concatenate(E), ValueError, "Need at least one array"),
    "rfft": (lambda: fnp.fft.rfft(E), ValueError, "Invalid number"),
    "compress of a matrix": (lambda: fnp.compress(TRUE[None], X), ValueError, "1D array"),
    "compress behind the end": (
        lambda: fnp.compress(np.ones(4, bool), X), ValueError, "out of bounds"
    ),
    "compress to more": (lambda: fnp.compress(TRUE, X, size=2), ValueError, "not greater than"),
    "extract behind the end": (
        lambda: fnp.extract(np.ones(4, bool), X), ValueError, "out of bounds"
    ),
    "delete outside": (lambda: fnp.delete(X, 3), ValueError, "out of bounds"),
    "delete a list": (lambda: fnp.delete(X, [0]), TypeError, "requires ndarray or scalar"),
    "delete a float": (lambda: fnp.delete(X, 1.5), ValueError, "must be integers"),
    "kind of sort": (lambda: fnp.sort(X, kind="quicksort"), TypeError, "'kind' argument"),
    "order of argsort": (lambda: fnp.argsort(X, order="f"), TypeError, "'order' argument"),
    "kth": (lambda: fnp.partition(X, 3), ValueError, "out of bounds"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        function()


@pytest.mark.parametrize(
    ("function", "shape", "dtype"),
    [
        (lambda: fnp.fft.fft(E), (0,), "complex64"),
        (lambda: fnp.fft.ifft(E3), (3, 0), "complex64"),
        (lambda: fnp.fft.irfft(E), (0,), "float32"),
        (lambda: fnp.fft.irfft(np.ones(1, "f")), (0,), "float32"),
        (lambda: fnp.fft.rfftn(E3.T), (0, 2), "complex64"),
        (lambda: fnp.fft.irfftn(E3.T), (0, 4), "float32"),
        (lambda: fnp.ix_(E)[0], (0,), "int32"),
        (lambda: fnp.compress(np.zeros(5, bool), X), (0,), "float32"),
        (lambda: fnp.poly(E), (), "float32"),
        (lambda: fnp.median(3.0, keepdims=True), (1,), "float32"),
    ],
)
def test_empty_results(function, shape, dtype):
    found = function()
    assert found.shape == shape and found.dtype == dtype


def test_values():
    assert np.isnan(fnp.cov(E)) and fnp.cov(E3).shape == (3, 3) and np.isnan(fnp.cov(E3)).all()
    assert fnp.compress(TRUE, X).tolist() == [0]  # a short condition is false behind its end
    assert fnp.compress(np.array([False, True]), X, size=2, fill_value=7).tolist() == [1, 7]
    assert fnp.delete(X, True).tolist() == [0, 2]


def test_partitions():
    x = np.array([5, 1, 4, 1, 3], "i")
    assert fnp.partition(x, 1).tolist() == [1, 1, 5, 4, 3]
    assert fnp.argpartition(x, 1).tolist() == [1, 3, 0, 2, 4]
    assert fnp.partition(x.astype("u1"), -4).tolist() == [1, 1, 5, 4, 3]
    columns = fornax.jit(lambda x: fnp.partition(x, 0, axis=0))(np.stack([x, -x]))
    np.testing.assert_array_equal(columns, [-x, x])
    with pytest.raises(NotImplementedError, match="complex"):
        fnp.argpartition(x + 0j, 0)


def test_equal_elements():
    x = np.array([1, 0, 1, 0], "i")
    assert fnp.argsort(x, descending=True).tolist() == [0, 2, 1, 3]
    assert fnp.argsort(x, stable=False).tolist() == [1, 3, 0, 2]
    assert fnp.argsort(x, stable=False, descending=True).tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize(("name", "base"), [("logaddexp", 1.0), ("logaddexp2", np.log(2))])
def test_sums_of_complex_powers(name, base):
    x, y = np.array([1 + 2j, 3j, -5 + 0.1j, 2]), np.array([0, 2 - 3j, 3 + 2.9j, -3 + 0.5j])
    function = getattr(fnp, name)
    expected = np.log(np.exp(x * base) + np.exp(y * base)) / base
    for found in (function(x, y), fornax.jit(function)(x, y), function(y, x)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    slope = fornax.grad(lambda x: function(x, y[0]), holomorphic=True)(np.complex64(x[0]))
    weight = np.exp(base * x[0]) / (np.exp(base * x[0]) + np.exp(base * y[0]))
    np.testing.assert_allclose(slope, weight, rtol=1e-5)
    if base == 1:
        softplus = fornax.nn.softplus(x.astype("complex64"))
        np.testing.assert_allclose(softplus, np.log(1 + np.exp(x)), rtol=1e-5, atol=1e-6)


def test_sigmoid_of_integers_is_refused():
    for x in (1, True, np.arange(3)):
        with pytest.raises(TypeError, match="does not accept dtype"):
            fornax.nn.sigmoid(x)
    assert fornax.nn.sigmoid(0.0).weak_type


@pytest.mark.parametrize(("count", "kind"), [(0, ZeroDivisionError), (-1, ValueError),
                                             (-(1 << 63), ValueError)])  # fmt: skip
@pytest.mark.parametrize("shape", [(2, 0), (2, 4)])
def test_arrays_are_cut_into_one_part_or_more(shape, count, kind):
    for cut in (fnp.split, fnp.array_split, fnp.hsplit):
        with pytest.raises(kind, match=f"cannot be cut into {count} parts"):
            cut(np.zeros(shape), count) if cut is fnp.hsplit else cut(np.zeros(shape), count, 1)


def test_no_function_and_no_axis_are_refused():
    with pytest.raises(TypeError, match="Expected a callable value"):
        fnp.frompyfunc(None, 1, 1)
    with pytest.raises(ValueError, match="axis 7"):
        fornax.scipy.stats.sem(np.ones(3), axis=7)
