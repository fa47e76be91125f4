"""What samplers have in common: one unit in programs, checked shapes and dtypes."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Sequence
from typing import Any

from fornax import _native, settings
from fornax.api.jit import jit
from fornax.ir.requested import requested
from fornax.ir.static import static_shape
from fornax.ir.trace import current
from fornax.ir.types import typeof
from fornax.lax.broadcasting import broadcast_shapes
from fornax.runtime.eager import PROMOTE_AFTER
from fornax.scalars import dtypes
from fornax.scalars.promotion import promote
from fornax.source import located

__all__ = [
    "check_cast", "check_shape", "common_shape", "float_dtype", "integer_dtype", "sampler",
    "shape_of",
]  # fmt: skip


class _Sampler:
    """A function of arrays, with static keyword arguments, that is one call in programs.

    If its results are exact, it runs operation by operation outside of transformations until that
    has cost more than compiling it would. Where rounding comes in, it is compiled at once: numbers
    must not depend on how often they were asked for.
    """

    def __init__(self, function: Callable[..., Any], exact: bool):
        functools.update_wrapper(self, function)
        self.function = function
        self.exact = exact
        self.jitted: dict[tuple[str, ...], Any] = {}
        self.spent: collections.Counter = collections.Counter()

    def __call__(self, *arrays: Any, **static: Any) -> Any:
        if not self.exact or current() is not None:
            return self.run(arrays, static)
        key = (settings.current(), *map(typeof, arrays), *static.items())
        if self.spent[key] > PROMOTE_AFTER:
            return self.run(arrays, static)
        before = _native.work()
        result = self.function(*arrays, **static)
        self.spent[key] += _native.work() - before
        return result

    def run(self, arrays: Sequence[Any], static: dict[str, Any]) -> Any:
        names = tuple(static)
        jitted = self.jitted.get(names)
        if jitted is None:
            jitted = self.jitted[names] = jit(self.function, static_argnames=names)
        return jitted(*arrays, **static)


def sampler(function: Callable[..., Any] | None = None, *, exact: bool = False) -> Any:
    """A decorator for functions (key, *arrays, **static) whose results may be exact."""
    if function is None:
        return functools.partial(sampler, exact=exact)
    return _Sampler(function, exact)


def float_dtype(name: str, dtype: Any) -> Any:
    """The floating dtype of a result, the default one for None. Raises ValueError for others."""
    chosen = requested(dtype, float)
    if not dtypes.is_floating(chosen):
        raise ValueError(
            located(
                f"dtype argument to `{name}` must be a float dtype, got {chosen}",
                attempt="'float32', and astype for others",
            )
        )
    return chosen


def integer_dtype(name: str, dtype: Any, error: type[Exception] = ValueError) -> Any:
    """The integer dtype of a result, the default one for None."""
    chosen = requested(dtype, int)
    if not dtypes.is_integer(chosen):
        raise error(
            located(
                f"dtype argument to `{name}` must be an int dtype, got {chosen}",
                attempt="'int32', and astype for others",
            )
        )
    return chosen


def shape_of(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape as a tuple of integers. Raises ValueError for negative ones."""
    found = static_shape(shape)
    if any(n < 0 for n in found):
        raise ValueError(
            located(
                f"shapes must not have negative dimensions, got {found}",
                "there is nothing from which a size could follow",
                "the size as a Python integer",
            )
        )
    return found


def check_shape(name: str, shape: tuple[int, ...], *shapes: tuple[int, ...]) -> None:
    """Raise ValueError unless arrays of `shapes` broadcast to `shape`."""
    found = broadcast_shapes(shape, *shapes)
    if found != shape:
        raise ValueError(
            located(
                f"{name} parameter shapes must be broadcast-compatible with shape argument, and "
                "the result of broadcasting the shapes must equal the shape argument, but got "
                f"result {found} for shape argument {shape}.",
                attempt="a shape that ends with the shape of the parameters, or None",
            )
        )


def common_shape(name: str, shape: Sequence[int] | None, *arrays: Any) -> tuple[int, ...]:
    """The shape asked for, or that of the arrays together. Raises ValueError if it does not fit."""
    shapes = [typeof(x).shape for x in arrays]
    if shape is None:
        return broadcast_shapes(*shapes)
    shape = shape_of(shape)
    check_shape(name, shape, *shapes)
    return shape


def check_cast(name: str, dtype: Any, *arrays: Any) -> None:
    """Raise TypeError for an array that `dtype` cannot hold by promotion."""
    for x in arrays:
        type = typeof(x)
        found, _ = promote([(type.dtype, type.weak_type), (dtype, False)])
        if found != dtype:
            raise TypeError(
                located(
                    f"In arguments to {name}, cannot safely cast argument of type "
                    f"{type.dtype.name} to {dtype.name}",
                    attempt=f"astype({dtype.name!r}) yourself, if rounding is meant",
                )
            )
