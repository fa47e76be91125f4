"""custom_vmap, sequential_vmap, linear_call, custom_root, custom_linear_solve and their kin."""

import functools

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.custom_batching import custom_vmap, sequential_vmap
from fornax.custom_derivatives import (
    CustomVJPPrimal,
    custom_vjp_primal_tree_values,
    linear_call,
)

x = np.arange(3, dtype=np.float32)
ones = np.ones(3, np.float32)
close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)


def counted():
    """A function whose rule computes something else, and the calls of the rule."""
    calls = []

    @custom_vmap
    def f(x, y):
        return fnp.sin(x) * y

    @f.def_vmap
    def rule(axis_size, in_batched, xs, ys):
        calls.append((axis_size, in_batched, np.shape(xs), np.shape(ys)))
        return fnp.cos(xs) * ys, any(in_batched)

    return f, calls


def test_custom_vmap_calls_the_rule():
    f, calls = counted()
    close(f(1.0, y=2.0), np.sin(1.0) * 2)
    close(fornax.vmap(f)(x, ones), np.cos(x))
    close(fornax.vmap(f, in_axes=(0, None))(x, 2.0), np.cos(x) * 2)
    close(fornax.jit(fornax.vmap(fornax.jit(f)))(x, ones), np.cos(x))
    assert calls == [
        (3, [True, True], (3,), (3,)), (3, [True, False], (3,), ()),
        (3, [True, True], (3,), (3,)),
    ]  # fmt: skip
    m = np.arange(6, dtype=np.float32).reshape(2, 3)
    close(fornax.vmap(f, in_axes=1, out_axes=0)(m, m), (np.cos(m) * m).T)
    close(fornax.vmap(fornax.vmap(f))(m, m), np.cos(m) * m)


def test_custom_vmap_and_derivatives():
    f, _ = counted()
    out, tangent = fornax.jvp(f, (1.0, 2.0), (1.0, 0.0))
    close([out, tangent], [np.sin(1.0) * 2, np.cos(1.0) * 2])
    expected = np.cos(x), -np.sin(x) * x + np.cos(x)
    close(fornax.vmap(lambda a, b: fornax.jvp(f, (a, b), (a, b)))(x, ones), expected)
    close(fornax.jvp(fornax.vmap(f), (x, ones), (x, ones)), expected)
    # primals are not mapped: the function itself, as the rule sees nothing mapped
    jacobian = fornax.jacfwd(lambda v: f(v[0], v[1]))(np.asarray([1.0, 2.0], np.float32))
    close(jacobian, [-np.sin(1.0) * 2, np.cos(1.0)])
    close(fornax.grad(f)(1.0, 2.0), np.cos(1.0) * 2)
    close(fornax.jit(fornax.grad(fornax.jit(f), argnums=(0, 1)))(1.0, 2.0),
          [np.cos(1.0) * 2, np.sin(1.0)])  # fmt: skip
    close(fornax.vmap(fornax.grad(f))(x, ones), np.cos(x))
    close(
        fornax.vmap(lambda a, t: fornax.jvp(f, (1.0, a), (t, 1.0))[1])(x, ones),
        -np.sin(1.0) * x + np.cos(1.0),
    )


def test_custom_vmap_errors():
    with pytest.raises(AttributeError, match="No batching rule defined for custom_vmap function"):
        custom_vmap(lambda x: x)(1.0)
    f = custom_vmap(lambda x: x)
    f.def_vmap(lambda n, b, x: ((x, x), (True, True)))
    with pytest.raises(ValueError, match="does not match that of original custom-vmapped"):
        fornax.vmap(f)(x)
    f.def_vmap(lambda n, b, x: (x, (True, True)))
    with pytest.raises(ValueError, match="output batching specification returned .* do not match"):
        fornax.vmap(f)(x)
    with pytest.raises(TypeError, match="could not be resolved to positional-only"):
        f(1.0, 2.0, 3.0)


def test_sequential_vmap():
    log = []

    @sequential_vmap
    def f(x, y):
        fornax.debug.callback(lambda x: log.append(float(x)), x)
        return {"sum": x + y}

    close(fornax.vmap(f, in_axes=(0, None))(x, 1.0)["sum"], x + 1)
    assert log == [0, 1, 2]
    m = np.ones((2, 3), np.float32)
    nested = fornax.jit(fornax.vmap(fornax.vmap(f), in_axes=(0, None)))
    close(nested(m, x)["sum"], m + x)


