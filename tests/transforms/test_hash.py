"""Equal programs, whatever their variables are called."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax import lax
from fornax.observe import events
from fornax.transforms.hash import content_hash, signature

x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
table = jnp.asarray(np.arange(12.0, dtype=np.float32))
large = jnp.asarray(np.arange(5000.0, dtype=np.float32))


def program(function, *arguments):
    return fornax.jit(function).trace(*arguments).jaxpr


def scanned(body):
    return lambda x: lax.scan(body, jnp.zeros(x.shape[1:]), x)


#: (two programs, whether they are equal)
PAIRS = {
    "the same again": (lambda x: jnp.sin(x) + 1, lambda y: jnp.sin(y) + 1, True),
    "another operation": (lambda x: jnp.sin(x) + 1, lambda x: jnp.cos(x) + 1, False),
    "another constant": (lambda x: x * 2.0, lambda x: x * 3.0, False),
    "zero has a sign": (lambda x: x * 0.0, lambda x: x * -0.0, False),
    "another order of operands": (lambda x: x - x[:1], lambda x: x[:1] - x, False),
    "another output": (lambda x: (x + 1, x * 2), lambda x: (x * 2, x + 1), False),
    "another param": (lambda x: x.sum(0), lambda x: x.sum(1), False),
    "inner programs": (
        scanned(lambda c, row: (c + row, c)), scanned(lambda d, line: (d + line, d)), True,
    ),
    "other inner programs": (
        scanned(lambda c, row: (c + row, c)), scanned(lambda c, row: (c * row, c)), False,
    ),
    "another length": (lambda x: x[:2] * 2, lambda x: x[:1] * 2, False),
    "small constants": (
        lambda x: x.reshape(-1) + jnp.asarray(np.arange(12.0, dtype=np.float32)),
        lambda x: x.reshape(-1) + table, True,
    ),
    "the same large constant": (lambda x: large[:4] + x, lambda x: large[:4] + x, True),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name):
    first, second, equal = PAIRS[name]
    a, b = program(first, x), program(second, x)
    assert (signature(a) == signature(b)) == equal
    assert (content_hash(a) == content_hash(b)) == equal
    if equal:
        assert hash(signature(a)) == hash(signature(b))


def test_signs_of_zero_in_params_count():
    def filled(zero):
        return lambda x: jnp.take(x, jnp.array([9]), axis=0, mode="fill", fill_value=zero)

    for kind in (float, np.float32, np.float64, complex):
        a, b = (
            program(filled(kind(zero)), x.astype(np.result_type(x, kind))) for zero in (0.0, -0.0)
        )
        assert signature(a) != signature(b) and content_hash(a) != content_hash(b)
    both = fornax.jit(lambda x: (filled(0.0)(x), filled(-0.0)(x)))(x)
    assert [bool(jnp.signbit(v).all()) for v in both] == [False, True]


def test_types_count():
    def double(x):
        return x + x

    programs = [program(double, v) for v in (x, x.astype(np.float16), x[:2], 1.0, np.float32(1))]
    assert len({content_hash(p) for p in programs}) == len(programs)
    assert len({signature(p) for p in programs}) == len(programs)


def test_a_large_constant_counts_by_identity_here_and_by_content_elsewhere():
    other = jnp.array(large)
    a, b = (program(lambda x, c=c: c[:4] + x, x) for c in (large, other))
    assert signature(a) != signature(b)
    assert content_hash(a) == content_hash(b)


def test_the_content_hash_is_that_of_other_processes():
    code = """
import numpy as np, fornax, fornax.numpy as jnp
f = lambda x: fornax.lax.scan(lambda c, r: (c + jnp.sin(r), c), jnp.zeros(4), x)[0].sum()
from fornax.transforms.hash import content_hash
print(content_hash(fornax.jit(fornax.grad(f)).trace(np.ones((3, 4), np.float32)).jaxpr))
"""
    run = [sys.executable, "-c", code]
    found = {subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in "ab"}
    assert len(found) == 1 and len(found.pop().strip()) == 32


def test_functions_have_no_content():
    traced = program(lambda x: fornax.pure_callback(np.sin, x, x), x)
    with pytest.raises(TypeError, match="no content"):
        content_hash(traced)


def test_equal_functions_are_compiled_once():
    fornax.clear_caches()
    with events.recording() as seen:
        for _ in range(3):
            fornax.jit(lambda x: fornax.nn.relu(jnp.tanh(x) * 3))(x)
    kinds = [type(e).__name__ for e in seen]
    assert kinds.count("Compiled") == 1
    assert sum(isinstance(e, events.CacheHit) and e.cache == "programs" for e in seen) == 2


def test_programs_that_are_kept_are_bounded(monkeypatch):
    from fornax.runtime import shared

    fornax.clear_caches()
    monkeypatch.setattr(shared, "MOST", 5)
    for k in range(9):
        fornax.jit(lambda x, k=k: x + k)(x)
    assert len(shared._kept) == 5
