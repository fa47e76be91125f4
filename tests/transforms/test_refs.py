"""Mutable references: eager, in jit, loops and branches, under every transformation."""

import functools

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax

new = fornax.new_ref
x = np.arange(3, dtype=np.float32)
close = functools.partial(np.testing.assert_allclose, rtol=1e-6)


def test_reading_and_writing():
    r = new(fnp.arange(3.0))
    assert (r.shape, r.dtype, r.ndim, r.size, len(r)) == ((3,), np.float32, 1, 3, 3)
    assert repr(r) == "Ref([0., 1., 2.], dtype=float32)"
    assert repr(fornax.typeof(r)) == "Ref{float32[3]}"
    assert isinstance(r, fornax.Ref) and not isinstance(r, fornax.Array)
    close(r[...], x)
    assert r[0] == 0 and r[-1] == 2
    close(r[1:], x[1:])
    close(r[fnp.asarray([2, 0])], [2, 0])
    r[0] = 5
    r[1:] = fnp.zeros(2)
    close(r[...], [5, 0, 0])
    r[fnp.asarray([0, 2])] = fnp.asarray([8.0, 9.0])
    r[1] += 1
    close(r[...], [8, 1, 9])
    r[...] *= 2
    close(np.asarray(r[...]), [16, 2, 18])
    before = r[...]
    r[...] = fnp.ones(3)
    close(before, [16, 2, 18])  # values read are not references


def test_functions_of_the_module():
    r = new(x)
    assert fornax.ref.swap(r, 0, 11.0) == 0 and r[0] == 11
    fornax.ref.addupdate(r, fnp.asarray([0, 0]), fnp.ones(2))
    assert fornax.ref.get(r, 0) == 13
    fornax.ref.set(r, (0,), 4.0)
    close(fornax.ref.get(r), [4, 1, 2])
    fornax.ref.addupdate(r, None, fnp.ones(3))
    close(fornax.ref.swap(r, None, fnp.zeros(3)), [5, 2, 3])
    r.at[1:][0] = 3.0
    r.at[1:].at[1][...] = 7.0
    fornax.ref.addupdate(r.at[1:], 0, 1.0)
    close(r[...], [0, 4, 7])
    close(r.at[1:][...], [4, 7])
    assert fornax.empty_ref(fornax.ShapeDtypeStruct((2,), np.int32))[...].shape == (2,)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "bfloat16", "complex64"])
def test_dtypes(dtype):
    r = new(fnp.zeros((2, 0, 3), dtype))
    r[...] = fnp.ones((2, 0, 3), dtype)
    scalar = new(fnp.ones((), dtype))
    scalar[...] = fnp.zeros((), dtype)
    assert scalar[...].dtype == dtype and not scalar[...]
    key = new(fornax.random.key(0))
    key[...] = fornax.random.key(1)
    close(fornax.random.key_data(key[...]), [0, 1])


