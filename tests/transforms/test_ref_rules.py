"""References in custom rules, called or staged before they are used. Values are JAX's."""

import functools

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.custom_batching import custom_vmap, sequential_vmap

close = functools.partial(np.testing.assert_allclose, rtol=1e-5)


def ref(value, dtype=np.float32, **options):
    return fornax.new_ref(fnp.asarray(value, dtype), **options)


def custom(primal, fwd, bwd, **options):
    f = fornax.custom_vjp(primal)
    f.defvjp(fwd, bwd, **options)
    return f


#: (function of x and r around a function of x and r, how often it calls that)
STAGED = {
    "called": (lambda f: f, 1),
    "jit": (fornax.jit, 1),
    "nested jit": (lambda f: fornax.jit(lambda x, r: fornax.jit(f)(x, r)), 1),
    "inline": (lambda f: fornax.jit(f, inline=True), 1),
    "checkpoint": (fornax.checkpoint, 1),
    "cond": (lambda f: lambda x, r: lax.cond(x > 0, lambda: f(x, r), lambda: x), 1),
    "cond with operands": (lambda f: lambda x, r: lax.cond(x > 0, f, lambda x, r: x, x, r), 1),
    "scan": (
        lambda f: lambda x, r: lax.scan(lambda c, _: (f(c, r), None), x, None, length=2)[0], 2,
    ),
    "fori_loop": (lambda f: lambda x, r: lax.fori_loop(0, 2, lambda i, c: f(c, r), x), 2),
    "jit of scan": (
        lambda f: fornax.jit(
            lambda x, r: lax.scan(lambda c, _: (f(c, r), None), x, None, length=2)[0]
        ), 2,
    ),
    "scan of jit": (
        lambda f: lambda x, r: lax.scan(
            lambda c, _: (fornax.jit(f)(c, r), None), x, None, length=2
        )[0], 2,
    ),
}  # fmt: skip
staged = pytest.mark.parametrize("name", STAGED)
outside = pytest.mark.parametrize(
    "derive",
    [
        lambda g: lambda x, r: fornax.grad(lambda x: g(x, r))(x),
        lambda g: fornax.jit(lambda x, r: fornax.grad(lambda x: g(x, r))(x)),
        lambda g: fornax.grad(g),
        lambda g: lambda x, r: fornax.jit(fornax.grad(lambda x: g(x, r)))(x),
    ],
    ids=["grad", "jit of grad", "grad, r its argument", "jit of grad, r closed over"],
)


@staged
@outside
def test_a_bwd_rule_writes_to_a_reference(name, derive):
    around, calls = STAGED[name]
    f = custom(
        lambda x, r: x * 2, lambda x, r: (x * 2, r),
        lambda r, g: (r.__setitem__(..., r[...] + g), (g * 2, None))[1],
    )  # fmt: skip
    r, g = ref(1), around(f)
    expected = 1
    for _ in range(2):
        assert derive(lambda x, r: g(x * 3, r) ** 2)(2.0, r) == 2 * 3 * 6 * 4**calls
        slope = 2 * 6 * 2**calls
        expected += sum(slope * 2**k for k in range(calls))
        assert r[...] == expected


@staged
def test_rules_read_what_references_hold_at_their_time(name):
    around, calls = STAGED[name]
    f = custom(
        lambda x, r: x * r[...], lambda x, r: (x * r[...], (r[...], r)),
        lambda res, g: (g * res[0] * res[1][...], None),
    )  # fmt: skip
    r, g = ref(5), around(f)
    assert g(2.0, r) == 2 * 5**calls
    out, pull = fornax.vjp(lambda x: g(x, r), 2.0)
    r[...] = 3.0
    assert (out, pull(1.0)[0], r[...]) == (2 * 5**calls, 15**calls, 3)


@staged
def test_the_function_and_its_fwd_rule_write(name):
    around, calls = STAGED[name]

    def write(scale):
        def function(x, r):
            r[...] = r[...] + x * scale
            return x * 2

        return function

    f = custom(
        write(1), lambda x, r: (write(100)(x, r), None), lambda _, g: (g * 2, None)
    )  # fmt: skip
    r, g = ref(5), around(f)
    assert g(2.0, r) == 2 * 2**calls
    assert r[...] == (7 if calls == 1 else 11)
    assert fornax.grad(lambda x: g(x, r))(2.0) == 2**calls
    assert r[...] == (207 if calls == 1 else 611)


