"""Bits of four-bit integers and powers with denormal exponents: exact, eager and compiled."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fornax
from fornax import lax, settings

MODES = pytest.mark.parametrize("mode", [lambda f: f, fornax.jit], ids=["eager", "compiled"])
#: what the bits of a four-bit number say, as a number without sign
UNSIGNED = np.arange(16)


def four_bits(dtype):
    """All numbers of a dtype, in the order of their bits."""
    return UNSIGNED.astype(np.int8).astype(dtype)


@MODES
@pytest.mark.parametrize("dtype", ["int4", "uint4"])
def test_leading_zeros_of_four_bits(mode, dtype):
    found = np.asarray(mode(lax.clz)(four_bits(dtype)))
    assert found.dtype == dtype
    assert found.astype(int).tolist() == [4 - int(n).bit_length() for n in UNSIGNED]


@MODES
@pytest.mark.parametrize("dtype", ["int4", "uint4"])
@pytest.mark.parametrize("name", ["shift_left", "shift_right_logical", "shift_right_arithmetic"])
def test_shifts_of_four_bits(mode, dtype, name):
    bits, amount = (grid.ravel() for grid in np.meshgrid(UNSIGNED, UNSIGNED, indexing="ij"))
    signed = np.where(bits > 7, bits - 16, bits)
    want = {
        "shift_left": bits << amount,
        "shift_right_logical": bits >> amount,
        "shift_right_arithmetic": signed >> np.minimum(amount, 3),
    }[name] & 15  # fmt: skip
    x, y = (n.astype(np.int8).astype(dtype) for n in (bits, amount))
    found = np.asarray(mode(getattr(lax, name))(x, y))
    assert found.dtype == dtype
    assert (found.astype(int) & 15).tolist() == want.tolist()


@MODES
@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormal_exponents(mode, flush, dtype):
    """They are no zeros, whether or not other operations take them for zero."""
    tiny = float(np.finfo(dtype).smallest_subnormal)
    base = [0.0, -0.0, 2.0, 0.5, 1.0, math.inf, -math.inf, math.nan, -2.0, tiny, -tiny]
    up = [0.0, 0.0, 1.0, 1.0, 1.0, math.inf, math.inf, math.nan, math.nan, 1.0, math.nan]
    down = [math.inf, math.inf, 1.0, 1.0, 1.0, 0.0, 0.0, math.nan, math.nan, 1.0, math.nan]
    with settings.override(flush_denormals=flush, enable_x64=True):
        for exponent, want in ((tiny, up), (-tiny, down), (1000 * tiny, up), (0.0, [1.0] * 11)):
            x = np.array(base, dtype)
            found = np.asarray(mode(lax.pow)(x, np.full_like(x, exponent)))
            np.testing.assert_array_equal(found, np.array(want, dtype))