def test_refusals():
    r = new(x)
    for value, text in [
        (1.0, r"Invalid shape for `swap`. Ref shape: \(3,\). Expected shape: \(3,\)"),
        (fnp.ones(2), "Invalid shape"), (fnp.ones(3, int), "Invalid dtype for `swap`"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            r[...] = value
    with pytest.raises(ValueError, match="Invalid dtype"):
        new(fnp.arange(3))[0] = 1.5
    with pytest.raises(ValueError, match="Out of bound indexer: idx=7, dim=3"):
        r[7]
    with pytest.raises(TypeError, match="unsupported operand"):
        r + 1
    with pytest.raises(TypeError, match="Error interpreting argument to new_ref"):
        new([1.0])
    assert fornax.freeze(new(1.0)) == 1
    gone = new(1.0)
    fornax.free_ref(gone)
    with pytest.raises(ValueError, match="used after it had been freed"):
        gone[...]
    with pytest.raises(ValueError, match="cannot be frozen here"):
        fornax.jit(lambda: fornax.freeze(r))()


def test_frozen_references_go_on_outside_of_recorded_functions():
    r = new(1.0)
    assert (fornax.freeze(r), fornax.freeze(r), r[...]) == (1, 1, 1)
    value = fornax.freeze(r)
    r[...] = 2.0
    fornax.jit(lambda r: r.__setitem__(..., r[...] + 1))(r)
    assert (value, r[...], fornax.freeze(r)) == (1, 3, 3)
    assert fornax.grad(lambda x: x * fornax.freeze(r))(2.0) == 3
    close(fornax.vmap(lambda x: x * fornax.freeze(r))(x), [0, 3, 6])

    def inside(x):
        made = new(x)
        made[...] = made[...] * x
        frozen = fornax.freeze(made)
        return frozen + made[...]

    assert fornax.grad(inside)(3.0) == 12
    with pytest.raises(ValueError, match="used after it had been frozen"):
        fornax.jit(inside)(3.0)

    def writes(x):
        made = new(x)
        fornax.freeze(made)
        made[...] = x

    def twice(x):
        made = new(x)
        return fornax.freeze(made) + fornax.freeze(made)

    for function in (writes, twice):
        with pytest.raises(ValueError, match="used after it had been frozen"):
            fornax.jit(function)(3.0)
    for function in (
        lambda: fornax.jit(lambda r: fornax.freeze(r))(r),
        lambda: lax.cond(True, lambda: fornax.freeze(r), lambda: 0.0),
        lambda: lax.scan(lambda c, _: (c + fornax.freeze(r), None), 0.0, None, length=2),
    ):
        with pytest.raises(ValueError, match="frozen"):
            function()
    assert fornax.jit(lambda x: fornax.grad(lambda y: y * fornax.freeze(new(x)))(x))(3.0) == 3


@fornax.jit
def argument(ref, x):
    ref[...] = ref[...] * x
    ref[0] += 1.0
    return ref[...].sum()


def test_jit_takes_references():
    r = new(fnp.arange(3.0))
    for expected in ([1, 2, 4], [3, 4, 8]):
        assert argument(r, 2.0) == np.sum(expected)
        close(r[...], expected)
    other = new(fnp.ones(3))
    argument(other, 1.0)
    close(other[...], [2, 1, 1])
    close(r[...], [3, 4, 8])
    assert fornax.eval_shape(argument, r, 1.0).shape == ()
    nested = fornax.jit(lambda ref, x: {"out": argument(ref, x)})
    nested(other, 3.0)
    close(other[...], [7, 3, 3])
    inline = fornax.jit(lambda ref: fornax.jit(lambda r: r[0], inline=True)(ref))
    assert inline(other) == 7


def test_jit_closes_over_references():
    r = new(fnp.zeros(2))

    @fornax.jit
    def f(x):
        r[...] += x
        return fornax.jit(lambda: r[0] * 2)()

    assert f(1.0) == 2 and f(2.0) == 6
    close(r[...], [3, 3])
    assert f._cache_size() <= 1


def test_aliases_and_escapes():
    r = new(x)
    with pytest.raises(ValueError, match="only one reference .* appeared at both a and b"):
        fornax.jit(lambda a, b: a[...] + b[...])(r, r)
    with pytest.raises(ValueError, match="both closed over and passed as the argument a"):
        fornax.jit(lambda a: a[...] + r[...])(r)
    for f in (lambda: r, lambda: new(1.0)):
        with pytest.raises(ValueError, match="returned a mutable array reference of type Ref"):
            fornax.jit(f)()
    leaked = []
    fornax.jit(lambda v: (leaked.append(new(v)), v)[1])(1.0)
    with pytest.raises(fornax.errors.UnexpectedTracerError, match="outside of the function"):
        leaked[0][...]


def powers(x):
    """x, 2x, 4x+1, 8x+4 by a loop, and their sum without the first."""
    r = new(x)

    def body(i, total):
        r[...] = r[...] * 2 + i
        return total + r[...]

    total = lax.fori_loop(0, 3, body, 0.0)
    return r[...], total


def rows(x):
    r = new(fnp.zeros(3))

    def body(c, i):
        r[i] = c
        return c * x, r[...]

    c, ys = lax.scan(body, 1.0, fnp.arange(3))
    return r[...].sum() + c, ys


def doubling(x):
    r = new(x)

    def body(i):
        r[...] = r[...] * 2
        return i + 1

    return lax.while_loop(lambda i: r[...] < 30.0, body, 0), r[...]


def branch(p, x):
    r, s = new(x), new(0.0)

    def yes():
        r[...] = r[...] * 2

    def no():
        s[...] = r[...] + 1

    lax.cond(p, yes, no)
    return r[...] + s[...]


both = pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit], ids=["eager", "jit"])


@both
def test_loops(wrap):
    close(wrap(powers)(1.0), [12, 19])
    close(wrap(lambda v: sum(powers(v)))(1.0), 31)
    total, ys = wrap(rows)(2.0)
    close(total, 15)
    close(ys, [[1, 0, 0], [1, 2, 0], [1, 2, 4]])
    close(wrap(doubling)(1.0), [5, 32])
    assert wrap(branch)(True, 1.0) == 2 and wrap(branch)(False, 1.0) == 3


@both
def test_derivatives(wrap):
    f = wrap(lambda v: sum(powers(v)))
    close(fornax.grad(f)(1.0), 22)
    close(wrap(fornax.vmap(fornax.grad(f)))(x), [22, 22, 22])
    g = wrap(lambda v: rows(v)[0])
    for derivative in (fornax.grad, fornax.jacfwd, fornax.jacrev):
        close(derivative(g)(2.0), 17)
    close(fornax.hessian(g)(2.0), 14)
    close(fornax.jvp(wrap(doubling), (1.0,), (1.0,))[1][1], 32)
    close(fornax.grad(wrap(branch), 1)(True, 1.0), 2)
    close(fornax.grad(fornax.checkpoint(f))(1.0), 22)


