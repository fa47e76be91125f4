"""The few structural operations that transformations themselves emit.

They live below `transforms/` so that nothing there imports the primitives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.scalars import dtypes
from fornax.scalars.promotion import check_numbers
from fornax.source import located


class BroadcastInDim(Primitive):
    """Operand dimension i becomes result dimension `broadcast_dimensions[i]`; 1s are repeated."""

    remembers_types = True
    linear = True

    def type(self, x, *, shape, broadcast_dimensions):
        dims = tuple(broadcast_dimensions)
        if len(dims) != x.ndim:
            raise TypeError(
                located(
                    "broadcast_in_dim: broadcast_dimensions must name every operand dimension, "
                    f"got {dims} for an operand of shape {x.shape}",
                    attempt=f"one dimension of the result for each of the {x.ndim} of the "
                    f"operand, as in {tuple(range(x.ndim))}",
                )
            )
        if list(dims) != sorted(set(dims)) or any(not 0 <= d < len(shape) for d in dims):
            raise TypeError(
                located(
                    "broadcast_in_dim: broadcast_dimensions must be strictly increasing "
                    f"dimensions of shape {tuple(shape)}, got {dims}",
                    attempt="sort them, and transpose the operand first if its dimensions are to "
                    "change places",
                )
            )
        for n, d in zip(x.shape, dims, strict=True):
            if n != 1 and n != shape[d]:
                raise TypeError(
                    located(
                        "broadcast_in_dim: operand dimension sizes must either be 1, or be equal "
                        "to their corresponding dimensions in the target broadcast shape; got "
                        f"operand of shape {x.shape}, target shape {tuple(shape)}, "
                        f"broadcast_dimensions {dims}",
                        attempt="reshape the operand so that what is repeated has size 1, as in "
                        "x[:, None]",
                    )
                )
        return [ArrayType(shape, x.dtype, x.weak_type)]

    def reference(self, x, *, shape, broadcast_dimensions):
        expanded = [1] * len(shape)
        for n, d in zip(np.shape(x), broadcast_dimensions, strict=True):
            expanded[d] = n
        return [np.broadcast_to(np.reshape(x, expanded), shape)]

    def transpose(self, cotangents, x, *, shape, broadcast_dimensions):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        repeated = [
            d for n, d in zip(x.type.shape, broadcast_dimensions, strict=True)
            if n == 1 and shape[d] != 1
        ]  # fmt: skip
        new = [d for d in range(len(shape)) if d not in broadcast_dimensions]
        total = reduce_sum(ct, tuple(sorted((*new, *repeated))))
        if repeated:
            kept = [i for i, d in enumerate(broadcast_dimensions) if d not in repeated]
            total = broadcast_in_dim(total, x.type.shape, tuple(kept))
        return [total]

    def batch(self, size, operands, dims, *, shape, broadcast_dimensions):
        x = move_to_front(operands[0], dims[0], size)
        shifted = (0, *(d + 1 for d in broadcast_dimensions))
        return [broadcast_in_dim(x, (size, *shape), shifted)], [0]

    def element(self, b, types, operands, index, *, shape, broadcast_dimensions):
        picked = [
            b.index(0) if n == 1 else index[d]
            for n, d in zip(types[0].shape, broadcast_dimensions, strict=True)
        ]
        return [operands[0](picked)]


class Transpose(Primitive):
    """Result dimension i is operand dimension `permutation[i]`."""

    remembers_types = True
    linear = True

    def type(self, x, *, permutation):
        if sorted(permutation) != list(range(x.ndim)):
            raise TypeError(
                located(
                    "transpose permutation isn't a permutation of operand dimensions, got "
                    f"permutation {tuple(permutation)} for operand shape {x.shape}",
                    attempt=f"each of {tuple(range(x.ndim))} once, in the order wanted",
                )
            )
        return [x.update(shape=[x.shape[p] for p in permutation])]

    def reference(self, x, *, permutation):
        return [np.transpose(x, permutation)]

    def transpose(self, cotangents, x, *, permutation):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        return [transpose(ct, inverse_permutation(permutation))]

    def leading(self, *, permutation):
        return {"permutation": (0, *(p + 1 for p in permutation))}

    def batch(self, size, operands, dims, *, permutation):
        # no data movement: the mapped axis stays where it is
        (x,), (dim,) = operands, dims
        outer = [p + (p >= dim) for p in permutation]
        return [transpose(x, (dim, *outer))], [0]

    def element(self, b, types, operands, index, *, permutation):
        return [operands[0]([index[i] for i in inverse_permutation(permutation)])]


class ReduceSum(Primitive):
    """Sum over `axes`."""

    remembers_types = True
    linear = True

    def type(self, x, *, axes):
        check_axes("reduce_sum", x, axes)
        check_numbers("reduce_sum", (x.dtype,))
        return [x.update(shape=[n for i, n in enumerate(x.shape) if i not in axes])]

    def reference(self, x, *, axes):
        x = np.asarray(x)
        if x.dtype == np.bool_:
            return [np.any(x, axis=axes)]
        wide = np.float32 if dtypes.is_inexact(x.dtype) and x.dtype.itemsize < 4 else x.dtype
        return [np.sum(x, axis=axes, dtype=wide).astype(x.dtype, copy=False)]

    def transpose(self, cotangents, x, *, axes):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        kept = tuple(i for i in range(len(x.type.shape)) if i not in axes)
        return [broadcast_in_dim(ct, x.type.shape, kept)]

    def leading(self, *, axes):
        return {"axes": tuple(a + 1 for a in axes)}

    def element(self, b, types, operands, index, *, axes):
        full, loops = reduction_index(b, types[0].shape, axes, index)
        return [b.reduce("add", loops, operands[0](full))]


class AddAny(Primitive):
    """Addition of cotangents: like add, for any type that has tangents."""

    remembers_types = True
    linear = True
    pointwise = True

    def type(self, x, y):
        if x.dtype != y.dtype:  # rules that users write may give cotangents of any dtype
            raise TypeError(
                located(
                    "add requires arguments to have the same dtypes, got "
                    f"{x.short()}, {y.short()}: these are cotangents of one value",
                    "a custom rule gave one of them in another dtype than its input's",
                    "astype in the bwd rule, to the dtype of the input",
                )
            )
        if x.dtype in (dtypes.bool_, dtypes.float0):
            raise TypeError(
                located(
                    f"add does not accept dtype {x.dtype.name}: these are cotangents of one value",
                    "a custom rule gave cotangents that are no numbers",
                    "astype in the bwd rule, to the dtype of the input",
                )
            )
        return [x if y.weak_type else x.update(weak_type=False)]

    def reference(self, x, y):
        return [np.asarray(np.add(x, y))]

    def transpose(self, cotangents, x, y):
        (ct,) = cotangents
        return [ct if isinstance(o, Linear) else None for o in (x, y)]

    def leading(self):
        return {}

    def element(self, b, types, operands, index):
        x, y = operands
        return [b.cast(b.add(x(index), y(index)), types[0].dtype.name)]


broadcast_in_dim_p = BroadcastInDim("broadcast_in_dim")
transpose_p = Transpose("transpose")
reduce_sum_p = ReduceSum("reduce_sum")
add_any_p = AddAny("add_any")


def check_axes(name: str, x: ArrayType, axes: Sequence[int]) -> None:
    """Reduction axes must be distinct dimensions of the operand."""
    if len(set(axes)) != len(axes):
        raise ValueError(
            located(f"{name}: duplicate value in axes {tuple(axes)}", attempt="name each axis once")
        )
    if any(not 0 <= a < x.ndim for a in axes):
        raise ValueError(
            located(
                f"{name}: axes {tuple(axes)} out of bounds for operand {x.short()}",
                "operations of lax count axes from 0, without negative ones",
                f"axes from 0 to {x.ndim - 1}, or the function in fornax.numpy",
            )
        )


def reduction_index(b, shape, axes, index):
    """(full operand index, reduction axes) for a reduction's element rule."""
    loops = {a: b.new_axis(shape[a], "r") for a in axes}
    rest = iter(index)
    full = [b.axis(loops[i]) if i in loops else next(rest) for i in range(len(shape))]
    return full, list(loops.values())


