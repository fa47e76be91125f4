"""Builds loop-IR expressions: interns nodes, folds constants, keeps complex values as pairs.

This is the object `b` that `Primitive.element` receives. Values are `Expr` (one scalar) or `Pair`
(complex). Element rules never look inside.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, overload

import numpy as np

from fornax import _native
from fornax.compiler.loop import affine, fold, rounding
from fornax.compiler.loop import complex as complex_rules
from fornax.compiler.loop.ir import (
    COMBINERS,
    COMPARE,
    COMPLEX,
    OPERATIONS,
    STORAGE,
    Axis,
    Buffer,
    Carry,
    Expr,
    Pair,
)
from fornax.errors import InternalError
from fornax.source import located

if TYPE_CHECKING:
    from fornax._native import DtypeName

Value = Expr | Pair


def compute_dtype(dtype: str) -> DtypeName:
    """The dtype an array element is computed in (float32 for bfloat16 …)."""
    return STORAGE.get(dtype, dtype)  # type: ignore[arg-type]  # complex ones are not asked for


class Operation(Protocol):
    """A method of `Builder` for one operation."""

    @overload
    def __call__(self, *args: Expr, dtype: DtypeName | None = None) -> Expr: ...
    @overload
    def __call__(self, *args: Value, dtype: DtypeName | None = None) -> Value: ...


class Builder(_native.Nodes):
    """Makes interned expressions. One builder per kernel; nodes of two builders do not mix."""

    # --- nodes ---
    @overload
    def const(self, value: complex, dtype: DtypeName) -> Expr: ...
    @overload
    def const(self, value: complex, dtype: str) -> Value: ...
    def const(self, value: complex, dtype: str) -> Value:
        """A constant of `dtype` (complex dtypes give a pair; storage dtypes their wide one)."""
        if dtype in COMPLEX:
            value = complex(value)
            part = COMPLEX[dtype]
            return Pair(self.const(value.real, part), self.const(value.imag, part))
        dtype = compute_dtype(dtype)
        return self.node("const", dtype, fold.canonical(value, dtype))

    def new_axis(self, extent: int, name: str = "i") -> Axis:
        """A fresh loop variable."""
        return Axis(extent, name)

    def carry(self, carry: Carry) -> Expr:
        return self.node("carry", carry.dtype, carry)

    def final(self, carry: Carry) -> Expr:
        return self.node("final", carry.dtype, carry)

    # --- memory ---
    @overload
    def load(
        self,
        buffer: Buffer,
        index: Sequence[Expr],
        dtype: None = None,
        mask: Expr | None = None,
        other: Expr | None = None,
    ) -> Expr: ...
    @overload
    def load(
        self,
        buffer: Buffer,
        index: Sequence[Expr],
        dtype: str | None = None,
        mask: Expr | None = None,
        other: Value | None = None,
    ) -> Value: ...
    def load(
        self,
        buffer: Buffer,
        index: Sequence[Expr],
        dtype: str | None = None,
        mask: Expr | None = None,
        other: Value | None = None,
    ) -> Value:
        """Read one element. For a complex array pass its float buffer (…, 2) and its `dtype`."""
        if dtype in COMPLEX:
            others = other if isinstance(other, Pair) else (None, None)
            real, imag = (
                self.load(buffer, (*index, self.index(k)), mask=mask, other=part)
                for k, part in enumerate(others)
            )
            return Pair(real, imag)
        args = tuple(index)
        if mask is not None and not (mask.kind == "const" and mask.data):
            assert isinstance(other, Expr), "a masked load has a value for where it does not read"
            wide = compute_dtype(buffer.dtype)
            loaded = self.node("load", wide, buffer, (*args, mask, other))
        else:
            loaded = self.node("load", compute_dtype(buffer.dtype), buffer, args)
        return loaded

    # --- operations ---
    @overload
    def op(self, name: str, *args: Expr, dtype: DtypeName | None = None) -> Expr: ...
    @overload
    def op(self, name: str, *args: Value, dtype: DtypeName | None = None) -> Value: ...
    def op(self, name: str, *args: Value, dtype: DtypeName | None = None) -> Value:
        """Apply an operation of `ir.OPERATIONS`; complex operands go through `complex` rules.

        `dtype` is the result's dtype where the operands do not give it (cast, bitcast).
        """
        for a in args:
            if a.__class__ is Pair:
                return complex_rules.apply(self, name, args, dtype)
        values: tuple[Expr, ...] = args  # type: ignore[assignment]  # the loop found no pair
        if dtype is None:
            dtype = "bool" if name in COMPARE else values[-1].dtype
        return self.operation(name, values, dtype)

    def operation(self, name: str, args: tuple[Expr, ...], dtype: DtypeName) -> Expr:
        """`op` of expressions that are no pairs."""
        folded = fold.operation(self, name, args, dtype)
        return self.node("op", dtype, name, args) if folded is None else folded

    def __getattr__(self, name: str) -> Operation:
        raise AttributeError(
            located(
                f"the loop IR has no operation {name!r}",
                attempt="one of OPERATIONS in compiler/loop/ir.py, or add it there",
            )
        )

    @overload
    def cast(self, x: Value, to: DtypeName) -> Expr: ...
    @overload
    def cast(self, x: Value, to: str) -> Value: ...
    def cast(self, x: Value, to: str) -> Value:
        """Convert between array dtypes with JAX's semantics.

        To bool: x != 0. To a storage dtype: round to it, but keep the wide representation.
        Complex to real drops the imaginary part; real to complex adds a zero one.
        """
        if to in COMPLEX:
            part = COMPLEX[to]
            if isinstance(x, Pair):
                return Pair(self.cast(x.real, part), self.cast(x.imag, part))
            return Pair(self.cast(x, part), self.const(0.0, part))
        if isinstance(x, Pair):
            if to == "bool":
                return self.op("or", self.cast(x.real, to), self.cast(x.imag, to))
            x = x.real
        return self.convert(x, to)  # type: ignore[arg-type]  # what is not complex is one of these

    def convert(self, x: Expr, to: DtypeName) -> Expr:
        """`cast` of what is not complex to what is not."""
        if to == "bool":
            return x if x.dtype == "bool" else self.op("ne", x, self.const(0, x.dtype))
        if to in STORAGE:
            wide = STORAGE[to]
            narrow = self.op("cast", rounding.computed(self, x, to), dtype=to)
            return self.op("cast", narrow, dtype=wide)
        return x if x.dtype == to else self.op("cast", x, dtype=to)

    @overload
    def select(self, condition: Expr, then: Expr, otherwise: Expr) -> Expr: ...
    @overload
    def select(self, condition: Expr, then: Pair, otherwise: Pair) -> Pair: ...
    @overload
    def select(self, condition: Expr, then: Value, otherwise: Value) -> Value: ...
    def select(self, condition: Expr, then: Value, otherwise: Value) -> Value:
        """`then` where `condition` else `otherwise`, both evaluated."""
        if isinstance(then, Pair):
            assert isinstance(otherwise, Pair), "both are complex, or none is"
            return Pair(
                self.select(condition, then.real, otherwise.real),
                self.select(condition, then.imag, otherwise.imag),
            )
        return self.op("select", condition, then, otherwise)

    @overload
    def reduce(self, combiner: str, axes: Sequence[Axis], *values: Expr) -> Expr: ...
    @overload
    def reduce(self, combiner: str, axes: Sequence[Axis], *values: Value) -> Value: ...
    def reduce(self, combiner: str, axes: Sequence[Axis], *values: Value) -> Value:
        """Combine `values` over all of `axes`. "argmax"/"argmin" take (value, index) and give the
        index's Pair-free result: use `reduce_component`. Empty reductions give the identity."""
        value = values[0]
        if isinstance(value, Pair):
            if combiner == "add":
                return Pair(
                    self.reduce("add", axes, value.real), self.reduce("add", axes, value.imag)
                )
            if combiner == "mul":
                return Pair(*(self.reduce_component("cmul", axes, k, *value) for k in (0, 1)))
            raise InternalError(f"no {combiner} of complex numbers")
        rest: tuple[Expr, ...] = values  # type: ignore[assignment]  # all are pairs, or none is
        return self.reduce_component(combiner, axes, 0, *rest)

    def reduce_component(
        self, combiner: str, axes: Sequence[Axis], component: int, *values: Expr
    ) -> Expr:
        """Component `component` of a reduction of several values at once."""
        assert len(values) == COMBINERS[combiner], (combiner, len(values))
        kept = tuple(a for a in axes if a.extent != 1)
        if not kept:
            return values[component]
        return self.node("reduce", values[component].dtype, (combiner, kept, component), values)

    # --- index arithmetic (all int64) ---
    def add_index(self, *terms: int | Expr) -> Expr:
        total = self.index(terms[0])
        for term in terms[1:]:
            total = self.op("add", total, self.index(term))
        return total

    def clamp_index(self, x: Expr, low: int, high: int) -> Expr:
        """max(low, min(x, high)) of an integer expression, as int64."""
        x = self.cast(x, "int64")
        return self.op("max", self.op("min", x, self.index(high)), self.index(low))

    def within(self, x: Expr, low: int, high: int) -> Expr:
        """low <= x < high, as bool."""
        above = self.op("ge", x, self.index(low))
        return self.op("and", above, self.op("lt", x, self.index(high)))


