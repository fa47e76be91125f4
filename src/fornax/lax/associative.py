"""Prefix combinations of an associative function in logarithmic depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.ir.types import typeof
from fornax.primitives.concatenate import concatenate
from fornax.primitives.shape import reshape, rev
from fornax.primitives.slice import slice_, slice_in
from fornax.source import located

__all__ = ["associative_scan"]


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All prefix combinations of `elems` along `axis`, in about 2 log2(n) calls of `fn`.

    fn: associative; combines two trees like `elems` whose arrays have any size along `axis`.
    reverse: combine from the end. Raises TypeError if `fn` is not callable, ValueError for arrays
    of different sizes along `axis`.
    """
    if not callable(fn):
        raise TypeError(
            located(
                "lax.associative_scan: fn argument should be callable.",
                attempt="associative_scan(function_of_two_elements, elements)",
            )
        )
    leaves, structure = pytree.tree_flatten(elems)
    if not leaves:
        return elems
    axes = []
    for leaf in leaves:
        ndim = typeof(leaf).ndim
        if not -ndim <= axis < ndim:
            raise ValueError(
                located(
                    f"axis {axis} is out of bounds for array of dimension {ndim}",
                    attempt=f"an axis from {-ndim} to {ndim - 1}",
                )
            )
        axes.append(axis % ndim)
    sizes = {typeof(x).shape[a] for x, a in zip(leaves, axes, strict=True)}
    if len(sizes) > 1:
        shapes = [typeof(x).shape for x in leaves]
        raise ValueError(
            located(
                f"Array inputs to associative_scan must have the same size along axis {axis}. "
                f"(got shapes: {shapes})",
                attempt="arrays of one length along the axis",
            )
        )
    place = axes[0]
    if reverse:
        leaves = [rev(x, (place,)) for x in leaves]

    def combine(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        result = fn(
            pytree.tree_unflatten(structure, first), pytree.tree_unflatten(structure, second)
        )
        return pytree.tree_leaves(result)

    found = _prefixes(combine, leaves, place)
    if reverse:
        found = [rev(x, (place,)) for x in found]
    return pytree.tree_unflatten(structure, found)


def _prefixes(combine: Callable[..., list[Any]], elems: Sequence[Any], axis: int) -> list[Any]:
    """Combine neighbours, solve the problem of half the size, fill in between."""
    size = typeof(elems[0]).shape[axis]
    if size < 2:
        return list(elems)
    even = size // 2 * 2
    pairs = combine(
        [_every_other(x, axis, 0, even) for x in elems],
        [_every_other(x, axis, 1, even) for x in elems],
    )
    odd = _prefixes(combine, pairs, axis)  # prefixes that end at odd positions
    count = (size - 1) // 2
    heads = [slice_in(x, axis, 0, 1) for x in elems]
    if count:
        between = combine(
            [slice_in(x, axis, 0, count) for x in odd],
            [_every_other(x, axis, 2, size) for x in elems],
        )
        between = [concatenate([h, b], axis) for h, b in zip(heads, between, strict=True)]
    else:
        between = heads
    return [_interleaved(a, b, axis) for a, b in zip(between, odd, strict=True)]


def _every_other(x: Any, axis: int, start: int, limit: int) -> Any:
    shape = typeof(x).shape
    starts, limits, strides = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], limits[axis], strides[axis] = start, limit, 2
    return slice_(x, starts, limits, strides)


def _interleaved(even: Any, odd: Any, axis: int) -> Any:
    """even[0], odd[0], even[1], …; `even` has as many elements as `odd`, or one more."""
    shape, count = typeof(even).shape, typeof(odd).shape[axis]
    front = slice_in(even, axis, 0, count) if shape[axis] > count else even

    def wide(x: Any) -> Any:
        return reshape(x, (*shape[:axis], count, 1, *shape[axis + 1 :]))

    both = concatenate([wide(front), wide(odd)], axis + 1)
    mixed = reshape(both, (*shape[:axis], 2 * count, *shape[axis + 1 :]))
    if shape[axis] > count:
        mixed = concatenate([mixed, slice_in(even, axis, count, count + 1)], axis)
    return mixed