@both
def test_vmap(wrap):
    close(wrap(fornax.vmap(powers))(x), [8 * x + 4, 14 * x + 5])
    close(wrap(fornax.vmap(rows))(x)[0], 1 + x + x**2 + x**3)
    flags = np.asarray([True, False, True])
    close(wrap(fornax.vmap(branch))(flags, x), [0, 3, 4])
    close(wrap(fornax.vmap(doubling))(x + 1)[1], [32, 32, 48])


@both
def test_vmap_of_reference_arguments(wrap):
    def f(ref, v):
        ref[...] = ref[...] + v
        return ref[...]

    r = new(fnp.ones(3))
    close(wrap(fornax.vmap(f))(r, x), x + 1)
    close(r[...], x + 1)
    m = new(fnp.ones((2, 3)))
    wrap(fornax.vmap(f, in_axes=(1, 0)))(m, x)
    close(m[...], np.ones((2, 3)) + x)
    shared = new(fnp.ones(3))
    close(wrap(fornax.vmap(lambda ref, v: ref[...].sum() * v, in_axes=(None, 0)))(shared, x), 3 * x)
    with pytest.raises(ValueError, match="vmapped value on an unbatched array reference"):
        wrap(fornax.vmap(lambda v: shared.__setitem__(0, v)))(x)


@both
def test_references_from_outside_of_derivatives(wrap):
    r = new(0.0)

    def f(v):
        r[...] = lax.stop_gradient(v) + r[...]
        return v * 2

    assert fornax.grad(wrap(f))(3.0) == 2 and r[...] == 3
    assert wrap(fornax.grad(f))(1.0) == 2 and r[...] == 4

    def g(v, ref):
        ref[...] += 1.0
        return v * ref[...]

    assert wrap(fornax.grad(g))(3.0, r) == 5 and r[...] == 5
    with pytest.raises(ValueError, match="differentiated value on a non-differentiated array"):
        wrap(fornax.grad(lambda v: (r.__setitem__(..., v), v)[1]))(1.0)
    with pytest.raises(ValueError, match="mutable array reference"):
        fornax.grad(lambda ref: ref[...])(r)


@both
def test_conditions_that_write(wrap):
    r, s = new(0), new(1.0)

    def condition(i):
        r[...] += 1
        return i < 3

    def body(i):
        s[...] = s[...] * 2
        return i + 1

    assert wrap(lambda: lax.while_loop(condition, body, 0))() == 3
    assert (r[...], s[...]) == (4, 8)
    rows = new(fnp.zeros(3))

    def counting(n, row):
        def more(i):
            row[...] += 1.0
            return i < n

        return lax.while_loop(more, lambda i: i + 1, 0)

    close(wrap(fornax.vmap(counting))(fnp.arange(3), rows), [0, 1, 2])
    close(rows[...], [1, 2, 3])

    def reading(i):
        r[...] *= 2
        return i + 1

    with pytest.raises(ValueError, match="Cannot write to the same ref in both cond and body"):
        wrap(lambda: lax.while_loop(condition, reading, 0))()


def test_references_have_memory_of_their_own():
    take = fornax.jit(lambda x: x + 1, donate_argnums=0)
    x = fnp.arange(3.0)
    r = new(x)
    take(x)
    close(r[...], [0, 1, 2])
    take(r[...])
    close(r[...], [0, 1, 2])
    y = fnp.ones(3)
    r[...] = y
    take(y)
    close(r[...], [1, 1, 1])
    z = np.zeros(3, np.float32)
    r = new(z)
    z[0] = 5.0
    close(r[...], [0, 0, 0])
    r[...] = z
    z[1] = 7.0
    close(r[...], [5, 0, 0])


def test_switch_with_different_references():
    r, s = new(1.0), new(2.0)

    def first(v):
        r[...] = v

    def second(v):
        s[...] = r[...] + v

    f = fornax.jit(lambda i: lax.switch(i, [first, second, lambda v: None], 5.0))
    f(2)
    assert (r[...], s[...]) == (1, 2)
    f(1)
    assert (r[...], s[...]) == (1, 6)
    f(0)
    assert (r[...], s[...]) == (5, 6)


def test_map_and_nested_loops():
    r = new(fnp.zeros((2, 3)))

    @fornax.jit
    def f():
        def outer(i, _):
            lax.fori_loop(0, 3, lambda j, _: r.__setitem__((i, j), i * 10.0 + j), None)

        lax.fori_loop(0, 2, outer, None)
        return lax.map(lambda i: r[i].sum(), fnp.arange(2))

    close(f(), [3, 33])
    close(r[...], [[0, 1, 2], [10, 11, 12]])


