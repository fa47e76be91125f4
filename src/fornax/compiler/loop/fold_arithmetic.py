"""Arithmetic that is known, or simpler than it was said: neutral elements, sums, known ranges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from fornax.compiler.loop import affine
from fornax.compiler.loop.ir import BOUNDED, Expr, is_float

if TYPE_CHECKING:
    from fornax._native import DtypeName
    from fornax.compiler.loop.builder import Builder


#: (builder, operands, dtype of the result) -> a simpler expression, or None
Rule = Callable[["Builder", tuple[Expr, ...], "DtypeName"], Expr | None]


def is_constant(x: Expr, value: float) -> bool:
    """x is the constant `value`, the sign of zero included."""
    if x.kind != "const" or x.data != value:
        return False
    if value or not is_float(x.dtype):
        return True
    return math.copysign(1, x.data) == math.copysign(1, value)


def add(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if is_float(dtype):
        if is_constant(y, -0.0):
            return x
        if is_constant(x, -0.0):
            return y
        if y.kind == "op" and y.data == "neg":
            return b.op("sub", x, y.args[0])
        if x.kind == "op" and x.data == "neg":
            return b.op("sub", y, x.args[0])
        return b.op("mul", x, b.const(2.0, dtype)) if is_same(x, y) else None
    if is_constant(y, 0):
        return x
    if dtype == "int64":
        return affine.sum_of(b, (x, 1), (y, 1))
    return y if is_constant(x, 0) else None


def is_same(x: Expr, y: Expr) -> bool:
    """Whether two expressions are equal, perhaps products of the same factors."""
    products = x.kind == y.kind == "op" and x.data == y.data == "mul"
    return x is y or (products and x.args == y.args[::-1])


def sub(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if is_float(dtype):
        if is_constant(y, 0.0):
            return x
        if y.kind == "op" and y.data == "neg":
            return b.op("add", x, y.args[0])
        return None
    if dtype == "int64":
        return affine.sum_of(b, (x, 1), (y, -1))
    if x is y:
        return b.const(0, dtype)
    return x if is_constant(y, 0) else None


def mul(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if x.kind == "const" and y.kind != "const":
        x, y = y, x
    if is_constant(y, 1.0 if is_float(dtype) else 1):
        return x
    if is_float(dtype):
        return b.op("neg", x) if is_constant(y, -1.0) else None
    if is_constant(y, 0):
        return y
    if dtype == "int64" and y.kind == "const":
        return affine.sum_of(b, (x, y.data))
    return b.node("op", dtype, "mul", (x, y)) if x is not args[0] else None


def div(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if is_constant(y, 1.0 if is_float(dtype) else 1):
        return x
    if y.kind != "const" or y.data != y.data:
        return None
    if is_float(dtype):
        mantissa, exponent = math.frexp(y.data)
        if abs(mantissa) == 0.5 and abs(exponent) < 120:  # a power of two: 1/y is exact
            return b.op("mul", x, b.const(1 / y.data, dtype))
    elif dtype == "int64" and y.data > 0 and x.low >= 0:
        return b.op("idiv", x, y)
    return None


def rem(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if not is_float(dtype) and y.low > 0 and x.low >= 0:
        if x.high < y.low:
            return x
        if dtype == "int64" and y.kind == "const":
            return b.op("imod", x, y)
    return None


def neg(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    (x,) = args
    if x.kind == "op" and x.data == "neg":
        return x.args[0]
    return affine.sum_of(b, (x, -1)) if dtype == "int64" else None


def absolute(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    (x,) = args
    if not is_float(dtype):
        return x if x.low >= 0 else None
    if x.kind == "op" and x.data == "neg":
        return b.op("abs", x.args[0])
    return x if x.kind == "op" and x.data == "abs" else None


def minimum(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if x is y:
        return x
    if x.dtype not in BOUNDED:
        return unless_infinite(x, y, math.inf)
    low, high = difference(x, y)
    return x if high <= 0 else y if low >= 0 else None


def maximum(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if x is y:
        return x
    if x.dtype not in BOUNDED:
        return unless_infinite(x, y, -math.inf)
    low, high = difference(x, y)
    return x if low >= 0 else y if high <= 0 else None


def unless_infinite(x: Expr, y: Expr, worst: float) -> Expr | None:
    """The other one of two floats of which one is the worst there is; a NaN remains one."""
    return y if is_constant(x, worst) else x if is_constant(y, worst) else None


def idiv(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if dtype == "int64" and y.kind == "const":
        return affine.quotient(b, x, y.data)
    return None


def imod(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if dtype == "int64" and y.kind == "const":
        return affine.modulo(b, x, y.data)
    return x if x.low >= 0 and x.high < y.low else None


def is_index(x: Expr) -> bool:
    """True for an int64 that is far from overflow, so that differences are exact."""
    return x.dtype == "int64" and x.low > -(1 << 61) and x.high < 1 << 61


def difference(x: Expr, y: Expr) -> tuple[int, int]:
    """Bounds of x - y, before any wrapping; parts that indices have in common cancel."""
    if is_index(x) and is_index(y):
        found = affine.difference(x, y)
        if found is not None:
            return found
    return x.low - y.high, x.high - y.low
