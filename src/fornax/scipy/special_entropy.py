"""Products with logarithms that are 0 where the factor is 0, entropies, Box-Cox."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.api.custom import custom_jvp
from fornax.ir.basis import instantiate
from fornax.ir.types import typeof
from fornax.numpy.promotion import align, check, promote_inexact
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["boxcox", "boxcox1p", "entr", "kl_div", "rel_entr", "xlog1py", "xlogy"]


def _inexact(name: str, *args: Any, real: bool = False) -> list[Any]:
    check(name, *args)
    args = [fnp.asarray(x) for x in align(*promote_inexact(*args))]
    if real and dtypes.is_complex(typeof(args[0]).dtype):
        raise ValueError(
            located(
                f"{name} does not support complex-valued inputs.",
                attempt=f"{name} of x.real, if x is real",
            )
        )
    return args


def xlogy(x, y):
    """x log(y), 0 where x is 0 and y no NaN."""
    return _xlogy(*_inexact("xlogy", x, y))


def xlog1py(x, y):
    """x log(1 + y), 0 where x is 0 and y no NaN."""
    return _xlog1py(*_inexact("xlog1py", x, y))


def _times_log(log: Any, x: Any, y: Any) -> Any:
    counts = fnp.logical_or(fnp.not_equal(x, 0), fnp.isnan(y))
    return fnp.where(counts, fnp.multiply(x, log(y)), 0)


@custom_jvp
def _xlogy(x, y):
    return _times_log(fnp.log, x, y)


@custom_jvp
def _xlog1py(x, y):
    return _times_log(fnp.log1p, x, y)


@_xlogy.defjvp
def _xlogy_jvp(primals, tangents):
    x, y = primals
    dx, dy = map(instantiate, tangents)
    slope = fnp.add(fnp.multiply(dx, fnp.log(y)), fnp.divide(fnp.multiply(dy, x), y))
    return _xlogy(x, y), slope


@_xlog1py.defjvp
def _xlog1py_jvp(primals, tangents):
    x, y = primals
    dx, dy = map(instantiate, tangents)
    part = fnp.divide(fnp.multiply(dy, x), fnp.add(1, y))
    return _xlog1py(x, y), fnp.add(fnp.multiply(dx, fnp.log1p(y)), part)


@custom_jvp
def _xlogx(x):
    return _times_log(fnp.log, x, x)


_xlogx.defjvps(lambda g, ans, x: fnp.multiply(g, fnp.add(fnp.log(x), 1)))


def entr(x):
    """-x log(x), 0 at 0, -inf below."""
    (x,) = _inexact("entr", x, real=True)
    return fnp.where(fnp.less(x, 0), -np.inf, fnp.negative(_xlogx(x)))


def rel_entr(p, q):
    """p log(p / q); 0 where p is 0 and q >= 0, infinite where either is negative or q is 0."""
    p, q = _inexact("rel_entr", p, q, real=True)
    positive = fnp.logical_and(fnp.greater(p, 0), fnp.greater(q, 0))
    zero = fnp.logical_and(fnp.equal(p, 0), fnp.greater_equal(q, 0))
    safe_p, safe_q = fnp.where(positive, p, 1), fnp.where(positive, q, 1)
    value = fnp.subtract(_xlogx(safe_p), _xlogy(safe_p, safe_q))
    return fnp.where(positive, value, fnp.where(zero, 0, np.inf))


def kl_div(p, q):
    """rel_entr(p, q) - p + q."""
    p, q = _inexact("kl_div", p, q, real=True)
    return fnp.add(fnp.subtract(rel_entr(p, q), p), q)


def _power(logarithm: Any, lmbda: Any) -> Any:
    zero = fnp.equal(lmbda, 0)
    safe = fnp.where(zero, 1, lmbda)
    power = fnp.divide(fnp.expm1(fnp.multiply(safe, logarithm)), safe)
    return fnp.where(zero, logarithm, power)


def boxcox(x, lmbda):
    """(x^lmbda - 1) / lmbda, log(x) where lmbda is 0."""
    x, lmbda = _inexact("boxcox", x, lmbda)
    return _power(fnp.log(x), lmbda)


def boxcox1p(x, lmbda):
    """boxcox(1 + x, lmbda), accurate for small x."""
    x, lmbda = _inexact("boxcox1p", x, lmbda)
    return _power(fnp.log1p(x), lmbda)
