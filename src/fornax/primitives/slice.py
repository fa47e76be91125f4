"""slice: a part of an array, with a step, at a place known when the program is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives import pad as padding
from fornax.source import located


class Slice(Primitive):
    """Elements start, start + stride, … below limit, along every dimension.

    `strides` is None where all of them are 1.
    """

    remembers_types = True
    linear = True

    def type(self, x, *, start_indices, limit_indices, strides):
        named = [("start_indices", start_indices), ("limit_indices", limit_indices)]
        if strides is not None:
            named.append(("strides", strides))
        for name, values in named:
            if len(values) != x.ndim:
                raise TypeError(
                    located(
                        f"slice {name} must have length equal to the number of dimensions of the "
                        f"operand, got indices {tuple(values)} for operand shape {x.shape}.",
                        attempt=f"one for each of the {x.ndim} dimensions",
                    )
                )
        if any(start < 0 for start in start_indices):
            raise TypeError(
                located(
                    "slice start_indices must have every element be nonnegative, got "
                    f"{tuple(start_indices)}.",
                    attempt="0 or more; x[-n:] counts from the end",
                )
            )
        if any(limit > n for limit, n in zip(limit_indices, x.shape, strict=True)):
            raise TypeError(
                located(
                    "slice limit_indices must be less than or equal to operand shape, got "
                    f"limit_indices {tuple(limit_indices)} for operand shape {x.shape}.",
                    attempt="min(limit, x.shape[k]); x[a:b] cuts by itself",
                )
            )
        if any(a > z for a, z in zip(start_indices, limit_indices, strict=True)):
            raise TypeError(
                located(
                    "slice limit_indices must be greater than or equal to start_indices, got "
                    f"start_indices {tuple(start_indices)} and limit_indices "
                    f"{tuple(limit_indices)}.",
                    attempt="start <= limit; lax.rev for the other direction",
                )
            )
        steps = strides or (1,) * x.ndim
        if any(step <= 0 for step in steps):
            raise TypeError(
                located(
                    f"slice strides must be positive, got {tuple(strides)}",
                    attempt="1, or lax.rev for the other direction",
                )
            )
        shape = [
            -((a - z) // step)
            for a, z, step in zip(start_indices, limit_indices, steps, strict=True)
        ]
        return [x.update(shape=shape)]

    def reference(self, x, *, start_indices, limit_indices, strides):
        steps = strides or (1,) * len(start_indices)
        picked = tuple(map(slice, start_indices, limit_indices, steps))
        return [np.asarray(x)[picked]]

    def transpose(self, cotangents, x, *, start_indices, limit_indices, strides):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        steps = strides or (1,) * len(start_indices)
        config = []
        for n, size, start, step in zip(
            x.type.shape, typeof(ct).shape, start_indices, steps, strict=True
        ):
            covered = start + size + max(size - 1, 0) * (step - 1)
            config.append((start, n - covered, step - 1))
        zero = np.zeros((), typeof(ct).dtype)[()]
        return [padding.pad(ct, zero, config)]

    def batch(self, size, operands, dims, *, start_indices, limit_indices, strides):
        (x,), (dim,) = operands, dims
        starts, limits = list(start_indices), list(limit_indices)
        steps = list(strides or (1,) * len(starts))
        starts.insert(dim, 0)
        limits.insert(dim, size)
        steps.insert(dim, 1)
        return [slice_(x, starts, limits, steps)], [dim]

    def element(self, b, types, operands, index, *, start_indices, limit_indices, strides):
        steps = strides or (1,) * len(start_indices)
        picked = [
            b.add_index(b.op("mul", i, b.index(step)), start)
            for i, start, step in zip(index, start_indices, steps, strict=True)
        ]
        return [operands[0](picked)]


slice_p = Slice("slice")


def slice_(
    x: Any, starts: Sequence[int], limits: Sequence[int], strides: Sequence[int] | None = None
) -> Any:
    """`slice`, left out where it takes everything."""
    starts, limits = tuple(starts), tuple(limits)
    steps = None if strides is None or all(s == 1 for s in strides) else tuple(strides)
    if steps is None and limits == typeof(x).shape and not any(starts):
        return x
    return slice_p.bind(x, start_indices=starts, limit_indices=limits, strides=steps)[0]


def slice_in(x: Any, axis: int, start: int, limit: int) -> Any:
    """The part [start, limit) along one dimension."""
    shape = typeof(x).shape
    starts, limits = [0] * len(shape), list(shape)
    starts[axis], limits[axis] = start, limit
    return slice_(x, starts, limits)
