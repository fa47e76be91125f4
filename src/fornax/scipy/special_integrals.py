"""Exponential, sine and Fresnel integrals, and the dilogarithm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.api.custom import custom_jvp
from fornax.ir.types import typeof
from fornax.lax import elementwise as lax
from fornax.lax.loops import fori_loop
from fornax.numpy.promotion import align, check
from fornax.scalars import dtypes
from fornax.scipy import special_coefficients as table
from fornax.scipy.special_series import chebyshev, real, rounded, square_in_two, widened
from fornax.source import located

__all__ = ["exp1", "expi", "expn", "fresnel", "sici", "spence"]


# --- exponential integrals ----------------------------------------------------------------------
def expi(x):
    """The exponential integral: of e^t / t from -inf to x, by its principal value for x > 0.

    x: real. -inf at 0. Raises ValueError for complex numbers.
    """
    (x,) = real("expi", x)
    return rounded(_expi(widened(x)), x)


@custom_jvp
def _expi(x):
    below, middle, end = (
        fnp.where(fnp.greater(x, 0), x, 1.0), fnp.clip(x, 6, 40), fnp.maximum(x, 40)
    )  # fmt: skip
    series = fnp.multiply(below, chebyshev(table.EXPI, fnp.subtract(fnp.divide(below, 3), 1)))
    logarithm = fnp.log(fnp.where(fnp.equal(x, 0), 0.0, below))
    near = fnp.add(series, fnp.add(logarithm, np.euler_gamma))
    inverse = fnp.divide(1, middle)
    shape = fnp.where(
        fnp.less_equal(x, 14),
        chebyshev(table.EXPI_MIDDLE, _between(inverse, 1 / 14, 1 / 6)),
        fnp.where(
            fnp.less_equal(x, 40),
            chebyshev(table.EXPI_FAR, _between(inverse, 1 / 40, 1 / 14)),
            chebyshev(table.EXPI_END, _between(fnp.divide(1, end), 0, 1 / 40)),
        ),
    )
    # e^x in two factors: it may overflow where the result does not
    limit = 80.0 if typeof(x).dtype == dtypes.float32 else 700.0
    large = fnp.maximum(x, 6)
    head = fnp.divide(fnp.exp(fnp.minimum(large, limit)), large)
    far = fnp.multiply(fnp.multiply(head, shape), fnp.exp(fnp.maximum(fnp.subtract(x, limit), 0)))
    positive = fnp.where(fnp.less_equal(x, 6), near, far)
    result = fnp.where(fnp.less(x, 0), fnp.negative(_exp1(fnp.absolute(x))), positive)
    return fnp.where(fnp.isnan(x), x, fnp.where(fnp.equal(x, np.inf), np.inf, result))


_expi.defjvps(lambda g, ans, x: fnp.multiply(g, fnp.divide(fnp.exp(x), x)))


def _between(x: Any, low: float, high: float) -> Any:
    """[low, high] as [-1, 1]."""
    return fnp.subtract(fnp.multiply(fnp.subtract(x, low), 2 / (high - low)), 1)


def exp1(x):
    """The exponential integral E1: of e^-t / t from x on.

    x: real; inf at 0, NaN below. Raises ValueError for complex numbers.
    """
    (x,) = real("exp1", x)
    return rounded(_exp1(widened(x)), x)


@custom_jvp
def _exp1(x):
    small, large = fnp.minimum(x, 1), fnp.maximum(x, 1)
    series = fnp.multiply(small, chebyshev(table.EIN, fnp.subtract(fnp.multiply(2, small), 1)))
    logarithm = fnp.log(fnp.where(fnp.less(x, 0), np.nan, small))
    near = fnp.subtract(fnp.subtract(series, np.euler_gamma), logarithm)
    t = fnp.subtract(1, fnp.divide(8, fnp.add(large, 3)))
    far = fnp.multiply(fnp.divide(fnp.exp(fnp.negative(large)), large), chebyshev(table.EXP1, t))
    return fnp.where(fnp.greater(x, 1), far, near)


_exp1.defjvps(lambda g, ans, x: fnp.negative(fnp.multiply(g, fnp.divide(fnp.exp(-x), x))))


def expn(n, x):
    """The exponential integral E_n: x^(n-1) times that of e^-t / t^n from x on.

    n: whole numbers, x: real; they broadcast. NaN for negative n or x. Derivatives are those by x.
    Raises ValueError for complex numbers.
    """
    n, x = (fnp.asarray(v) if isinstance(v, list | tuple) else v for v in (n, x))
    n, x = align(*real("expn", n, x))
    return rounded(_expn(widened(n), widened(x)), x)


@custom_jvp
def _expn(n, x):
    order = fnp.maximum(n, 1)
    near = _expn_series(order, fnp.clip(x, 0, 1))
    far = _expn_fraction(order, fnp.clip(x, 1, np.inf))
    result = fnp.where(fnp.greater(x, 1), far, near)
    zero = fnp.where(fnp.less(n, 2), np.inf, fnp.divide(1, fnp.subtract(fnp.maximum(n, 2), 1)))
    result = fnp.where(fnp.equal(x, 0), zero, result)
    first = fnp.divide(fnp.exp(fnp.negative(x)), x)
    result = fnp.where(fnp.equal(n, 0), fnp.where(fnp.equal(x, 0), np.inf, first), result)
    return fnp.where(fnp.logical_or(fnp.less(n, 0), fnp.logical_not(fnp.greater_equal(x, 0))),
                     np.nan, result)  # fmt: skip


#: terms that both ways need at x = 1
_TERMS = {dtypes.float32: (12, 30), dtypes.float64: (20, 90)}


def _expn_series(n: Any, x: Any) -> Any:
    """For x in [0, 1]: the powers of -x over (k - n + 1) k!, and a logarithm for power n - 1."""
    positive = fnp.where(fnp.equal(x, 0), 1.0, x)
    logarithm = fnp.log(positive)
    size = fnp.exp(fnp.subtract(fnp.multiply(fnp.subtract(n, 1), logarithm), lax.lgamma(n)))
    odd = fnp.equal(fnp.remainder(n, 2), 0)
    special = fnp.multiply(fnp.where(odd, fnp.negative(size), size),
                           fnp.subtract(lax.digamma(n), logarithm))  # fmt: skip
    total, power = fnp.zeros_like(x), fnp.ones_like(x)
    for k in range(_TERMS[typeof(x).dtype][0]):
        below = fnp.subtract(k + 1.0, n)
        term = fnp.divide(power, fnp.where(fnp.equal(below, 0), np.inf, below))
        total = fnp.add(total, term)
        power = fnp.divide(fnp.multiply(power, fnp.negative(x)), k + 1.0)
    return fnp.subtract(special, total)


def _expn_fraction(n: Any, x: Any) -> Any:
    """For x from 1 on: e^-x / (x+n - 1 n / (x+n+2 - 2 (n+1) / (x+n+4 - ...)))."""
    count = _TERMS[typeof(x).dtype][1]
    start = fnp.add(x, n)

    def deeper(i, value):
        k = fnp.subtract(float(count), i.astype(typeof(x).dtype))
        above = fnp.multiply(k, fnp.subtract(fnp.add(n, k), 1))
        term = fnp.add(start, fnp.subtract(fnp.multiply(2, k), 2))
        return fnp.subtract(term, fnp.divide(above, value))

    value = fori_loop(0, count, deeper, fnp.add(start, 2.0 * count))
    return fnp.divide(fnp.exp(fnp.negative(x)), value)


_expn.defjvps(
    None,
    lambda g, ans, n, x: fnp.negative(fnp.multiply(g, _expn(fnp.subtract(n, 1), x))),
)


# --- sine and cosine integrals ------------------------------------------------------------------
def sici(x):
    """(Si, Ci): the integral of sin(t) / t from 0 to x, and of cos(t) / t from inf to x.

    x: real; Ci is -inf at 0 and NaN at -inf, else the same for x and -x. Raises ValueError for
    complex numbers.
    """
    (x,) = real("sici", x)
    return tuple(rounded(part, x) for part in _sici(widened(x)))


@custom_jvp
def _sici(x):
    size = fnp.absolute(x)
    small, large = fnp.minimum(size, 4), fnp.maximum(size, 4)
    square = fnp.square(small)
    t = fnp.subtract(fnp.divide(square, 8), 1)
    near = (
        fnp.multiply(small, chebyshev(table.SI, t)),
        fnp.subtract(fnp.add(fnp.log(small), np.euler_gamma),
                     fnp.multiply(square, chebyshev(table.CIN, t))),
    )  # fmt: skip
    inverse = fnp.divide(1, large)
    square = fnp.square(inverse)
    t = fnp.subtract(fnp.multiply(32, square), 1)
    f = fnp.multiply(inverse, chebyshev(table.SINE_F, t))
    g = fnp.multiply(square, chebyshev(table.SINE_G, t))
    angle = fnp.where(fnp.isinf(large), 0.0, large)
    sine, cosine = fnp.sin(angle), fnp.cos(angle)
    far = (
        fnp.subtract(fnp.subtract(math.pi / 2, fnp.multiply(f, cosine)), fnp.multiply(g, sine)),
        fnp.subtract(fnp.multiply(f, sine), fnp.multiply(g, cosine)),
    )
    is_near = fnp.less_equal(size, 4)
    si, ci = (fnp.where(is_near, a, b) for a, b in zip(near, far, strict=True))
    return fnp.copysign(si, x), fnp.where(fnp.equal(x, -np.inf), np.nan, ci)


@_sici.defjvp
def _sici_jvp(primals, tangents):
    (x,), (g,) = primals, tangents
    return _sici(x), (
        fnp.multiply(g, fnp.where(fnp.equal(x, 0), 1.0, fnp.divide(fnp.sin(x), x))),
        fnp.multiply(g, fnp.divide(fnp.cos(x), x)),
    )


# --- Fresnel integrals --------------------------------------------------------------------------
_FRESNEL = 1.6  #: where series and asymptotic form meet


def fresnel(x):
    """(S, C): the integrals of sin(pi t² / 2) and cos(pi t² / 2) from 0 to x.

    x: real. Raises NotImplementedError for complex numbers.
    """
    check("fresnel", x)
    if dtypes.is_complex(typeof(x).dtype):
        raise NotImplementedError(
            located(
                "fresnel: support for complex-valued inputs is not implemented yet.",
                attempt="fresnel of x.real, if x is real",
            )
        )
    (x,) = real("fresnel", x)
    return tuple(rounded(part, x) for part in _fresnel(widened(x)))


@custom_jvp
def _fresnel(x):
    size = fnp.absolute(x)
    small = fnp.minimum(size, _FRESNEL)
    t = fnp.subtract(fnp.multiply(fnp.square(fnp.square(small)), 2 / _FRESNEL**4), 1)
    near = (
        fnp.multiply(fnp.multiply(fnp.square(small), small), chebyshev(table.FRESNEL_S, t)),
        fnp.multiply(small, chebyshev(table.FRESNEL_C, t)),
    )
    large = fnp.maximum(size, _FRESNEL)
    inverse = fnp.divide(1, large)
    t = fnp.subtract(fnp.multiply(fnp.square(fnp.square(inverse)), 2 * _FRESNEL**4), 1)
    f = fnp.multiply(fnp.multiply(inverse, 1 / math.pi), chebyshev(table.FRESNEL_F, t))
    cube = fnp.multiply(fnp.square(inverse), inverse)
    g = fnp.multiply(fnp.multiply(cube, 1 / math.pi**2), chebyshev(table.FRESNEL_G, t))
    # quarter turns: beyond 2^24 (2^53) the square is a multiple of 4, and f and g are nothing
    square, rest = square_in_two(fnp.minimum(large, 1e8))
    angle = fnp.multiply(fnp.add(fnp.remainder(square, 4), rest), math.pi / 2)
    sine, cosine = fnp.sin(angle), fnp.cos(angle)
    far = (
        fnp.subtract(fnp.subtract(0.5, fnp.multiply(f, cosine)), fnp.multiply(g, sine)),
        fnp.subtract(fnp.add(0.5, fnp.multiply(f, sine)), fnp.multiply(g, cosine)),
    )
    is_near = fnp.less_equal(size, _FRESNEL)
    return tuple(fnp.copysign(fnp.where(is_near, a, b), x) for a, b in zip(near, far, strict=True))


@_fresnel.defjvp
def _fresnel_jvp(primals, tangents):
    (x,), (g,) = primals, tangents
    square, rest = square_in_two(x)
    angle = fnp.multiply(fnp.add(fnp.remainder(square, 4), rest), math.pi / 2)
    return _fresnel(x), (fnp.multiply(g, fnp.sin(angle)), fnp.multiply(g, fnp.cos(angle)))


# --- the dilogarithm ----------------------------------------------------------------------------
def spence(x):
    """The dilogarithm of 1 - x: the integral of log(t) / (1 - t) from 1 to x.

    x: float32 or float64 (TypeError for others); NaN below 0.
    """
    check("spence", x)
    x = fnp.asarray(x)
    if typeof(x).dtype not in (dtypes.float32, dtypes.float64):
        raise TypeError(
            located(
                f"spence: x.dtype={typeof(x).dtype} is not supported",
                attempt="x.astype(float32) or float64",
            )
        )
    return _spence(x)


@custom_jvp
def _spence(x):
    turned = fnp.greater(x, 1.5)  # by spence(x) + spence(1 / x) = -log(x)² / 2
    y = fnp.where(turned, fnp.divide(1, x), x)
    mirrored = fnp.less(y, 0.5)  # by spence(y) + spence(1 - y) = pi²/6 - log(y) log(1 - y)
    w = fnp.where(mirrored, y, fnp.subtract(1, y))
    value = fnp.multiply(w, chebyshev(table.SPENCE, fnp.multiply(2, w)))
    inside = fnp.logical_and(mirrored, fnp.greater(y, 0))
    safe = fnp.where(inside, y, 0.25)
    product = fnp.multiply(fnp.log(safe), fnp.log1p(fnp.negative(safe)))
    product = fnp.where(inside, product, 0.0)
    value = fnp.where(mirrored, fnp.subtract(fnp.subtract(math.pi**2 / 6, product), value), value)
    logarithm = fnp.log(fnp.where(turned, x, 1.0))
    value = fnp.where(turned, fnp.subtract(fnp.multiply(-0.5, fnp.square(logarithm)), value), value)
    return fnp.where(fnp.less(x, 0), np.nan, value)


_spence.defjvps(
    lambda g, ans, x: fnp.multiply(
        g,
        fnp.where(
            fnp.equal(x, 1), -1.0,
            fnp.divide(fnp.log(x), fnp.where(fnp.equal(x, 1), 1.0, fnp.subtract(1, x))),
        ),
    )
)  # fmt: skip
