"""What is known of a value before it is there: ShapeDtypeStruct, ArgInfo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.types import ArrayType
from fornax.record import record
from fornax.scalars.dtypes import Dtype, as_dtype
from fornax.source import located

__all__ = ["ArgInfo", "ShapeDtypeStruct"]


class ShapeDtypeStruct:
    """Shape and dtype of an array without its values.

    shape: ints; dtype: anything that names a dtype; sharding is kept and not interpreted.
    """

    __slots__ = ("dtype", "shape", "sharding", "weak_type")
    shape: tuple[int, ...]
    dtype: Dtype

    def __init__(
        self,
        shape: Sequence[int],
        dtype: Any,
        *,
        sharding: Any = None,
        weak_type: bool = False,
        manual_axis_type: Any = None,
        is_ref: bool = False,
    ):
        if dtype is None:
            raise ValueError(
                located(
                    "ShapeDtypeStruct: dtype must be specified.",
                    attempt="ShapeDtypeStruct(shape, 'float32')",
                )
            )
        self.shape = tuple(shape)
        self.dtype = as_dtype(dtype)
        self.sharding = sharding
        self.weak_type = weak_type

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def update(self, **changes: Any) -> ShapeDtypeStruct:
        """The same with some fields changed."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return ShapeDtypeStruct(**{**fields, **changes})

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(
                located(
                    "len() of unsized object",
                    attempt="x.shape, which is () here, before asking for its length",
                )
            )
        return self.shape[0]

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple:
        return self.shape, self.dtype, self.weak_type, self.sharding


def struct_of(type: ArrayType) -> ShapeDtypeStruct:
    """The ShapeDtypeStruct of a type."""
    return ShapeDtypeStruct(type.shape, type.dtype, weak_type=type.weak_type)


@record(frozen=True)
class ArgInfo:
    """What is known of an argument before the call."""

    type: ArrayType
    donated: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> Dtype:
        return self.type.dtype
