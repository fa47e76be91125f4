"""Functions with rules of their own, written against a package with JAX's names, for expressions
of `expressions.py`."""

from __future__ import annotations

import numpy as np

X = np.array([0.3, -1.2, 2.1], np.float32)
M = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


# --- custom_jvp --------------------------------------------------------------------------------
def scaled_by_rule(jax, nondiff=()):
    """x * y with a rule that doubles tangents."""
    function = jax.custom_jvp(lambda x, y: x * y, nondiff_argnums=nondiff)
    if nondiff:
        function.defjvp(lambda x, primals, tangents: (x * primals[0], 2 * x * tangents[0]))
    else:
        function.defjvp(lambda p, t: (p[0] * p[1], 2 * (t[0] * p[1] + p[0] * t[1])))
    return function


def with_defjvps(jax, *rules):
    """sin(x) * y with one rule per argument, or None."""
    function = jax.custom_jvp(lambda x, y: jax.numpy.sin(x) * y)
    function.defjvps(*rules)
    return function


def symbolic_zeros_jvp(jax):
    """x * y whose rule says which tangents it was given."""
    function = jax.custom_jvp(lambda x, y: x * y)

    def rule(primals, tangents):
        zero = jax.custom_derivatives.SymbolicZero
        known = [0.0 if isinstance(t, zero) else 1.0 for t in tangents]
        x, y = primals
        return x * y, x * known[0] + 10 * y * known[1]

    function.defjvp(rule, symbolic_zeros=True)
    return function


def tree_jvp(jax):
    """A rule over trees of arguments and results."""
    function = jax.custom_jvp(lambda d: {"s": d["a"] + d["b"][0], "p": d["a"] * d["b"][0]})

    def rule(primals, tangents):
        (d,), (t,) = primals, tangents
        out = function(d)
        return out, {"s": t["a"], "p": 3 * t["b"][0]}

    function.defjvp(rule)
    return function


def wrong_jvp(jax, what):
    """Rules that give what does not fit."""
    function = jax.custom_jvp(lambda x: x * 2)
    rules = {
        "number": lambda p, t: p[0],
        "structure": lambda p, t: (p[0] * 2, (t[0], t[0])),
        "shape": lambda p, t: (p[0] * 2, jax.numpy.ones((5,))),
        "dtype": lambda p, t: (p[0] * 2, jax.numpy.asarray(1, jax.numpy.int32)),
        "primal": lambda p, t: (jax.numpy.ones((7,)), t[0]),
    }
    function.defjvp(rules[what])
    return function


# --- custom_vjp --------------------------------------------------------------------------------
def scaled_backwards(jax, nondiff=(), **options):
    """x * y with a rule that triples cotangents."""
    function = jax.custom_vjp(lambda x, y: x * y, nondiff_argnums=nondiff)
    if nondiff:
        function.defvjp(lambda x, y: (x * y, y), lambda x, res, ct: (3 * x * ct,), **options)
    else:
        function.defvjp(
            lambda x, y: (x * y, (x, y)), lambda r, ct: (3 * r[1] * ct, 3 * r[0] * ct), **options
        )
    return function


def symbolic_zeros_vjp(jax):
    """x * y whose rules say what is perturbed and whether the cotangent is zero."""
    function = jax.custom_vjp(lambda x, y: (x * y, x + y))

    def forward(x, y):
        flags = (1.0 if x.perturbed else 0.0, 1.0 if y.perturbed else 0.0)
        return (x.value * y.value, x.value + y.value), flags

    def backward(flags, cotangents):
        zero = jax.custom_derivatives.SymbolicZero
        known = [0.0 if isinstance(c, zero) else 1.0 for c in cotangents]
        total = known[0] + 10 * known[1]
        return total + 100 * flags[0], total + 100 * flags[1]

    function.defvjp(forward, backward, symbolic_zeros=True)
    return function


def wrong_vjp(jax, what):
    """Rules that give what does not fit."""
    function = jax.custom_vjp(lambda x: x * 2)
    forward = {"forward": lambda x: x * 2}.get(what, lambda x: (x * 2, x))
    backward = {
        "count": lambda r, ct: (ct, ct),
        "bare": lambda r, ct: ct,
        "shape": lambda r, ct: (jax.numpy.ones((5,)),),
        "none": lambda r, ct: (None,),
        "dtype": lambda r, ct: (ct.astype(jax.numpy.int32),),
        "list": lambda r, ct: [ct],
    }.get(what, lambda r, ct: (ct,))
    function.defvjp(forward, backward)
    return function


def gradient_rule(jax):
    """custom_gradient: the rule comes with the result."""

    @jax.custom_gradient
    def function(x):
        return x**2, lambda ct: (ct * 7 * x,)

    return function


# --- checkpoint --------------------------------------------------------------------------------
def named(jax, policy=None, **options):
    """A checkpointed function with named values and a product of matrices."""
    name = jax.ad_checkpoint.checkpoint_name

    def function(x):
        y = name(jax.numpy.sin(x), "y")
        z = name(y @ x.T, "z")
        return (jax.numpy.cos(z) ** 2).sum()

    return jax.checkpoint(function, policy=policy, **options)


# --- loops -------------------------------------------------------------------------------------
def until_large(jax, x, by, limit):
    """Multiply x by `by` while its sum is below the limit; with the number of steps."""
    return jax.lax.while_loop(
        lambda c: jax.numpy.sum(c[0]) < limit, lambda c: (c[0] * by, c[1] + 1), (x, 0)
    )


def recurrence(jax, x, ws, **options):
    """A scan whose carry and results depend on everything."""

    def step(carry, w):
        carry = jax.numpy.sin(carry) * w + x
        return carry, (carry * 2, w)

    return jax.lax.scan(step, x, ws, **options)


def branch(jax, p, x, y):
    """A cond whose branches use different operands."""
    return jax.lax.cond(p, lambda a, b: a * 2 + x, lambda a, b: jax.numpy.sin(b), x, y)


# --- contexts ----------------------------------------------------------------------------------
def compile_time(jax, x):
    """A value computed while tracing, that Python may look at."""
    with jax.ensure_compile_time_eval():
        y = jax.numpy.sin(x) + 1
        return 1.0 if y > 0 else 2.0


def scoped(jax, x):
    """A value computed in named scopes."""
    with jax.named_scope("outer"), jax.named_scope("inner"):
        return jax.numpy.sin(x)
