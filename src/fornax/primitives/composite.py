"""The operations `composite`, a named call, and `optimization_barrier`."""

from __future__ import annotations

import numpy as np

from fornax.ir.primitive import Primitive
from fornax.primitives.call import ProgramCall, map_program
from fornax.source import located

__all__ = ["composite_p", "optimization_barrier_p"]


class Composite(ProgramCall):
    """Run `jaxpr`, under a name that other compilers may know. It has no derivative."""

    def jvp(self, primals, tangents, **_):
        raise ValueError(
            located(
                "JVP rule for composite not implemented. You can use `jax.custom_jvp` to add "
                "support.",
                attempt="custom_jvp around the composite, or jvp of the function it is made of",
            )
        )

    def transpose(self, cotangents, *operands, **_):
        raise ValueError(
            located(
                "Transpose rule for composite not implemented. You can use `jax.custom_jvp` or "
                "`jax.custom_vjp` to add support.",
                attempt="custom_vjp around the composite, or grad of the function it is made of",
            )
        )

    def batch_named(self, axis_name, size, operands, dims, *, jaxpr, **params):
        fronted, program, out_dims = map_program(jaxpr, axis_name, size, operands, dims)
        return self.bind(*fronted, jaxpr=program, **params), out_dims


class OptimizationBarrier(Primitive):
    """The operand, in memory of its own: nothing is fused or merged across it."""

    linear = True
    cost = 0

    def type(self, x):
        return [x]

    def reference(self, x):
        return [np.asarray(x)]

    def transpose(self, cotangents, x):
        return list(cotangents)

    def leading(self):
        return {}

    def batch(self, size, operands, dims):
        return self.bind(*operands), list(dims)

    def element(self, b, types, operands, index):
        return [operands[0](index)]


composite_p = Composite("composite")
optimization_barrier_p = OptimizationBarrier("optimization_barrier")