@staged
def test_rules_close_over_what_the_function_closes_over(name):
    around, calls = STAGED[name]
    r = ref(5)

    def add(k):
        r[...] = r[...] + k

    f = custom(
        lambda x: (add(1), x * 2)[1], lambda x: ((add(100), x * 2)[1], None),
        lambda _, g: ((add(1000), g * 2)[1],),
    )  # fmt: skip
    g = around(lambda x, r: f(x))
    assert g(2.0, 1.0) == 2 * 2**calls and r[...] == 5 + calls
    assert fornax.grad(lambda x: g(x, 1.0))(2.0) == 2**calls
    assert r[...] == 5 + calls * 1101


@pytest.mark.parametrize("name", ["called", "jit", "nested jit", "inline", "checkpoint"])
def test_a_bwd_rule_alone_closes_over_a_reference(name):
    around, _ = STAGED[name]
    r = ref(5)
    f = custom(
        lambda x: x * 2, lambda x: (x * 2, None),
        lambda _, g: ((r.__setitem__(..., r[...] + g), g * 2)[1],),
    )  # fmt: skip
    g = around(lambda x, r: f(x))
    assert fornax.grad(lambda x: g(x, 1.0))(2.0) == 2 and r[...] == 6
    assert fornax.jit(fornax.grad(lambda x: g(x, 1.0)))(2.0) == 2 and r[...] == 7


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int8", "bool", "uint32", "int16"])
@pytest.mark.parametrize("name", ["jit", "scan", "cond with operands", "jit of scan"])
def test_bwd_rules_change_references_to_integers(name, dtype):
    around, calls = STAGED[name]
    info = None if dtype == "bool" else np.iinfo(dtype)

    def bwd(r, g):
        r[0] = ~r[0]
        r[1] = r[2]
        return g, None

    f = custom(lambda x, r: x, lambda x, r: (x, r), bwd)
    numbers = [False, False, True] if info is None else [info.min, 3, info.max - 1]
    r = ref(numbers, dtype)
    assert fornax.grad(lambda x: around(f)(x, r))(2.0) == 1
    expected = np.asarray(numbers, dtype)
    expected[1] = expected[2]
    if calls == 1:
        expected[0] = ~expected[0]
    np.testing.assert_array_equal(r[...], expected)
    assert r[...].dtype == dtype


@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit], ids=["eager", "jit"])
def test_mapped_and_sliced_references_in_bwd_rules(wrap):
    f = custom(
        lambda x, r: x, lambda x, r: (x, r), lambda r, g: (r.__setitem__(..., g), (g, None))[1]
    )
    rows, x = ref([0, 0, 0]), fnp.arange(3.0)
    close(wrap(fornax.vmap(fornax.grad(lambda x, r: f(x, r) ** 2)))(x, rows), [0, 2, 4])
    close(rows[...], [0, 2, 4])
    for mapped in (fornax.vmap(f), fornax.jit(fornax.vmap(f)), fornax.vmap(fornax.jit(f))):
        rows[...] = fnp.zeros(3)
        close(wrap(fornax.grad(lambda x, r, m=mapped: (m(x, r) ** 2).sum()))(x, rows), [0, 2, 4])
        close(rows[...], [0, 2, 4])
    columns = ref(np.zeros((1, 3)))
    g = custom(
        lambda x, r: x, lambda x, r: (x, r), lambda r, g: (r.__setitem__(0, g), (g, None))[1]
    )
    mapped = fornax.vmap(g, in_axes=(0, 1))
    close(wrap(fornax.grad(lambda x: (mapped(x, columns) ** 2).sum()))(x), [0, 2, 4])
    close(columns[...], [[0, 2, 4]])

    def loop(x, r):
        return lax.scan(lambda c, row: (f(c * 2, row), None), x, r)[0]

    assert wrap(fornax.grad(loop))(1.0, rows) == 8
    close(rows[...], [4, 2, 1])
    one = ref(0)
    for mapped in (fornax.vmap(f, in_axes=(0, None)), fornax.vmap(fornax.jit(f), (0, None))):
        with pytest.raises(ValueError, match="vmapped value on an unbatched array reference"):
            wrap(fornax.grad(lambda x, m=mapped: (m(x, one) ** 2).sum()))(x)
    read = custom(
        lambda x, r: x * r[...], lambda x, r: (x * r[...], r), lambda r, g: (g * r[...], None)
    )
    one[...] = 5.0
    mapped = fornax.vmap(read, in_axes=(0, None))
    close(wrap(fornax.grad(lambda x: mapped(x, one).sum()))(x), [5, 5, 5])


