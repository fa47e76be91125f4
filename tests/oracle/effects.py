"""Functions with rules that have effects, written against a package with JAX's names.

Each callback says a number, what it stands in, and the value that it was given. The expressions of
`effect_expressions.py` give the results of a function and everything that was said.
"""

from __future__ import annotations

import numpy as np

FUNCTION, JVP, FORWARD, BACKWARD, MAPPED, TANGENT = 1, 2, 3, 4, 5, 6
X = np.float32(2.0)
XS = np.array([1.0, 2.0, 3.0], np.float32)


class Log:
    """Callbacks of one kind, in chosen places, and what they said."""

    def __init__(self, jax, kind, places):
        self.jax = jax
        self.kind = kind
        self.places = places
        self.said = []

    def __call__(self, place, x):
        """Say the number of a place and the value, if callbacks are wanted there."""
        if place not in self.places:
            return x
        jax = self.jax

        def say(value):
            self.said.append((place, *np.asarray(value, np.float32).ravel()))
            return np.asarray(value)

        if self.kind == "pure":
            like = jax.ShapeDtypeStruct(jax.numpy.shape(x), np.float32)
            return jax.pure_callback(say, like, x, vmap_method="sequential")
        if self.kind in ("io", "ordered io"):
            like = jax.ShapeDtypeStruct(jax.numpy.shape(x), np.float32)
            ordered = self.kind == "ordered io"
            return jax.experimental.io_callback(say, like, x, ordered=ordered)
        jax.debug.callback(say, x, ordered=self.kind == "ordered debug")
        return x

    def result(self, value):
        """The value, and what was said, in its order if that is one of the program."""
        value = self.jax.block_until_ready(value)
        self.jax.effects_barrier()
        said = self.said if self.kind.startswith("ordered") else sorted(self.said)
        values = [np.asarray(x, np.float32) for x in self.jax.tree.leaves(value)]
        return values, [np.asarray(line, np.float32) for line in said]


# --- functions with rules ----------------------------------------------------------------------
def with_jvp(jax, log):
    """x ** 2 with a rule for tangents."""
    function = jax.custom_jvp(lambda x: log(FUNCTION, x) ** 2)

    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return log(JVP, x) ** 2, 2 * x * log(TANGENT, t)

    function.defjvp(rule)
    return function


def with_jvp_of_itself(jax, log):
    """x ** 2 with a rule for tangents that calls the function."""
    function = jax.custom_jvp(lambda x: log(FUNCTION, x) ** 2)

    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return function(x), 2 * log(JVP, x) * t

    function.defjvp(rule)
    return function


def with_vjp(jax, log):
    """x ** 2 with rules for going backwards."""
    function = jax.custom_vjp(lambda x: log(FUNCTION, x) ** 2)

    def forward(x):
        x = log(FORWARD, x)
        return x**2, x

    function.defvjp(forward, lambda x, ct: (2 * x * log(BACKWARD, ct),))
    return function


def with_vjp_of_itself(jax, log):
    """x ** 2 with rules for going backwards, the first of which calls the function."""
    function = jax.custom_vjp(lambda x: log(FUNCTION, x) ** 2)
    function.defvjp(lambda x: (function(x), x), lambda x, ct: (2 * log(BACKWARD, x) * ct,))
    return function


def with_batching(jax, log):
    """x ** 2 with a rule for vmap."""
    function = jax.custom_batching.custom_vmap(lambda x: log(FUNCTION, x) ** 2)

    @function.def_vmap
    def rule(size, mapped, x):
        return log(MAPPED, x) ** 2, mapped[0]

    return function


def jvp_in_vjp(jax, log):
    """A function with rules for going backwards that calls one with a rule for tangents."""
    inner = with_jvp(jax, log)
    function = jax.custom_vjp(lambda x: inner(x) + log(FUNCTION, x))
    function.defvjp(
        lambda x: jax.vjp(lambda y: inner(y) + log(FORWARD, y), x), lambda pull, ct: pull(ct)
    )
    return function


