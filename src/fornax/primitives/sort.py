"""sort and top_k: order along a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import move_to_front
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives.gather import gather
from fornax.primitives.iota import iota
from fornax.primitives.shape import reshape
from fornax.primitives.windows import PROMISE_IN_BOUNDS, GatherDimensionNumbers
from fornax.scalars import dtypes
from fornax.scalars.formats import FORMATS, POWERS, bits_of
from fornax.scalars.promotion import check_numbers
from fornax.source import located


def pick_along(x: Any, positions: Any, dimension: int) -> Any:
    """x at `positions` along a dimension, where all other dimensions run together."""
    shape = typeof(positions).shape
    others = tuple(d for d in range(len(shape)) if d != dimension)
    numbers = GatherDimensionNumbers((), (dimension,), (dimension,), others, others)
    sizes = [min(n, 1) for n in typeof(x).shape]
    vectors = reshape(positions, (*shape, 1))
    return gather(x, vectors, numbers, sizes, PROMISE_IN_BOUNDS, None, True)


def comparable(x: np.ndarray) -> list[np.ndarray]:
    """NumPy arrays that order like `x`, the most significant last: what lexsort wants."""
    if dtypes.is_complex(x.dtype):
        return [x.imag, x.real]
    if dtypes.is_inexact(x.dtype) and x.dtype.itemsize < 4:
        return [x.astype(np.float32)]
    return [x.astype(np.int8)] if dtypes.is_narrow_integer(x.dtype) else [x]


class Sort(Primitive):
    """Sorts all operands by the first `num_keys` of them, along `dimension`.

    Keys compare in order; NaN comes last, -0 and 0 are equal, complex numbers compare by real part
    and then by imaginary part. Elements with equal keys keep their order.
    """

    cost = 32

    def type(self, *types, dimension, is_stable, num_keys):
        if not types:
            raise TypeError(
                located(
                    "Sort requires at least one operand",
                    attempt="lax.sort((keys, values), num_keys=1)",
                )
            )
        check_numbers("sort", [t.dtype for t in types[:num_keys]])
        if any(t.shape != types[0].shape for t in types):
            shapes = " ".join(str(t.shape) for t in types)
            raise TypeError(
                located(
                    f"Arguments to sort must have equal shapes, got: {shapes}",
                    attempt="numpy.broadcast_arrays(*operands) first",
                )
            )
        if not 0 <= dimension < types[0].ndim:
            raise ValueError(
                located(
                    f"axis {dimension} is out of bounds for array of dimension {types[0].ndim}",
                    attempt=f"a dimension from 0 to {types[0].ndim - 1}",
                )
            )
        if not 1 <= num_keys <= len(types):
            raise ValueError(
                located(
                    f"{num_keys=} must be between 1 and len(operand)={len(types)}",
                    attempt="num_keys=1, the default",
                )
            )
        return list(types)

    def reference(self, *arrays, dimension, is_stable, num_keys):
        arrays = tuple([np.asarray(x) for x in arrays])
        keys = [part for key in arrays[:num_keys] for part in reversed(comparable(key))]
        if len(keys) == 1:
            order = np.argsort(keys[0], axis=dimension, kind="stable")
        else:
            order = np.lexsort(tuple(reversed(keys)), axis=dimension)
        return [np.take_along_axis(x, order, dimension) for x in arrays]

    def jvp(self, primals, tangents, *, dimension, is_stable, num_keys):
        params = {"dimension": dimension, "is_stable": is_stable, "num_keys": num_keys}
        if all(isinstance(t, Zero) for t in tangents):
            outputs = self.bind(*primals, **params)
            return outputs, [Zero(typeof(y).tangent()) for y in outputs]
        positions = iota(np.uint32, typeof(primals[0]).shape, dimension)
        *outputs, order = self.bind(*primals, positions, **params)
        return outputs, [
            Zero(typeof(y).tangent()) if isinstance(t, Zero) else pick_along(t, order, dimension)
            for y, t in zip(outputs, tangents, strict=True)
        ]

    def batch(self, size, operands, dims, *, dimension, is_stable, num_keys):
        dim = dims[0] if all(d == dims[0] for d in dims) else 0
        if any(d != dim for d in dims):
            operands = [move_to_front(x, d, size) for x, d in zip(operands, dims, strict=True)]
        outputs = self.bind(
            *operands, dimension=dimension + (dimension >= dim), is_stable=is_stable,
            num_keys=num_keys,
        )  # fmt: skip
        return outputs, [dim] * len(outputs)


def descending(x: np.ndarray) -> np.ndarray:
    """Integers whose order is the reverse of that of `x`; floats are ordered by their bits, so
    that NaN is above infinity (below, if its sign is set) and -0 below 0."""
    row = FORMATS.get(x.dtype.name)
    if row is not None and row.special == POWERS:
        return ~x.view(np.uint8)
    if dtypes.is_floating(x.dtype):
        bits = x.view(f"int{x.dtype.itemsize * 8}")
        bits = bits << (x.dtype.itemsize * 8 - bits_of(x.dtype))
        top = np.iinfo(bits.dtype).max
        return ~np.where(bits < 0, bits ^ top, bits)
    if x.dtype == np.bool_ or dtypes.is_narrow_integer(x.dtype):
        x = x.astype(np.int8)
    return ~x


class TopK(Primitive):
    """The `k` largest elements along `axis`, largest first, and their positions (int32).

    Of equal elements the earlier comes first.
    """

    cost = 32

    def type(self, x, *, k, axis):
        if k < 0:
            raise ValueError(
                located(f"k argument to top_k must be nonnegative, got {k}", attempt="max(k, 0)")
            )
        if not 0 <= axis < x.ndim:
            raise ValueError(
                located(
                    f"axis {axis} is out of bounds for array of dimension {x.ndim}",
                    attempt=f"an axis from 0 to {x.ndim - 1}",
                )
            )
        if dtypes.is_complex(x.dtype):
            raise ValueError(
                located(
                    "top_k is not compatible with complex inputs.",
                    attempt="top_k of abs(x) or x.real",
                )
            )
        if x.shape[axis] < k:
            raise ValueError(
                located(
                    "k argument to top_k must be no larger than size along axis; got "
                    f"k={k} with shape={list(x.shape)} and axis={axis}",
                    attempt="min(k, x.shape[axis])",
                )
            )
        shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
        return [x.update(shape=shape), x.update(shape=shape, dtype=dtypes.int32)]

    def reference(self, x, *, k, axis):
        x = np.ascontiguousarray(x).reshape(np.shape(x))
        order = np.argsort(descending(x), axis=axis, kind="stable")
        picked = np.take(order, range(k), axis=axis)
        return [np.take_along_axis(x, picked, axis), picked.astype(np.int32)]

    def jvp(self, primals, tangents, *, k, axis):
        values, positions = self.bind(*primals, k=k, axis=axis)
        (t,) = tangents
        zero = Zero(typeof(positions).tangent())
        if isinstance(t, Zero):
            return [values, positions], [Zero(typeof(values).tangent()), zero]
        return [values, positions], [pick_along(t, positions, axis), zero]

    def batch(self, size, operands, dims, *, k, axis):
        (dim,) = dims
        return self.bind(*operands, k=k, axis=axis + (axis >= dim)), [dim, dim]


sort_p = Sort("sort")
top_k_p = TopK("top_k")


def sort(operands: Sequence[Any], dimension: int, num_keys: int = 1) -> list[Any]:
    """`sort`, which is always stable."""
    return sort_p.bind(*operands, dimension=dimension, is_stable=True, num_keys=num_keys)
