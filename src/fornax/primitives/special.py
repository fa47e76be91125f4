"""Special functions, rows of the elementwise family."""

from __future__ import annotations

import math

import numpy as np

from fornax.ir.types import typeof
from fornax.primitives.compare import lt_p
from fornax.primitives.elementwise import (
    abs_p,
    add_p,
    div_p,
    exp_p,
    mul_p,
    neg_p,
    sign_p,
    square_p,
    sub_p,
)
from fornax.primitives.family import FLOAT, Elementwise, constant, not_implemented
from fornax.primitives.select import where
from fornax.scalars import dtypes
from fornax.source import located

#: B(2j) / (2j)!, the weights of the Euler-Maclaurin formula.
_WEIGHTS = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000, 77683 / 14101100039391805440000,
    -236364091 / 1693824136731743669452800000,
)  # fmt: skip
#: terms of the zeta series that are summed one by one
_TERMS = 12


def _scipy(name):
    """A function of scipy.special, which is imported at first use."""

    def function(*arrays):
        import scipy.special

        return getattr(scipy.special, name)(*arrays)

    return function


def _odd(name):
    """The same for an odd function, which is zero at zero and keeps its sign."""
    function = _scipy(name)
    return lambda x: np.where(x == 0, x, function(x)).astype(x.dtype)


def _lgamma(x):
    import scipy.special

    return np.where(np.isinf(x), np.inf, scipy.special.gammaln(x)).astype(x.dtype)


def _digamma(x):
    import scipy.special

    return np.where(x == 0, np.nan, scipy.special.psi(x)).astype(x.dtype)


def _zeta(s, q):
    """As in JAX infinite at poles for an even s, where both sides have one limit, else NaN."""
    import scipy.special

    s, q = np.broadcast_arrays(s, q)
    found = np.where(np.isnan(s), np.nan, scipy.special.zeta(s, q)).astype(s.dtype)
    pole = (q <= 0) & (q == np.floor(q)) & (s > 1)
    return np.where(pole, np.where(s % 2 == 0, np.inf, np.nan), found).astype(s.dtype)


def _polygamma(m, x):
    import scipy.special

    order = np.where(m == 0, 1, m)
    sign = np.where(order % 2 == 1, 1, -1)
    general = sign * scipy.special.gamma(order + 1) * _zeta(order + 1, x)
    general = np.where((m >= 0) & (m == np.floor(m)), general, np.nan)
    return np.where(m == 0, _digamma(x), general)


def _zeta_operation(b, s, q):
    """The Hurwitz zeta function for s > 1: the first terms, then the Euler-Maclaurin formula."""
    dtype = s.dtype
    zero, one = b.const(0, dtype), b.const(1, dtype)
    power = b.neg(s)
    k = b.new_axis(_TERMS, "k")
    total = b.reduce("add", [k], b.pow(b.add(q, b.cast(b.axis(k), dtype)), power))
    far = b.add(q, b.const(_TERMS, dtype))
    term = b.pow(far, power)
    total = b.add(total, b.div(b.mul(term, far), b.sub(s, one)))
    total = b.add(total, b.mul(term, b.const(0.5, dtype)))
    # term runs through s (s+1) … (s+2j-2) far^(-s-2j+1)
    term = b.div(b.mul(term, s), far)
    rest = b.mul(term, b.const(_WEIGHTS[0], dtype))
    for j, weight in enumerate(_WEIGHTS[1:], 1):
        for k in (2 * j - 1, 2 * j):
            term = b.div(b.mul(term, b.add(s, b.const(k, dtype))), far)
        rest = b.add(rest, b.mul(term, b.const(weight, dtype)))
    infinity, nan = b.const(math.inf, dtype), b.const(math.nan, dtype)
    result = b.add(total, rest)
    pole = b.and_(b.le(q, zero), b.eq(q, b.floor(q)))
    strange = b.and_(b.lt(q, zero), b.ne(s, b.floor(s)))
    even = b.eq(b.rem(s, b.const(2, dtype)), zero)
    at_pole = b.select(even, infinity, nan)
    result = b.select(pole, at_pole, b.select(strange, nan, result))
    result = b.select(b.eq(q, infinity), zero, result)
    return b.select(b.eq(s, one), infinity, b.select(b.gt(s, one), result, nan))


