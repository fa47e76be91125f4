"""Operations that hold programs: transformations, custom rules, control flow.

A body is a list of instructions on its own operands and, where closures are allowed, on values
around it.
"""

from __future__ import annotations

from collections.abc import Callable

import fornax as fx
import fornax.numpy as fnp
from fornax import lax
from tests.fuzz_operations import indices, operation
from tests.fuzz_values import V, convert, like, real, tame, value

NESTED: set[str] = set()
#: operations that may run their bodies backwards, where loops of unknown length cannot be
BACKWARDS = frozenset(("grad", "derivative", "checkpoint", "custom"))
#: and forwards, where `custom_vjp` cannot be
FORWARDS = frozenset(("derivative", "custom"))


def nested(weight: int = 2) -> Callable:
    """Enter an operation that takes a body: `f(x, y, choice, program, body)`, where `body` makes
    a value of values."""

    def enter(function):
        def apply(x, y, choice, program):
            body = program.body(function.__name__, max(1, *x.shape, 1))
            return function(x, y, choice, program, body)

        apply.__name__, apply.__module__ = function.__name__, function.__module__
        NESTED.add(function.__name__.strip("_"))
        return operation(weight)(apply)

    return enter


class Watched:
    """A function of arrays made of one of values; `last` is the value it gave last, for what is
    known of its numbers."""

    def __init__(self, function: Callable[..., V], *templates: V):
        self.function = function
        self.templates = templates
        self.last: V | None = None

    def __call__(self, *arrays):
        values = [t.with_(a) for t, a in zip(self.templates, arrays, strict=True)]
        self.last = self.function(*values)
        return self.last.array


def scalar(body: Callable[..., V], *templates: V) -> Callable:
    """A function with a real result of one number."""

    def loss(*arrays):
        out = body(*(t.with_(a) for t, a in zip(templates, arrays, strict=True)))
        return fnp.sum(tame(out).array)

    return loss


@nested(3)
def jit(x, y, choice, program, body):
    watched = Watched(body, x, y)
    array = fx.jit(watched)(x.array, y.array)
    return watched.last.with_(array)


@nested(4)
def vmap(x, y, choice, program, body):
    if not x.ndim or 0 in x.shape:
        return x
    axis = choice % x.ndim
    mapped = y.ndim > 0 and y.shape[0] == x.shape[axis]
    watched = Watched(body, x, y)
    array = fx.vmap(watched, in_axes=(axis, 0 if mapped else None))(x.array, y.array)
    return watched.last.with_(array)


@nested(5)
def grad(x, y, choice, program, body):
    x, y = real(x), real(y)
    loss = scalar(body, x, y)
    if choice % 4 == 0:
        return tame(y.with_(fx.grad(loss, argnums=1)(x.array, y.array)))
    if choice % 4 == 1:
        outer = scalar(lambda v: x.with_(fx.grad(loss)(v.array, y.array)), x)
        return tame(x.with_(fx.grad(outer)(x.array)))
    if choice % 4 == 2:
        return tame(x.with_(fx.value_and_grad(loss)(x.array, y.array)[1]))
    return tame(x.with_(fx.grad(loss)(x.array, y.array)))


@nested(3)
def derivative(x, y, choice, program, body):
    """Forward derivatives, linearisations, their transposes, Jacobians of small functions."""
    x = real(x)
    tangent = like(y, x).array
    watched = Watched(lambda v: real(body(v, v)), x)
    if choice % 5 == 0 and x.size <= 6:
        if choice // 5 % 2:
            out = fx.jacrev(watched)(x.array)
        else:
            out = fx.jacfwd(watched)(x.array)
            x = watched.last
    elif choice % 5 == 1:
        primal, pull = fx.vjp(watched, x.array)
        (out,) = pull(fnp.ones_like(primal))
    elif choice % 5 == 2:
        _, push = fx.linearize(watched, x.array)
        out = push(tangent)
        x = watched.last
    elif choice % 5 == 3:
        out, _ = fx.jvp(watched, (x.array,), (tangent,))
        return watched.last.with_(out)
    else:
        _, out = fx.jvp(watched, (x.array,), (tangent,))
        return tame(watched.last.with_(out))
    return tame(x.with_(out))


@nested(3)
def checkpoint(x, y, choice, program, body):
    x = real(x)
    watched = Watched(lambda v: real(body(v, v)), x)
    kept = fx.checkpoint(watched)
    if choice % 2:

        def loss(v):
            out = kept(v)
            return fnp.sum(tame(watched.last.with_(out)).array)

        return tame(x.with_(fx.grad(loss)(x.array)))
    out = kept(x.array)
    return watched.last.with_(out)


