"""References as arguments of derivatives, branches, loops and checks. Values are JAX's."""

import functools

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.experimental import checkify

close = functools.partial(np.testing.assert_allclose, rtol=1e-5)
both = pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit], ids=["eager", "jit"])


def ref(value, **options):
    return fornax.new_ref(fnp.asarray(value, np.float32), **options)


def scale(x, r):
    """Multiplies the first element by x; the rest times x."""
    r[0] = r[0] * x
    return x * r[1:].sum()


# --- forwards -------------------------------------------------------------------------------------
@both
def test_jvp_takes_references_and_references_as_their_tangents(wrap):
    def f(x, r):
        r[...] = r[...] * x
        return r[...] + x

    r, t = ref(2), ref(1)
    out, tangent = fornax.jvp(wrap(f), (3.0, r), (1.0, t))
    assert (out, tangent, r[...], t[...]) == (9, 6, 6, 5)
    r, t = ref(2), ref(1)
    fornax.jit(lambda r, t: fornax.jvp(f, (3.0, r), (1.0, t)))(r, t)
    assert (r[...], t[...]) == (6, 5)
    r, t = ref([2, 3]), ref([1, 1])

    def parts(x, r):
        r[0] += x
        fornax.ref.addupdate(r, 1, x * x)
        return fornax.ref.swap(r, 1, x)

    assert fornax.jvp(wrap(parts), (3.0, r), (1.0, t)) == (12, 7)
    close(r[...], [5, 3])
    close(t[...], [2, 1])


@both
def test_jvp_of_loops_and_branches_over_references(wrap):
    def loop(x, r):
        def body(c, _):
            r[...] = r[...] * c
            return c + 1, r[...]

        return lax.scan(body, x, None, length=3)

    r, t = ref(2), ref(1)
    (c, ys), (dc, dys) = fornax.jvp(wrap(loop), (2.0, r), (1.0, t))
    assert (c, dc, r[...], t[...]) == (5, 1, 48, 76)
    close(ys, [4, 12, 48])
    close(dys, [4, 16, 76])

    def branch(x, r):
        lax.cond(x > 0, lambda: r.__setitem__(..., r[...] * x), lambda: None)
        return r[...]

    r, t = ref(2), ref(1)
    assert fornax.jvp(wrap(branch), (2.0, r), (1.0, t)) == (4, 4)
    assert (r[...], t[...]) == (4, 4)

    def counted(x, r):
        lax.while_loop(lambda i: i < 3, lambda i: (r.__setitem__(..., r[...] * x), i + 1)[1], 0)
        return r[...]

    r, t = ref(2), ref(1)
    assert fornax.jvp(wrap(counted), (2.0, r), (1.0, t)) == (16, 32)
    assert (r[...], t[...]) == (16, 32)


def test_jvp_overwrites_the_tangent_of_what_is_overwritten():
    r, t = ref(2), ref(7)
    assert fornax.jvp(lambda x, r: (r.__setitem__(..., 4.0), x)[1], (3.0, r), (1.0, t)) == (3, 1)
    assert (r[...], t[...]) == (4, 0)


def test_references_to_integers_have_no_tangent():
    def f(r, x):
        r[...] += 1
        return r[...] * x

    for tangent in (fornax.new_ref(fnp.asarray(3)), np.zeros((), fornax.dtypes.float0)):
        r = fornax.new_ref(fnp.asarray(3))
        assert fornax.jvp(f, (r, 2.0), (tangent, 1.0)) == (8, 4)
        assert r[...] == 4


def test_one_reference_twice():
    r, t = ref(2), ref(1)

    def f(a, b):
        a[...] = a[...] * 3
        return b[...]

    assert fornax.jvp(f, (r, r), (t, t)) == (6, 3)
    assert (r[...], t[...]) == (6, 3)
    with pytest.raises(ValueError, match="only one reference .* appeared at both a and b"):
        fornax.jvp(f, (r, r), (t, ref(1)))
    with pytest.raises(ValueError, match="only one reference .* appeared at both a and b"):
        fornax.vjp(f, r, r)
    read = fornax.jvp(lambda a: a[...] * r[...], (ref(3),), (t,))  # not among the arguments
    assert read == (18, 18)
    with pytest.raises(ValueError, match="both closed over and passed as the argument"):
        fornax.jvp(lambda a: (a.__setitem__(..., 1.0), r[...])[1], (r,), (t,))


