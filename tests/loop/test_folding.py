"""What the builder simplifies has the value of what it replaces."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fornax._native import reachable
from fornax.compiler.loop import affine, meaning
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, Carry, Expr
from fornax.compiler.loop.legalize import contract, contract_exact, from_zero
from fornax.compiler.loop.rewrite import Rewriter

INTEGERS = ("int8", "uint8", "int32", "int64", "uint64")


def at(b: Builder, x: Expr, point: dict[Expr, int]) -> int:
    """The value of an index expression at a point."""
    copy = Rewriter(b, {node: b.const(value, node.dtype) for node, value in point.items()})
    found = copy(x)
    assert found.kind == "const", found
    return found.data


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**20))
def test_index_arithmetic(seed):
    """Random sums, products, divisions and clamps of axes, folded and evaluated."""
    rng = random.Random(seed)
    b = Builder()
    extents = [rng.choice((2, 3, 4, 6, 8)) for _ in range(3)]
    axes = [b.axis(Axis(n, f"i{k}")) for k, n in enumerate(extents)]
    values = [rng.randrange(n) for n in extents]
    pool = list(zip(axes, values, strict=True)) + [(b.index(c), c) for c in (0, 1, 2, 5)]
    for _ in range(12):
        (x, u), (y, v) = rng.choice(pool), rng.choice(pool)
        size = rng.choice((1, 2, 3, 4, 6, 8, 12, 24))
        name = rng.choice(("add", "sub", "mul", "idiv", "imod", "min", "max"))
        if name in ("idiv", "imod"):
            made = b.op(name, x, b.index(size))
            pool.append((made, u // size if name == "idiv" else u % size))
        elif name == "mul":
            pool.append((b.mul(x, b.index(size)), u * size))
        else:
            exact = {"add": u + v, "sub": u - v, "min": min(u, v), "max": max(u, v)}[name]
            pool.append((b.op(name, x, y), exact))
        made, exact = pool[-1]
        assert made.low <= exact <= made.high
        assert at(b, made, dict(zip(axes, values, strict=True))) == exact


SHAPES = [(4, 6), (2, 3, 5), (6, 1, 4), (3, 4, 2, 2), (24,), (30,), (6, 4), (2, 12), (3, 10),
          (8, 6), (12, 4)]  # fmt: skip


@pytest.mark.parametrize(
    "shape, to",
    [(s, t) for s in SHAPES for t in SHAPES if np.prod(s) == np.prod(t) and s != t],
)
def test_index_of_a_reshape_and_back(shape, to):
    b = Builder()
    index = [b.axis(Axis(n, f"i{k}")) for k, n in enumerate(to)]

    def flat(index, shape):
        total = b.index(0)
        for i, n in zip(index, shape, strict=True):
            total = b.add(b.mul(total, b.index(n)), i)
        return total

    def split(position, shape):
        parts = []
        for n in reversed(shape):
            parts.append(b.imod(position, b.index(n)))
            position = b.idiv(position, b.index(n))
        return parts[::-1]

    there = split(flat(index, to), shape)
    assert flat(there, shape) is flat(index, to)
    assert all(x is y for x, y in zip(split(flat(there, shape), to), index, strict=True))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_constants_fold_like_numpy(dtype):
    b = Builder()
    low, high = affine.limits(dtype)
    numbers = [low, low + 1, 0, 1, 2, 7, high - 1, high] + ([-1, -7] if low else [])
    for name in ("add", "sub", "mul", "div", "rem", "min", "max", "and", "xor", "shl",
                 "shr_logical", "shr_arithmetic", "lt", "eq"):  # fmt: skip
        for x in numbers:
            for y in numbers:
                found = b.op(name, b.const(x, dtype), b.const(y, dtype))
                args = tuple(np.asarray(v, dtype) for v in (x, y))
                expected = meaning.evaluate(name, args, found.dtype)
                assert found.kind == "const" and found.data == expected, (name, x, y)


def test_neutral_elements():
    b = Builder()
    x = b.op("cast", b.axis(Axis(5)), dtype="float32")
    one, zero, minus = b.const(1, "float32"), b.const(0, "float32"), b.const(-0.0, "float32")
    assert b.mul(x, one) is x and b.mul(one, x) is x and b.div(x, one) is x
    assert b.add(x, minus) is x and b.sub(x, zero) is x
    assert b.add(x, zero) is not x  # -0 + 0 is 0
    assert b.neg(b.neg(x)) is x
    assert b.div(x, b.const(4, "float32")) is b.mul(x, b.const(0.25, "float32"))
    assert b.select(b.const(True, "bool"), x, zero) is x
    assert b.const(0.0, "float32") is not b.const(-0.0, "float32")


def test_casts_that_lose_nothing_disappear():
    b = Builder()
    axis = b.axis(Axis(500))
    i = b.op("cast", axis, dtype="int32")
    assert b.cast(i, "int64") is axis
    x = b.op("cast", i, dtype="float32")
    assert b.cast(b.cast(x, "float64"), "float32") is x
    narrow = b.cast(x, "bfloat16")
    assert b.cast(narrow, "bfloat16") is narrow
    y = b.cast(b.cast(i, "int8"), "int32")
    assert y is not i  # wraps


def test_index_arrays_made_by_arithmetic_are_seen_through():
    b = Builder()
    axis = b.axis(Axis(100))
    i = b.cast(axis, "int32")
    position = b.add(b.mul(i, b.const(2, "int32")), b.const(-3, "int32"))
    clamped = b.clamp_index(position, 0, 99)
    assert clamped is b.clamp_index(b.sub(b.mul(axis, b.index(2)), b.index(3)), 0, 99)
    small = b.cast(axis, "int8")
    wrapping = b.cast(b.add(small, b.const(100, "int8")), "int64")
    assert wrapping.kind == "op" and wrapping.data == "cast"


def test_ranges_decide_comparisons_and_clamps():
    b = Builder()
    i = b.axis(Axis(10))
    assert b.lt(i, b.index(10)).data is True
    assert b.ge(i, b.index(10)).data is False
    assert b.clamp_index(i, 0, 9) is i
    assert b.within(b.sub(i, b.index(1)), -1, 9).data is True
    assert b.lt(i, b.index(9)).kind == "op"


@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne"])
@pytest.mark.parametrize("end", [-128, -5, 0, 127])
def test_selections_bound_what_they_test(name, end):
    b = Builder()
    x, other = b.carry(Carry("int8")), b.const(3, "int8")
    test = b.op(name, x, b.const(end, "int8"))
    for then, otherwise in ((x, other), (other, x)):
        chosen = b.select(test, then, otherwise)
        values = [at(b, chosen, {x: value}) for value in range(-128, 128)]
        assert chosen.low <= min(values) and max(values) <= chosen.high
        if name not in ("eq", "ne"):
            assert (chosen.low, chosen.high) == (min(values), max(values))


def test_comparisons_with_infinity_ask_for_nan_alone():
    b = Builder()
    x, infinity = b.carry(Carry("float32", "x")), b.const(np.inf, "float32")
    least, false = b.neg(infinity), b.const(False, "bool")
    assert b.lt(x, least) is b.gt(least, x) is b.lt(infinity, x) is b.gt(x, infinity) is false
    number = b.eq(x, x)
    assert b.le(least, x) is b.ge(x, least) is b.le(x, infinity) is b.ge(infinity, x) is number
    assert b.and_(number, b.ne(x, x)) is b.and_(b.ne(x, x), number) is false
    for left, right in ((x, infinity), (least, x)):
        assert b.lt(left, right).kind == b.eq(left, right).kind == "op"
    assert b.ge(x, infinity).data == "ge" and b.le(x, least).data == "le"


def test_one_comparison_says_whether_a_number_is_an_index():
    b = Builder()
    x = b.carry(Carry("int8"))
    for end in (0, 1, 100, 127):
        both = b.op("ge", x, b.const(0, "int8")), b.op("lt", x, b.const(end, "int8"))
        test = from_zero(b, *both)
        assert test is not None and test.data != "and"
        assert [at(b, test, {x: v}) for v in range(-128, 128)] == [
            0 <= v < end for v in range(-128, 128)
        ]
    assert from_zero(b, *both[::-1]) is None
    assert from_zero(b, both[0], b.op("lt", x, b.const(-3, "int8"))) is None


def test_deep_graphs_do_not_recurse():
    b = Builder()
    x = start = b.op("cast", b.axis(Axis(5)), dtype="float32")
    for k in range(20_000):
        x = b.add(b.mul(x, b.const(0.5, "float32")), b.const(k + 1, "float32"))
    assert len(reachable([x])) > 40_000
    copied = Rewriter(Builder())(x)
    assert copied.number > start.number


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_worst_number_of_two(dtype):
    b = Builder()
    x, worst = b.carry(Carry(dtype, "x")), b.const(float("inf"), dtype)
    assert b.min(x, worst) is b.min(worst, x) is x
    assert b.max(x, b.neg(worst)) is b.max(b.neg(worst), x) is x
    assert b.max(x, worst) is not x and b.min(x, b.neg(worst)) is not x


def test_exact_products_are_part_of_sums_and_differences():
    b = Builder()
    x, y, z = (b.carry(Carry("float32")) for _ in range(3))
    two, half = (b.const(k, "float32") for k in (2.0, -0.5))
    product = b.mul(x, y)
    assert b.add(x, x) is b.mul(x, two)
    assert b.add(product, b.mul(y, x)) is b.mul(product, two)
    assert b.add(b.neg(x), y) is b.sub(y, x)
    assert contract(b, product, z) is b.op("fma", x, y, z)
    assert contract(b, product, b.mul(z, y)) is None  # either could be the exact one
    assert contract(b, b.mul(z, two), product) is b.op("fma", x, y, b.mul(z, two))
    assert contract(b, b.mul(x, two), b.mul(z, half)) is not None
    assert contract_exact(b, z, b.mul(half, x)) is b.op("fma", x, b.const(0.5, "float32"), z)
    assert contract_exact(b, b.mul(x, two), z) is b.op("fma", x, two, b.neg(z))
    assert contract_exact(b, z, product) is None
    assert contract_exact(b, z, b.mul(x, b.const(3.0, "float32"))) is None
