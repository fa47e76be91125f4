"""A cumulative operation: what it combines with and how it indexes its array."""

from __future__ import annotations

import math

from fornax.compiler.kernels.context import KernelContext, parts
from fornax.compiler.kernels.product import Index
from fornax.compiler.loop.builder import Builder, Value, compute_dtype, identity
from fornax.compiler.loop.ir import (
    COMBINERS,
    COMPLEX,
    Buffer,
    Carried,
    Carry,
    Expr,
    Pair,
    Statement,
    Store,
)

#: Elements worth a thread of their own.
WORTH_A_THREAD = 1 << 15


class Scan:
    """One cumulative operation over `axis`, from the end where `reverse`.

    Values are complex or real; buffers of values have the part as their first dimension.
    """

    def __init__(self, k: KernelContext, combiner: str):
        self.k, self.b = k, k.b
        self.shape = k.inputs[0].shape
        self.axis = k.params["axis"] % len(self.shape)
        self.reverse = bool(k.params.get("reverse", False))
        self.dtype = k.outputs[0].dtype_name
        self.complex = self.dtype in COMPLEX
        self.part = COMPLEX.get(self.dtype) or compute_dtype(self.dtype)
        if self.dtype == "bool":
            combiner = {"add": "or", "mul": "and", "max": "or", "min": "and"}[combiner]
        self.combiner = combiner
        self.parts = 2 if self.complex else 1

    @property
    def in_lanes(self) -> bool:
        """Whether a loop along the axis can hold its running values in lanes."""
        return self.combiner in COMBINERS and not self.complex

    @property
    def length(self) -> int:
        return self.shape[self.axis]

    def combine(self, total: Value, x: Value) -> Value:
        if self.combiner == "logaddexp":
            return logaddexp(self.b, total, x)
        return self.b.op(self.combiner, total, x)

    def start(self) -> Value:
        """What changes nothing (but the sign of a zero that is added to it)."""
        extreme = self.combiner in ("min", "max")
        if self.combiner == "logaddexp":
            start = -math.inf
        else:
            start = identity(self.combiner, self.part)
        real = self.b.const(start, self.part)
        if not self.complex:
            return real
        return Pair(real, real if extreme else self.b.const(0.0, self.part))

    def carries(self, name: str) -> tuple[Carry, ...]:
        return tuple(Carry(self.part, name) for _ in range(self.parts))

    def value(self, expressions: tuple[Expr, ...]) -> Value:
        return Pair(*expressions) if self.complex else expressions[0]

    def read(self, index: Index) -> Value:
        return self.k.operand(0, index)

    def write(self, index: Index, value: Value) -> tuple[Statement, ...]:
        return self.k.store(0, index, self.b.cast(value, self.dtype))

    def along(self, position: Expr) -> Expr:
        """The index along the axis of the `position`-th element to combine."""
        return self.b.sub(self.b.index(self.length - 1), position) if self.reverse else position

    def load(self, buffer: Buffer, *index: Expr) -> Value:
        """A value from a buffer whose first dimension is the part."""
        b = self.b
        return self.value(tuple(b.load(buffer, (b.index(p), *index)) for p in range(self.parts)))

    def save(self, buffer: Buffer, value: Value, *index: Expr) -> tuple[Statement, ...]:
        b = self.b
        return tuple(Store(buffer, (b.index(p), *index), v) for p, v in enumerate(parts(value)))

    def carried(
        self, carries: tuple[Carry, ...], start: Value, after: Value, combiner: str | None = None
    ) -> tuple[Carried, ...]:
        fields = zip(carries, parts(start), parts(after), strict=True)
        return tuple(Carried(c, s, n, combiner) for c, s, n in fields)


def logaddexp(b: Builder, x: Value, y: Value) -> Value:
    """log(exp(x) + exp(y)) without overflow.

    Complex numbers are ordered by their real parts; imaginary parts lie in [-pi, pi).
    """
    real_x, real_y = parts(x)[0], parts(y)[0]
    larger = b.or_(b.ge(real_x, real_y), b.ne(real_x, real_x))
    most, least = b.select(larger, x, y), b.select(larger, y, x)
    top = parts(most)[0]
    infinite = b.eq(b.abs(top), b.const(math.inf, top.dtype))
    total = b.add(most, b.log1p(b.exp(b.sub(least, most))))
    result = b.select(infinite, most, total)
    if not isinstance(result, Pair):
        return result
    half, turn = (b.const(v, top.dtype) for v in (math.pi, 2 * math.pi))
    turns = b.floor(b.div(b.add(result.imag, half), turn))
    return Pair(result.real, b.sub(result.imag, b.mul(turns, turn)))