def test_linear_call():
    def call(r, v):
        return linear_call(lambda r, v: v * r, lambda r, c: c * r * 10, r, v)

    close(call(2.0, 3.0), 6)
    close(fornax.jvp(lambda v: call(2.0, v), (3.0,), (1.0,)), [6, 2])
    for f in (call, fornax.jit(call)):
        close(fornax.grad(f, argnums=1)(2.0, 3.0), 20)
        close(fornax.vmap(fornax.grad(f, argnums=1))(x, x), 10 * x)
        close(fornax.grad(lambda v, f=f: fornax.vmap(f, (0, None))(x, v).sum())(2.0), 30)
    (back,) = fornax.linear_transpose(lambda v: call(2.0, v), 1.0)(1.0)
    close(back, 20)
    twice = fornax.linear_transpose(
        lambda c: fornax.linear_transpose(lambda v: call(2.0, v), 1.0)(c)[0], 1.0
    )
    close(twice(1.0)[0], 2)
    with pytest.raises(NotImplementedError, match="residual arguments"):
        fornax.grad(call)(2.0, 3.0)
    wrong = linear_call(lambda r, v: v, lambda r, c: (c, c), 1.0, 2.0)
    close(wrong, 2)
    with pytest.raises(TypeError, match="transpose output pytree structure must match"):
        fornax.grad(lambda v: linear_call(lambda r, v: v, lambda r, c: (c, c), 1.0, v))(2.0)


def test_primal_tree_values():
    tree = {"a": CustomVJPPrimal(1.0, True), "b": (CustomVJPPrimal(2.0, False),)}
    assert custom_vjp_primal_tree_values(tree) == {"a": 1.0, "b": (2.0,)}
    with pytest.raises(TypeError, match="unexpected leaf type"):
        custom_vjp_primal_tree_values({"a": 1.0})


A = np.asarray([[4.0, 1.0], [2.0, 3.0]], np.float32)
B = np.asarray([1.0, 2.0], np.float32)


def cramer(matvec, b):
    """A solver whose own derivative is wrong, so that using it shows."""
    m = fnp.stack([matvec(fnp.asarray([1.0, 0.0])), matvec(fnp.asarray([0.0, 1.0]))], 1)
    determinant = m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
    found = fnp.asarray([m[1, 1] * b[0] - m[0, 1] * b[1], m[0, 0] * b[1] - m[1, 0] * b[0]])
    return lax.stop_gradient(found / determinant)


def solve(a, b):
    return lax.custom_linear_solve(lambda v: a @ v, b, cramer, cramer)


def test_custom_linear_solve():
    inverse = np.linalg.inv(A)
    close(solve(A, B), inverse @ B)
    da = np.ones_like(A)
    close(fornax.jvp(solve, (A, B), (da, B))[1], inverse @ (B - da @ inverse @ B))
    for jacobian in (fornax.jacrev, fornax.jacfwd):
        close(fornax.jit(jacobian(solve, 1))(A, B), inverse)
    total = lambda a, b: solve(a, b).sum()  # noqa: E731
    gradient = fornax.grad(total)
    expected = -np.outer(inverse.T @ np.ones(2), inverse @ B)
    close(gradient(A, B), expected)
    hessian = fornax.jacfwd(gradient)(A, B)
    step = 1e-2 * np.asarray([[1.0, 0.0], [0.0, 0.0]], np.float32)
    difference = (gradient(A + step, B) - gradient(A - step, B)) / 2e-2
    np.testing.assert_allclose(hessian[:, :, 0, 0], difference, rtol=1e-2, atol=1e-3)
    stack = np.stack([A, A.T])
    for mapped in (fornax.vmap(gradient, (0, None)), fornax.jit(fornax.vmap(gradient, (0, None)))):
        close(mapped(stack, B)[0], expected)
    close(fornax.vmap(solve, (None, 0))(A, np.stack([B, B + 1])),
          [inverse @ B, inverse @ (B + 1)])  # fmt: skip
    close(fornax.vmap(solve, (0, None))(stack, B), [inverse @ B, inverse.T @ B])


def test_custom_linear_solve_options():
    def auxiliary(matvec, b):
        return cramer(matvec, b), {"steps": 3.0}

    def f(b):
        value, aux = lax.custom_linear_solve(lambda v: A @ v, b, auxiliary, auxiliary, has_aux=True)
        return value.sum() * aux["steps"]

    close(fornax.grad(f)(B), 3 * np.linalg.inv(A).T @ np.ones(2))
    diagonal = np.asarray([2.0, 4.0], np.float32)
    symmetric = lambda b: lax.custom_linear_solve(  # noqa: E731
        lambda v: v * diagonal, b, cramer, symmetric=True
    ).sum()
    close(fornax.grad(symmetric)(B), 1 / diagonal)
    with pytest.raises(TypeError, match="transpose_solve required for backwards mode"):
        fornax.grad(lambda b: lax.custom_linear_solve(lambda v: A @ v, b, cramer).sum())(B)
    with pytest.raises(ValueError, match=r"solve\(\) output shapes must match b"):
        lax.custom_linear_solve(lambda v: A @ v, B, lambda m, b: b[:1])
    with pytest.raises(TypeError, match="output pytree structure must match b"):
        lax.custom_linear_solve(lambda v: (v, v), B, lambda m, b: b)