def test_jvp_refuses():
    r, t = ref(2), ref(1)
    with pytest.raises(ValueError, match="primal of r is a mutable array .* tangent is an array"):
        fornax.jvp(lambda r: r[...], (r,), (1.0,))
    with pytest.raises(ValueError, match="primal of x is an array .* is a mutable array"):
        fornax.jvp(lambda x: x, (1.0,), (t,))
    with pytest.raises(ValueError, match="different primal and tangent shapes"):
        fornax.jvp(lambda r: r[...], (r,), (ref([1, 2]),))
    with pytest.raises(ValueError, match="Output of .* is a mutable array reference"):
        fornax.jvp(lambda r: r, (r,), (t,))


@both
def test_linearize(wrap):
    def f(x, r):
        r[...] = r[...] * x
        return x * 2

    r, t = ref(2), ref(1)
    out, push = fornax.linearize(wrap(f), 3.0, r)
    assert (out, r[...]) == (6, 6)
    assert push(1.0, t) == 2 and t[...] == 5
    assert push(1.0, t) == 2 and t[...] == 17
    with pytest.raises(ValueError, match=r"Got tangent aval f32\[\] for primal aval Ref"):
        push(1.0, 1.0)


# --- backwards ------------------------------------------------------------------------------------
@both
def test_cotangents_of_references_are_in_references(wrap):
    r, g, h = ref([5, 6]), ref(0), ref([1, 1])
    out, pull = fornax.vjp(wrap(scale), 3.0, r)
    assert pull.with_refs(g, h)(1.0) == (fornax.ad.GradRef(), fornax.ad.GradRef())
    assert (out, g[...]) == (18, 11)
    close(h[...], [3, 4])
    close(r[...], [15, 6])

    def loop(x, r):
        def body(c, i):
            r[i] = r[i] * c
            return c * 2, r[i]

        return lax.scan(body, x, fnp.arange(2))

    r, g, h = ref([5, 6]), ref(0), ref([1, 1])
    (_, ys), pull = fornax.vjp(wrap(loop), 3.0, r)
    pull.with_refs(g, h)((1.0, fnp.ones(2)))
    close(ys, [15, 36])
    assert g[...] == 38
    close(h[...], [6, 12])


@pytest.mark.parametrize(
    "write, expected",
    [
        (lambda r, x: r.__setitem__(..., x * x), (43, 0, 9)),
        (lambda r, x: fornax.ref.addupdate(r, ..., x * x), (43, 7, 14)),
    ],
)
@both
def test_what_is_written_to_references_gets_their_cotangent(wrap, write, expected):
    r, g, h = ref(5), ref(0), ref(7)
    _, pull = fornax.vjp(wrap(lambda x, r: (write(r, x), x)[1]), 3.0, r)
    pull.with_refs(g, h)(1.0)
    assert (g[...], h[...], r[...]) == expected


def test_cotangents_of_values_are_added_to_references():
    out, pull = fornax.vjp(lambda x, y: x * y, 3.0, 4.0)
    g, h = ref(10), ref(20)
    adding = pull.with_refs(g, h)
    adding(1.0)
    assert (out, g[...], h[...]) == (12, 14, 23)
    adding(2.0)
    assert (g[...], h[...]) == (22, 29)
    assert pull.with_refs(fornax.ad.GradValue(), g)(1.0)[0] == 4 and g[...] == 25
    kept = pull.with_refs(fornax.ad.DontWant(), fornax.ad.GradValue())(1.0)
    assert kept == (fornax.ad.DidntWant(), 3)
    pull.with_refs(g, g)(1.0)
    assert g[...] == 32
    _, through = fornax.vjp(lambda x, r: x * 2, 3.0, ref(1))
    through.with_refs(s := ref(5), s)(1.0)
    assert s[...] == 7
    tree = {"a": ref(0), "b": ref(0)}
    _, pull = fornax.vjp(lambda d: d["a"] * d["b"], {"a": 3.0, "b": 4.0})
    pull.with_refs(tree)(1.0)
    assert (tree["a"][...], tree["b"][...]) == (4, 3)
    _, pull = fornax.vjp(lambda x, n: x * n, 3.0, 4)
    count = fornax.new_ref(fnp.asarray(0))
    pull.with_refs(h, count)(1.0)
    assert (h[...], count[...]) == (33, 0)


