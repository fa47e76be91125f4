"""Loops whose bodies are made of several kernels: updates, branches, loops, reductions."""

from __future__ import annotations

import fornax as fx
import fornax.numpy as fnp
from fornax import lax
from fornax.tree_util import tree_leaves
from tests.fuzz_operations import operation
from tests.fuzz_values import V, convert, steady, tame


def loop(flat, other, choice: int):
    """All that a loop gives, in one row."""
    n, steps = flat.size, 1 + choice % 5

    def fill(i, s):
        return s.at[i % n].set(s[(i - 1) % n] * 0.5 + other), None

    def exchange(i, s):
        a, b = s
        return (b * 0.5, a.at[i % n].add(b[0])), a[0]

    def branches(i, s):
        return lax.cond(i % 3 == 1, lambda v: v.at[0].set(v[-1] * 0.5), lambda v: v * 0.9, s), s[0]

    def scalars(i, s):
        k, total = s
        total = lax.cond(i % 2 == 0, lambda t: t - 0.3, lambda t: t * 0.5, total)
        return ((k + 2) % n, total + flat[k]), (k, total)

    def nested(i, s):
        def inner(c, r):
            return c * 0.5 + r, c

        last, stacked = lax.scan(inner, s[0], s, reverse=bool(choice % 2))
        return s.at[i % n].set(last) * 0.9, stacked

    def product(i, s):
        return fnp.tanh(fnp.outer(s, s) @ s * 0.1), s[0]

    def slide(i, s):
        window = lax.dynamic_slice(s, (i,), (1 + n // 2,))
        return lax.dynamic_update_slice(s, window * 0.5, (n - i,)), window

    zero = fnp.zeros((), "int32")
    bodies = [
        (fill, flat), (exchange, (flat, flat[::-1])), (branches, flat), (scalars, (zero, flat[0])),
        (nested, flat), (product, flat), (slide, flat),
    ]  # fmt: skip
    body, start = bodies[(choice // 5) % len(bodies)]
    if choice % 4 == 3:

        def going(s):
            return (s[0] < steps) & (fnp.sum(fnp.asarray(tree_leaves(s[1])[-1])) < 1e30)

        out = lax.while_loop(going, lambda s: (s[0] + 1, body(s[0], s[1])[0]), (zero, start))
    else:
        numbers = fnp.arange(steps, dtype="int32")
        out = lax.scan(lambda s, i: body(i, s), start, numbers, reverse=choice % 4 == 2)
    rows = [fnp.reshape(r, (-1,)).astype(flat.dtype) for r in tree_leaves(out)]
    return fnp.concatenate(rows)


@operation(4)
def loops(x, y, choice, program):
    if not x.size:
        return x
    x = convert(x, "float32")
    flat = steady(x).reshape(-1)[:40]
    other = fnp.sum(tame(y).array).astype(flat.dtype) * 0.01
    if program.backwards:
        choice -= choice % 4
    if choice % 3 == 0:
        choice -= choice % 4
        gradient = fx.grad(lambda v: fnp.sum(loop(v, other, choice) ** 2))(flat)
        return tame(V(gradient, "float32", None, 3))
    return tame(V(loop(flat, other, choice), "float32", None, 3))
