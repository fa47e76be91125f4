"""Dtypes: JAX's `jax.dtypes`."""

from __future__ import annotations

from typing import Any

from fornax.errors import TypePromotionError
from fornax.ir.types import typeof
from fornax.numpy.scalar_types import finfo, iinfo, joint_type
from fornax.numpy.scalar_types import issubdtype as _issubdtype
from fornax.scalars import dtypes as _dtypes
from fornax.scalars import formats as _formats
from fornax.scalars.dtypes import (
    bfloat16,
    extended,
    float0,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    int4,
    prng_key,
    uint4,
)

__all__ = [
    "TypePromotionError", "bfloat16", "canonicalize_dtype", "extended", "finfo", "float0",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "iinfo", "int4",
    "issubdtype", "itemsize_bits", "prng_key", "result_type", "scalar_type_of", "uint4",
]  # fmt: skip


def issubdtype(a: Any, b: Any) -> bool:
    """Whether one dtype is (a kind of) another. See `numpy.issubdtype`."""
    return _issubdtype(a, b)


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """The dtype that the arguments (arrays, numbers, dtypes) promote to.

    return_weak_type_flag: also whether the result is weakly typed, as (dtype, weak). Raises
    ValueError without arguments, TypeError for what has no dtype.
    """
    dtype, weak = joint_type(*args)
    return (dtype, weak) if return_weak_type_flag else dtype


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> Any:
    """The dtype that arrays of `dtype` get: 64-bit ones are narrowed unless x64 is enabled.

    None is float64, as in NumPy.
    """
    return _dtypes.canonical(_dtypes.float64 if dtype is None else dtype)


def scalar_type_of(x: Any) -> type:
    """bool, int, float or complex: the Python type of the elements of `x`."""
    dtype = typeof(x).dtype
    if dtype == _dtypes.bool_:
        return bool
    if _dtypes.is_integer(dtype):
        return int
    return complex if _dtypes.is_complex(dtype) else float


def itemsize_bits(dtype: Any) -> int:
    """Bits of an element, packed: 4 for int4 and uint4."""
    return _formats.bits_of(_dtypes.as_dtype(dtype))
