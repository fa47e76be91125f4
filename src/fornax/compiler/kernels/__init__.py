"""Heavy operations: those that own their loop nest.

`KERNELS` maps a primitive's name to the function that emits its nests through a `KernelContext`.
`STARTS_AS` names the operations whose result begins as a copy of an operand.
"""

from __future__ import annotations

from collections.abc import Callable

from fornax.compiler.kernels import concatenate, cumulative, dot, scatter, update
from fornax.compiler.kernels.context import KernelContext, MemoryContext

__all__ = ["KERNELS", "STARTS_AS", "KernelContext", "MemoryContext"]

#: primitive name -> function that emits its nests.
KERNELS: dict[str, Callable[[KernelContext], None]] = {
    "dot_general": dot.dot_general,
    **cumulative.KERNELS,
    **scatter.KERNELS,
    "dynamic_update_slice": update.dynamic_update_slice,
    "concatenate": concatenate.concatenate,
}

#: primitive name -> operand whose contents result 0 starts with. The planner makes the two the
#: same memory when the operand dies there and copies it first otherwise; the kernel then only
#: writes what changes.
STARTS_AS: dict[str, int] = {**dict.fromkeys(scatter.KERNELS, 0), "dynamic_update_slice": 0}
