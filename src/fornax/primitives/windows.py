"""What gather and scatter share: modes, dimension numbers, and where windows lie."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fornax.ir.types import ArrayType
from fornax.scalars import dtypes
from fornax.source import located


class GatherScatterMode(enum.Enum):
    """What happens to slices that are not wholly inside the array.

    CLIP moves them inside. FILL_OR_DROP reads a fill value, and writes nothing.
    PROMISE_IN_BOUNDS says there are none; should there be some, reads clip and writes drop.
    ONE_HOT reads like FILL_OR_DROP with zeros.
    """

    CLIP = enum.auto()
    FILL_OR_DROP = enum.auto()
    PROMISE_IN_BOUNDS = enum.auto()
    ONE_HOT = enum.auto()

    def __repr__(self) -> str:
        return str(self)

    @staticmethod
    def from_any(spec: str | GatherScatterMode | None) -> GatherScatterMode:
        """A mode from itself, its name, or None (fill or drop). Raises ValueError."""
        if isinstance(spec, GatherScatterMode):
            return spec
        if spec is None or spec in ("fill", "drop"):
            return GatherScatterMode.FILL_OR_DROP
        if spec == "clip":
            return GatherScatterMode.CLIP
        if spec == "promise_in_bounds":
            return GatherScatterMode.PROMISE_IN_BOUNDS
        if spec == "one_hot":
            return GatherScatterMode.ONE_HOT
        raise ValueError(
            located(
                f'Unknown gather mode "{spec}": it must be "clip", "fill", "drop", '
                '"promise_in_bounds" or "one_hot"',
                attempt="mode='clip', or one of these",
            )
        )


CLIP = GatherScatterMode.CLIP
FILL_OR_DROP = GatherScatterMode.FILL_OR_DROP
PROMISE_IN_BOUNDS = GatherScatterMode.PROMISE_IN_BOUNDS
ONE_HOT = GatherScatterMode.ONE_HOT


class GatherDimensionNumbers(NamedTuple):
    """How the dimensions of operand, start indices and result correspond.

    The last dimension of the start indices holds one index vector; the others are batch.
    offset_dims: result dimensions that run inside a slice; the others are batch, in order.
    collapsed_slice_dims: operand dimensions of slice size 1 that the result lacks.
    start_index_map: which operand dimension each component of an index vector addresses.
    operand_batching_dims, start_indices_batching_dims: dimensions that run together.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class ScatterDimensionNumbers(NamedTuple):
    """How the dimensions of operand, scatter indices and updates correspond.

    The last dimension of the indices holds one index vector; the others are batch.
    update_window_dims: update dimensions that run inside a window; the others are batch, in order.
    inserted_window_dims: operand dimensions of window size 1 that the updates lack.
    scatter_dims_to_operand_dims: which operand dimension each index component addresses.
    operand_batching_dims, scatter_indices_batching_dims: dimensions that run together.
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


def check_index_map(
    name: str, index_map: Sequence[int], rank: int, indices: ArrayType, map_name: str
) -> None:
    """An index vector has one component per entry of a map into distinct dimensions."""
    if not dtypes.is_integer(indices.dtype):
        raise ValueError(
            located("indices must have an integer type", attempt="indices.astype(int)")
        )
    if indices.ndim == 0:
        raise TypeError(
            located(
                f"{name} index leaf dimension must be within [0, rank(indices) + 1). "
                "rank(indices) is 0: the last dimension of the indices must hold the index "
                "vectors.",
                attempt="indices[None] or indices[..., None]",
            )
        )
    if len(index_map) != indices.shape[-1]:
        raise TypeError(
            located(
                f"{name} op has {len(index_map)} elements in {map_name} and the bound of "
                f"dimension index_vector_dim={indices.ndim - 1} of indices is "
                f"{indices.shape[-1]}. These two numbers must be equal.",
                attempt=f"one entry of {map_name} for each component of an index vector",
            )
        )
    for k, d in enumerate(index_map):
        if not 0 <= d < rank:
            raise TypeError(
                located(
                    f"Invalid {map_name}; domain is [0, {rank}), got: {k}->{d}.",
                    attempt=f"dimensions from 0 to {rank - 1}",
                )
            )
    if len(set(index_map)) != len(index_map):
        raise TypeError(
            located(
                f"{map_name} in {name} op must not repeat; got: {tuple(index_map)}.",
                attempt="each dimension once",
            )
        )


def check_sorted(name: str, what: str, dims: Sequence[int], rank: int) -> None:
    """Dimensions must be sorted, distinct and in [0, rank)."""
    if list(dims) != sorted(set(dims)):
        raise TypeError(
            located(
                f"{what} in {name} op must be sorted and not repeat; got {tuple(dims)}",
                attempt="tuple(sorted(set(dims)))",
            )
        )
    for k, d in enumerate(dims):
        if not 0 <= d < rank:
            raise TypeError(
                located(
                    f"{what} {k} in {name} op is out of bounds; got {d}, but should have been in "
                    f"[0, {rank})",
                    attempt=f"dimensions from 0 to {rank - 1}",
                )
            )


def check_batching(
    name: str,
    operand: ArrayType,
    indices: ArrayType,
    operand_dims: Sequence[int],
    indices_dims: Sequence[int],
    index_map: Sequence[int],
) -> None:
    """Batching dimensions must pair dimensions of equal size that nothing else addresses."""
    if len(operand_dims) != len(indices_dims):
        raise TypeError(
            located(
                f"{name} op must have as many operand as index batching dimensions; got "
                f"{tuple(operand_dims)} and {tuple(indices_dims)}.",
                attempt="as many on either side, in the same order",
            )
        )
    check_sorted(name, "operand_batching_dims", operand_dims, operand.ndim)
    if set(index_map) & set(operand_dims):
        raise TypeError(
            located(
                f"the index map and operand_batching_dims in {name} op must be disjoint; got: "
                f"{tuple(index_map)} and {tuple(operand_dims)}.",
                attempt="leave batching dimensions out of the index map",
            )
        )
    for d, g in zip(operand_dims, indices_dims, strict=True):
        if not 0 <= g < indices.ndim - 1 or operand.shape[d] != indices.shape[g]:
            raise TypeError(
                located(
                    f"{name} op requires batching dimensions of equal size, got dimension {d} of "
                    f"operand shape {operand.shape} and dimension {g} of indices shape "
                    f"{indices.shape}.",
                    attempt="numpy.broadcast_to, so that the batch is as large on either side",
                )
            )


def wide_index(indices: Any) -> np.ndarray:
    """Concrete integers as int64; unsigned ones that do not fit become huge."""
    indices = np.asarray(indices)
    if indices.dtype == np.uint64:
        indices = np.minimum(indices, np.uint64(2**62))
    return indices.astype(np.int64)


def start_positions(
    indices: np.ndarray, bounds: Sequence[int], clip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(starts moved into [0, bound], which index vectors needed no moving)."""
    wide = wide_index(indices)
    clipped = np.clip(wide, 0, np.asarray(bounds, np.int64))
    if clip:
        return clipped, np.ones(wide.shape[:-1], bool)
    return clipped, np.all(wide == clipped, axis=-1)


