"""Programs with references: evaluated on them, and as the function of linear_call."""

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import core
from fornax.compat.programs import jaxpr_as_fun
from fornax.custom_derivatives import linear_call


def ref(value):
    return fornax.new_ref(fnp.asarray(value, np.float32))


def adds(x, s):
    s[...] = s[...] + x
    return s[...] * 2


def run(program, *args):
    (out,) = core.eval_jaxpr(program.jaxpr, program.consts, *args)
    (same,) = jaxpr_as_fun(program)(*args)
    return out, same


def test_a_program_takes_references_where_the_function_did():
    r, s = ref(1), ref(10)
    program = fornax.make_jaxpr(adds)(1.0, r)
    assert run(program, 5.0, r) == (12, 22) and r[...] == 11
    assert run(program, 5.0, s) == (30, 40) and s[...] == 20 and r[...] == 11
    assert [float(x) for x in jaxpr_as_fun(program)(5.0, 2.0)] == [14, 7]  # or their values
    traced = fornax.jit(adds).trace(1.0, fornax.typeof(r)).jaxpr
    assert jaxpr_as_fun(traced)(1.0, s)[0] == 42 and s[...] == 21


def test_a_program_takes_the_references_that_the_function_closes_over():
    r = ref(1)
    program = fornax.make_jaxpr(lambda x: adds(x, r))(1.0)
    assert run(program, 5.0) == (12, 22) and r[...] == 11
    assert [float(x) for x in jaxpr_as_fun(program)(5.0, 2.0)] == [14, 7] and r[...] == 11

    def both(x, s):
        return adds(x, s) + adds(x, r)

    s = ref(100)
    program = fornax.make_jaxpr(both)(1.0, s)
    assert jaxpr_as_fun(program)(1.0, s) == [2 * 101 + 2 * 12] and (s[...], r[...]) == (101, 12)


@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit], ids=["eager", "jit"])
def test_under_transformations(wrap):
    r = ref(1)
    f = jaxpr_as_fun(fornax.make_jaxpr(adds)(1.0, r))
    assert wrap(lambda x, r: f(x, r)[0])(5.0, r) == 12 and r[...] == 6
    assert wrap(lambda x: f(x, r)[0])(5.0) == 22 and r[...] == 11
    assert wrap(fornax.grad(lambda x: f(x, fornax.new_ref(x))[0]))(5.0) == 4
    rows = ref([1, 2])
    assert wrap(fornax.vmap(lambda x, r: f(x, r)[0]))(fnp.ones(2), rows).tolist() == [4, 6]
    assert rows[...].tolist() == [2, 3]


def test_what_is_refused():
    r = ref(1)
    two = fornax.make_jaxpr(lambda a, b: a[...] + b[...])(r, ref(2))
    with pytest.raises(ValueError, match="passed twice"):
        jaxpr_as_fun(two)(r, r)
    with pytest.raises(TypeError, match="takes 2 arguments, got 1"):
        jaxpr_as_fun(two)(r)
    plain = fornax.make_jaxpr(lambda x: x + 1)(1.0)
    with pytest.raises(TypeError, match="Ref"):
        jaxpr_as_fun(plain)(r)


def counts(r):
    """A linear function that counts its calls, and tells how often it was transposed."""

    def function(count, x):
        r[...] = r[...] + 1
        return x * count

    return lambda x: linear_call(function, lambda count, ct: ct * count, 3.0, x)


def counts_argument(r):
    def function(r, x):
        r[...] = r[...] + 1
        return x * 3

    return lambda x: linear_call(function, lambda r, ct: ct * 3, r, x)


@pytest.mark.parametrize("make", [counts, counts_argument])
@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit, fornax.checkpoint])
def test_linear_functions_write_once(make, wrap):
    """jax writes once more for tangents, and cannot jit this."""
    r = ref(0)
    f = wrap(make(r))
    assert f(2.0) == 6 and r[...] == 1
    assert fornax.grad(f)(2.0) == 3 and r[...] == 2
    assert fornax.jvp(f, (2.0,), (1.0,)) == (6, 3) and r[...] == 3
    assert fornax.jit(fornax.grad(f))(2.0) == 3 and r[...] == 4
    assert fornax.vmap(f)(fnp.ones(2)).tolist() == [3, 3] and r[...] == 5
    assert fornax.grad(lambda x: fornax.vmap(f)(x).sum())(fnp.ones(2)).tolist() == [3, 3]
    assert r[...] == 6
    assert fornax.grad(fornax.grad(lambda x: f(x) ** 2))(2.0) == 18 and r[...] == 7


def test_what_a_linear_function_sees_and_writes():
    r, seen = ref(2), ref(0)

    def function(_, x):
        seen[...] = x
        r[...] = r[...] * 2
        return x * r[...]

    f = lambda x: linear_call(function, lambda _, ct: ct * r[...], (), x)  # noqa: E731
    out, tangent = fornax.jvp(f, (3.0,), (1.0,))
    assert (out, tangent) == (12, 4) and r[...] == 4 and seen[...] == 3
    assert fornax.grad(f)(3.0) == 8 and r[...] == 8
    rows = fornax.new_ref(fnp.zeros(2))
    g = lambda x, r: linear_call(lambda r, x: (r.__setitem__(..., x), x)[1], lambda r, c: c, r, x)  # noqa: E731
    assert fornax.vmap(g)(fnp.arange(2.0), rows).tolist() == [0, 1]
    assert rows[...].tolist() == [0, 1]
    with pytest.raises(ValueError, match="unbatched"):
        fornax.vmap(lambda x: g(x, seen))(fnp.arange(2.0))