def test_references_that_are_differentiated_reach_rules():
    f = custom(lambda x, r: x, lambda x, r: (x, r), lambda r, g: (g * 3, None))
    for around in (lambda f: f, fornax.jit):
        g = around(f)

        def h(x, g=g):
            r = fornax.new_ref(x)
            return g(x, r) + r[...]

        assert (h(2.0), fornax.grad(h)(2.0)) == (4, 4)
        c, d, r = ref(0), ref([1]), ref([5])
        out, pull = fornax.vjp(lambda x, r, g=g: g(x, r), 2.0, r)
        pull.with_refs(c, d)(1.0)
        assert (out, c[...], d[0]) == (2, 3, 1)

    def write(x, r):
        r[...] = x * 7
        return x

    w = custom(write, lambda x, r: (write(x, r), None), lambda _, g: (g * 3, None))

    def h(x):
        r = fornax.new_ref(x)
        return w(x, r) + r[...]

    assert (h(2.0), fornax.grad(h)(2.0)) == (16, 4)  # what a rule writes has no tangent


@pytest.mark.parametrize("around", [lambda f: f, fornax.jit, fornax.checkpoint])
def test_rules_find_the_last_value_of_references_that_have_ended(around):
    f = custom(
        lambda x, r: x, lambda x, r: (x, r),
        lambda r, g: (r.__setitem__(..., r[...] * 10), (g * r[...], None))[1],
    )  # fmt: skip
    g = around(f)

    def made(x):
        r = fornax.new_ref(x)
        out = g(x, r)
        r[...] = x + 5
        return out

    _, pull = fornax.vjp(made, 2.0)
    assert (pull(1.0)[0], pull(1.0)[0]) == (70, 700)
    assert fornax.jit(fornax.grad(made))(2.0) == 70
    twice = lambda x: g(g(x, r := fornax.new_ref(x)), r)  # noqa: E731
    assert fornax.grad(twice)(2.0) == 20 * 200


def test_rules_in_one_function_see_what_the_others_wrote():
    f = custom(
        lambda x, r: x, lambda x, r: (x, r),
        lambda r, g: (r.__setitem__(..., r[...] * 2 + g), (g, None))[1],
    )  # fmt: skip
    for first in (f, fornax.jit(f), fornax.checkpoint(f)):
        for second in (f, fornax.jit(f)):
            r = ref(1)
            h = lambda x, a=first, b=second, r=r: b(a(x, r) * 3, r)  # noqa: E731
            assert fornax.grad(h)(2.0) == 3 and r[...] == (1 * 2 + 1) * 2 + 3
            assert fornax.jit(fornax.grad(h))(2.0) == 3 and r[...] == (9 * 2 + 1) * 2 + 3
    r = ref(1)
    same = custom(
        lambda x, s: x, lambda x, s: (x, None),
        lambda _, g: (r.__setitem__(..., r[...] * 2 + g), (g, None))[1],
    )  # fmt: skip
    assert fornax.grad(lambda x: same(x, r))(2.0) == 1 and r[...] == 3
    closing = custom(
        lambda x: x, lambda x: (x, None), lambda _, g: ((r.__setitem__(..., g), g)[1],)
    )
    with pytest.raises(RuntimeError, match="after it had been handed backwards"):
        fornax.grad(lambda x: f(closing(x), r))(2.0)
    assert r[...] == 3


def test_bwd_rules_change_references_to_keys():
    f = custom(
        lambda x, r: x, lambda x, r: (x, r),
        lambda r, g: (r.__setitem__(..., fornax.random.fold_in(r[...], 1)), (g, None))[1],
    )  # fmt: skip
    for g in (f, fornax.jit(f)):
        r = fornax.new_ref(fornax.random.key(7))
        assert fornax.grad(lambda x, g=g, r=r: g(x, r))(2.0) == 1
        expected = fornax.random.fold_in(fornax.random.key(7), 1)
        assert (fornax.random.key_data(r[...]) == fornax.random.key_data(expected)).all()