def window_index(
    starts: np.ndarray,
    index_map: Sequence[int],
    sizes: Sequence[int],
    window_dims: Sequence[int],
    batching: dict[int, int],
) -> list[np.ndarray]:
    """Positions along every operand dimension: arrays of the shape batch + windows, broadcast.

    `window_dims` are the operand dimensions that make up the windows, in order; `batching` maps
    operand batching dimensions to batch dimensions.
    """
    batch = starts.shape[:-1]
    rank = len(batch) + len(window_dims)
    positions = []
    for d, size in enumerate(sizes):
        position = np.zeros([1] * rank, np.int64)
        if d in index_map:
            start = starts[..., list(index_map).index(d)]
            position = position + start.reshape((*batch, *[1] * len(window_dims)))
        if d in batching:
            shape = [1] * rank
            shape[batching[d]] = -1
            position = position + np.arange(batch[batching[d]]).reshape(shape)
        if d in window_dims and size != 1:
            shape = [1] * rank
            shape[len(batch) + list(window_dims).index(d)] = -1
            position = position + np.arange(size).reshape(shape)
        positions.append(position)
    return positions


def index_value(b: Any, value: Any) -> Any:
    """A loaded index as int64; unsigned 64-bit ones that do not fit become huge."""
    if value.dtype == "uint64":
        value = b.op("min", value, b.const(2**62, "uint64"))
    return b.cast(value, "int64")


def window_dims(rank: int, dropped: Sequence[int], batching: Sequence[int]) -> list[int]:
    """The operand dimensions that appear in windows, in order."""
    return [d for d in range(rank) if d not in dropped and d not in batching]


def raised(dims: Sequence[int]) -> tuple[int, ...]:
    """Dimensions after a new one in front."""
    return tuple(d + 1 for d in dims)


def fill_constant(dtype: Any, fill_value: Any) -> np.ndarray:
    """What out-of-bounds reads give: the value asked for, or NaN, the least int, the largest
    unsigned int, True."""
    if fill_value is None:
        if dtypes.is_inexact(dtype):
            fill_value = np.nan
        elif dtypes.is_signed_integer(dtype):
            fill_value = dtypes.iinfo(dtype).min
        elif dtypes.is_unsigned_integer(dtype):
            fill_value = dtypes.iinfo(dtype).max
        else:
            fill_value = True
    return np.asarray(fill_value).astype(dtype)
