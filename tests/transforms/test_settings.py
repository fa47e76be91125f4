"""Settings as context managers, by `config.update` and from the environment."""

import logging
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax, settings


def test_every_setting_is_a_context_manager_and_a_config_name():
    for name in settings.Settings.__dataclass_fields__:
        assert fornax.config.values[f"jax_{name}"] == getattr(fornax.config, f"jax_{name}")
    for name, value in [
        ("enable_x64", True), ("debug_nans", True), ("debug_infs", True), ("log_compiles", True),
        ("check_tracer_leaks", True), ("no_tracing", True), ("no_execution", True),
        ("enable_checks", True), ("enable_custom_prng", True), ("softmax_custom_jvp", True),
        ("threefry_partitionable", False), ("allow_f16_reductions", False),
        ("numpy_dtype_promotion", "strict"), ("numpy_rank_promotion", "raise"),
        ("default_matmul_precision", "high"), ("default_prng_impl", "rbg"),
        ("legacy_prng_key", "error"), ("default_device", "cpu"), ("transfer_guard", "disallow"),
        ("transfer_guard_host_to_device", "log"), ("transfer_guard_device_to_host", "allow"),
        ("transfer_guard_device_to_device", "log_explicit"), ("thread_guard", True),
        ("array_garbage_collection_guard", "log"), ("explain_cache_misses", True),
    ]:  # fmt: skip
        manager = getattr(fornax, name)
        before = fornax.config.read(f"jax_{name}")
        with manager(value):
            assert manager.value == value == getattr(fornax.config, f"jax_{name}")
        assert manager.value == before


def test_values_are_checked():
    with pytest.raises(ValueError, match="new enum value must be in .*got x of type"):
        fornax.numpy_rank_promotion("x").__enter__()
    with pytest.raises(ValueError, match="must be None or in .*'disallow'"):
        fornax.transfer_guard("x").__enter__()
    with pytest.raises(ValueError, match="must be None or in .*'highest'"):
        fornax.config.update("jax_default_matmul_precision", "x")
    with pytest.raises(ValueError, match="jax.default_device must be passed"):
        fornax.default_device(3).__enter__()
    with pytest.raises(ValueError, match="True or False"):
        fornax.config.update("jax_debug_nans", "maybe")
    with pytest.raises(TypeError, match="requires an argument"):
        fornax.numpy_rank_promotion()
    with pytest.raises(AttributeError, match="Unrecognized config option: jax_nope"):
        fornax.config.update("jax_nope", 1)
    with pytest.raises(AttributeError):
        _ = fornax.config.jax_nope


def test_settings_about_what_is_not_here_change_nothing():
    before = fornax.config.jax_compilation_cache_dir
    fornax.config.update("jax_compilation_cache_dir", "/nowhere")
    assert fornax.config.jax_compilation_cache_dir == "/nowhere"
    fornax.config.update("jax_compilation_cache_dir", before)


def test_environment():
    code = (
        "import fornax; c = fornax.config; print(c.jax_debug_nans, c.jax_enable_x64, "
        "c.jax_numpy_rank_promotion, c.jax_platforms)"
    )
    environment = {
        **os.environ, "JAX_DEBUG_NANS": "1", "FORNAX_ENABLE_X64": "true",
        "JAX_NUMPY_RANK_PROMOTION": "warn", "JAX_PLATFORMS": "cpu",
    }  # fmt: skip
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["True", "True", "warn", "cpu"]


