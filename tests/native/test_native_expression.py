"""The expressions of the loop IR as the native core keeps them."""

from __future__ import annotations

import gc
import random
import weakref

import pytest

from fornax import _native

LARGEST = (1 << 63) - 1


class Builder(_native.Nodes):
    """Sums and multiples."""

    def add(self, x, y):
        return _native.sum_of(self, (x, 1), (y, 1))

    def mul(self, x, factor):
        return _native.sum_of(self, (x, factor))


class Axis:
    """A loop variable: what the native core reads of it."""

    def __init__(self, extent):
        self.extent = extent


def test_equal_nodes_are_one():
    b = Builder()
    x = b.node("param", "int64", 0)
    assert b.node("param", "int64", 0) is x and b.node("param", "int64", 1) is not x
    name = "".join(["a", "dd"])  # not the interned text
    assert b.node("op", "float32", name, (x, x)) is b.node("op", "float32", "add", (x, x))
    assert [node.number for node in _native.reachable([b.index(3), x])] == [0, b.count - 1]


def test_floats_are_told_apart_by_their_bits():
    b = Builder()
    zero, minus = (b.node("const", "float32", v) for v in (0.0, -0.0))
    assert zero is not minus and b.node("const", "float64", 0.0) is not zero
    assert b.node("const", "float32", float("nan")) is b.node("const", "float32", float("-nan"))
    assert b.node("const", "float32", 1.0) is not b.node("const", "float32", 1)


def test_many_nodes_stay_one_each():
    b = Builder()
    made = [b.index(k) for k in range(5000)]
    assert b.count == 5000
    assert all(b.index(k) is node and node.data == k for k, node in enumerate(made))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int8", "uint8", "bool"])
def test_bounds_hold_at_the_extremes(dtype):
    b = Builder()
    low, high = {"bool": (0, 1)}.get(dtype) or (
        (-(1 << int(dtype[3:]) - 1), (1 << int(dtype[3:]) - 1) - 1)
        if dtype[0] == "i"
        else (0, (1 << int(dtype[4:])) - 1)
    )
    for value in (low, high):
        node = b.node("const", dtype, value)
        assert (node.low, node.high) == (value, value)
    x = b.node("load", dtype, None)
    assert (x.low, x.high) == (low, high)
    for name in ("add", "sub", "mul", "neg", "abs", "min", "max", "div", "rem", "and"):
        args = (x,) if name in ("neg", "abs") else (x, x)
        node = b.node("op", dtype, name, args)
        assert low <= node.low <= node.high <= high
    with pytest.raises(TypeError, match="no bounds"):
        _ = b.node("load", "float32", None).low


def test_bounds_of_operations_before_they_wrap():
    b = Builder()
    x = b.node("load", "uint64", None)
    large = (1 << 64) - 1
    assert _native.operation_bounds(b.node("op", "uint64", "add", (x, x))) == (0, 2 * large)
    assert _native.operation_bounds(b.node("op", "uint64", "mul", (x, x))) is None
    i = b.axis(Axis(10))
    assert _native.operation_bounds(b.node("op", "int64", "sub", (i, i))) == (-9, 9)
    assert _native.difference(i, b.add(i, b.index(3))) == (-3, -3)
    assert _native.last_value(Axis(0)) == 0 and _native.last_value(Axis(i)) == 8


@pytest.mark.parametrize("seed", range(40))
def test_sums_wrap_like_int64(seed):
    rng = random.Random(seed)
    b = Builder()
    parts = [b.node("load", "int64", k) for k in range(4)]
    values = [rng.choice((0, 1, -1, LARGEST, -LARGEST - 1, rng.randrange(-99, 99))) for _ in parts]
    factors = [1, -1, 2, 7, LARGEST, -LARGEST - 1, -LARGEST]
    total, exact = b.index(0), 0
    for _ in range(10):
        k, factor, more = rng.randrange(4), rng.choice(factors), rng.choice((0, 5, LARGEST))
        total = _native.sum_of(b, (total, 1), (parts[k], factor), constant=more)
        exact += values[k] * factor + more
    terms, constant = _native.linear(total)
    assert [part.number for part, _ in terms] == sorted(part.number for part, _ in terms)
    found = constant + sum(c * values[part.data] for part, c in terms)
    assert (found - exact) % (1 << 64) == 0
    assert _native.is_sum(total) == (len(terms) > 1 or any(c != 1 for _, c in terms) or
                                     (bool(terms) and constant != 0))  # fmt: skip