def _polygamma_operation(b, m, x):
    """(-1)^(m+1) m! zeta(m+1, x)."""
    dtype = m.dtype
    one, two = b.const(1, dtype), b.const(2, dtype)
    order = b.add(m, one)
    size = b.mul(b.exp(b.lgamma(order)), _zeta_operation(b, order, x))
    odd = b.eq(b.rem(m, two), one)
    general = b.select(odd, size, b.neg(size))
    zero, nan = b.const(0, dtype), b.const(math.nan, dtype)
    counts = b.and_(b.ge(m, zero), b.eq(m, b.floor(m)))
    return b.select(b.eq(m, zero), b.digamma(x), b.select(counts, general, nan))


def _no_order_derivative(g, out, m, x):
    raise ValueError(
        located(
            "polygamma has no derivative with respect to m: m counts derivatives",
            attempt="lax.stop_gradient on m",
        )
    )


def _bessel_i1e_derivative(g, out, x):
    # next to zero both terms are large
    zero = lt_p(abs_p(x), constant(x, float(dtypes.finfo(typeof(x).dtype).eps)))
    safe = where(zero, constant(x, 1), x)
    slope = add_p(sign_p(x), div_p(constant(x, 1), safe))
    general = sub_p(bessel_i0e_p(x), mul_p(out, slope))
    return mul_p(g, where(zero, constant(x, 0.5), general))


def _normal(scale):
    """Derivative of erf and erfc: a multiple of exp(-x²)."""

    def derivative(g, out, x):
        return mul_p(g, mul_p(constant(x, scale), exp_p(neg_p(square_p(x)))))

    return (derivative,)


erf_p = Elementwise("erf", _scipy("erf"), FLOAT, _normal(2 / math.sqrt(math.pi)), cost=15)
erfc_p = Elementwise("erfc", _scipy("erfc"), FLOAT, _normal(-2 / math.sqrt(math.pi)), cost=20)
erf_inv_p = Elementwise(
    "erf_inv", _odd("erfinv"), FLOAT,
    (lambda g, out, x: mul_p(
        g, mul_p(constant(x, math.sqrt(math.pi) / 2), exp_p(square_p(out)))),),
    cost=25,
)  # fmt: skip
lgamma_p = Elementwise(
    "lgamma", _lgamma, FLOAT, (lambda g, out, x: mul_p(g, digamma_p(x)),), cost=60
)
digamma_p: Elementwise = Elementwise(
    "digamma", _digamma, FLOAT,
    (lambda g, out, x: mul_p(g, polygamma_p(constant(x, 1), x)),), cost=60,
)  # fmt: skip
zeta_p: Elementwise = Elementwise(
    "zeta", _zeta, (FLOAT, FLOAT),
    (
        not_implemented("zeta", "its first operand"),
        lambda g, out, s, q: mul_p(g, neg_p(mul_p(s, zeta_p(add_p(s, constant(s, 1)), q)))),
    ),
    operation=_zeta_operation, cost=400,
)  # fmt: skip
polygamma_p: Elementwise = Elementwise(
    "polygamma", _polygamma, (FLOAT, FLOAT),
    (
        _no_order_derivative,
        lambda g, out, m, x: mul_p(g, polygamma_p(add_p(m, constant(m, 1)), x)),
    ),
    operation=_polygamma_operation, cost=500,
)  # fmt: skip
bessel_i0e_p = Elementwise(
    "bessel_i0e", _scipy("i0e"), FLOAT,
    (lambda g, out, x: mul_p(g, sub_p(bessel_i1e_p(x), mul_p(sign_p(x), out))),), cost=50,
)  # fmt: skip
bessel_i1e_p: Elementwise = Elementwise(
    "bessel_i1e", _odd("i1e"), FLOAT, (_bessel_i1e_derivative,), cost=50
)
