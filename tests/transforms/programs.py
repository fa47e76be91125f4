"""Programs written against a package with JAX's names, run by Fornax in the tests.

Each takes the package (`fornax`, or `jax` when values are recorded) and returns a tree of arrays.
`recorded.json` holds what JAX gives; `record.py` writes it.
"""

import numpy as np

PROGRAMS = {}


def program(make):
    PROGRAMS[make.__name__] = make
    return make


X = np.array([0.3, -1.2, 2.1], np.float32)
M = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def rnn(jx):
    fnp, lax = jx.numpy, jx.lax

    def step(carry, x):
        h = fnp.tanh(carry["h"] * 0.7 + x * carry["w"])
        return {"h": h, "w": carry["w"]}, h * x

    def loss(w, xs):
        last, ys = lax.scan(step, {"h": fnp.zeros(3, fnp.float32), "w": w}, xs)
        return fnp.sum(last["h"]) + fnp.sum(ys**2)

    return loss


@program
def scan_values(jx):
    return jx.value_and_grad(rnn(jx), (0, 1))(X, M)


@program
def scan_jit_grad_vmap(jx):
    batched = jx.vmap(rnn(jx), (0, None))
    stack = np.stack([X, 2 * X, -X])
    return jx.jit(jx.jacrev(batched))(stack, M), jx.vmap(jx.jit(jx.grad(rnn(jx))), (0, None))(
        stack, M
    )


@program
def scan_hessians(jx):
    loss = rnn(jx)
    return jx.hessian(loss)(X, M), jx.jacrev(jx.grad(loss))(X, M), jx.jacfwd(jx.jacfwd(loss))(X, M)


@program
def scan_third_derivative(jx):
    def f(x):
        return jx.lax.scan(lambda c, a: (jx.numpy.sin(c * a) + c, c), x, M[0])[0]

    return jx.grad(jx.grad(jx.grad(f)))(0.4), jx.jit(jx.grad(jx.grad(jx.grad(f))))(0.4)


@program
def scan_reverse_and_pass_through(jx):
    def f(x):
        def step(c, a):
            return c * a + 1, (a, c, x)

        return jx.lax.scan(step, x, M, reverse=True)

    return f(X), jx.jacrev(lambda x: f(x)[1][1])(X), jx.vmap(f)(np.stack([X, X + 1]))


@program
def scan_constants_only(jx):
    def f(w):
        def step(c, _):
            return c * jx.numpy.sin(w), jx.numpy.cos(w)

        return jx.lax.scan(step, jx.numpy.ones(3, np.float32), None, length=4)

    return f(X), jx.jacrev(lambda w: f(w)[0])(X), jx.jacfwd(lambda w: f(w)[1])(X)


@program
def scan_integer_carry(jx):
    def f(x):
        def step(c, a):
            n, v = c
            return (n + 1, v * a + n), n

        return jx.lax.scan(step, (0, x), M[1])

    return f(2.0), jx.grad(lambda x: f(x)[0][1])(2.0), jx.vmap(f)(X)


@program
def scan_weak_carry(jx):
    return jx.lax.scan(lambda c, a: (c + a, c), 0, X)


@program
def scan_length_zero(jx):
    empty = np.zeros((0, 3), np.float32)

    def f(c):
        return jx.lax.scan(lambda c, a: (c * a, c + a), c, empty)

    return f(X), jx.jacrev(lambda c: f(c)[0])(X), jx.jit(jx.vmap(f))(np.stack([X, X]))


@program
def scan_of_cond_with_custom(jx):
    fnp, lax = jx.numpy, jx.lax

    @jx.custom_vjp
    def clipped(x):
        return fnp.sin(x)

    clipped.defvjp(lambda x: (fnp.sin(x), fnp.cos(x)), lambda r, g: (fnp.clip(g * r, -0.5, 0.5),))

    def loss(x, xs):
        def step(c, a):
            c = lax.cond(a > 0, lambda c: clipped(c * a), lambda c: c - a * c, c)
            return c, c

        c, ys = lax.scan(step, x, xs)
        return c + fnp.sum(ys)

    g = jx.grad(loss, (0, 1))
    return (
        g(0.7, M[0]), jx.jit(g)(0.7, M[0]), jx.vmap(g, (0, None))(X, M[0]),
        jx.jit(jx.vmap(g, (None, 0)))(0.7, M), jx.vmap(g)(M[:, 0], M),
    )  # fmt: skip


