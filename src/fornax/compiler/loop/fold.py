"""What `Builder` simplifies while it makes a node: constants, neutral elements, known ranges.

Every rule is exact: it gives the same bits as the operation it replaces (NaN payloads aside).
Mathematical functions are not evaluated here: `math.expand` rewrites them into basic operations,
which then fold, so that a constant operand gives the value that a variable one would.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fornax.compiler.loop import affine, meaning
from fornax.compiler.loop.ir import (
    BOUNDED,
    INTEGERS,
    MATH,
    STORAGE,
    WIDTH,
    Expr,
    is_float,
    is_signed,
)
from fornax.scalars.formats import FORMATS

if TYPE_CHECKING:
    from fornax._native import DtypeName
    from fornax.compiler.loop.builder import Builder

limits = affine.limits


_FLOAT32 = struct.Struct("f")


def to_float32(value: float) -> float:
    """The nearest float32."""
    try:
        (nearest,) = _FLOAT32.unpack(_FLOAT32.pack(value))
        return float(nearest)
    except OverflowError:
        return math.copysign(math.inf, value)


def canonical(value: Any, dtype: str) -> float:
    """`value` as the Python value a `const` of `dtype` holds: wrapped, or rounded to float32."""
    if dtype == "bool":
        return bool(value)
    if is_float(dtype):
        value = float(value)
        return to_float32(value) if dtype == "float32" else value
    return affine.wrap(int(value), dtype)


def operation(b: Builder, name: str, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    """A simpler expression equal to the operation, or None."""
    for a in args:
        if a.kind != "const":
            break
    else:
        if name not in MATH and dtype not in STORAGE:
            return constant(b, name, args, dtype)
    rule = RULES.get(name)
    return None if rule is None else rule(b, args, dtype)


#: (builder, operands, dtype of the result) -> a simpler expression, or None
Rule = Callable[["Builder", tuple[Expr, ...], "DtypeName"], Expr | None]
#: what operations of int64 constants are in Python's integers, before wrapping
INDICES: dict[str, Callable[..., int]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg,
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le,
    "gt": operator.gt, "ge": operator.ge, "min": min, "max": max,
    "idiv": operator.floordiv, "imod": operator.mod,
}  # fmt: skip
DIVISIONS = ("idiv", "imod")


def constant(b: Builder, name: str, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    """Evaluate an operation of constants."""
    values = [a.data for a in args]
    exact = INDICES.get(name)
    if exact is not None and args[0].dtype == "int64" and not (name in DIVISIONS and values[1] < 1):
        return b.const(exact(*values), dtype)
    if name == "fma":
        x, y, z = values
        return b.const(meaning.exact_fma(x, y, z, dtype), dtype)
    arrays = [meaning.numpy_dtype(a.dtype).type(v) for a, v in zip(args, values, strict=True)]
    result = meaning.evaluate(name, tuple(arrays), dtype).item()
    if name == "bitcast" and result != result:
        return None  # a constant NaN would lose its payload
    return b.node("const", dtype, result)


def is_constant(x: Expr, value: float) -> bool:
    """x is the constant `value`, the sign of zero included."""
    if x.kind != "const" or x.data != value:
        return False
    if value or not is_float(x.dtype):
        return True
    return math.copysign(1, x.data) == math.copysign(1, value)


# --- arithmetic -------------------------------------------------------------------------------
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


# --- bits and booleans ------------------------------------------------------------------------
def and_(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    ones = True if dtype == "bool" else limits(dtype)[1] if not is_signed(dtype) else -1
    if x is y or is_constant(y, ones):
        return x
    if is_constant(x, ones):
        return y
    if is_constant(x, 0) or is_constant(y, 0):
        return x if is_constant(x, 0) else y
    for one, other in ((x, y), (y, x)) if dtype == "bool" else ():
        if one.kind == other.kind == "op" and (one.data, other.data) == ("eq", "ne"):
            if set(one.args) == set(other.args):
                return b.const(False, dtype)
        node, value = pinned(one)
        if node is not None:
            known = assuming(b, other, node, b.const(value, node.dtype))
            if known is not other:
                return b.op("and", one, known)
        if one.kind == other.kind == "op" and other.data == "ne" and excludes(one, *other.args):
            return one
    return None


def excludes(comparison: Expr, x: Expr, y: Expr) -> bool:
    """Whether a comparison of x with a constant tells that x is not y."""
    if comparison.data not in ("lt", "le", "gt", "ge") or comparison.args[0] is not x:
        return False
    end = comparison.args[1]
    if end.kind != "const" or y.kind != "const" or x.dtype not in BOUNDED:
        return False
    name, distance = comparison.data, y.data - end.data
    return distance >= (name == "le") if name[0] == "l" else distance <= -(name == "ge")


def pinned(condition: Expr) -> tuple[Expr | None, int]:
    """The integer of which a condition leaves one value only, and that value."""
    if condition.kind == "op" and condition.data in ("eq", "lt", "le", "gt", "ge"):
        x, y = condition.args
        if y.kind == "const" and x.kind != "const" and x.dtype in INTEGERS:
            name, value = condition.data, y.data
            if name == "eq":
                return x, value
            if (name, value) in (("lt", x.low + 1), ("le", x.low)):
                return x, x.low
            if (name, value) in (("gt", x.high - 1), ("ge", x.high)):
                return x, x.high
    return None, 0


def assuming(b: Builder, root: Expr, node: Expr, value: Expr, depth: int = 4) -> Expr:
    """`root` where `node` has a value; it is not looked for far below."""
    if root is node:
        return value
    if root.kind != "op" or not depth:
        return root
    args = tuple(assuming(b, a, node, value, depth - 1) for a in root.args)
    if all(new is old for new, old in zip(args, root.args, strict=True)):
        return root
    return b.op(root.data, *args, dtype=root.dtype)


def or_(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if x is y or is_constant(y, 0):
        return x
    if is_constant(x, 0):
        return y
    if dtype == "bool":
        return x if is_constant(x, True) else y if is_constant(y, True) else None
    return None


def xor(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    if x is y:
        return b.const(0, dtype)
    if dtype == "bool" and is_constant(y, True):
        return b.op("not", x)
    return x if is_constant(y, 0) else y if is_constant(x, 0) else None


OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}


def not_(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    (x,) = args
    if x.kind != "op":
        return None
    if x.data == "not":
        return x.args[0]
    if x.data in OPPOSITE and (x.data in ("eq", "ne") or not is_float(x.args[0].dtype)):
        return b.op(OPPOSITE[x.data], *x.args)  # not (x < y) is not x >= y where one is NaN
    return None


def shift(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    x, y = args
    return x if is_constant(y, 0) or is_constant(x, 0) else None


#: min(a, c) is c where a >= c
REACHED = {("min", "eq"): "ge", ("min", "ne"): "lt", ("max", "eq"): "le", ("max", "ne"): "gt"}


def compare(name: str) -> Rule:
    """Comparisons whose answer the intervals give."""

    def rule(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
        x, y = args
        if x.dtype not in BOUNDED or y.dtype not in BOUNDED:
            return beyond_infinity(b, name, *args)
        if x is y:
            return b.const(name in ("eq", "le", "ge"), "bool")
        if x.dtype == "bool" and y.kind == "const" and name in ("eq", "ne"):
            return x if (name == "eq") == y.data else b.op("not", x)
        reached = REACHED.get((x.data, name)) if x.kind == "op" and x.args[-1] is y else None
        if reached is not None:
            return b.op(reached, x.args[0], y)
        low, high = difference(x, y)
        if high < 0:
            return b.const(name in ("lt", "le", "ne"), "bool")
        if low > 0:
            return b.const(name in ("gt", "ge", "ne"), "bool")
        if name in ("le", "gt") and high <= 0:
            return b.const(name == "le", "bool")
        if name in ("ge", "lt") and low >= 0:
            return b.const(name == "ge", "bool")
        if is_index(x) and is_index(y) and y.kind == "op" and y.data in ("min", "max"):
            # x < min(a, b) is x < a and x < b, one of which may be known
            if name in (("lt", "le") if y.data == "min" else ("gt", "ge")):
                parts = [b.op(name, x, limit) for limit in y.args]
                if any(part.kind == "const" for part in parts):
                    return b.op("and", *parts)
        return None

    return rule


def beyond_infinity(b: Builder, name: str, x: Expr, y: Expr) -> Expr | None:
    """Comparisons of floats with an infinity, whose answer depends on what is NaN alone."""
    small, large = (x, y) if name in ("lt", "le") else (y, x)
    if name in ("lt", "gt"):
        never = is_constant(large, -math.inf) or is_constant(small, math.inf)
        return b.const(False, "bool") if never else None
    if name in ("le", "ge") and is_constant(small, -math.inf):
        return b.op("eq", large, large)
    if name in ("le", "ge") and is_constant(large, math.inf):
        return b.op("eq", small, small)
    return None


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


def rarely(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    condition, then, otherwise = args
    if condition.kind == "const":
        return then if condition.data else otherwise
    return then if then is otherwise else None


def select(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    condition, x, y = args
    if x is y:
        return x
    if condition.kind == "const":
        return x if condition.data else y
    if condition.kind == "op" and condition.data == "not":
        return b.op("select", condition.args[0], y, x)
    if dtype != "bool":
        return None
    if x.kind == "const":
        return b.op("or", condition, y) if x.data else b.op("and", b.op("not", condition), y)
    if y.kind == "const":
        return b.op("or", b.op("not", condition), x) if y.data else b.op("and", condition, x)
    return None


# --- conversions ------------------------------------------------------------------------------
#: (exponent bits, mantissa bits with the hidden one) of the floats.
PRECISION = {
    "float64": (11, 53), "float32": (8, 24),
    **{name: (row.exponent, row.mantissa + 1) for name, row in FORMATS.items() if row.is_float},
}  # fmt: skip


def contains(wide: str, narrow: str) -> bool:
    """True when every value of `narrow` is exactly a value of `wide`."""
    if wide == narrow or narrow == "bool":
        return True
    if is_float(wide):
        exponent, mantissa = PRECISION[wide]
        if is_float(narrow):
            if WIDTH[wide] == 8:
                return False  # small formats differ in their exponents' bias, NaN, infinity, zero
            return exponent >= PRECISION[narrow][0] and mantissa >= PRECISION[narrow][1]
        high = limits(narrow)[1]
        return high.bit_length() <= mantissa and exponent >= 8 and WIDTH[wide] > 8
    if is_float(narrow) or wide == "bool":
        return False
    (low, high), (least, most) = limits(wide), limits(narrow)
    return low <= least and most <= high


def cast(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    (x,) = args
    if x.dtype == dtype:
        return x
    if dtype == "int64" and x.dtype in INTEGERS and x.dtype != "int64":
        as_index = index_of(b, x)
        if as_index is not None:
            return as_index
    if x.kind != "op" or x.data != "cast":
        return None
    (inner,) = x.args
    if inner.kind == "const" and x.dtype in STORAGE:
        value = meaning.numpy_dtype(inner.dtype).type(inner.data)
        rounded = meaning.evaluate("cast", (value,), x.dtype)
        return b.node("const", dtype, meaning.evaluate("cast", (rounded,), dtype).item())
    if not contains(x.dtype, inner.dtype):
        whole = not is_float(x.dtype) and not is_float(inner.dtype) and x.dtype not in STORAGE
        if whole and not is_float(dtype) and WIDTH[dtype] <= WIDTH[x.dtype] and dtype != "bool":
            return b.op("cast", inner, dtype=dtype)  # both cut off high bits
        return None
    if is_float(x.dtype) and not is_float(dtype) and not contains(dtype, inner.dtype):
        return None if not is_float(inner.dtype) else b.op("cast", inner, dtype=dtype)
    return b.op("cast", inner, dtype=dtype)


def index_of(b: Builder, x: Expr, depth: int = 6) -> Expr | None:
    """A narrow integer computed from loop variables, and never wrapping, as an int64 index: so
    that index arrays made by arithmetic are seen through."""
    if x.kind == "const":
        return b.index(x.data)
    if x.kind != "op" or depth == 0:
        return None
    low, high = limits(x.dtype)
    if x.data == "cast":
        (inner,) = x.args
        fits = inner.dtype == "int64" and low <= inner.low and inner.high <= high
        return inner if fits else index_of(b, inner, depth - 1) if is_widening(x) else None
    if x.data not in ("add", "sub", "mul", "min", "max", "neg", "abs"):
        return None
    span = affine.operation_bounds(x)
    if span is None or span[0] < low or span[1] > high:
        return None
    args = []
    for a in x.args:
        index = index_of(b, a, depth - 1)
        if index is None:
            return None
        args.append(index)
    return b.op(x.data, *args)


def is_widening(x: Expr) -> bool:
    """True for a cast between integers that keeps every value."""
    inner = x.args[0]
    return inner.dtype in INTEGERS and contains(x.dtype, inner.dtype)


def bitcast(b: Builder, args: tuple[Expr, ...], dtype: DtypeName) -> Expr | None:
    (x,) = args
    if x.dtype == dtype:
        return x
    if x.kind == "op" and x.data == "bitcast":
        return b.op("bitcast", x.args[0], dtype=dtype)
    return None


RULES: dict[str, Rule] = {
    "add": add, "sub": sub, "mul": mul, "div": div, "rem": rem, "neg": neg, "abs": absolute,
    "min": minimum, "max": maximum, "idiv": idiv, "imod": imod,
    "and": and_, "or": or_, "xor": xor, "not": not_,
    "shl": shift, "shr_logical": shift, "shr_arithmetic": shift,
    **{name: compare(name) for name in OPPOSITE},
    "select": select, "rarely": rarely, "cast": cast, "bitcast": bitcast,
}  # fmt: skip
