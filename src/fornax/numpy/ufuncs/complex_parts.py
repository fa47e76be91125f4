"""The parts of complex numbers."""

from __future__ import annotations

from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.numpy.promotion import as_dtype, as_value, broadcast_to, check, promote_inexact
from fornax.numpy.ufuncs.angles import degrees
from fornax.numpy.ufuncs.publishing import ufunc
from fornax.numpy.ufuncs.signs import positive
from fornax.numpy.ufuncs.tables import arctan2
from fornax.scalars import dtypes

__all__ = ["angle", "conj", "conjugate", "imag", "real"]


@ufunc
def real(val, /):
    """The real part."""
    check("real", val)
    return REGISTRY["real"].bind(val)[0] if dtypes.is_complex(typeof(val).dtype) else positive(val)


@ufunc
def imag(val, /):
    """The imaginary part; 0 for real numbers."""
    check("imag", val)
    if dtypes.is_complex(typeof(val).dtype):
        return REGISTRY["imag"].bind(val)[0]
    type = typeof(val)
    return broadcast_to(as_value(as_dtype(0, type.dtype, type.weak_type)), type.shape)


@ufunc
def conjugate(x, /):
    """The complex conjugate."""
    check("conjugate", x)
    if not dtypes.is_complex(typeof(x).dtype):
        return positive(x)
    return REGISTRY["conj"].bind(x, input_dtype=typeof(x).dtype)[0]


@ufunc(static="deg")
def angle(z, deg=False):
    """The argument of a complex number, in radians or degrees."""
    check("angle", z)
    (z,) = promote_inexact(z)
    value = arctan2(imag(z), real(z))
    return degrees(value) if deg else value


conj = conjugate
