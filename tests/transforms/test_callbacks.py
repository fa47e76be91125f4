"""pure_callback, io_callback and fornax.debug, under every transformation."""

import functools
import io

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.experimental import io_callback

S = fornax.ShapeDtypeStruct
SCALAR = S((), np.float32)
ROW = S((3,), np.float32)


def through(transform, function):
    return fornax.jit(function) if transform == "jit" else function


both = pytest.mark.parametrize("how", ["eager", "jit"])


@both
def test_pure_callback_takes_and_gives_trees(how):
    def host(a, b):
        assert isinstance(a["x"], fornax.Array) and isinstance(b, fornax.Array)
        return {"sum": np.asarray(a["x"]) + 1, "count": np.int32(b.size)}

    out = {"sum": ROW, "count": S((), np.int32)}
    f = through(how, lambda x: fornax.pure_callback(host, out, {"x": x}, b=x * 2))
    result = f(fnp.arange(3.0))
    np.testing.assert_array_equal(result["sum"], [1, 2, 3])
    assert result["count"] == 3 and result["count"].dtype == np.int32


@both
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int32", "float16", "bfloat16", "complex64", "float32"]
)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
def test_dtypes_and_shapes(how, dtype, shape):
    x = fnp.ones(shape, dtype)
    f = through(how, lambda x: fornax.pure_callback(lambda x: x, S(shape, x.dtype), x))
    y = f(x)
    assert y.shape == shape and y.dtype == x.dtype
    np.testing.assert_array_equal(np.asarray(y), np.asarray(x))


@both
def test_keys_reach_the_callback_as_keys(how):
    seen = []

    def host(key):
        seen.append(fornax.random.key_data(key))
        return key

    key = fornax.random.key(3)
    f = through(how, lambda k: fornax.pure_callback(host, S((), key.dtype), k))
    assert fornax.random.bits(f(key)) == fornax.random.bits(key)
    np.testing.assert_array_equal(seen[0], [0, 3])


@pytest.mark.parametrize(
    "output, text",
    [
        (np.zeros((2,), np.float32), r"Incorrect output shape .* Expected: \(\), Actual: \(2,\)"),
        (np.int32(1), "Incorrect output dtype .* Expected: float32, Actual: int32"),
        ((np.float32(1),) * 2, "Mismatched number of outputs from callback. Expected: 1, Actual"),
        (None, "Mismatched number of outputs"),
    ],
)
@both
def test_results_are_checked(how, output, text):
    f = through(how, lambda x: fornax.pure_callback(lambda x: output, SCALAR, x))
    with pytest.raises(fornax.errors.JaxRuntimeError, match=text):
        f(1.0)


def raises(*_):
    raise KeyError("no such thing")


@both
@pytest.mark.parametrize("call", ["pure", "io", "debug"])
def test_exceptions_reach_the_caller_with_the_line(how, call):
    def f(x):
        if call == "pure":
            return fornax.pure_callback(raises, SCALAR, x)
        if call == "io":
            return io_callback(raises, SCALAR, x)
        fornax.debug.callback(raises, x)
        return x

    with pytest.raises(RuntimeError, match="KeyError.*no such thing") as caught:
        through(how, f)(1.0)
    assert type(caught.value) is fornax.errors.JaxRuntimeError
    assert isinstance(caught.value.__cause__, KeyError)
    assert "test_callbacks.py" in str(caught.value)
    assert fornax.jit(lambda x: x + 1)(1.0) == 2  # the executor is in order afterwards


def test_refusals_before_running():
    with pytest.raises(ValueError, match="64-bit types"):
        fornax.pure_callback(lambda x: x, S((), np.float64), 1.0)
    with pytest.raises(TypeError, match="argument to pure_callback as a JAX value.*position 0"):
        fornax.pure_callback(lambda x: x, SCALAR, "text")
    with pytest.raises(ValueError, match="vmap_method must be on of the allowed"):
        fornax.pure_callback(lambda x: x, SCALAR, 1.0, vmap_method="no")
    with pytest.raises(TypeError, match="must be callable, but got"):
        fornax.debug.callback(3)
    with pytest.raises(ValueError, match="Pure callbacks do not support JVP"):
        fornax.grad(lambda x: fornax.pure_callback(lambda x: x, SCALAR, x))(1.0)
    with pytest.raises(ValueError, match="IO callbacks do not support JVP"):
        fornax.grad(lambda x: io_callback(lambda x: x, SCALAR, x))(1.0)


