"""Loops whose iterations wait for one another: bounds from their tests, jumps over dear values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax, settings
from fornax._native import reachable
from fornax.backends import reference
from fornax.backends.cpu import find, prepare
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Carry, Expr
from fornax.compiler.loop.meaning import evaluate, numpy_dtype
from fornax.compiler.loop.show import show
from fornax.runtime.compile import executable, plan


def halving(n, steps=60):
    def step(state):
        n, k = state
        return fnp.where(n % 2 == 0, n // 2, (3 * n + 1) % 1_000_003), k + 1

    return lax.while_loop(lambda s: (s[0] >= 0) & (s[1] < steps), step, (n, 0))


def halving_python(n, steps=60):
    k = 0
    while n >= 0 and k < steps:
        wrapped = (3 * n + 1 + 2**31) % 2**32 - 2**31
        n, k = (n // 2 if n % 2 == 0 else wrapped % 1_000_003), k + 1
    return n, k


def divisor(x, y):
    """Euclid's algorithm: the test keeps zero from being divided by."""
    return lax.while_loop(lambda s: s[1] > 0, lambda s: (s[1], s[0] % s[1]), (x, y))[0]


def decayed(x):
    """A dear value in a few of many steps, and one in the others."""
    step = lambda i, c: fnp.where(i % 5 == 0, fnp.exp(-c * c), c * 0.5)  # noqa: E731
    return lax.fori_loop(0, 33, step, x)


def texts(function, *arguments):
    """The kernels of a function after all passes."""
    jaxpr = fornax.jit(function).trace(*arguments).jaxpr
    _, description = plan(jaxpr, find("avx2"), 1, reference.compile_kernel)
    steps = (s for s in description["steps"] if s[0] == "kernel")
    return "\n".join(show(prepare(s[1].kernel, find("avx2"))) for s in steps)


@pytest.mark.parametrize("target", ["native", "avx2", "sse2"])
@pytest.mark.parametrize("n", [0, 1, 97, -3, 1_000_002, 2**31 - 1])
def test_integers(n, target):
    jaxpr = fornax.jit(halving).trace(np.int32(n)).jaxpr
    with settings.override(target=target):
        results = executable(jaxpr).call([np.int32(n)])
    assert tuple(map(int, results)) == halving_python(n)


def test_what_the_test_says_holds_in_the_body():
    text = texts(halving, np.int32(1))
    assert "div(t0, 2:i32)" in text and "rem(t0, 2:i32)" in text
    assert "-1" not in text, "a quotient that is never negative is repaired"
    assert "rarely" in text


@pytest.mark.parametrize("target", ["interpreter", "native", "sse2"])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_remainders_of_what_wraps_to_negative_numbers(dtype, target):
    kind, size = np.dtype(dtype).type, 97
    step = lambda i, x: (x * kind(29) + kind(45) - kind(60) * (x % kind(2))) % kind(size)  # noqa: E731
    traced = fornax.jit(lambda x: lax.fori_loop(0, 50, step, x)).trace(kind(-7))
    with np.errstate(over="ignore"):
        expected = kind(-7)
        for i in range(50):
            expected = step(i, expected)
    if target == "interpreter":
        _, description = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
        (result,) = reference.run(description, [kind(-7)])
    else:
        with settings.override(target=target):
            (result,) = executable(traced.jaxpr).call([kind(-7)])
    assert int(result) == int(expected)
    assert "cast u" in texts(lambda x: lax.fori_loop(0, 50, step, x), kind(-7))


def test_a_test_bounds_no_lanes():
    """Lanes whose own loop has ended compute on, with any operands."""
    x = np.arange(1, 41, dtype=np.int32) * 6
    y = np.arange(40, dtype=np.int32)[::-1].copy()
    found = fornax.jit(fornax.vmap(divisor))(x, y)
    np.testing.assert_array_equal(found, np.gcd(x, y))
    assert int(fornax.jit(divisor)(np.int32(84), np.int32(36))) == 12


@pytest.mark.parametrize("target", ["interpreter", "native", "sse2"])
def test_dear_values_are_jumped_over(target):
    x = np.float32(1.5)
    expected = x
    for i in range(33):
        expected = np.exp(-expected * expected) if i % 5 == 0 else expected * np.float32(0.5)
    traced = fornax.jit(decayed).trace(x)
    if target == "interpreter":
        _, description = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
        (result,) = reference.run(description, [x])
    else:
        with settings.override(target=target):
            (result,) = executable(traced.jaxpr).call([x])
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert "rarely" in texts(decayed, x)


def test_cheap_values_are_selected():
    step = lambda i, c: fnp.where(i % 5 == 0, c * 2.0, c * 0.5)  # noqa: E731
    assert "rarely" not in texts(lambda x: lax.fori_loop(0, 33, step, x), np.float32(1))


LOW, HIGH = -3, 4


def conditions(b: Builder, x: Expr):
    """Conditions on x of which one often says something about the other."""
    constants = [b.const(k, "int32") for k in (LOW, -1, 0, 1, HIGH)]
    for name, c in itertools.product(("eq", "ne", "lt", "le", "gt", "ge"), constants):
        yield b.op(name, x, c)
        yield b.op(name, b.op("min", x, c), b.const(1, "int32"))
        yield b.op(name, b.op("max", x, c), c)
        yield b.op(name, b.op("rem", x, b.const(2, "int32")), c)


def test_conditions_on_one_number():
    b = Builder()
    carry = Carry("int32")
    limits = tuple(b.const(k, "int32") for k in (LOW, HIGH))
    x = b.node("carry", "int32", carry, limits)
    assert (x.low, x.high) == (LOW, HIGH)
    every = list(conditions(b, x))
    for one, other in itertools.product(every[::3], every):
        both = b.op("and", one, other)
        for value in range(LOW, HIGH + 1):
            assert at(both, x, value) == (at(one, x, value) and at(other, x, value))


def at(root: Expr, x: Expr, value: int):
    """What an expression is where x has a value; nothing is folded."""
    known = {}
    for node in reachable((root,)):
        if node is x:
            known[node] = np.int32(value)
        elif node.kind == "const":
            known[node] = numpy_dtype(node.dtype).type(node.data)
        else:
            known[node] = evaluate(node.data, tuple(known[a] for a in node.args), node.dtype)
    return bool(known[root])


def test_conditions_are_decided_for_the_values_they_are_made_of():
    b = Builder()
    x = b.node("carry", "int32", Carry("int32"), (b.const(0, "int32"), b.const(9, "int32")))
    least, odd = b.lt(x, b.const(1, "int32")), b.rem(x, b.const(2, "int32"))
    assert b.and_(least, b.ne(odd, b.const(0, "int32"))).data is False
