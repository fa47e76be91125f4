"""Exponentially scaled modified Bessel functions of the first kind, of order 0 and 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop.math_arithmetic import (
    Term,
    at_least,
    at_most,
    copysign,
    fma,
    horner,
    sqrt,
    two_product,
    where,
)
from fornax.compiler.loop.math_exponential import exp_of_sum, exp_short

#: The power series up to here, a polynomial in 8/x beyond.
SPLIT = 8.0


ONE_OVER_ROOT_TWO_PI = 0.3989422804014327


def far_value(size: Term, tail: Sequence[float]) -> Term:
    """e^-x I(x) for x >= 8: (1/sqrt(2 pi) + v Q(v)) / sqrt(x) with v = 8/x."""
    x = at_least(size, SPLIT)
    v = SPLIT / x
    return fma(v, horner(v + (v - 1.0), tail), x.like(ONE_OVER_ROOT_TWO_PI)) / sqrt(x)


def near_square(size: Term) -> tuple[Term, Term, Term]:
    """(x, z = x²/4, its rounding error), x limited to the power series."""
    x = at_most(size, SPLIT)
    square, error = two_product(x, x * 0.25)
    return x, square, error


def in_float64(f: Callable[[Term, str], Term]) -> Callable[[Term], Term]:
    """float32 is computed in float64 arithmetic, with its own shorter polynomials."""

    def function(x: Term) -> Term:
        if x.dtype == "float32":
            return f(x.cast("float64"), "float32").cast("float32")
        return f(x, "float64")

    return function


@in_float64
def i0e(x: Term, digits: str) -> Term:
    size = abs(x)
    near, z, error = near_square(size)
    series = horner(z, table.BESSEL_I0[digits])
    if digits == "float32":
        value = series * exp_short(-near)
    else:
        t = fma(near, -0.125, near.like(1.0))
        growth = fma(t * t, 0.75, t.like(0.25))  # the logarithmic derivative by z, roughly
        value = exp_of_sum(-near, error * growth, series)
    return where(size > SPLIT, far_value(size, table.BESSEL_I0_TAIL[digits]), value)


@in_float64
def i1e(x: Term, digits: str) -> Term:
    size = abs(x)
    near, z, error = near_square(size)
    half = near * 0.5
    series = fma(half * z, horner(z, table.BESSEL_I1[digits][1:]), half)
    if digits == "float32":
        value = series * exp_short(-near)
    else:
        growth = fma(near, -0.037, near.like(0.5))
        value = exp_of_sum(-near, error * growth, series)
    return copysign(where(size > SPLIT, far_value(size, table.BESSEL_I1_TAIL[digits]), value), x)
