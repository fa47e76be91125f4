"""What `Builder` simplifies while it makes a node: constants, conversions, and the other rules.

Every rule, those of `fold_arithmetic` and `fold_logic` too, is exact: it gives the same bits as the
operation it replaces (NaN payloads aside). Mathematical functions are not evaluated here:
`math.expand` rewrites them into basic operations, which then fold, so that a constant operand gives
the value that a variable one would.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fornax.compiler.loop import affine, meaning
from fornax.compiler.loop import fold_arithmetic as arithmetic
from fornax.compiler.loop import fold_logic as logic
from fornax.compiler.loop.affine import limits
from fornax.compiler.loop.ir import INTEGERS, MATH, STORAGE, WIDTH, Expr, is_float
from fornax.scalars.formats import FORMATS

if TYPE_CHECKING:
    from fornax._native import DtypeName
    from fornax.compiler.loop.builder import Builder
    from fornax.compiler.loop.fold_arithmetic import Rule

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
    "add": arithmetic.add, "sub": arithmetic.sub, "mul": arithmetic.mul, "div": arithmetic.div,
    "rem": arithmetic.rem, "neg": arithmetic.neg, "abs": arithmetic.absolute,
    "min": arithmetic.minimum, "max": arithmetic.maximum, "idiv": arithmetic.idiv,
    "imod": arithmetic.imod,
    "and": logic.and_, "or": logic.or_, "xor": logic.xor, "not": logic.not_,
    "shl": logic.shift, "shr_logical": logic.shift, "shr_arithmetic": logic.shift,
    **{name: logic.compare(name) for name in logic.OPPOSITE},
    "select": logic.select, "rarely": logic.rarely,
    "cast": cast, "bitcast": bitcast,
}  # fmt: skip
