"""Promotion of every pair of dtypes and Python numbers, as recorded from JAX; broadcasting."""

import json
import pathlib

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fornax
import fornax.numpy as fnp

RECORDED = json.loads((pathlib.Path(__file__).parent / "promotions.json").read_text())
PYTHON = {"weak bool": True, "weak int": 1, "weak float": 1.0, "weak complex": 1j}
OPERATIONS = {
    "add": lambda a, b: fnp.add(a, b),
    "divide": lambda a, b: fnp.divide(a, b),
    "where": lambda a, b: fnp.where(True, a, b),
}


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # names of 64 bits in x32
@pytest.mark.parametrize("mode", ["x32", "x64"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_promotion(name, mode):
    wrong = {}
    with fornax.enable_x64(mode == "x64"):
        values = {}
        for key, expected in RECORDED.items():
            operation, which, pair = key.split(" ", 2)
            if (operation, which) != (name, mode):
                continue
            operands = []
            for dtype in pair.split(", "):
                if dtype not in PYTHON and dtype not in values:
                    values[dtype] = fnp.ones((), dtype)
                operands.append(PYTHON.get(dtype, values.get(dtype)))
            result = OPERATIONS[name](*operands)
            found = [result.dtype.name, bool(result.weak_type)]
            if found != expected:
                wrong[key] = (found, expected)
    assert not wrong


shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)


@given(shapes)
@settings(max_examples=60, deadline=None)
def test_broadcasting(drawn):
    left, right = (
        numpy.arange(numpy.prod(s, dtype=int), dtype="float32").reshape(s)
        for s in drawn.input_shapes
    )
    found = fnp.add(left, right)
    assert found.shape == drawn.result_shape
    numpy.testing.assert_array_equal(numpy.asarray(found), left + right)


@given(hnp.array_shapes(max_dims=3, max_side=3), hnp.array_shapes(max_dims=3, max_side=3))
@settings(max_examples=60, deadline=None)
def test_shapes_that_do_not_fit(left, right):
    try:
        expected = numpy.broadcast_shapes(left, right)
    except ValueError:
        with pytest.raises((ValueError, TypeError)):
            fnp.add(numpy.ones(left, "float32"), numpy.ones(right, "float32"))
    else:
        assert fnp.broadcast_shapes(left, right) == expected


REDUCTIONS = ("sum", "prod", "max", "min", "mean", "all", "any")


@st.composite
def reductions(draw):
    """(name, array, keywords) that NumPy takes."""
    name = draw(st.sampled_from(REDUCTIONS))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    numbers = st.integers(-3, 3)
    x = draw(hnp.arrays(numpy.float32, shape, elements=numbers.map(float)))
    keywords = {"keepdims": draw(st.booleans())}
    axes = list(range(len(shape)))
    keywords["axis"] = draw(
        st.one_of(
            st.none(),
            st.sampled_from(axes),
            st.lists(st.sampled_from(axes), unique=True, min_size=1).map(tuple),
        )
    )
    if name in ("sum", "prod", "max", "min") and draw(st.booleans()):
        keywords["initial"] = float(draw(numbers))
    if ("initial" in keywords or name in ("sum", "prod", "all", "any")) and draw(st.booleans()):
        keywords["where"] = draw(hnp.arrays(bool, shape))
    return name, x, keywords


@given(reductions())
@settings(max_examples=120, deadline=None)
def test_reductions(case):
    name, x, keywords = case
    expected = getattr(numpy, name)(x, **keywords)
    found = getattr(fnp, name)(x, **keywords)
    assert found.shape == numpy.shape(expected)
    numpy.testing.assert_allclose(numpy.asarray(found), expected, 1e-5, 1e-5)


@given(
    hnp.arrays(numpy.int32, st.integers(0, 9), elements=st.integers(-3, 3)),
    hnp.arrays(numpy.int32, st.integers(0, 9), elements=st.integers(-3, 3)),
)
@settings(max_examples=40, deadline=None)
def test_sets(left, right):
    for name in ("union1d", "intersect1d", "setdiff1d", "setxor1d"):
        found = getattr(fnp, name)(left, right)
        numpy.testing.assert_array_equal(
            numpy.asarray(found), getattr(numpy, name)(left, right), name
        )
    for found, expected in zip(
        fnp.unique(left, True, True, True), numpy.unique(left, True, True, True), strict=True
    ):
        numpy.testing.assert_array_equal(numpy.asarray(found), expected)


@given(
    hnp.arrays(numpy.float32, st.integers(1, 6), elements=st.integers(-9, 9).map(float)),
    st.sampled_from(["edge", "reflect", "symmetric", "wrap", "linear_ramp", "mean", "constant"]),
    st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
@settings(max_examples=60, deadline=None)
def test_pad(x, mode, widths):
    numpy.testing.assert_allclose(
        numpy.asarray(fnp.pad(x, widths, mode)), numpy.pad(x, widths, mode), 1e-5, 1e-5
    )


@pytest.mark.parametrize("name", ["mean", "var", "std", "median", "nanmean", "average", "sin"])
def test_small_integers_stay_small_under_x64(name):
    with fornax.enable_x64(True):
        for dtype in ("bool", "int8", "int32", "int64"):
            found = getattr(fnp, name)(fnp.ones(3, dtype))
            assert found.dtype == ("float64" if dtype == "int64" else "float32")
