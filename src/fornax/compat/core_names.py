"""`jax.core`: Fornax's, and the table of the classes of values that libraries add to."""

from __future__ import annotations

import warnings
from typing import Any

from fornax import core
from fornax.compat import programs
from fornax.compat.value_types import pytype_aval_mappings

__all__ = [*core.__all__, "pytype_aval_mappings"]


#: what moved to `jax.extend.core`
_MOVED = ("find_top_trace", "get_opaque_trace_state")


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        warnings.warn(
            f"jax.core.{name} is deprecated. Use jax.extend.core.{name}.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(programs, name)
    return getattr(core, name)