def _of(operation: str) -> Callable[..., Value]:
    def call(self: Builder, *args: Value, dtype: DtypeName | None = None) -> Value:
        return self.op(operation, *args, dtype=dtype)

    return call


# `b.add(x, y)` is `b.op("add", x, y)`, for every operation; b.and_, b.or_, b.not_
for _name in OPERATIONS - vars(Builder).keys():
    setattr(Builder, _name + "_" * keyword.iskeyword(_name), _of(_name))


def identity(combiner: str, dtype: str) -> float:
    """The neutral element of a combiner: x combined with it is x."""
    is_float = "float" in dtype
    if combiner == "add" or combiner == "xor" or combiner == "or":
        return False if dtype == "bool" else 0.0 if is_float else 0
    if combiner == "mul":
        return 1.0 if is_float else 1
    if combiner == "and":
        return True if dtype == "bool" else affine.limits(dtype)[1] if dtype[0] == "u" else -1
    if combiner in ("min", "argmin"):
        return math.inf if is_float else True if dtype == "bool" else affine.limits(dtype)[1]
    if combiner == "exponentials":
        return -float(np.finfo(dtype).max)
    if combiner in ("max", "argmax"):
        return -math.inf if is_float else False if dtype == "bool" else affine.limits(dtype)[0]
    raise InternalError(f"{combiner} has no start value for {dtype}")