def vjp_in_jvp(jax, log):
    """A function with a rule for tangents that calls one with rules for going backwards."""
    inner = with_vjp(jax, log)
    function = jax.custom_jvp(lambda x: inner(x) + log(FUNCTION, x))

    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return inner(x) + log(JVP, x), t * jax.grad(inner)(x)

    function.defjvp(rule)
    return function


def derived(jax, log, around=None):
    """A function whose rule derives another function, which is compiled or loops."""
    stop = jax.lax.stop_gradient

    def inner(x):
        return x * log(FUNCTION, stop(x)) + (log(JVP, stop(x)), 0)[1]

    whole = (around or jax.jit)(inner)
    function = jax.custom_jvp(lambda x: whole(x))
    function.defjvp(lambda primals, tangents: jax.jvp(whole, primals, tangents))
    return function


def derived_loop(jax, log):
    """A function whose rule derives a loop."""
    return derived(jax, log, lambda f: scanned(jax, f))


def derived_branch(jax, log):
    """A function whose rule derives a branch."""
    return derived(jax, log, lambda f: branched(jax, f))


def unused(jax, log):
    """A function with a rule for tangents whose callback's result nobody needs."""
    function = jax.custom_jvp(lambda x: (log(FUNCTION, x), x**2)[1])

    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        log(JVP, x)
        log(TANGENT, t)
        return x**2, 2 * x * t

    function.defjvp(rule)
    return function


def unused_backwards(jax, log):
    """A function with rules for going backwards whose callbacks' results nobody needs."""
    function = jax.custom_vjp(lambda x: (log(FUNCTION, x), x**2)[1])

    def forward(x):
        log(FORWARD, x)
        return x**2, x

    def backward(x, ct):
        log(BACKWARD, ct)
        return (2 * x * ct,)

    function.defvjp(forward, backward)
    return function


# --- transformations ---------------------------------------------------------------------------
def summed(jax, f):
    return lambda xs: jax.numpy.sum(jax.vmap(f)(xs))


def twice_pulled(jax, f):
    y, pull = jax.vjp(f, X)
    return y, pull(y), pull(y + 1)


def twice_pushed(jax, f):
    y, push = jax.linearize(f, X)
    return y, push(y), push(y + 1)


def scanned(jax, f):
    return lambda x: jax.lax.scan(lambda c, a: (f(c) * a, f(a)), x, XS / 2)[0]


def looped(jax, f):
    return lambda x: jax.lax.fori_loop(0, 3, lambda i, c: f(c) / 2, x)


def until(jax, f):
    return lambda x: jax.lax.while_loop(lambda c: f(c) < 100, lambda c: c * 2, x)


def branched(jax, f):
    return lambda x: jax.lax.cond(x > 1.5, f, lambda y: 3 * y, x)


def jvp_of(jax, f):
    return lambda x: jax.jvp(f, (x,), (x + 1,))


def unneeded(jax, f):
    """The function beside what is asked for."""
    return lambda x: (f(x), x * 3)[1]


