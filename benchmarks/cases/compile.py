"""Compile: the first call of a function in a fresh process, and tracing alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.cases.case import CASES, Case, add, case, normal
from benchmarks.cases.library import jax, jnp, lax
from benchmarks.cases.model import descend, gpt_loss, gpt_setup
from benchmarks.cases.stream import gelu


def first(name, make, **fields):
    """The first call; whatever `make` calls is there before."""
    case(name, "compile", unit="first", **{"tolerance": 1e-3, **fields})(make)


first("first call: x + 1", lambda: (lambda x: x + 1, (normal(1000),)), smoke=True)
first("first call: gelu", lambda: (gelu, (normal(1000),)), limit=30e-3)
for model in [c for c in CASES.values() if c.group == "model"]:
    add(
        Case(f"first call: {model.name}", "compile", model.make, "first", tolerance=model.tolerance)
    )
for name in ("n-body forces, 2048", "attention, 8x1024x64", "attention, 8x1024x64, gradient"):
    chosen = replace(CASES[name], name=f"first call: {name}", group="compile", unit="first")
    add(replace(chosen, bound="", flops=0.0, share=None))
first("first call: GPT d256 L12 train step", lambda: (descend(gpt_loss), gpt_setup(12)), limit=2.0)


# --- long programs ------------------------------------------------------------------------------
def chained(count):
    """`count` sines, one of the other."""

    def program(x):
        for _ in range(count):
            x = jnp.sin(x)
        return x

    return program


def mixed(count):
    """About `count` equations that do not fuse into one expression: a sum every ten."""

    def program(x):
        for k in range(count // 10):
            y = jnp.tanh(x) * 0.5 + jnp.cos(x) * (1.0 + 0.001 * k)
            x = x - 0.1 * y + jnp.sum(y) * 1e-3
        return x

    return program


for count in (500, 10_000):
    for kind, program in (("sines", chained), ("mixed equations", mixed)):
        text = f"{count} {kind}"
        first(f"first call: {text}", lambda p=program, n=count: (p(n), (normal(100),)))
        first(
            f"first call: {text}, gradient",
            lambda p=program, n=count: (jax.grad(lambda x: jnp.sum(p(n)(x))), (normal(100),)),
            tolerance=1e-2,
        )
        case(f"trace: {text}", "compile", unit="first", eager=True, limit=15e-6 * count)(
            lambda p=program, n=count: (lambda x: traced(p(n), x), (normal(100),))
        )


def traced(function, x):
    """Traces; returns nothing that is compared."""
    jax.jit(function).trace(x)
    return ()


# --- captured arrays ----------------------------------------------------------------------------
def captured_bytes():
    """1 GB where the machine has room for several copies of it, 256 MB otherwise."""
    pages = dict(
        line.split(":") for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    )
    free = int(pages["MemAvailable"].split()[0]) * 1024
    return 1 << 30 if free > 8 << 30 else 1 << 28


def large():
    return jnp.zeros(captured_bytes() // 4, jnp.float32)


def captured():
    constant = large()
    return lambda i: lax.dynamic_slice(constant, (i,), (8,)) + 1, (jnp.int32(5),)


def passed():
    return lambda constant, i: lax.dynamic_slice(constant, (i,), (8,)) + 1, (large(), jnp.int32(5))


first("first call: 1 GB passed", passed)
first("first call: 1 GB captured", captured)


def sparse_product():
    """The product with a sparse identity whose places and values are captured (jax #14655)."""
    n = 10_000_000
    places = jnp.stack([jnp.arange(n), jnp.arange(n)], 1)

    def program(x):
        values, vector = jnp.ones(n), jnp.ones(n) / x
        taken = values * vector[places[:, 1]]
        return jnp.sum(jnp.zeros(n).at[places[:, 0]].add(taken))

    return program, (jnp.float32(2),)


first("jax #14655: first call with captured indices, 10 M", sparse_product)


# --- unrolled loops and small changes -----------------------------------------------------------
def unrolled(x):
    """A recurrence of 200 steps written as a Python loop; each step reads two (jax #2777)."""
    before, now = x, x * 0.5
    for _ in range(200):
        before, now = now, jnp.tanh(now @ jnp.ones((8, 8)) * 0.1 + before) + now.at[0, 0].add(1.0)
    return now


first("jax #2777: unrolled loop of 200 steps", lambda: (unrolled, (normal(8, 8),)))
first(
    "jax #2777: unrolled loop of 200 steps, gradient",
    lambda: (jax.grad(lambda x: jnp.sum(unrolled(x))), (normal(8, 8),)),
)


def changed():
    """A network is compiled and run; then its second layer gets another activation."""
    params, tokens = gpt_setup(4)
    before = descend(lambda p, t: gpt_loss(p, t, (gelu,)))
    jax.block_until_ready(jax.jit(before)(params, tokens))
    after = descend(lambda p, t: gpt_loss(p, t, (gelu, jnp.tanh, gelu)))
    return after, (params, tokens)


def reshaped():
    """A function is compiled for one batch size, then called with another."""
    params, tokens = gpt_setup(4)
    jax.block_until_ready(jax.jit(descend(gpt_loss))(params, tokens))
    return descend(gpt_loss), (params, jnp.asarray(np.asarray(tokens)[:3]))


first("one layer changed in a compiled GPT d256 L4 train step", changed)
first("another batch size of a compiled GPT d256 L4 train step", reshaped)