def inverse_permutation(permutation: Sequence[int]) -> tuple[int, ...]:
    inverse = [0] * len(permutation)
    for i, p in enumerate(permutation):
        inverse[p] = i
    return tuple(inverse)


def broadcast_in_dim(x: Any, shape: Sequence[int], dims: Sequence[int]) -> Any:
    """`broadcast_in_dim`, left out where it changes nothing."""
    shape, dims = tuple(shape), tuple(dims)
    if typeof(x).shape == shape and dims == tuple(range(len(shape))):
        return x
    return broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=dims)[0]


def transpose(x: Any, permutation: Sequence[int]) -> Any:
    """`transpose`, left out where it changes nothing."""
    permutation = tuple(permutation)
    if permutation == tuple(range(len(permutation))):
        return x
    return transpose_p.bind(x, permutation=permutation)[0]


def reduce_sum(x: Any, axes: Sequence[int]) -> Any:
    """`reduce_sum`, left out where there is nothing to sum over."""
    axes = tuple(axes)
    return reduce_sum_p.bind(x, axes=axes)[0] if axes else x


def add(x: Any, y: Any) -> Any:
    """The sum of two tangents or cotangents, either of which may be `Zero`."""
    if isinstance(x, Zero):
        return y
    if isinstance(y, Zero):
        return x
    return add_any_p.bind(x, y)[0]


def zeros(type: ArrayType) -> Any:
    """An array of zeros of a type (float0 included), weakly typed if the type is."""
    if isinstance(type.dtype, np.dtype) and type.dtype == dtypes.float0:
        return np.zeros(type.shape, dtypes.float0)
    zero = np.zeros((), type.dtype)
    if type.weak_type and dtypes.is_inexact(type.dtype):
        weak = 0j if dtypes.is_complex(type.dtype) else 0.0
        if typeof(weak).dtype == type.dtype:
            return broadcast_in_dim(weak, type.shape, ()) if type.shape else weak
    return (
        broadcast_in_dim_p.bind(zero, shape=type.shape, broadcast_dimensions=())[0]
        if (type.shape)
        else zero[()]
    )


def ones(type: ArrayType) -> Any:
    """An array of ones of a type."""
    one = np.ones((), type.dtype)
    return (
        broadcast_in_dim_p.bind(one, shape=type.shape, broadcast_dimensions=())[0]
        if (type.shape)
        else one[()]
    )


def instantiate(tangent: Any) -> Any:
    """Zeros for a `Zero`; anything else unchanged."""
    return zeros(tangent.type) if isinstance(tangent, Zero) else tangent


def move_axis(x: Any, source: int, destination: int) -> Any:
    """Move one axis, like `numpy.moveaxis`."""
    if source == destination:
        return x
    permutation = [i for i in range(typeof(x).ndim) if i != source]
    permutation.insert(destination, source)
    return transpose(x, permutation)


def move_to_front(x: Any, dim: int | None, size: int) -> Any:
    """Bring a mapped axis to the front; repeat an unmapped value along a new one."""
    if dim is not None:
        return move_axis(x, dim, 0)
    shape = typeof(x).shape
    return broadcast_in_dim(x, (size, *shape), tuple(range(1, len(shape) + 1)))
