"""The gamma function, what is made of it, zeta and Bessel functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax import elementwise as lax
from fornax.numpy.promotion import align, check, promote_inexact
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "beta", "betainc", "betaln", "comb", "digamma", "factorial", "gamma", "gammainc", "gammaincc",
    "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e", "loggamma", "multigammaln", "poch",
    "polygamma", "zeta",
]  # fmt: skip


def _inexact(name: str, *args: Any) -> list[Any]:
    check(name, *args)
    args = [fnp.asarray(x) for x in align(*promote_inexact(*args))]
    if dtypes.is_complex(typeof(args[0]).dtype):
        raise ValueError(
            located(
                f"{name} does not support complex-valued inputs.",
                attempt=f"{name} of x.real, if x is real",
            )
        )
    return args


def gammaln(x):
    """log |Gamma(x)|."""
    return lax.lgamma(*_inexact("gammaln", x))


def loggamma(x):
    """log Gamma(x); NaN for negative x."""
    (x,) = _inexact("loggamma", x)
    return fnp.where(fnp.greater(x, 0), lax.lgamma(x), np.nan)


def gammasgn(x):
    """The sign of Gamma(x): 1 or -1; NaN at negative integers and -inf."""
    (x,) = _inexact("gammasgn", x)
    floor, negative = fnp.floor(x), fnp.less(x, 0)
    pole = fnp.logical_or(fnp.isnan(x), fnp.logical_and(negative, fnp.equal(x, floor)))
    odd = fnp.logical_and(negative, fnp.not_equal(fnp.remainder(floor, 2), 0))
    minus = fnp.logical_or(odd, fnp.logical_and(fnp.equal(x, 0), fnp.signbit(x)))
    return fnp.where(pole, np.nan, fnp.copysign(1, fnp.where(minus, -1, fnp.absolute(x))))


def gamma(x):
    """The gamma function."""
    (x,) = _inexact("gamma", x)
    return fnp.multiply(gammasgn(x), lax.exp(lax.lgamma(x)))


def digamma(x):
    """The derivative of log Gamma(x)."""
    return lax.digamma(*_inexact("digamma", x))


def polygamma(n, x):
    """Derivative number n, an integer, of digamma. Raises ValueError for other n."""
    check("polygamma", n, x)
    if not dtypes.is_integer(typeof(n).dtype):
        raise ValueError(
            located(
                f"Argument `n` to polygamma must be of integer type. Got dtype {typeof(n).dtype}.",
                attempt="n.astype(int)",
            )
        )
    return lax.polygamma(*_inexact("polygamma", n, x))


def zeta(x, q=None):
    """The Hurwitz zeta function: the sum of (k + q)^-x over k >= 0. q must be given."""
    if q is None:
        raise NotImplementedError(
            located(
                "Riemann zeta function not implemented; pass q != None to compute the Hurwitz "
                "Zeta function.",
                attempt="zeta(x, 1.0), which is Riemann's",
            )
        )
    return lax.zeta(*_inexact("zeta", x, q))


def gammainc(a, x):
    """The regularised lower incomplete gamma function."""
    return lax.igamma(*_inexact("gammainc", a, x))


def gammaincc(a, x):
    """The regularised upper incomplete gamma function."""
    return lax.igammac(*_inexact("gammaincc", a, x))


def betainc(a, b, x):
    """The regularised incomplete beta function."""
    return lax.betainc(*_inexact("betainc", a, b, x))


def betaln(a, b):
    """log |B(a, b)|."""
    a, b = _inexact("betaln", a, b)
    a, b = fnp.minimum(a, b), fnp.maximum(a, b)
    large = fnp.greater_equal(b, 8)
    far = fnp.where(large, b, 8.0)
    quotient = fnp.where(large, _log_gamma_quotient(a, far), lax.lgamma(b) - lax.lgamma(a + b))
    return fnp.add(lax.lgamma(a), quotient)


def _log_gamma_quotient(a: Any, b: Any) -> Any:
    """log(Gamma(b) / Gamma(a + b)) for b >= 8, without the difference of large logarithms."""
    total = a + b
    main = -(b - 0.5) * fnp.log1p(a / b) - a * (fnp.log(total) - 1)
    return main + _stirling(b) - _stirling(total)


def _stirling(x: Any) -> Any:
    """What Stirling's formula lacks of log Gamma(x), for x >= 8."""
    inverse = 1 / (x * x)
    total: Any = 0.0
    for coefficient in (1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12):
        total = total * inverse + coefficient
    return total / x


def beta(a, b):
    """The beta function Gamma(a) Gamma(b) / Gamma(a + b)."""
    a, b = _inexact("beta", a, b)
    sign = gammasgn(a) * gammasgn(b) * gammasgn(a + b)
    return fnp.multiply(sign, lax.exp(betaln(a, b)))


def factorial(n, exact=False):
    """Gamma(n + 1), 0 for negative n. exact must be False."""
    if exact:
        raise NotImplementedError(
            located(
                "factorial with exact=True",
                attempt="exact=False, or math.factorial for a Python integer",
            )
        )
    (n,) = _inexact("factorial", n)
    return fnp.where(fnp.less(n, 0), 0, lax.exp(lax.lgamma(fnp.add(n, 1))))


def comb(N, k, *, repetition=False):  # noqa: N803
    """In how many ways k of N things can be chosen, with or without repetition."""
    N, k = _inexact("comb", N, k)  # noqa: N806
    if repetition:
        return fnp.where((k == 0) & (N >= 0), 1.0, comb(N + k - 1, k))
    valid = (k <= N) & (N >= 0) & (k >= 0)
    n, m = fnp.where(valid, N, 0.0), fnp.where(valid, k, 0.0)
    logarithm = lax.lgamma(n + 1) - lax.lgamma(m + 1) - lax.lgamma(n + 1 - m)
    return fnp.where(valid, lax.exp(logarithm), 0.0)


def poch(z, m):
    """The rising factorial Gamma(z + m) / Gamma(z)."""
    z, m = _inexact("poch", z, m)
    # no quotient of infinite numbers, but one that has a derivative everywhere else
    whole = fnp.logical_and(fnp.equal(m, 0), fnp.logical_not(fnp.isfinite(lax.lgamma(z))))
    z = fnp.where(whole, 1, z)
    sign = gammasgn(z) * gammasgn(z + m)
    ratio = sign * lax.exp(lax.lgamma(z + m) - lax.lgamma(z))
    return fnp.where(whole, 1, ratio)


def multigammaln(a, d):
    """The logarithm of the gamma function of `d` dimensions, d a concrete integer."""
    check("multigammaln", a)
    d = static_integer(d, "d")
    (a,) = _inexact("multigammaln", a)
    half = fnp.arange(d).astype(typeof(a).dtype) / 2
    total = fnp.sum(lax.lgamma(fnp.expand_dims(a, -1) - half), axis=-1)
    return fnp.add(total, 0.25 * d * (d - 1) * float(np.log(np.pi)))


def i0(x):
    """The modified Bessel function of order 0."""
    (x,) = _inexact("i0", x)
    return fnp.multiply(lax.exp(lax.abs(x)), lax.bessel_i0e(x))


def i0e(x):
    """exp(-|x|) i0(x)."""
    return lax.bessel_i0e(*_inexact("i0e", x))


def i1(x):
    """The modified Bessel function of order 1."""
    (x,) = _inexact("i1", x)
    return fnp.multiply(lax.exp(lax.abs(x)), lax.bessel_i1e(x))


def i1e(x):
    """exp(-|x|) i1(x)."""
    return lax.bessel_i1e(*_inexact("i1e", x))
