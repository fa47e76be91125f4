"""fornax.ops, monitoring, errors, stages and dtypes: what JAX has there."""

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import errors, monitoring, ops

ROWS = np.arange(12, dtype=np.float32).reshape(6, 2) - 4
IDS = np.asarray([0, 1, 0, 3, -1, 9], np.int32)
START = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf}
COMBINE = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


def expected(kind, rows, ids, count, start=None):
    out = np.full((count, *rows.shape[1:]), START[kind] if start is None else start, rows.dtype)
    for row, i in zip(rows, ids, strict=True):
        if 0 <= i < count:
            out[i] = COMBINE[kind](out[i], row)
    return out


@pytest.mark.parametrize("kind", START)
def test_segments(kind):
    f = getattr(ops, f"segment_{kind}")
    for count in (0, 3, 4, 12):
        wanted = expected(kind, ROWS, IDS, count)
        np.testing.assert_allclose(f(ROWS, IDS, count), wanted)
        np.testing.assert_allclose(f(ROWS, IDS, count, bucket_size=4), wanted)
        np.testing.assert_allclose(
            fornax.jit(f, static_argnames="num_segments")(ROWS, IDS, num_segments=count), wanted
        )
    assert f(ROWS, IDS).shape == (10, 2)
    both = np.stack([IDS, IDS * 0])
    mapped = fornax.vmap(lambda rows, ids: f(rows, ids, 3), (None, 0))(ROWS[:, 0], both)
    wanted = [expected(kind, ROWS[:, 0], ids, 3) for ids in both]
    np.testing.assert_allclose(mapped, wanted)
    info = np.iinfo(np.int32)
    start = {"max": info.min, "min": info.max}.get(kind)
    whole = f(ROWS.astype(np.int32), IDS, 4)
    assert whole.dtype == np.int32
    np.testing.assert_array_equal(whole, expected(kind, ROWS.astype(np.int32), IDS, 4, start))
    assert f(ROWS[:0], IDS[:0], 2).shape == (2, 2)
    assert f(fnp.ones(3, "bfloat16"), np.zeros(3, int), 2).dtype == fnp.bfloat16
    with pytest.raises(errors.ConcretizationTypeError, match="num_segments must be given"):
        fornax.jit(f)(ROWS, IDS)
    with pytest.raises(ValueError, match="non-negative"):
        f(ROWS, IDS, -1)
    with pytest.raises(ValueError, match="one id for each row"):
        f(ROWS, IDS[:2], 3)


def test_gradients_of_segments():
    weights = np.asarray([1.0, 2.0, 3.0, 4.0], np.float32)[:, None]

    def loss(rows, f):
        out = f(rows, IDS, 4)
        return fnp.sum(fnp.where(fnp.isfinite(out), out, 0) * weights)

    total = fornax.grad(loss)(ROWS, ops.segment_sum)
    np.testing.assert_allclose(total, np.asarray([1, 2, 1, 4, 0, 0])[:, None] * np.ones((1, 2)))
    largest = fornax.grad(loss)(ROWS, ops.segment_max)
    np.testing.assert_allclose(largest, np.asarray([0, 2, 1, 4, 0, 0])[:, None] * np.ones((1, 2)))


def test_monitoring():
    seen = []
    listeners = {
        "event": lambda *a, **k: seen.append(("event", *a, k)),
        "event_duration_secs": lambda *a, **k: seen.append(("duration", *a, k)),
        "event_time_span": lambda *a, **k: seen.append(("span", *a, k)),
        "scalar": lambda *a, **k: seen.append(("scalar", *a, k)),
    }
    for kind, listener in listeners.items():
        getattr(monitoring, f"register_{kind}_listener")(listener)
    try:
        monitoring.record_event("/a", note="x")
        monitoring.record_event_duration_secs("/b", 1.5)
        monitoring.record_event_time_span("/c", 1.0, 2.0)
        monitoring.record_scalar("/d", 3)
        assert seen == [
            ("event", "/a", {"note": "x"}), ("duration", "/b", 1.5, {}),
            ("span", "/c", 1.0, 2.0, {}), ("scalar", "/d", 3, {}),
        ]  # fmt: skip
        seen.clear()
        fornax.jit(lambda x: x * 0.3141 + 2.7182)(1.0)  # compiled by nobody before
        durations = [entry[1] for entry in seen if entry[0] == "duration"]
        assert "/jax/core/compile/backend_compile_duration" in durations
        assert "/jax/core/compile/jaxpr_trace_duration" in durations
        monitoring.unregister_event_duration_listener(listeners["event_duration_secs"])
        with pytest.raises(ValueError, match="not a registered listener"):
            monitoring.unregister_event_duration_listener(listeners["event_duration_secs"])
        monitoring.register_event_listener(lambda *a, **k: 1 / 0)
        monitoring.record_event("/a")  # a listener that fails is logged
    finally:
        monitoring.clear_event_listeners()
    seen.clear()
    monitoring.record_event("/a")
    fornax.jit(lambda x: x + 2)(1.0)
    assert not seen


