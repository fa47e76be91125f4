"""Arrays as another dtype: the same numbers, or the same bits."""

from __future__ import annotations

from typing import Any

from fornax.api.eager import eager
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.creation import asarray
from fornax.numpy.joining import concatenate
from fornax.numpy.promotion import as_dtype, check, concrete_form
from fornax.numpy.shaping import expand_dims
from fornax.primitives import shape as _shape
from fornax.primitives.complex import complex_p
from fornax.primitives.convert import bitcast_convert_type_p
from fornax.scalars import dtypes
from fornax.scalars.formats import bits_of
from fornax.source import located

__all__ = ["astype"]


@eager(static="dtype copy device")
def astype(x, dtype, /, *, copy=False, device=None):
    """The same numbers in another dtype."""
    check("astype", x)
    x = asarray(concrete_form(x))
    wanted = requested(dtype, float)
    if dtypes.is_complex(typeof(x).dtype) and not dtypes.is_complex(wanted):
        if wanted == dtypes.bool_:
            return ufuncs.not_equal(x, 0)
        x = ufuncs.real(x)
    return as_dtype(x, wanted)


@eager(static="dtype")
def view(x, dtype=None):
    """The same bits as another dtype; the last dimension changes with its size."""
    old = typeof(x)
    new = requested(dtype, old.dtype)
    if new == old.dtype:
        return x
    if dtypes.is_complex(old.dtype):
        parts = [expand_dims(part, -1) for part in (ufuncs.real(x), ufuncs.imag(x))]
        flat = (*old.shape[:-1], old.shape[-1] * 2) if old.shape else (2,)
        return view(_shape.reshape(concatenate(parts, -1), flat), new)
    if dtypes.is_complex(new):
        x = view(x, dtypes.real_dtype(new))
        if not typeof(x).shape or typeof(x).shape[-1] % 2:
            raise ValueError(
                located(
                    "view: the last dimension must be even for a complex dtype",
                    attempt="pad the last dimension by one, or lax.complex(re, im)",
                )
            )
        return complex_p.bind(x[..., ::2], x[..., 1::2])[0]
    if old.dtype == dtypes.bool_:
        return view(as_dtype(x, dtypes.uint8), new)
    if new == dtypes.bool_:
        return ufuncs.not_equal(view(x, dtypes.uint8), 0)
    before, after = bits_of(old.dtype), bits_of(new)
    if before == after:
        return bitcast_convert_type_p.bind(x, new_dtype=new)[0]
    if not old.shape:
        raise ValueError(
            located(
                "view: a 0-d array cannot change the size of its dtype",
                attempt="x.reshape(1).view(dtype)",
            )
        )
    if after < before:
        cast = bitcast_convert_type_p.bind(x, new_dtype=new)[0]
        return _shape.reshape(cast, (*old.shape[:-1], _last(cast)))
    ratio = after // before
    if old.shape[-1] % ratio:
        raise ValueError(
            located(
                "view: the last dimension is no multiple of the ratio of the item sizes",
                attempt="pad the last dimension, or astype, which converts numbers",
            )
        )
    grouped = _shape.reshape(x, (*old.shape[:-1], old.shape[-1] // ratio, ratio))
    return bitcast_convert_type_p.bind(grouped, new_dtype=new)[0]


def _last(cast: Any) -> int:
    return typeof(cast).shape[-1] * typeof(cast).shape[-2]
