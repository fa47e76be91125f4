"""gather: slices of an array at places given by an array of start indices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import move_to_front, zeros
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives import scatter as scattering
from fornax.primitives.windows import (
    FILL_OR_DROP,
    ONE_HOT,
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    check_batching,
    check_index_map,
    check_sorted,
    fill_constant,
    index_value,
    raised,
    start_positions,
    window_dims,
    window_index,
)
from fornax.source import located


class Gather(Primitive):
    """result[batch, offset] = operand[start(batch) + offset]; see GatherDimensionNumbers.

    Operands: the array and the integer start indices. Params: dimension_numbers, slice_sizes
    (one per operand dimension), mode, fill_value (None or a Python scalar), unique_indices and
    indices_are_sorted (promises of the caller).
    """

    remembers_types = True
    cost = 2
    reference_cost = 1e-4

    def type(
        self, x, indices, *, dimension_numbers, slice_sizes, mode, fill_value,
        unique_indices, indices_are_sorted,
    ):  # fmt: skip
        dn = dimension_numbers
        check_index_map("Gather", dn.start_index_map, x.ndim, indices, "start_index_map")
        if len(slice_sizes) != x.ndim:
            raise TypeError(
                located(
                    "Gather op must have one slice size for every input dimension; got: "
                    f"len(slice_sizes)={len(slice_sizes)}, input_shape.rank={x.ndim}",
                    attempt=f"{x.ndim} slice sizes, 1 for a dimension that is indexed",
                )
            )
        rank = len(dn.offset_dims) + indices.ndim - 1
        check_sorted("gather", "offset_dims", dn.offset_dims, rank)
        check_sorted("gather", "collapsed_slice_dims", dn.collapsed_slice_dims, x.ndim)
        check_batching(
            "gather", x, indices, dn.operand_batching_dims, dn.start_indices_batching_dims,
            dn.start_index_map,
        )  # fmt: skip
        for d, (n, size) in enumerate(zip(x.shape, slice_sizes, strict=True)):
            if not 0 <= size <= n:
                raise TypeError(
                    located(
                        f"Slice size at index {d} in gather op is out of range, must be within "
                        f"[0, {n} + 1), got {size}.",
                        attempt=f"a slice size from 0 to {n}",
                    )
                )
        for d in (*dn.collapsed_slice_dims, *dn.operand_batching_dims):
            if slice_sizes[d] > 1:
                raise TypeError(
                    located(
                        "Gather op can only collapse slice dims with bound 1, but bound is "
                        f"{slice_sizes[d]} for index {d}.",
                        attempt="slice size 1 for what is collapsed, or list it in offset_dims",
                    )
                )
        window = window_dims(x.ndim, dn.collapsed_slice_dims, dn.operand_batching_dims)
        if len(window) != len(dn.offset_dims):
            raise TypeError(
                located(
                    "All components of the offset index in a gather op must either be a offset "
                    "dimension or explicitly collapsed/batching; got len(slice_sizes)="
                    f"{len(slice_sizes)}, offset_dims={dn.offset_dims}, collapsed_slice_dims="
                    f"{dn.collapsed_slice_dims}, operand_batching_dims={dn.operand_batching_dims}.",
                    attempt="name every dimension once; x[index] or numpy.take work them out",
                )
            )
        offsets = dict(zip(dn.offset_dims, (slice_sizes[d] for d in window), strict=True))
        batch = iter(indices.shape[:-1])
        shape = [offsets[d] if d in offsets else next(batch) for d in range(rank)]
        return [x.update(shape=shape)]

    def reference(
        self, x, indices, *, dimension_numbers, slice_sizes, mode, fill_value,
        unique_indices, indices_are_sorted,
    ):  # fmt: skip
        x, indices, dn = np.asarray(x), np.asarray(indices), dimension_numbers
        window = window_dims(x.ndim, dn.collapsed_slice_dims, dn.operand_batching_dims)
        batch = indices.shape[:-1]
        rank = len(batch) + len(window)
        # batch dimensions first, then the window; afterwards into the order of the result
        batch_places = [d for d in range(rank) if d not in dn.offset_dims]
        order = np.argsort([*batch_places, *dn.offset_dims]).tolist()
        if 0 in batch or any(slice_sizes[d] == 0 for d in window):
            empty = np.empty((*batch, *(slice_sizes[d] for d in window)), x.dtype)
            return [np.transpose(empty, order)]
        bounds = [x.shape[d] - slice_sizes[d] for d in dn.start_index_map]
        fills = mode in (FILL_OR_DROP, ONE_HOT)
        starts, valid = start_positions(indices, bounds, not fills)
        batching = dict(zip(dn.operand_batching_dims, dn.start_indices_batching_dims, strict=True))
        whole = [d for d in window if d not in dn.start_index_map and slice_sizes[d] == x.shape[d]]
        positions = window_index(starts, dn.start_index_map, slice_sizes, window, batching)
        moving = [d for d in range(x.ndim) if d not in whole]
        inner = len(batch) + len(window) - len(whole)
        windows_left = [k for k, d in enumerate(window) if d not in whole]
        shapes = [*range(len(batch)), *(len(batch) + k for k in windows_left)]
        picked = [positions[d].reshape([positions[d].shape[k] for k in shapes]) for d in moving]
        full = (*batch, *(slice_sizes[window[k]] for k in windows_left))
        source = np.transpose(x, (*moving, *whole))
        if picked:
            result = np.asarray(source[tuple(np.broadcast_to(p, full) for p in picked)])
        else:
            result = np.broadcast_to(source, (*full, *source.shape))
        if not np.all(valid):
            result[~valid] = fill_constant(x.dtype, fill_value if mode is not ONE_HOT else 0)
        left = [window[k] for k in windows_left]
        placed = {d: len(batch) + k for k, d in enumerate(left)}
        placed.update({d: inner + k for k, d in enumerate(whole)})
        result = np.transpose(result, (*range(len(batch)), *(placed[d] for d in window)))
        return [np.transpose(result, order)]

    def jvp(self, primals, tangents, **params):
        x, indices = primals
        outputs = self.bind(x, indices, **params)
        tangent = tangents[0]
        if isinstance(tangent, Zero):
            return outputs, [Zero(typeof(outputs[0]).tangent())]
        return outputs, self.bind(tangent, indices, **{**params, "fill_value": 0})

    def transpose(
        self, cotangents, x, indices, *, dimension_numbers, slice_sizes, mode, fill_value,
        unique_indices, indices_are_sorted,
    ):  # fmt: skip
        (ct,) = cotangents
        if not isinstance(x, Linear):
            return [None, None]
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent()), None]
        dn = dimension_numbers
        numbers = ScatterDimensionNumbers(
            update_window_dims=dn.offset_dims,
            inserted_window_dims=dn.collapsed_slice_dims,
            scatter_dims_to_operand_dims=dn.start_index_map,
            operand_batching_dims=dn.operand_batching_dims,
            scatter_indices_batching_dims=dn.start_indices_batching_dims,
        )
        total = scattering.scatter_add_p.bind(
            zeros(x.type.tangent()), indices, ct, dimension_numbers=numbers, mode=mode,
            unique_indices=unique_indices, indices_are_sorted=indices_are_sorted,
        )  # fmt: skip
        return [*total, None]

    def batch(
        self, size, operands, dims, *, dimension_numbers, slice_sizes, mode, fill_value,
        unique_indices, indices_are_sorted,
    ):  # fmt: skip
        (x, indices), (x_dim, indices_dim) = operands, dims
        dn = dimension_numbers
        collapsed, index_map = dn.collapsed_slice_dims, dn.start_index_map
        batching, indices_batching = dn.operand_batching_dims, dn.start_indices_batching_dims
        offset_dims = raised(dn.offset_dims)
        if x_dim is not None:
            x = move_to_front(x, x_dim, size)
            collapsed, index_map, batching = map(raised, (collapsed, index_map, batching))
        if indices_dim is not None:
            indices = move_to_front(indices, indices_dim, size)
            indices_batching = raised(indices_batching)
        if x_dim is not None and indices_dim is not None:
            batching, indices_batching = (0, *batching), (0, *indices_batching)
            slice_sizes = (min(size, 1), *slice_sizes)
        elif x_dim is not None:
            offset_dims = (0, *offset_dims)
            slice_sizes = (size, *slice_sizes)
        else:
            unique_indices = indices_are_sorted = False
        numbers = GatherDimensionNumbers(
            offset_dims, collapsed, index_map, batching, indices_batching
        )
        return self.bind(
            x, indices, dimension_numbers=numbers, slice_sizes=slice_sizes, mode=mode,
            fill_value=fill_value, unique_indices=unique_indices,
            indices_are_sorted=indices_are_sorted,
        ), [0]  # fmt: skip

    def element(
        self, b, types, operands, index, *, dimension_numbers, slice_sizes, mode, fill_value,
        unique_indices, indices_are_sorted,
    ):  # fmt: skip
        dn, x = dimension_numbers, types[0]
        fills = mode in (FILL_OR_DROP, ONE_HOT)
        fill = fill_constant(x.dtype, fill_value if mode is not ONE_HOT else 0)
        fill = b.const(fill.item(), x.dtype.name)
        if math.prod(x.shape) == 0:
            return [fill]
        batch = [i for d, i in enumerate(index) if d not in dn.offset_dims]
        window = window_dims(x.ndim, dn.collapsed_slice_dims, dn.operand_batching_dims)
        position = [b.index(0)] * x.ndim
        for d, i in zip(window, dn.offset_dims, strict=True):
            position[d] = index[i]
        for d, g in zip(dn.operand_batching_dims, dn.start_indices_batching_dims, strict=True):
            position[d] = batch[g]
        inside = b.const(True, "bool")
        for k, d in enumerate(dn.start_index_map):
            start = index_value(b, operands[1]([*batch, b.index(k)]))
            bound = x.shape[d] - slice_sizes[d]
            if fills:
                inside = b.op("and", inside, b.within(start, 0, bound + 1))
            position[d] = b.add_index(position[d], b.clamp_index(start, 0, bound))
        value = operands[0](position)
        return [b.select(inside, value, fill) if fills else value]


gather_p = Gather("gather")


def gather(
    x: Any,
    indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    mode: GatherScatterMode,
    fill_value: Any = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
) -> Any:
    """`gather` with params in their normal form."""
    return gather_p.bind(
        x,
        indices,
        dimension_numbers=dimension_numbers,
        slice_sizes=tuple(slice_sizes),
        mode=mode,
        fill_value=fill_value,
        unique_indices=bool(unique_indices),
        indices_are_sorted=bool(indices_are_sorted),
    )[0]
