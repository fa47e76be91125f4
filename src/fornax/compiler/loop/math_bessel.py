"""Exponentially scaled modified Bessel functions of the first kind, of order 0 and 1."""

from __future__ import annotations

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop.math_arithmetic import (
    Term,
    at_least,
    at_most,
    copysign,
    horner,
    sqrt,
    where,
)
from fornax.compiler.loop.math_exponential import exp

#: The power series up to here, a polynomial in 1/x beyond.
SPLIT = 8.0


def scaled(size: Term, series: table.Table, tail: table.Table) -> tuple[Term, Term, Term]:
    """(power series in x²/4, polynomial in 16/x - 1 over sqrt(x), e^-x), each where it is used."""
    near, far = at_most(size, SPLIT), at_least(size, SPLIT)
    beyond = horner(16.0 / far - 1.0, tail[size.dtype]) / sqrt(far)
    return horner(near * near * 0.25, series[size.dtype]), beyond, exp(-near)


def i0e(x: Term) -> Term:
    size = abs(x)
    near, far, decay = scaled(size, table.BESSEL_I0, table.BESSEL_I0_TAIL)
    return where(size > SPLIT, far, near * decay)


def i1e(x: Term) -> Term:
    size = abs(x)
    near, far, decay = scaled(size, table.BESSEL_I1, table.BESSEL_I1_TAIL)
    return copysign(where(size > SPLIT, far, near * (size * 0.5) * decay), x)
