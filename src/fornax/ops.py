"""Reductions over segments: JAX's `jax.ops`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax import source
from fornax.errors import ConcretizationTypeError, message
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]


def _length(segment_ids: Any, num_segments: Any) -> int:
    """The number of segments. Raises ConcretizationTypeError if it would depend on traced ids."""
    if num_segments is None:
        if isinstance(segment_ids, Tracer) and segment_ids.concrete() is None:
            raise ConcretizationTypeError(
                message(
                    "num_segments must be given where segment_ids is traced",
                    where=str(source.here() or "unknown"),
                    why="the shape of the result would depend on values",
                    attempt="num_segments=... with a static integer",
                )
            )
        ids = np.asarray(segment_ids)
        num_segments = int(ids.max()) + 1 if ids.size else 0
    count = static_integer(num_segments, "num_segments")
    if count < 0:
        raise ValueError(
            located(
                "num_segments must be non-negative.",
                attempt="num_segments=0 for no segments; leave it out to have it counted",
            )
        )
    return count


def _reduced(
    name: str,
    reduction: Callable[..., Any],
    start: Any,
    data: Any,
    segment_ids: Any,
    num_segments: int | None,
    indices_are_sorted: bool,
    unique_indices: bool,
    bucket_size: int | None,
    mode: Any,
) -> Any:
    data, ids = fnp.asarray(data), fnp.asarray(segment_ids)
    if not data.ndim or ids.ndim != 1 or ids.shape[0] != data.shape[0]:
        raise ValueError(
            located(
                f"segment reduction {name!r}: segment_ids has shape {ids.shape}; one id for each "
                f"row of data is needed, which has shape {data.shape}",
                attempt="broadcast_to or repeat the ids, so that each row has one",
            )
        )
    count = _length(segment_ids, num_segments)
    ids = fnp.where(ids < 0, count, ids)  # dropped like those that are too large
    first = fnp.full((1, *data.shape[1:]), start, data.dtype)
    options = {
        "indices_are_sorted": indices_are_sorted, "unique_indices": unique_indices, "mode": mode
    }  # fmt: skip
    if bucket_size is None:
        out = fnp.broadcast_to(first, (count, *data.shape[1:]))
        return getattr(out.at[ids], name)(data, **options)
    buckets = max(-(-data.shape[0] // bucket_size), 1)
    out = fnp.broadcast_to(first[None], (buckets, count, *data.shape[1:]))
    which = fnp.arange(data.shape[0]) // bucket_size
    return reduction(getattr(out.at[which, ids], name)(data, **options), axis=0)


def _limit(data: Any, largest: bool) -> Any:
    """The start of a minimum (the largest value) or of a maximum."""
    dtype = fnp.asarray(data).dtype
    if dtype == dtypes.bool_:
        return largest
    if dtypes.is_integer(dtype):
        info = dtypes.iinfo(dtype)
        return info.max if largest else info.min
    return np.inf if largest else -np.inf


def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sums of the rows of `data` that have the same id: shape (num_segments, *data.shape[1:]).

    segment_ids: integers, one per row; rows with an id out of range are dropped. num_segments:
    static, the largest id plus one if left out, which traced ids do not allow. bucket_size: reduce
    as many rows at a time first, for accuracy. indices_are_sorted, unique_indices: promises about
    the ids. mode: as in `ndarray.at`. Segments without rows are 0.

    Raises ValueError for shapes that do not fit, ConcretizationTypeError for traced ids alone.
    """
    return _reduced("add", fnp.sum, 0, data, segment_ids, num_segments, indices_are_sorted,
                    unique_indices, bucket_size, mode)  # fmt: skip


def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Products of the rows with the same id, see `segment_sum`. Segments without rows are 1."""
    return _reduced("multiply", fnp.prod, 1, data, segment_ids, num_segments, indices_are_sorted,
                    unique_indices, bucket_size, mode)  # fmt: skip


def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Maxima of the rows with the same id, see `segment_sum`. Segments without rows are the
    smallest value of the dtype."""
    return _reduced("max", fnp.max, _limit(data, False), data, segment_ids, num_segments,
                    indices_are_sorted, unique_indices, bucket_size, mode)  # fmt: skip


def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Minima of the rows with the same id, see `segment_sum`. Segments without rows are the
    largest value of the dtype."""
    return _reduced("min", fnp.min, _limit(data, True), data, segment_ids, num_segments,
                    indices_are_sorted, unique_indices, bucket_size, mode)  # fmt: skip
