"""Elements repeated, reversed, rotated, rolled."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence

import numpy as np

from fornax.api.eager import eager
from fornax.ir import basis
from fornax.ir.static import static_integer, static_integers
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.axes import canonical_axes, canonical_axis
from fornax.numpy.creation import array, asarray
from fornax.numpy.indexing import take
from fornax.numpy.promotion import as_dtype, check, concrete_form
from fornax.numpy.reductions import sum
from fornax.numpy.running import cumsum
from fornax.numpy.shaping import broadcast_to, expand_dims, ndim, ravel, reshape, size, swapaxes
from fornax.numpy.splitting import unstack
from fornax.primitives import shape as _shape
from fornax.primitives import stacking as _stacking
from fornax.primitives.concatenate import concatenate as _concatenate
from fornax.primitives.dynamic_slice import dynamic_slice_p
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["flip", "fliplr", "flipud", "repeat", "resize", "roll", "rot90", "tile"]


@eager(static="reps")
def tile(A, reps):
    """The array repeated `reps` times along each dimension."""
    A = asarray(A)
    reps = (reps,) if isinstance(reps, int | np.integer) else static_integers(reps, "reps")
    old = typeof(A).shape
    rank = builtins.max(len(old), len(reps))
    old = (1,) * (rank - len(old)) + old
    reps = (1,) * (rank - len(reps)) + reps
    return _stacking.tile(_shape.reshape(A, old), reps)


def repeat(a, repeats, axis=None, *, total_repeat_length=None, out_sharding=None):
    """Every element (slice along `axis`) `repeats` times: a number, or one per element."""
    check("repeat", a, repeats)
    a = asarray(concrete_form(a))
    if axis is None:
        a, axis = ravel(a), 0
    axis = canonical_axis(axis, typeof(a).ndim)
    n = typeof(a).shape[axis]
    if isinstance(repeats, int | np.integer) and total_repeat_length is None:
        count = static_integer(repeats, "repeats")
        if count < 0:
            raise TypeError(
                located(
                    f"repeat: repeats must not be negative, got {count}",
                    attempt="numpy.maximum(repeats, 0)",
                )
            )
        wide = basis.broadcast_in_dim(
            a, (*typeof(a).shape[: axis + 1], count, *typeof(a).shape[axis + 1 :]),
            [k + (k > axis) for k in range(typeof(a).ndim)],
        )  # fmt: skip
        new = (*typeof(a).shape[:axis], n * count, *typeof(a).shape[axis + 1 :])
        return _shape.reshape(wide, new)
    if total_repeat_length is None:
        if isinstance(repeats, Tracer):
            static_integer(repeats, "the repeats of numpy.repeat without total_repeat_length")
        counts = np.broadcast_to(np.asarray(repeats), (n,))
        source = asarray(np.repeat(np.arange(n), counts))
    else:
        counts = broadcast_to(repeats, (n,))
        ends = cumsum(counts)
        positions = asarray(np.arange(total_repeat_length))
        later = ufuncs.greater_equal(expand_dims(positions, 1), expand_dims(ends, 0))
        source = ufuncs.minimum(sum(later, 1), n - 1)
    return take(a, source, axis)


@eager(static="axis")
def flip(m, axis=None):
    """The elements in reverse order along `axis` (all by default)."""
    check("flip", m)
    m = asarray(concrete_form(m))
    return _shape.rev(m, canonical_axes(axis, typeof(m).ndim))


@eager
def fliplr(m):
    """Reversed along dimension 1."""
    return flip(m, 1)


@eager
def flipud(m):
    """Reversed along dimension 0."""
    return flip(m, 0)


@eager(static="k axes")
def rot90(m, k=1, axes=(0, 1)):
    """Rotated by k quarter turns in the plane of `axes`."""
    plane = canonical_axes(axes, ndim(m))
    if len(plane) != 2:
        raise ValueError(
            located(f"rot90: axes must be two different axes, got {axes!r}", attempt="axes=(0, 1)")
        )
    first, second = plane
    k = static_integer(k, "k") % 4
    if k == 0:
        return asarray(m)
    if k == 2:
        return flip(m, (first, second))
    if k == 1:
        return swapaxes(flip(m, second), first, second)
    return flip(swapaxes(m, first, second), second)


@eager(static="shift axis")
def roll(a, shift, axis=None):
    """The elements moved `shift` places along `axis`, the last ones entering at the front."""
    check("roll", a)
    a = asarray(concrete_form(a))
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), typeof(a).shape)
    axes = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    if isinstance(shift, Sequence) and len(axes) == 1:
        axes = axes * len(shift)
    shifts = np.broadcast_to(np.asarray(shift), (len(axes),)) if isinstance(
        shift, int | np.integer | Sequence | np.ndarray
    ) else None  # fmt: skip
    for position, k in enumerate(axes):
        k = canonical_axis(k, typeof(a).ndim)
        n = typeof(a).shape[k]
        if n == 0:
            continue
        if shifts is None:  # a traced shift
            by = shift if not typeof(shift).shape else unstack(shift)[position]
            start = ufuncs.remainder(ufuncs.negative(by), n)
            twice = _concatenate([a, a], k)
            begin = [start if d == k else 0 for d in range(typeof(a).ndim)]
            a = dynamic_slice_p.bind(
                twice, *(as_dtype(b, dtypes.canonical(int)) for b in begin),
                slice_sizes=typeof(a).shape,
            )[0]  # fmt: skip
            continue
        offset = int(shifts[position]) % n
        if offset:
            a = _concatenate([slice_in(a, k, n - offset, n), slice_in(a, k, 0, n - offset)], k)
    return a


def resize(a, new_shape):
    """The elements, repeated as often as needed, in `new_shape`."""
    new_shape = (new_shape,) if isinstance(new_shape, int) else tuple(new_shape)
    flat = ravel(a)
    wanted, have = math.prod(new_shape), size(flat)
    if wanted == 0 or have == 0:
        return array(np.zeros(new_shape, typeof(flat).dtype))
    flat = tile(flat, -(-wanted // have))
    return reshape(slice_in(flat, 0, 0, wanted), new_shape)