def test_programs_are_pure():
    program = fornax.make_jaxpr(argument)(new(x), 1.0)
    assert not program.effects
    assert [t.short() for t in program.in_avals] == ["f32[3]", "f32[]"]
    assert [t.short() for t in program.out_avals] == ["f32[]", "f32[3]"]


# --- compiled ahead of time, in rules, and along a loop ------------------------------------------
def test_a_program_compiled_ahead_of_time_reads_and_writes_references():
    ref, other = fornax.new_ref(fnp.arange(3.0)), fornax.new_ref(fnp.zeros(()))

    @fornax.jit
    def step(ref, x):
        other[...] += x
        ref[0] = ref[0] + x
        return ref[...] * 2

    compiled = step.lower(ref, 1.0).compile()
    np.testing.assert_array_equal(compiled(ref, 1.0), [2, 2, 4])
    np.testing.assert_array_equal(compiled(ref, 2.0), [6, 2, 4])
    np.testing.assert_array_equal(ref[...], [3, 1, 2])
    assert other[...] == 3
    with pytest.raises(TypeError, match="mutable reference"):
        compiled(fnp.arange(3.0), 1.0)


@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit])
def test_a_backward_rule_writes_to_a_reference_among_the_arguments(wrap):
    @fornax.custom_vjp
    def watched(x, ref):
        return x

    def bwd(ref, cotangent):
        ref[...] += cotangent
        return cotangent, None

    watched.defvjp(lambda x, ref: (x, ref), bwd)
    ref = fornax.new_ref(fnp.zeros(()))
    slope = wrap(lambda x, ref: fornax.grad(lambda x: watched(x * x, ref) ** 2)(x))
    assert slope(3.0, ref) == 4 * 27
    assert ref[...] == 18
    assert slope(3.0, ref) == 4 * 27
    assert ref[...] == 36


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit])
def test_the_rows_of_a_reference_along_a_loop(reverse, wrap):
    ref = fornax.new_ref(fnp.arange(6.0).reshape(3, 2))

    def body(total, given):
        row, x = given
        row[0] = row[1] + x
        return total + row[0], row[...]

    def run(ref):
        return fornax.lax.scan(body, 0.0, (ref, fnp.arange(3.0)), reverse=reverse)

    total, rows = wrap(run)(ref)
    np.testing.assert_array_equal(ref[...], [[1, 1], [4, 3], [7, 5]])
    np.testing.assert_array_equal(rows, ref[...])
    assert total == 12
    with pytest.raises(ValueError, match="only one reference"):
        fornax.lax.scan(lambda c, x: (c, None), 0, (ref, ref))


@both
def test_what_is_only_read_in_a_mapped_loop_stays_one_for_all(wrap):
    """A loop of another length for each example carries the value for each, and gives none back."""
    r, n = new(fnp.arange(3.0)), fnp.arange(3)
    inner = [
        lambda c: c + r[...].sum(),
        fornax.jit(lambda c: c + r[...].sum()),
        fornax.checkpoint(lambda c: c + r[...].sum()),
        lambda c: lax.scan(lambda c, _: (c + r[1], None), c, None, 3)[0],
    ]
    for f in inner:
        loop = fornax.vmap(lambda n, f=f: lax.fori_loop(0, n, lambda i, c: f(c), 0.0))
        close(wrap(loop)(n), [0, 3, 6])
        close(wrap(fornax.vmap(lambda n, f=f: lax.cond(n > 1, f, lambda c: c, 0.0)))(n), [0, 0, 3])
    close(r[...], [0, 1, 2])


def test_a_condition_that_writes_is_asked_once_for_each_step_without_jit():
    """Under vmap nobody can tell what it says: then the loop is compiled, from where it is."""

    def count(limit, counting):
        asked, steps = new(0), new(0)

        def going(c):
            asked[...] += 1
            return c < (limit if counting else 3)

        def step(c):
            steps[...] += 1
            return c + 1

        last = lax.while_loop(going, step, 0)
        return last, asked[...], steps[...]

    limits = fnp.arange(4)
    with fornax.disable_jit():
        close(fornax.vmap(lambda n: count(n, True))(limits), [limits, limits + 1, limits])
        close(fornax.vmap(lambda n: count(n, False)[1] + n)(limits), limits + 4)
        calls = []
        grad = fornax.grad(lambda x: lax.while_loop(
            lambda c: (calls.append(float(c)), c < 3)[1], lambda c: c + 1.0, x))(1.0)  # fmt: skip
    assert grad == 1 and calls == [1, 2, 3]
