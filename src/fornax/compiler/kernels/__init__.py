"""Heavy operations: those that own their loop nest.

`KERNELS` maps a primitive's name to the function that emits its nests through a `KernelContext`.
`STARTS_AS` names the operations whose result begins as a copy of an operand.
"""

from fornax.compiler.kernels.context import KernelContext, MemoryContext
from fornax.compiler.kernels.limits import LARGEST, is_small
from fornax.ir.jaxpr import Equation
from fornax.lazy import Table

__all__ = ["KERNELS", "STARTS_AS", "KernelContext", "MemoryContext", "has_kernel"]

#: primitive name -> function of a `KernelContext` that emits its nests; loaded at first use.
KERNELS = Table(
    __name__,
    {
        "cholesky": ("cholesky",),
        "concatenate": ("concatenate",),
        "cumulative": ("cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "cumsumexp"),
        "dot": ("dot_general",),
        "fourier": ("dft",),
        "lu": ("lu",),
        "scatter": {
            "scatter": "scatter_set", "scatter-add": "scatter_add", "scatter-sub": "scatter_sub",
            "scatter-mul": "scatter_mul", "scatter-min": "scatter_min",
            "scatter-max": "scatter_max",
        },
        "sort": ("sort",),
        "top_k": ("top_k",),
        "triangular": ("triangular_solve",),
        "true_positions": ("true_positions",),
        "update": ("dynamic_update_slice",),
    },
)  # fmt: skip

#: primitive name -> operand whose contents result 0 starts with. The planner makes the two the
#: same memory when the operand dies there and copies it first otherwise; the kernel then only
#: writes what changes.
STARTS_AS: dict[str, int] = dict.fromkeys(
    (*(name for name in KERNELS if name.startswith("scatter")), "dynamic_update_slice"), 0
)


def has_kernel(equation: Equation) -> bool:
    """Whether a kernel computes an operation: matrices above some size are left to LAPACK."""
    name = equation.primitive.name
    return name in KERNELS and (name not in LARGEST or is_small(equation))
