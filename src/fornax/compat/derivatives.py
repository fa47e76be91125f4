"""The values of differentiation by JAX's names: parts of `jax.interpreters.ad`."""

from __future__ import annotations

from typing import Any

from fornax.compat.foreign import deflinear, primitive_jvps, primitive_transposes
from fornax.ir.basis import instantiate as instantiate_zeros
from fornax.ir.primitive import Linear as UndefinedPrimal
from fornax.ir.primitive import Zero
from fornax.transforms.jvp import JVPTracer

__all__ = [
    "JVPTracer", "UndefinedPrimal", "Zero", "deflinear", "instantiate_zeros",
    "is_undefined_primal", "primitive_jvps", "primitive_transposes",
]  # fmt: skip


def is_undefined_primal(x: Any) -> bool:
    """Whether x stands for an operand that is linear, of which only the type is known."""
    return isinstance(x, UndefinedPrimal)
