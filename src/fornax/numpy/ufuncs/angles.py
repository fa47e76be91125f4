"""Degrees, radians, and sin(pi x) / (pi x)."""

from __future__ import annotations

import numpy as np

from fornax.ir.types import typeof
from fornax.numpy.promotion import as_dtype, check, promote_inexact
from fornax.numpy.ufuncs.publishing import ufunc
from fornax.numpy.ufuncs.tables import divide, equal, multiply, sin
from fornax.primitives.select import where as select_where

__all__ = ["deg2rad", "degrees", "rad2deg", "radians", "sinc"]


@ufunc
def degrees(x, /):
    """Radians to degrees."""
    (x,) = promote_inexact(x)
    return multiply(x, 180 / np.pi)


@ufunc
def radians(x, /):
    """Degrees to radians."""
    (x,) = promote_inexact(x)
    return multiply(x, np.pi / 180)


@ufunc
def sinc(x, /):
    """sin(pi x) / (pi x), 1 at 0."""
    check("sinc", x)
    (x,) = promote_inexact(x)
    zero = equal(x, 0)
    scaled = multiply(np.pi, select_where(zero, as_dtype(1, typeof(x).dtype), x))
    return select_where(zero, as_dtype(1, typeof(x).dtype), divide(sin(scaled), scaled))


rad2deg = degrees
deg2rad = radians
