"""Operations that only rename elements: reshape, squeeze, rev, split."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, instantiate, move_to_front
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives.concatenate import concatenate
from fornax.primitives.slice import slice_in
from fornax.source import located


def reshaped_index(
    b: Any, old: Sequence[int], new: Sequence[int], index: Sequence[Any]
) -> list[Any]:
    """The element of an array of shape `old` that is at `index` of the same array as `new`.

    Dimensions are matched in groups of equal size, so that a dimension that a reshape leaves
    alone costs no division.
    """
    if math.prod(old) == 0:
        return [b.index(0)] * len(old)
    result: list[Any] = []
    i = j = 0
    while i < len(new) or j < len(old):
        first_new, first_old = i, j
        new_size = old_size = 1
        while True:
            if new_size <= old_size and i < len(new):
                new_size *= new[i]
                i += 1
            elif j < len(old):
                old_size *= old[j]
                j += 1
            else:
                new_size *= new[i]
                i += 1
            if new_size == old_size and (i > first_new or j > first_old):
                break
        if i - first_new == 1 and j - first_old == 1:
            result.append(index[first_new])
            continue
        linear = b.index(0)
        for extent, position in zip(new[first_new:i], index[first_new:i], strict=True):
            linear = b.add_index(b.op("mul", linear, b.index(extent)), position)
        stride = old_size
        for k in range(first_old, j):
            outer, stride = stride, stride // old[k]
            within = linear if k == first_old else b.op("imod", linear, b.index(outer))
            result.append(b.op("idiv", within, b.index(stride)))
    return result


class Reshape(Primitive):
    """The same elements in row-major order under another shape.

    `dimensions` and `sharding` are None; they are there for the names that programs print with.
    """

    remembers_types = True
    linear = True

    def type(self, x, *, new_sizes, dimensions, sharding):
        if any(n < 0 for n in new_sizes):
            raise TypeError(
                located(
                    f"reshape new_sizes must all be positive, got {tuple(new_sizes)}.",
                    attempt="numpy.reshape, which takes -1 for one size",
                )
            )
        if math.prod(new_sizes) != x.size:
            raise TypeError(
                located(
                    f"reshape total size must be unchanged, got new_sizes {tuple(new_sizes)} for "
                    f"shape {x.shape}.",
                    attempt="numpy.reshape with -1 for the size that follows from the others",
                )
            )
        return [x.update(shape=new_sizes)]

    def reference(self, x, *, new_sizes, dimensions, sharding):
        return [np.reshape(x, new_sizes)]

    def transpose(self, cotangents, x, *, new_sizes, dimensions, sharding):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        return [reshape(ct, x.type.shape)]

    def batch(self, size, operands, dims, *, new_sizes, dimensions, sharding):
        x = move_to_front(operands[0], dims[0], size)
        return [reshape(x, (size, *new_sizes))], [0]

    def element(self, b, types, operands, index, *, new_sizes, dimensions, sharding):
        return [operands[0](reshaped_index(b, types[0].shape, new_sizes, index))]


class Squeeze(Primitive):
    """Drops `dimensions` of size 1 (sorted, not negative)."""

    remembers_types = True
    linear = True

    def type(self, x, *, dimensions):
        if len(set(dimensions)) != len(dimensions):
            raise ValueError(
                located(
                    f"dimensions are not unique: {tuple(dimensions)}",
                    attempt="name each dimension once",
                )
            )
        for d in dimensions:
            if not 0 <= d < x.ndim:
                raise ValueError(
                    located(
                        f"axis {d} is out of bounds for array of dimension {x.ndim}",
                        attempt=f"a dimension from 0 to {x.ndim - 1}",
                    )
                )
        if any(x.shape[d] != 1 for d in dimensions):
            raise ValueError(
                located(
                    "cannot select an axis to squeeze out which has size not equal to one, got "
                    f"shape={x.shape} and dimensions={tuple(dimensions)}",
                    attempt="only dimensions of size 1, or x[0] along the dimension to drop it",
                )
            )
        return [x.update(shape=[n for i, n in enumerate(x.shape) if i not in dimensions])]

    def reference(self, x, *, dimensions):
        return [np.squeeze(x, dimensions)]

    def transpose(self, cotangents, x, *, dimensions):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        return [expand_dims(ct, dimensions)]

    def batch(self, size, operands, dims, *, dimensions):
        (dim,) = dims
        shifted = tuple(d + (d >= dim) for d in dimensions)
        out = dim - sum(d < dim for d in shifted)
        return [squeeze(operands[0], shifted)], [out]

    def element(self, b, types, operands, index, *, dimensions):
        rest = iter(index)
        return [
            operands[0]([b.index(0) if d in dimensions else next(rest)
                         for d in range(types[0].ndim)])
        ]  # fmt: skip


class Rev(Primitive):
    """Reverses the order of elements along `dimensions`."""

    linear = True

    def type(self, x, *, dimensions):
        if len(set(dimensions)) != len(dimensions):
            raise TypeError(
                located(
                    f"rev dimensions must be unique, got {tuple(dimensions)}.",
                    attempt="name each dimension once",
                )
            )
        if any(d < 0 for d in dimensions):
            raise TypeError(
                located(
                    "rev dimensions must have every element be nonnegative, got "
                    f"{tuple(dimensions)}.",
                    attempt=f"dimensions from 0 to {x.ndim - 1}; numpy.flip counts from the end, "
                    "too",
                )
            )
        if any(d >= x.ndim for d in dimensions):
            raise TypeError(
                located(
                    "rev dimensions must all be less than operand ndim, got dimensions "
                    f"{tuple(dimensions)} for operand ndim {x.ndim}.",
                    attempt=f"dimensions from 0 to {x.ndim - 1}",
                )
            )
        return [x]

    def reference(self, x, *, dimensions):
        return [np.flip(x, dimensions)]

    def transpose(self, cotangents, x, *, dimensions):
        (ct,) = cotangents
        return [ct if isinstance(ct, Zero) else rev(ct, dimensions)]

    def batch(self, size, operands, dims, *, dimensions):
        (dim,) = dims
        return [rev(operands[0], tuple(d + (d >= dim) for d in dimensions))], [dim]

    def element(self, b, types, operands, index, *, dimensions):
        return [
            operands[0]([
                b.op("sub", b.index(n - 1), i) if d in dimensions else i
                for d, (n, i) in enumerate(zip(types[0].shape, index, strict=True))
            ])
        ]  # fmt: skip


class Split(Primitive):
    """Consecutive pieces of lengths `sizes` along `axis`: one result per piece."""

    linear = True

    def type(self, x, *, sizes, axis):
        if any(n < 0 for n in sizes):
            raise ValueError(
                located(
                    f"Sizes passed to split must be nonnegative, got {list(sizes)}",
                    attempt="numpy.diff of the positions, sorted",
                )
            )
        if sum(sizes) != x.shape[axis]:
            raise ValueError(
                located(
                    f"Sum of sizes {sum(sizes)} must be equal to dimension {axis} of the operand "
                    f"shape {list(x.shape)}",
                    attempt=f"sizes that add up to {x.shape[axis]}, or numpy.split with positions",
                )
            )
        return [x.update(shape=(*x.shape[:axis], n, *x.shape[axis + 1 :])) for n in sizes]

    def reference(self, x, *, sizes, axis):
        return np.split(x, np.cumsum(sizes)[:-1], axis) if len(sizes) > 1 else [np.asarray(x)]

    def expand(self, x, *, sizes, axis):
        ends = list(itertools.accumulate(sizes, initial=0))
        return [slice_in(x, axis, a, z) for a, z in itertools.pairwise(ends)]

    def transpose(self, cotangents, x, *, sizes, axis):
        if all(isinstance(ct, Zero) for ct in cotangents):
            return [Zero(x.type.tangent())]
        return [concatenate([instantiate(ct) for ct in cotangents], axis)]

    def batch(self, size, operands, dims, *, sizes, axis):
        (dim,) = dims
        pieces = self.bind(operands[0], sizes=sizes, axis=axis + (axis >= dim))
        return pieces, [dim] * len(sizes)


reshape_p = Reshape("reshape")
squeeze_p = Squeeze("squeeze")
rev_p = Rev("rev")
split_p = Split("split")


def reshape(x: Any, new_sizes: Sequence[int]) -> Any:
    """`reshape`, left out where it changes nothing."""
    new_sizes = tuple(new_sizes)
    if typeof(x).shape == new_sizes:
        return x
    return reshape_p.bind(x, new_sizes=new_sizes, dimensions=None, sharding=None)[0]


def squeeze(x: Any, dimensions: Sequence[int]) -> Any:
    """`squeeze` of non-negative dimensions, left out where there are none."""
    dimensions = tuple(dimensions)
    return squeeze_p.bind(x, dimensions=dimensions)[0] if dimensions else x


def rev(x: Any, dimensions: Sequence[int]) -> Any:
    """`rev`, left out where there are no dimensions."""
    dimensions = tuple(dimensions)
    return rev_p.bind(x, dimensions=dimensions)[0] if dimensions else x


def expand_dims(x: Any, dimensions: Sequence[int]) -> Any:
    """New dimensions of size 1 at these (non-negative) places of the result."""
    if not dimensions:
        return x
    shape = typeof(x).shape
    rank = len(shape) + len(dimensions)
    kept = [d for d in range(rank) if d not in dimensions]
    sizes = [1] * rank
    for d, n in zip(kept, shape, strict=True):
        sizes[d] = n
    return broadcast_in_dim(x, sizes, kept)
