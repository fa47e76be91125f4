"""References that rules reach and their functions do not: in programs made long before they run."""

import functools
import types

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.api.closures import closed_over_refs
from fornax.custom_batching import custom_vmap

close = functools.partial(np.testing.assert_allclose, rtol=1e-5)


def ref(value, **options):
    return fornax.new_ref(fnp.asarray(value, np.float32), **options)


def jvp_rule(r):
    """x * 2, whose tangent is multiplied by the reference, which the rule multiplies by 10."""
    f = fornax.custom_jvp(lambda x: x * 2)

    @f.defjvp
    def rule(primals, tangents):
        before = r[...]
        r[...] = before * 10
        return primals[0] * 2, tangents[0] * before

    return f


def fwd_rule(r):
    """The same, backwards."""
    f = fornax.custom_vjp(lambda x: x * 2)

    def fwd(x):
        before = r[...]
        r[...] = before * 10
        return x * 2, before

    f.defvjp(fwd, lambda before, g: (g * before,))
    return f


def alone(f, r):
    return f


def writes_before(f, r):
    def function(x):
        r[...] = r[...] + 1
        return f(x)

    return function


def writes_after(f, r):
    def function(x):
        y = f(x)
        r[...] = r[...] + 1
        return y

    return function


def reads_around(f, r):
    def function(x):
        before = r[...]
        y = f(x)
        after = r[...]
        r[...] = r[...] + 1
        return y * before + after

    return function


def twice(g):
    return lambda x: lax.scan(lambda c, _: (g(c), None), x, None, length=2)[0]


#: (a function around a function, how often that is called)
AROUND = {
    "called": (lambda g: g, 1),
    "jit": (fornax.jit, 1),
    "checkpoint": (fornax.checkpoint, 1),
    "cond": (lambda g: lambda x: lax.cond(x > 0, g, lambda x: x, x), 1),
    "switch": (lambda g: lambda x: lax.switch(1, [lambda x: x, g, lambda x: -x], x), 1),
    "scan": (twice, 2),
    "scan of jit": (lambda g: twice(fornax.jit(g)), 2),
    "scan of checkpoint": (lambda g: twice(fornax.checkpoint(g)), 2),
    "jit of scan": (lambda g: fornax.jit(twice(g)), 2),
    "scan of cond": (lambda g: twice(lambda x: lax.cond(x > 0, g, lambda x: x, x)), 2),
    "fori_loop": (lambda g: lambda x: lax.fori_loop(0, 2, lambda _, c: g(c), x), 2),
}


@pytest.mark.parametrize("use", [alone, writes_before, writes_after, reads_around])
@pytest.mark.parametrize("make", [jvp_rule, fwd_rule])
@pytest.mark.parametrize("name", AROUND)
def test_rules_find_what_the_program_has_made_of_a_reference(name, make, use):
    """As if everything were called: jax does so without loops, and counts other in its loops."""
    around, calls = AROUND[name]
    r = ref(1)
    plain = use(make(r), r)

    def again(x):
        for _ in range(calls):
            x = plain(x)
        return x

    expected = fornax.grad(again)(3.0), r[...]
    for derive in (fornax.grad, lambda g: fornax.jit(fornax.grad(g))):
        r[...] = 1.0
        assert (derive(around(plain))(3.0), r[...]) == expected


@pytest.mark.parametrize("name", AROUND)
def test_a_bwd_rule_alone_adds_to_a_reference(name):
    around, calls = AROUND[name]
    r = ref(5)
    f = fornax.custom_vjp(lambda x: x * 2)
    f.defvjp(
        lambda x: (x * 2, None), lambda _, g: ((r.__setitem__(..., r[...] * 2 + g), g * 2)[1],)
    )
    expected, cotangent = 5, 1
    for _ in range(calls):
        expected, cotangent = expected * 2 + cotangent, cotangent * 2
    for derive in (fornax.grad, lambda g: fornax.jit(fornax.grad(g))):
        r[...] = 5.0
        assert derive(around(f))(3.0) == 2**calls and r[...] == expected


def test_forwards_through_a_loop_of_unknown_length():
    r = ref(1)
    f = jvp_rule(r)
    loop = lambda x: lax.while_loop(lambda c: c < 10, f, x)  # noqa: E731
    assert fornax.jvp(loop, (3.0,), (1.0,)) == (12, 10) and r[...] == 100
    r[...] = 1.0
    assert fornax.jit(lambda x: fornax.jvp(loop, (x,), (1.0,)))(3.0) == (12, 10) and r[...] == 100