def test_pure_callback_in_custom_rules():
    @fornax.custom_jvp
    def sin(x):
        return fornax.pure_callback(np.sin, S(x.shape, x.dtype), x, vmap_method="expand_dims")

    @sin.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        cos = fornax.pure_callback(np.cos, S(x.shape, x.dtype), x, vmap_method="expand_dims")
        return sin(x), t * cos

    x = fnp.asarray([0.1, 0.2, 0.3])
    for f in (fornax.grad(sin), fornax.jit(fornax.grad(sin)), fornax.grad(fornax.jit(sin))):
        np.testing.assert_allclose(f(x[0]), np.cos(0.1), rtol=1e-6)
        np.testing.assert_allclose(fornax.vmap(f)(x), np.cos(x), rtol=1e-6)


@both
@pytest.mark.parametrize(
    "method, shapes",
    [
        ("sequential", [((), ())] * 4),
        ("sequential_unrolled", [((), ())] * 4),
        ("expand_dims", [((4,), (1,))]),
        ("broadcast_all", [((4,), (4,))]),
        ("legacy_vectorized", [((4,), ())]),
    ],
)
def test_vmap_methods(how, method, shapes):
    seen = []

    def host(x, y):
        seen.append((x.shape, y.shape))
        return np.asarray(x) + np.asarray(y)

    def f(x, y):
        return fornax.pure_callback(host, SCALAR, x, y, vmap_method=method)

    mapped = through(how, fornax.vmap(f, in_axes=(0, None)))
    np.testing.assert_array_equal(mapped(fnp.arange(4.0), 1.0), [1, 2, 3, 4])
    assert seen == shapes


def test_vmap_of_dimensions_and_nested():
    def f(x):
        return fornax.pure_callback(
            lambda x: np.asarray(x) * 2, SCALAR, x, vmap_method="expand_dims"
        )

    x = fnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(fornax.vmap(fornax.vmap(f), in_axes=1, out_axes=1)(x), x * 2)
    with pytest.raises(NotImplementedError, match="vmap_method"):
        fornax.vmap(lambda x: fornax.pure_callback(lambda x: x, SCALAR, x))(fnp.ones(2))


def test_pure_callbacks_that_are_not_needed_are_dropped_and_io_ones_are_not():
    calls = []

    def host(x):
        calls.append(float(x))
        return x

    @fornax.jit
    def pure(x):
        fornax.pure_callback(host, SCALAR, x)
        a = fornax.pure_callback(host, SCALAR, x + 1)
        return a + fornax.pure_callback(host, SCALAR, x + 1)  # equal to the one before

    @fornax.jit
    def effectful(x):
        io_callback(host, SCALAR, x)
        return io_callback(host, SCALAR, x) + io_callback(host, SCALAR, x)

    assert pure(1.0) == 4 and calls == [2.0]
    calls.clear()
    assert effectful(1.0) == 2 and calls == [1.0] * 3


@pytest.mark.parametrize("ordered", [False, True])
def test_program_order_in_loops_and_branches(ordered):
    log = []

    def note(label, x):
        io_callback(lambda x: log.append((label, int(x))), None, x, ordered=ordered)

    @fornax.jit
    def f(n):
        note("start", n)

        def body(i, total):
            note("body", i)
            lax.cond(i % 2 == 0, lambda i: note("even", i), lambda i: note("odd", i), i)
            return total + i

        total = lax.fori_loop(0, n, body, 0)
        total, _ = lax.scan(lambda c, x: (c + x, note("scan", x)), total, fnp.arange(2))
        note("end", total)
        return total

    assert f(3) == 4
    assert log == [
        ("start", 3), ("body", 0), ("even", 0), ("body", 1), ("odd", 1), ("body", 2), ("even", 2),
        ("scan", 0), ("scan", 1), ("end", 4),
    ]  # fmt: skip


def test_results_of_callbacks_steer_loops():
    answers = iter([True, True, False])

    @fornax.jit
    def f():
        return lax.while_loop(
            lambda i: io_callback(lambda: np.bool_(next(answers)), S((), bool)), lambda i: i + 1, 0
        )

    assert f() == 2


def test_a_callback_may_call_compiled_programs():
    @fornax.jit
    def f(x, depth):
        def host(x, depth):
            return f(x, depth - 1) + 1 if depth > 0 else x

        return fornax.pure_callback(host, SCALAR, x, depth) * 2

    assert f(1.0, 3) == 30
    inner = fornax.jit(lambda x: fornax.grad(lambda x: x**3)(x))
    g = fornax.jit(lambda x: lax.scan(
        lambda c, _: (fornax.pure_callback(inner, SCALAR, c), None), x, None, 2)[0])  # fmt: skip
    assert g(1.0) == 27


