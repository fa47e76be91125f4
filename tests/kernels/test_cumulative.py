"""Cumulative operations against NumPy over shapes, axes, directions and dtypes."""

import kernel_running as running
import ml_dtypes
import numpy as np
import pytest

import fornax
from fornax import _native
from fornax.backends import cpu
from fornax.backends.llvm import target as targets
from fornax.compiler.kernels import cumulative, cumulative_lines
from fornax.runtime.compile import plan

FUNCTIONS = {
    "cumsum": np.add.accumulate,
    "cumprod": np.multiply.accumulate,
    "cummax": np.maximum.accumulate,
    "cummin": np.minimum.accumulate,
    "cumlogsumexp": np.logaddexp.accumulate,
}
SHAPES = [(1,), (7,), (40,), (0,), (3, 5), (5, 3), (9, 20), (20, 9), (2, 3, 17), (4, 1, 6), (0, 3)]


def check(name, shape, axis, reverse, how, dtype="float32", threads=1):
    x = running.random(np.random.default_rng(1), shape, dtype)
    wide = x.astype(
        {"f": np.float64, "V": np.float64, "c": np.complex128}.get(x.dtype.kind, x.dtype)
    )
    turned = np.flip(wide, axis) if reverse else wide
    with np.errstate(over="ignore"):
        expected = FUNCTIONS[name](turned, axis)
    expected = (np.flip(expected, axis) if reverse else expected).astype(x.dtype)
    params = {"axis": axis, "reverse": reverse}
    (found,) = running.apply(name, params, [x], [(shape, dtype)], how, threads=threads)
    if x.dtype.kind in "iub" or name in ("cummax", "cummin"):
        np.testing.assert_array_equal(found, expected)
        return
    precision = ml_dtypes.finfo(dtype).eps if x.dtype.kind != "c" else np.finfo(dtype).eps
    precision = 20 * float(precision)
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    np.testing.assert_allclose(
        found.astype(wide), expected.astype(wide), rtol=precision, atol=precision * 10
    )


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(name, shape, reverse, how):
    if how == "interpret" and name not in ("cumsum", "cumlogsumexp"):
        pytest.skip("compiled only")
    for axis in range(len(shape)):
        check(name, shape, axis, reverse, how)


def short_segments(monkeypatch):
    for name, value in {"SEGMENT": 8, "SHORTEST": 2, "EVEN": 2, "CHUNK": 4}.items():
        monkeypatch.setattr(cumulative_lines, name, value)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(75,), (3, 130), (160,)], ids=str)
def test_segments(name, shape, threads, how, monkeypatch):
    short_segments(monkeypatch)
    for reverse in (False, True):
        check(name, shape, len(shape) - 1, reverse, how, threads=threads)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin"])
@pytest.mark.parametrize("shape", [(128,), (129,), (2, 513), (3, 1000)], ids=str)
def test_blocks(name, shape, how, monkeypatch):
    if how == "interpret" and shape[-1] > 500:
        pytest.skip("compiled only")
    monkeypatch.setattr(cumulative, "LEAST", 64)
    monkeypatch.setattr(cumulative, "WORTH", 2)
    for reverse in (False, True):
        check(name, shape, len(shape) - 1, reverse, how)
        check(name, shape, len(shape) - 1, reverse, how, "int16")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "shape", [(900, 3), (731, 1, 2), (2, 150, 8), (99, 21), (300, 2, 3)], ids=str
)
def test_tall(name, shape, how, monkeypatch):
    if how == "interpret" and (name != "cumlogsumexp" or shape[0] > 100):
        pytest.skip("compiled only")
    monkeypatch.setattr(cumulative, "LEAST", 512)
    monkeypatch.setattr(cumulative, "WORTH", 2)
    axis = int(shape[0] == 2)
    for reverse in (False, True):
        check(name, shape, axis, reverse, how)
    if name == "cummax" and shape[-1] < 20:
        check(name, shape, axis, False, how, "uint8")
    if name == "cumsum":
        check(name, shape, axis, True, how, "complex64")


