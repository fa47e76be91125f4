"""Numbers and functions that come in sequences: Bernoulli numbers, Bessel functions of orders."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.scans import scan
from fornax.scalars import dtypes
from fornax.scipy.special_series import real, rounded, widened
from fornax.source import located

__all__ = ["bernoulli", "bessel_jn"]


def bernoulli(n):
    """The Bernoulli numbers of index 0 … n, with -1/2 for index 1.

    n: a Python integer. Raises ValueError for a negative one.
    """
    n = static_integer(n, "Argument n of bernoulli")
    if n < 0:
        raise ValueError(
            located("n must be a non-negative integer.", attempt="0 for the first number alone")
        )
    numbers = [Fraction(1)]
    for m in range(1, n + 1):
        if m > 1 and m % 2:
            numbers.append(Fraction(0))
            continue
        below = sum((math.comb(m + 1, k) * b for k, b in enumerate(numbers)), Fraction(0))
        numbers.append(-below / (m + 1))
    return fnp.asarray([_as_float(b) for b in numbers], dtype=dtypes.canonical(float))


def _as_float(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def bessel_jn(z, *, v, n_iter=50):
    """The Bessel functions of the first kind of orders 0 … v, along the first dimension.

    z: real. v: a Python integer. n_iter: from which order the recurrence runs down, at least v;
    it must be larger than |z|. Raises ValueError for complex numbers, TypeError for other v.
    """
    (z,) = real("bessel_jn", z)
    v = static_integer(v, "Argument v of bessel_jn")
    top = max(static_integer(n_iter, "Argument n_iter of bessel_jn"), v + 1)
    x = widened(z)
    dtype = typeof(x).dtype
    large = 1e10 if dtype == dtypes.float32 else 1e100
    safe = fnp.where(fnp.equal(x, 0), 1.0, x)

    def down(carry: Any, order: Any) -> Any:
        """From orders `order` + 1 and + 2 to `order`, all scaled down where they grow too large."""
        above, here, even = carry
        below = fnp.subtract(
            fnp.divide(fnp.multiply(fnp.multiply(2, fnp.add(order, 1)), here), safe), above
        )
        scale = fnp.where(fnp.greater(fnp.absolute(below), large), 1 / large, 1.0)
        even = fnp.add(even, fnp.where(fnp.equal(fnp.remainder(order, 2), 0),
                                       fnp.multiply(2, below), 0.0))  # fmt: skip
        carry = tuple(fnp.multiply(part, scale) for part in (here, below, even))
        return carry, (carry[1], scale)

    start = (fnp.zeros_like(x), fnp.full_like(x, 1 / large), fnp.zeros_like(x))
    orders = fnp.arange(top + 1, dtype=dtype)
    (_, first, even), (values, scales) = scan(down, start, orders, reverse=True)
    total = fnp.subtract(even, first)  # J0 + 2 (J2 + J4 + ...) is 1
    # an order was scaled with all that came after it, down to order 0
    later = fnp.cumprod(scales, axis=0)
    later = fnp.concatenate([fnp.ones_like(later[:1]), later[:-1]])
    found = fnp.divide(fnp.multiply(values, later), total)[: v + 1]
    at_zero = fnp.zeros((v + 1,), dtype).at[0].set(1)
    at_zero = fnp.reshape(at_zero, (v + 1,) + (1,) * typeof(x).ndim)
    found = fnp.where(fnp.equal(x, 0), at_zero, found)
    return rounded(fnp.where(fnp.isnan(x), np.nan, found), z)