def test_error_classes_are_related_as_in_jax():
    for name, base in [
        ("ConcretizationTypeError", "JAXTypeError"),
        ("TracerBoolConversionError", "ConcretizationTypeError"),
        ("TracerArrayConversionError", "JAXTypeError"),
        ("TracerIntegerConversionError", "JAXTypeError"),
        ("UnexpectedTracerError", "JAXTypeError"),
        ("KeyReuseError", "JAXTypeError"),
        ("NonConcreteBooleanIndexError", "JAXIndexError"),
    ]:
        assert getattr(errors, base) in getattr(errors, name).__mro__
    assert issubclass(errors.JAXTypeError, TypeError) and issubclass(
        errors.JAXIndexError, IndexError
    )
    assert not issubclass(errors.TracerArrayConversionError, errors.ConcretizationTypeError)
    assert issubclass(errors.JaxprTypeError, TypeError)
    assert issubclass(errors.JaxRuntimeError, RuntimeError)
    assert issubclass(fornax.dtypes.TypePromotionError, ValueError)
    with pytest.raises(errors.ConcretizationTypeError, match="`length` argument to `scan`"):
        fornax.jit(lambda n: fornax.lax.scan(lambda c, _: (c, None), 0, None, n))(3)


def test_stages_and_dtypes():
    assert isinstance(fornax.jit(lambda x: x).trace(1.0).args_info[0][0], fornax.stages.ArgInfo)
    assert fornax.stages.Wrapped and fornax.stages.CompilerOptions
    assert [fornax.dtypes.itemsize_bits(t) for t in ("int4", "float32", "bool")] == [4, 32, 8]


def test_there_is_one_process():
    assert fornax.process_indices() == [0]
    for old, expected in (("host_count", 1), ("host_id", 0), ("host_ids", [0])):
        with pytest.warns(UserWarning, match=f"jax.{old} has been renamed to jax.process_"):
            assert getattr(fornax, old)() == expected


def test_environment_info(capsys):
    text = fornax.print_environment_info(return_string=True)
    assert fornax.__version__ in text and "process_count: 1" in text
    assert fornax.print_environment_info() is None
    assert capsys.readouterr().out == text + "\n"


def test_copy_to_host_async_gives_back_what_it_got():
    tree = {"a": fornax.numpy.ones(3), "b": [2, None]}
    assert fornax.copy_to_host_async(tree) is tree


def test_arrays_by_dlpack():
    x = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    for copy in (None, True):
        got = fornax.dlpack.from_dlpack(x, copy=copy)
        assert isinstance(got, fornax.Array) and np.array_equal(got, x)
    assert np.array_equal(fornax.dlpack.from_dlpack(got), x)
    with pytest.raises(TypeError, match="must have __dlpack__ and __dlpack_device__"):
        fornax.dlpack.from_dlpack([1, 2])
    assert fornax.dlpack.is_supported_dtype("bfloat16") and fornax.dlpack.is_supported_dtype(bool)
    assert not fornax.dlpack.is_supported_dtype(fornax.numpy.int4)
    with pytest.raises(TypeError, match="dtype=None"):
        fornax.dlpack.is_supported_dtype(None)


def test_names_of_dtypes():
    assert fornax.float0 == fornax.dtypes.float0
    jnp = fornax.numpy
    assert (jnp.single, jnp.double, jnp.csingle, jnp.cdouble) == (
        jnp.float32, jnp.float64, jnp.complex64, jnp.complex128,
    )  # fmt: skip
    assert fornax.dtypes.issubdtype(a=jnp.float32, b=jnp.inexact)
    assert not jnp.issubdtype(jnp.float32, jnp.flexible) and issubclass(jnp.character, jnp.flexible)


def test_what_arrays_say_about_their_memory():
    x = fnp.arange(6, dtype=np.int16).reshape(2, 3)
    assert x.tobytes() == np.asarray(x).tobytes() and x.tobytes("F") == np.asarray(x).tobytes("F")
    assert x.on_device_size_in_bytes() == x.nbytes == 12
    assert x.platform() == "cpu" and x.is_ready()
    copy = x.clone()
    assert copy is not x and copy.dtype == x.dtype and bool(fnp.all(copy == x))
    np.testing.assert_array_equal(x.argpartition(1), fnp.argpartition(x, 1))
    np.testing.assert_array_equal(
        fornax.jit(lambda x: x.argpartition(1))(x), fnp.argpartition(x, 1)
    )
    with pytest.raises(fornax.errors.ConcretizationTypeError, match="tobytes"):
        fornax.jit(lambda x: x.tobytes())(x)
