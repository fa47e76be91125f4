"""Quotients by what stays the same in a loop, as products by its reciprocal.

A division takes ten times as long as a product. Where many lanes are divided by one number, as a
row is by its sum, a product by the reciprocal is within a unit in the last place of the quotient,
and what then remains of the dividend, which an fma knows exactly, corrects it: the result is the
quotient as the division rounds it (Markstein, 1990: Computation of elementary functions on the
IBM RISC System/6000 processor). Where a dividend is so small that the remainder is not
representable, it may be the neighbour of it.
"""

from __future__ import annotations

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.estimate import Estimate, Loop, trips
from fornax.compiler.loop.ir import Expr, For, Kernel
from fornax.compiler.loop.math_arithmetic import FORMATS
from fornax.compiler.target import Target

#: vectors of quotients from which on a reciprocal pays
FEW = 4


def shared_divisors(kernel: Kernel, target: Target) -> frozenset[Expr]:
    """The divisions in vector loops whose divisor is known outside of the innermost loop."""
    if not target.fma:
        return frozenset()
    estimate = Estimate(kernel.body, target)
    return frozenset(
        node
        for node in estimate.nodes
        if node.kind == "op"
        and node.data == "div"
        and node.dtype in FORMATS
        and pays(estimate, node)
    )


def pays(estimate: Estimate, quotient: Expr) -> bool:
    where, known = estimate.inner[quotient], estimate.inner[quotient.args[1]]
    if where is None or estimate.depth[known] >= estimate.depth[where]:
        return False
    vector = lanes(estimate, where)
    if vector is None:
        return False
    count = trips(where) // vector.lanes if where is vector else trips(where)
    return count >= FEW


def lanes(estimate: Estimate, loop: Loop | None) -> For | None:
    """The vector loop that a loop is, or is inside of."""
    while loop is not None:
        if isinstance(loop, For) and loop.kind == "vector":
            return loop
        loop = estimate.parent[loop]
    return None


def quotient(b: Builder, x: Expr, y: Expr) -> Expr:
    """x / y, with what depends on y alone apart."""
    format = FORMATS[x.dtype]

    def const(value: float) -> Expr:
        return b.const(value, x.dtype)

    # a positive divisor leaves zeros their sign; its reciprocal has to be finite and normal
    size, up = b.abs(y), const(2.0**format.digits)
    scale = b.select(b.lt(size, const(format.smallest_normal)), up, const(1.0))
    is_huge = b.lt(const(2.0 ** (format.bias - 3)), size)
    scale = b.copysign(b.select(is_huge, const(2.0**-format.digits), scale), y)
    divisor = b.mul(y, scale)
    reciprocal = b.div(const(1.0), divisor)
    dividend = b.mul(x, scale)
    near = b.mul(dividend, reciprocal)
    beyond = b.op("fma", near, divisor, b.neg(dividend))
    # infinities and NaN, of which nothing remains, stay beside a product of finite numbers
    most, least = const(format.largest), const(-format.largest)
    beyond = b.select(b.lt(beyond, most), beyond, most)
    beyond = b.select(b.lt(least, beyond), beyond, least)
    finite = b.select(b.lt(reciprocal, most), reciprocal, most)
    return b.op("fma", beyond, b.neg(finite), near)