@program
def nested_scans(jx):
    def inner(c, xs):
        return jx.lax.scan(lambda c, a: (c * a + 1, c), c, xs)

    def f(c, xs):
        c, ys = jx.lax.scan(lambda c, row: inner(c, row), c, xs)
        return jx.numpy.sum(c) + jx.numpy.sum(ys**2)

    return f(0.5, M), jx.grad(f, (0, 1))(0.5, M), jx.jit(jx.hessian(f))(0.5, M)


@program
def fori_static(jx):
    def f(x, n=3):
        return jx.lax.fori_loop(0, n, lambda i, v: v * x + i, x)

    return f(X), jx.jacrev(f)(X), jx.jacfwd(f)(X), jx.jit(jx.vmap(f))(M)


@program
def fori_dynamic(jx):
    def f(x, n):
        return jx.lax.fori_loop(0, n, lambda i, v: v * x + i, x)

    return jx.jit(f)(X, 4), jx.jit(lambda x, n: jx.jvp(lambda x: f(x, n), (x,), (x,)))(X, 4)


@program
def while_values(jx):
    def f(x):
        return jx.lax.while_loop(lambda c: c[0] < 10, lambda c: (c[0] * 2 + 1, c[1] + x), (x, x))

    xs = np.abs(X)
    return f(0.5), jx.jvp(f, (0.5,), (1.0,)), jx.vmap(f)(xs), jx.jit(jx.vmap(jx.jacfwd(f)))(xs)


@program
def while_reverse_of_what_no_iteration_changes(jx):
    """The backward pass needs no memory for iterations that do nothing to a tangent."""

    def f(x, y, limit):
        def body(c):
            return c[0] + 1, c[1] * 2, c[2], c[3]

        count, doubled, kept, same = jx.lax.while_loop(
            lambda c: c[0] < limit, body, (0, jx.lax.stop_gradient(x), y, y * x)
        )
        return count * kept + jx.numpy.sin(same) * doubled

    gradient = jx.grad(f, argnums=(0, 1))
    return (
        gradient(0.5, 2.0, 3), jx.jit(gradient)(0.5, 2.0, 3),
        jx.vmap(gradient, (0, None, None))(X, 0.5, 4),
        jx.jvp(lambda x: f(x, x, 2), (0.5,), (1.0,)), jx.hessian(f)(0.5, 2.0, 3),
    )  # fmt: skip


@program
def while_mapped_constants(jx):
    def f(limit, x):
        return jx.lax.while_loop(lambda v: v < limit, lambda v: v * 2, x)

    limits = np.array([3.0, 30.0, 300.0], np.float32)
    return (
        jx.vmap(f, (0, None))(limits, 1.0), jx.vmap(f, (None, 0))(50.0, np.abs(X)),
        jx.jit(jx.vmap(f))(limits, np.abs(X)),
    )  # fmt: skip


@program
def while_inside_scan_jvp(jx):
    def f(x):
        def step(c, a):
            return jx.lax.while_loop(lambda v: v < 5, lambda v: v * 2 + a * a, c), a

        return jx.lax.scan(step, x, X)[0]

    return f(1.0), jx.jvp(f, (1.0,), (1.0,)), jx.vmap(f)(np.abs(X))


@program
def cond_derivatives(jx):
    fnp, lax = jx.numpy, jx.lax

    def f(p, x):
        return lax.cond(p, lambda x: fnp.sin(x) * x, lambda x: fnp.exp(x), x)

    flags = np.array([True, False, True])
    g = jx.grad(f, 1)
    return (
        f(True, 0.5), f(False, 0.5), g(True, 0.5), jx.jit(g)(False, 0.5), jx.vmap(f)(flags, X),
        jx.vmap(g)(flags, X), jx.jit(jx.vmap(jx.grad(g, 1)))(flags, X),
        jx.vmap(f, (None, 0))(True, X), jx.grad(g, 1)(True, 0.5),
    )  # fmt: skip


@program
def cond_closures(jx):
    def f(x, y):
        return jx.lax.cond(x > 0, lambda: x * y, lambda: jx.numpy.sin(y) + x)

    g = jx.grad(f, (0, 1))
    return f(1.0, 2.0), g(1.0, 2.0), g(-1.0, 2.0), jx.jit(g)(-1.0, 2.0), jx.vmap(g)(X, X)


