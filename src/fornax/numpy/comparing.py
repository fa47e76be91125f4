"""Whether arrays are equal, or close to one another."""

from __future__ import annotations

from fornax.api.eager import eager
from fornax.ir.types import typeof
from fornax.numpy import reductions, ufuncs
from fornax.numpy.creation import array, asarray
from fornax.numpy.promotion import (
    align,
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
    promote_inexact,
)
from fornax.scalars import dtypes

__all__ = ["allclose", "array_equal", "array_equiv", "isclose"]


@eager(static="equal_nan")
def isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """|a - b| <= atol + rtol |b|, element by element; equal infinities are close."""
    check("isclose", a, b)
    a, b = align(*promote_dtypes(concrete_form(a), concrete_form(b)))
    dtype = typeof(a).dtype
    if not dtypes.is_inexact(dtype):
        a, b = promote_inexact(a, b)
        dtype = typeof(a).dtype
    real = dtypes.real_dtype(dtype)
    bound = ufuncs.add(
        as_dtype(atol, real), ufuncs.multiply(as_dtype(rtol, real), ufuncs.absolute(b))
    )
    close = ufuncs.less_equal(ufuncs.absolute(ufuncs.subtract(a, b)), bound)
    finite = ufuncs.logical_and(ufuncs.isfinite(a), ufuncs.isfinite(b))
    result = ufuncs.logical_or(ufuncs.logical_and(close, finite), ufuncs.equal(a, b))
    if equal_nan:
        both = ufuncs.logical_and(ufuncs.isnan(a), ufuncs.isnan(b))
        result = ufuncs.logical_or(result, both)
    return result


@eager(static="equal_nan")
def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close."""
    return reductions.all(isclose(a, b, rtol, atol, equal_nan))


@eager(static="equal_nan")
def array_equal(a1, a2, equal_nan=False):
    """Whether the shapes and all elements are equal."""
    try:
        a1, a2 = asarray(a1), asarray(a2)
    except TypeError:
        return array(False)
    if typeof(a1).shape != typeof(a2).shape:
        return array(False)
    same = ufuncs.equal(a1, a2)
    if equal_nan:
        same = ufuncs.logical_or(same, ufuncs.logical_and(ufuncs.isnan(a1), ufuncs.isnan(a2)))
    return reductions.all(same)


def array_equiv(a1, a2):
    """Whether the arrays broadcast to one another and all elements are equal."""
    try:
        return reductions.all(ufuncs.equal(a1, a2))
    except ValueError:
        return array(False)