def test_a_bwd_rule_is_not_run_without_a_cotangent():
    r = ref(0)
    f = custom(
        lambda x, r: x, lambda x, r: (x, r),
        lambda r, g: (r.__setitem__(..., r[...] + 1), (g, None))[1],
    )  # fmt: skip
    g = lambda x: (f(x, r), x * 2)[1]  # noqa: E731
    assert (fornax.grad(g)(1.0), fornax.jit(fornax.grad(g))(1.0), r[...]) == (2, 2, 0)


def test_the_function_of_vjp_takes_the_references_of_rules_along():
    r = ref(1)
    f = custom(
        lambda x, r: x, lambda x, r: (x, r),
        lambda r, g: (r.__setitem__(..., r[...] + g), (g, None))[1],
    )  # fmt: skip
    _, pull = fornax.vjp(fornax.jit(lambda x: f(x, r) * 3), 2.0)
    assert fornax.jit(lambda pull, g: pull(g))(pull, 2.0) == (6,)
    assert r[...] == 7
    with pytest.raises(TypeError, match="can't apply forward-mode"):
        fornax.linearize(fornax.jit(lambda x: f(x, r)), 2.0)[1](1.0)


def test_what_custom_vjp_refuses():
    r = ref(1)
    three = custom(lambda x, a, b: x, lambda x, a, b: (x, None), lambda _, g: (g, None, None))
    for call in (lambda: three(1.0, r, r), lambda: fornax.grad(three)(1.0, r, r)):
        with pytest.raises(ValueError, match="only one reference .* at both a and b"):
            call()
    for primal, fwd in [
        (lambda x, r: r, None), (lambda x, r: fornax.new_ref(x), None),
        (lambda x, r: x, lambda x, r: (r, None)),
    ]:  # fmt: skip
        f = custom(primal, fwd or (lambda x, r: (x, None)), lambda _, g: (g, None))
        with pytest.raises(ValueError, match="is a mutable array reference"):
            f(1.0, r) if fwd is None else fornax.grad(f)(1.0, r)
    other = ref(7)
    for residual in (fornax.new_ref, lambda x: other):
        f = custom(lambda x: x, lambda x, m=residual: (x, m(x)), lambda r, g: (g * r[...],))
        for derivative in (fornax.grad(f), fornax.jit(fornax.grad(f))):
            with pytest.raises(ValueError, match="that was not an argument"):
                derivative(3.0)
    for given in (lambda r, g: g, lambda r, g: fnp.zeros(()), lambda r, g: r):
        f = custom(lambda x, r: x, lambda x, r: (x, r), lambda r, g, m=given: (g, m(r, g)))
        assert fornax.grad(f)(1.0, r) == 1  # what it gives for a reference counts nothing
    f = custom(lambda x, r: x, lambda x, r: (x, r), lambda r, g: (g, fnp.ones(2)))
    with pytest.raises(ValueError, match="an output with the same type"):
        fornax.grad(f)(1.0, r)
    f = fornax.custom_vjp(lambda r, x: x * r[...], nondiff_argnums=(0,))
    f.defvjp(lambda r, x: (x * r[...], None), lambda r, _, g: (g * r[...] * 10,))
    assert (f(r, 2.0), fornax.grad(f, 1)(r, 2.0)) == (2, 10)
    assert fornax.grad(fornax.jit(lambda x: f(r, x)))(2.0) == 10
    with pytest.raises(fornax.errors.UnexpectedTracerError, match="nondiff_argnums"):
        fornax.jit(f)(r, 2.0)


def test_symbolic_zeros_and_recomputed_rules():
    r, seen = ref(5), []

    def fwd(x, r):
        seen.append((x.perturbed, r.perturbed, isinstance(r.value, fornax.Ref)))
        return x.value, None

    f = custom(lambda x, r: x, fwd, lambda _, g: (g, None), symbolic_zeros=True)
    assert fornax.grad(f)(3.0, r) == 1 and seen == [(True, False, True)]
    f = custom(
        lambda x, r: x * r[...], lambda x, r: (x * r[...], r[...]), lambda s, g: (g * s, None),
        optimize_remat=True,
    )  # fmt: skip
    for g in (f, fornax.jit(f), fornax.checkpoint(f)):
        assert (g(3.0, r), fornax.grad(g)(3.0, r)) == (15, 5)


