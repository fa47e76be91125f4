"""Dtypes, with the helpers of `jax._src.dtypes` that libraries use."""

from __future__ import annotations

from typing import Any

from fornax.dtypes import (
    bfloat16,
    canonicalize_dtype,
    extended,
    finfo,
    float0,
    iinfo,
    issubdtype,
    prng_key,
    result_type,
    scalar_type_of,
)
from fornax.errors import TypePromotionError
from fornax.ir.types import typeof
from fornax.scalars import dtypes
from fornax.scalars.dtypes import Dtype as DType
from fornax.scalars.dtypes import ExtendedDtype as ExtendedDType
from fornax.scalars.formats import FORMATS

__all__ = [
    "DType", "ExtendedDType", "TypePromotionError", "bfloat16", "canonicalize_dtype", "dtype",
    "extended", "finfo", "float0", "iinfo", "is_weakly_typed", "issubdtype", "prng_key",
    "result_type", "scalar_type_of", "supports_inf",
]  # fmt: skip


def supports_inf(dtype: Any) -> bool:
    """Whether a floating dtype has infinities."""
    row = FORMATS.get(dtypes.as_dtype(dtype).name)
    return row is None or row.has_infinity


def dtype(x: Any) -> DType:
    """The dtype of a value, as arrays of it have."""
    return typeof(x).dtype


def is_weakly_typed(x: Any) -> bool:
    """Whether a value's dtype gives way to that of others."""
    return typeof(x).weak_type
