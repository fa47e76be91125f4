"""A cumulative operation: what it combines with and how it indexes its array.

The state of a running combination is a tuple of expressions, and so is what is read per element.
Sums and products have one or two of each, the parts of a number. Sums of exponentials (`cumsumexp`,
and `cumlogsumexp`, where all weights are 1) are states (c, s, e): the sum so far is (s - e) exp(c).
c is an exponent that was met and lies at most 1 below the largest one, so that it changes rarely;
e is what rounding added to s, which makes errors independent of how many numbers are added up.
"""

from __future__ import annotations

import math

from fornax.compiler.kernels.context import KernelContext, parts
from fornax.compiler.kernels.product import Index
from fornax.compiler.loop.builder import Value, compute_dtype, identity
from fornax.compiler.loop.ir import (
    COMBINERS,
    COMPLEX,
    Axis,
    Buffer,
    Carried,
    Carry,
    Expr,
    For,
    Pair,
    Statement,
    Store,
)

#: Elements worth a thread of their own.
WORTH_A_THREAD = 1 << 15

State = tuple[Expr, ...]


class Scan:
    """One cumulative operation over `axis`, from the end where `reverse`.

    Buffers of states and of what is read have the part as their first dimension.
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
        #: expressions of a number, of a state that goes on, and of what is read per element
        self.numbers = 2 if self.complex else 1
        self.states = self.items = self.numbers

    @property
    def in_lanes(self) -> bool:
        """Whether a loop along the axis can hold its running values in lanes: those of complex
        numbers where their parts have nothing to do with each other."""
        return self.combiner in COMBINERS and (not self.complex or self.combiner == "add")

    @property
    def length(self) -> int:
        return self.shape[self.axis]

    def start(self) -> State:
        """What changes nothing (but the sign of a zero that is added to it)."""
        extreme = self.combiner in ("min", "max")
        real = self.b.const(identity(self.combiner, self.part), self.part)
        if not self.complex:
            return (real,)
        return real, real if extreme else self.b.const(0.0, self.part)

    def read(self, index: Index) -> State:
        """What is read of an element."""
        return parts(self.k.operand(0, index))

    def step(self, state: State, item: State) -> State:
        """The state with one more element."""
        return self.merge(state, item)

    def merge(self, state: State, later: State) -> State:
        """The state of all that two states hold."""
        return parts(self.b.op(self.combiner, self.value(state), self.value(later)))

    def result(self, state: State, item: State) -> State:
        """The result at the element that was added last."""
        return state

    def combined(self, axis: Axis, items: State) -> tuple[tuple[For, ...], State]:
        """Loops over `axis` that combine all `items`, and the state after them."""
        carries = self.carries("total")
        after = self.step(tuple(map(self.b.carry, carries)), items)
        combiner = self.combiner if self.in_lanes else None
        loop = For(axis, (), self.carried(carries, self.start(), after, combiner))
        return (loop,), tuple(map(self.b.final, carries))

    # --- numbers and memory ---
    def value(self, expressions: State) -> Value:
        return Pair(*expressions) if self.complex else expressions[0]

    def write(self, index: Index, numbers: State) -> tuple[Statement, ...]:
        return self.k.store(0, index, self.b.cast(self.value(numbers), self.dtype))

    def along(self, position: Expr) -> Expr:
        """The index along the axis of the `position`-th element to combine."""
        return self.b.sub(self.b.index(self.length - 1), position) if self.reverse else position

    def carries(self, name: str) -> tuple[Carry, ...]:
        return tuple(Carry(self.part, name) for _ in range(self.states))

    def carried(
        self, carries: tuple[Carry, ...], start: State, after: State, combiner: str | None = None
    ) -> tuple[Carried, ...]:
        fields = zip(carries, start, after, strict=True)
        return tuple(Carried(c, s, n, combiner) for c, s, n in fields)

    def load(self, buffer: Buffer, *index: Expr) -> State:
        """All parts of what a buffer holds."""
        b = self.b
        return tuple(b.load(buffer, (b.index(p), *index)) for p in range(buffer.shape[0]))

    def save(self, buffer: Buffer, values: State, *index: Expr) -> tuple[Statement, ...]:
        return tuple(Store(buffer, (self.b.index(p), *index), v) for p, v in enumerate(values))


class Exponentials(Scan):
    """Running sums of exponentials: their logarithms, or weighted ones, scaled down by others."""

    def __init__(self, k: KernelContext, combiner: str):
        super().__init__(k, combiner)
        self.weighted = len(k.inputs) > 1
        self.states = 1 + 2 * self.numbers
        #: the exponent, its weight where that is not 1, and what results are scaled down by
        self.items = 3 if self.weighted else 2 * self.numbers - 1

    @property
    def in_lanes(self) -> bool:
        return False

    def start(self) -> State:
        zero = self.b.const(0.0, self.part)
        return (self.b.const(-math.inf, self.part), *(zero,) * (2 * self.numbers))

    def read(self, index: Index) -> State:
        b, k = self.b, self.k
        if self.weighted:
            weight, inner, outer = (b.cast(k.operand(i, index), self.part) for i in range(3))
            return inner, weight, outer
        exponent, *angle = parts(k.operand(0, index))
        return (exponent, *(f(a) for a in angle for f in (b.cos, b.sin)))

    def step(self, state: State, item: State) -> State:
        exponent, *weights = item[: 1 + self.numbers]
        return self.more(state, exponent, tuple(weights) or (self.b.const(1.0, self.part),))

    def merge(self, state: State, later: State) -> State:
        return self.more(state, later[0], self.total(later))

    def more(self, state: State, exponent: Expr, weights: State) -> State:
        """The state with more exponentials."""
        b = self.b
        zero = b.const(0.0, self.part)
        apart = self.gap(exponent, state[0])
        grows = b.gt(apart, b.const(1.0, self.part))
        share = b.exp(b.select(grows, b.neg(apart), apart))
        sums, errors = [], []
        for weight, total, error in zip(weights, *self.halves(state), strict=True):
            less, base = b.select(grows, total, weight), b.select(grows, weight, total)
            added = b.sub(b.mul(less, share), b.select(grows, zero, error))
            after = b.add(base, added)
            sums.append(after)
            errors.append(b.sub(b.sub(after, base), added))
        return (b.select(grows, exponent, state[0]), *sums, *errors)

    def result(self, state: State, item: State) -> State:
        b = self.b
        if self.weighted:
            return (b.mul(self.total(state)[0], b.exp(self.gap(state[0], item[2]))),)
        # one of the exponentials is 1 if another is not more: what the others add counts
        real, *imag = (
            b.sub(b.sub(total, one), error)
            for total, error, one in zip(*self.halves(state), self.ones(), strict=True)
        )
        logarithm = parts(b.log1p(Pair(real, *imag) if imag else real))
        return (b.add(state[0], logarithm[0]), *logarithm[1:])

    def combined(self, axis: Axis, items: State) -> tuple[tuple[For, ...], State]:
        """The largest exponent first, then the sum of what is left."""
        b = self.b
        exponent, *weights = items[: 1 + self.numbers]
        top = Carry(self.part, "top")
        lowest = b.const(-math.inf, self.part)
        larger = b.max(b.carry(top), exponent)
        loops = (For(axis, (), (Carried(top, lowest, larger, "max"),)),)
        share = b.exp(self.gap(exponent, b.final(top)))
        sums = tuple(Carry(self.part, "sum") for _ in range(self.numbers))
        zero = b.const(0.0, self.part)
        terms = [b.mul(share, weight) for weight in weights] or [share]
        steps = tuple(
            Carried(c, zero, b.add(b.carry(c), term), "add")
            for c, term in zip(sums, terms, strict=True)
        )
        return (*loops, For(axis, (), steps)), (
            b.final(top), *map(b.final, sums), *(zero,) * self.numbers
        )  # fmt: skip

    def gap(self, x: Expr, y: Expr) -> Expr:
        """x - y; equal infinities have no difference."""
        b = self.b
        return b.select(b.eq(x, y), b.const(0.0, self.part), b.sub(x, y))

    def halves(self, state: State) -> tuple[State, State]:
        return state[1 : 1 + self.numbers], state[1 + self.numbers :]

    def total(self, state: State) -> State:
        return tuple(self.b.sub(s, e) for s, e in zip(*self.halves(state), strict=True))

    def ones(self) -> State:
        return tuple(self.b.const(v, self.part) for v in (1.0, 0.0)[: self.numbers])
