"""What describes values: their dtype, their shape as an array, how exact they must be."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.types import is_value, typeof
from fornax.lax.broadcasting import full
from fornax.lax.shapes import sizes
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["AccuracyMode", "Tolerance", "dtype", "shape_as_value"]


class AccuracyMode(enum.Enum):
    """How exact a function of one number must be. Every one is as exact as `HIGHEST` asks for."""

    HIGHEST = 1
    DEFAULT = 2


class Tolerance:
    """How far a function of one number may be from the truth: a bound, always kept here.

    atol, rtol: absolute and relative. ulps: in units in the last place. Raises ValueError for
    negative ones.
    """

    def __init__(self, atol: float = 0.0, rtol: float = 0.0, ulps: int = 0) -> None:
        if atol < 0 or rtol < 0 or ulps < 0:
            raise ValueError(
                located(
                    f"Tolerances must be non-negative, got atol={atol}, rtol={rtol}, ulps={ulps}",
                    attempt="0 for exact equality",
                )
            )
        self.atol, self.rtol, self.ulps = atol, rtol, ulps

    def __repr__(self) -> str:
        return f"Tolerance(atol={self.atol}, rtol={self.rtol}, ulps={self.ulps})"


def dtype(x: Any) -> Any:
    """The dtype that an array, a number, or a type has in programs.

    Raises ValueError for None, TypeError for what has no dtype or one that arrays cannot have.
    """
    if x is None:
        raise ValueError(
            located(
                "Invalid argument to dtype: None.", attempt="lax.dtype(x) of an array, or 'float32'"
            )
        )
    if isinstance(x, type | str | np.dtype | dtypes.ExtendedDtype):
        found = dtypes.canonical(x)
        kinds = (np.number, np.bool_, dtypes.extended)
        if found != dtypes.float0 and not any(dtypes.issubdtype(found, kind) for kind in kinds):
            raise TypeError(
                located(
                    f"dtype {found} is not one that arrays have: only numbers and booleans",
                    attempt="'float32', 'int32', 'bool' and the like; NumPy's own functions for "
                    "other dtypes",
                )
            )
        return found
    if not is_value(x):
        if hasattr(x, "dtype"):  # what describes an array
            return dtype(x.dtype)
        raise TypeError(
            located(f"Cannot determine dtype of {x}", attempt="numpy.asarray(x).dtype, or a number")
        )
    return typeof(x).dtype


def shape_as_value(shape: Sequence[int]) -> Any:
    """A shape as a vector of integers: int32, or int64 if a size needs it."""
    shape = sizes(shape)
    if not shape:
        return full((0,), np.int32(0))
    wide = max(shape) > np.iinfo(np.int32).max
    return np.asarray(shape, np.int64 if wide else np.int32)
