"""Types for annotations: JAX's `jax.typing`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.numpy.methods import Array

__all__ = ["ArrayLike", "DTypeLike"]

#: what functions accept as an array
ArrayLike = Array | np.ndarray | np.generic | bool | int | float | complex
#: what functions accept as a dtype
DTypeLike = Any