def test_effects_under_transformations():
    log = []

    def f(x):
        fornax.debug.callback(lambda x: log.append(float(x)), x)
        return x * x

    assert fornax.grad(f)(3.0) == 6 and log == [3.0]
    log.clear()
    assert fornax.jit(fornax.grad(fornax.jit(f)))(3.0) == 6 and log == [3.0]
    log.clear()
    fornax.vmap(f)(fnp.arange(3.0))
    assert log == [0, 1, 2]
    log.clear()
    fornax.jit(fornax.vmap(f))(fnp.arange(3.0))
    assert log == [0, 1, 2]
    log.clear()
    fornax.grad(fornax.checkpoint(f))(2.0)
    assert set(log) == {2.0}
    log.clear()
    fornax.vmap(lambda p: lax.cond(p > 1, f, lambda x: x, p))(fnp.arange(3.0))
    assert log == [0, 1, 2]  # both branches run


def test_effects_that_must_not_be_repeated_are_refused():
    def f(x):
        io_callback(lambda x: None, None, lax.stop_gradient(x))
        return x * 2

    with pytest.raises(NotImplementedError, match="Effects not supported in partial-eval of `ch"):
        fornax.grad(fornax.checkpoint(f))(1.0)
    with pytest.raises(NotImplementedError, match="IO effect not supported in vmap-of-cond"):
        fornax.vmap(lambda p: lax.cond(p > 1, f, lambda x: x, p))(fnp.arange(3.0))
    with pytest.raises(NotImplementedError, match="IO effects not supported in while_loop"):
        fornax.vmap(lambda n: lax.while_loop(lambda i: i < n, lambda i: f(i) + 1, 0))(fnp.arange(3))
    with pytest.raises(ValueError, match="Cannot `vmap` ordered IO"):
        fornax.vmap(lambda x: io_callback(lambda x: None, None, x, ordered=True))(fnp.ones(2))


def named(log, name, x):
    """x, with a callback that says so."""
    return io_callback(lambda v: (log.append((name, float(v))), v)[1], x, x)


def with_jvp(log):
    f = fornax.custom_jvp(lambda x: named(log, "function", x) ** 2)
    f.defjvp(lambda p, t: (named(log, "rule", p[0]) ** 2, 3 * p[0] * t[0]))
    return f


def with_vjp(log):
    f = fornax.custom_vjp(lambda x: named(log, "function", x) ** 2)
    f.defvjp(
        lambda x: (named(log, "forward", x) ** 2, x),
        lambda x, ct: (named(log, "backward", ct) * 3 * x,),
    )
    return f


