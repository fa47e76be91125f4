"""Error functions, the normal distribution, and the logistic function."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.api.custom import custom_jvp
from fornax.ir.basis import instantiate
from fornax.ir.types import typeof
from fornax.lax import elementwise as lax
from fornax.nn import normalization
from fornax.numpy.promotion import check, promote_inexact
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "erf", "erfc", "erfinv", "expit", "log_ndtr", "log_softmax", "logit", "ndtr", "ndtri",
    "softmax",
]  # fmt: skip


def _one(name: str, x: Any) -> Any:
    check(name, x)
    return fnp.asarray(promote_inexact(x)[0])


def erf(x):
    """2/sqrt(pi) times the integral of exp(-t²) from 0 to x."""
    return lax.erf(_one("erf", x))


def erfc(x):
    """1 - erf(x), accurate for large x."""
    return lax.erfc(_one("erfc", x))


def erfinv(x):
    """The number whose erf is x."""
    return lax.erf_inv(_one("erfinv", x))


def expit(x):
    """1 / (1 + exp(-x))."""
    return lax.logistic(_one("expit", x))


def logit(x):
    """log(x / (1 - x)), the inverse of expit."""
    return _logit(_one("logit", x))


@custom_jvp
def _logit(x):
    return fnp.log(fnp.divide(x, fnp.subtract(1, x)))


_logit.defjvps(lambda g, ans, x: fnp.divide(g, fnp.multiply(x, fnp.subtract(1, x))))


def softmax(x, /, *, axis=None):
    """exp(x) over its sum along `axis`, over all elements by default."""
    return normalization.softmax(x, axis=axis)


def log_softmax(x, /, *, axis=None):
    """log(softmax(x))."""
    return normalization.log_softmax(x, axis=axis)


# --- the normal distribution -------------------------------------------------------------------
def _wide(name: str, x: Any) -> Any:
    check(name, x)
    x = fnp.asarray(x)
    if x.dtype not in (dtypes.float32, dtypes.float64):
        raise TypeError(
            located(
                f"{name}: x.dtype={x.dtype} is not supported",
                attempt="x.astype(float32) or float64",
            )
        )
    return x


def ndtr(x):
    """The probability of normal numbers below x.

    x: float32 or float64. Raises TypeError for others.
    """
    return _ndtr(_wide("ndtr", x))


def _ndtr(x: Any) -> Any:
    scaled = fnp.multiply(x, math.sqrt(0.5))
    size = fnp.absolute(scaled)
    tail = fnp.where(fnp.greater(scaled, 0), fnp.subtract(2, lax.erfc(size)), lax.erfc(size))
    near = fnp.add(1, lax.erf(scaled))
    return fnp.multiply(0.5, fnp.where(fnp.less(size, math.sqrt(0.5)), near, tail))


#: from which x on log(1 - p) is -p, and below which log(ndtr) is computed by its series
_UPPER = {dtypes.float32: 5.0, dtypes.float64: 8.0}
_LOWER = {dtypes.float32: -10.0, dtypes.float64: -20.0}


def log_ndtr(x, series_order=3):
    """log(ndtr(x)), accurate in both tails.

    x: float32 or float64 (TypeError for others). series_order: terms of the asymptotic series of
    the lower tail, 0 … 30 (ValueError for others).
    """
    if not isinstance(series_order, int):
        raise TypeError(
            located("series_order must be a Python integer.", attempt="series_order=3, the default")
        )
    if not 0 <= series_order <= 30:
        raise ValueError(
            located(
                f"series_order must be in 0 … 30, got {series_order}",
                attempt="series_order=3, the default",
            )
        )
    return _log_ndtr(_wide("log_ndtr", x), series_order)


@functools.partial(custom_jvp, nondiff_argnums=(1,))
def _log_ndtr(x, series_order):
    dtype = typeof(x).dtype
    upper, lower = _UPPER[dtype], _LOWER[dtype]
    far = fnp.greater(x, upper)
    probability = _ndtr(fnp.where(far, fnp.negative(x), fnp.maximum(x, lower)))
    body = fnp.where(
        fnp.greater(x, lower), fnp.log(probability),
        _log_lower_tail(fnp.minimum(x, lower), series_order),
    )  # fmt: skip
    return fnp.where(far, fnp.negative(probability), body)


def _log_lower_tail(x: Any, order: int) -> Any:
    """By the asymptotic series 1 - 1/x² + 3/x⁴ - 15/x⁶ + … of the Mills ratio."""
    square = fnp.square(x)
    total: Any = 1.0
    term: Any = 1.0
    for n in range(1, order + 1):
        term = fnp.divide(fnp.multiply(term, -(2 * n - 1)), square)
        total = fnp.add(total, term)
    scale = fnp.subtract(fnp.multiply(-0.5, square), fnp.log(fnp.negative(x)))
    return fnp.add(fnp.subtract(scale, 0.5 * math.log(2 * math.pi)), fnp.log(total))


@_log_ndtr.defjvp
def _log_ndtr_jvp(series_order, primals, tangents):
    (x,), (g,) = primals, tangents
    out = _log_ndtr(x, series_order)
    density = fnp.subtract(fnp.multiply(-0.5, fnp.square(x)), 0.5 * math.log(2 * math.pi))
    return out, fnp.multiply(instantiate(g), fnp.exp(fnp.subtract(density, out)))


#: rational approximations of the Cephes library (S. Moshier), highest power first: of the normal
#: quantile around 1/2, and of its tails in 1/z for z = sqrt(-2 log p) below and above 8
_CENTRE = (
    (-59.96335010141079, 98.00107541859997, -56.67628574690703, 13.931260938727968,
     -1.2391658386738125),
    (1.0, 1.9544885833814176, 4.676279128988815, 86.36024213908905, -225.46268785411937,
     200.26021238006066, -82.03722561683334, 15.90562251262117, -1.1833162112133),
)  # fmt: skip
_TAIL = (
    (4.0554489230596245, 31.525109459989388, 57.16281922464213, 44.08050738932008,
     14.684956192885803, 2.1866330685079025, -0.1402560791713545, -0.03504246268278482,
     -0.0008574567851546854),
    (1.0, 15.779988325646675, 45.39076351288792, 41.3172038254672, 15.04253856929075,
     2.504649462083094, -0.14218292285478779, -0.03808064076915783, -0.0009332594808954574),
)  # fmt: skip
_FAR_TAIL = (
    (3.2377489177694603, 6.915228890689842, 3.9388102529247444, 1.3330346081580755,
     0.20148538954917908, 0.012371663481782003, 0.00030158155350823543, 2.6580697468673755e-06,
     6.239745391849833e-09),
    (1.0, 6.02427039364742, 3.6798356385616087, 1.3770209948908132, 0.21623699359449663,
     0.013420400608854318, 0.00032801446468212774, 2.8924786474538068e-06, 6.790194080099813e-09),
)  # fmt: skip


def _rational(parts: Any, x: Any) -> Any:
    values = []
    for coefficients in parts:
        total: Any = coefficients[0]
        for coefficient in coefficients[1:]:
            total = fnp.add(fnp.multiply(total, x), coefficient)
        values.append(total)
    return fnp.divide(*values)


def ndtri(p):
    """The number that normal numbers are below with probability p: the inverse of ndtr.

    p: float32 or float64 (TypeError for others). Infinite at 0 and 1, NaN outside of [0, 1].
    """
    p = _wide("ndtri", p)
    upper = fnp.greater(p, 1 - math.exp(-2))
    tail = fnp.where(upper, fnp.subtract(1, p), p)
    safe = fnp.where(fnp.equal(tail, 0), 0.5, tail)
    w = fnp.subtract(safe, 0.5)
    square = fnp.square(w)
    centre = fnp.add(w, fnp.multiply(fnp.multiply(w, square), _rational(_CENTRE, square)))
    centre = fnp.multiply(centre, -math.sqrt(2 * math.pi))
    z = fnp.sqrt(fnp.multiply(-2, fnp.log(safe)))
    inverse = fnp.divide(1, z)
    first = fnp.subtract(z, fnp.divide(fnp.log(z), z))
    rest = fnp.where(
        fnp.greater_equal(z, 8), _rational(_FAR_TAIL, inverse), _rational(_TAIL, inverse)
    )
    outside = fnp.subtract(first, fnp.multiply(rest, inverse))
    x = fnp.where(fnp.greater(safe, math.exp(-2)), centre, outside)
    x = fnp.where(upper, x, fnp.negative(x))
    return fnp.where(fnp.equal(p, 0), -np.inf, fnp.where(fnp.equal(p, 1), np.inf, x))
