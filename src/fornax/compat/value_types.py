"""Which classes are values of programs, as tables: `jax.interpreters.xla`, part of `jax.core`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import numpy as np

from fornax.ir import types
from fornax.runtime.values import to_array

__all__ = ["canonicalize_dtype_handlers", "pytype_aval_mappings"]


class _Types(MutableMapping[type, Callable[[Any], Any]]):
    """class -> the function that gives the type of its instances."""

    def __getitem__(self, kind: type) -> Callable[[Any], Any]:
        return types.rules[kind]

    def __setitem__(self, kind: type, rule: Callable[[Any], Any]) -> None:
        types.register_value(kind, rule)

    def __delitem__(self, kind: type) -> None:
        del types.rules[kind]

    def __iter__(self) -> Iterator[type]:
        return iter(tuple(types.rules))

    def __len__(self) -> int:
        return len(types.rules)


pytype_aval_mappings = _Types()

#: class -> what makes an array of its instances. Arrays are made by NumPy's protocol, so that what
#: libraries enter here is kept for them and not asked.
canonicalize_dtype_handlers: dict[type, Callable[[Any], Any]] = dict.fromkeys(
    (np.ndarray, np.generic, bool, int, float, complex), to_array
)
