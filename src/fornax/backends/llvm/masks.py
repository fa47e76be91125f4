"""Masks of vectors: conjunctions, and what is known of them in advance.

Constant masks are written out as `<i1 true, i1 false, …>`. LLVM folds what depends on nothing but
the axis of a vector at a constant place, so such masks are folded here too: a store under a mask
of one lane must be told apart (`stores.store_one`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fornax._native import reachable
from fornax.backends.llvm.scope import Value, Vector
from fornax.compiler.loop.ir import Expr
from fornax.compiler.loop.meaning import evaluate, numpy_dtype

if TYPE_CHECKING:
    from fornax.backends.llvm.values import Values


def constant(flags: Sequence[bool]) -> Value:
    """A mask known in advance."""
    text = ", ".join(f"i1 {'true' if flag else 'false'}" for flag in flags)
    return Value(f"<{text}>", len(flags))


def flags_of(mask: Value) -> list[bool] | None:
    """The lanes of a constant mask; None for others."""
    if not mask.name.startswith("<"):
        return None
    return [flag == "i1 true" for flag in mask.name[1:-1].split(", ")]


def single_lane(mask: Value) -> int | None:
    """The only true lane of a constant mask; None for other masks."""
    flags = flags_of(mask)
    return flags.index(True) if flags and sum(flags) == 1 else None


def value(e: Values, mask: Expr) -> Value:
    """The mask as a value, constant if its lanes are known in advance."""
    vector = e.vector
    if vector is not None and not vector.base.startswith("%"):
        lanes = folded(e, mask, vector)
        if lanes is not None and lanes.ndim:
            return constant(lanes.tolist())
    return e.value(mask)


def folded(e: Values, root: Expr, vector: Vector) -> np.ndarray | None:
    """The lanes of an expression of constants and of axes at constant places."""
    found: dict[Expr, np.ndarray] = {}
    for node in reachable([root]):
        if node.kind == "const":
            found[node] = np.asarray(node.data, numpy_dtype(node.dtype))
        elif node.kind == "axis":
            place = e.bound["axis", node.data].name
            if place.startswith("%"):
                return None
            lanes = vector.lanes if node.data is vector.axis else 0
            steps = np.arange(lanes) if lanes else 0
            found[node] = np.asarray(int(place) + steps, numpy_dtype(node.dtype))
        elif node.kind == "op":
            found[node] = evaluate(node.data, tuple(found[a] for a in node.args), node.dtype)
        else:
            return None
    return found[root]


def negated(e: Values, mask: Value, depth: int) -> Value:
    """The other lanes."""
    flags = flags_of(mask)
    if flags is not None:
        return constant([not flag for flag in flags])
    name = e.put(depth, f"xor <{mask.lanes} x i1> {mask.name}, splat (i1 true)")
    return Value(name, mask.lanes, depth)


def both(e: Values, conditions: Sequence[Value], lanes: int) -> Value:
    """The conjunction of masks, of one at least."""
    first, *others = conditions
    total = Value(e.widened(first, "bool", lanes), lanes, first.depth)
    for condition in others:
        name = e.widened(condition, "bool", lanes)
        flags, more = flags_of(total), flags_of(condition)
        if flags is not None and more is not None:
            total = constant([x and y for x, y in zip(flags, more, strict=True)])
            continue
        depth = max(total.depth, condition.depth)
        name = e.put(depth, f"and <{lanes} x i1> {total.name}, {name}")
        total = Value(name, lanes, depth)
    return total