def test_adding_to_references_inside_of_jit_and_vmap():
    g, h = ref(10), ref(20)

    @fornax.jit
    def f(x, y, g, h):
        out, pull = fornax.vjp(lambda x, y: x * y, x, y)
        pull.with_refs(g, h)(1.0)
        return out

    assert f(3.0, 4.0, g, h) == 12
    assert (g[...], h[...]) == (14, 23)
    rows = ref([2, 3])

    def square(x, g):
        out, pull = fornax.vjp(lambda x: x * x, x)
        pull.with_refs(g)(1.0)
        return out

    close(fornax.vmap(square)(fnp.arange(1.0, 3.0), rows), [1, 4])
    close(rows[...], [4, 7])


def test_the_function_of_vjp_is_a_tree():
    _, pull = fornax.vjp(lambda x: x**3, 2.0)
    g = ref(1)
    fornax.jit(lambda pull, g: pull.with_refs(g)(1.0))(pull, g)
    assert g[...] == 13
    fornax.jit(lambda adding: adding(1.0))(pull.with_refs(g))
    assert g[...] == 25
    assert fornax.jit(lambda pull: pull(2.0))(pull) == (24,)
    assert pull.in_tree == fornax.tree_util.tree_structure((0,))
    assert pull.out_tree == fornax.tree_util.tree_structure(0)
    assert len(pull.opaque_residuals) == len(fornax.tree_util.tree_leaves(pull))


def test_reverse_mode_refuses():
    r = ref(5)
    out, pull = fornax.vjp(lambda x, r: x * r[...], 3.0, r)
    assert out == 15
    with pytest.raises(ValueError, match=r"Expected cotangent type Ref\{float32\[\]\} but got"):
        pull(1.0)
    _, unused = fornax.vjp(lambda x, r: x * 2, 3.0, r)
    gradient, other = unused(1.0)
    assert gradient == 2 and isinstance(other, fornax.Ref) and other[...] == 0
    _, pull = fornax.vjp(lambda x, y: x * y, 3.0, 4.0)
    for given in ((ref(1),), (ref(1), None)):
        with pytest.raises(ValueError, match="each argument has one cotangent"):
            pull.with_refs(*given)
    with pytest.raises(ValueError, match="Invalid shape for `addupdate`"):
        pull.with_refs(ref([1, 2]), ref(0))(1.0)
    with pytest.raises(ValueError, match="Invalid dtype for `addupdate`"):
        pull.with_refs(fornax.new_ref(fnp.asarray(1)), ref(0))(1.0)
    for derivative in (fornax.grad, fornax.jacfwd, fornax.jacrev, fornax.hessian):
        with pytest.raises(ValueError, match="with_refs and fornax.jvp differentiate"):
            derivative(lambda r: r[...])(r)
    with pytest.raises(ValueError, match="linear_transpose is a mutable array reference"):
        fornax.linear_transpose(lambda r: r[...], r)


# --- references that differentiation leaves alone -------------------------------------------------
@both
def test_references_without_gradients(wrap):
    def f(x, r):
        r[...] = x * 2
        return x * r[...]

    r = ref(0, kind="no_grad_no_remat")
    assert fornax.typeof(r).kind == "no_grad_no_remat"
    assert fornax.grad(wrap(f))(3.0, r) == 6 and r[...] == 6
    assert wrap(fornax.grad(f))(4.0, r) == 8 and r[...] == 8
    assert wrap(fornax.grad(lambda x: f(x, r)))(5.0) == 10 and r[...] == 10
    assert fornax.jvp(wrap(lambda x: f(x, r)), (3.0,), (1.0,)) == (18, 6)

    def inner(x):
        r = fornax.new_ref(x, kind="no_grad_no_remat")
        r[...] = r[...] * x
        return x * r[...]

    assert fornax.grad(wrap(inner))(3.0) == 9

    def loop(x, rows):
        def body(c, given):
            row, i = given
            row[...] = c
            return c * x, None

        return lax.scan(body, x, (rows, fnp.arange(3)))[0]

    rows = ref([0, 0, 0], kind="no_grad_no_remat")
    assert fornax.grad(wrap(loop))(2.0, rows) == 32
    close(rows[...], [2, 4, 8])
    close(wrap(fornax.vmap(fornax.grad(f)))(fnp.arange(3.0), rows), [0, 2, 4])
    close(rows[...], [0, 2, 4])


