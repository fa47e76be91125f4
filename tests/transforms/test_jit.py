"""jit: signatures, caching, static arguments, stages, donation, and being traced itself."""

import functools
import gc
import weakref

import numpy as np
import pytest

import fornax as fx
import fornax.numpy as fnp
from fornax import lax, settings
from fornax.observe import events

X = np.arange(3, dtype=np.float32)


def counting(fun):
    """`fun`, and the list that grows by one with every trace."""
    traces = []

    @functools.wraps(fun)
    def counted(*args, **kwargs):
        traces.append(1)
        return fun(*args, **kwargs)

    return counted, traces


def test_traces_once_per_signature():
    fun, traces = counting(lambda x: x + 1)
    f = fx.jit(fun)
    for _ in range(3):
        f(X)
    assert len(traces) == 1
    f(X[:2])
    f(X.astype(np.int32))
    f(1.0)
    f(2.5)
    assert len(traces) == 4
    assert f._cache_size() == 4


def test_two_wrappers_share_traces():
    fun, traces = counting(lambda x: x + 1)
    fx.jit(fun)(X)
    fx.jit(fun)(X)
    assert len(traces) == 1


def test_settings_and_axes_are_part_of_the_key():
    fun, traces = counting(lambda x: x + 1)
    f = fx.jit(fun)
    assert f(1.0).dtype == np.float32
    with fx.enable_x64(True) if hasattr(fx, "enable_x64") else pytest.skip("no enable_x64"):
        assert f(1.0).dtype == np.float64
    assert f(1.0).dtype == np.float32
    assert len(traces) == 2


def test_function_is_not_kept_alive():
    def make():
        def fun(x):
            return x * 2

        fx.jit(fun)(X)
        return weakref.ref(fun)

    reference = make()
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize(
    "options, args, kwargs",
    [
        ({"static_argnums": 1}, (X, "mul"), {}),
        ({"static_argnums": -1}, (X, "mul"), {}),
        ({"static_argnums": (1,)}, (X,), {"how": "mul"}),
        ({"static_argnames": "how"}, (X, "mul"), {}),
        ({"static_argnames": ("how",)}, (X,), {"how": "mul"}),
        ({"static_argnames": "how"}, (X,), {}),
    ],
)
def test_static_arguments(options, args, kwargs):
    def fun(x, how="mul"):
        return x * 3 if how == "mul" else x

    f = fx.jit(fun, **options)
    np.testing.assert_allclose(f(*args, **kwargs), X * 3)
    np.testing.assert_allclose(fx.jit(lambda x: f(x, *args[1:], **kwargs))(X), X * 3)


def test_static_values_compare_by_equality_and_type():
    fun, traces = counting(lambda x, n: x * n)
    f = fx.jit(fun, static_argnums=1)
    assert f(1, 2).dtype == np.int32
    assert f(1, 2.0).dtype == np.float32
    f(1, 2)
    assert len(traces) == 2


def test_decorators_methods_partials():
    @fx.jit
    def plain(x):
        """doc"""
        return x + 1

    @functools.partial(fx.jit, static_argnums=0)
    def power(n, x):
        return x**n

    @fx.jit(inline=True)
    def inlined(x):
        return x * 2

    class Model:
        def __init__(self, w):
            self.w = w

        @functools.partial(fx.jit, static_argnums=0)
        def apply(self, x):
            return x * self.w

    assert plain.__name__ == "plain" and plain.__doc__ == "doc"
    np.testing.assert_allclose(plain(X), X + 1)
    np.testing.assert_allclose(power(2, X), X**2)
    np.testing.assert_allclose(Model(3.0).apply(X), X * 3)
    np.testing.assert_allclose(fx.jit(functools.partial(power, 2))(X), X**2)
    np.testing.assert_allclose(fx.jit(Model(2.0).apply)(X), X * 2)
    assert "jit" not in str(fx.make_jaxpr(lambda x: inlined(x) + 1)(X))
    assert "jit" in str(fx.make_jaxpr(lambda x: plain(x) + 1)(X))


def test_bound_methods_are_recognised():
    class Counter:
        traces = 0

        def step(self, x):
            type(self).traces += 1
            return x + 1

    counter = Counter()
    for _ in range(3):
        fx.jit(counter.step)(X)
    assert Counter.traces == 1


def test_recursion_and_nesting():
    @functools.partial(fx.jit, static_argnums=1)
    def f(x, n):
        return x if n == 0 else f(x, n - 1) + x

    np.testing.assert_allclose(f(X, 4), X * 5)


