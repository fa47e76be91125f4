"""Polynomials as arrays of coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.sorting import sort_key_val
from fornax.numpy import linalg, ufuncs
from fornax.numpy.creation import asarray, full, ones
from fornax.numpy.editing import trim_zeros
from fornax.numpy.joining import concatenate
from fornax.numpy.matrices import diag, vander
from fornax.numpy.products import matmul, outer
from fornax.numpy.promotion import (
    as_dtype,
    broadcast_shapes,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
)
from fornax.numpy.rearranging import roll
from fornax.numpy.selection import where
from fornax.numpy.shaping import atleast_1d, broadcast_to
from fornax.numpy.signal import convolve
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "poly", "polyadd", "polyder", "polydiv", "polyfit", "polyint", "polymul", "polysub", "polyval",
    "roots",
]  # fmt: skip


def polyval(p, x, *, unroll=16):
    """The polynomial p at x, by Horner's rule."""
    check("polyval", p, x)
    p, x = (asarray(v) for v in promote_dtypes(concrete_form(p), concrete_form(x)))
    if not typeof(p).ndim:
        raise IndexError(
            located(
                "polyval: the polynomial is a 1-D array of coefficients, got a number",
                attempt="polyval([c], x) for the polynomial that is c everywhere",
            )
        )
    lead = typeof(p).shape[1:]
    shape = broadcast_shapes(lead, typeof(x).shape)
    result = full(shape, 0, typeof(p).dtype)
    for k in range(typeof(p).shape[0]):
        result = ufuncs.add(ufuncs.multiply(result, x), p[k])
    return result


def _same_length(a1: Any, a2: Any) -> tuple[Any, Any]:
    a1, a2 = (atleast_1d(asarray(v)) for v in promote_dtypes(concrete_form(a1), concrete_form(a2)))
    n = max(typeof(a1).shape[0], typeof(a2).shape[0])

    def longer(a):
        missing = n - typeof(a).shape[0]
        return (
            concatenate([full((missing, *typeof(a).shape[1:]), 0, typeof(a).dtype), a])
            if missing
            else a
        )

    return longer(a1), longer(a2)


def polyadd(a1, a2):
    """The sum of two polynomials."""
    check("polyadd", a1, a2)
    return ufuncs.add(*_same_length(a1, a2))


def polysub(a1, a2):
    """The difference of two polynomials."""
    check("polysub", a1, a2)
    return ufuncs.subtract(*_same_length(a1, a2))


def polymul(a1, a2, *, trim_leading_zeros=False):
    """The product of two polynomials."""
    check("polymul", a1, a2)
    a1, a2 = (atleast_1d(asarray(concrete_form(v))) for v in (a1, a2))
    if trim_leading_zeros and (typeof(a1).size > 1 or typeof(a2).size > 1):
        a1, a2 = trim_zeros(a1, "f"), trim_zeros(a2, "f")
    a1, a2 = (v if typeof(v).size else full((1,), 0, typeof(v).dtype) for v in (a1, a2))
    a1, a2 = promote_inexact(a1, a2)
    return convolve(a1, a2)


def polydiv(u, v, *, trim_leading_zeros=False):
    """(quotient, remainder) of two polynomials."""
    check("polydiv", u, v)
    u, v = (atleast_1d(x) for x in promote_inexact(concrete_form(u), concrete_form(v)))
    m, n = typeof(u).shape[0] - 1, typeof(v).shape[0] - 1
    scale = ufuncs.divide(1, v[0])
    quotient = []
    rest = u
    for k in range(m - n + 1):
        factor = ufuncs.multiply(scale, rest[k])
        quotient.append(factor)
        rest = rest.at[k : k + n + 1].add(ufuncs.negative(ufuncs.multiply(factor, v)))
    if not quotient:
        return full((1,), 0, typeof(u).dtype), u
    result = concatenate([q.reshape((1,)) for q in quotient])
    if trim_leading_zeros:
        rest = trim_zeros(rest, "f")
    return result, rest