# --- branches, loops, checks ----------------------------------------------------------------------
@both
def test_branches_take_references(wrap):
    def write(k):
        def branch(r, x):
            r[...] = r[...] + k
            return x * k

        return branch

    r, other = ref(1), ref(0)

    def closing(r, x):
        other[...] = r[...] + x
        return x

    f = wrap(lambda p, r, x: lax.cond(p, write(10.0), closing, r, x))
    assert f(True, r, 2.0) == 20 and (r[...], other[...]) == (11, 0)
    assert f(False, r, 2.0) == 2 and (r[...], other[...]) == (11, 13)
    g = wrap(lambda i, r: lax.switch(i, [write(1.0), write(10.0), write(100.0)], r, 1.0))
    assert g(2, r) == 100 and r[...] == 111
    with pytest.raises(ValueError, match="only one reference"):
        lax.cond(True, lambda a, b: a[...], lambda a, b: b[...], r, r)
    with pytest.raises(ValueError, match="both closed over and passed"):
        lax.cond(True, lambda a: a[...], lambda a: r[...], r)


def test_loops_carry_no_references():
    r, rows = ref(2), ref([1, 2])
    for loop in (
        lambda: lax.scan(lambda c, _: (c, None), r, None, length=2),
        lambda: lax.fori_loop(0, 3, lambda i, c: c, r),
        lambda: lax.while_loop(lambda c: False, lambda c: c, r),
    ):
        with pytest.raises(ValueError, match="is a mutable array reference"):
            loop()
    with pytest.raises(ValueError, match="appeared at both c and x"):
        lax.scan(lambda c, x: (c, None), rows, rows)
    with pytest.raises(ValueError, match="both closed over and passed as the argument x"):
        lax.scan(lambda c, x: (c + rows[0], None), 1.0, rows)
    close(lax.map(lambda row: (row.__setitem__(..., row[...] * 2), row[...])[1], rows), [2, 4])
    close(rows[...], [2, 4])


def test_a_cached_program_does_not_take_what_it_closes_over():
    r = ref(1)
    f = fornax.jit(lambda a: (a.__setitem__(..., 5.0), r[...])[1])
    assert f(ref(2)) == 1
    with pytest.raises(ValueError, match="both closed over and passed as the argument a"):
        f(r)


def test_mapped_references():
    r = ref([2, 3])
    with pytest.raises(ValueError, match="only one reference .* appeared at both a and b"):
        fornax.vmap(lambda a, b: a[...] * b[...])(r, r)
    close(fornax.vmap(lambda a: a[...] * r[0])(r), [4, 6])
    with pytest.raises(ValueError, match="both closed over and passed"):
        fornax.vmap(lambda a: (a.__setitem__(..., 1.0), r[0])[1])(r)
    t = ref([1, 1])
    out, tangent = fornax.vmap(lambda r, t: fornax.jvp(lambda r: r[...] ** 2, (r,), (t,)))(r, t)
    close(out, [4, 9])
    close(tangent, [4, 6])
    out, tangent = fornax.jvp(fornax.vmap(lambda r: r[...] ** 2), (r,), (t,))
    close(out, [4, 9])
    close(tangent, [4, 6])


