"""LAPACK's routines themselves: NumPy's functions around them take longer than small matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.scalars import dtypes
from fornax.source import located

#: rows and columns up to which NumPy's loop over a stack, which asks for threads and copies more,
#: is quicker than a loop of Python's
SHORT = 12
#: columns that routines for whole matrices work on at once, at most
BLOCK = 64
LETTERS = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}


def lapack(x: Any, real: str, complex: str = "") -> Callable[..., Any]:
    """The LAPACK routine for the dtype of an array, by its name for real and complex numbers."""
    from scipy.linalg import lapack

    name = complex if complex and dtypes.is_complex(x.dtype) else real
    return getattr(lapack, LETTERS[x.dtype.name] + name)


def checked(info: int) -> None:
    """Raise LinAlgError if a routine says that it failed."""
    if info:
        raise np.linalg.LinAlgError(
            located(f"LAPACK: {info}", attempt="finite numbers; numpy.isfinite(a).all() tells")
        )


def is_short(x: np.ndarray) -> bool:
    """Whether NumPy's loop over a stack takes less time."""
    return x.ndim > 2 and max(x.shape[-2:]) <= SHORT
