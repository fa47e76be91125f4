"""Sets: unique elements, and unions, intersections and differences of 1-D arrays.

The length of a result depends on the values. Under a transformation give `size`, the length of the
result: missing places are filled, those too many are left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fornax.api.eager import eager
from fornax.errors import ConcretizationTypeError
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy import reductions, ufuncs
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray, full
from fornax.numpy.indexing import take
from fornax.numpy.joining import concatenate
from fornax.numpy.promotion import (
    as_dtype,
    check,
    concrete_form,
    promote_dtypes,
    scalar,
)
from fornax.numpy.running import cumsum
from fornax.numpy.selection import flatnonzero, where
from fornax.numpy.shaping import moveaxis, ravel, reshape
from fornax.numpy.sorting import searchsorted
from fornax.primitives.iota import iota
from fornax.primitives.sort import sort_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "intersect1d", "isin", "setdiff1d", "setxor1d", "union1d", "unique", "unique_all",
    "unique_counts", "unique_inverse", "unique_values",
]  # fmt: skip


def _known(name: str, size: Any, *arrays: Any) -> Any:
    """`size`, which must be given where an array is not concrete."""
    for x in arrays:
        if size is None and isinstance(x, Tracer):
            raise x._refuse(
                ConcretizationTypeError,
                f"The size argument of {name} must be statically specified",
                f"{name}(..., size=n), n being the most elements you expect",
            )  # fmt: skip
    return None if size is None else static_integer(size, "size")


def unique(
    ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *,
    equal_nan=True, size=None, fill_value=None, sorted=True,
):  # fmt: skip
    """The sorted unique elements of the flattened array, or unique slices along `axis`.

    return_index, return_inverse, return_counts: also give where each is first, which of them every
    element is, and how often each occurs. size: length of the result, needed under
    transformations; places left over hold `fill_value` (the smallest element).
    """
    check("unique", ar)
    ar = asarray(concrete_form(ar))
    size = _known("unique", size, ar)
    shape, whole = typeof(ar).shape, axis is None
    if whole:
        rows, axis, inverse_shape = reshape(ar, (typeof(ar).size, 1)), 0, shape
    else:
        axis = canonical_axis(axis, len(shape))
        rows, inverse_shape = moveaxis(ar, axis, 0), (shape[axis],)
    rest = typeof(rows).shape[1:]
    n = typeof(rows).shape[0]
    flat = reshape(rows, (n, int(np.prod(rest))))
    order, starts = _groups(flat, equal_nan)
    index = dtypes.canonical(int)
    total = reductions.sum(starts, dtype=index) if n else scalar(0, index)
    length = int(total) if size is None else size
    firsts = flatnonzero(starts, size=length, fill_value=0) if n else full((length,), 0, index)
    present = ufuncs.less(iota(index, (length,), 0), total)
    if n == 0 and length and fill_value is None:
        raise ValueError(located("unique: an empty array has no element to fill the result of size "
f"{length} with: give fill_value",
attempt="fill_value=0, or size=0"))  # fmt: skip
    if n == 0:
        values = full((length, *rest), 0 if fill_value is None else fill_value, typeof(ar).dtype)
        places = full((length,), 0, index)
    else:
        places = take(order, firsts, 0, mode="clip")
        values = take(rows, places, 0, mode="clip")
        if fill_value is not None:
            mask = reshape(present, (length, *(1,) * len(rest)))
            values = where(mask, values, as_dtype(fill_value, typeof(values).dtype))
    result = reshape(values, (length,)) if whole else moveaxis(values, 0, axis)
    outputs = [result]
    if return_index:
        outputs.append(places)
    if return_inverse:
        outputs.append(reshape(_inverse(order, starts, n), inverse_shape))
    if return_counts:
        ends = flatnonzero(starts, size=length + 1, fill_value=n) if n else (
            full((length + 1,), 0, index)
        )  # fmt: skip
        outputs.append(ufuncs.subtract(ends[1:], ends[:-1]))
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def _groups(flat: Any, equal_nan: bool) -> tuple[Any, Any]:
    """(the order that sorts the rows of `flat`, where in it a new value begins)."""
    n, width = typeof(flat).shape
    index = dtypes.canonical(int)
    positions = iota(index, (n,), 0)
    if not width or not n:
        return positions, ufuncs.less(positions, 1)
    columns = [reshape(flat[:, k], (n,)) for k in range(width)]
    *ordered, order = sort_p.bind(*columns, positions, dimension=0, is_stable=True, num_keys=width)
    starts = full((n - 1,), False)
    for column in ordered:
        before, here = column[:-1], column[1:]
        differ = ufuncs.not_equal(before, here)
        if equal_nan and dtypes.is_inexact(typeof(column).dtype):
            both = ufuncs.logical_and(ufuncs.isnan(before), ufuncs.isnan(here))
            differ = ufuncs.logical_and(differ, ufuncs.logical_not(both))
        starts = ufuncs.logical_or(starts, differ)
    return order, concatenate([full((1,), True), starts])


def _inverse(order: Any, starts: Any, n: int) -> Any:
    index = dtypes.canonical(int)
    if n == 0:
        return full((0,), 0, index)
    group = ufuncs.subtract(cumsum(starts, dtype=index), 1)
    _, inverse = sort_p.bind(order, group, dimension=0, is_stable=True, num_keys=1)
    return inverse


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Any
    inverse_indices: Any


def unique_all(x, /, *, size=None, fill_value=None):
    """Unique values with first indices, inverse and counts; every NaN is different."""
    return UniqueAll(
        *unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_counts(x, /, *, size=None, fill_value=None):
    """Unique values and how often they occur; every NaN is different."""
    return UniqueCounts(
        *unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_inverse(x, /, *, size=None, fill_value=None):
    """Unique values and which of them every element is; every NaN is different."""
    return UniqueInverse(
        *unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_values(x, /, *, size=None, fill_value=None):
    """Unique values; every NaN is different."""
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


# --- two arrays -------------------------------------------------------------------------------
def _two(name: str, ar1: Any, ar2: Any, size: Any) -> tuple[Any, Any, Any]:
    check(name, ar1, ar2)
    first, second = (
        ravel(asarray(x)) for x in promote_dtypes(concrete_form(ar1), concrete_form(ar2))
    )
    return first, second, _known(name, size, first, second)


def _chosen(values: Any, keep: Any, size: int | None, fill_value: Any) -> Any:
    """The values where `keep` is true, cut or filled to `size`."""
    places = flatnonzero(keep, size=size)
    if not typeof(values).shape[0]:
        fill = 0 if fill_value is None else fill_value
        return full((size or 0,), fill, typeof(values).dtype)
    result = take(values, places, 0, mode="clip")
    if size is None:
        return result
    present = ufuncs.less(iota(dtypes.canonical(int), (size,), 0), reductions.sum(keep))
    if fill_value is not None:
        fill = as_dtype(fill_value, typeof(result).dtype)
    elif size == 0:
        return result
    else:  # the smallest of them, 0 if there is none, NaN beside NaN
        found = where(present, result, result[:1])
        fill = where(present[0], reductions.min(found), as_dtype(0, typeof(result).dtype))
    return where(present, result, fill)


def _unique_of(x: Any, size: int | None) -> tuple[Any, Any]:
    """(sorted elements, where a new value begins): what `unique` would cut out."""
    order, starts = _groups(reshape(x, (-1 if typeof(x).size else 0, 1)), True)
    return (take(x, order, 0, mode="clip") if typeof(x).size else x), starts


def union1d(ar1, ar2, *, size=None, fill_value=None):
    """The sorted unique elements of both arrays together."""
    first, second, size = _two("union1d", ar1, ar2, size)
    return unique(concatenate([first, second]), size=size, fill_value=fill_value)


def setdiff1d(ar1, ar2, assume_unique=False, *, size=None, fill_value=None):
    """The elements of `ar1` that are not in `ar2`: sorted and unique unless `assume_unique`."""
    check("setdiff1d", ar1, ar2)
    first, second = (ravel(asarray(concrete_form(x))) for x in (ar1, ar2))
    size = _known("setdiff1d", size, first, second)
    keep: Any = True
    if not assume_unique:
        first, keep = _unique_of(first, size)
    keep = ufuncs.logical_and(keep, isin(first, second, invert=True))
    if fill_value is None and size is not None:
        fill_value = 0
    return _chosen(first, keep, size, fill_value)


def setxor1d(ar1, ar2, assume_unique=False, *, size=None, fill_value=None):
    """The sorted unique elements that are in exactly one of the arrays; every NaN is different.

    assume_unique: do not look for elements that are twice in one array. size: length of the
    result; places left over hold `fill_value` (the smallest element).
    """
    first, second, size = _two("setxor1d", ar1, ar2, size)
    if assume_unique:
        values = concatenate([first, second])
        kept = full(typeof(values).shape, True)
    else:
        (first, in_first), (second, in_second) = _unique_of(first, size), _unique_of(second, size)
        values, kept = concatenate([first, second]), concatenate([in_first, in_second])
    if not typeof(values).size:
        return _chosen(values, kept, size, fill_value)
    dropped, values = sort_p.bind(
        ufuncs.logical_not(kept), values, dimension=0, is_stable=True, num_keys=2
    )
    edge = full((1,), True)
    changes = ufuncs.logical_or(ufuncs.not_equal(values[1:], values[:-1]), dropped[1:])
    alone = ufuncs.logical_and(concatenate([edge, changes]), concatenate([changes, edge]))
    keep = ufuncs.logical_and(alone, ufuncs.logical_not(dropped))
    return _chosen(values, keep, size, fill_value)


def intersect1d(ar1, ar2, assume_unique=False, return_indices=False, *, size=None, fill_value=None):
    """The sorted unique elements that are in both arrays; where in each, if `return_indices`."""
    first, second, size = _two("intersect1d", ar1, ar2, size)
    order, starts = _groups(reshape(first, (typeof(first).size, 1)), True)
    values = take(first, order, 0, mode="clip") if typeof(first).size else first
    keep = ufuncs.logical_and(starts, isin(values, second))
    result = _chosen(values, keep, size, fill_value)
    if not return_indices:
        return result
    index = dtypes.canonical(int)
    left = _chosen(order, keep, size, typeof(first).size)
    other, _ = _groups(reshape(second, (typeof(second).size, 1)), True)
    ordered = take(second, other, 0, mode="clip") if typeof(second).size else second
    places = searchsorted(ordered, result)
    right = take(other, places, 0, mode="clip") if typeof(second).size else places
    if size is not None:
        present = ufuncs.less(iota(index, (size,), 0), reductions.sum(keep))
        right = where(present, right, typeof(second).size)
    return result, left, right


@eager(static="assume_unique invert method")
def isin(element, test_elements, assume_unique=False, invert=False, *, method="auto"):
    """Whether each element is among `test_elements`."""
    check("isin", element, test_elements)
    element, tests = (asarray(x) for x in promote_dtypes(asarray(element), asarray(test_elements)))
    column = reshape(element, (*typeof(element).shape, 1))
    found = reductions.any(ufuncs.equal(column, ravel(tests)), -1)
    return ufuncs.logical_not(found) if invert else found
