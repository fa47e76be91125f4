"""Functions of the representation: sign, round_away, is_finite, nextafter."""

from __future__ import annotations

import math

from fornax.compiler.loop.ir import is_float
from fornax.compiler.loop.math_arithmetic import Term, copysign, where


def sign(x: Term) -> Term:
    """-1, 0 or 1; NaN and -0.0 stay."""
    if not is_float(x.dtype):
        positive = (x > 0).cast(x.dtype)
        return positive - (x < 0).cast(x.dtype) if x.dtype.startswith("int") else positive
    return where(abs(x) > 0.0, copysign(x.like(1.0), x), x)


def round_away(x: Term) -> Term:
    """The nearest integer, ties away from zero."""
    size = abs(x)
    whole = size.op("trunc")
    return copysign(whole + where(size - whole >= 0.5, x.like(1.0), 0.0), x)


def is_finite(x: Term) -> Term:
    return abs(x) < math.inf


def nextafter(x: Term, y: Term) -> Term:
    """The neighbour of x towards y; y where they are equal, NaN where one is NaN.

    All on bits, as denormal numbers may be taken for zero in comparisons of floats.
    """
    bits, goal = x.bits, y.bits
    everything, sign = (1 << x.format.width) - 1, 1 << (x.format.width - 1)
    size, goal_size = bits & (sign - 1), goal & (sign - 1)
    away = ((bits & sign) == (goal & sign)) & (goal_size > size)  # the size grows
    step = where(away, bits.like(1), bits.like(everything))
    moved = where(size == 0, (goal & sign) | bits.like(1), bits + step).real
    equal = (bits == goal) | ((size | goal_size) == 0)
    return where(equal, y, where((x != x) | (y != y), x + y, moved))