def test_divisions_are_put_together_again():
    b = Builder()
    i = b.axis(Axis(100))
    whole, rest = _native.quotient(b, i, 7), _native.modulo(b, i, 7)
    together = _native.sum_of(b, (whole, 14), (rest, 2), constant=1)
    assert together is b.add(b.mul(i, 2), b.index(1))
    assert _native.quotient(b, rest, 7) is b.index(0)
    assert _native.quotient(b, i, LARGEST) is b.index(0)


def test_walks_are_in_order_and_stop():
    b = Builder()
    x, y = b.node("load", "float32", 0), b.node("load", "float32", 1)
    s = b.node("op", "float32", "add", (x, y))
    t = b.node("op", "float32", "mul", (s, y))
    assert _native.reachable([t]) == [x, y, s, t]
    assert _native.reachable((n for n in (t,)), {s: 0}.__contains__) == [y, s, t]

    def walks_itself(node):
        _native.reachable([t])
        return False

    assert _native.reachable([t, t], walks_itself) == [x, y, s, t]
    with pytest.raises(ZeroDivisionError):
        _native.reachable([t], lambda node: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _native.reachable(1 / 0 for _ in (1,))


def test_copies_are_made_once_operands_first():
    b, c = Builder(), Builder()
    x = b.node("load", "float32", 0)
    s = b.node("op", "float32", "add", (x, x))
    seen = []

    def rebuild(node, args):
        seen.append((node, args))
        return c.node(node.kind, node.dtype, node.data, args)

    memo = {}
    copy = _native.rewritten(s, memo, rebuild)
    assert copy.args == (memo[x], memo[x]) and [node for node, _ in seen] == [x, s]
    assert _native.rewritten(s, memo, rebuild) is copy and len(seen) == 2
    y = c.node("load", "float32", 1)
    assert _native.rewritten(s, {x: y}, rebuild).args == (y, y)
    with pytest.raises(ZeroDivisionError):
        _native.rewritten(s, {}, lambda node, args: 1 / 0)


def test_deep_graphs_are_walked_and_freed():
    b = Builder()
    x = b.node("load", "float32", 0)
    for _ in range(200_000):
        x = b.node("op", "float32", "sin", (x,))
    assert len(_native.reachable([x])) == 200_001
    del b
    gc.collect()
    assert x.args[0].data == "sin"
    del x  # the last one holds all the others


def test_a_builder_in_a_cycle_is_freed():
    b = Builder()
    axis = Axis(3)
    axis.extent = b.add(b.node("param", "int64", 0), b.index(1))
    b.node("axis", "int64", axis)
    b.itself = b
    gone = weakref.ref(b)
    del b, axis
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "call",
    [
        lambda b, x: b.node("op", "int64", "add", [x, x]),
        lambda b, x: b.node("op", "int64", "add", (x, 1)),
        lambda b, x: b.node("op", 3, "add"),
        lambda b, x: b.node("op", "int64", []),
        lambda b, x: b.index("3"),
        lambda b, x: b.axis(3),
        lambda b, x: _native.sum_of(b, x),
        lambda b, x: _native.sum_of(x, (x, 1)),
        lambda b, x: _native.sum_of(b, (x, 1.5)),
        lambda b, x: _native.sum_of(b, (x, 1), offset=3),
        lambda b, x: _native.quotient(b, x, 0),
        lambda b, x: _native.modulo(b, x, -3),
        lambda b, x: _native.linear(3),
        lambda b, x: _native.difference(x, 3),
        lambda b, x: _native.reachable([3]),
        lambda b, x: _native.reachable(3),
        lambda b, x: _native.rewritten(3, {}, None),
        lambda b, x: _native.Expr(),
    ],
)
def test_what_is_no_expression_is_refused(call):
    b = Builder()
    x = b.node("param", "int64", 0)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        call(b, x)
    assert b.add(x, b.index(1)).args[0] is x
