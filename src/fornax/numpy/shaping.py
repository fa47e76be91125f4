"""Shapes: reshaping, reordering, joining, splitting, repeating; conversions of dtype."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir import basis
from fornax.ir.primitive import REGISTRY
from fornax.ir.requested import requested
from fornax.ir.static import static_integer, static_integers, static_shape
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.creation import array, asarray
from fornax.numpy.indexing import take
from fornax.numpy.promotion import as_dtype, check, concrete_form, promote_dtypes
from fornax.numpy.promotion import broadcast_shapes as _broadcast_shapes
from fornax.numpy.promotion import broadcast_to as _broadcast_to
from fornax.numpy.reductions import canonical_axes, canonical_axis, cumsum, sum
from fornax.primitives import shape as _shape
from fornax.primitives import stacking as _stacking
from fornax.primitives.concatenate import concatenate as _concatenate
from fornax.primitives.slice import slice_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "append", "array_split", "astype", "atleast_1d", "atleast_2d", "atleast_3d",
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "column_stack", "concat",
    "concatenate", "diagonal", "dsplit", "dstack", "expand_dims", "flip", "fliplr", "flipud",
    "hsplit", "hstack", "matrix_transpose", "moveaxis", "ndim", "permute_dims", "ravel", "repeat",
    "reshape", "resize", "roll", "rollaxis", "rot90", "shape", "size", "split", "squeeze", "stack",
    "swapaxes", "tile", "transpose", "unstack", "vsplit", "vstack",
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

    Raises TypeError if the number of elements differs.
    """
    check("reshape", a)
    a = concrete_form(a)
    old = typeof(a).shape
    new = list(static_shape(shape))
    total = math.prod(old)
    if new.count(-1) > 1:
        raise TypeError(
            located(
                "can only specify one unknown dimension (-1) in reshape",
                attempt="-1 once, and numbers for the other dimensions",
            )
        )
    if -1 in new:
        known = math.prod(n for n in new if n != -1)
        if known == 0 or total % known:
            raise TypeError(
                located(
                    f"cannot reshape array of shape {old} (size {total}) into shape {tuple(new)}: "
                    f"the size is no multiple of {known}",
                    "a reshape keeps all elements",
                    "pad or slice the array first",
                )
            )
        new[new.index(-1)] = total // known
    if math.prod(new) != total or builtins.any(n < 0 for n in new):
        raise TypeError(
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
    """The elements in one dimension."""
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


def _parts(name: str, arrays: Any) -> list[Any]:
    if hasattr(arrays, "shape") and hasattr(arrays, "dtype"):
        if not arrays.shape:
            raise TypeError(
                located(
                    f"{name} needs a sequence of arrays, got a scalar", attempt=f"{name}([x, y])"
                )
            )
        return unstack(asarray(arrays))
    arrays = list(arrays)
    if not arrays:
        raise ValueError(
            located(
                f"Need at least one array to {name}.",
                attempt="ask whether the list is empty first, or start it with numpy.zeros((0,))",
            )
        )
    for a in arrays:
        check(name, a)
    return [asarray(concrete_form(a)) for a in arrays]


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


@eager(static="axis")
def unstack(x, /, *, axis=0):
    """The slices along `axis`, as a tuple."""
    x = asarray(x)
    if not typeof(x).shape:
        raise ValueError(
            located(
                "unstack requires arrays with rank > 0, however a scalar array was passed.",
                attempt="[x], or numpy.atleast_1d(x)",
            )
        )
    axis = canonical_axis(axis, typeof(x).ndim)
    return tuple(_stacking.unstack(x, axis))


def _piece(x: Any, axis: int, start: int, stop: int) -> Any:
    full = typeof(x).shape
    starts = tuple(start if k == axis else 0 for k in range(len(full)))
    stops = tuple(stop if k == axis else n for k, n in enumerate(full))
    if starts == (0,) * len(full) and stops == full:
        return x
    return slice_p.bind(x, start_indices=starts, limit_indices=stops, strides=None)[0]


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


def _split(name: str, ary: Any, sections: Any, axis: int, exact: bool) -> list[Any]:
    check(name, ary)
    ary = asarray(concrete_form(ary))
    axis = canonical_axis(axis, typeof(ary).ndim)
    n = typeof(ary).shape[axis]
    if isinstance(sections, Sequence | np.ndarray) or hasattr(sections, "shape") and sections.shape:
        points = [static_integer(p, "indices_or_sections") for p in np.asarray(sections)]
        edges = [0, *points, n]
        if edges != sorted(edges):
            raise ValueError(
                located(
                    f"{name}: the indices {points} must increase from 0 to at most {n}",
                    attempt=f"indices from 0 to {n}, sorted",
                )
            )
    else:
        count = static_integer(sections, "indices_or_sections")
        if exact and n % count:
            raise ValueError(
                located(
                    "array split does not result in an equal division",
                    attempt="numpy.array_split, whose parts may differ by one",
                )
            )
        base, more = divmod(n, count)
        lengths = [base + 1] * more + [base] * (count - more)
        edges = [0, *np.cumsum(lengths).tolist()]
    pairs = zip(edges, edges[1:], strict=False)
    return [_piece(ary, axis, low, builtins.max(low, high)) for low, high in pairs]


@eager(static="indices_or_sections axis")
def split(ary, indices_or_sections, axis=0):
    """Pieces along `axis`: equal ones, or cut at the given indices."""
    return _split("split", ary, indices_or_sections, axis, exact=True)


@eager(static="indices_or_sections axis")
def array_split(ary, indices_or_sections, axis=0):
    """`split` that also takes a number of pieces that does not divide the dimension."""
    return _split("array_split", ary, indices_or_sections, axis, exact=False)


def vsplit(ary, indices_or_sections):
    """`split` along dimension 0."""
    return split(ary, indices_or_sections, 0)


def hsplit(ary, indices_or_sections):
    """`split` along dimension 1 (0 for 1-D arrays)."""
    return split(ary, indices_or_sections, 0 if ndim(ary) == 1 else 1)


def dsplit(ary, indices_or_sections):
    """`split` along dimension 2."""
    return split(ary, indices_or_sections, 2)


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
            a = REGISTRY["dynamic_slice"].bind(
                twice, *(as_dtype(b, dtypes.canonical(int)) for b in begin),
                slice_sizes=typeof(a).shape,
            )[0]  # fmt: skip
            continue
        offset = int(shifts[position]) % n
        if offset:
            a = _concatenate([_piece(a, k, n - offset, n), _piece(a, k, 0, n - offset)], k)
    return a


def resize(a, new_shape):
    """The elements, repeated as often as needed, in `new_shape`."""
    new_shape = (new_shape,) if isinstance(new_shape, int) else tuple(new_shape)
    flat = ravel(a)
    wanted, have = math.prod(new_shape), size(flat)
    if wanted == 0 or have == 0:
        return array(np.zeros(new_shape, typeof(flat).dtype))
    flat = tile(flat, -(-wanted // have))
    return reshape(_piece(flat, 0, 0, wanted), new_shape)


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
        return _piece(flat, rank - 2, 0, 0)
    stop = start + (length - 1) * (m + 1) + 1
    return slice_p.bind(
        flat,
        start_indices=(*(0,) * (rank - 2), start),
        limit_indices=(*lead, stop),
        strides=(*(1,) * (rank - 2), m + 1),
    )[0]


@eager(static="dtype copy device")
def astype(x, dtype, /, *, copy=False, device=None):
    """The same numbers in another dtype."""
    check("astype", x)
    x = asarray(concrete_form(x))
    wanted = requested(dtype, float)
    if dtypes.is_complex(typeof(x).dtype) and not dtypes.is_complex(wanted):
        if wanted == dtypes.bool_:
            return ufuncs.not_equal(x, 0)
        x = ufuncs.real(x)
    return as_dtype(x, wanted)


@eager(static="dtype")
def view(x, dtype=None):
    """The same bits as another dtype; the last dimension changes with its size."""
    old = typeof(x)
    new = requested(dtype, old.dtype)
    bitcast = REGISTRY["bitcast_convert_type"]
    if new == old.dtype:
        return x
    if dtypes.is_complex(old.dtype):
        parts = [expand_dims(part, -1) for part in (ufuncs.real(x), ufuncs.imag(x))]
        flat = (*old.shape[:-1], old.shape[-1] * 2) if old.shape else (2,)
        return view(_shape.reshape(concatenate(parts, -1), flat), new)
    if dtypes.is_complex(new):
        x = view(x, dtypes.real_dtype(new))
        if not typeof(x).shape or typeof(x).shape[-1] % 2:
            raise ValueError(
                located(
                    "view: the last dimension must be even for a complex dtype",
                    attempt="pad the last dimension by one, or lax.complex(re, im)",
                )
            )
        return REGISTRY["complex"].bind(x[..., ::2], x[..., 1::2])[0]
    if old.dtype == dtypes.bool_:
        return view(as_dtype(x, dtypes.uint8), new)
    if new == dtypes.bool_:
        return ufuncs.not_equal(view(x, dtypes.uint8), 0)
    if new.itemsize == old.dtype.itemsize:
        return bitcast.bind(x, new_dtype=new)[0]
    if not old.shape:
        raise ValueError(
            located(
                "view: a 0-d array cannot change the size of its dtype",
                attempt="x.reshape(1).view(dtype)",
            )
        )
    if new.itemsize < old.dtype.itemsize:
        cast = bitcast.bind(x, new_dtype=new)[0]
        return _shape.reshape(cast, (*old.shape[:-1], _last(cast)))
    ratio = new.itemsize // old.dtype.itemsize
    if old.shape[-1] % ratio:
        raise ValueError(
            located(
                "view: the last dimension is no multiple of the ratio of the item sizes",
                attempt="pad the last dimension, or astype, which converts numbers",
            )
        )
    grouped = _shape.reshape(x, (*old.shape[:-1], old.shape[-1] // ratio, ratio))
    return bitcast.bind(grouped, new_dtype=new)[0]


def _last(cast: Any) -> int:
    return typeof(cast).shape[-1] * typeof(cast).shape[-2]