@pytest.mark.parametrize(
    "wrap",
    [
        checkify.checkify,
        lambda f: fornax.jit(checkify.checkify(f)),
        lambda f: checkify.checkify(fornax.jit(f)),
    ],
)
def test_checked_functions_use_references(wrap):
    r, other = ref(2), ref(1)

    def f(x, r):
        r[...] = r[...] * x
        other[...] += 1
        checkify.check(r[...] > 0, "not positive")
        return x

    error, out = wrap(f)(3.0, r)
    assert error.get() is None and (out, r[...], other[...]) == (3, 6, 2)
    error, out = wrap(f)(-1.0, r)
    assert "not positive" in error.get() and (out, r[...], other[...]) == (-1, -6, 3)
    with pytest.raises(ValueError, match="traced for checkify returned a mutable array reference"):
        checkify.checkify(lambda r: r)(r)


def test_checked_loops_and_mapped_checks_use_references():
    r = ref(2)

    def loop(x):
        def body(c, _):
            r[...] = r[...] * c
            checkify.check(r[...] < 10, "large")
            return c, None

        return lax.scan(body, x, None, length=3)[0]

    error, out = checkify.checkify(loop)(2.0)
    assert "large" in error.get() and (out, r[...]) == (2, 16)
    rows = ref([2, 3])

    def f(r, x):
        r[...] = r[...] * x
        checkify.check(x > 0, "zero")
        return x

    for wrap in (lambda f: checkify.checkify(fornax.vmap(f)), lambda f: fornax.vmap(
        checkify.checkify(f)
    )):  # fmt: skip
        rows[...] = fnp.asarray([2.0, 3.0])
        error, out = wrap(f)(rows, fnp.arange(2.0))
        assert "zero" in error.get()
        close(rows[...], [0, 3])


# --- types of references -------------------------------------------------------------------------
def test_types_stand_for_references_where_programs_are_made():
    def f(x, r):
        r[...] = r[...] + x
        return x * r[...]

    type = fornax.typeof(ref(1))
    assert fornax.eval_shape(f, 2.0, type).shape == ()
    assert len(fornax.make_jaxpr(f)(2.0, type).jaxpr.invars) == 2
    compiled = fornax.jit(f).lower(2.0, type).compile()
    r = ref(1)
    assert (compiled(2.0, r), r[...]) == (6, 3)
    assert fornax.jit(lambda a, b: a[...] + b[...]).trace(type, type).out_info.shape == ()
    with pytest.raises(TypeError, match="given as a type"):
        fornax.jit(f)(2.0, type)


# --- the number of steps --------------------------------------------------------------------------
@pytest.mark.parametrize("length", [3.0, 3.5, np.float32(3), "3", fnp.asarray(3.0), np.int64(3)])
def test_the_length_of_a_scan_is_cut_off(length):
    assert lax.scan(lambda c, _: (c + 1, c), 0, None, length=length)[0] == 3


@pytest.mark.parametrize(
    "length, error",
    [
        ("x", ValueError), ([3], TypeError), (3j, TypeError), (object(), TypeError),
        (float("inf"), OverflowError), (float("nan"), ValueError), (-1.0, ValueError),
        (np.asarray([3]), TypeError),
    ],
)  # fmt: skip
def test_what_is_no_length(length, error):
    with pytest.raises(error, match="length"):
        lax.scan(lambda c, _: (c + 1, c), 0, None, length=length)


def test_a_traced_length():
    with pytest.raises(fornax.errors.ConcretizationTypeError, match="expects a concrete `int`"):
        fornax.jit(lambda n: lax.scan(lambda c, _: (c + 1, c), 0, None, length=n))(3)


def test_a_recomputed_fwd_with_symbolic_zeros_is_refused():
    f = fornax.custom_vjp(lambda x: x)
    with pytest.raises(NotImplementedError, match="does not support symbolic zeros"):
        f.defvjp(lambda x: (x, None), lambda _, g: (g,), symbolic_zeros=True, optimize_remat=True)
    f.defvjp(lambda x: (x.value, None), lambda _, g: (g,), symbolic_zeros=True)
    assert fornax.grad(f)(2.0) == 1
    f.defvjp(lambda x: (x, None), lambda _, g: (g * 3,), optimize_remat=True)
    assert (fornax.grad(f)(2.0), fornax.jit(fornax.grad(f))(2.0), f(2.0)) == (3, 3, 2)