@program
def cond_protects_gradients(jx):
    def f(x):
        return jx.lax.cond(x > 0, lambda x: jx.numpy.log(x), lambda x: 0.0 * x, x)

    return jx.vmap(jx.grad(f))(np.array([0.0, 1.0, 2.0], np.float32))


@program
def switch_branches(jx):
    fnp = jx.numpy
    branches = [lambda x: x, fnp.sin, lambda x: x**3]

    def f(i, x):
        return jx.lax.switch(i, branches, x)

    indices = np.array([-1, 1, 7], np.int32)
    return (
        [f(i, 0.5) for i in (-3, 0, 1, 2, 9)], jx.vmap(f)(indices, X),
        jx.vmap(jx.grad(f, 1))(indices, X), jx.jit(jx.grad(f, 1))(2, 0.5),
        jx.vmap(f, (None, 0))(1, X),
    )  # fmt: skip


@program
def cond_in_while_in_cond(jx):
    lax = jx.lax

    def f(x):
        def body(c):
            return lax.cond(c[0] % 2 == 0, lambda c: (c[0] + 1, c[1] * 2), lambda c: (c[0] + 1, c[1]
                            + 1), c)  # fmt: skip

        return lax.cond(x > 0, lambda x: lax.while_loop(lambda c: c[0] < 6, body, (0, x))[1],
                        lambda x: -x, x)  # fmt: skip

    return f(1.5), jx.vmap(f)(X), jx.jvp(f, (1.5,), (1.0,)), jx.jit(f)(-2.0)


@program
def map_and_batches(jx):
    def f(x):
        return jx.numpy.sin(x) * 2, {"a": x + 1}

    xs = np.arange(7, dtype=np.float32)
    return (
        jx.lax.map(f, xs), jx.lax.map(f, xs, batch_size=3), jx.lax.map(f, xs, batch_size=20),
        jx.grad(lambda x: jx.numpy.sum(jx.lax.map(f, x, batch_size=2)[0]))(xs),
    )  # fmt: skip


@program
def associative(jx):
    def combine(a, b):
        return a[0] * b[0], b[0] * a[1] + b[1]

    def f(x, y, **options):
        return jx.lax.associative_scan(combine, (x, y), **options)

    xs = np.linspace(0.5, 1.5, 11, dtype=np.float32)
    return f(xs, xs), f(xs, -xs, reverse=True), f(M, M, axis=1), jx.jacrev(f)(X, X)


@program
def custom_jvp_orders(jx):
    fnp = jx.numpy

    @jx.custom_jvp
    def f(x, y):
        return fnp.sin(x) * y

    f.defjvps(lambda t, out, x, y: 10 * t * fnp.cos(x) * y, lambda t, out, x, y: t * fnp.sin(x))
    g = jx.grad(f)
    return (
        f(0.5, 2.0), g(0.5, 2.0), jx.grad(f, (0, 1))(0.5, 2.0), jx.jit(jx.grad(g))(0.5, 2.0),
        jx.vmap(g, (0, None))(X, 2.0), jx.jit(jx.vmap(jx.jit(g)))(X, X),
        jx.jvp(f, (0.5, 2.0), (1.0, 1.0)), jx.hessian(f)(0.5, 2.0),
        jx.grad(lambda x: fnp.sum(jx.vmap(f, (None, 0))(x, X)))(0.5),
    )  # fmt: skip


@program
def custom_jvp_trees(jx):
    @jx.custom_jvp
    def f(tree, n):
        return {"out": tree["a"] * tree["b"] * n}

    @f.defjvp
    def rule(primals, tangents):
        (tree, n), (dtree, _) = primals, tangents
        return f(tree, n), {"out": dtree["a"] * 5 + dtree["b"]}

    def loss(tree):
        return jx.numpy.sum(f(tree, 3)["out"])

    tree = {"a": X, "b": X * 2}
    return (
        jx.grad(loss)(tree),
        jx.jit(jx.grad(loss))(tree),
        jx.vmap(jx.grad(loss))({"a": M, "b": M}),
    )


