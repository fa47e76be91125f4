"""Plans: the executor of plans in Python, machine code and evaluation without either agree."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax, settings
from fornax.backends import reference
from fornax.backends.llvm.target import find
from fornax.compiler.loop.show import show
from fornax.ir.basis import broadcast_in_dim, reduce_sum
from fornax.ir.evaluate import evaluate
from fornax.ir.primitive import REGISTRY
from fornax.ir.types import ArrayType, typeof
from fornax.primitives import cond, while_  # noqa: F401  (fill the registry)
from fornax.runtime.compile import executable, plan
from fornax.transforms.stage import stage


def program(*types, body):
    staged = stage(body, types)
    assert not staged.consts
    return staged


def f32(*shape):
    return ArrayType(shape, "float32")


def scan(body, consts, carry, length, *operands, reverse=False):
    types = [typeof(x) for x in operands]
    types = [t if i < consts + carry else t.update(shape=t.shape[1:]) for i, t in enumerate(types)]
    return REGISTRY["scan"].bind(
        *operands, jaxpr=program(*types, body=body), length=length, num_consts=consts,
        num_carry=carry, reverse=reverse, unroll=1,
    )  # fmt: skip


def while_loop(test, body, x):
    return REGISTRY["while"].bind(
        x, cond_jaxpr=program(typeof(x), body=test), body_jaxpr=program(typeof(x), body=body),
        cond_nconsts=0, body_nconsts=0,
    )  # fmt: skip


def branches(index, x):
    first = program(typeof(x), body=lambda x: [lax.sin(x), x])
    second = program(typeof(x), body=lambda x: [lax.mul(x, x), lax.neg(x)])
    return REGISTRY["cond"].bind(index, x, branches=(first, second))


random = np.random.default_rng(0)
square = random.standard_normal((9, 9)).astype(np.float32) * 0.3
rows = random.standard_normal((4, 8, 9)).astype(np.float32)
vector = random.standard_normal(100).astype(np.float32)
series = random.standard_normal((5, 100)).astype(np.float32)
table = random.standard_normal((6, 7)).astype(np.float32)


def point(c, x):
    return [lax.sin(lax.add(c, x)), lax.mul(c, x)]


def softmax(x):
    e = lax.exp(lax.sub(x, broadcast_in_dim(lax.reduce_max(x, (1,)), x.shape, (0,))))
    return [lax.div(e, broadcast_in_dim(reduce_sum(e, (1,)), x.shape, (0,)))]


def exchange(a, b, xs):
    return scan(lambda a, b, x: [b, lax.add(a, lax.dot(x, x)), a], 0, 2, 3, a, b, xs)


CASES = {
    "scalar scan": (lambda xs: scan(point, 0, 1, 5, np.float32(1), xs), series[:, 0]),
    "vector scan": (lambda c, xs: scan(point, 0, 1, 5, c, xs), vector, series),
    "reverse scan": (lambda c, xs: scan(point, 0, 1, 5, c, xs, reverse=True), vector, series),
    "matrix scan": (
        lambda w, c, xs: scan(
            lambda w, c, x: [lax.tanh(lax.add(lax.dot(c, w), x)), c], 1, 1, 4, w, c, xs
        ),
        square, rows[0], rows,
    ),
    "exchanged carries": (exchange, square, square + 1, np.stack([square] * 3)),
    "empty scan": (lambda c, xs: scan(point, 0, 1, 0, c, xs), vector, series[:0]),
    "while": (
        lambda x: while_loop(
            lambda x: [lax.lt(x, np.float32(100))], lambda x: [lax.mul(x, np.float32(2))], x
        ),
        np.float32(1.5),
    ),
    "large while": (
        lambda x: while_loop(
            lambda x: [lax.lt(reduce_sum(x, (0, 1)), np.float32(1000))],
            lambda x: [lax.add(lax.dot(x, x), np.float32(2))], x,
        ),
        np.abs(square),
    ),
    "cond 0": (branches, np.int32(0), square),
    "cond 1": (branches, np.int32(1), square),
    "concatenate": (lambda x: [lax.concatenate([x, lax.sin(x)], 1)], table),
    "update of a temporary": (
        lambda x, u: [lax.dynamic_update_slice(lax.sin(x), u, (np.int32(1), np.int32(2)))],
        table, table[:2, :3],
    ),
    "update of an input": (
        lambda x, u: [lax.dynamic_update_slice(x, u, (np.int32(1), np.int32(2))), lax.sin(x)],
        table, table[:2, :3],
    ),
    "pad": (lambda x: [lax.pad(x, np.float32(0), ((1, 2, 0), (0, 1, 1)))], table),
    "argmax and cumsum": (lambda x: [lax.argmax(x, 1, np.int32), lax.cumsum(x, 1)], table),
    "softmax": (softmax, table),
    "product with epilogue": (lambda x: [lax.tanh(lax.dot(x, x)), lax.dot(x, x)], square),
    "forwarded outputs": (lambda x: [x, x, lax.sin(x), np.float32(3)], table),
    "no elements": (lambda x: [lax.sin(x), reduce_sum(x, (0,))], table[:0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", ["interpreter", "native", "avx2", "sse2"])
def test_plan(name, target):
    function, *arrays = CASES[name]
    staged = stage(function, [typeof(a) for a in arrays])
    with settings.override(disable_jit=True):
        expected = evaluate(staged, *arrays)
    if target == "interpreter":
        _, description = plan(staged, find("avx2"), 2, reference.compile_kernel)
        results = reference.run(description, arrays)
    else:
        with settings.override(target=target):
            results = executable(staged).call(arrays)
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=3e-5, atol=1e-5)


def test_softmax_is_one_kernel():
    staged = stage(softmax, [f32(6, 7)])
    _, description = plan(staged, find("avx2"), 2, reference.compile_kernel)
    assert [step[0] for step in description["steps"]] == ["kernel"]
    assert description["arena_bytes"] == 0


def test_donated_memory_is_taken_over():
    step = fornax.jit(lambda p, g: p - 0.5 * g, donate_argnums=0)
    g = fornax.numpy.ones((64,))
    step(fornax.numpy.full((64,), 2.0), g)  # compiles
    p = fornax.numpy.full((64,), 2.0)
    where = p.unsafe_buffer_pointer()
    result = step(p, g)
    assert result.unsafe_buffer_pointer() == where
    assert p.is_deleted()
    np.testing.assert_array_equal(np.asarray(result), 1.5)


def test_donation_never_writes_to_memory_of_the_user():
    @fornax.jit
    def inner(x):
        return x + 1

    step = fornax.jit(lambda p: (lax.sin(inner(p) * 2).sum(), p * 0 + lax.cos(p)), donate_argnums=0)
    mine = np.linspace(0, 1, 64).astype(np.float32)
    kept = mine.copy()
    total, other = step(mine)
    np.testing.assert_array_equal(mine, kept)
    np.testing.assert_allclose(np.asarray(total), np.sin((kept + 1) * 2).sum(), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(other), np.cos(kept), rtol=1e-5)


def mandelbrot(c, limit=50):
    def iterate(state):
        count, z_re, z_im = state
        return count + 1, z_re * z_re - z_im * z_im + c[0], 2 * z_re * z_im + c[1]

    def inside(state):
        count, z_re, z_im = state
        return (count < limit) & (z_re * z_re + z_im * z_im < 4)

    return lax.while_loop(inside, iterate, (0, 0.0, 0.0))[0]


def test_a_mapped_while_is_a_kernel_in_which_every_point_stops_by_itself():
    grid = np.stack(np.meshgrid(np.linspace(-2, 0.5, 37), np.linspace(-1, 1, 11)), -1)
    points = grid.reshape(-1, 2).astype(np.float32)
    f = fornax.jit(fornax.vmap(mandelbrot))
    _, description = plan(f.trace(points).jaxpr, find("avx2"), 2, reference.compile_kernel)
    assert {step[0] for step in description["steps"]} == {"kernel"}
    expected = []
    for c in points:
        z_re = z_im = np.float32(0)
        count = 0
        while count < 50 and z_re * z_re + z_im * z_im < 4:
            z_re, z_im = z_re * z_re - z_im * z_im + c[0], 2 * z_re * z_im + c[1]
            count += 1
        expected.append(count)
    same = np.asarray(f(points)) == np.array(expected)
    assert same.mean() > 0.99  # rounding (fused multiply-add) decides at the rim


def test_a_sum_read_by_the_epilogue_of_a_product_is_a_kernel_of_its_own():
    @fornax.jit
    def function(x, y, z):
        total = z.sum()
        product = x @ y
        return product, total, product < total, total - product

    x, y, z = (np.arange(n, dtype=np.float32) for n in (5, 5, 11))
    got = function(x, y, z)
    assert [np.asarray(g).item() for g in got] == [30.0, 55.0, True, 25.0]


def test_groups_that_differ_in_numbers_share_a_kernel():
    """Numbers in which equal steps differ are read from memory, others stay in the code."""

    def program(x):
        for k in range(60):
            y = fnp.tanh(x) * (0.5 + 0.01 * k) + fnp.cos(x) * 0.25
            x = x - 0.1 * y + fnp.sum(y) * 1e-3
        return x

    x = np.linspace(-1, 1, 100, dtype=np.float32)
    compiled = fornax.jit(program).lower(x).compile()
    kernels = executable(fornax.make_jaxpr(program)(x)).kernels
    assert len(kernels) > 10 and len({k.name for k in kernels}) <= 6
    with fornax.disable_jit():
        expected = np.asarray(program(fnp.asarray(x)))
    np.testing.assert_allclose(np.asarray(compiled(x)), expected, rtol=1e-3, atol=1e-4)
    text = "".join(show(k.kernel) for k in kernels)
    assert "0.25" in text