def root(a, has_aux=False):
    def f(x):
        return x**2 - a

    def newton(f, guess):
        found = lax.while_loop(lambda x: fnp.abs(f(x)) > 1e-4, lambda x: x - f(x) / (2 * x), guess)
        return (found, 7) if has_aux else found

    return lax.custom_root(
        f, np.float32(1), newton, lambda g, y: y / g(np.float32(1)), has_aux=has_aux
    )


def test_custom_root():
    close(root(2.0), np.sqrt(2), rtol=1e-4)
    close(fornax.jvp(root, (2.0,), (1.0,))[1], 0.5 / np.sqrt(2), rtol=1e-4)
    close(fornax.grad(root)(2.0), 0.5 / np.sqrt(2), rtol=1e-4)
    close(fornax.grad(fornax.grad(root))(2.0), -0.25 * 2**-1.5, rtol=1e-3)
    mapped = fornax.jit(fornax.vmap(fornax.grad(root)))
    close(mapped(x + 1), 0.5 / np.sqrt(x + 1), rtol=1e-4)
    assert root(2.0, True)[1] == 7
    close(fornax.grad(lambda a: root(a, True)[0])(2.0), 0.5 / np.sqrt(2), rtol=1e-4)


def test_ensure_compile_time_eval():
    @fornax.jit
    def f(x):
        with fornax.ensure_compile_time_eval():
            n = int(fnp.sum(fnp.arange(4)))
            assert isinstance(fornax.grad(fornax.jit(fnp.sin))(1.0), fornax.Array)
            y = x + n  # still traced
        assert not isinstance(y, np.ndarray)
        return y * n

    assert f(1.0) == 42
    with fornax.ensure_compile_time_eval():
        assert fnp.ones(2).sum() == 2
    close(fornax.vmap(fornax.grad(f))(x), 6 * ones)


def test_fwd_and_bwd():
    fwd, bwd = fornax.fwd_and_bwd(lambda a, b: a * b * b, argnums=(0, 1))
    out, residuals = fwd(2.0, 3.0)
    assert out == 18
    close(bwd(residuals, 1.0), [9, 12])
    fwd, bwd = fornax.fwd_and_bwd(lambda a, b: (a * b, a), argnums=1, has_aux=True, jitted=False)
    out, residuals, aux = fwd(2.0, 3.0)
    assert (out, aux, bwd(residuals, 1.0)) == (6, 2, 2)


def test_composite():
    f = lax.composite(lambda v, *, scale: v * scale, name="my.scale", version=2)
    close(f(x, scale=2.0), 2 * x)
    close(fornax.jit(fornax.vmap(functools.partial(f, scale=3.0)))(x), 3 * x)
    (equation,) = fornax.make_jaxpr(functools.partial(f, scale=3.0))(x).eqns
    assert equation.primitive.name == "composite"
    assert equation.params["name"] == "my.scale" and equation.params["version"] == 2
    with pytest.raises(ValueError, match="JVP rule for composite not implemented"):
        fornax.grad(lambda v: f(v, scale=2.0))(1.0)


def test_optimization_barrier():
    f = fornax.jit(lambda v: lax.optimization_barrier({"a": v * v, "b": 1.0}))
    result = f(x)
    close(result["a"], x * x)
    close(fornax.vmap(fornax.grad(lambda v: lax.optimization_barrier(v * v)))(x), 2 * x)


def test_platform_dependent():
    f = functools.partial(lax.platform_dependent, cpu=lambda v: v * 3, default=lambda v: v)
    close(fornax.jit(fornax.vmap(fornax.grad(f)))(x), 3 * ones)
    close(lax.platform_dependent(x, tpu=lambda v: v * 2, default=lambda v: v), x)
    with pytest.raises(NotImplementedError, match="runs on cpu"):
        lax.platform_dependent(x, tpu=lambda v: v)
    with pytest.raises(ValueError, match="Use 'cuda' or 'rocm'"):
        lax.platform_dependent(x, gpu=lambda v: v)
    with pytest.raises(TypeError, match="must be a callable"):
        lax.platform_dependent(x, cpu=3)


def test_custom_vjp_around_custom_vmap():
    @fornax.custom_vjp
    @custom_vmap
    def f(x):
        return fnp.sin(x)

    @f.def_vmap
    def rule(axis_size, in_batched, x):
        return fnp.cos(x), True

    f.defvjp(lambda x: (f(x), x), lambda x, g: (g * 7 * x,))
    close(fornax.vmap(f)(x), np.cos(x))
    close(fornax.grad(f)(2.0), 14)
    close(fornax.vmap(fornax.grad(f))(x), 7 * x)
    with pytest.raises(AttributeError, match="no attribute"):
        f.nothing()


