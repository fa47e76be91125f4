"""Promotion: NumPy-like functions first bring their operands to one dtype and shape."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import _native, settings
from fornax.ir.basis import broadcast_in_dim
from fornax.ir.trace import Tracer
from fornax.ir.types import ArrayType, typeof
from fornax.numpy import methods  # noqa: F401  (arrays get their operators)
from fornax.numpy.accepted import check, concrete_form, is_arraylike
from fornax.primitives.convert import convert_element_type
from fornax.runtime.values import to_array
from fornax.scalars import dtypes
from fornax.scalars.dtypes import Dtype
from fornax.scalars.promotion import inexact, promote
from fornax.source import located

__all__ = [
    "align", "as_dtype", "as_value", "broadcast_shapes", "broadcast_to", "check",
    "concrete_form", "is_arraylike", "joint_dtype", "promote_dtypes", "promote_inexact", "scalar",
]  # fmt: skip

Array = _native.Array
_SCALARS = (bool, int, float, complex)
_NUMBERS = (*_SCALARS, np.generic)


def as_dtype(x: Any, dtype: Dtype, weak: bool = False) -> Any:
    """`x` with a dtype: Python and NumPy scalars directly, arrays by conversion."""
    if x.__class__ is float and dtype is _FLOAT32 and not weak and -_FITS < x < _FITS:
        return np.float32(x)  # most constants of most programs
    if not isinstance(x, Tracer) and isinstance(x, _NUMBERS):
        return _weak_scalar(x, dtype) if weak else _wrapped(x, dtype)
    type = typeof(x)
    if type.dtype == dtype and type.weak_type == weak:
        return x
    return convert_element_type(x, dtype, weak)


_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
#: what float32 holds without overflow
_FITS = 1e38
_PYTHON = {"b": bool, "i": int, "f": float, "c": complex}


def _weak_scalar(x: Any, dtype: Dtype) -> Any:
    """A weakly typed number: a Python one where its dtype is the default of its kind."""
    if type(x) is float and typeof(x).dtype is dtype:  # most constants of most programs
        if dtype is _FLOAT64:
            return x
        if dtype is _FLOAT32 and -_FITS < x < _FITS:
            return float(np.float32(x))
    value = _wrapped(x, dtype)
    kind = _PYTHON.get(dtype.kind)
    if kind is not None and typeof(kind(0)).dtype == dtype:
        return kind(value)
    return _native.from_numpy(np.asarray(value), True, True)


def _wrapped(x: Any, dtype: Dtype) -> Any:
    """`scalar`, but integers of the default dtype wrap as conversions of arrays do."""
    if dtype is _FLOAT32 and type(x) is float and -_FITS < x < _FITS:
        return np.float32(x)
    if isinstance(x, int) and not isinstance(x, bool) and dtypes.is_integer(dtype):
        default = dtypes.iinfo(typeof(0).dtype)
        if default.min <= x <= default.max:
            return np.asarray(x).astype(dtype)[()]
    return scalar(x, dtype)


def as_value(x: Any) -> Any:
    """A number as an array of rank 0; arrays and tracers as they are."""
    if isinstance(x, _SCALARS) or isinstance(x, np.generic):
        type = typeof(x)
        return _native.from_numpy(np.asarray(_wrapped(x, type.dtype)), type.weak_type, True)
    return x if isinstance(x, Tracer) else to_array(x)


def scalar(x: Any, dtype: Dtype) -> Any:
    """A Python or NumPy number as a NumPy scalar. Raises OverflowError when it does not fit."""
    if isinstance(x, int) and not isinstance(x, bool) and dtypes.is_integer(dtype):
        limits = dtypes.iinfo(dtype)
        if not limits.min <= x <= limits.max:
            raise OverflowError(
                located(
                    f"Python int {x} too large to convert to {dtype.name}"
                    if x > 0
                    else f"Python integer {x} out of bounds for {dtype.name}",
                    f"{dtype.name} holds the numbers from {limits.min} to {limits.max}",
                    f"numpy.array({x}).astype({dtype.name!r}), which wraps it"
                    if -(2**31) <= x < 2**31
                    else f"numpy.array({x}, 'float32'), or jax_enable_x64 for integers of 64 bits",
                )
            )
    value = np.asarray(x)
    if value.dtype.kind == "c" and not dtypes.is_complex(dtype) and dtype != dtypes.bool_:
        value = value.real
    with np.errstate(all="ignore"):
        return value.astype(dtype)[()]


@functools.lru_cache(maxsize=8192)
def _joint(types: tuple[ArrayType, ...], _: settings.Settings) -> tuple[Dtype, bool]:
    return promote([(t.dtype, t.weak_type) for t in types])


def joint_dtype(*types: ArrayType) -> tuple[Dtype, bool]:
    """The promoted (dtype, weak) of several types."""
    return _joint(types, settings.current())


def promote_dtypes(*args: Any) -> list[Any]:
    """The arguments with their joint dtype."""
    args, types = _typed(args)
    return _converted(args, types, *joint_dtype(*types))


def _converted(
    args: Sequence[Any], types: Sequence[ArrayType], dtype: Dtype, weak: bool
) -> list[Any]:
    """The arguments, whose types are known, with a dtype."""
    return [
        x
        if t.dtype is dtype and t.weak_type is weak and isinstance(x, Tracer)
        else as_dtype(x, dtype, weak)
        for x, t in zip(args, types, strict=True)
    ]


def _typed(args: tuple[Any, ...]) -> tuple[Sequence[Any], list[ArrayType]]:
    """The arguments, those with `__jax_array__` as the arrays behind them, and their types."""
    try:
        return args, [typeof(x) for x in args]
    except TypeError:
        args = tuple(concrete_form(x) for x in args)
        return args, [typeof(x) for x in args]


def promote_inexact(*args: Any) -> list[Any]:
    """The arguments with their joint dtype, a floating one for integers."""
    args, types = _typed(args)
    dtype, weak = joint_dtype(*types)
    if not dtypes.is_inexact(dtype):
        dtype = inexact(dtype)
    return _converted(args, types, dtype, weak)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to. Raises ValueError if they do not."""
    rank = max((len(s) for s in shapes), default=0)
    result = []
    for position in range(-rank, 0):
        sizes = {s[position] for s in shapes if len(s) >= -position and s[position] != 1}
        if len(sizes) > 1:
            raise ValueError(
                located(
                    f"Incompatible shapes for broadcasting: shapes={[tuple(s) for s in shapes]}",
                    "shapes are compared from the right; sizes have to be equal, or one of them 1",
                    "x[:, None] or reshape to say along which dimension an array is repeated",
                )
            )
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """`x` repeated to `shape` by NumPy's rules."""
    shape = tuple(shape)
    old = typeof(x).shape
    if old == shape:
        return x
    offset = len(shape) - len(old)
    if offset < 0 or any(n != 1 and n != shape[offset + k] for k, n in enumerate(old)):
        raise ValueError(
            located(
                f"Incompatible shapes for broadcasting: {old} and requested shape {shape}",
                "only dimensions of size 1, and new ones in front, can be repeated",
                "reshape or x[:, None], so that sizes agree from the right",
            )
        )
    return broadcast_in_dim(x, shape, range(offset, len(shape)))