@pytest.mark.parametrize(
    "dtype",
    [
        "int8",
        "uint8",
        "int16",
        "int32",
        "uint32",
        "int64",
        "float16",
        ml_dtypes.bfloat16,
        "float64",
    ],
    ids=str,
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtypes(name, dtype, how):
    if name == "cumlogsumexp" and np.dtype(dtype).kind in "iu":
        pytest.skip("a floating operation")
    check(name, (5, 6), 0, False, how, dtype)
    check(name, (5, 6), 1, True, how, dtype)


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex(name, dtype, how, monkeypatch):
    check(name, (5, 6), 0, False, how, dtype)
    short_segments(monkeypatch)
    check(name, (35,), 0, True, how, dtype)
    check(name, (3, 130), 1, False, how, dtype)
    if how == "compile":
        check(name, (9, 131), 0, False, how, dtype)


@pytest.mark.parametrize("width", [19, 67, 131])
def test_many_columns(width):
    """Parts of a state all come from the one before, in lanes and where lanes are left over."""
    for reverse in (False, True):
        check("cumlogsumexp", (9, width), 0, reverse, "compile")


@pytest.mark.parametrize("name,expected", [("cummax", [0, 1, 1, 1]), ("cummin", [0, 0, 0, 0])])
def test_booleans(name, expected, how):
    x = np.array([False, True, False, True])
    (found,) = running.apply(name, {"axis": 0, "reverse": False}, [x], [((4,), "bool")], how)
    np.testing.assert_array_equal(found, np.array(expected, bool))


def test_infinities_and_nan(how):
    x = np.array([-np.inf, -np.inf, 1.0, 2.0, np.inf, 3.0, np.nan, 1.0], np.float32)
    params = {"axis": 0, "reverse": False}
    (found,) = running.apply("cumlogsumexp", params, [x], [((8,), "float32")], how)
    expected = [-np.inf, -np.inf, 1.0, 1 + np.log1p(np.e), np.inf, np.inf, np.nan, np.nan]
    np.testing.assert_allclose(found, np.array(expected, np.float32), rtol=1e-6)
    (found,) = running.apply("cummax", params, [x], [((8,), "float32")], how)
    np.testing.assert_array_equal(found, np.maximum.accumulate(x))


@pytest.mark.parametrize("reverse", [False, True])
def test_infinities_in_segments(reverse, monkeypatch, how):
    """What is infinite or not a number reaches all segments after it, and none before."""
    short_segments(monkeypatch)
    params = {"axis": 0, "reverse": reverse}
    for values in ({}, {40: np.inf, 90: np.inf}, {60: np.nan}):
        x = np.zeros(150, np.float32)
        x[:30] = x[120:] = -np.inf
        for place, value in values.items():
            x[place] = value
        turned = x[::-1] if reverse else x
        with np.errstate(invalid="ignore"):
            expected = np.logaddexp.accumulate(turned.astype(np.float64))
        (found,) = running.apply("cumlogsumexp", params, [x], [((150,), "float32")], how)
        np.testing.assert_allclose(found[::-1] if reverse else found, expected, rtol=3e-7)


@pytest.mark.parametrize("reverse", [False, True])
def test_logarithms_of_long_sums_are_exact_to_a_unit_or_two(reverse):
    random = np.random.default_rng(5)
    before, length = _native.thread_count(), 100_003
    rising = np.linspace(-50, 50, length)
    for x in (random.standard_normal(length), rising, np.zeros(length), 900 + rising[::-1]):
        x = x.astype(np.float32)
        turned = x[::-1] if reverse else x
        expected = np.logaddexp.accumulate(turned.astype(np.float64))
        expected = expected[::-1] if reverse else expected
        results = []
        try:
            for threads in (1, 2, 3):
                _native.set_thread_count(threads)
                total = fornax.jit(lambda x: fornax.lax.cumlogsumexp(x, reverse=reverse))
                results.append(np.asarray(total(x)))
        finally:
            _native.set_thread_count(before)
        # the logarithm of the sum counts from the largest number so far
        largest = np.abs(np.maximum.accumulate(turned))[:: -1 if reverse else 1]
        unit = np.spacing(np.maximum(np.abs(expected), largest + 1).astype(np.float32))
        assert (np.abs(results[0] - expected) <= 1.5 * unit).all()
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("shape,axis", [((70,), 0), ((20, 33), 1), ((33, 20), 0)], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_weighted_exponentials(shape, axis, reverse, how, monkeypatch):
    short_segments(monkeypatch)
    random = np.random.default_rng(6)
    weights, inner = random.standard_normal((2, *shape))
    outer = np.full(shape, 4.0)
    turned = np.flip(weights * np.exp(inner - outer), axis if reverse else ())
    expected = np.flip(np.cumsum(turned, axis), axis if reverse else ())
    arrays = [x.astype(np.float32) for x in (weights, inner, outer)]
    params = {"axis": axis, "reverse": reverse}
    (found,) = running.apply("cumsumexp", params, arrays, [(shape, "float32")], how)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_derivative_of_long_logarithms_of_sums():
    """Weights that add up to 1 keep a tangent of ones, whatever their number."""
    x = np.random.default_rng(7).standard_normal(1 << 16).astype(np.float32)
    ones = np.ones_like(x)
    _, tangent = fornax.jit(lambda x, t: fornax.jvp(fornax.lax.cumlogsumexp, (x,), (t,)))(x, ones)
    np.testing.assert_allclose(tangent, ones, rtol=3e-6)
    share = np.exp(x.astype(np.float64))
    expected = share * np.cumsum(1 / np.cumsum(share)[::-1])[::-1]
    _, pull = fornax.vjp(fornax.lax.cumlogsumexp, x)
    np.testing.assert_allclose(fornax.jit(pull)(ones)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 31, 33, 100])
def test_lengths(length, how):
    for name in ("cumsum", "cummin"):
        for reverse in (False, True):
            check(name, (3, length), 1, reverse, how)


def test_sums_of_positive_numbers_do_not_decrease():
    x = np.random.default_rng(2).random((7, 1000), np.float32)
    x[:, ::3] = 0
    for reverse in (False, True):
        params = {"axis": 1, "reverse": reverse}
        (found,) = running.apply("cumsum", params, [x], [(x.shape, "float32")], "compile")
        steps = np.diff(found, axis=1)
        assert (steps <= 0).all() if reverse else (steps >= 0).all()


@pytest.mark.parametrize(("length", "follows"), [(1 << 23, True), (1 << 18, False)])
def test_the_second_pass_over_large_lines_follows_the_first(length, follows):
    target = targets.find("avx2")
    x = fornax.ShapeDtypeStruct((length,), "float32")
    traced = fornax.jit(lambda x: fornax.lax.cumsum(x)).trace(x)
    _, description = plan(
        traced.jaxpr, target, 2, lambda kernel: cpu.compile_kernel(kernel, target, load_code=False)
    )
    first, second = description["steps"]
    assert first[0] == second[0] == "kernel" and len(first) == 5 and first[3] == second[3]
    assert second[5:] == ((True,) if follows else ())


@pytest.mark.parametrize("shape,axis", [((1000,), 0), ((7, 100), 1), ((7, 100), 0)], ids=str)
def test_what_is_made_of_results_is_part_of_the_kernel(shape, axis):
    """A product and a sum after it become one operation, but not where lanes share the product."""
    random = np.random.default_rng(8)
    x, y = (1 + random.random((2, *shape)) / 100).astype(np.float32)

    def function(x, y):
        product = fornax.lax.cumprod(x, axis=axis)
        return product + 1, fornax.lax.cumsum(y, axis=axis, reverse=True) * x - y

    target = targets.find("avx512")
    _, description = plan(
        fornax.jit(function).trace(x, y).jaxpr,
        target,
        2,
        lambda kernel: cpu.compile_kernel(kernel, target, load_code=False),
    )
    assert [step[0] for step in description["steps"]] == ["kernel"] * 2
    product, total = fornax.jit(function)(x, y)
    np.testing.assert_allclose(product, np.cumprod(x.astype(float), axis) + 1, rtol=1e-4)
    sums = np.flip(np.cumsum(np.flip(y.astype(float), axis), axis), axis)
    np.testing.assert_allclose(total, sums * x - y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [((1 << 22) + 77,), ((1 << 20) + 77, 3)], ids=str)
def test_large_lines_are_the_same_for_every_number_of_threads(shape, reverse):
    """So large that the second pass follows the first one block by block."""
    x = np.random.default_rng(4).random(shape, np.float32)
    whole = np.cumsum(x[::-1] if reverse else x, axis=0, dtype=np.float64)
    expected = whole[::-1] if reverse else whole
    before, results = _native.thread_count(), []
    try:
        for threads in (1, 2, 3, 4):
            _native.set_thread_count(threads)
            total = fornax.jit(lambda x: fornax.lax.cumsum(x, reverse=reverse))
            results.append(np.asarray(total(x)))
    finally:
        _native.set_thread_count(before)
    np.testing.assert_allclose(results[0], expected, rtol=5e-6)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