def test_messages_about_arguments():
    @custom_vmap
    def f(x, *, z):
        return x

    f.def_vmap(lambda n, b, x: (x, True))
    with pytest.raises(TypeError, match="custom_vmap-decorated function f (.|\n)* positions: z"):
        f(1.0, z=2.0)
    converted, _ = fornax.closure_convert(lambda x: x, 1.0)
    with pytest.raises(TypeError, match="The inputs to the closure produced by closure_convert"):
        converted((1.0, 2.0))


def test_numbers_among_residuals_reach_the_bwd_rule_as_they_are():
    """Rules decide by them what to do, which arrays that are traced do not allow."""
    seen = []

    @fornax.custom_vjp
    def f(x):
        return 2 * x

    def bwd(residuals, cotangent):
        flag, number, x = residuals
        seen.append((type(flag), type(number), flag, number))
        return (cotangent * number if flag else x,)

    f.defvjp(lambda x: (f(x), (True, 2, x)), bwd)
    ways = [
        fornax.grad(f), fornax.jit(fornax.grad(f)), fornax.grad(fornax.jit(f)),
        fornax.grad(fornax.checkpoint(f)),
        lambda x: fornax.vmap(fornax.grad(f))(x[None])[0],
        fornax.grad(lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=1)[0]),
    ]  # fmt: skip
    for way in ways:
        assert float(way(fnp.float32(3))) == 2
    assert set(seen) == {(bool, int, True, 2)}


def test_arguments_that_are_not_differentiated_are_constants():
    f = fornax.custom_jvp(lambda x, n: x * n, nondiff_argnums=(1,))
    f.defjvp(lambda n, primals, tangents: (primals[0] * n, tangents[0] * n * 10))
    assert fornax.grad(f, (0, 1))(2.0, 3.0) == (30, 0)
    assert fornax.jit(fornax.grad(f, (0, 1)))(2.0, 3.0) == (30, 0)
    assert fornax.jvp(f, (2.0, 3.0), (1.0, 1.0)) == (6, 30)
    mapped = fornax.vmap(fornax.grad(f, (0, 1)))(np.ones(2, "f"), np.arange(2, dtype="f"))
    np.testing.assert_array_equal(mapped[0], [0, 10])


OTHER_DTYPES = ["float16", "bfloat16", "int32", "bool", "complex64"]


def _in_another_dtype(dtype):
    """A function whose bwd rule gives ones of `dtype`."""
    f = fornax.custom_vjp(lambda x: x.sum())
    f.defvjp(lambda x: (x.sum(), x), lambda x, g: (fornax.numpy.ones(x.shape, dtype),))
    return f


@pytest.mark.parametrize("dtype", OTHER_DTYPES)
def test_gradients_have_the_dtype_that_bwd_rules_give(dtype):
    f = _in_another_dtype(dtype)
    x = np.ones(3, np.float32)
    ways = [
        fornax.grad(f), fornax.jit(fornax.grad(f)), fornax.grad(fornax.jit(f)),
        fornax.grad(fornax.checkpoint(f)), fornax.grad(lambda x: f(x + 1)),
        lambda x: fornax.vmap(fornax.grad(f))(x[None])[0],
    ]  # fmt: skip
    for grad in ways:
        found = grad(x)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, np.ones(3, dtype))


@pytest.mark.parametrize("dtype", OTHER_DTYPES)
def test_cotangents_of_other_dtypes_are_not_added(dtype):
    f = _in_another_dtype(dtype)
    x = np.ones(3, np.float32)
    sums = [lambda x: f(x) + x.sum(), lambda x: x.sum() + f(x)]
    looped = fornax.lax.scan
    sums.append(lambda x: looped(lambda c, _: (c + f(x), None), 0.0, None, length=2)[0])
    for total in sums:
        for grad in (fornax.grad(total), fornax.jit(fornax.grad(total))):
            with pytest.raises(TypeError, match="same dtypes"):
                grad(x)
    twice = fornax.grad(lambda x: f(x) + f(x))
    if dtype == "bool":
        with pytest.raises(TypeError, match="does not accept dtype bool"):
            twice(x)
    else:
        assert twice(x).dtype == dtype and twice(x).tolist() == [2, 2, 2]


def test_a_bwd_rule_may_say_that_a_float_has_no_cotangent():
    f = fornax.custom_vjp(lambda x: x.sum())
    float0 = fornax.dtypes.float0
    f.defvjp(lambda x: (x.sum(), None), lambda _, g: (np.zeros(3, float0),))
    x = np.ones(3, np.float32)
    assert fornax.grad(f)(x).dtype == float0
    with pytest.raises(TypeError, match="same dtypes"):
        fornax.grad(lambda x: f(x) + x.sum())(x)
