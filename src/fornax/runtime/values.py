"""Conversions between arrays, NumPy and Python scalars."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from fornax import _native
from fornax.errors import InternalError
from fornax.ir.trace import Tracer, unexpected
from fornax.ir.types import ArrayType, typeof
from fornax.runtime import placement  # noqa: F401  (tells arrays where they lie)
from fornax.runtime.key_array import KeyArray
from fornax.scalars import dtypes
from fornax.scalars.dtypes import ExtendedDtype

Array = _native.Array


def to_numpy(x: Any, type: ArrayType) -> np.ndarray:
    """The value as a read-only or fresh NumPy array of exactly `type`'s dtype; keys as words."""
    if isinstance(x, Array):
        return x.numpy_view()
    if isinstance(x, Tracer):
        raise unexpected(x)
    if isinstance(x, KeyArray):
        return x.words.numpy_view()
    return np.asarray(x, dtype=type.dtype)


def to_array(x: Any) -> Any:
    """The value as an Array; NumPy data is copied, for its owner may change it.

    Keys stay keys, and what has no data (float0) is NumPy's.
    """
    if isinstance(x, Array | KeyArray):
        return x
    if isinstance(x, Tracer):
        raise unexpected(x)
    type = typeof(x)
    if type.dtype == dtypes.float0:
        return np.zeros(type.shape, dtypes.float0)
    if builtins.type(x) is np.ndarray and x.dtype == type.dtype:  # to where a cache line begins
        return _native.from_numpy(x, type.weak_type, True)
    return _native.from_numpy(np.array(x, dtype=type.dtype, order="C"), type.weak_type, False)


def stored(x: Any) -> Any:
    """The Array that holds a value: the words of keys, booleans for float0, else itself."""
    if isinstance(x, np.ndarray) and x.dtype == dtypes.float0:
        return to_array(np.zeros(x.shape, np.bool_))
    return x.words if isinstance(x, KeyArray) else to_array(x)


def wrap(result: Any, type: ArrayType) -> Any:
    """An Array around a NumPy result that nobody else will write to; keys around their words."""
    if isinstance(type.dtype, ExtendedDtype):
        words = ArrayType((*type.shape, *type.dtype.base_shape), type.dtype.base_dtype)
        return KeyArray(wrap(result, words), type.dtype)
    if type.dtype == dtypes.float0:
        return np.zeros(type.shape, dtypes.float0)
    result = np.asarray(result)
    if result.dtype != type.dtype:
        result = result.astype(type.dtype)
    if result.shape != type.shape:
        raise InternalError(f"a reference gave shape {result.shape}, its type says {type.short()}")
    if not result.flags.c_contiguous or not result.flags.owndata:
        result = np.array(result, order="C")
    return _native.from_numpy(result, type.weak_type, False)
