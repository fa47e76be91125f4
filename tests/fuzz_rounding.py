"""How far results may be apart because of rounding alone, by Monte Carlo arithmetic.

A program is evaluated operation by operation with every rounded result moved by up to a unit in the
last place at random (Parker 1997, "Monte Carlo arithmetic"). Where sums cancel, or a step is
ill-conditioned, the results scatter as far as those of another order of operations do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from fornax import _native
from fornax.ir.types import typeof
from fornax.runtime import eager
from fornax.runtime.values import wrap

#: operations whose results are rounded; the others move numbers or are exact
ROUNDED = frozenset((
    "acos", "acosh", "add", "add_any", "asin", "asinh", "atan", "atan2", "atanh", "bessel_i0e",
    "bessel_i1e", "cbrt", "cos", "cosh", "cumlogsumexp", "cumprod", "cumsum", "cumsumexp",
    "digamma", "div", "dot_general", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "igamma",
    "igammac", "integer_pow", "lgamma", "log", "log1p", "logistic", "mul", "polygamma", "pow",
    "psum", "reduce_prod", "reduce_sum", "rsqrt", "scatter-add", "scatter-mul", "scatter-sub",
    "sin", "sinh", "sqrt", "square", "sub", "tan", "tanh", "zeta",
))  # fmt: skip


@contextlib.contextmanager
def shaken(seed: int) -> Iterator[None]:
    """Operations outside of transformations round at random."""
    rng = np.random.default_rng(seed)

    def moved(result: Any) -> Any:
        array = np.asarray(result)
        if array.dtype.kind not in "fcV" or not array.size:
            return result
        eps = float(ml_dtypes.finfo(array.dtype).eps)
        wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
        with np.errstate(all="ignore"):
            wide *= 1 + eps * rng.uniform(-1, 1, array.shape)
            return wrap(wide.astype(array.dtype), typeof(result))

    def evaluate(primitive: Any, operands: Sequence[Any], params: dict) -> list[Any]:
        results = eager.evaluate(primitive, operands, params)
        return [moved(r) for r in results] if primitive.name in ROUNDED else results

    _native.set_evaluate(evaluate)
    try:
        yield
    finally:
        _native.set_evaluate(eager.evaluate)