@program
def custom_jvp_nondiff(jx):
    def call(h, x, n):
        return h(x) * n

    f = jx.custom_jvp(call, nondiff_argnums=(0,))

    @f.defjvp
    def rule(h, primals, tangents):
        return f(h, *primals), 2 * tangents[0]

    def loss(x):
        return f(jx.numpy.cos, x, 3.0)

    return loss(0.2), jx.grad(loss)(0.2), jx.jit(jx.vmap(jx.grad(loss)))(X)


@program
def custom_vjp_orders(jx):
    fnp = jx.numpy

    @jx.custom_vjp
    def f(x, y):
        return fnp.sin(x) * y

    def fwd(x, y):
        return fnp.sin(x) * y, (x, y)

    def bwd(saved, g):
        x, y = saved
        return 3 * g * fnp.cos(x) * y, None

    f.defvjp(fwd, bwd)
    g = jx.grad(f)
    return (
        g(0.5, 2.0), jx.grad(f, (0, 1))(0.5, 2.0), jx.jit(g)(0.5, 2.0), jx.grad(g)(0.5, 2.0),
        jx.vmap(g, (0, None))(X, 2.0), jx.jit(jx.vmap(jx.jit(g)))(X, X), jx.jacfwd(g)(0.5, 2.0),
        jx.grad(lambda x: fnp.sum(jx.vmap(f, (None, 0))(x, X)))(0.5),
        jx.vjp(jx.vmap(f), X, X)[1](X),
    )  # fmt: skip


@program
def custom_vjp_nondiff_and_integers(jx):
    def call(h, x, n):
        return h(x) * n

    f = jx.custom_vjp(call, nondiff_argnums=(0,))
    f.defvjp(lambda h, x, n: (h(x) * n, (x, n)), lambda h, r, g: (g * r[1] * 7, None))

    def loss(x):
        return jx.numpy.sum(f(jx.numpy.cos, x, 2))

    return loss(X), jx.grad(loss)(X), jx.jit(jx.grad(loss))(X), jx.vmap(jx.grad(loss))(M)


@program
def custom_gradient(jx):
    make = jx.custom_gradient

    @make
    def f(x):
        return x * x, lambda g: (g * x * 7,)

    x = np.float32(3)
    return f(x), jx.grad(f)(x), jx.jit(jx.grad(f))(x)


@program
def checkpoint_orders(jx):
    fnp = jx.numpy

    def f(x):
        return fnp.sum(fnp.sin(fnp.sin(fnp.sin(x)) * x))

    results = []
    policies = jx.checkpoint_policies
    for policy in (None, policies.everything_saveable, policies.dots_saveable):
        c = jx.checkpoint(f, policy=policy)
        results += [c(X), jx.grad(c)(X), jx.jit(jx.grad(c))(X), jx.hessian(c)(X),
                    jx.vmap(jx.grad(c))(M)]  # fmt: skip
    return results


@program
def checkpoint_in_scan(jx):
    fnp = jx.numpy

    def f(w, xs):
        @jx.checkpoint
        def step(c, x):
            return fnp.tanh(c * w + fnp.sin(x)), c

        c, ys = jx.lax.scan(step, w, xs)
        return fnp.sum(c) + fnp.sum(ys)

    return (
        f(X, M),
        jx.grad(f, (0, 1))(X, M),
        jx.jit(jx.grad(f, (0, 1)))(X, M),
        jx.jit(jx.hessian(f))(X, M),
    )


@program
def checkpoint_of_scan(jx):
    loss = jx.checkpoint(rnn(jx))
    return jx.grad(loss, (0, 1))(X, M), jx.jit(jx.grad(jx.checkpoint(lambda x: loss(x, M) ** 2)))(X)


@program
def collectives(jx):
    lax, fnp = jx.lax, jx.numpy
    square = np.arange(9, dtype=np.float32).reshape(3, 3)

    def f(x):
        total = lax.psum(x, "i")
        return (total, lax.pmean(x, "i"), lax.pmax(x, "i"), lax.pmin(x, "i"), lax.axis_index("i"),
                lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)]), lax.all_gather(x, "i"),
                lax.all_gather(x, "i", axis=0, tiled=True), lax.all_to_all(x, "i", 0, 0),
                lax.psum_scatter(x, "i"), lax.psum_scatter(x, "i", tiled=True),
                lax.psum(1, "i") * x)  # fmt: skip

    mapped = jx.vmap(f, axis_name="i")
    return (
        mapped(square),
        jx.jit(mapped)(square),
        jx.vmap(jx.jit(f), axis_name="i")(square),
        (jx.vmap(jx.grad(lambda x: fnp.sum(lax.psum(x * x, "i") * x)), axis_name="i")(square)),
    )