TRANSFORMATIONS = {
    "plain": lambda jax, f: f(X),
    "jit": lambda jax, f: jax.jit(f)(X),
    "unneeded": lambda jax, f: jax.jit(unneeded(jax, f))(X),
    "grad of unneeded": lambda jax, f: jax.grad(unneeded(jax, f))(X),
    "jit grad of unneeded": lambda jax, f: jax.jit(jax.grad(unneeded(jax, f)))(X),
    "grad jit of unneeded": lambda jax, f: jax.grad(jax.jit(unneeded(jax, f)))(X),
    "grad": lambda jax, f: jax.grad(f)(X),
    "value_and_grad": lambda jax, f: jax.value_and_grad(f)(X),
    "jit grad": lambda jax, f: jax.jit(jax.grad(f))(X),
    "grad jit": lambda jax, f: jax.grad(jax.jit(f))(X),
    "jit grad jit": lambda jax, f: jax.jit(jax.grad(jax.jit(f)))(X),
    "jvp": lambda jax, f: jvp_of(jax, f)(X),
    "jit jvp": lambda jax, f: jax.jit(jvp_of(jax, f))(X),
    "jvp jit": lambda jax, f: jvp_of(jax, jax.jit(f))(X),
    "vmap": lambda jax, f: jax.vmap(f)(XS),
    "jit vmap": lambda jax, f: jax.jit(jax.vmap(f))(XS),
    "vmap jit": lambda jax, f: jax.vmap(jax.jit(f))(XS),
    "vmap grad": lambda jax, f: jax.vmap(jax.grad(f))(XS),
    "jit vmap grad jit": lambda jax, f: jax.jit(jax.vmap(jax.grad(jax.jit(f))))(XS),
    "grad vmap": lambda jax, f: jax.grad(summed(jax, f))(XS),
    "jit grad vmap": lambda jax, f: jax.jit(jax.grad(summed(jax, f)))(XS),
    "jvp vmap": lambda jax, f: jvp_of(jax, jax.vmap(f))(XS),
    "vmap jvp": lambda jax, f: jax.vmap(jvp_of(jax, f))(XS),
    "vmap vmap": lambda jax, f: jax.vmap(jax.vmap(f))(XS[None]),
    "vjp": twice_pulled,
    "vjp jit": lambda jax, f: twice_pulled(jax, jax.jit(f)),
    "linearize": twice_pushed,
    "linearize jit": lambda jax, f: twice_pushed(jax, jax.jit(f)),
    "hessian": lambda jax, f: jax.grad(jax.grad(f))(X),
    "jit hessian": lambda jax, f: jax.jit(jax.grad(jax.grad(f)))(X),
    "jacfwd": lambda jax, f: jax.jacfwd(lambda x: f(x) * XS)(X),
    "jacrev": lambda jax, f: jax.jacrev(lambda x: f(x) * XS)(X),
    "scan": lambda jax, f: scanned(jax, f)(X),
    "jit scan": lambda jax, f: jax.jit(scanned(jax, f))(X),
    "grad scan": lambda jax, f: jax.grad(scanned(jax, f))(X),
    "jit grad scan": lambda jax, f: jax.jit(jax.grad(scanned(jax, f)))(X),
    "jvp scan": lambda jax, f: jvp_of(jax, scanned(jax, f))(X),
    "vmap scan": lambda jax, f: jax.vmap(scanned(jax, f))(XS),
    "fori": lambda jax, f: looped(jax, f)(X),
    "jit fori": lambda jax, f: jax.jit(looped(jax, f))(X),
    "grad fori": lambda jax, f: jax.grad(looped(jax, f))(X),
    "while": lambda jax, f: until(jax, f)(X),
    "jit while": lambda jax, f: jax.jit(until(jax, f))(X),
    "jvp while": lambda jax, f: jvp_of(jax, until(jax, f))(X),
    "vmap while": lambda jax, f: jax.vmap(until(jax, f))(XS),
    "cond": lambda jax, f: branched(jax, f)(X),
    "jit cond": lambda jax, f: jax.jit(branched(jax, f))(X),
    "grad cond": lambda jax, f: jax.grad(branched(jax, f))(X),
    "jit grad cond": lambda jax, f: jax.jit(jax.grad(branched(jax, f)))(X),
    "vmap cond": lambda jax, f: jax.vmap(branched(jax, f))(XS),
    "checkpoint": lambda jax, f: jax.checkpoint(f)(X),
    "jit checkpoint": lambda jax, f: jax.jit(jax.checkpoint(f))(X),
    "grad checkpoint": lambda jax, f: jax.grad(jax.checkpoint(f))(X),
    "jit grad checkpoint": lambda jax, f: jax.jit(jax.grad(jax.checkpoint(f)))(X),
    "grad jit checkpoint": lambda jax, f: jax.grad(jax.jit(jax.checkpoint(f)))(X),
    "jvp checkpoint": lambda jax, f: jvp_of(jax, jax.checkpoint(f))(X),
    "vmap checkpoint": lambda jax, f: jax.vmap(jax.checkpoint(f))(XS),
    "grad scan checkpoint": lambda jax, f: jax.grad(scanned(jax, jax.checkpoint(f)))(X),
}  # fmt: skip


def run(jax, function, places, kind, transformation):
    """The results of a transformed function with callbacks in these places, and what they said."""
    log = Log(jax, kind, places)
    return log.result(TRANSFORMATIONS[transformation](jax, function(jax, log)))