# --- custom_jvp -----------------------------------------------------------------------------------
@staged
def test_custom_jvp_functions_read_and_write_references(name):
    around, calls = STAGED[name]

    @fornax.custom_jvp
    def f(x, r):
        r[...] = r[...] + 1
        return x * 2

    @f.defjvp
    def rule(primals, tangents):
        x, r = primals
        assert isinstance(tangents[1], fornax.Ref)
        out = f(x, r)
        r[...] = r[...] + 10
        return out, tangents[0] * 3

    r, g = ref(0), around(f)
    assert g(3.0, r) == 3 * 2**calls and r[...] == calls
    assert fornax.jvp(lambda x: g(x, r), (3.0,), (1.0,)) == (3 * 2**calls, 3**calls)
    assert r[...] == calls * 12
    assert fornax.grad(g)(3.0, r) == 3**calls and r[...] == calls * 23
    assert fornax.jit(fornax.grad(g))(3.0, r) == 3**calls and r[...] == calls * 34


@staged
def test_custom_jvp_functions_and_rules_close_over_references(name):
    around, calls = STAGED[name]
    r = ref(2)
    f = fornax.custom_jvp(lambda x: x * r[...])
    f.defjvp(lambda p, t: (f(p[0]), t[0] * r[...] * 10))
    g = around(lambda x, _: f(x))
    assert g(3.0, 1.0) == 3 * 2**calls
    assert fornax.grad(g)(3.0, 1.0) == 20**calls
    assert fornax.jit(fornax.grad(g))(3.0, 1.0) == 20**calls
    r[...] = 1.0
    assert fornax.grad(g)(3.0, 1.0) == 10**calls


@pytest.mark.parametrize("around", [lambda f: f, fornax.jit, fornax.checkpoint])
def test_a_jvp_rule_alone_writes_to_a_reference(around):
    r = ref(0)
    f = fornax.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: ((r.__setitem__(..., p[0]), f(*p))[1], t[0] * 2))
    assert fornax.jvp(around(f), (3.0,), (1.0,)) == (6, 2) and r[...] == 3
    assert fornax.grad(around(f))(4.0) == 2 and r[...] == 4
    f.defjvp(lambda p, t: ((r.__setitem__(..., t[0]), f(*p))[1], t[0] * 2))
    assert fornax.jvp(f, (3.0,), (7.0,)) == (6, 14) and r[...] == 7
    with pytest.raises(ValueError, match="differentiated value|writes a tangent"):
        fornax.grad(f)(3.0)


def test_a_jvp_rule_changes_the_tangents_of_references():
    @fornax.custom_jvp
    def f(x, r):
        r[...] = r[...] * x
        return x

    @f.defjvp
    def rule(primals, tangents):
        (x, r), (dx, dr) = primals, tangents
        dr[...] = dr[...] * x + r[...] * dx
        r[...] = r[...] * x
        return x, dx

    for around in (lambda f: f, fornax.jit):
        r, t = ref(2), ref(1)
        assert fornax.jvp(around(f), (3.0, r), (1.0, t)) == (3, 1)
        assert (r[...], t[...]) == (6, 5)

        def g(x, around=around):
            r = fornax.new_ref(x)
            around(f)(x, r)
            return r[...]

        assert fornax.jvp(g, (3.0,), (1.0,)) == (9, 6)
        assert fornax.grad(g)(3.0) == 6
        close(fornax.vmap(fornax.grad(g))(fnp.arange(3.0)), [0, 2, 4])


# --- custom_vmap ----------------------------------------------------------------------------------
wrappers = pytest.mark.parametrize(
    "wrap",
    [fornax.vmap, lambda f, *a: fornax.jit(fornax.vmap(f, *a)),
     lambda f, *a: fornax.vmap(fornax.jit(f), *a)],
)  # fmt: skip


@wrappers
def test_custom_vmap_functions_take_references(wrap):
    @custom_vmap
    def f(x, r):
        r[...] = x
        return x * r[...]

    @f.def_vmap
    def rule(size, batched, x, r):
        assert r.shape == ((size,) if batched[1] else ())
        if batched[1]:
            r[...] = x * 10
        return x * r[...] * 10, batched[0]

    x, rows, one = fnp.arange(3.0), ref([2, 3, 4]), ref(2)
    close(wrap(f)(x, rows), [0, 100, 400])
    close(rows[...], [0, 10, 20])
    close(wrap(f, (0, None))(x, one), [0, 20, 40])
    assert (f(3.0, one), fornax.jit(f)(3.0, one), one[...]) == (9, 9, 3)
    assert fornax.grad(lambda x: f(x, fornax.new_ref(1.0)))(3.0) == 6


