"""concatenate: arrays one behind the other along a dimension."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, move_to_front
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes
from fornax.source import located


class Concatenate(Primitive):
    """Joins operands of one dtype that differ only in the size of `dimension`."""

    remembers_types = True
    linear = True

    def type(self, *types, dimension):
        if not types:
            raise TypeError(
                located(
                    "concatenate expects at least one operand, got 0.", attempt="at least one array"
                )
            )
        first = types[0]
        shapes = ", ".join(str(t.shape) for t in types)
        if len({t.ndim for t in types}) > 1:
            raise TypeError(
                located(
                    "Cannot concatenate arrays with different numbers of dimensions: got "
                    f"{shapes}.",
                    attempt="lax.expand_dims for those with fewer dimensions",
                )
            )
        if not 0 <= dimension < first.ndim:
            raise TypeError(
                located(
                    f"concatenate dimension out of bounds: dimension {dimension} for shapes "
                    f"{shapes}.",
                    attempt=f"a dimension from 0 to {len(shapes[0]) - 1}",
                )
            )
        rest = {t.shape[:dimension] + t.shape[dimension + 1 :] for t in types}
        if len(rest) > 1:
            raise TypeError(
                located(
                    "Cannot concatenate arrays with shapes that differ in dimensions other than "
                    f"the one being concatenated: concatenating along dimension {dimension} for "
                    f"shapes {shapes}.",
                    "the result is one array without gaps",
                    "another axis, or pad the shorter ones",
                )
            )
        if any(t.dtype != first.dtype for t in types):
            names = ", ".join(dtypes.short_name(t.dtype) for t in types)
            raise TypeError(
                located(
                    f"lax.concatenate requires arguments to have the same dtypes, got {names}. "
                    "(Tip: numpy.concatenate promotes its inputs to a common dtype.)",
                    attempt="astype, or numpy.concatenate",
                )
            )
        shape = list(first.shape)
        shape[dimension] = sum(t.shape[dimension] for t in types)
        return [first.update(shape=shape, weak_type=all(t.weak_type for t in types))]

    def reference(self, *arrays, dimension):
        return [np.concatenate(arrays, dimension)]

    def transpose(self, cotangents, *operands, dimension):
        (ct,) = cotangents
        results: list[Any] = []
        start = 0
        for x in operands:
            type = x.type if isinstance(x, Linear) else typeof(x)
            size = type.shape[dimension]
            if not isinstance(x, Linear):
                results.append(None)
            elif isinstance(ct, Zero):
                results.append(Zero(type.tangent()))
            else:
                results.append(slice_in(ct, dimension, start, start + size))
            start += size
        return results

    def batch(self, size, operands, dims, *, dimension):
        known = {d for d in dims if d is not None}
        if len(known) == 1 and None not in dims:
            (dim,) = known
            return [concatenate(operands, dimension + (dimension >= dim))], [dim]
        fronted = [move_to_front(x, d, size) for x, d in zip(operands, dims, strict=True)]
        return [concatenate(fronted, dimension + 1)], [0]

    def element(self, b, types, operands, index, *, dimension):
        pieces = []
        start = 0
        for type, operand in zip(types, operands, strict=True):
            size = type.shape[dimension]
            if math.prod(type.shape):
                pieces.append((start, size, operand))
            start += size
        result = None
        for start, size, operand in reversed(pieces):
            shifted = list(index)
            position = b.add_index(index[dimension], -start)
            shifted[dimension] = b.clamp_index(position, 0, size - 1)
            value = operand(shifted)
            if result is None:
                result = value
            else:
                inside = b.op("lt", index[dimension], b.index(start + size))
                result = b.select(inside, value, result)
        return [result]


concatenate_p = Concatenate("concatenate")


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """`concatenate`, left out for a single operand."""
    if len(operands) == 1:
        return operands[0]
    return concatenate_p.bind(*operands, dimension=dimension)[0]


def stack_last(operands: Sequence[Any]) -> Any:
    """Operands of one shape side by side along a new last dimension."""
    shape = typeof(operands[0]).shape
    columns = [broadcast_in_dim(x, (*shape, 1), range(len(shape))) for x in operands]
    return concatenate(columns, len(shape))