NAN_CASES = {
    "eager": (lambda: fnp.log(fnp.asarray(-1.0)), "log"),
    "an operand": (lambda: fnp.asarray(np.nan) + 1, "add"),
    "jit": (lambda: fornax.jit(lambda x: fnp.log(x) * 2)(-1.0), "log"),
    "nested": (
        lambda: fornax.jit(lambda x: fornax.jit(lambda y: fnp.sqrt(y) + 1)(x) * 2)(-1.0), "sqrt",
    ),
    "scan": (
        lambda: fornax.jit(
            lambda x: lax.scan(lambda c, _: (fnp.log(c) * 2, None), x, None, 4)[0]
        )(1.5), "log",
    ),
    "eager while": (lambda: lax.while_loop(lambda x: x > -2, lambda x: fnp.log(x), 1.5), "log"),
    "cond": (
        lambda: fornax.jit(
            lambda x: lax.cond(x > 0, lambda x: x, lambda x: fnp.arccos(x), x)
        )(-3.0), "acos",
    ),
    "grad": (lambda: fornax.grad(lambda x: fnp.sqrt(x) * 0.0)(0.0), "mul"),
    "grad of jit": (
        lambda: fornax.grad(fornax.jit(lambda x: fnp.where(x > 0, fnp.sqrt(x), 0)))(0.0), "mul|div",
    ),
    "complex": (lambda: fnp.log(fnp.asarray(1j)) * fnp.asarray(np.inf), "mul"),
    "bfloat16": (lambda: fnp.sqrt(fnp.asarray(-1.0, "bfloat16")), "sqrt"),
    "vmap": (lambda: fornax.vmap(fornax.jit(fnp.log))(fnp.asarray([1.0, -1.0])), "log"),
}  # fmt: skip


@pytest.mark.parametrize("case", NAN_CASES)
def test_debug_nans(case):
    run, name = NAN_CASES[case]
    run()
    for _ in range(2):
        with fornax.debug_nans(), pytest.raises(FloatingPointError) as caught:
            run()
        text = str(caught.value)
        assert any(f"invalid value (nan) encountered in {n}\n" in text for n in name.split("|"))
        assert "test_settings.py" in text
    run()


def _of_rows(f):
    return lambda x: fornax.vmap(f)(x[None]).sum()


def _in_scan(f):
    return lambda x: fornax.lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0]


def _jvp(f):
    return lambda x: fornax.jvp(f, (x,), (x,))


@pytest.mark.parametrize("around", [
    lambda f: f, fornax.jit, fornax.grad, lambda f: fornax.grad(fornax.jit(f)),
    lambda f: fornax.jit(fornax.value_and_grad(fornax.jit(f))), lambda f: _jvp(fornax.jit(f)),
    lambda f: fornax.grad(fornax.checkpoint(f)), lambda f: _of_rows(fornax.jit(f)),
    lambda f: fornax.grad(_in_scan(f)), lambda f: fornax.hessian(fornax.jit(f)),
])  # fmt: skip
def test_debug_nans_names_the_line(around):
    def f(x):
        y = x + 1
        return fnp.log(y)  # this line

    with fornax.debug_nans(), pytest.raises(FloatingPointError) as caught:
        around(f)(fnp.asarray(-3.0))
    line = f.__code__.co_firstlineno + 2
    assert f"test_settings.py:{line} (f)" in str(caught.value)


def test_the_lines_of_rules_are_theirs():
    f = fornax.custom_vjp(lambda x: x * 1)
    f.defvjp(lambda x: (x * 1, x), lambda x, g: (fnp.log(x) * g,))
    line = f.bwd.__code__.co_firstlineno
    for around in (f, fornax.jit(f), fornax.checkpoint(f)):
        with fornax.debug_nans(), pytest.raises(FloatingPointError) as caught:
            fornax.jit(fornax.grad(around))(-3.0)
        assert f"test_settings.py:{line} (<lambda>)" in str(caught.value)


def test_debug_nans_leaves_the_rest_alone():
    with fornax.debug_nans():
        f = fornax.jit(lambda x: fnp.where(x > 0, fnp.log(x), 0.0))
        assert f(-1.0) == 0  # a NaN that does not come out
        assert np.isinf(fornax.jit(lambda x: 1 / x)(0.0))
        key = fornax.jit(fornax.random.split)(fornax.random.key(0))
        assert key.shape == (2,)
        g = fornax.jit(lambda x: x * fnp.nan, donate_argnums=0)
        with pytest.raises(FloatingPointError):
            g(fnp.ones(3))


def test_debug_infs():
    with fornax.debug_infs():
        with pytest.raises(FloatingPointError, match=r"invalid value \(inf\) encountered in div"):
            fornax.jit(lambda x: 1 / x)(0.0)
        with pytest.raises(FloatingPointError, match=r"\(inf\) encountered in div"):
            1 / fnp.asarray(0.0)
        assert np.isnan(fnp.log(fnp.asarray(-1.0)))


