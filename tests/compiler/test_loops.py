"""Loops of several kernels that become one: what they give, and that they do."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax, settings
from fornax.backends import reference
from fornax.backends.cpu import find
from fornax.runtime.compile import executable, plan

values = np.linspace(-1, 2, 40).astype(np.float32)
table = np.linspace(-2, 2, 48).reshape(6, 8).astype(np.float32)


def fill(x):
    return lax.fori_loop(0, 40, lambda i, s: s.at[i].set(s[i - 1] * 0.5 + i), x)


def swap(x):
    step = lambda i, s: (s[1] * 0.5, s[0].at[i].add(s[1][0]))  # noqa: E731
    return lax.fori_loop(0, 5, step, (x, x[::-1]))


def branches(x):
    def step(c, i):
        c = lax.cond(i % 3 == 0, lambda c: c * 0.5, lambda c: c + x[i], c)
        return c, c

    return lax.scan(step, fnp.float32(1), fnp.arange(40))


def branch_with_update(x):
    def step(s, i):
        return lax.cond(i % 2 == 0, lambda s: s.at[i].set(s[i - 1]), lambda s: s * 0.9, s), s[0]

    return lax.scan(step, x, fnp.arange(9), reverse=True)


def nested(x):
    def outer(s, i):
        last, inner = lax.scan(lambda c, r: (c * 0.5 + r, c), s[i], s)
        return s.at[i].set(last), inner[-1]

    return lax.scan(outer, x, fnp.arange(7))


def until(x):
    return lax.while_loop(
        lambda s: fnp.sum(s[1]) < 100.0,
        lambda s: (s[0] + 1, fnp.roll(s[1], 1) * 1.5 + 0.1),
        (0, x),
    )


def never(x):
    go = lambda s: s[0] < fnp.nan  # noqa: E731
    return lax.while_loop(go, lambda s: s.at[0].add(1.0), x)


def matrix(m):
    return lax.scan(lambda c, r: (fnp.tanh(m.T @ (m @ c)) + r, c.sum()), m[0], m)


def halves(x):
    x = x.astype(fnp.bfloat16)
    return lax.fori_loop(0, 5, lambda i, s: s.at[i].set(s[i + 1] * 3 + s[0]), x)


def complex_table(x):
    z = x + 1j * x[::-1]
    return lax.fori_loop(1, 40, lambda i, s: s.at[i].set(s[i - 1] * 1j + s[i]), z)


def flags(x):
    return lax.fori_loop(1, 40, lambda i, s: s.at[i].set(s[i - 1] ^ (x[i] > 0)), x > 1)


ONE_KERNEL = {
    "fill": (fill, values), "swap": (swap, values), "branches": (branches, values),
    "nested": (nested, values[:8]), "matrix": (matrix, table), "halves": (halves, values),
    "complex": (complex_table, values), "flags": (flags, values),
    "gradient of fill": (fornax.grad(lambda x: fill(x).sum()), values),
    "gradient of nested": (fornax.grad(lambda x: nested(x)[0].sum()), values[:8]),
    "mapped": (fornax.vmap(fill), np.stack([values, -values])),
    "branch with an update": (branch_with_update, values), "until": (until, values),
    "never": (never, values),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_KERNEL)
@pytest.mark.parametrize("target", ["interpreter", "native", "avx2", "sse2"])
def test_loop(name, target):
    function, x = ONE_KERNEL[name]
    traced = fornax.jit(function).trace(x)
    with fornax.disable_jit():
        expected = fornax.tree_util.tree_leaves(function(fnp.asarray(x)))
    if target == "interpreter":
        _, description = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
        results = reference.run(description, [x])
    else:
        with settings.override(target=target):
            results = executable(traced.jaxpr).call([x])
    for got, wanted in zip(results, expected, strict=True):
        got, wanted = np.asarray(got), np.asarray(wanted)
        if wanted.dtype.kind not in "fcbi":
            got, wanted = got.astype(np.float32), wanted.astype(np.float32)
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_loop_is_one_kernel(name):
    function, x = ONE_KERNEL[name]
    jaxpr = fornax.jit(function).trace(x).jaxpr
    _, description = plan(jaxpr, find("avx2"), 2, reference.compile_kernel)
    assert {step[0] for step in description["steps"]} <= {"kernel", "copy"}


def test_a_scalar_that_loops_keep_is_a_carry():
    jaxpr = fornax.jit(fill).trace(values).jaxpr
    _, description = plan(jaxpr, find("avx2"), 2, reference.compile_kernel)
    (kernel,) = (step[1].kernel for step in description["steps"] if step[0] == "kernel")
    assert [buffer.size for buffer in kernel.buffers] == [40]  # the counter is the axis


def test_large_bodies_stay_kernels_of_their_own():
    m = np.eye(256, dtype=np.float32)
    jaxpr = fornax.jit(lambda m: lax.fori_loop(0, 3, lambda i, c: fnp.tanh(m @ c), m)).trace(m)
    _, description = plan(jaxpr.jaxpr, find("avx2"), 2, reference.compile_kernel)
    assert "jump_lt" in {step[0] for step in description["steps"]}


@pytest.mark.parametrize("target", ["native", "avx2", "sse2"])
def test_results_over_operands_are_stored_last(target):
    """A carry read by one result of a kernel and overwritten by another."""

    def f(x):
        def step(s, r):
            a, b, c = s
            return (a * r, b + a, c.at[1].set(b) + a), None

        return lax.scan(step, (x[0], x[1], x[:3]), x)[0]

    with fornax.disable_jit():
        expected = f(fnp.asarray(values))
    with settings.override(target=target):
        results = fornax.jit(f)(values)
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-5)


def mapped_until(x):
    """A loop that ends at another time in every row and updates an array in place."""

    def one(x, limit):
        def step(s):
            return s[0] + 1, s[1].at[s[0]].set(s[1][s[0] - 1] + 1), s[2].at[:2, s[0]].add(2.0)

        return lax.while_loop(lambda s: s[0] < limit, step, (0, x, fnp.zeros((3, 8))))

    return fornax.vmap(one)(x, fnp.arange(6))


def clipped(x):
    """Updates with indices moved inside, kept in some rows."""

    def one(x, p):
        y = x.at[fnp.int32(7) + p].set(9.0, mode="clip")
        return fnp.where(p > 1, x, y), fnp.where(p > 1, x.at[p].multiply(2.0), x)

    return fornax.vmap(one)(x, fnp.arange(6))


def added_slices(x):
    """The transpose of slices at places known at run time."""

    def f(x):
        def step(s, i):
            part = lax.dynamic_slice(s, (i, i + 1), (1, 2))
            return lax.dynamic_update_slice(s, part * 0.5 + s[0, 0], (i, i)), part.sum()

        last, sums = lax.scan(step, x, fnp.arange(6))
        return last.sum() + (sums**2).sum()

    return fornax.grad(f)(x)


UPDATES = {
    "a mapped while with updates": (mapped_until, table), "clipped": (clipped, table),
    "added slices": (added_slices, table),
}  # fmt: skip


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("target", ["native", "avx2", "sse2"])
def test_updates(name, target):
    function, x = UPDATES[name]
    with fornax.disable_jit():
        expected = fornax.tree_util.tree_leaves(function(fnp.asarray(x)))
    with settings.override(target=target):
        results = fornax.tree_util.tree_leaves(fornax.jit(function)(x))
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=2e-5, atol=1e-5)


def buffers_of_loops(function, *arguments):
    """Sizes of the buffers of every kernel with a loop in time."""
    jaxpr = fornax.jit(function).trace(*arguments).jaxpr
    _, description = plan(jaxpr, find("avx2"), 2, reference.compile_kernel)
    kernels = [step[1].kernel for step in description["steps"] if step[0] == "kernel"]
    return [[k.size for k in kernel.buffers] for kernel in kernels if kernel.name == "loop"]


def test_what_an_inner_loop_stacks_is_not_read_in_front_of_the_outer_one():
    def step(_, x):
        _, stacked = lax.scan(lambda c, row: (c, lax.sort(row)[:5]), 0, x)
        ordered = stacked.reshape(-1)
        return fnp.pad(fnp.concatenate([ordered, ordered]), (0, 110)).reshape(2, 65)

    x = np.arange(130, dtype="int32").reshape(2, 65) + 1
    got = fornax.jit(lambda x: lax.fori_loop(0, 1, step, x))(x)
    with fornax.disable_jit():
        np.testing.assert_array_equal(got, step(0, x))


def test_the_gradient_of_updates_is_made_in_place():
    x = np.zeros(1000, np.float32)

    def f(x):
        step = lambda i, s: s.at[i].set(s[i - 1] * 0.5 + s[i])  # noqa: E731
        return lax.fori_loop(1, 1000, step, x).sum()

    (_, backward) = buffers_of_loops(fornax.grad(f), x)
    assert backward.count(1000) == 1  # the cotangent; indices are 999 numbers


def test_a_mapped_loop_with_updates_copies_nothing():
    def f(x, limit):
        step = lambda s: (s[0] + 1, s[1].at[s[0]].set(1.0))  # noqa: E731
        return lax.while_loop(lambda s: s[0] < limit, step, (0, x))[1]

    x, limits = np.zeros((2, 1000), np.float32), np.asarray([3, 5], np.int32)
    (buffers,) = buffers_of_loops(fornax.vmap(f), x, limits)
    assert buffers.count(2000) == 1


@pytest.mark.parametrize("target", ["native", "avx2", "sse2"])
def test_what_rarely_happens_may_leave_a_loop(target):
    """The root of a norm is the same for all elements: its branch goes in front of their loop,
    where the code of unrolled loops has begun already."""
    matrix = np.diag(np.arange(1, 17)).astype(np.float32)

    def body(state):
        step, v, old, _ = state
        v = v / fnp.linalg.norm(v)
        w = matrix @ v
        new = fnp.vdot(v, w)
        return step + 1, w, new, fnp.abs(new - old) > 1e-6

    start = 0, fnp.ones(16), fnp.float32(0), True
    with settings.override(target=target):
        loop = fornax.jit(
            lambda: lax.while_loop(lambda s: fnp.logical_and(s[0] < 100, s[3]), body, start)
        )
        np.testing.assert_allclose(loop()[2], 16, rtol=1e-4)


def test_a_loop_that_reads_the_carry_around_it_is_not_joined_with_that_loop():
    """The inner loop multiplies by what the outer one carries, which stays as it is meanwhile."""

    def inner(first, x):
        return lax.scan(lambda x, _: (first[0] * x, None), x, None, length=4)[0]

    def outer(x):
        return lax.scan(lambda x, _: (inner(x, x), None), x, None, length=3)[0]

    x = np.array([3, 5, 7], np.uint32)
    expected = x.copy()
    for _ in range(3):
        expected = expected * expected[0] ** 4
    np.testing.assert_array_equal(fornax.jit(outer)(x), expected)
