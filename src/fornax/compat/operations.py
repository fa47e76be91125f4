"""The operations of programs by name: JAX's `jax.extend.core.primitives`."""

from __future__ import annotations

from typing import Any

from fornax.ir.primitive import REGISTRY
from fornax.lax import operations
from fornax.primitives.call import jit_p
from fornax.source import located

__all__ = ["call_p", "closed_call_p", "jit_p"]

#: calls of programs are one operation here
call_p = closed_call_p = jit_p


def __getattr__(name: str) -> Any:
    found = getattr(operations, name, None) or REGISTRY.get(name.removesuffix("_p"))
    if found is None:
        raise AttributeError(
            located(
                f"module {__name__!r} has no attribute {name!r}",
                attempt="the public function in fornax.lax; docs/parity.md lists what is there",
            ),
            name=name,
        )
    return found
