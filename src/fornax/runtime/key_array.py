"""Arrays of random keys: values of a key dtype around the Array of their words."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax import _native
from fornax.ir.types import ArrayType, register_value
from fornax.scalars.dtypes import ExtendedDtype
from fornax.source import located

__all__ = ["KeyArray"]


class KeyArray:
    """An array of random keys.

    `words` is the uint32 Array behind it, with the words of each key in its last dimension. Made by
    `fornax.random.key` and `wrap_key_data`. Has shape, dtype and the methods that move elements,
    no arithmetic.
    """

    __slots__ = ("__weakref__", "aval", "marks", "words")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]
    weak_type = False

    def __init__(self, words: Any, dtype: ExtendedDtype):
        self.words = words
        #: who used the keys, see `key_reuse`
        self.marks: Any = None
        rank = words.ndim - len(dtype.base_shape)
        self.aval = ArrayType(words.shape[:rank], dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> ExtendedDtype:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return self.aval.ndim

    @property
    def size(self) -> int:
        return self.aval.size

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.words.nbytes

    @property
    def device(self) -> Any:
        return self.words.device

    @property
    def sharding(self) -> Any:
        return self.words.sharding

    @property
    def committed(self) -> bool:
        return self.words.committed

    @property
    def is_fully_addressable(self) -> bool:
        return True

    @property
    def is_fully_replicated(self) -> bool:
        return True

    def devices(self) -> Any:
        """The devices that hold the words."""
        return self.words.devices()

    def block_until_ready(self) -> KeyArray:
        """Itself, once the words are computed."""
        self.words.block_until_ready()
        return self

    def copy_to_host_async(self) -> None:
        """Nothing: the words are on the host."""

    def copy(self) -> KeyArray:
        """A copy."""
        return KeyArray(self.words.copy(), self.dtype)

    def delete(self) -> None:
        """Free the memory of the words."""
        self.words.delete()

    def is_deleted(self) -> bool:
        """Whether `delete` was called."""
        return self.words.is_deleted()

    def __bool__(self) -> bool:
        raise TypeError(
            located(
                "key array cannot be converted to boolean.",
                why="a key is no number",
                attempt="(random.key_data(a) == random.key_data(b)).all() to compare keys",
            )
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(
                located(
                    "len() of unsized object", attempt="random.split(key, n) for an array of n keys"
                )
            )
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(
            located(
                "JAX array with PRNGKey dtype cannot be converted to a NumPy array. Use "
                "fornax.random.key_data(arr) if you wish to extract the underlying integer array.",
                "a key is no number: arithmetic on its words would make keys that are related",
                "random.key_data(key) to save it, random.wrap_key_data(words) to restore it",
            )
        )

    def __repr__(self) -> str:
        return f"Array({self.shape}, dtype={self.dtype.name}) overlaying:\n{self.words}"

    def __copy__(self) -> KeyArray:
        return self

    def __deepcopy__(self, memo: Any) -> KeyArray:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return KeyArray, (self.words, self.dtype)


register_value(KeyArray, lambda x: x.aval)
_native.register_wrapped_leaf(KeyArray, "words", "dtype")
