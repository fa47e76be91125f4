"""Error functions: erf, erfc, erf_inv."""

from __future__ import annotations

from fornax.compiler.loop import math_coefficients as table
from fornax.compiler.loop.math_arithmetic import (
    Term,
    at_most,
    copysign,
    fma,
    from_low_bits,
    horner,
)
from fornax.compiler.loop.math_exponential import LN2, LOG2_E, reduced_expm1

#: erf is ±1 beyond.
ERF_LIMIT = {"float32": 3.93, "float64": 5.95}


def erf(x: Term) -> Term:
    """1 - e^q with a polynomial q = log(erfc |x|): one formula, accurate down to zero because
    e^q - 1 is formed without cancellation."""
    size = at_most(abs(x), ERF_LIMIT[x.dtype])
    high, *rest = table.ERF_LOG[x.dtype]
    q = fma(size, high, size * horner(size, rest))
    shift = x.format.magic + x.format.bias
    t = fma(q, LOG2_E, x.like(shift))
    r = fma(t - shift, -LN2, q)
    scale = from_low_bits(t)
    p = reduced_expm1(r, table.EXPM1_NARROW[x.dtype])
    return copysign(fma(p, -scale, 1.0 - scale), x)
