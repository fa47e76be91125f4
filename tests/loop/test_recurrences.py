"""Loops that read what they stored: carries for it, short loops written out, stores in order."""

from __future__ import annotations

import numpy as np
import pytest
from random_kernels import buffer

import fornax
import fornax.numpy as fnp
from fornax import lax, settings
from fornax.backends import cpu, reference
from fornax.backends.cpu import find
from fornax.backends.llvm.target import TARGETS
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, For, Kernel, Store
from fornax.compiler.loop.recurrence import recurrent
from fornax.compiler.loop.show import show
from fornax.runtime.compile import executable, plan

x = np.linspace(-1, 1, 40).astype(np.float32)
rows = np.linspace(-1, 1, 240).astype(np.float32).reshape(6, 40)


def sums(x):
    return lax.fori_loop(1, 40, lambda i, s: s.at[i].set(s[i - 1] * 0.5 + x[i]), x * 2)


def two_back(x):
    return lax.fori_loop(2, 40, lambda i, s: s.at[i].set(s[i - 2] * 0.5 - s[i - 1]), x * 2)


def five_back(x):
    """Too far for registers: from memory."""
    return lax.fori_loop(5, 40, lambda i, s: s.at[i].set(s[i - 5] * 0.5 + x[i]), x * 2)


def strides(x):
    return lax.fori_loop(1, 13, lambda i, s: s.at[3 * i].set(s[3 * i - 3] * 0.5 + x[i]), x * 2)


def ahead(x):
    """What later iterations store is read before: nothing is carried."""
    return lax.fori_loop(0, 39, lambda i, s: s.at[i].set(s[i + 1] * 0.5), x * 2)


def written_twice(x):
    step = lambda i, s: s.at[i].set(s[i - 1] + 1).at[i - 1].set(s[i - 1] * 0.5)  # noqa: E731
    return lax.fori_loop(1, 40, step, x * 2)


def short(x):
    return lax.fori_loop(1, 3, lambda i, s: s.at[i].set(s[i - 1] * 0.5 - s[i - 2]), x * 2)


def halves(x):
    return sums(x.astype(fnp.bfloat16))


#: how many values each of them carries
PROGRAMS = {
    sums: 1, two_back: 2, five_back: 0, strides: 1, ahead: 0, written_twice: 0,
    short: 1, halves: 1,
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("target", ["interpreter", "native", "sse2"])
def test_recurrence(program, target):
    agree(program, x, target)
    jaxpr = fornax.jit(program).trace(x).jaxpr
    _, description = plan(jaxpr, find("avx2"), 1, reference.compile_kernel)
    text = "\n".join(show(s[1].kernel) for s in description["steps"] if s[0] == "kernel")
    assert text.count(" <- ") == PROGRAMS[program], text


def agree(program, operand, target):
    """The compiled program gives what the operations one by one give."""
    with fornax.disable_jit():
        expected = fornax.tree_util.tree_leaves(program(fnp.asarray(operand)))
    jaxpr = fornax.jit(program).trace(operand).jaxpr
    if target == "interpreter":
        _, description = plan(jaxpr, find("avx2"), 2, reference.compile_kernel)
        results = reference.run(description, [operand])
    else:
        with settings.override(target=target):
            results = executable(jaxpr).call([operand])
    for got, wanted in zip(results, expected, strict=True):
        got, wanted = (np.asarray(a).astype(np.float64) for a in (got, wanted))
        np.testing.assert_allclose(got, wanted, rtol=2e-2 if program is halves else 1e-5, atol=1e-6)


def doubled(x):
    return lax.while_loop(
        lambda s: s[0] < 40, lambda s: (s[0] + 1, s[1].at[s[0]].set(s[1][s[0]] * 2 + s[0])), (0, x)
    )[1]


@pytest.mark.parametrize("target", ["interpreter", "native", "sse2"])
def test_rows_of_a_mapped_loop_are_written_out(target):
    mapped = fornax.vmap(doubled)
    agree(mapped, rows, target)
    jaxpr = fornax.jit(mapped).trace(rows).jaxpr
    _, description = plan(jaxpr, find("avx2"), 1, reference.compile_kernel)
    (kernel,) = (s[1].kernel for s in description["steps"] if s[0] == "kernel")
    assert len(kernel.buffers) == 1, "the new elements take a way through memory"


@pytest.mark.parametrize("target", TARGETS)
def test_a_loop_that_runs_backwards(target):
    b, n = Builder(), Axis(38, "t")
    memory, at = buffer("memory", "float32", (40,), "inout"), b.axis(n)
    later = [b.load(memory, (b.add_index(at, k),)) for k in (1, 2)]
    value = b.add(b.mul(later[0], b.const(0.5, "float32")), later[1])
    loop = recurrent(b, For(n, (Store(memory, (at,), value),), reverse=True))
    assert len(loop.carries) == 2
    compiled = cpu.compile_kernel(Kernel("backwards", (memory,), (loop,)), find(target))
    found, expected = x.copy(), x.copy()
    cpu.run(compiled, [found])
    for k in reversed(range(38)):
        expected[k] = expected[k + 1] * np.float32(0.5) + expected[k + 2]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_stores_that_follow_one_another_are_in_order(target):
    """A value known before the first store is another one after it, also below operations."""
    b, n = Builder(), Axis(3, "t")
    one, two = buffer("one", "float32", (1,), "inout"), buffer("two", "float32", (3,), "out")
    zero, step = (b.index(0),), (b.axis(n),)
    twice = b.mul(b.load(one, zero), b.const(2, "float32"))
    body = (
        Store(one, zero, b.add(twice, b.const(1, "float32"))),
        Store(two, step, b.mul(twice, b.const(3, "float32"))),
    )
    kernel = Kernel("stores", (one, two), (For(n, body),))
    compiled = cpu.compile_kernel(kernel, find(target))
    first, second = np.float32([1]), np.zeros(3, np.float32)
    cpu.run(compiled, [first, second])
    np.testing.assert_array_equal(first, [15])
    np.testing.assert_array_equal(second, [18, 42, 90])
