"""While loops that only count become scans."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.compiler.canonical import canonicalize

x = np.float32(0.5)


def loop(test, start, step, dtype="int32"):
    def program(x):
        body = lambda s: (s[0] + np.dtype(dtype).type(step), s[1] * 1.5 + s[0])  # noqa: E731
        return lax.while_loop(lambda s: test(s[0]), body, (fnp.asarray(start, dtype), x))

    return program


#: (program, iterations; None if it stays a loop with a test)
LOOPS = {
    "less": (loop(lambda i: i < 7, 0, 1), 7),
    "at most": (loop(lambda i: i <= 7, 0, 1), 8),
    "turned": (loop(lambda i: 7 > i, 2, 2), 3),
    "down": (loop(lambda i: i > -3, 5, -2), 4),
    "down to": (loop(lambda i: i >= -3, 5, -2), 5),
    "unsigned": (loop(lambda i: i < 9, 3, 4, "uint8"), 2),
    "never": (loop(lambda i: i < 0, 0, 1), None),
    "wraps": (loop(lambda i: i <= 127, 120, 1, "int8"), None),
    "away": (loop(lambda i: i > -3, 5, 2), None),
    "two tests": (loop(lambda i: (i < 7) & (i > -1), 0, 1), None),
}


def primitives(program):
    canonical = canonicalize(fornax.jit(program).trace(x).jaxpr)
    return {e.primitive.name: e.params for e in canonical.equations}


@pytest.mark.parametrize("name", LOOPS)
def test_loop(name):
    program, length = LOOPS[name]
    found = primitives(program)
    if length is None:
        assert "while" in found
    else:
        assert found["scan"]["length"] == length
    if name in ("wraps", "away"):  # they run for very long
        return
    with fornax.disable_jit():
        expected = program(x)
    for got, wanted in zip(fornax.jit(program)(x), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_a_limit_that_is_an_operand_is_tested():
    program = lambda n: lax.while_loop(lambda i: i < n, lambda i: i + 1, 0)  # noqa: E731
    assert "while" in primitives(lambda x: program(x.astype(fnp.int32)))
    assert int(fornax.jit(program)(5)) == 5


def test_mapped_and_differentiated():
    program = lambda x: loop(lambda i: i < 7, 0, 1)(x)[1]  # noqa: E731
    many = np.linspace(0, 1, 5).astype(np.float32)
    np.testing.assert_allclose(
        fornax.jit(fornax.vmap(program))(many), [program(k) for k in many], rtol=1e-6
    )
    _, tangent = fornax.jvp(program, (x,), (np.float32(1),))
    np.testing.assert_allclose(tangent, 1.5**7, rtol=1e-6)
