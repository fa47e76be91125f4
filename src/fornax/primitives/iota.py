"""iota: numbers counting along one dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType
from fornax.scalars import dtypes
from fornax.source import located


class Iota(Primitive):
    """0, 1, 2, … along `dimension` of an array of `shape`, the same along all others."""

    def type(self, *, dtype, shape, dimension, sharding):
        if any(n < 0 for n in shape):
            raise TypeError(
                located(
                    f"iota shape must have every element be nonnegative, got {tuple(shape)}.",
                    attempt="max(n, 0) if a size was worked out",
                )
            )
        if not 0 <= dimension < len(shape):
            raise ValueError(
                located(
                    f"iota dimension must be between 0 and len(shape), got dimension={dimension} "
                    f"for shape={tuple(shape)}",
                    attempt=f"a dimension from 0 to {len(shape) - 1}",
                )
            )
        if not (dtypes.is_integer(dtype) or dtypes.is_inexact(dtype)):
            raise TypeError(
                located(
                    f"iota does not accept dtype {dtypes.short_name(dtype)}. Accepted dtypes are "
                    "subtypes of integer, floating, complexfloating.",
                    attempt="'int32', and != 0 for booleans",
                )
            )
        return [ArrayType(shape, dtype)]

    def reference(self, *, dtype, shape, dimension, sharding):
        along = np.arange(shape[dimension]).astype(dtype)
        return [np.broadcast_to(along.reshape(-1, *[1] * (len(shape) - dimension - 1)), shape)]

    def element(self, b, types, operands, index, *, dtype, shape, dimension, sharding):
        return [b.cast(index[dimension], dtype.name)]


iota_p = Iota("iota")


def iota(dtype: Any, shape: Sequence[int], dimension: int = 0) -> Any:
    """Numbers counting along `dimension` of `shape`, in a canonical `dtype`."""
    return iota_p.bind(
        dtype=dtypes.canonical(dtype), shape=tuple(shape), dimension=dimension, sharding=None
    )[0]
