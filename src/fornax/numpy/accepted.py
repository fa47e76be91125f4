"""What NumPy-like functions accept as an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax import _native, settings
from fornax.ir.trace import Tracer
from fornax.runtime.key_array import KeyArray
from fornax.runtime.transfers import check_callers
from fornax.source import located

Array = _native.Array
_ACCEPTED = (
    Tracer, Array, KeyArray, np.ndarray, np.generic, bool, int, float, complex,
)  # fmt: skip
_NUMBERS = frozenset((bool, int, float, complex))


def check(name: str, *args: Any) -> None:
    """Raise TypeError unless every argument is an array or a number."""
    if settings.guarding:
        check_callers(args)
    for position, x in enumerate(args):
        if not is_arraylike(x):
            raise TypeError(
                located(
                    f"{name} requires ndarray or scalar arguments, got {type(x)} at position "
                    f"{position}.",
                    why="lists and other containers are not converted silently, which is slow",
                    attempt="wrap it in fornax.numpy.array(...)",
                )
            )


def is_arraylike(x: Any) -> bool:
    """Array, keys, tracer, NumPy array or scalar, number, or an object that gives an array."""
    return x.__class__ in _NUMBERS or isinstance(x, _ACCEPTED) or hasattr(x, "__jax_array__")


def concrete_form(x: Any) -> Any:
    """The array behind an object with `__jax_array__`; anything else itself."""
    return x.__jax_array__() if hasattr(x, "__jax_array__") else x
