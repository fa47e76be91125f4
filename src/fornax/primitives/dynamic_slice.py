"""dynamic_slice and dynamic_update_slice: slices whose place is known when the program runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, instantiate, move_to_front, zeros
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.concatenate import stack_last
from fornax.primitives.gather import gather
from fornax.primitives.scatter import scatter, scatter_p
from fornax.primitives.windows import (
    CLIP,
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
    index_value,
    raised,
)
from fornax.scalars import dtypes
from fornax.source import located


def _check_starts(name: str, x: ArrayType, starts: Sequence[ArrayType]) -> None:
    if len(starts) != x.ndim:
        raise TypeError(
            located(
                f"{name} needs one start index per dimension of the operand, got {len(starts)} "
                f"for operand shape {x.shape}",
                attempt=f"{x.ndim} start indices; 0 for a dimension that is taken whole",
            )
        )
    if any(t.shape for t in starts):
        raise TypeError(
            located(
                f"start_indices arguments to {name} must be scalars,  got indices {tuple(starts)}",
                attempt="one number for each dimension; vmap for many slices",
            )
        )
    if not all(dtypes.is_integer(t.dtype) and t.dtype == starts[0].dtype for t in starts):
        names = ", ".join(dtypes.short_name(t.dtype) for t in starts)
        raise TypeError(
            located(
                f"index arguments to {name} must be integers of the same type, got: {names}",
                attempt="i.astype(int) for all of them",
            )
        )


def _clamped(starts: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> list[int]:
    return [
        max(0, min(int(start), n - size))
        for start, n, size in zip(starts, shape, sizes, strict=True)
    ]


def _mapped_starts(size: int, starts: Sequence[Any], dims: Sequence[int | None]) -> Any:
    """All start indices, mapped over an axis of `size`, as index vectors [size, rank]."""
    columns = [
        broadcast_in_dim(s, (size,), (0,) if d is not None else ())
        for s, d in zip(starts, dims, strict=True)
    ]
    return stack_last(columns)


def _with_start(starts: Sequence[Any], dim: int) -> list[Any]:
    """Start indices for an operand with one more dimension at `dim`, taken whole."""
    zero = np.zeros((), typeof(starts[0]).dtype if starts else np.int32)[()]
    return [*starts[:dim], zero, *starts[dim:]]


class DynamicSlice(Primitive):
    """The slice of `slice_sizes` at the start indices, which are moved so that it fits inside.

    Operands: the array, then one scalar integer per dimension, all of one dtype.
    """

    remembers_types = True

    def type(self, x, *starts, slice_sizes):
        _check_starts("dynamic_slice", x, starts)
        if len(slice_sizes) != x.ndim:
            raise TypeError(
                located(
                    "dynamic_slice slice_sizes must have length equal to the number of "
                    f"dimensions of the operand, got {tuple(slice_sizes)} for operand shape "
                    f"{x.shape}",
                    attempt=f"{x.ndim} sizes; x.shape[k] for a dimension that is taken whole",
                )
            )
        if any(size < 0 for size in slice_sizes):
            raise TypeError(
                located(
                    "slice slice_sizes must be greater than or equal to zero, got slice_sizes of "
                    f"{tuple(slice_sizes)}.",
                    attempt="max(n, 0) if a size was worked out",
                )
            )
        if any(size > n for size, n in zip(slice_sizes, x.shape, strict=True)):
            raise TypeError(
                located(
                    "slice slice_sizes must be less than or equal to operand shape, got "
                    f"slice_sizes {tuple(slice_sizes)} for operand shape {x.shape}.",
                    attempt="min(n, x.shape[k]), or numpy.pad first",
                )
            )
        return [x.update(shape=slice_sizes)]

    def reference(self, x, *starts, slice_sizes):
        x = np.asarray(x)
        first = _clamped(starts, x.shape, slice_sizes)
        return [x[tuple(slice(a, a + n) for a, n in zip(first, slice_sizes, strict=True))]]

    def jvp(self, primals, tangents, *, slice_sizes):
        x, *starts = primals
        outputs = self.bind(x, *starts, slice_sizes=slice_sizes)
        if isinstance(tangents[0], Zero):
            return outputs, [Zero(typeof(outputs[0]).tangent())]
        return outputs, self.bind(tangents[0], *starts, slice_sizes=slice_sizes)

    def transpose(self, cotangents, x, *starts, slice_sizes):
        (ct,) = cotangents
        nothing = [None] * len(starts)
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent()), *nothing]
        return [dynamic_update_slice(zeros(x.type.tangent()), ct, starts), *nothing]

    def batch(self, size, operands, dims, *, slice_sizes):
        (x, *starts), (dim, *start_dims) = operands, dims
        if all(d is None for d in start_dims):
            sizes = (*slice_sizes[:dim], size, *slice_sizes[dim:])
            return [dynamic_slice(x, _with_start(starts, dim), sizes)], [dim]
        indices = _mapped_starts(size, starts, start_dims)
        everything = tuple(range(len(slice_sizes)))
        if dim is None:
            numbers = GatherDimensionNumbers(raised(everything), (), everything)
            sizes = slice_sizes
        else:
            x = move_to_front(x, dim, size)
            numbers = GatherDimensionNumbers(raised(everything), (), raised(everything), (0,), (0,))
            sizes = (min(size, 1), *slice_sizes)
        return [gather(x, indices, numbers, sizes, CLIP)], [0]

    def element(self, b, types, operands, index, *, slice_sizes):
        picked = []
        for k, (n, size) in enumerate(zip(types[0].shape, slice_sizes, strict=True)):
            start = index_value(b, operands[k + 1](()))
            picked.append(b.add_index(b.clamp_index(start, 0, n - size), index[k]))
        return [operands[0](picked)]


class DynamicUpdateSlice(Primitive):
    """The operand with the slice at the start indices (moved to fit inside) replaced.

    Operands: the array, the update, then one scalar integer per dimension, all of one dtype.
    """

    remembers_types = True

    def type(self, x, update, *starts):
        _check_starts("dynamic_update_slice", x, starts)
        if x.ndim != update.ndim:
            raise TypeError(
                located(
                    "dynamic_update_slice update must have the same rank as operand, got update "
                    f"shape {update.shape} for operand shape {x.shape}.",
                    attempt=f"reshape the update to {x.ndim} dimensions, with size 1 where one "
                    "element is written",
                )
            )
        if any(n > limit for n, limit in zip(update.shape, x.shape, strict=True)):
            raise TypeError(
                located(
                    "dynamic_update_slice update shape must be smaller than operand shape, got "
                    f"update shape {update.shape} for operand shape {x.shape}.",
                    attempt="a slice of the update, or numpy.pad the operand first",
                )
            )
        if x.dtype != update.dtype:
            raise TypeError(
                located(
                    "lax.dynamic_update_slice requires arguments to have the same dtypes, got "
                    f"{dtypes.short_name(x.dtype)}, {dtypes.short_name(update.dtype)}.",
                    attempt=f"update.astype({x.dtype.name!r})",
                )
            )
        return [x.strip_weak_type()]

    def reference(self, x, update, *starts):
        result, update = np.array(x), np.asarray(update)
        first = _clamped(starts, result.shape, update.shape)
        result[tuple(slice(a, a + n) for a, n in zip(first, update.shape, strict=True))] = update
        return [result]

    def jvp(self, primals, tangents):
        x, update, *starts = primals
        outputs = self.bind(x, update, *starts)
        dx, du = tangents[:2]
        if isinstance(dx, Zero) and isinstance(du, Zero):
            return outputs, [Zero(typeof(outputs[0]).tangent())]
        return outputs, self.bind(instantiate(dx), instantiate(du), *starts)

    def transpose(self, cotangents, x, update, *starts):
        (ct,) = cotangents
        update_type = update.type if isinstance(update, Linear) else typeof(update)
        results: list[Any] = [None] * (2 + len(starts))
        if isinstance(x, Linear):
            results[0] = (
                Zero(x.type.tangent())
                if isinstance(ct, Zero)
                else dynamic_update_slice(ct, zeros(update_type), starts)
            )
        if isinstance(update, Linear):
            results[1] = (
                Zero(update_type.tangent())
                if isinstance(ct, Zero)
                else dynamic_slice(ct, starts, update_type.shape)
            )
        return results

    def batch(self, size, operands, dims):
        (x, update, *starts), (dim, update_dim, *start_dims) = operands, dims
        x = move_to_front(x, dim, size)
        update = move_to_front(update, update_dim, size)
        if all(d is None for d in start_dims):
            return [dynamic_update_slice(x, update, _with_start(starts, 0))], [0]
        everything = tuple(range(1, typeof(x).ndim))
        numbers = ScatterDimensionNumbers(everything, (), everything, (0,), (0,))
        indices = _mapped_starts(size, starts, start_dims)
        return [scatter(scatter_p, x, indices, update, numbers, CLIP, True, True)], [0]

    def element(self, b, types, operands, index):
        x, update = types[:2]
        if math.prod(update.shape) == 0:
            return [operands[0](index)]
        inside = b.const(True, "bool")
        picked = []
        for k, (n, size) in enumerate(zip(x.shape, update.shape, strict=True)):
            start = index_value(b, operands[k + 2](()))
            position = b.op("sub", index[k], b.clamp_index(start, 0, n - size))
            inside = b.op("and", inside, b.within(position, 0, size))
            picked.append(b.clamp_index(position, 0, size - 1))
        return [b.select(inside, operands[1](picked), operands[0](index))]


dynamic_slice_p = DynamicSlice("dynamic_slice")
dynamic_update_slice_p = DynamicUpdateSlice("dynamic_update_slice")


def dynamic_slice(x: Any, starts: Sequence[Any], sizes: Sequence[int]) -> Any:
    """`dynamic_slice`, left out where it takes everything."""
    sizes = tuple(sizes)
    if typeof(x).shape == sizes:
        return x
    return dynamic_slice_p.bind(x, *starts, slice_sizes=sizes)[0]


def dynamic_update_slice(x: Any, update: Any, starts: Sequence[Any]) -> Any:
    """`dynamic_update_slice` with start indices of one integer dtype."""
    return dynamic_update_slice_p.bind(x, update, *starts)[0]
