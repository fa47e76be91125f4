"""The error for arrays that no memory can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax import _native
from fornax.errors import OutOfMemoryError
from fornax.ir.types import ArrayType
from fornax.scalars.dtypes import ExtendedDtype
from fornax.source import located

__all__ = ["allocating"]

#: bytes that no address space has
_MOST = 1 << 47
_ATTEMPT = "smaller arrays, a narrower dtype, or a loop over parts (lax.map, lax.scan)"


def out_of_memory(count: int, why: str) -> OutOfMemoryError:
    """The error of an allocation of so many bytes."""
    what = f"RESOURCE_EXHAUSTED: Out of memory allocating {count} bytes."
    return OutOfMemoryError(located(what, why, _ATTEMPT))


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
            why = f"an array of type {most.short()} does not fit into the memory that is left"
            raise out_of_memory(count, why) from None


def _bytes(type: ArrayType) -> int:
    dtype = type.dtype.base_dtype if isinstance(type.dtype, ExtendedDtype) else type.dtype
    return int(type.size * dtype.itemsize)


def _of_allocator(count: int, program: str | None) -> OutOfMemoryError:
    """What the native core raises when there is no memory for an array or a program."""
    if program is None:
        return out_of_memory(count, "an array does not fit into the memory that is left")
    return out_of_memory(
        count,
        f"the intermediate results of the program {program} do not fit into the memory that is "
        "left",
    )


_native.set_out_of_memory_error(_of_allocator)
