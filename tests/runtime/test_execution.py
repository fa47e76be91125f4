"""Eager evaluation, promotion to kernels, dumps, events."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import fornax as fx
import fornax.numpy as fnp
from fornax import lax, settings
from fornax.backends import cpu
from fornax.compiler import plan
from fornax.lax import sin_p
from fornax.runtime import eager, shared


@pytest.fixture
def fresh():
    eager.clear()
    yield
    eager.clear()


def promoted():
    return [e.executable for e in eager._entries.values() if e.executable is not None]


def test_an_eager_operation_is_not_compiled_at_first(fresh):
    fnp.sin(fnp.ones(3))
    assert not promoted()


def test_an_operation_that_cost_enough_is_compiled(fresh, monkeypatch):
    monkeypatch.setattr(eager, "PROMOTE_AFTER", 0.0)
    x = np.linspace(-3, 3, 1001).astype(np.float32)
    first = sin_p.bind(x)[0]
    assert not promoted()
    second = sin_p.bind(x)[0]
    (executable,) = promoted()
    assert executable.program.calls == 1
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), rtol=1e-6, atol=1e-7)


def test_disable_jit_never_runs_compiled_code(fresh, monkeypatch):
    monkeypatch.setattr(eager, "PROMOTE_AFTER", 0.0)
    sin_p.bind(1.0)
    with fx.disable_jit():
        sin_p.bind(1.0)
    assert not promoted()
    sin_p.bind(1.0)
    with fx.disable_jit():
        sin_p.bind(1.0)
    assert promoted()[0].program.calls == 1


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: fnp.zeros(1 << 45) + x, "an array"),
        (lambda x: fnp.sort(fnp.zeros(1 << 42) + x)[:3], "program"),
    ],
)
def test_programs_that_need_too_much_memory(function, why):
    with pytest.raises(fx.errors.OutOfMemoryError, match="RESOURCE_EXHAUSTED") as caught:
        fx.jit(function)(1.0)
    assert why in str(caught.value)
    assert "test_execution.py" in str(caught.value)


def test_loops_are_compiled_at_once(fresh):
    out = lax.fori_loop(0, 10, lambda i, v: v + i, 0)
    assert int(out) == 45
    assert promoted()


def test_dump(tmp_path):
    def dumped(x):
        return fnp.exp(x) * 2

    with settings.override(dump=str(tmp_path)):
        fx.jit(dumped)(fnp.ones((7, 3)))
    (folder,) = tmp_path.iterdir()
    files = {f.name for f in folder.iterdir()}
    assert {"jaxpr.txt", "canonical.txt", "plan.txt", "seconds.txt"} <= files
    for stage in ("kernel", "vectorize", "llvm", "assembly"):
        assert f"kernel000-{stage}.txt" in files


def test_misses_are_explained(capsys):
    @fx.jit
    def explained(x, scale):
        return x * scale

    explained(fnp.ones(3), 2.0)
    explained(fnp.ones(4), 2.0)
    misses = fx.explain_misses(explained)
    assert [m.reason for m in misses][0] == "first call"
    ((path, before, after),) = misses[-1].changes
    assert "x" in path and before == "f32[3]" and after == "f32[4]"
    assert "f32[3] -> f32[4]" in capsys.readouterr().out


def test_equal_layers_share_kernels():
    def network(weights, x):
        for w in weights:
            x = fnp.tanh(x @ w)
        return x

    weights = [fnp.eye(33) * k for k in range(1, 7)]
    compiled = fx.jit(network).lower(weights, fnp.ones((5, 33))).compile()
    kernels = compiled.executable.kernels
    assert len({k.address for k in kernels}) <= len(kernels) // 6 + 2


def test_threads_do_not_change_results():
    from fornax import _native

    x = np.random.default_rng(0).standard_normal((300, 257)).astype(np.float32)
    long = np.random.default_rng(1).standard_normal((3, 200_000)).astype(np.float32)

    def function(x, long):
        few = long @ long.T, long.sum(1), fnp.cumsum(long, 1), fnp.cumsum(long[0])
        wide = long.T[:70_000, :2] @ long[:2, :50], long[0] @ fnp.tile(long.T, (1, 30))
        return fnp.tanh(x @ x.T).sum(0), fnp.cumsum(x, 0), x.sum(), few, wide

    before = _native.thread_count()
    results = []
    try:
        _native.set_thread_count(8)
        for threads in (1, 2, 3, 4, 8):
            outputs = fx.jit(function, threads=threads)(x, long)
            results.append([np.asarray(v) for v in fx.tree.leaves(outputs)])
    finally:
        _native.set_thread_count(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_machine_code_lives_as_long_as_its_programs():
    """Nobody else keeps it once the caches have let it go, and a program needs no cache."""
    function = fx.jit(lambda x: fnp.tanh(x) * 3 + 5)
    x = np.ones(37, np.float32)
    expected = np.asarray(function(x))
    library = weakref.ref(next(reversed(cpu.compiled.values())).library)
    cpu.compiled.clear()
    plan._recipes.clear()
    shared.clear()
    gc.collect()
    assert library() is not None
    np.testing.assert_array_equal(np.asarray(function(x)), expected)
    function.clear_cache()
    del function
    gc.collect()
    assert library() is None


@pytest.mark.parametrize("make", [fnp.array, fnp.asarray, fx.device_put])
def test_arrays_made_of_numpys_begin_at_a_cache_line_and_are_their_own(make):
    whole = np.arange(64, dtype=np.float32)
    for x in (whole[1:33], whole[::2], whole.reshape(8, 8).T):
        expected, made = x.copy(), make(x)
        whole += 1
        np.testing.assert_array_equal(made, expected)
        assert made.unsafe_buffer_pointer() % 64 == 0
