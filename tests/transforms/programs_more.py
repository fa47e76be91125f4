"""More programs for `programs.py`: collectives, options of loops, refs, policies."""

import functools

import numpy as np
from programs import M, X, program

P = np.arange(1, 5, dtype=np.float32)
T = np.arange(32, dtype=np.float32).reshape(4, 4, 2) / 7
Q = P.reshape(2, 2)


def every_way(jx, f, x):
    """A collective inside vmap: values and derivatives, in and out of jit and another vmap."""
    fnp = jx.numpy
    mapped = jx.vmap(f, axis_name="i")
    stack = np.stack([x, x + 1])

    def total(x):
        return fnp.sum(fnp.sin(mapped(x)))

    return (
        mapped(x), jx.jit(mapped)(x), jx.grad(total)(x), jx.jvp(mapped, (x,), (x * x,)),
        jx.vmap(mapped)(stack),
    )  # fmt: skip


def collective(name, x, **options):
    def run(jx):
        f = functools.partial(getattr(jx.lax, name), axis_name="i", **options)
        return every_way(jx, f, x)

    run.__name__ = f"{name}_{'_'.join(map(str, options.values()))}"
    return program(run)


collective("psum", T)
collective("pmean", T)
collective("ppermute", T, perm=((0, 1), (1, 2), (2, 3), (3, 0)))
collective("pshuffle", T, perm=(3, 1, 0, 2))
collective("pswapaxes", T, axis=0)
for _axis in (0, 1, -1):
    for _tiled in (False, True):
        collective("all_gather", T, axis=_axis, tiled=_tiled)
for _concat in (0, 1):
    for _tiled in (False, True):
        collective("all_to_all", T, split_axis=0, concat_axis=_concat, tiled=_tiled)
for _tiled in (False, True):
    collective("psum_scatter", T, scatter_dimension=0, tiled=_tiled)


@program
def collectives_over_two_axes(jx):
    lax = jx.lax

    def each(f):
        return jx.vmap(jx.vmap(f, axis_name="j"), axis_name="i")(Q)

    return (
        each(lambda a: lax.psum(a, ("i", "j"))), each(lambda a: lax.pmean(a, ("j", "i"))),
        each(lambda a: lax.axis_index(("i", "j"))), each(lambda a: lax.axis_index(("j", "i"))),
        each(lambda a: lax.pmax(a, "i") - lax.pmin(a, "j")),
    )  # fmt: skip


@program
def all_to_all_over_two_axes(jx):
    lax = jx.lax
    parts = np.arange(2 * 3 * 4 * 12, dtype=np.float32).reshape(2, 3, 4, 12)

    def each(f, x=parts):
        return jx.vmap(jx.vmap(f, axis_name="j"), axis_name="i")(x)

    def exchange(*args, **options):
        return lambda a: lax.all_to_all(a, ("i", "j"), *args, **options)

    return (
        each(exchange(1, 0, tiled=True)), each(exchange(1, 1, tiled=True)),
        each(exchange(1, 0), parts[..., :6]), each(exchange(1, 1), parts[..., :6]),
        each(lambda a: lax.all_to_all(a, ("j", "i"), 1, 0, tiled=True)),
        jx.grad(lambda x: (each(exchange(1, 0, tiled=True), x) * parts.reshape(2, 3, 24, 2)).sum())(
            parts),
    )  # fmt: skip


@program
def collectives_in_control_flow(jx):
    fnp, lax = jx.numpy, jx.lax
    mapped = functools.partial(jx.vmap, axis_name="i")

    def loop(a):
        return lax.scan(lambda c, _: (lax.psum(fnp.sin(c), "i") * 0.5, c), a, None, 3)[0]

    return (
        mapped(loop)(P), jx.grad(lambda a: mapped(loop)(a).sum())(P),
        mapped(lambda a: lax.while_loop(
            lambda c: lax.pmax(c, "i") < 50.0, lambda c: c + lax.psum(c, "i"), a))(P),
        mapped(lambda a: lax.cond(
            lax.psum(a, "i") > 3, lambda a: lax.psum(a, "i"), lambda a: a, a))(P),
        jx.grad(lambda a: mapped(jx.checkpoint(lambda a: lax.psum(fnp.sin(a), "i")))(a).sum())(P),
        jx.hessian(lambda a: mapped(lambda a: lax.pmean(a**3, "i"))(a).sum())(P),
        jx.vmap(lambda a: lax.psum(a, "i"), axis_name="i", out_axes=None)(P),
        jx.vmap(lambda: lax.axis_index("i"), axis_size=3, axis_name="i")(),
        jx.vmap(lambda a: a * 2, spmd_axis_name="b")(P),
    )  # fmt: skip


@program
def options_of_scan(jx):
    def f(x, **options):
        return jx.lax.scan(lambda c, a: (c * 0.5 + a, c * a), 1.0, x, **options)

    found = []
    for options in (
        {"reverse": True}, {"unroll": 2}, {"unroll": True}, {"unroll": False}, {"unroll": 10},
        {"_split_transpose": True}, {"length": 3}, {"reverse": True, "unroll": 3},
    ):  # fmt: skip
        g = functools.partial(f, **options)
        found += [g(X), jx.jit(g)(X), jx.grad(lambda x, g=g: g(x)[1].sum())(X)]
    return found


@program
def map_in_batches(jx):
    f = functools.partial(jx.lax.map, lambda t: jx.numpy.sin(t[0]) * t[1])
    return [f((X, X), batch_size=n) for n in (None, 1, 2, 3, 4)], [
        jx.grad(lambda x, n=n: f((x, x), batch_size=n).sum())(X) for n in (None, 2, 4)
    ]


@program
def recursive_jit(jx):
    @functools.partial(jx.jit, static_argnums=0)
    def f(n, x):
        return x if n == 0 else jx.numpy.sin(f(n - 1, x)) + x

    return f(3, X), jx.grad(lambda x: f(3, x).sum())(X), jx.vmap(lambda r: f(2, r))(M)


@program
def refs_in_loops(jx):
    lax = jx.lax

    def f(x):
        ref = jx.new_ref(x)

        def body(i, total):
            ref[...] = ref[...] * 2 + i
            return total + ref[...]

        total = lax.fori_loop(0, 3, body, jx.numpy.zeros_like(x))
        return ref[...], total

    def g(x):
        return sum(f(x))

    return f(X), jx.jit(f)(X), jx.vmap(f)(X), jx.grad(g)(0.5), jx.jit(jx.grad(g))(0.5)
