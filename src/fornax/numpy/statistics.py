"""Covariances and correlations of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.numpy import moments, reductions, ufuncs
from fornax.numpy.creation import asarray, full
from fornax.numpy.joining import concatenate
from fornax.numpy.matrices import diag
from fornax.numpy.products import dot
from fornax.numpy.promotion import (
    as_dtype,
    check,
    concrete_form,
    promote_inexact,
)
from fornax.numpy.shaping import atleast_2d, expand_dims, reshape
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["corrcoef", "cov"]


@eager(static="rowvar bias ddof dtype")
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, dtype=None):
    """The covariance matrix of variables in the rows of m (columns if not `rowvar`)."""
    given = [v for v in (m, y) if v is not None]
    check("cov", *given)
    arrays = promote_inexact(*(concrete_form(v) for v in given))
    arrays = [asarray(v) for v in arrays]
    if any(typeof(v).ndim > 2 for v in arrays):
        raise ValueError(located("m has more than 2 dimensions" if typeof(arrays[0]).ndim > 2 else
                         "y has more than 2 dimensions",
attempt="reshape to (variables, observations), or vmap over the other dimensions"))  # fmt: skip
    if dtype is not None:
        arrays = [as_dtype(v, dtypes.canonical(dtype)) for v in arrays]
    parts = []
    for position, v in enumerate(arrays):
        v = atleast_2d(v)
        parts.append(v.T if not rowvar and (typeof(v).shape[0] != 1 or position) else v)
    if y is None and typeof(parts[0]).shape[0] == 0:
        return full((0, 0), 0, typeof(parts[0]).dtype)
    x = parts[0] if y is None else concatenate(parts, 0)
    rows, count = typeof(x).shape
    if count == 0:
        return full(() if rows == 1 else (rows, rows), np.nan, typeof(x).dtype)
    if ddof is None:
        ddof = 0 if bias else 1
    w = _weights(x, fweights, aweights)
    if w is None:
        average, total = moments.mean(x, 1), typeof(x).shape[1]
        norm = total - ddof
    else:
        average, total = moments.average(x, 1, w, returned=True)
        total = total[0]
        if aweights is None:
            norm = ufuncs.subtract(total, ddof)
        elif ddof == 0:
            norm = total
        else:
            spread = reductions.sum(ufuncs.multiply(w, aweights))
            norm = ufuncs.subtract(total, ufuncs.divide(ufuncs.multiply(ddof, spread), total))
    x = ufuncs.subtract(x, expand_dims(average, 1))
    other = x if w is None else ufuncs.multiply(x, expand_dims(w, 0))
    product = ufuncs.true_divide(dot(x, ufuncs.conj(other.T)), norm)
    size = typeof(product).shape
    return reshape(product, ()) if size == (1, 1) else product


def _weights(x: Any, fweights: Any, aweights: Any) -> Any:
    n = typeof(x).shape[1]
    weights = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        check("cov", given)
        given = asarray(given)
        if typeof(given).ndim != 1:
            raise RuntimeError(
                located(f"cannot handle multidimensional {name}", attempt=f"{name}.ravel()")
            )
        if typeof(given).shape[0] != n:
            raise RuntimeError(
                located(
                    f"incompatible numbers of samples and {name}",
                    attempt=f"one of {name} for each observation",
                )
            )
        if name == "fweights" and not dtypes.is_integer(typeof(given).dtype):
            raise TypeError(
                located(
                    "fweights must be integer.",
                    attempt="aweights for weights that are no counts, or astype(int)",
                )
            )
        given = ufuncs.absolute(given)
        weights = given if weights is None else ufuncs.multiply(weights, given)
    return weights


@eager(static="rowvar dtype")
def corrcoef(x, y=None, rowvar=True, dtype=None):
    """The correlation coefficients of the variables in the rows of x (columns if not `rowvar`)."""
    check("corrcoef", x)
    c = cov(x, y, rowvar, dtype=dtype)
    if not typeof(c).shape:
        return ufuncs.divide(c, c)
    spread = ufuncs.sqrt(ufuncs.real(diag(c)))
    c = ufuncs.divide(c, expand_dims(spread, 1))
    c = ufuncs.divide(c, expand_dims(spread, 0))
    if dtypes.is_complex(typeof(c).dtype):
        parts = [
            ufuncs.minimum(1, ufuncs.maximum(-1, part)) for part in (ufuncs.real(c), ufuncs.imag(c))
        ]
        return REGISTRY["complex"].bind(*parts)[0]
    return ufuncs.minimum(1, ufuncs.maximum(-1, c))
