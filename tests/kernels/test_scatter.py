"""The scatter family against a direct loop over updates."""

import operator
from types import SimpleNamespace

import kernel_running as running
import ml_dtypes
import numpy as np
import pytest

from fornax.compiler.kernels import scatter, scatter_parts

COMBINE = {
    "scatter": lambda old, new: new,
    "scatter-add": operator.add,
    "scatter-sub": operator.sub,
    "scatter-mul": operator.mul,
    "scatter-min": np.minimum,
    "scatter-max": np.maximum,
}


def numbers(window, inserted, moved, batching=(), indices_batching=()):
    return SimpleNamespace(
        update_window_dims=window,
        inserted_window_dims=inserted,
        scatter_dims_to_operand_dims=moved,
        operand_batching_dims=batching,
        scatter_indices_batching_dims=indices_batching,
    )


CASES = {  # operand, indices, updates, dimension numbers
    "elements": ((11,), (6, 1), (6,), numbers((), (0,), (0,))),
    "rows": ((5, 20), (4, 1), (4, 20), numbers((1,), (0,), (0,))),
    "columns": ((5, 6), (4, 1), (5, 4), numbers((0,), (1,), (1,))),
    "windows": ((7, 9), (3, 2), (3, 2, 4), numbers((1, 2), (), (0, 1))),
    "swapped": ((7, 9), (3, 2), (2, 3, 4), numbers((0, 2), (), (1, 0))),
    "one": ((6,), (1,), (2,), numbers((0,), (), (0,))),
    "points": ((4, 5), (2, 3, 2), (2, 3), numbers((), (0, 1), (0, 1))),
    "batched": ((3, 8), (3, 4, 1), (3, 4), numbers((), (1,), (1,), (0,), (0,))),
    "batched rows": ((6, 3, 5), (4, 3, 1), (4, 3, 5), numbers((2,), (0,), (0,), (1,), (1,))),
    "many": ((11,), (70, 1), (70,), numbers((), (0,), (0,))),
    "many points": ((7, 9), (60, 2), (60,), numbers((), (0, 1), (0, 1))),
    "empty": ((5,), (0, 1), (0,), numbers((), (0,), (0,))),
}


def expected(name, operand, indices, updates, dims, mode):
    result = operand.copy()
    combine = COMBINE[name]
    around = [d for d in range(updates.ndim) if d not in dims.update_window_dims]
    gone = {*dims.inserted_window_dims, *dims.operand_batching_dims}
    windows = [d for d in range(operand.ndim) if d not in gone]
    extents = [1] * operand.ndim
    for d, u in zip(windows, dims.update_window_dims, strict=True):
        extents[d] = updates.shape[u]
    for place in np.ndindex(*[updates.shape[u] for u in around]):
        start = [0] * operand.ndim
        for n, d in enumerate(dims.scatter_dims_to_operand_dims):
            start[d] = int(indices[(*place, n)])
            if mode == "clip":
                start[d] = min(max(start[d], 0), operand.shape[d] - extents[d])
        for d, s in zip(
            dims.operand_batching_dims, dims.scatter_indices_batching_dims, strict=True
        ):
            start[d] = place[s]
        ends = [s + e for s, e in zip(start, extents, strict=True)]
        if any(s < 0 or e > n for s, e, n in zip(start, ends, operand.shape, strict=True)):
            continue
        for offset in np.ndindex(*[updates.shape[u] for u in dims.update_window_dims]):
            at, where = list(start), [0] * updates.ndim
            for u, p in zip(around, place, strict=True):
                where[u] = p
            for d, u, p in zip(windows, dims.update_window_dims, offset, strict=True):
                at[d] += p
                where[u] = p
            result[tuple(at)] = combine(result[tuple(at)], updates[tuple(where)])
    return result