def test_no_tracing_and_no_execution():
    f = fornax.jit(lambda x: x + 1)
    f(1.0)
    with fornax.no_tracing(), pytest.raises(RuntimeError, match="re-tracing function .*no_tracing"):
        f(1)
    with fornax.no_execution(), pytest.raises(RuntimeError, match="tried to execute function jit"):
        f(1.0)
    assert f(1.0) == 2


def test_checks_logs_and_explanations(caplog):
    f = fornax.jit(lambda x: x * 7 + 31)
    with fornax.enable_checks(), fornax.log_compiles(), fornax.explain_cache_misses():
        f(1.0)
        f(fnp.ones(2))
    text = caplog.text
    assert "Traced" in text and "Compiled" in text and "changed: x" in text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        f(fnp.ones(3))
    assert not caplog.text


def test_precision_where_none_is_given():
    x = fnp.ones((2, 2))
    with fornax.default_matmul_precision("float32"):
        program = fornax.make_jaxpr(lambda x: x @ x)(x)
        explicit = fornax.make_jaxpr(lambda x: fnp.matmul(x, x, precision="default"))(x)
    highest, default = lax.Precision.HIGHEST, lax.Precision.DEFAULT
    assert program.jaxpr.eqns[0].params["precision"] == (highest, highest)
    assert explicit.jaxpr.eqns[0].params["precision"] == (default, default)


def test_ranks():
    a, b = fnp.ones(2), fnp.ones((2, 2))
    with fornax.numpy_rank_promotion("raise"):
        with pytest.raises(ValueError, match="jax_numpy_rank_promotion='raise'"):
            a + b
        assert (a + 1).shape == (2,)
    with fornax.numpy_rank_promotion("warn"), pytest.warns(UserWarning, match="rank promotion"):
        a * b
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a + b


def test_strict_promotion():
    with fornax.numpy_dtype_promotion("strict"):
        with pytest.raises(fornax.errors.TypePromotionError, match="no available implicit dtype"):
            fnp.ones(2) + fnp.ones(2, int)
        assert (fnp.ones(2) + 1).dtype == np.float32
        assert (fnp.ones(2, "complex64") * 2.0).dtype == np.complex64
        assert fnp.add(1, 2.0).weak_type
        for few, many in ((fnp.ones(2, int), 1.5), (fnp.ones(2), 1j), (fnp.ones(2, bool), 1)):
            with pytest.raises(fornax.errors.TypePromotionError, match="a Python"):
                few + many


def test_keys():
    raw = fornax.random.PRNGKey(0)
    with fornax.enable_custom_prng():
        assert fornax.random.PRNGKey(0).dtype == fornax.random.key(0).dtype
    with fornax.legacy_prng_key("error"):
        with pytest.raises(ValueError, match="Legacy uint32 key array"):
            fornax.random.normal(raw)
        fornax.random.normal(fornax.random.key(0))
    with fornax.legacy_prng_key("warn"), pytest.warns(UserWarning, match="Legacy uint32"):
        fornax.random.bits(raw)


def test_settings_from_the_command_line(monkeypatch):
    before = fornax.config.jax_numpy_rank_promotion
    arguments = ["x", "--jax_numpy_rank_promotion=warn", "--jax_debug_nans", "--other=1", "--",
                 "--jax_debug_infs"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    try:
        fornax.config.parse_flags_with_absl()
        assert fornax.config.jax_numpy_rank_promotion == "warn"
        assert fornax.config.jax_debug_nans and not fornax.config.jax_debug_infs
    finally:
        fornax.config.update("jax_numpy_rank_promotion", before)
        fornax.config.update("jax_debug_nans", False)


def test_debug_nans_from_inputs_and_literals():
    f = fornax.jit(lambda x: (x + 1, x)[1])
    g = fornax.jit(lambda x: (x, fnp.nan))
    with fornax.debug_nans():
        with pytest.raises(FloatingPointError, match="the de-optimized function did not .*input"):
            f(np.float32(np.nan))
        with pytest.raises(FloatingPointError, match="the de-optimized function did not .*literal"):
            g(1.0)