def _of_coefficients(name: str, p: Any) -> Any:
    if not typeof(p).ndim:
        raise TypeError(
            located(
                f"{name}: a polynomial is an array of coefficients, got a number",
                "the length of the array says the degree",
                "numpy.array([c]) for the polynomial that is c everywhere",
            )
        )
    return p


def polyder(p, m=1):
    """The m-th derivative of a polynomial."""
    check("polyder", p)
    m = static_integer(m, "m")
    if m < 0:
        raise ValueError(
            located(
                "Order of derivative must be positive", attempt="m=1, or polyint for the other way"
            )
        )
    (p,) = promote_inexact(concrete_form(p))
    p = _of_coefficients("polyder", asarray(p))
    for _ in range(m):
        n = typeof(p).shape[0]
        if n <= 1:
            return p[:0]
        factors = np.arange(n - 1, 0, -1).reshape((-1, *(1,) * (typeof(p).ndim - 1)))
        p = ufuncs.multiply(p[:-1], factors.astype(typeof(p).dtype))
    return p


def polyint(p, m=1, k=None):
    """The m-th antiderivative of a polynomial with the integration constants k (0)."""
    check("polyint", p)
    m = static_integer(m, "m")
    if m < 0:
        raise ValueError(
            located(
                "Order of integral must be positive", attempt="m=1, or polyder for the other way"
            )
        )
    p, k = promote_inexact(concrete_form(p), concrete_form(0 if k is None else k))
    p, k = _of_coefficients("polyint", asarray(p)), atleast_1d(asarray(k))
    if typeof(k).shape not in ((1,), (m,)):
        raise ValueError(
            located(
                "k must be a scalar or a rank-1 array of length 1 or m.",
                attempt="k=0, or one constant for each of the m integrations",
            )
        )
    k = broadcast_to(k, (m,))
    for step in range(m):
        n = typeof(p).shape[0]
        p = ufuncs.divide(p, np.arange(n, 0, -1).astype(typeof(p).dtype))
        p = concatenate([p, k[step : step + 1]])
    return p


def poly(seq_of_zeros):
    """The polynomial with these roots, its highest coefficient 1."""
    check("poly", seq_of_zeros)
    (roots,) = promote_inexact(concrete_form(seq_of_zeros))
    roots = atleast_1d(asarray(roots))
    if typeof(roots).ndim != 1:
        raise ValueError(
            located(
                "poly: the roots must be a 1-D array (matrices need eigenvalues)",
                attempt="poly(numpy.linalg.eigvals(matrix)), or x.ravel()",
            )
        )
    dtype = typeof(roots).dtype
    if not typeof(roots).shape[0]:
        return ones((), dtype)
    result = ones((1,), dtype)
    zero = full((1,), 0, dtype)
    for k in range(typeof(roots).shape[0]):
        shifted = ufuncs.multiply(concatenate([zero, result]), roots[k])
        result = ufuncs.subtract(concatenate([result, zero]), as_dtype(shifted, dtype))
    return result if dtypes.is_inexact(dtype) else as_dtype(result, dtype)