@nested(3)
def custom(x, y, choice, program, body):
    """Custom rules: twice the derivative that the body has."""
    x = real(x)
    watched = Watched(lambda v: tame(body(v, v)), x)

    if choice % 2 or program.forwards:
        f = fx.custom_jvp(watched)

        @f.defjvp
        def rule(primals, tangents):
            out, tangent = fx.jvp(watched, primals, tangents)
            return out, tangent * 2
    else:
        f = fx.custom_vjp(watched)
        f.defvjp(lambda v: (watched(v), v), lambda v, g: (fx.vjp(watched, v)[1](g)[0] * 2,))
    if choice % 3 == 0:
        out = f(x.array)
        return watched.last.with_(out)
    squared = choice % 3 == 1
    loss = scalar(lambda v: v.with_(f(v.array) * (f(v.array) if squared else 1)), x)
    return tame(x.with_(fx.grad(loss)(x.array)))


# --- control flow ---
def carried(out: V, start: V) -> V:
    """What a body gave as the next value of a carry, of any number of steps.

    Where `vmap` maps the start it maps this, too: a compiled loop has one type for all its steps,
    and calls of Python by what comes after it would be counted otherwise.
    """
    found = like(out if start.whole else tame(out), start)
    return found.with_(fnp.where(start.array != start.array, found.array, found.array))


def unknown(v: V) -> V:
    """A carry: nothing is known of its numbers but that whole ones are exact."""
    return v if v.whole else V(v.array, v.named, None, max(v.high, 1))


@nested(4)
def scan(x, y, choice, program, body):
    if not x.ndim or not 0 < x.shape[0] <= 40:
        return x
    row = x.shape[1:]
    start = convert(y, x.named if choice % 2 else "float32")
    start = unknown(like(start, V(fnp.zeros(row, start.array.dtype), start.named, 0, 1)))
    seen = []

    def step(carry, part):
        out = body(start.with_(carry), x.with_(part))
        seen.append(out)
        return carried(out, start).array, out.array

    options = {"reverse": choice % 3 == 0, "unroll": (1, 1, 2)[choice % 3]}
    last, stacked = lax.scan(step, start.array, x.array, **options)
    return start.with_(last) if choice % 4 == 0 else seen[-1].with_(stacked)


@nested(3)
def loop(x, y, choice, program, body):
    """Loops of few steps: counted, or as long as values say."""
    if x.size == 0:
        return x
    x = unknown(x)

    def step(value_):
        return carried(body(x.with_(value_), y), x).array

    if choice % 3 == 0 or program.backwards:
        return x.with_(lax.fori_loop(0, choice % 5, lambda k, v: step(v), x.array))
    limit = indices(y, 1, 4, choice, program, False).array[0]
    if choice % 3 == 1:
        return x.with_(lax.fori_loop(0, limit, lambda k, v: step(v), x.array))
    state = (fnp.zeros((), "int32"), x.array)
    return x.with_(
        lax.while_loop(lambda s: s[0] < limit, lambda s: (s[0] + 1, step(s[1])), state)[1]
    )


@nested(4)
def branch(x, y, choice, program, body):
    if x.size == 0:
        return x
    which = indices(y, 1, 3, choice, program, False).array[0]
    seen = [x]

    def first(a, b):
        out = like(body(x.with_(a), y.with_(b)), x)
        seen.append(out)
        return out.array

    def second(a, b):
        out = like(y.with_(b), x)
        seen.append(out)
        return out.array

    # without jit only one branch runs, but what is known must not depend on which one
    fx.eval_shape(lambda a, b: (first(a, b), second(a, b)), x.array, y.array)
    known = tuple(seen)
    if choice % 2:
        out = lax.cond(which > 0, first, second, x.array, y.array)
    else:
        out = lax.switch(which, [first, lambda a, b: a, second], x.array, y.array)
    lows = [v.low for v in known]
    low = None if None in lows else min(lows)
    return V(out, x.named, low, max(v.high for v in known))


@nested(2)
def mapped(x, y, choice, program, body):
    if not x.ndim or 0 in x.shape or x.shape[0] > 40:
        return x
    if choice % 4 == 0:
        a = x if x.kind != "b" else convert(x, "int32")
        a = unknown(a) if choice % 8 else a
        kind = fnp.maximum if choice % 8 == 0 and a.kind != "c" else fnp.add
        more = 10 if kind is fnp.add else 0
        out = lax.associative_scan(kind, a.array, reverse=choice % 3 == 0)
        return value(out, a.named, a.low, a.high + more)
    watched = Watched(lambda row: body(row, row), x)
    out = lax.map(watched, x.array)
    return watched.last.with_(out)