@wrappers
def test_custom_vmap_functions_close_over_references(wrap):
    r = ref(2)

    def add(k):
        r[...] = r[...] + k

    f = custom_vmap(lambda x: (add(1), x * 2)[1])
    f.def_vmap(lambda size, batched, x: ((add(10), x * r[...])[1], batched[0]))
    x = fnp.arange(3.0)
    assert (f(3.0), fornax.jit(f)(3.0), r[...]) == (6, 6, 4)
    close(wrap(f)(x), x * 14)
    assert r[...] == 14
    alone = custom_vmap(lambda x: x)
    alone.def_vmap(lambda size, batched, x: ((add(1), x * 10)[1], batched[0]))
    close(wrap(alone)(x), x * 10)
    assert r[...] == 15


@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit], ids=["eager", "jit"])
def test_a_loop_over_examples_hands_references_on(wrap):
    r, x = ref(1), fnp.arange(3.0)
    f = sequential_vmap(lambda x: (r.__setitem__(..., r[...] * 2 + x), x * r[...])[1])
    close(wrap(fornax.vmap(f))(x), [0, 5, 24])
    assert r[...] == 12

    @sequential_vmap
    def g(x, r):
        r[...] = r[...] + x
        return r[...]

    close(wrap(fornax.vmap(g))(x, rows := ref([5, 6, 7])), [5, 7, 9])
    close(rows[...], [5, 7, 9])
    close(wrap(fornax.vmap(g, in_axes=(0, None)))(x, one := ref(5)), [5, 6, 8])
    assert one[...] == 8
    loop = lambda n, x: lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, h(s[1])), (0, x))[1]  # noqa: E731
    h = sequential_vmap(lambda x: x * r[...])
    r[...] = 3.0
    close(wrap(fornax.vmap(loop))(fnp.asarray([1, 3, 2]), x), [0, 27, 18])


# --- others ---------------------------------------------------------------------------------------
def test_other_operations_of_functions_read_references():
    r = ref(2)
    solved = lax.custom_root(
        lambda x: x * r[...] - 4.0, 1.0, lambda f, x: x - f(x) / 2, lambda g, y: y / g(1.0)
    )
    assert solved == 2
    assert lax.custom_linear_solve(lambda x: x * r[...], 4.0, lambda f, b: b / 2) == 2
    linear_call = fornax.custom_derivatives.linear_call
    assert linear_call(lambda a, x: x * r[...], lambda a, g: g, (), 3.0) == 6
    assert lax.composite(lambda x: x * r[...], name="a.b")(3.0) == 6

    def writes(x):
        r[...] += 1
        return x * r[...]

    converted, values = fornax.closure_convert(writes, 1.0)
    assert (converted(3.0, *values), converted(3.0, *values), r[...]) == (9, 12, 4)
    for f in (lax.composite(writes, name="a.b"), fornax.jit(lax.composite(writes, name="a.b"))):
        before = r[...]
        assert f(3.0) == 3 * (before + 1) and r[...] == before + 1
    s = ref(1)
    f = lax.composite(lambda x, s: (s.__setitem__(..., s[...] + x), x)[1], name="a.b")
    assert (f(3.0, s), s[...]) == (3, 4)
    r[...] = 4.0

    @fornax.custom_gradient
    def f(x):
        return x * r[...], lambda g: g * r[...] * 10

    assert (f(3.0), fornax.grad(f)(3.0), fornax.grad(fornax.jit(f))(3.0)) == (12, 40, 40)


def test_one_reference_twice():
    def f(a, b, x):
        a[...] = a[...] + x
        return b[...] * x

    def rule(primals, tangents):
        a, b, x = primals
        return f(a, b, x), tangents[2] * b[...]

    custom = fornax.custom_jvp(f)
    custom.defjvp(rule)
    mapped = custom_vmap(f)

    @mapped.def_vmap
    def _(size, batched, a, b, x):
        a[...] = a[...] + 1
        return x * b[...], True

    checkpointed = fornax.checkpoint(f)
    r, s, x = ref(2), ref(5), fnp.arange(3.0)
    for g in (custom, mapped, checkpointed):
        r[...] = 2.0
        assert (g(r, r, 3.0), r[...]) == (15, 5)
        assert (fornax.jit(lambda x, g=g: g(r, r, x))(3.0), r[...]) == (24, 8)
        assert (g(r, s, 3.0), r[...]) == (15, 11)  # not the program for one reference
    assert (fornax.grad(lambda x: custom(r, r, x))(3.0), r[...]) == (14, 14)
    assert (fornax.grad(fornax.jit(lambda x: custom(r, r, x)))(3.0), r[...]) == (17, 17)
    t = ref(1)
    out, tangent = fornax.jvp(custom, (s, s, 3.0), (t, t, 1.0))
    assert (out, tangent, s[...]) == (24, 8, 8)
    close(fornax.vmap(lambda x: mapped(r, r, x))(x), x * 18)
    assert fornax.checkpoint(lambda a: a[...] + r[...])(r) == 36
    with pytest.raises(ValueError, match="both closed over and passed"):
        fornax.checkpoint(lambda a: (a.__setitem__(..., 0.0), r[...])[1])(r)


