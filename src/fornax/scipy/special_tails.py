"""Scaled tails of the normal distribution: erfcx, Dawson's integral, Owen's T."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.api.custom import custom_jvp
from fornax.ir.types import typeof
from fornax.lax import elementwise as lax
from fornax.numpy.promotion import align
from fornax.scalars import dtypes
from fornax.scipy import special_coefficients as table
from fornax.scipy.special_series import chebyshev, real, rounded, square_in_two, widened

__all__ = ["dawsn", "erfcx", "owens_t"]


def erfcx(x):
    """exp(x²) erfc(x), which falls as 1/x where erfc(x) is nothing.

    x: real. Raises ValueError for complex numbers.
    """
    (x,) = real("erfcx", x)
    return rounded(_erfcx(widened(x)), x)


@custom_jvp
def _erfcx(x):
    size = fnp.absolute(x)
    t = fnp.subtract(1, fnp.divide(6, fnp.add(size, 3)))
    tail = fnp.divide(chebyshev(table.ERFCX, t), fnp.add(1, fnp.multiply(2, size)))
    # e^(x²) overflows before the bound; the square's rounding would count as often as x² is large
    bound = 10.0 if typeof(x).dtype == dtypes.float32 else 28.0
    square, rest = square_in_two(fnp.minimum(size, bound))
    whole = fnp.exp(square)
    growing = fnp.multiply(2, fnp.add(whole, fnp.where(fnp.isinf(whole), 0.0,
                                                       fnp.multiply(whole, rest))))  # fmt: skip
    return fnp.where(fnp.less(x, 0), fnp.subtract(growing, tail), tail)


_erfcx.defjvps(
    lambda g, ans, x: fnp.multiply(
        g, fnp.subtract(fnp.multiply(fnp.multiply(2, x), ans), 2 / math.sqrt(math.pi))
    )
)


def dawsn(x):
    """Dawson's integral: exp(-x²) times the integral of exp(t²) from 0 to x.

    x: real. Raises ValueError for complex numbers.
    """
    (x,) = real("dawsn", x)
    return rounded(_dawsn(widened(x)), x)


@custom_jvp
def _dawsn(x):
    square = fnp.square(fnp.clip(x, -1e6, 1e6))
    t = fnp.subtract(1, fnp.divide(8, fnp.add(square, 4)))
    near = fnp.multiply(
        fnp.divide(x, fnp.add(1, fnp.multiply(2, square))), chebyshev(table.DAWSON, t)
    )
    return fnp.where(fnp.greater(fnp.absolute(x), 1e6), fnp.divide(0.5, x), near)


_dawsn.defjvps(
    lambda g, ans, x: fnp.multiply(g, fnp.subtract(1, fnp.multiply(fnp.multiply(2, x), ans)))
)


# --- Owen's T -----------------------------------------------------------------------------------
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


def owens_t(h, a):
    """Owen's T: the probability of a standard normal x > h with 0 < y < a x, for h and a positive.

    h, a: real, broadcast together. Odd in a and even in h. Raises ValueError for complex numbers.
    """
    h, a = align(*real("owens_t", h, a))
    return rounded(_owens_t(widened(h), widened(a)), h)


@custom_jvp
def _owens_t(h, a):
    h, size = fnp.absolute(h), fnp.absolute(a)
    # beyond 1: T(h, a) + T(a h, 1/a) = (Q(h) + Q(a h)) / 2 - Q(h) Q(a h), with Q the upper tail
    steep = fnp.greater(size, 1)
    wide = fnp.where(fnp.logical_and(steep, fnp.equal(h, 0)), 0.0,
                     fnp.multiply(h, fnp.where(steep, size, 1.0)))  # fmt: skip
    inside = _quadrature(fnp.where(steep, wide, h), fnp.where(steep, fnp.divide(1, size), size))
    tail, other = _upper_tail(h), _upper_tail(wide)
    both = fnp.subtract(fnp.multiply(0.5, fnp.add(tail, other)), fnp.multiply(tail, other))
    result = fnp.where(steep, fnp.subtract(both, inside), inside)
    result = fnp.where(fnp.logical_or(fnp.isnan(h), fnp.isnan(a)), np.nan, result)
    return fnp.copysign(result, a)


def _upper_tail(x: Any) -> Any:
    return fnp.multiply(0.5, lax.erfc(fnp.multiply(x, math.sqrt(0.5))))


def _quadrature(h: Any, a: Any) -> Any:
    """The integral from 0 to a (at most 1) of exp(-h² (1 + x²) / 2) / (1 + x²), over 2 pi."""
    end = fnp.minimum(a, fnp.divide(8.8, fnp.maximum(h, 8.8)))  # beyond it there is nothing left
    half = fnp.multiply(0.5, end)
    falling = fnp.multiply(-0.5, fnp.square(fnp.minimum(h, 40)))
    total: Any = 0.0
    for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
        square = fnp.add(1, fnp.square(fnp.multiply(half, node + 1)))
        value = fnp.divide(fnp.exp(fnp.multiply(falling, square)), square)
        total = fnp.add(total, fnp.multiply(weight, value))
    return fnp.multiply(fnp.multiply(total, half), 0.5 / math.pi)


def _owens_t_by_h(g, ans, h, a):
    density = fnp.multiply(fnp.exp(fnp.multiply(-0.5, fnp.square(h))), 1 / math.sqrt(2 * math.pi))
    inside = lax.erf(fnp.multiply(fnp.multiply(a, h), math.sqrt(0.5)))
    return fnp.multiply(g, fnp.multiply(-0.5, fnp.multiply(density, inside)))


def _owens_t_by_a(g, ans, h, a):
    square = fnp.add(1, fnp.square(a))
    falling = fnp.exp(fnp.multiply(fnp.multiply(-0.5, fnp.square(h)), square))
    return fnp.multiply(g, fnp.divide(falling, fnp.multiply(2 * math.pi, square)))


_owens_t.defjvps(_owens_t_by_h, _owens_t_by_a)
