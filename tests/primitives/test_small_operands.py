"""Bits of four-bit integers and powers with denormal exponents: exact, eager and compiled."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fornax
from fornax import lax, settings
from fornax import numpy as fnp
from fornax.scalars.formats import FORMATS

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


@MODES
@pytest.mark.parametrize("name", sorted(n for n, f in FORMATS.items() if f.is_float))
def test_neighbours_of_all_small_floats(mode, name):
    """Denormal, largest and special numbers, towards any other, bit for bit as ml_dtypes; of equal
    numbers the second one, as in jax."""
    row = FORMATS[name]
    bits = np.arange(1 << min(row.bits, 8))
    if row.bits > 8:  # about zeros, ones, infinities, NaNs
        starts = (0, 0x3BF8, 0x3F78, 0x7BF8, 0x7F78, 0x7FF8, 0x8000, 0xFBF8, 0xFF78, 0xFFF0)
        bits = np.concatenate([np.arange(16) + start for start in starts])
    numbers = bits.astype(row.raw).view(row.dtype)
    x, y = (grid.ravel() for grid in np.meshgrid(numbers, numbers, indexing="ij"))
    with np.errstate(all="ignore"):
        want = np.where(x == y, y, np.nextafter(x, y)).astype(row.dtype)
        found = np.asarray(mode(lax.nextafter)(x, y))
        assert found.dtype == want.dtype
        nan = np.isnan(want)
        np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(found[~nan].view(row.raw), want[~nan].view(row.raw))


@MODES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_neighbours_of_denormal_numbers(mode, dtype):
    with fornax.enable_x64(dtype == "float64"):
        raw = "uint32" if dtype == "float32" else "uint64"
        x = np.array([0, 1, 2, 3, 0x7F800000 if raw == "uint32" else 0x7FF << 52], raw).view(dtype)
        for end in (0.0, 1.0, -1.0):
            found = mode(lax.nextafter)(x, np.full(5, end, dtype))
            want = np.nextafter(x, np.full(5, end, dtype))
            np.testing.assert_array_equal(np.asarray(found).view(raw), want.view(raw))


def test_products_of_bfloat16_keep_denormal_numbers_where_they_are_kept():
    """Whatever instructions this processor has for them."""
    x = fnp.asarray(np.full((64, 64), 2e-39, np.float32), fnp.bfloat16)
    y = fnp.eye(64, dtype=fnp.bfloat16)

    def product(x, y):
        return lax.dot(x, y, preferred_element_type=fnp.float32)

    with settings.override(flush_denormals=False):
        found = np.asarray(fornax.jit(product)(x, y))
    np.testing.assert_array_equal(found, np.asarray(x).astype(np.float32))