def test_linear_calls_and_transposes_use_references():
    r, linear_call = ref(3), fornax.custom_derivatives.linear_call
    read = lambda x: linear_call(lambda a, x: x * r[...], lambda a, g: g * r[...], (), x)  # noqa: E731
    assert (read(2.0), fornax.grad(read)(2.0), fornax.jit(fornax.grad(read))(2.0)) == (6, 3, 3)
    close(fornax.vmap(fornax.grad(read))(fnp.arange(2.0)), [3, 3])
    assert fornax.linear_transpose(read, 1.0)(2.0) == (6,)

    def back(a, g):
        r[...] = r[...] + g
        return g * 2

    writes = lambda x: linear_call(lambda a, x: x * 2, back, (), x)  # noqa: E731
    _, pull = fornax.vjp(writes, 1.0)
    assert (pull(1.0), pull(2.0), r[...]) == ((2,), (4,), 6)
    assert fornax.jit(fornax.grad(writes))(1.0) == 2 and r[...] == 7
    assert fornax.linear_transpose(writes, 1.0)(2.0) == (4,) and r[...] == 9

    def given(x, r):
        return linear_call(
            lambda a, x: x * a[...], lambda a, g: (a.__setitem__(..., a[...] + 1), g * a[...])[1],
            r, x,
        )  # fmt: skip

    assert (given(2.0, r), fornax.grad(given)(2.0, r), r[...]) == (18, 10, 10)
    assert fornax.jit(fornax.grad(given))(2.0, r) == 11 and r[...] == 11
    with pytest.raises(NotImplementedError, match="whose function has ended"):
        fornax.grad(fornax.jit(given))(2.0, r)

    def only(x, r):
        return linear_call(lambda a, x: x * a[...], lambda a, g: g * a[...], r, x)

    for g in (fornax.jit(only), fornax.checkpoint(only)):
        assert (g(2.0, r), fornax.grad(g)(2.0, r)) == (22, 11)
        assert fornax.jvp(lambda x, g=g: g(x, r), (2.0,), (1.0,)) == (22, 11)

    def wrong(x):
        r[...] = r[...] + 1
        return x * 2

    with pytest.raises(NotImplementedError, match="linear_transpose writes to a mutable reference"):
        fornax.linear_transpose(wrong, 1.0)


def test_checkpoint_recomputes_with_the_values_of_the_forward_pass():
    """Not as JAX, which reads and writes the reference again: then derivatives are other ones."""
    r = ref(2)

    @fornax.checkpoint
    def f(x, r):
        r[...] = r[...] + 1
        return fnp.sin(x) * r[...]

    out, pull = fornax.vjp(lambda x: f(x, r), 1.0)
    close(out, 3 * np.sin(1.0))
    assert r[...] == 3
    r[...] = 100.0
    close(pull(1.0)[0], 3 * np.cos(1.0))
    assert r[...] == 100
    kept = ref(2, kind="no_grad_no_remat")
    g = fornax.checkpoint(lambda x: (kept.__setitem__(..., kept[...] + x), fnp.sin(x))[1])
    for derivative in (fornax.grad(g), fornax.jit(fornax.grad(g)), fornax.grad(fornax.jit(g))):
        close(derivative(1.0), np.cos(1.0))
    assert kept[...] == 5

    @fornax.checkpoint
    def step(r, x):
        r[...] = fnp.sin(r[...]) * x

    def twice(x):
        r = fornax.new_ref(x)
        step(r, x)
        step(r, x)
        return r[...]

    slope = (twice(1.01) - twice(0.99)) / 0.02
    np.testing.assert_allclose(fornax.grad(twice)(1.0), slope, rtol=1e-3)