RULES = [
    (with_jvp, [("rule", 2.0)], [("rule", 2.0), ("rule", 4.0)]),
    (
        with_vjp, [("forward", 2.0), ("backward", 1.0)],
        [("forward", 2.0), ("forward", 4.0), ("backward", 1.0), ("backward", 12.0)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("made", "once", "twice"), RULES)
@both
def test_effects_in_functions_with_rules(how, made, once, twice):
    """Values and calls are those of jax 0.10.2; all others are in `oracle.effect_expressions`."""
    log = []
    f = made(log)
    x = fnp.float32(2.0)

    def check(function, argument, value, calls):
        log.clear()
        np.testing.assert_array_equal(through(how, function)(argument), value)
        assert log == calls

    check(f, x, 4, [("function", 2.0)])
    check(fornax.grad(f), x, 6, once)
    check(fornax.grad(fornax.jit(f)), x, 6, once)
    check(fornax.vmap(f), fnp.array([1.0, 2.0]), [1, 4], [("function", 1.0), ("function", 2.0)])
    mapped = [once[0], *once]  # the cotangent is not mapped
    check(fornax.vmap(fornax.grad(f)), fnp.array([2.0, 2.0]), [6, 6], mapped)

    def loop(x):
        return lax.fori_loop(0, 2, lambda i, c: f(c), x)

    check(loop, x, 16, [("function", 2.0), ("function", 4.0)])
    check(fornax.grad(loop), x, 72, twice)


@both
def test_print(how, capsys):
    def f(x, y):
        fornax.debug.print("x = {x:.2f}, y = {}", y, x=x)
        fornax.debug.print("{}", {"a": y, "b": "text"}, ordered=True)
        fornax.debug.print("braces {{}} {}", 1)
        fornax.debug.print(ordered=True)("two calls {}", y)
        fornax.debug.print("no placeholders", y, skip_format_check=True)
        return x

    through(how, f)(1.0, fnp.arange(2))
    fornax.effects_barrier()
    assert capsys.readouterr().out.splitlines() == [
        "x = 1.00, y = [0 1]",
        "{'a': Array([0, 1], dtype=int32), 'b': 'text'}",
        "braces {} 1",
        "two calls [0 1]",
        "no placeholders [0 1]",
    ]


def test_print_under_vmap_and_in_a_loop(capsys):
    fornax.vmap(lambda x: fornax.debug.print("{}", x))(fnp.arange(2))
    fornax.jit(lambda: lax.fori_loop(0, 2, lambda i, c: (fornax.debug.print("i {}", i), c)[1], 0))()
    assert capsys.readouterr().out.splitlines() == ["0", "1", "i 0", "i 1"]


def test_print_checks_its_text():
    with pytest.raises(ValueError, match="Unused positional arguments"):
        fornax.debug.print("{}", 1, 2)
    with pytest.raises(ValueError, match="Unused keyword arguments.*f-string"):
        fornax.debug.print("1", x=2)
    with pytest.raises(KeyError):
        fornax.debug.print("{a}", b=1)
    with pytest.raises(TypeError, match="two-call form"):
        fornax.debug.print(x=1)


def test_equal_callbacks_are_equal_operations():
    f = functools.partial(np.add, 1)
    program = fornax.make_jaxpr(
        lambda x: [fornax.pure_callback(f, SCALAR, x), fornax.pure_callback(f, SCALAR, x)]
    )(1.0)
    first, second = (e.params["callback"] for e in program.jaxpr.eqns)
    assert first == second and hash(first) == hash(second)


def test_byte_order_of_results():
    f = fornax.jit(
        lambda x: fornax.pure_callback(lambda v: np.asarray(v).astype(">f4"), S((2,), "float32"), x)
    )
    np.testing.assert_array_equal(f(fnp.arange(2.0)), [0, 1])


def test_operations_without_results_are_shown_without_equals_sign():
    text = str(fornax.make_jaxpr(lambda x: fornax.debug.callback(raises, x))(1.0))
    assert " = " not in text and "debug_callback" in text


def session(commands, wrap, **options):
    """What a breakpoint says to these commands."""
    out = io.StringIO()

    def f(x, scale):
        y = x * scale
        fornax.debug.breakpoint(stdin=io.StringIO(commands), stdout=out, **options)
        return y + 1

    def caller(x):
        outer = x - 1
        return f(x, outer)

    wrap(caller)(3.0)
    return out.getvalue()


@both
def test_breakpoint(how):
    wrap = functools.partial(through, how)
    said = session("p y\npp {'a': y}\nx + scale\nl\nu\np outer\nd\nd\nbt\nnope\nc\n", wrap)
    assert said.startswith("Entering fdb at ") and "test_callbacks.py" in said
    for text in ("Array(6., ", "{'a': Array(6.", "Array(5., ", "Array(2., "):
        assert text in said
    assert "->" in said and "fornax.debug.breakpoint(" in said
    assert "At bottommost frame." in said and "NameError" in said and "(caller)" in said
    assert "At topmost frame." in session("u\nu\n", wrap, num_frames=1)
    with pytest.raises(fornax.errors.JaxRuntimeError, match="command q"):
        session("q\n", wrap)


@both
def test_a_rule_differentiates_a_checkpoint_with_effects(how):
    """Values are those of jax 0.10.2. Each call happens once: nothing of it is computed again."""
    log = []

    def body(x):
        io_callback(lambda v: log.append(float(v)), None, lax.stop_gradient(x))
        return fnp.sin(x) * x

    kept = fornax.checkpoint(body)
    f = fornax.custom_jvp(kept)

    @f.defjvp
    def rule(primals, tangents):
        out, tangent = fornax.jvp(kept, primals, tangents)
        return out, tangent * 2

    x = fnp.float32(1.5)
    np.testing.assert_allclose(through(how, fornax.grad(f))(x), 2.2072015, rtol=1e-5)
    assert log == [1.5]

    def loop(x):
        return lax.scan(lambda c, _: (f(c), None), x, None, 3)[0]

    np.testing.assert_allclose(through(how, fornax.grad(loop))(x), 10.906288, rtol=1e-5)
    assert len(log) == 4
