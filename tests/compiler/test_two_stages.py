"""Large reductions in two stages: the same results, shared by threads."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import lax, settings
from fornax.backends import reference
from fornax.backends.cpu import prepare
from fornax.backends.llvm import target as targets
from fornax.compiler import cost
from fornax.compiler.canonical import canonicalize
from fornax.compiler.loop.show import show
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.two_stages import STREAMED
from fornax.runtime.compile import plan

numbers = np.random.default_rng(8)
#: shapes and the dimensions reduced: divisible, prime, short first dimensions, several results
SHAPES = [
    ((1 << 16,), (0,)), ((65537,), (0,)), ((3, 40009), (0, 1)), ((5, 1 << 14), (1,)),
    ((2, 33000), (1,)), ((255, 256, 2), (0, 1)), ((7, 70003), (1,)),
    ((1, 2, 40001), (1, 2)),
]  # fmt: skip
#: shapes and dimensions: long columns, with dimensions around them, neighbours beside others
MANY_RESULTS = [
    ((8192, 130), (0,)), ((2, 4096, 160), (1,)), ((96, 128, 120), (0, 1)), ((80, 100, 140), (0, 2)),
    ((8193, 130), (0,)),
]  # fmt: skip
NAMES = ["sum", "prod", "max", "min", "any", "all"]
DTYPES = ["float32", "int32", "uint8", "bool", "bfloat16", "float64"]


def array(shape, dtype):
    if dtype == "bool":
        return numbers.integers(0, 2, shape).astype(bool)
    if dtype in ("int32", "uint8"):
        return numbers.integers(0, 100, shape).astype(dtype)
    return (1 + numbers.standard_normal(shape) * 1e-3).astype(np.float32)


def extent(function, *operands, threads=2):
    traced = fornax.jit(function).trace(*operands)
    planner, _ = plan(traced.jaxpr, targets.find(), threads, reference.compile_kernel)
    target = targets.find()
    return max(prepare(made.kernel, target).extent for made in planner.plan.kernels)


@pytest.mark.parametrize("shape,axes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_reductions(name, dtype, shape, axes):
    with fornax.enable_x64(dtype == "float64"):
        x = jnp.asarray(array(shape, dtype)).astype(dtype)
        function = getattr(jnp, name)
        found = np.asarray(fornax.jit(lambda x: function(x, axis=axes))(x))
        plain = np.asarray(x).astype(np.float64 if dtype in ("bfloat16", "float32") else x.dtype)
        expected = getattr(np, name)(plain, axis=axes, **kinds(name, dtype))
    loose = {"bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-12}.get(dtype)
    if loose is None or name in ("any", "all"):
        np.testing.assert_array_equal(found, expected.astype(found.dtype))
    else:
        np.testing.assert_allclose(found.astype(np.float64), expected, rtol=loose)


def kinds(name, dtype):
    """What JAX widens sums of small integers to."""
    wide = {"int32": np.int32, "uint8": np.uint32, "bool": np.int32}.get(dtype)
    return {"dtype": wide} if name in ("sum", "prod") and wide else {}


@pytest.mark.parametrize("n", [1 << 16, 65537, 100_000])
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool"])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_first_extremes(name, dtype, n):
    x = array((n,), dtype)
    function, by_numpy = fornax.jit(getattr(jnp, name)), getattr(np, name)
    assert function(x) == by_numpy(x)
    if dtype == "float32":
        for places in ([n - 1], [n // 2 + 5, n // 3], [0, n - 1]):
            with_nan = x.copy()
            with_nan[places] = np.nan
            assert function(with_nan) == min(places)
        ties = np.zeros(n, np.float32)
        assert function(ties) == 0
        worst = np.full(n, -np.inf if name == "argmax" else np.inf, np.float32)
        assert function(worst) == 0


def test_extremes_of_one_dimension_of_several():
    x = numbers.standard_normal((3, 50_000, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        fornax.jit(lambda x: lax.argmax(x, 1, np.int32))(x), np.argmax(x, 1)
    )


@pytest.mark.parametrize("shape", [(2048, 600), (16384, 72), (2048, 3, 200)])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_first_extremes_of_columns(name, shape):
    x = numbers.integers(0, 99, shape).astype(np.float32)  # each comes several times
    rows = numbers.integers(0, shape[0], 20)
    x[rows, ..., 7], x[np.sort(rows)[3:], ..., 9] = np.nan, np.inf
    x[..., 11] = -np.inf if name == "argmax" else np.inf
    found = fornax.jit(lambda x: getattr(jnp, name)(x, 0))(x)
    np.testing.assert_array_equal(found, getattr(np, name)(x, 0))
    assert extent(lambda x: getattr(jnp, name)(x, 0), x) >= 8


@pytest.mark.parametrize(
    "function",
    [jnp.argmax, jnp.any, lambda x: jnp.sum(jnp.diff(x) ** 2), lambda x: jnp.sum(jnp.exp(x))],
)
def test_threads_share_them(function):
    x = numbers.standard_normal(1 << 20).astype(np.float32)
    assert extent(function, x) >= 8


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_results_do_not_depend_on_threads(threads):
    x = numbers.standard_normal(300_007).astype(np.float32)
    with settings.override(threads=1):
        alone = np.asarray(fornax.jit(jnp.sum)(x))
    with settings.override(threads=threads):
        together = np.asarray(fornax.jit(lambda x: jnp.sum(x))(x))
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("shape", [(257, 512), (32, 33, 256), (5, 7, 9, 11, 64), (2, 4, 70000)])
def test_parts_are_read_in_order(shape):
    """Rows are cut where there are enough of them, whether or not their number has a divisor."""
    x, row = array(shape, "float32"), array(shape[-1:], "float32")
    assert len(reductions(jnp.max, x)[0]) == 2  # of one loop, cut in two
    found = reductions(lambda x, row: jnp.max(x * row), x, row)[0]
    assert (len(found), found[-1]) == (3, shape[-1]) or shape[-1] == 70000
    assert fornax.jit(jnp.max)(x) == x.max() and fornax.jit(jnp.argmin)(x) == x.argmin()
    np.testing.assert_allclose(fornax.jit(jnp.sum)(x), x.sum(dtype=np.float64), rtol=2e-6)
    total = fornax.jit(lambda x, row: jnp.sum(x * row))(x, row)
    np.testing.assert_allclose(total, (x * row).sum(dtype=np.float64), rtol=2e-6)


@pytest.mark.parametrize(
    "shape", [(64, 64, 1024), (61, 67, 101), (8, 3, 41, 419), (5, 7, 9, 11, 64)]
)
def test_one_loop_counts_through_all_dimensions(shape):
    """Divisions and remainders of the flat index cancel, in whatever parts it is cut."""
    x = np.ones(shape, np.float32)
    for function in (
        jnp.max,
        lambda x: jnp.sum(x.reshape(-1)),
        lambda x: jnp.any(x.reshape(-1, 1)),
    ):
        planner, _ = plan(
            fornax.jit(function).trace(x).jaxpr, targets.find(), 2, reference.compile_kernel
        )
        text = "".join(show(simplify(made.kernel)) for made in planner.plan.kernels)
        assert "idiv" not in text and "imod" not in text


@pytest.mark.parametrize("shape,axes", SHAPES + MANY_RESULTS, ids=str)
def test_nothing_is_left_to_be_cut(shape, axes):
    traced = fornax.jit(lambda x: (lax.reduce_sum(x, axes), lax.reduce_max(x, axes))).trace(
        array(shape, "float32")
    )
    once = canonicalize(traced.jaxpr.jaxpr)
    again = canonicalize(once)
    assert [e.primitive for e in again.equations] == [e.primitive for e in once.equations]


def test_numbers_of_few_bits_are_not_rounded_in_between():
    """A sum in bfloat16 is rounded once, at its end."""
    x = jnp.ones(1 << 16, "bfloat16") * 1.0078125
    found = fornax.jit(lambda x: lax.reduce_sum_p.bind(x, axes=(0,))[0])(x)
    assert float(found) == float(jnp.asarray(65536 * 1.0078125, "bfloat16"))


@pytest.mark.parametrize("reverse", [False, True])
def test_both_stages_of_an_extreme_within_a_loop(monkeypatch, reverse):
    """Its two reductions of a part are over one axis, and the loop copies both."""
    monkeypatch.setattr(cost, "LARGE", 32)
    x = numbers.standard_normal((3, 33)).astype(np.float32)

    def rows(x):
        def step(carried, row):
            return carried, (jnp.argmax(row), row < jnp.argmax(row))

        return lax.scan(step, 0, x, reverse=reverse)[1]

    place, less = fornax.jit(rows)(x)
    expected = x.argmax(1)
    np.testing.assert_array_equal(place, expected)
    np.testing.assert_array_equal(less, x < expected[:, None])


@pytest.mark.parametrize("name", [*NAMES, "argmax"])
def test_long_rows_of_which_there_are_none(name):
    x = np.ones((0, 40000), np.float32)
    found = fornax.jit(lambda x: getattr(jnp, name)(x, axis=1))(x)
    assert found.shape == (0,)


@pytest.mark.parametrize("shape,axes", MANY_RESULTS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("name", ["sum", "max", "prod"])
def test_many_results(name, dtype, shape, axes):
    x = array(shape, dtype)
    assert x.nbytes >= STREAMED
    found = fornax.jit(lambda x: getattr(jnp, name)(x, axis=axes))(x)
    wide = {"dtype": np.float64 if dtype == "float32" else np.int32} if name != "max" else {}
    expected = getattr(np, name)(x, axis=axes, **wide)
    np.testing.assert_allclose(found, expected, rtol=2e-5 if dtype == "float32" else 0)


def test_many_results_are_shared_by_threads():
    for shape in ((8192, 130), (4096, 1024)):
        assert extent(lambda x: x.sum(0), np.zeros(shape, np.float32)) >= 32


def test_long_columns_are_as_accurate_as_their_parts():
    x = numbers.uniform(1, 2, (1 << 17, 96)).astype(np.float32)
    found = np.asarray(fornax.jit(lambda x: x.sum(0))(x))
    np.testing.assert_allclose(found, x.sum(0, dtype=np.float64), rtol=2e-6)


def reductions(function, *operands):
    """The shapes that are reduced in the program that is compiled."""
    program = canonicalize(fornax.jit(function).trace(*operands).jaxpr)
    names = [e for e in program.equations if e.primitive.name.startswith("reduce_")]
    return [e.inputs[0].type.shape for e in names]


def test_what_is_not_read_is_not_cut():
    """The columns of pairs of points are added up as they are computed, beside their rows."""
    points, matrix = np.ones((2048, 3), np.float32), np.ones((2048, 2048), np.float32)

    def columns(x):
        return jnp.sum(jnp.exp(x[:, None] - x[None, :]), axis=0)

    assert reductions(columns, points) == [(2048, 2048, 3)]
    assert len(reductions(lambda x: jnp.sum(jnp.exp(x), axis=0), matrix)) == 2
    centred = reductions(lambda x: jnp.sum(jnp.exp(x - jnp.mean(x, 1)[:, None]), axis=0), matrix)
    assert len(centred) == 3


def test_dimensions_of_one_that_are_not_reduced_stay():
    x = numbers.standard_normal((1, 2, 40001)).astype(np.float32)
    found = fornax.jit(fornax.grad(jnp.var))(x)
    np.testing.assert_allclose(found, 2 * (x - x.mean()) / x.size, atol=1e-9)