@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit], ids=["eager", "jit"])
def test_rules_of_vmap_alone_close_over_references(wrap):
    r, x = ref(2), fnp.arange(3.0)
    f = custom_vmap(lambda x: x)

    @f.def_vmap
    def rule(size, batched, x):
        r[...] = r[...] + 1
        return x * r[...], batched[0]

    branch = lambda n, x: lax.cond(n > 1, f, lambda x: x, x)  # noqa: E731
    close(wrap(fornax.vmap(branch))(fnp.asarray([1, 3, 2]), x), [0, 3, 6])
    assert r[...] == 3
    loop = lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0]  # noqa: E731
    close(wrap(fornax.vmap(loop))(x), x * 4 * 5)
    assert r[...] == 5


@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit], ids=["eager", "jit"])
def test_loops_of_other_lengths_for_each_example_read(wrap):
    r = ref(3)
    f = fornax.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (p[0] * 2, t[0] * r[...]))

    def loop(n, x):
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, f(s[1])), (0, x))[1]

    n, x = fnp.asarray([1, 3, 2]), fnp.arange(3.0)
    close(wrap(fornax.vmap(loop))(n, x), [0, 8, 8])
    out, tangent = wrap(lambda x: fornax.jvp(lambda x: fornax.vmap(loop)(n, x), (x,), (x,)))(x)
    close(out, [0, 8, 8])
    close(tangent, [0, 27, 18])
    inside = fornax.vmap(lambda n, x: fornax.jvp(lambda x: loop(n, x), (x,), (1.0,)))
    close(wrap(inside)(n, x)[1], [3, 27, 9])


def test_references_without_gradients_in_loops():
    r = ref(0, kind="no_grad_no_remat")
    f = fornax.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: ((r.__setitem__(..., r[...] + p[0]), p[0] * 2)[1], t[0] * 2))
    assert fornax.grad(twice(f))(1.0) == 4 and r[...] == 3
    assert fornax.jit(fornax.grad(twice(f)))(1.0) == 4 and r[...] == 6


# --- what is found -------------------------------------------------------------------------------
GLOBAL = []


def reads_global():
    return GLOBAL[0][...]


def reads_module():
    return SOME_MODULE.kept[...]


SOME_MODULE = types.ModuleType("some_module")


class Holder:
    __slots__ = ("r",)

    def read(self):
        return self.r[...]


def test_where_references_are_looked_for():
    r = ref(1)
    GLOBAL[:] = [r]
    SOME_MODULE.kept = r
    holder = Holder()
    holder.r = r
    plain = type("Plain", (), {})()
    plain.r = {"a": [(r,)]}
    calls = lambda: reads_global()  # noqa: E731
    for function in (
        lambda: r[...], lambda x=r: x, reads_global, reads_module, lambda: calls(),
        lambda: [r for _ in "a"],
        holder.read, lambda: holder.r, lambda: plain.r, functools.partial(lambda x: x, r),
        fornax.jit(lambda: r[...]), jvp_rule(r), functools.wraps(calls)(lambda: calls()),
    ):  # fmt: skip
        assert closed_over_refs([function]) == [r], function
    assert closed_over_refs([lambda: fnp.sin(1.0), fornax.nn.relu, None, 3, fnp.ones(3)]) == []
    GLOBAL.clear()
    loop = []
    loop.append(loop)
    assert closed_over_refs([lambda: loop, reads_global]) == []


def test_references_of_transformations_that_have_ended_are_not_found():
    kept = []

    def function(x):
        kept.append(fornax.new_ref(x))
        assert closed_over_refs([lambda: kept]) == kept
        return x

    fornax.jit(function)(1.0)
    assert closed_over_refs([lambda: kept]) == []
    f = fornax.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (kept and p[0] * 2, t[0] * 3))
    assert fornax.grad(twice(f))(1.0) == 9


def test_a_reference_that_a_rule_could_use_may_be_passed():
    holder = Holder()
    holder.r = ref(1)
    f = fornax.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (p[0] * 2, t[0] * 3 if holder else holder.r[...]))

    def function(x, r):
        r[...] = r[...] + 1
        return f(x)

    for g in (fornax.jit(function), fornax.checkpoint(function), fornax.vmap(function)):
        x, holder.r = fnp.ones(2), ref([1, 1])
        close(g(x, holder.r), [2, 2])
        close(fornax.grad(lambda x, g=g: g(x, holder.r).sum())(x), [3, 3])
        close(holder.r[...], [3, 3])