def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """The polynomial of degree `deg` with the least squared distance from points.

    x: [m]. y: [m], or [m, k] for k polynomials. deg, rcond: static; singular values of the scaled
    powers of x below rcond (m eps) of the largest count as zero. w: [m], weights of the distances
    before they are squared. Gives the coefficients [deg + 1] or [deg + 1, k]; with `full`
    (coefficients, squared distance, rank, singular values, rcond); with `cov` (coefficients, their
    covariance), which "unscaled" leaves without the variance of the distances. Raises ValueError
    for a negative degree or too few points, TypeError for shapes that do not fit.
    """
    check("polyfit", x, y, *(() if w is None else (w,)))
    x, y = asarray(x), asarray(y)
    if deg < 0:
        raise ValueError(located("expected deg >= 0", attempt="deg=1 for a line, 0 for a constant"))
    if typeof(x).ndim != 1:
        raise TypeError(
            located("expected 1D vector for x", attempt="x.ravel(), or vmap over the rows")
        )
    points = typeof(x).shape[0]
    if points == 0:
        raise TypeError(
            located("expected non-empty vector for x", attempt="at least deg + 1 points")
        )
    if typeof(y).ndim not in (1, 2):
        raise TypeError(
            located(
                "expected 1D or 2D array for y", attempt="y of shape (points,) or (points, curves)"
            )
        )
    if typeof(y).shape[0] != points:
        raise TypeError(
            located(
                "expected x and y to have same length",
                attempt="a y for each x; y.T if the points lie along its other dimension",
            )
        )
    if rcond is None:
        rcond = points * float(dtypes.finfo(typeof(x).dtype).eps)
    powers, values = vander(x, deg + 1), y
    if w is not None:
        (w,) = promote_inexact(w)
        w = asarray(w)
        if typeof(w).ndim != 1:
            raise TypeError(
                located(
                    "expected a 1-d array for weights",
                    attempt="w.ravel(), one weight for each point",
                )
            )
        if typeof(w).shape[0] != points:
            raise TypeError(
                located(
                    "expected w and y to have the same length", attempt="one weight for each point"
                )
            )
        powers = powers * w[:, None]
        values = values * (w[:, None] if typeof(y).ndim == 2 else w)
    scale = ufuncs.sqrt((powers * powers).sum(axis=0))
    powers = powers / scale[None, :]
    found, distance, rank, singular = linalg.lstsq(powers, values, rcond)
    found = found / (scale[:, None] if typeof(found).ndim == 2 else scale)
    if full:
        return found, distance, rank, singular, asarray(rcond)
    if not cov:
        return found
    covariance = linalg.inv(matmul(powers.T, powers)) / outer(scale, scale)
    if isinstance(cov, str) and cov == "unscaled":
        variance = ones((1,))
    elif points <= deg + 1:
        raise ValueError(
            located(
                "the number of data points must exceed order to scale the covariance matrix",
                attempt="cov='unscaled', a lower degree or more points",
            )
        )
    else:
        variance = atleast_1d(distance / (points - deg - 1))
    if typeof(y).ndim == 1:
        return found, covariance * variance[None]
    return found, covariance[:, :, None] * variance[None, None, :]


def roots(p, *, strip_zeros=True):
    """The roots of a polynomial, complex: the eigenvalues of its companion matrix.

    strip_zeros: ignore leading zeros, whose number must then be known; otherwise (as under `jit`)
    there are as many NaNs at the end as leading zeros. Raises ValueError unless p is 1-D.
    """
    check("roots", p)
    (p,) = promote_inexact(concrete_form(p))
    p = atleast_1d(asarray(p))
    if typeof(p).ndim != 1:
        raise ValueError(
            located(
                "Input must be a rank-1 array.",
                attempt="x.ravel(), the coefficients from the highest power down",
            )
        )
    n = typeof(p).shape[0]
    if n < 2:
        return full((0,), 0, dtypes.complex_dtype(typeof(p).dtype))
    is_zero = ufuncs.equal(p, 0)
    leading = where(is_zero.all(), n, is_zero.argmin())
    if strip_zeros:
        return _companion_roots(p[int(leading) :])
    p = where(ufuncs.equal(leading, n), ones((), typeof(p).dtype), p)
    found = _companion_roots(roll(p, ufuncs.negative(leading)))
    # the roots that the rolled zeros bring are 0 and go last, where the undefined ones are
    found = sort_key_val(ufuncs.equal(found, 0), found)[1]
    defined = ufuncs.less(np.arange(n - 1), ufuncs.subtract(n - 1, leading))
    return where(defined, found, full((), complex(np.nan, np.nan), typeof(found).dtype))


def _companion_roots(p: Any) -> Any:
    n = typeof(p).shape[0]
    if n < 2:
        return full((0,), 0, dtypes.complex_dtype(typeof(p).dtype))
    first = ufuncs.divide(ufuncs.negative(p[1:]), p[0])
    return linalg.eigvals(diag(ones((n - 2,), typeof(p).dtype), -1).at[0, :].set(first))
