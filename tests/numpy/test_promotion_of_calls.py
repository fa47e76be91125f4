"""Eager calls that have become expensive are compiled, and give what they gave before."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_cases import evaluate, mentioned
from test_numpy_recorded import LINES, RECORDED, check

import fornax
import fornax.numpy as fnp
from fornax import lax, nn, settings
from fornax.api import eager as functions
from fornax.api.eager import eager
from fornax.runtime import eager as runtime
from fornax.runtime.eager import PROMOTE_AFTER


@pytest.fixture
def at_once():
    """Every kind of call is compiled when it comes for the second time."""
    for name in fnp.__all__:
        getattr(fnp, name)
    for function in list(functions._functions):
        function.after = -1.0
    functions.clear()
    yield
    for function in list(functions._functions):
        function.after = PROMOTE_AFTER
    functions.clear()


def made_at_once(function, **options):
    made = eager(function, **options)
    made.after = -1.0
    return made


def is_compiled(function) -> bool:
    return [entry is not None for _, entry in function.tallies()] == [True]


#: one case in so many
EVERY = 4


@pytest.mark.parametrize("line", [k for k in LINES[::EVERY] if mentioned(k)])
def test_compiled_calls(line, at_once):
    arrays = {name: fnp.asarray(x) for name, x in mentioned(line).items()}
    expected = RECORDED[line]["eager"]
    for _ in range(2):
        check(line, lambda: evaluate(line, fornax.numpy, arrays), expected)


NUMBERS = (2, -1, 0.5, True, np.float32(1.5), np.int8(3), np.float64(2.5), np.ones(3, np.int64))
OPERANDS = [np.arange(3).astype(d) for d in ("int32", "uint8", "float32", "complex64", "bool")]


@pytest.mark.parametrize(
    "name", ["add", "multiply", "equal", "maximum", "true_divide", "remainder"]
)
def test_numbers_keep_their_types(name, at_once):
    """What Python and NumPy numbers are promoted to does not change when calls are compiled."""
    function = getattr(fnp, name)
    for x in OPERANDS:
        for number in NUMBERS:
            try:
                expected = function.function(fnp.asarray(x), number)
            except TypeError:
                continue
            for _ in range(2):
                got = function(fnp.asarray(x), number)
            assert (got.dtype, got.weak_type) == (expected.dtype, expected.weak_type)
            np.testing.assert_allclose(got, expected, 1e-6)


def test_operators(at_once):
    x = fnp.arange(4.0)
    for _ in range(3):
        for got, expected in (
            (x + 1, [1, 2, 3, 4]), (1 - x, [1, 0, -1, -2]), (-x, [0, -1, -2, -3]),
            (x > 1, [False, False, True, True]), (x**2, [0, 1, 4, 9]), (2 // (x + 1), [2, 1, 0, 0]),
        ):  # fmt: skip
            np.testing.assert_array_equal(got, expected)
        assert (x == None) is False and (x != "a") is True  # noqa: E711
        with pytest.raises(TypeError):
            x + "a"


def test_kinds_of_calls_are_told_apart():
    function = made_at_once(lambda x, n, *, scale: x * n * scale, static="n scale")
    function(fnp.arange(3.0), 2, scale=1), function(fnp.arange(3.0), 2, scale=1)
    assert len(function.tallies()) == 1
    for x, n, scale in (
        (fnp.arange(4.0), 2, 1), (fnp.arange(3.0), 3, 1), (fnp.arange(3.0), 2, 2),
        (fnp.arange(3), 2, 1), (fnp.arange(3.0), 2.0, 1), (3.0, 2, 1), (np.arange(3.0), 2, 1),
    ):  # fmt: skip
        for _ in range(2):
            got = function(x, n, scale=scale)
        np.testing.assert_allclose(got, np.asarray(x) * n * scale)
    # NumPy's float64 is float32 here, as the first Array was
    assert len(function.tallies()) == 7 and all(entry for _, entry in function.tallies())
    with fornax.enable_x64(True):
        assert function(np.arange(3.0), 2, scale=1).dtype == np.float64
    assert len(function.tallies()) == 8


def test_calls_become_programs_at_the_same_call_in_every_run():
    def calls_until_compiled(x):
        functions.clear(), runtime.clear()
        for count in range(2000):
            if any(entry for _, entry in fnp.exp.tallies()):
                return count
            fnp.exp(x)
        return None

    small, large = fnp.ones(100), fnp.ones(100_000)
    assert calls_until_compiled(small) == calls_until_compiled(small) == 647
    assert calls_until_compiled(large) == 21


def test_calls_become_programs_after_some_time():
    function = eager(lambda x: x + 1)
    x = fnp.arange(3.0)
    function.after = 1e9
    function(x), function(x)
    ((spent, entry),) = function.tallies()
    assert spent > 0 and entry is None
    function.after = 0.0
    function(x)
    assert is_compiled(function)
    np.testing.assert_array_equal(function(x), [1, 2, 3])


def test_transformations_see_the_function():
    function = made_at_once(lambda x: x * fnp.sin(x))
    for _ in range(2):
        function(fnp.float32(2.0))
    x = fnp.float32(2.0)
    np.testing.assert_allclose(fornax.grad(function)(x), np.sin(2) + 2 * np.cos(2), rtol=1e-6)
    assert fornax.vmap(function)(fnp.arange(3.0)).shape == (3,)
    assert "sin" in str(fornax.make_jaxpr(function)(x))


def test_functions_of_values_stay_as_they_are():
    function = made_at_once(lambda x: x + 1 if x > 0 else x - 1)
    for value, expected in ((1.0, 2.0), (1.0, 2.0), (-1.0, -2.0)):
        assert function(fnp.float32(value)) == expected
    assert [entry for _, entry in function.tallies()] == [None]


@pytest.mark.parametrize("setting", ["disable_jit", "debug_nans", "no_execution"])
def test_settings_that_ask_for_single_operations(setting):
    function = made_at_once(lambda x: x)
    with fornax.settings.override(**{setting: True}):
        for _ in range(3):
            function(fnp.arange(3.0)) if setting != "no_execution" else function(1.0)
    assert [entry for _, entry in function.tallies()] == [None]


def test_errors_stay():
    function = made_at_once(lambda x, y: x + y)
    for _ in range(3):
        with pytest.raises(TypeError, match="incompatible shapes"):
            function(fnp.ones(3), fnp.ones(4))
    deleted = fnp.arange(3.0)
    deleted.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        fnp.add(deleted, 1)


def test_arguments_that_cannot_be_part_of_a_key():
    function = made_at_once(lambda x, n: x * len(n), static="n")
    assert function(fnp.float32(2), [1, 2]) == 4  # a list is not hashable
    assert function(2**40 * 1.0, (1, 2)) == 2**41
    assert function.tallies() and function("ab", (1, 2)) == "abab"


def test_clear_caches_forgets():
    for _ in range(2):
        fnp.add(fnp.arange(3.0), 1)
    assert fnp.add.tallies()
    fornax.clear_caches()
    assert fnp.add.tallies() == []


def test_compiled_operations_refuse_leaked_tracers(monkeypatch):
    monkeypatch.setattr("fornax.runtime.eager.PROMOTE_AFTER", -1.0)
    kept = []
    fornax.grad(lambda x: kept.append(x) or x * 2)(3.0)
    fornax.lax.exp(np.float32(1)), fornax.lax.exp(np.float32(1))
    with pytest.raises(fornax.errors.UnexpectedTracerError, match="leaked"):
        fornax.lax.exp(kept[0])


@pytest.mark.parametrize("mode", ["compiled", "reference"])
def test_bits_do_not_depend_on_how_often_was_asked(mode, at_once):
    """Functions of one operation, of several, operators, and what is no decorated function."""
    x = fnp.linspace(0.1, 3, 64)
    calls = [
        lambda: fnp.exp(x), lambda: fnp.var(x), lambda: nn.softmax(x), lambda: x**2.3,
        lambda: lax.sin_p.bind(x)[0], lambda: fnp.linalg.norm(x), lambda: x / fnp.sum(x),
    ]  # fmt: skip
    runtime.clear()
    with settings.override(eager=mode):
        for call in calls:
            first = np.asarray(call())
            for _ in range(5):
                np.testing.assert_array_equal(np.asarray(call()), first, strict=True)
        compiled = [entry is not None for _, entry in fnp.exp.tallies()]
    assert compiled == [mode == "compiled"]


def test_a_call_that_cannot_be_compiled_runs_as_it_is():
    with settings.override(eager="compiled"):
        for _ in range(2):
            assert [int(k) for k in fnp.nonzero(fnp.arange(3))[0]] == [1, 2]
            with pytest.raises(TypeError, match="shapes"):
                fnp.add(fnp.ones(2), fnp.ones(3))
    with pytest.raises(ValueError, match="eager|enum"):
        fornax.config.update("eager", "sometimes")
