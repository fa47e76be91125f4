"""Complex numbers and their parts.

Cotangents follow JAX's convention: transposition does not conjugate, so the cotangent of a complex
operand is the conjugate of the gradient.
"""

from __future__ import annotations

import numpy as np

from fornax.ir.primitive import Linear
from fornax.ir.types import typeof
from fornax.primitives.family import COMPLEX, FLOAT, INEXACT, Elementwise, constant
from fornax.scalars import dtypes
from fornax.source import located


def _type_of(x):
    return x.type if isinstance(x, Linear) else typeof(x)


def _conjugated(z):
    return conj_p(z, input_dtype=typeof(z).dtype)


def _conjugate_cotangent(ct, x, *, input_dtype=None):
    return _conjugated(ct) if dtypes.is_complex(_type_of(x).dtype) else real_p(ct)


def _zero(like):
    """Zero of the dtype of a value, not weakly typed: what is combined with it is not, either."""
    return np.zeros((), typeof(like).dtype)[()]


def _combine(real, imag):
    shape = np.broadcast_shapes(real.shape, imag.shape)
    result = np.empty(shape, dtypes.complex_dtype(real.dtype))
    result.real, result.imag = real, imag
    return result


def _pair(b, real, imag):
    name = "complex64" if real.dtype == "float32" else "complex128"
    return b.cast(real, name)._replace(imag=imag)


def _conjugate(b, x, *, input_dtype=None):
    if hasattr(x, "imag"):
        return x._replace(imag=b.neg(x.imag))
    return _pair(b, x, b.const(0.0, x.dtype))


real_p: Elementwise = Elementwise(
    "real", np.real, COMPLEX, (lambda g, out, x: real_p(g),),
    transposes=(lambda ct, x: complex_p(ct, _zero(ct)),),
    operation=lambda b, x: x.real, result=dtypes.real_dtype,
)  # fmt: skip
imag_p: Elementwise = Elementwise(
    "imag", np.imag, COMPLEX, (lambda g, out, x: imag_p(g),),
    transposes=(lambda ct, x: _conjugated(complex_p(_zero(ct), ct)),),
    operation=lambda b, x: x.imag, result=dtypes.real_dtype,
)  # fmt: skip


class Combination(Elementwise):
    """x + i y of the two floats that complex numbers are made of."""

    def check(self, types):
        for position, type in enumerate(types):
            if type.dtype not in (dtypes.float32, dtypes.float64):
                raise TypeError(
                    located(
                        f"complex does not accept dtype {type.dtype.name} at position {position}. "
                        f"Accepted dtypes at position {position} are subtypes of float32, float64.",
                        attempt="x.astype('float32')",
                    )
                )
        self.check_equal(types)


complex_p: Combination = Combination(
    "complex", _combine, (FLOAT, FLOAT),
    (
        lambda g, out, x, y: complex_p(g, constant(g, 0)),
        lambda g, out, x, y: complex_p(constant(g, 0), g),
    ),
    transposes=(lambda ct, x, y: real_p(ct), lambda ct, x, y: imag_p(_conjugated(ct))),
    operation=_pair, result=dtypes.complex_dtype,
)  # fmt: skip
conj_p: Elementwise = Elementwise(
    "conj", lambda x, input_dtype=None: np.conj(x), INEXACT,
    (lambda g, out, x, *, input_dtype=None: conj_p(g, input_dtype=input_dtype),),
    transposes=(_conjugate_cotangent,),
    operation=_conjugate, result=dtypes.complex_dtype,
)  # fmt: skip
