"""Joined rows that are read element by element are read where they come from."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import settings
from fornax.runtime.compile import executable

x = np.random.default_rng(0).standard_normal((67, 1040)).astype(np.float32)


def rolled(x):
    return x * 4 - fnp.roll(x, 1, 0) - fnp.roll(x, -1, 0) - fnp.roll(x, 1, 1) - fnp.roll(x, -1, 1)


def turned(x):
    """Halves of rows exchanged, one with another sign."""
    half = x.shape[1] // 2
    return x * 0.5 + fnp.concatenate([-x[:, half:], x[:, :half]], 1) * 0.25


def around(mode, x):
    wide = fnp.pad(x, ((2, 1), (1, 3)), mode=mode)
    return wide[1:-2, 1:-3] + wide[2:-1, :-4] - wide[:-3, 4:]


def gradient(x):
    return fornax.grad(lambda x: (fnp.roll(x, 1, 0) * fnp.roll(x, 3, 1)).sum())(x)


PROGRAMS = {
    "rolled": rolled, "turned": turned, "gradient": gradient,
    **{mode: lambda x, mode=mode: around(mode, x)
       for mode in ("wrap", "edge", "reflect", "symmetric")},
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("target", ["native", "avx2", "sse2"])
def test_joined_rows(name, target):
    program = PROGRAMS[name]
    with fornax.disable_jit():
        expected = program(fnp.asarray(x))
    with settings.override(target=target):
        made = executable(fornax.jit(program).trace(x).jaxpr)
        np.testing.assert_allclose(made.call([x])[0], expected, rtol=1e-5, atol=1e-6)
    assert len(made.kernels) == 1


def kernels(program, *arrays) -> int:
    return len(executable(fornax.jit(program).trace(*arrays).jaxpr).kernels)


def test_what_is_short_or_read_otherwise_is_joined_in_memory():
    assert kernels(lambda x: x - fnp.roll(x, 1, 0), x[:, :100]) > 1  # short rows
    assert kernels(lambda x: x - fnp.roll(x, 20, 0), x) > 1  # no piece is next to all
    assert kernels(lambda x: fnp.roll(x, 1, 0) @ x.T, x) > 1
    assert kernels(lambda x: fnp.exp(fnp.roll(x, 1, 0)).sum(1), x) > 1