def test_stages():
    f = fx.jit(lambda x, y: {"s": x + y}, donate_argnums=())
    traced = f.trace(X, 2.0)
    assert traced.fun_name == "<lambda>"
    assert traced.out_info["s"].shape == (3,)
    lowered = traced.lower()
    assert "add" in lowered.as_text()
    compiled = lowered.compile()
    np.testing.assert_allclose(compiled(X, 5.0)["s"], X + 5)
    assert compiled.cost_analysis()["flops"] >= 3
    assert f.eval_shape(X, 2.0)["s"] == fx.ShapeDtypeStruct((3,), np.float32)
    struct = fx.ShapeDtypeStruct((4,), np.float32)
    assert f.lower(struct, struct).compile()(np.ones(4, np.float32), np.ones(4, np.float32))[
        "s"
    ].shape == (4,)
    with pytest.raises(TypeError, match="Cannot apply JAX transformations"):
        fx.vmap(compiled, (0, None))(np.stack([X, X]), 1.0)


def test_unused_and_constant_outputs():
    big = np.ones((4, 4), np.float32)
    f = fx.jit(lambda x, unused: (x, 3, big, x))
    a, b, c, d = f(X, {"k": X})
    np.testing.assert_allclose(a, X)
    np.testing.assert_allclose(d, X)
    assert int(b) == 3 and c.shape == (4, 4)
    assert fx.jit(lambda: 1.5)() == 1.5
    assert fx.jit(lambda x: ())(X) == ()
    assert fx.jit(lambda x: None)(X) is None


def test_donation():
    f = fx.jit(lambda x, y: x + y, donate_argnums=0)
    x = fnp.arange(8, dtype=np.float32)
    y = fnp.ones(8, np.float32)
    np.testing.assert_allclose(f(x, y), np.arange(8) + 1)
    assert x.is_deleted() and not y.is_deleted()
    x = fnp.arange(8, dtype=np.float32)
    f(x, y)
    assert x.is_deleted()
    with pytest.raises(RuntimeError, match="deleted"):
        np.asarray(x)


def test_disable_jit_runs_python():
    seen = []

    def fun(x):
        seen.append(float(x))
        return lax.cond(x > 1, lambda x: x * 2, lambda x: x, x)

    with fx.disable_jit():
        assert float(fx.jit(fun)(3.0)) == 6.0
        carry, ys = lax.scan(lambda c, a: (c + float(a), c), 0.0, X)
        assert float(carry) == 3.0 and len(ys) == 3
        assert float(lax.while_loop(lambda c: c < 5, lambda c: c * 2, 1.0)) == 8.0
        assert float(lax.fori_loop(0, 3, lambda i, c: c + int(i), 0.0)) == 3.0
    assert seen == [3.0]


def test_vjp_leaves_and_enters_jit():
    out, pullback = fx.jit(lambda x: fx.vjp(lambda x: fnp.sin(x) * x, x))(X)
    expected = np.cos(X) * X + np.sin(X)
    np.testing.assert_allclose(pullback(np.ones(3, np.float32))[0], expected, rtol=1e-6)
    apply = fx.jit(lambda f, ct: f(ct))
    np.testing.assert_allclose(apply(pullback, np.ones(3, np.float32))[0], expected, rtol=1e-6)
    np.testing.assert_allclose(out, np.sin(X) * X, rtol=1e-6)


