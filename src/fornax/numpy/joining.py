"""Joining arrays along a dimension, or side by side along a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.api.eager import eager
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray
from fornax.numpy.promotion import as_dtype, check, concrete_form, promote_dtypes
from fornax.numpy.shaping import atleast_1d, atleast_2d, atleast_3d, ravel
from fornax.numpy.splitting import unstack
from fornax.primitives import stacking as _stacking
from fornax.primitives.concatenate import concatenate as _concatenate
from fornax.source import located

__all__ = ["append", "column_stack", "concat", "concatenate", "dstack", "hstack", "stack", "vstack"]


def _parts(name: str, arrays: Any) -> list[Any]:
    if hasattr(arrays, "shape") and hasattr(arrays, "dtype"):
        if not arrays.shape:
            raise TypeError(
                located(
                    f"{name} needs a sequence of arrays, got a scalar", attempt=f"{name}([x, y])"
                )
            )
        parts = unstack(asarray(arrays))
    else:
        parts = list(arrays)
    if not parts:
        raise ValueError(
            located(
                f"Need at least one array to {name}.",
                attempt="ask whether the list is empty first, or start it with numpy.zeros((0,))",
            )
        )
    for a in parts:
        check(name, a)
    return [asarray(concrete_form(a)) for a in parts]


@eager(static="axis dtype")
def concatenate(arrays, axis=0, dtype=None):
    """The arrays joined along an existing dimension (flattened first for axis=None)."""
    parts = _parts("concatenate", arrays)
    if axis is None:
        parts, axis = [ravel(p) for p in parts], 0
    rank = typeof(parts[0]).ndim
    if rank == 0:
        raise ValueError(
            located(
                "Zero-dimensional arrays cannot be concatenated.",
                "there is no dimension to join them along",
                "numpy.stack, which makes one",
            )
        )
    axis = canonical_axis(axis, rank)
    for p in parts:
        if typeof(p).ndim != rank:
            raise TypeError(
                located(
                    "Cannot concatenate arrays with different numbers of dimensions: got "
                    f"{[typeof(q).shape for q in parts]}",
                    attempt="x[None] for those with fewer dimensions, or numpy.atleast_2d",
                )
            )
    return _concatenate(_of_one_dtype(parts, dtype), axis)


def _of_one_dtype(parts: Sequence[Any], dtype: Any) -> Sequence[Any]:
    if dtype is None:
        return promote_dtypes(*parts)
    return [as_dtype(p, requested(dtype)) for p in parts]


@eager(static="axis")
def concat(arrays, /, *, axis=0):
    """`concatenate`, the array API's name."""
    return concatenate(arrays, axis)


@eager(static="axis out dtype")
def stack(arrays, axis=0, out=None, dtype=None):
    """The arrays, of equal shapes, along a new dimension."""
    parts = _parts("stack", arrays)
    shapes = {typeof(p).shape for p in parts}
    if len(shapes) > 1:
        raise ValueError(
            located(
                f"All input arrays must have the same shape, got {sorted(shapes)}",
                attempt="numpy.concatenate to join along a dimension they have, or "
                "broadcast_arrays",
            )
        )
    axis = canonical_axis(axis, len(shapes.pop()) + 1)
    return _stacking.stack(_of_one_dtype(parts, dtype), axis)


@eager(static="dtype")
def vstack(tup, dtype=None):
    """The arrays, of at least two dimensions, joined along the first."""
    return concatenate([atleast_2d(p) for p in _parts("vstack", tup)], 0, dtype)


@eager(static="dtype")
def hstack(tup, dtype=None):
    """The arrays joined along the second dimension (the first for 1-D arrays)."""
    parts = [atleast_1d(p) for p in _parts("hstack", tup)]
    return concatenate(parts, 0 if typeof(parts[0]).ndim == 1 else 1, dtype)


@eager(static="dtype")
def dstack(tup, dtype=None):
    """The arrays, of at least three dimensions, joined along the third."""
    return concatenate([atleast_3d(p) for p in _parts("dstack", tup)], 2, dtype)


@eager
def column_stack(tup):
    """1-D arrays as columns of a matrix."""
    parts = _parts("column_stack", tup)
    return concatenate([atleast_2d(p).T if typeof(p).ndim < 2 else p for p in parts], 1)


def append(arr, values, axis=None):
    """`values` joined to the end of `arr`."""
    return concatenate([asarray(arr), asarray(values)], axis)
