"""`jax.core`: Fornax's, and the table of the classes of values that libraries add to."""

from __future__ import annotations

from typing import Any

from fornax import core
from fornax.compat.value_types import pytype_aval_mappings

__all__ = [*core.__all__, "pytype_aval_mappings"]


def __getattr__(name: str) -> Any:
    return getattr(core, name)
