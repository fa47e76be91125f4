"""Powers and roots: pow, rsqrt, cbrt, hypot."""

from __future__ import annotations


from fornax.compiler.loop.math_arithmetic import (
    Term,
    sqrt,
)


def rsqrt(x: Term) -> Term:
    return 1.0 / sqrt(x)