def align(*args: Any) -> list[Any]:
    """The arguments with equal shapes; scalars stay scalars, for operations repeat them."""
    shapes = [typeof(x).shape for x in args]
    big = [s for s in shapes if s]
    if len(big) < 2 or big.count(big[0]) == len(big):
        return list(args)
    _check_ranks(big)
    if len({len(s) for s in big}) == 1 and not _fit(big):
        return list(args)  # the operation refuses them, and names itself
    shape = broadcast_shapes(*shapes)
    return [broadcast_to(x, shape) if s else x for x, s in zip(args, shapes, strict=True)]


def _fit(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether shapes of one rank broadcast."""
    return all(len({n for n in sizes if n != 1}) <= 1 for sizes in zip(*shapes, strict=True))


def _check_ranks(shapes: Sequence[tuple[int, ...]]) -> None:
    mode = settings.current().numpy_rank_promotion
    if mode == "allow" or len({len(s) for s in shapes}) == 1:
        return
    shown = " ".join(map(str, shapes))
    advice = (
        "a forgotten dimension often goes unnoticed when arrays of fewer dimensions are repeated",
        "reshape or expand_dims explicitly, or jax_numpy_rank_promotion='allow'",
    )
    if mode == "raise":
        raise ValueError(
            located(
                f"Operands could not be broadcast together on shapes {shown} and with the config "
                "option jax_numpy_rank_promotion='raise'.",
                *advice,
            )
        )
    warnings.warn(
        located(f"Following NumPy automatic rank promotion on shapes {shown}.", *advice),
        stacklevel=3,
    )