@program
def collectives_in_loops(jx):
    lax = jx.lax

    def f(x):
        return lax.scan(lambda c, a: (c + lax.psum(a * x, "i"), lax.axis_index("i")), x, X)

    def g(x):
        return lax.cond(x > 0, lambda x: lax.psum(x, "i"), lambda x: x, 2.0)

    return (
        jx.vmap(f, axis_name="i")(X), jx.jit(jx.vmap(jx.grad(lambda x: f(x)[0]), axis_name="i"))(X),
        jx.vmap(g, axis_name="i")(X),
        jx.vmap(jx.vmap(lambda x: lax.psum(x, ("i", "j")), axis_name="j"), axis_name="i")(M),
    )  # fmt: skip


@program
def trees_and_axes(jx):
    def f(tree, k):
        return {"s": tree["a"].sum() * k, "t": (tree["b"], k)}

    tree = {"a": M, "b": X[:2]}
    mapped = jx.vmap(f, in_axes=({"a": 0, "b": 0}, None), out_axes={"s": 0, "t": (0, None)})
    columns = jx.vmap(lambda x: x * 2, in_axes=1, out_axes=1)
    return (
        mapped(tree, np.float32(2)), columns(M), jx.vmap(lambda x: x, in_axes=-1, out_axes=-1)(M),
        jx.vmap(lambda: 1.0, axis_size=3)(), jx.vmap(lambda x, y=0: x + y)(X, y=X),
    )  # fmt: skip


@program
def grad_options(jx):
    def f(p, x):
        return (p["w"] * x).sum() * p["b"], {"aux": x * 2}

    p = {"w": X, "b": np.float32(2)}
    return (
        jx.grad(f, has_aux=True)(p, X), jx.value_and_grad(f, (0, 1), has_aux=True)(p, X),
        jx.grad(lambda z: z * z * z, holomorphic=True)(1 + 2j),
        jx.grad(lambda z: (z * z.conj()).real)(np.complex64(1 + 2j)),
        jx.vjp(f, p, X, has_aux=True)[1](3.0), jx.linearize(lambda x: x**3, X)[1](X),
        jx.linear_transpose(lambda x: M @ x, X)(np.ones(2, np.float32)),
    )  # fmt: skip


@program
def jacobians_of_trees(jx):
    def f(p, x):
        return {"y": p["w"] * x, "z": (p["w"].sum() + x[0],)}

    p = {"w": X}
    return jx.jacfwd(f)(p, X), jx.jacrev(f, (0, 1))(p, X), jx.hessian(lambda x: (x**3).sum())(X)


@program
def jit_of_everything(jx):
    fnp = jx.numpy
    inner = jx.jit(lambda x, y: {"v": fnp.sin(x) * y})

    def f(x):
        return inner(x, x)["v"] + inner(x, 2.0)["v"]

    total = jx.jit(lambda x: fnp.sum(f(x)))
    return (
        jx.jit(f)(X), jx.grad(total)(X), jx.jit(jx.grad(total))(X), jx.jit(jx.vmap(jx.jit(f)))(M),
        jx.hessian(total)(X), jx.jvp(total, (X,), (X,)), jx.vmap(jx.grad(total))(M),
    )  # fmt: skip


@program
def stop_gradients(jx):
    def f(x):
        return (jx.lax.stop_gradient(x) * x).sum()

    return jx.grad(f)(X), jx.jit(jx.grad(f))(X), jx.vmap(jx.grad(f))(M), jx.jvp(f, (X,), (X,))


@program
def linear_scan_transpose(jx):
    def f(x):
        return jx.lax.fori_loop(0, 3, lambda i, v: v * (i + 2.0), x)

    return jx.linear_transpose(f, X)(X), jx.jit(jx.linear_transpose(f, X))(X)


@program
def bfloat16_loop(jx):
    def f(x):
        return jx.lax.scan(lambda c, a: (c * a, c), x, jx.numpy.asarray(M, jx.numpy.bfloat16))[0]

    x = jx.numpy.asarray(X, jx.numpy.bfloat16)
    return f(x).astype(np.float32), jx.vjp(f, x)[1](x)[0].astype(np.float32)
