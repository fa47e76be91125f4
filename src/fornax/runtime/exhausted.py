"""The error for arrays that no memory can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.errors import OutOfMemoryError
from fornax.ir.source import located
from fornax.ir.types import ArrayType
from fornax.scalars.dtypes import ExtendedDtype

__all__ = ["allocating"]

#: bytes that no address space has
_MOST = 1 << 47


class allocating:  # noqa: N801  (reads as a statement)
    """A `with` in which arrays of these types are made.

    What NumPy (MemoryError or ValueError, by size) and the allocator (MemoryError) say becomes an
    OutOfMemoryError that names the largest array.
    """

    __slots__ = ("_types",)

    def __init__(self, types: Sequence[ArrayType]):
        self._types = types

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: Any, traceback: Any) -> None:
        if kind is None or not self._types or not isinstance(error, MemoryError | ValueError):
            return
        most = max(self._types, key=_bytes)
        count = _bytes(most)
        if isinstance(error, MemoryError) or count >= _MOST:
            raise OutOfMemoryError(
                located(
                    f"RESOURCE_EXHAUSTED: Out of memory allocating {count} bytes.",
                    f"an array of type {most.short()} does not fit into the memory that is left",
                    "smaller arrays, a narrower dtype, or a loop over parts (lax.map, lax.scan)",
                )
            ) from None


def _bytes(type: ArrayType) -> int:
    dtype = type.dtype.base_dtype if isinstance(type.dtype, ExtendedDtype) else type.dtype
    return int(type.size * dtype.itemsize)