def check(name, case, how, dtype="float32", mode="fill_or_drop", index="int32", **options):
    operand_shape, index_shape, update_shape, dims = CASES[case]
    generator = np.random.default_rng(2)
    operand = running.random(generator, operand_shape, dtype)
    updates = running.random(generator, update_shape, dtype)
    indices = generator.integers(-2 if index != "uint8" else 0, 9, index_shape).astype(index)
    if options.get("unique"):
        indices = np.arange(indices.size).reshape(index_shape).astype(index)
    params = {
        "dimension_numbers": dims, "mode": mode, "unique_indices": options.get("unique", False),
        "indices_are_sorted": False, "update_jaxpr": None, "update_consts": (),
    }  # fmt: skip
    arrays = [operand, indices, updates]
    (found,) = running.apply(
        name, params, arrays, [(operand_shape, dtype)], how, threads=options.get("threads", 1)
    )
    with np.errstate(over="ignore"):
        wanted = expected(name, *arrays, dims, mode)
    if np.dtype(dtype).kind == "c":
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("mode", ["fill_or_drop", "clip", "promise_in_bounds"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["scatter", "scatter-add"])
def test_cases(name, case, mode, how):
    check(name, case, how, mode=mode)


@pytest.mark.parametrize("case", CASES)
def test_parallel(case, how, monkeypatch):
    monkeypatch.setattr(scatter, "WORTH_A_THREAD", 1)
    check("scatter-add", case, how, threads=2)


def test_chunks_of_a_wide_window(how, monkeypatch):
    monkeypatch.setattr(scatter, "WORTH_A_THREAD", 1)
    monkeypatch.setitem(CASES, "wide", ((5, 64), (4, 1), (4, 64), numbers((1,), (0,), (0,))))
    check("scatter-add", "wide", how, threads=2)


def test_unique(how):
    check("scatter-mul", "elements", how, unique=True, threads=2)


@pytest.mark.parametrize("name", COMBINE)
@pytest.mark.parametrize(
    "dtype",
    ["int8", "uint16", "int64", "float16", ml_dtypes.bfloat16, "float64", "complex64"],
    ids=str,
)
def test_dtypes(name, dtype, how):
    if dtype == "complex64" and name in ("scatter-min", "scatter-max"):
        pytest.skip("NumPy orders NaN parts differently")
    check(name, "rows", how, dtype)


@pytest.mark.parametrize("name", ["scatter", "scatter-min", "scatter-max"])
def test_booleans(name, how):
    check(name, "rows", how, "bool")


@pytest.mark.parametrize("index", ["int8", "uint8", "int64", "uint64"])
@pytest.mark.parametrize("mode", ["fill_or_drop", "clip"])
def test_indices_of_any_dtype(index, mode, how):
    if index == "uint64":
        operand, updates = np.zeros(5, np.float32), np.ones(2, np.float32)
        indices = np.array([[2**64 - 3], [1]], np.uint64)
        params = {"dimension_numbers": numbers((), (0,), (0,)), "mode": mode}
        (found,) = running.apply(
            "scatter", params, [operand, indices, updates], [((5,), "float32")], how
        )
        np.testing.assert_array_equal(found, [0, 1, 0, 0, 1 if mode == "clip" else 0])
        return
    check("scatter-add", "elements", how, mode=mode, index=index)


@pytest.mark.parametrize("mode", ["fill_or_drop", "clip"])
@pytest.mark.parametrize("dtype", ["float32", "int8", "float16", "complex64"])
@pytest.mark.parametrize("count", [16, 33])
def test_sums_in_copies(count, dtype, mode, how, monkeypatch):
    """Many updates of few elements; small integers, so that the order does not show."""
    monkeypatch.setattr(scatter, "COPIED", 1)
    monkeypatch.setattr(scatter, "COPIES", 4)
    generator = np.random.default_rng(count)
    operand = generator.integers(-3, 4, (2, 3)).astype(dtype)
    operand[0, 0] = -0.0
    indices = generator.integers(-1, 4, (count, 2, 2)).astype(np.int32)
    updates = generator.integers(-3, 4, (count, 2)).astype(dtype)
    dims = numbers((), (0, 1), (0, 1))
    params = {"dimension_numbers": dims, "mode": mode, "unique_indices": False,
              "indices_are_sorted": False, "update_jaxpr": None, "update_consts": ()}  # fmt: skip
    arrays = [operand, indices, updates]
    k = running.context("scatter-add", params, arrays, [(operand.shape, dtype)])
    assert len(k.kernels) == 2 + count % 4
    (found,) = running.run(k, arrays, how, operand)
    np.testing.assert_array_equal(found, expected("scatter-add", *arrays, dims, mode))


def test_sums_in_copies_leave_negative_zeros(how, monkeypatch):
    monkeypatch.setattr(scatter, "COPIED", 1)
    dims = numbers((), (0,), (0,))
    arrays = [np.full(2, -0.0, np.float32), np.zeros((30, 1), np.int32), np.ones(30, np.float32)]
    params = {"dimension_numbers": dims, "mode": "clip", "unique_indices": False,
              "indices_are_sorted": False, "update_jaxpr": None, "update_consts": ()}  # fmt: skip
    (found,) = running.apply("scatter-add", params, arrays, [((2,), "float32")], how)
    assert found.tolist() == [30, 0]
    assert np.signbit(found[1])


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("mode", ["fill_or_drop", "clip"])
@pytest.mark.parametrize("name", ["scatter", "scatter-add", "scatter-mul", "scatter-max"])
def test_parts_of_a_large_operand(name, mode, threads, how, monkeypatch):
    """Every thread makes the updates of its part, in order; some are outside of all of them."""
    parts_of_few(monkeypatch)
    check(name, "many", how, mode=mode, threads=threads)


@pytest.mark.parametrize("dtype", ["complex64", "bfloat16", "int64"])
def test_parts_of_a_matrix(dtype, how, monkeypatch):
    parts_of_few(monkeypatch)
    dtype = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    check("scatter", "many points", how, dtype=dtype, threads=2)
    if dtype == "complex64":
        check("scatter-mul", "many points", how, dtype=dtype, threads=2)


def parts_of_few(monkeypatch):
    for module in (scatter, scatter_parts):
        monkeypatch.setattr(module, "BLOCK", 3)
        monkeypatch.setattr(module, "MANY", 8)
    monkeypatch.setattr(scatter, "COPIED", 1 << 30)
