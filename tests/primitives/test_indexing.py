"""x[...], x.at[...] and take: against results recorded from JAX, and among themselves."""

import json
from pathlib import Path

import index_cases
import numpy as np
import pytest

import fornax as fx
import fornax.numpy as fnp
from fornax import errors
from fornax.ir.check import check
from fornax.ir.evaluate import evaluate
from fornax.ir.types import typeof
from fornax.transforms.stage import stage

RECORDED = json.loads(Path(__file__).with_name("recorded_indexing.json").read_text())
GROUPS = [RECORDED[start : start + 20] for start in range(0, len(RECORDED), 20)]


def operand(case):
    shape = tuple(case["shape"])
    return fnp.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape) + 1


def expect(recorded, function, where):
    """`function` gives what was recorded: the shape, dtype and values, or the error."""
    if "error" in recorded:
        with pytest.raises(Exception) as caught:
            function()
        assert type(caught.value).__name__ == recorded["error"], where
        return
    result = np.asarray(function())
    assert result.shape == tuple(recorded["shape"]), where
    assert result.dtype.name == recorded["dtype"], where
    values = np.array([np.nan if v is None else v for v in recorded["values"]], np.float64)
    np.testing.assert_allclose(
        result.ravel().astype(np.float64), values, rtol=1e-4, atol=1e-4, err_msg=where
    )


def traced(function, x, index):
    """`function(x, index)` with the array and all integer arrays of the index traced, evaluated."""
    arrays = [i for i in index if isinstance(i, np.ndarray) and i.dtype != bool]

    def flat(x, *given):
        rest = iter(given)
        filled = tuple(
            next(rest) if isinstance(i, np.ndarray) and i.dtype != bool else i for i in index
        )
        return [function(x, filled)]

    program = stage(flat, [typeof(v) for v in (x, *arrays)])
    check(program)
    return flat, [x, *arrays], lambda: evaluate(program, x, *arrays)[0]


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: f"from-{RECORDED.index(g[0])}")
def test_recorded_results(group):
    for case in group:
        index, x = index_cases.decode(case["index"]), operand(case)
        where = f"{case['shape']} {case['index']} {case['mode']} {case['write']}"
        expect(case["read"], lambda x=x, index=index: x[index], where)
        functions = {
            "get": lambda x, i, case=case: x.at[i].get(mode=case["mode"]),
            "written": lambda x, i, case=case: getattr(x.at[i], case["write"])(2.0),
            "clipped": lambda x, i, case=case: getattr(x.at[i], case["write"])(3.0, mode="clip"),
        }
        for name, function in functions.items():
            expect(case[name], lambda f=function, x=x, i=index: f(x, i), f"{name} {where}")
            if "error" not in case[name]:
                expect(case[name], traced(function, x, index)[2], f"traced {name} {where}")


@pytest.mark.parametrize("case", RECORDED[::13], ids=lambda c: str(RECORDED.index(c)))
def test_compiled_and_mapped(case):
    if "error" in case["read"]:
        return
    index, x = index_cases.decode(case["index"]), operand(case)
    functions = {
        "get": lambda x, i: x.at[i].get(mode=case["mode"]),
        "written": lambda x, i: getattr(x.at[i], case["write"])(2.0),
    }
    for name, function in functions.items():
        flat, args, _ = traced(function, x, index)
        expect(case[name], lambda f=flat, args=args: fx.jit(f)(*args)[0], f"compiled {name}")
        mapped = fx.vmap(flat)(*(np.stack([np.asarray(a)] * 2) for a in args))[0]
        expect(case[name], lambda mapped=mapped: mapped[1], f"mapped {name}")


@pytest.mark.parametrize("case", RECORDED[5::26], ids=lambda c: str(RECORDED.index(c)))
def test_gradients_of_reads_and_writes(case):
    """Reading is linear: the gradient of <weights, x[index]> counts how often x is read."""
    index, x = index_cases.decode(case["index"]), operand(case)
    if "error" in case["read"]:
        return
    counts = fx.grad(lambda x: x.at[index].get(mode="clip").sum())(x)
    again = fnp.zeros_like(x).at[index].add(1.0, mode="clip")
    np.testing.assert_allclose(np.asarray(counts), np.asarray(again))
    kept = fx.grad(lambda x: x.at[index].set(0.0).sum())(x)
    expected = fnp.ones_like(x).at[index].set(0.0)
    np.testing.assert_allclose(np.asarray(kept), np.asarray(expected))


X = np.arange(12.0, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    ("index", "error", "text"),
    [
        ("a", TypeError, "string indexing"),
        (1.0, TypeError, "integer or boolean type"),
        (np.array([1.0]), TypeError, "integer or boolean type"),
        ((0, 0, 0), IndexError, "2-dimensional, but 3 were indexed"),
        ((..., ...), IndexError, "single ellipsis"),
        (np.array([True, False]), IndexError, "boolean index did not match"),
        (slice(1, 2.5), TypeError, "cannot be interpreted as an integer"),
        (slice(None, None, 0), ValueError, "zero"),
        ([1, 2], TypeError, "non-tuple sequence"),
        ({}, IndexError, "only integers, slices"),
        ((np.array([0, 1]), np.array([0, 1, 2])), ValueError, "Incompatible shapes"),
    ],
    ids=str,
)
def test_refused(index, error, text):
    with pytest.raises(error, match=text):
        fnp.asarray(X)[index]
    with pytest.raises(error, match=text):
        fnp.asarray(X).at[index].set(0.0)


