"""Shapes: asking for them, changing them, reordering dimensions, broadcasting."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir import basis
from fornax.ir.static import static_shape
from fornax.ir.types import typeof
from fornax.numpy.axes import canonical_axes, canonical_axis
from fornax.numpy.creation import asarray
from fornax.numpy.promotion import broadcast_shapes as _broadcast_shapes
from fornax.numpy.promotion import broadcast_to as _broadcast_to
from fornax.numpy.promotion import check, concrete_form
from fornax.primitives import shape as _shape
from fornax.primitives.slice import slice_in, slice_p
from fornax.source import located

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_shapes",
    "broadcast_to", "diagonal", "expand_dims", "matrix_transpose", "moveaxis", "ndim",
    "permute_dims", "ravel", "reshape", "rollaxis", "shape", "size", "squeeze", "swapaxes",
    "transpose",
]  # fmt: skip


def shape(a):
    """The shape of an array, of what describes one, or of a nested sequence."""
    return tuple(a.shape) if hasattr(a, "shape") else typeof(asarray(a)).shape


def ndim(a):
    """The number of dimensions."""
    return len(shape(a))


def size(a, axis=None):
    """The number of elements, along `axis` if given."""
    full = shape(a)
    if axis is None:
        return math.prod(full)
    return math.prod(full[k] for k in canonical_axes(axis, len(full)))


@eager(static="shape order copy out_sharding")
def reshape(a, shape, order="C", *, copy=None, out_sharding=None):
    """The same elements in another shape; one dimension may be -1.

    Raises TypeError if the number of elements differs; of a NumPy array ValueError, as NumPy does.
    """
    check("reshape", a)
    refusal = ValueError if isinstance(a, np.ndarray | np.generic) else TypeError
    a = concrete_form(a)
    old = typeof(a).shape
    new = list(static_shape(shape))
    total = math.prod(old)
    if new.count(-1) > 1:
        raise refusal(
            located(
                "can only specify one unknown dimension (-1) in reshape",
                attempt="-1 once, and numbers for the other dimensions",
            )
        )
    if -1 in new:
        known = math.prod(n for n in new if n != -1)
        if known == 0 or total % known:
            raise refusal(
                located(
                    f"cannot reshape array of shape {old} (size {total}) into shape {tuple(new)}: "
                    f"the size is no multiple of {known}",
                    "a reshape keeps all elements",
                    "pad or slice the array first",
                )
            )
        new[new.index(-1)] = total // known
    if math.prod(new) != total or builtins.any(n < 0 for n in new):
        raise refusal(
            located(
                f"cannot reshape array of shape {old} (size {total}) into shape {tuple(new)} "
                f"(size {math.prod(new)})",
                "a reshape keeps all elements",
                "-1 for the one dimension that follows from the others",
            )
        )
    a = asarray(a)
    if order in ("F", "fortran"):
        flipped = basis.transpose(a, tuple(reversed(range(len(old)))))
        result = _shape.reshape(flipped, tuple(reversed(new)))
        return basis.transpose(result, tuple(reversed(range(len(new)))))
    if order == "A":
        raise NotImplementedError(
            located(
                "reshape: order='A' is not supported: arrays have no layout", attempt="order='C'"
            )
        )
    if order != "C":
        raise ValueError(
            located(
                f"reshape: order must be 'C' or 'F', got {order!r}",
                attempt="order='C', the default",
            )
        )
    return _shape.reshape(a, tuple(new))


@eager(static="order out_sharding")
def ravel(a, order="C", *, out_sharding=None):
    """The elements in one dimension, of a row (order "C") or of a column after the other ("F").

    Raises NotImplementedError for NumPy's order "K".
    """
    if order == "K":
        raise NotImplementedError(
            located(
                "Ravel not implemented for order='K'.",
                "it is the order in memory, which arrays do not have",
                "order='C', the default",
            )
        )
    return reshape(a, (size(a),), order)


@eager(static="axis")
def squeeze(a, axis=None):
    """Without the dimensions of 1 (all of them, or `axis`). Raises ValueError for others."""
    check("squeeze", a)
    a = asarray(concrete_form(a))
    old = typeof(a).shape
    if axis is None:
        axes = tuple(k for k, n in enumerate(old) if n == 1)
    else:
        axes = canonical_axes(axis, len(old))
        for k in axes:
            if old[k] != 1:
                raise ValueError(
                    located(
                        "cannot select an axis to squeeze out which has size not equal to one, "
                        f"got shape={old} and dimensions={axes}",
                        attempt="leave axis out to squeeze what has size 1, or x[0] along the "
                        "axis to drop it",
                    )
                )
    return _shape.squeeze(a, tuple(sorted(axes)))


@eager(static="axis")
def expand_dims(a, axis):
    """With new dimensions of 1 at the positions `axis` of the result."""
    check("expand_dims", a)
    a = asarray(concrete_form(a))
    axes = axis if isinstance(axis, Sequence) else (axis,)
    rank = typeof(a).ndim + len(axes)
    positions = canonical_axes(tuple(axes), rank)
    return _shape.expand_dims(a, tuple(sorted(positions)))


@eager(static="axes")
def transpose(a, axes=None):
    """Dimensions in another order; reversed by default."""
    check("transpose", a)
    a = asarray(concrete_form(a))
    rank = typeof(a).ndim
    order = tuple(reversed(range(rank))) if axes is None else tuple(
        canonical_axis(k, rank) for k in axes
    )  # fmt: skip
    if sorted(order) != list(range(rank)):
        raise TypeError(
            located(
                f"axes {tuple(axes)} do not match an array of {rank} dimensions",
                attempt=f"each axis from 0 to {rank - 1} once",
            )
        )
    return basis.transpose(a, order)


def permute_dims(a, /, axes):
    """Dimensions in the order `axes`: `transpose`, which needs an order."""
    return transpose(a, axes)


@eager
def matrix_transpose(x, /):
    """The last two dimensions exchanged."""
    rank = typeof(x).ndim
    if rank < 2:
        raise ValueError(
            located(
                f"x must be at least two-dimensional for matrix_transpose; got ndim={rank}",
                attempt="x[None, :] or numpy.atleast_2d(x)",
            )
        )
    return swapaxes(x, -1, -2)


@eager(static="axis1 axis2")
def swapaxes(a, axis1, axis2):
    """Two dimensions exchanged."""
    check("swapaxes", a)
    a = asarray(concrete_form(a))
    order = list(range(typeof(a).ndim))
    i, j = canonical_axis(axis1, len(order)), canonical_axis(axis2, len(order))
    order[i], order[j] = order[j], order[i]
    return basis.transpose(a, order)


@eager(static="source destination")
def moveaxis(a, source, destination):
    """Dimensions `source` moved to the positions `destination`, the others in order."""
    check("moveaxis", a)
    a = asarray(concrete_form(a))
    rank = typeof(a).ndim
    sources = canonical_axes(source, rank)
    targets = canonical_axes(destination, rank)
    if len(sources) != len(targets):
        raise ValueError(
            located(
                f"Inconsistent number of elements: {len(sources)} vs {len(targets)} in moveaxis",
                attempt="as many destinations as sources",
            )
        )
    order = [k for k in range(rank) if k not in sources]
    for target, source_axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source_axis)
    return basis.transpose(a, order)


def rollaxis(a, axis, start=0):
    """Dimension `axis` moved before `start`."""
    rank = ndim(a)
    axis = canonical_axis(axis, rank)
    start = start + rank if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@eager(static="shape out_sharding")
def broadcast_to(array, shape, *, out_sharding=None):
    """`array` repeated to `shape`. Raises ValueError if it does not fit."""
    shape = static_shape(shape)
    return _broadcast_to(asarray(array), shape)


def broadcast_shapes(*shapes):
    """The shape that arrays of these shapes broadcast to."""
    return _broadcast_shapes(*((s,) if isinstance(s, int) else s for s in shapes))


def broadcast_arrays(*args):
    """All arguments repeated to their common shape."""
    args = [asarray(a) for a in args]
    common = _broadcast_shapes(*(typeof(a).shape for a in args))
    return [_broadcast_to(a, common) for a in args]


def atleast_1d(*arys):
    """The arguments with at least one dimension."""
    return _at_least(1, arys)


def atleast_2d(*arys):
    """The arguments with at least two dimensions, new ones in front."""
    return _at_least(2, arys)


def atleast_3d(*arys):
    """The arguments with at least three dimensions, as `numpy.atleast_3d` places them."""
    return _at_least(3, arys)


def _at_least(rank: int, arys: Sequence[Any]) -> Any:
    results = []
    for a in map(asarray, arys):
        old = typeof(a).shape
        if len(old) < rank:
            new = {(0, 1): (1,), (0, 2): (1, 1), (0, 3): (1, 1, 1), (1, 2): (1, *old),
                   (1, 3): (1, *old, 1), (2, 3): (*old, 1)}[len(old), rank]  # fmt: skip
            a = _shape.reshape(a, new)
        results.append(a)
    return results[0] if len(results) == 1 else results


@eager(static="offset axis1 axis2")
def diagonal(a, offset=0, axis1=0, axis2=1):
    """The diagonal in the plane of two dimensions, as the last dimension of the result."""
    check("diagonal", a)
    a = asarray(concrete_form(a))
    rank = typeof(a).ndim
    if rank < 2:
        raise ValueError(
            located(
                "diagonal requires an array of at least two dimensions.",
                f"its shape is {typeof(a).shape}",
                "numpy.diag(x), which makes a matrix of a vector",
            )
        )
    first, second = canonical_axis(axis1, rank), canonical_axis(axis2, rank)
    a = moveaxis(a, (first, second), (rank - 2, rank - 1))
    *lead, n, m = typeof(a).shape
    low = builtins.max(-offset, 0)
    high = builtins.max(offset, 0)
    length = builtins.max(builtins.min(n - low, m - high), 0)
    flat = _shape.reshape(a, (*lead, n * m))
    start = low * m + high
    if length == 0:
        return slice_in(flat, rank - 2, 0, 0)
    stop = start + (length - 1) * (m + 1) + 1
    return slice_p.bind(
        flat,
        start_indices=(*(0,) * (rank - 2), start),
        limit_indices=(*lead, stop),
        strides=(*(1,) * (rank - 2), m + 1),
    )[0]
