"""stack, unstack and tile: arrays side by side along a new dimension, apart again, repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, instantiate, move_to_front, reduce_sum
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives.concatenate import concatenate
from fornax.primitives.shape import expand_dims, reshape, squeeze
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes
from fornax.source import located


class Stack(Primitive):
    """Operands of one shape and dtype along a new dimension `axis` of the result."""

    linear = True

    def type(self, *types, axis):
        if not types:
            raise ValueError(
                located("stack expects at least one operand, got 0.", attempt="at least one array")
            )
        first = types[0]
        if len({t.shape for t in types}) > 1:
            shapes = ", ".join(str(t.shape) for t in types)
            raise ValueError(
                located(
                    f"All input arrays must have the same shape. Got {shapes}.",
                    attempt="lax.concatenate, to join along a dimension they have",
                )
            )
        if any(t.dtype != first.dtype for t in types):
            names = ", ".join(dtypes.short_name(t.dtype) for t in types)
            raise TypeError(
                located(
                    f"lax.stack requires arguments to have the same dtypes, got {names}.",
                    attempt="astype, or numpy.stack, which promotes",
                )
            )
        shape = (*first.shape[:axis], len(types), *first.shape[axis:])
        return [first.update(shape=shape, weak_type=all(t.weak_type for t in types))]

    def reference(self, *arrays, axis):
        return [np.stack(arrays, axis)]

    def expand(self, *operands, axis):
        return [concatenate([expand_dims(x, (axis,)) for x in operands], axis)]

    def transpose(self, cotangents, *operands, axis):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent()) if isinstance(x, Linear) else None for x in operands]
        pieces = unstack_p.bind(ct, axis=axis)
        return [
            piece if isinstance(x, Linear) else None
            for x, piece in zip(operands, pieces, strict=True)
        ]

    def batch(self, size, operands, dims, *, axis):
        if None not in dims and len(set(dims)) == 1:
            dim = dims[0]
            places = (axis, dim + 1) if axis <= dim else (axis + 1, dim)
        else:
            operands = [move_to_front(x, d, size) for x, d in zip(operands, dims, strict=True)]
            places = (axis + 1, 0)
        return self.bind(*operands, axis=places[0]), [places[1]]


class Unstack(Primitive):
    """The slices of an array along `axis`, without that dimension: one result for each."""

    linear = True

    def type(self, x, *, axis):
        if not x.ndim:
            raise ValueError(
                located(
                    "unstack requires arrays with rank > 0, however a scalar array of shape () "
                    "was passed.",
                    attempt="the array itself, in a tuple",
                )
            )
        return [x.update(shape=x.shape[:axis] + x.shape[axis + 1 :])] * x.shape[axis]

    def reference(self, x, *, axis):
        return list(np.moveaxis(x, axis, 0))

    def expand(self, x, *, axis):
        count = typeof(x).shape[axis]
        return [squeeze(slice_in(x, axis, k, k + 1), (axis,)) for k in range(count)]

    def transpose(self, cotangents, x, *, axis):
        if all(isinstance(ct, Zero) for ct in cotangents):
            return [Zero(x.type.tangent())]
        return stack_p.bind(*map(instantiate, cotangents), axis=axis)

    def batch(self, size, operands, dims, *, axis):
        (dim,) = dims
        if axis < dim:
            axis, dim = axis, dim - 1
        else:
            axis += 1
        pieces = self.bind(operands[0], axis=axis)
        return pieces, [dim] * len(pieces)


class Tile(Primitive):
    """The array `reps[d]` times one behind the other along every dimension d."""

    linear = True

    def type(self, x, *, reps):
        if len(reps) != x.ndim:
            raise TypeError(
                located(
                    "reps length must be equal to the ndim of x, got "
                    f"reps={reps} for shape {x.shape}",
                    attempt=f"{x.ndim} numbers; numpy.tile fills in ones",
                )
            )
        if any(r < 0 for r in reps):
            raise ValueError(
                located(f"tile reps must be nonnegative, got {reps}", attempt="0 for no elements")
            )
        return [x.update(shape=tuple(r * n for r, n in zip(reps, x.shape, strict=True)))]

    def reference(self, x, *, reps):
        return [np.tile(x, reps)]

    def expand(self, x, *, reps):
        shape = typeof(x).shape
        spread = _interleaved(reps, shape)
        repeated = broadcast_in_dim(x, spread, range(1, 2 * len(shape), 2))
        return [reshape(repeated, [r * n for r, n in zip(reps, shape, strict=True)])]

    def transpose(self, cotangents, x, *, reps):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        repeated = reshape(ct, _interleaved(reps, x.type.shape))
        return [reduce_sum(repeated, tuple(range(0, 2 * len(reps), 2)))]

    def batch(self, size, operands, dims, *, reps):
        (dim,) = dims
        return self.bind(operands[0], reps=(*reps[:dim], 1, *reps[dim:])), [dim]


def _interleaved(reps: Sequence[int], shape: Sequence[int]) -> list[int]:
    return [part for pair in zip(reps, shape, strict=True) for part in pair]


stack_p = Stack("stack")
unstack_p = Unstack("unstack")
tile_p = Tile("tile")


def stack(operands: Sequence[Any], axis: int) -> Any:
    """`stack` of arrays of one shape and dtype."""
    return stack_p.bind(*operands, axis=axis)[0]


def unstack(x: Any, axis: int) -> list[Any]:
    """`unstack`; nothing of a dimension of no elements."""
    return unstack_p.bind(x, axis=axis) if typeof(x).shape[axis] else []


def tile(x: Any, reps: Sequence[int]) -> Any:
    """`tile` with a number for each dimension."""
    return tile_p.bind(x, reps=tuple(reps))[0]