def test_traced_masks_and_slices_are_refused():
    with pytest.raises(errors.NonConcreteBooleanIndexError, match="must be concrete; got bool"):
        fx.jit(lambda x: x[x > 3])(X)
    with pytest.raises(IndexError, match="Slice entries must be static integers"):
        fx.jit(lambda x, i: x[i:])(X, 1)
    with pytest.raises(IndexError, match="out of bounds for axis 0 with size 0"):
        fnp.zeros((0, 3))[0]


def test_lists_inside_a_tuple_are_arrays():
    x = fnp.asarray(X)
    np.testing.assert_array_equal(x[[0, 2], [1, 3]], X[[0, 2], [1, 3]])
    np.testing.assert_array_equal(x[[True, False, True], 1], X[[True, False, True], 1])
    assert x[[]].shape == (0, 4)


def test_values_are_converted_with_a_warning():
    with pytest.warns(FutureWarning, match="cannot safely cast value from dtype=f32 to dtype=i32"):
        result = fnp.ones(3, int).at[0].add(fnp.float32(-0.5))
    assert result.tolist() == [0, 1, 1]
    assert fnp.ones(3).at[0].set(2).dtype == np.float32


def test_values_with_more_dimensions_are_refused():
    with pytest.raises(ValueError, match="Cannot broadcast to shape with fewer dimensions"):
        fnp.zeros(3).at[:2].set(fnp.ones((1, 2)))


def test_the_last_of_several_values_stays_and_gets_the_gradient():
    def f(x, v):
        return (x.at[np.array([0, 0, 5])].set(v) * fnp.arange(1.0, 4.0)).sum()

    dx, dv = fx.grad(f, (0, 1))(fnp.ones(3), fnp.ones(3))
    assert dx.tolist() == [0, 2, 3]
    assert dv.tolist() == [0, 1, 0]


def test_apply():
    x = fnp.zeros(3).at[np.array([0, 0, 7])].apply(lambda v: v + 1)
    assert x.tolist() == [2, 0, 0]
    mapped = fx.vmap(lambda x: x.at[1].apply(lambda v: v * 3))(fnp.ones((2, 3)))
    assert mapped.tolist() == [[1, 3, 1]] * 2
    with pytest.raises(NotImplementedError, match="JVP"):
        fx.grad(lambda x: x.at[0].apply(fnp.sin).sum())(fnp.ones(3))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (([0, 5, -1], 1), [0, np.nan, 3]),
        (([0, 5, -1], 1, "clip"), [0, 3, 0]),
        (([0, 5, -1], 1, "wrap"), [0, 1, 3]),
        (([0, 13, -1], None), [0, np.nan, 11]),
    ],
    ids=str,
)
def test_take(arguments, expected):
    indices, axis, *mode = arguments
    for function in (fnp.take, fx.jit(fnp.take, static_argnames=("axis", "mode"))):
        result = function(X, np.array(indices), axis=axis, mode=mode[0] if mode else None)
        row = np.asarray(result)[0] if axis is not None else result
        np.testing.assert_array_equal(row, expected)


def test_take_refuses():
    with pytest.raises(IndexError, match="non-empty"):
        fnp.take(fnp.zeros((0, 3)), np.array([0]), 0)
    with pytest.raises(NotImplementedError, match="raise"):
        fnp.take(X, np.array([0]), mode="raise")
    with pytest.raises(TypeError, match="list"):
        fnp.take(X, [0])


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_along_axis(axis):
    random = np.random.default_rng(3)
    x = random.normal(size=(2, 3, 4)).astype(np.float32)
    indices = random.integers(-x.shape[axis], x.shape[axis], (2, 3, 4))
    picked = np.take_along_axis(x, indices, axis)
    np.testing.assert_array_equal(fnp.take_along_axis(x, indices, axis), picked)
    np.testing.assert_array_equal(
        fx.jit(fnp.take_along_axis, static_argnums=2)(x, indices, axis), picked
    )
    order = np.argsort(x, axis)
    put = fnp.put_along_axis(x, order, fnp.asarray(x) * 2, axis, inplace=False)
    expected = x.copy()
    np.put_along_axis(expected, order, x * 2, axis)
    np.testing.assert_array_equal(put, expected)


def test_along_axis_broadcasts():
    x = fnp.asarray(X)
    assert fnp.take_along_axis(x, np.array([[0, -1, 9]]), 1).shape == (3, 3)
    assert np.isnan(fnp.take_along_axis(x, np.array([[9]]), 1)).all()
    assert fnp.take_along_axis(x, np.array([3, 0]), None).tolist() == [3, 0]
    with pytest.raises(ValueError, match="same number of dimensions"):
        fnp.take_along_axis(x, np.array([0]), 1)
    with pytest.raises(ValueError, match="in-place"):
        fnp.put_along_axis(x, np.array([[0]]), 1.0, 1)
