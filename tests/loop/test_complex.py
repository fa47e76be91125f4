"""Complex functions against NumPy in higher precision, and where they must not overflow."""

from __future__ import annotations

import numpy as np
import pytest

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import COMPLEX, Axis, Buffer, Kernel, Pair, row_major
from fornax.compiler.loop.schedule import nest

ONE = {
    "neg": np.negative, "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p,
    "log2": np.log2, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "abs": np.abs, "rsqrt": lambda z: 1 / np.sqrt(z), "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "sign": lambda z: np.where(z == 0, 0, z / np.where(z == 0, 1, np.abs(z))),
}  # fmt: skip
TWO = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power}


def evaluate(name: str, dtype: str, *arrays: np.ndarray) -> np.ndarray:
    """The function by the interpreter."""
    b, part = Builder(), COMPLEX[dtype]
    shape = arrays[0].shape
    inputs = [
        Buffer(f"x{k}", part, (*shape, 2), row_major((*shape, 2))) for k in range(len(arrays))
    ]
    i = Axis(shape[0])
    index = (b.axis(i),)
    value = b.op(name, *(b.load(x, index, dtype) for x in inputs))
    parts = value if isinstance(value, Pair) else (value,)
    kind = {"bool": "bool"}.get(parts[0].dtype, part)
    y = Buffer("y", kind, (*shape, len(parts)), row_major((*shape, len(parts))), "out")
    stores = [(y, (*index, b.index(k)), p) for k, p in enumerate(parts)]
    kernel = Kernel(name, (*inputs, y), nest(b, [i], stores))
    result = np.zeros((*shape, len(parts)), kind)
    interpret(kernel, [*(a.astype(dtype) for a in arrays), result])
    return result.view(dtype)[:, 0] if len(parts) == 2 else result[:, 0]


def points(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-3, 1, (2, 200))
    x, y = rng.standard_normal((2, 200)) * scale
    axes = np.array([0.5, -0.5, 2, -2, 0.5j, -0.5j, 2j, -2j, 1 + 1j, -1 - 1j])
    return np.concatenate([(x + 1j * y), axes]).astype(np.complex64).astype(np.complex128)


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number(name, dtype):
    z = points()
    with np.errstate(all="ignore"):
        expected = ONE[name](z)
    found = evaluate(name, dtype, z)
    limit = 3e-5 if dtype == "complex64" else 1e-12
    error = np.abs(found - expected) / np.maximum(np.abs(expected), 1e-30)
    assert error.max() < limit, (z[error.argmax()], found[error.argmax()], expected[error.argmax()])


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers(name, dtype):
    z, w = points(1), points(2)
    if name == "pow":
        w = w / np.maximum(np.abs(w), 1)
    z, w = (a.astype(dtype).astype(np.complex128) for a in (z, w))
    expected = TWO[name](z, w)
    error = np.abs(evaluate(name, dtype, z, w) - expected) / np.maximum(np.abs(expected), 1e-30)
    assert error.max() < (3e-5 if dtype == "complex64" else 1e-12)


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("name", ["abs", "sqrt", "log", "div", "asinh", "atanh"])
def test_no_overflow_inside(name, dtype):
    big = float(np.finfo(COMPLEX[dtype]).max) / 4
    small = float(np.finfo(COMPLEX[dtype]).tiny) * 4
    z = np.array(
        [big + big * 1j, -big + small * 1j, small + small * 1j, big * 1j, small - big * 1j]
    )
    with np.errstate(all="ignore"):
        if name == "div":
            found, expected = evaluate(name, dtype, z, z), np.ones(5)
        else:
            found, expected = evaluate(name, dtype, z), ONE[name](z.astype(np.clongdouble))
    np.testing.assert_allclose(found, expected.astype(np.complex128), rtol=1e-5)


@pytest.mark.parametrize("name", ["sqrt", "log", "asin", "acos", "atanh", "acosh"])
def test_the_sign_of_zero_chooses_the_side_of_a_cut(name):
    x = np.array([2.0, -2.0, 2.0, -2.0])
    z = np.empty(4, np.complex128)
    z.real, z.imag = x, [0.0, 0.0, -0.0, -0.0]
    np.testing.assert_allclose(
        evaluate(name, "complex128", z), ONE[name](z), rtol=1e-12, atol=1e-15
    )


def test_division_by_zero_and_infinity():
    z = np.array([1 + 1j, 0j, complex(np.inf, 1), 1 + 1j])
    w = np.array([0j, 0j, 1 + 1j, complex(np.inf, np.inf)])
    found = evaluate("div", "complex128", z, w)
    assert np.isinf(found[0])
    assert np.isnan(found[1].real)
    assert np.isinf(found[2])
    assert found[3] == 0


def test_comparisons():
    z = np.array([1 + 2j, 1 + 2j, 2j, 1 - 1j])
    w = np.array([1 + 2j, 1 + 3j, 1 + 0j, 1 - 2j])
    for name, expected in (
        ("eq", z == w),
        ("ne", z != w),
        ("lt", [False, True, True, False]),
        ("ge", [True, False, False, True]),
    ):
        np.testing.assert_array_equal(evaluate(name, "complex64", z, w), expected)
