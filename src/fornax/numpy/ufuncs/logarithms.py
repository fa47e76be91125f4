"""Sums of exponentials in logarithms: functions with derivatives of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax.api.custom import custom_jvp
from fornax.ir.basis import instantiate
from fornax.ir.types import typeof
from fornax.numpy.promotion import align, check, promote_inexact
from fornax.numpy.ufuncs.division import remainder
from fornax.numpy.ufuncs.finiteness import isnan
from fornax.numpy.ufuncs.publishing import refuse, ufunc
from fornax.numpy.ufuncs.signs import absolute
from fornax.numpy.ufuncs.tables import (
    add,
    divide,
    equal,
    exp,
    exp2,
    log1p,
    maximum,
    multiply,
    negative,
    subtract,
)
from fornax.primitives.complex import complex_p, imag_p, real_p
from fornax.primitives.family import constant
from fornax.primitives.select import where
from fornax.scalars import dtypes

__all__ = ["logaddexp", "logaddexp2"]


@ufunc
def logaddexp(x, y, /, *, out=None, where=None):
    """log(exp(x) + exp(y)) without overflow.

    x, y: arrays or numbers that broadcast. See `numpy.logaddexp`.
    """
    if out is not None or where is not None:
        refuse("logaddexp", out, where)
    check("logaddexp", x, y)
    return _logaddexp(*align(*promote_inexact(x, y)))


@ufunc
def logaddexp2(x, y, /, *, out=None, where=None):
    """log2(2**x + 2**y) without overflow.

    x, y: arrays or numbers that broadcast. See `numpy.logaddexp2`.
    """
    if out is not None or where is not None:
        refuse("logaddexp2", out, where)
    check("logaddexp2", x, y)
    return _logaddexp2(*align(*promote_inexact(x, y)))


def _complex_sum(x: Any, y: Any, power: Any, base: float) -> Any:
    """log_base of a sum of powers of complex numbers, whose angle is the principal one."""
    larger = maximum(x, y)  # of the larger real part
    other = subtract(add(x, y), multiply(larger, 2))
    out = add(larger, divide(log1p(power(other)), base))
    half = math.pi / base
    angle = subtract(remainder(add(imag_p(out), half), 2 * half), half)
    return complex_p(real_p(out), angle)


@custom_jvp
def _logaddexp(x: Any, y: Any) -> Any:
    if dtypes.is_complex(typeof(x).dtype):
        return _complex_sum(x, y, exp, 1.0)
    delta = subtract(x, y)
    total = add(maximum(x, y), log1p(exp(negative(absolute(delta)))))
    return where(isnan(delta), add(x, y), total)  # infinities of one sign


@custom_jvp
def _logaddexp2(x: Any, y: Any) -> Any:
    if dtypes.is_complex(typeof(x).dtype):
        return _complex_sum(x, y, exp2, math.log(2.0))
    delta = subtract(x, y)
    rest = divide(log1p(exp2(negative(absolute(delta)))), math.log(2.0))
    return where(isnan(delta), add(x, y), add(maximum(x, y), rest))


def _finite(x: Any) -> Any:
    """`x` with 0 for +infinity: in the derivatives, differences of infinities are 0."""
    return where(equal(x, np.inf), constant(x, 0), x)


def _slopes(power: Any, primals: Any, tangents: Any, out: Any) -> Any:
    parts = [
        multiply(instantiate(t), power(subtract(_finite(x), _finite(out))))
        for x, t in zip(primals, tangents, strict=True)
    ]
    return out, add(*parts)


@_logaddexp.defjvp
def _logaddexp_jvp(primals, tangents):
    return _slopes(exp, primals, tangents, _logaddexp(*primals))


@_logaddexp2.defjvp
def _logaddexp2_jvp(primals, tangents):
    return _slopes(exp2, primals, tangents, _logaddexp2(*primals))
