"""Bits, comparisons and choices that are known, or simpler than they were said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fornax.compiler.loop.affine import limits
from fornax.compiler.loop.fold_arithmetic import difference, is_constant, is_index
from fornax.compiler.loop.ir import BOUNDED, INTEGERS, Expr, is_float, is_signed

if TYPE_CHECKING:
    from fornax._native import DtypeName
    from fornax.compiler.loop.builder import Builder
    from fornax.compiler.loop.fold_arithmetic import Rule


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
