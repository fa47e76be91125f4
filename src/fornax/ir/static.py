"""What has to be known while tracing: axes, sizes, shapes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fornax import source
from fornax.errors import ConcretizationTypeError, TracerIntegerConversionError
from fornax.ir.trace import Tracer

__all__ = ["static_integer", "static_integers", "static_shape"]


def static_integer(value: Any, what: str) -> int:
    """An integer that has to be known while tracing, such as an axis.

    what: what it is, for the error. Raises ConcretizationTypeError if it is traced, TypeError if it
    is no integer.
    """
    if type(value) is int:
        return value
    if isinstance(value, Tracer) and value.concrete() is None:
        raise value._refuse(
            ConcretizationTypeError,
            f"Abstract tracer value encountered where concrete value is expected: {what}, which "
            "must be known statically, depends",
            "mark the argument static (static_argnums, static_argnames), or close over it",
        )
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            source.located(
                f"{what}: {type(value).__name__!r} object cannot be interpreted as an integer",
                f"an integer is needed, got {value!r:.80}",
                _advice(value),
            )
        ) from None


def static_integers(values: Any, what: str) -> tuple[int, ...]:
    """Integers that have to be known while tracing. Raises as `static_integer` does."""
    if not isinstance(values, Iterable):
        raise TypeError(
            source.located(
                f"{what}: {type(values).__name__!r} object is not iterable",
                f"a sequence of integers is needed, got {values!r:.80}",
                f"({values!r:.80},)" if isinstance(values, int) else "a tuple of integers",
            )
        )
    return tuple(static_integer(v, what) for v in values)


def _advice(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "int(...), or // instead of / where it was computed"
    if isinstance(value, Sequence | np.ndarray) and len(value) == 1:
        return "the number itself, without brackets around it"
    return "a Python integer"


def static_shape(shape: Any) -> tuple[int, ...]:
    """A shape, given as integers that are known while tracing, or as one integer.

    Raises TypeError for traced values and for what is no integer.
    """
    array = isinstance(shape, np.ndarray) and shape.ndim > 0
    several = array or (isinstance(shape, Sequence) and not isinstance(shape, str))
    sizes = tuple(shape) if several else (shape,)
    for size in sizes:
        if isinstance(size, Tracer) and size.concrete() is None:
            raise size._refuse(
                TracerIntegerConversionError,
                "Shapes must be 1D sequences of concrete values of integer type, got "
                f"{shape}, which depends",
                "mark the argument static (static_argnums, static_argnames), or make the array "
                "of the largest size and mask it",
            )
        if not hasattr(size, "__index__"):
            raise TypeError(
                source.located(
                    "Shapes must be 1D sequences of concrete values of integer type, got "
                    f"{shape!r}",
                    "an array has a whole number of elements along each dimension",
                    "int(...), or // instead of /",
                )
            )
    return tuple(map(operator.index, sizes))