def test_threads():
    def f(x):
        return fnp.tanh(x @ x.T).sum(0), fnp.cumsum(x)

    x = np.random.default_rng(0).standard_normal((300, 257)).astype(np.float32)
    expected = fx.jit(f)(x)
    for threads in (1, 2, 3):
        jitted = fx.jit(f, threads=threads)
        for a, b in zip(jitted(x), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        compiled = jitted.lower(x).compile()
        assert compiled.executable.program.threads == threads
    with settings.override(threads=2):
        assert fx.jit(f).lower(x).compile().executable.program.threads == 2
        assert fx.jit(f, threads=1).lower(x).compile().executable.program.threads == 1
    inner = fx.jit(f, threads=1)
    outer = fx.jit(lambda x: inner(x)[0], threads=2).lower(x).compile()
    assert outer.executable.program.threads == 2
    assert fx.jit(threads=1)(f).lower(x).compile().executable.program.threads == 1
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(ValueError, match=r"threads=.*\n(.*\n)*.*try"):
            fx.jit(f, threads=wrong)


def test_misses_are_explained():
    def model(params, x):
        return params["w"] * x

    f = fx.jit(model)
    events.clear()
    f({"w": X}, 1.0)
    f({"w": X[:2]}, 1.0)
    f({"w": X[:2]}, np.int32(1))
    found = events.explain_misses(f, show=False)
    assert [e.reason for e in found] == ["first call", "changed: params['w']", "changed: x"]
    assert found[1].changes == (("params['w']", "f32[3]", "f32[2]"),)
    assert found[2].changes == (("x", "f32[] (weak)", "i32[]"),)
    with fx.disable_jit():
        pass
    f({"w": X, "b": X}, 1.0)
    assert "params" in events.explain_misses(f, show=False)[-1].reason


def test_events_can_be_watched():
    with events.recording() as seen:
        fx.jit(lambda x: x * 5)(X)
    kinds = [type(e).__name__ for e in seen]
    assert kinds.index("CacheMiss") < kinds.index("Traced") < kinds.index("Compiled")


def test_closed_over_tracers_become_operands():
    def outer(x):
        inner = fx.jit(lambda y: x * y)
        return inner(2.0) + inner(3.0)

    np.testing.assert_allclose(fx.grad(lambda x: outer(x).sum())(X), np.full(3, 5.0))
    np.testing.assert_allclose(fx.jit(fx.vmap(outer))(X), X * 5)


def test_make_jaxpr_and_eval_shape():
    jaxpr = fx.make_jaxpr(lambda x: fnp.sin(x))(X)
    assert [e.primitive.name for e in jaxpr.eqns] == ["sin"]
    jaxpr, shape = fx.make_jaxpr(lambda x, n: x * n, static_argnums=1, return_shape=True)(X, 2)
    assert shape.shape == (3,) and len(jaxpr.invars) == 1
    named = fx.make_jaxpr(lambda x: lax.psum(x, "i"), axis_env=[("i", 4)])(X)
    assert named.eqns[0].primitive.name == "psum"
    struct = fx.ShapeDtypeStruct((2, 3), np.float32)
    assert fx.eval_shape(lambda a: a @ a.T, struct).shape == (2, 2)


def test_named_call_runs_the_function_where_it_is_called():
    """Libraries keep values between such calls: they must belong to the caller's trace."""
    kept = []

    def keep(x, *, how):
        kept.append(x * len(how))
        return kept[0] + x

    named = fx.named_call(keep, name="kept")

    @fx.jit
    def function(x):
        return named(x, how="ab") + named(x + 1, how="abc")

    assert function(np.float32(1)) == 3 + 4
    with pytest.raises(TypeError, match="must be a string"):
        fx.named_call(keep, name=3)(1, how="")


def test_device_and_backend_are_deprecated():
    for place in ({"backend": "cpu"}, {"device": fx.devices()[0]}):
        with pytest.warns(DeprecationWarning, match="backend and device argument on jit"):
            f = fx.jit(lambda x: x + 1, **place)
        assert f(1.0) == 2
        with pytest.warns(DeprecationWarning, match="backend and device argument on jit"):
            fx.jit(**place)(lambda x: x)
    wrong = (
        ({"backend": "abacus"}, RuntimeError, r"Unknown backend 'abacus'. Available backends are"),
        ({"backend": "cpu", "device": fx.devices()[0]}, ValueError, "can't specify both"),
        ({"backend": "cpu", "in_shardings": 1}, ValueError, "in_shardings should not be"),
    )
    for place, kind, text in wrong:
        with pytest.warns(DeprecationWarning), pytest.raises(kind, match=text):
            fx.jit(lambda x: x, **place)


def test_typeof_describes_values_and_what_stands_for_them():
    typeof, struct = fx.typeof, fx.ShapeDtypeStruct
    assert typeof(struct((2, 3), np.float32)) is typeof(np.zeros((2, 3), np.float32))
    assert typeof(struct((), np.float32, weak_type=True)) is typeof(1.0)
    assert typeof(struct((2,), np.float64)).dtype == np.float32
    with fx.enable_x64(True):
        assert typeof(struct((2,), np.float64)).dtype == np.float64
    key = fx.random.key(0)
    assert typeof(struct((), key.dtype)) is typeof(key)
    for wrong in ("text", None, [1.0], typeof(1.0)):
        with pytest.raises(TypeError, match="not a valid JAX type"):
            typeof(wrong)
