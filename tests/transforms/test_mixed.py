"""Derivative rules that call programs which compute values beside tangents, differentiated."""

from __future__ import annotations

import numpy as np
import pytest

import fornax as fx
import fornax.numpy as fnp
from fornax import lax


def loop(v):
    """The carry is read by the rows and depends on them."""
    return lax.scan(lambda c, row: (c + row[0] * c, row * fnp.sin(c)), 0.5, v)[1]


def loop_in_loop(v):
    def outer(carry, row):
        carry, rows = lax.scan(lambda c, x: (c * 0.5 + x, fnp.sin(c) * x), carry, row)
        return carry, rows * carry

    return lax.scan(outer, 0.25, v)[1]


FUNCTIONS = {
    "jit": fx.jit(lambda v: fnp.sin(v) * v),
    "cond": lambda v: lax.cond(v.sum() > 0, lambda u: u * u * u, fnp.sin, v),
    "scan": loop,
    "scan in scan": loop_in_loop,
    "counted loop": lambda v: lax.fori_loop(0, 3, lambda k, u: u * fnp.sin(u), v),
    "checkpoint": fx.checkpoint(lambda v: fnp.sin(v) * v),
    "scan in jit": fx.jit(loop),
    "cond in scan": lambda v: lax.scan(
        lambda c, row: (c + 1, lax.cond(c > 1, fnp.sin, lambda u: u * u, row)), 0, v
    )[1],
    "jit in vmap": fx.vmap(fx.jit(lambda row: fnp.sin(row) * fnp.sum(row))),
}


def with_rule(function):
    """The same function, with its own derivative as a rule."""
    custom = fx.custom_jvp(function)

    @custom.defjvp
    def rule(primals, tangents):
        return fx.jvp(function, primals, tangents)

    return custom


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_rule_that_calls_jvp(name):
    function = FUNCTIONS[name]
    x = np.linspace(-1, 1.5, 12, dtype=np.float32).reshape(3, 4)

    def loss(f):
        return lambda v: fnp.sum(f(v) ** 2)

    ruled = with_rule(function)
    for transform in (
        lambda f: fx.grad(loss(f)),
        lambda f: fx.jit(fx.grad(loss(f))),
        lambda f: fx.grad(lambda v: fnp.sum(fx.grad(loss(f))(v) ** 2)),
        lambda f: fx.vmap(fx.grad(loss(lambda v: f(v[None] * fnp.ones((3, 1)))))),
        lambda f: lambda v: fx.linearize(loss(f), v)[1](v),
    ):
        expected, found = transform(function)(x), transform(ruled)(x)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_what_is_known_runs_once():
    """The values of a rule are computed where they are known, not with the tangents."""
    ruled = with_rule(loop)
    x = np.ones((3, 4), np.float32)
    values, push = fx.linearize(ruled, x)
    np.testing.assert_allclose(values, loop(x), rtol=1e-6)
    (out,) = fx.make_jaxpr(push)(x).jaxpr.outvars
    assert out.aval.shape == values.shape
