"""Functions across named axes, inside `vmap(..., axis_name=...)`.

`axis_name` is a name or a tuple of names; the first varies slowest. `psum`, `pmax` and `pmin` also
take numbers among them, which are dimensions of the arrays. Trees of arrays go in and out.
All raise NameError for a name that is not in scope.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import pytree
from fornax.ir.basis import broadcast_in_dim, move_axis, reduce_sum_p, zeros
from fornax.ir.trace import named_axis_size
from fornax.ir.types import typeof
from fornax.numpy.promotion import as_value
from fornax.partition.mesh import manual_axes
from fornax.primitives import collectives
from fornax.primitives.compare import eq_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.elementwise import add_p, div_p, mul_p
from fornax.primitives.family import constant
from fornax.primitives.reduce import reduce_max_p, reduce_min_p
from fornax.primitives.select import where
from fornax.primitives.shape import reshape, squeeze
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "all_gather", "all_to_all", "axis_index", "axis_size", "pbroadcast", "pcast", "pmax", "pmean",
    "pmin", "ppermute", "pshuffle", "psum", "psum_scatter", "pswapaxes",
]  # fmt: skip


def _names(axis_name: Any) -> tuple:
    names = tuple(axis_name) if isinstance(axis_name, tuple | list) else (axis_name,)
    for name in names:
        named_axis_size(name)
    if len(set(names)) != len(names):
        raise ValueError(
            located(f"a named axis appears twice in {axis_name!r}", attempt="each name once")
        )
    return names


def _only_names(axis_name: Any) -> tuple:
    """The axis names. Raises ValueError for dimensions of arrays."""
    given = axis_name if isinstance(axis_name, tuple | list) else (axis_name,)
    for axis in given:
        if isinstance(axis, int):
            raise ValueError(
                located(
                    f"axis {axis} is out of bounds: only psum, pmax and pmin take dimensions of "
                    f"arrays beside names of axes, got {axis_name!r}",
                    attempt="names only",
                )
            )
    return _names(axis_name)


def axis_size(axis_name: Any) -> int:
    """The number of examples along an axis, or along several together."""
    return math.prod(named_axis_size(name) for name in _only_names(axis_name))


def axis_index(axis_name: Any) -> Any:
    """The position of this example along the axis, int32."""
    names = _names(axis_name)
    index = None if names else np.int32(0)
    for name in names:
        (part,) = collectives.axis_index_p.bind(axis_name=name)
        if index is None:
            index = part
        else:
            index = add_p(mul_p(index, constant(index, named_axis_size(name))), part)
    return index


def _named_and_numbered(axis_name: Any) -> tuple[tuple, tuple[int, ...]]:
    """The names and the dimensions among axes."""
    given = tuple(axis_name) if isinstance(axis_name, tuple | list) else (axis_name,)
    numbers = tuple(a for a in given if isinstance(a, int))
    return _names([a for a in given if not isinstance(a, int)]), numbers


#: collective -> the reduction of dimensions that goes with it
_OF_DIMENSIONS = {
    collectives.psum_p: reduce_sum_p,
    collectives.pmax_p: reduce_max_p,
    collectives.pmin_p: reduce_min_p,
}


def _reduced(primitive: Any, x: Any, axis_name: Any, groups: Any) -> Any:
    names, numbers = _named_and_numbered(axis_name)
    groups = None if groups is None else tuple(map(tuple, groups))
    if numbers and groups is not None:
        raise ValueError(
            located(
                "axis_index_groups only supported for sums over just named axes",
                attempt="names only, and numpy.sum over dimensions of the array before or after",
            )
        )

    def reduce(leaf: Any) -> Any:
        if numbers:
            rank = typeof(leaf).ndim
            axes = tuple(a + rank if a < 0 else a for a in numbers)
            (leaf,) = _OF_DIMENSIONS[primitive].bind(leaf, axes=axes)
        if not names:
            return leaf
        return primitive.bind(leaf, axes=names, axis_index_groups=groups)[0]

    return pytree.tree_map(reduce, x)


def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The sum over all examples. Numbers are multiplied at once, so `psum(1, name)` is the size."""
    names, numbers = _named_and_numbered(axis_name)
    size = axis_size(names)

    def total(leaf: Any) -> Any:
        number = isinstance(leaf, int | float | complex) and not isinstance(leaf, bool)
        if number and axis_index_groups is None and not numbers:
            return size * leaf
        if typeof(leaf).dtype == dtypes.bool_:
            leaf = convert_element_type(leaf, dtypes.int32)
        return _reduced(collectives.psum_p, leaf, axis_name, axis_index_groups)

    return pytree.tree_map(total, x)


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The mean over all examples; integers become floats."""
    size = axis_size(axis_name)

    def mean(leaf: Any) -> Any:
        if axis_index_groups is None and type(leaf) in (int, float, complex):
            return size * leaf / size
        if not dtypes.is_inexact(typeof(leaf).dtype):
            leaf = convert_element_type(leaf, dtypes.canonical(np.float64))
        total = _reduced(collectives.psum_p, leaf, axis_name, axis_index_groups)
        return div_p(total, constant(total, size))

    return pytree.tree_map(mean, x)


def pmax(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The maximum over all examples. It has no derivative."""
    return _reduced(collectives.pmax_p, x, axis_name, axis_index_groups)


def pmin(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The minimum over all examples. It has no derivative."""
    return _reduced(collectives.pmin_p, x, axis_name, axis_index_groups)


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Values move from example `source` to `destination` for each pair in `perm`.

    Examples that get nothing get zeros. Raises ValueError if a source or destination repeats or is
    out of range.
    """
    names = _only_names(axis_name)
    size = axis_size(names)
    try:
        pairs = tuple((int(source), int(destination)) for source, destination in perm)
    except (TypeError, ValueError):
        raise TypeError(
            located(
                f"ppermute: perm={perm!r} is no sequence of pairs of integers",
                "each pair says from which example to which a value moves",
                "perm=[(0, 1), (1, 0)]",
            )
        ) from None
    for what, ends in (("sources", [a for a, _ in pairs]), ("destinations", [b for _, b in pairs])):
        if len(set(ends)) != len(ends) or any(not 0 <= e < size for e in ends):
            raise ValueError(
                located(
                    f"ppermute {what} must be distinct examples of 0 … {size - 1}, got {ends}",
                    attempt="pairs (source, destination) in which each index comes once on "
                    "either side",
                )
            )
    if len(names) == 1:
        return pytree.tree_map(
            lambda leaf: collectives.ppermute_p.bind(leaf, axis_name=names[0], perm=pairs)[0], x
        )
    place = axis_index(names)

    def moved(leaf: Any) -> Any:
        everywhere = all_gather(leaf, names)
        shape = typeof(leaf).shape
        found = zeros(typeof(leaf))
        for source, destination in pairs:
            value = squeeze(slice_in(everywhere, 0, source, source + 1), (0,))
            here = eq_p(place, constant(place, destination))
            found = where(broadcast_in_dim(here, shape, ()), value, found)
        return found

    return pytree.tree_map(moved, x)


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """Example i gets the value of example `perm[i]`. Raises ValueError for no permutation."""
    size = axis_size(axis_name)
    if sorted(perm) != list(range(size)):
        raise ValueError(
            located(
                f"`perm` does not represent a permutation: {perm}",
                attempt="each of 0 to the size of the axis - 1 once",
            )
        )
    return ppermute(x, axis_name, list(zip(perm, range(len(perm)), strict=True)))


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """The value that example `source` has. Raises ValueError if there is no such example."""
    size = axis_size(axis_name)
    if not 0 <= source < size:
        raise ValueError(
            located(
                f"pbroadcast source {source} is not one of {size} examples",
                attempt=f"a source from 0 to {size - 1}",
            )
        )

    def picked(leaf: Any) -> Any:
        return squeeze(slice_in(all_gather(leaf, axis_name), 0, source, source + 1), (0,))

    return pytree.tree_map(picked, x)


def pcast(x: Any, axis_name: Any, *, to: str) -> Any:
    """Values that are the same along axes of `shard_map`, taken for values that vary along them.

    With one device along each axis they are the values themselves.

    Args:
      x: tree of arrays.
      axis_name: name or tuple of names of axes; x itself comes back for none.
      to: "varying". "reduced" and "unreduced", sums that are still to be made over several devices,
        raise NotImplementedError.

    Raises ValueError outside of `shard_map`, the maps of `vmap` included, and for another `to`,
    TypeError for a set of names.
    """
    if isinstance(axis_name, set | frozenset):
        raise TypeError(
            located(
                f"axis_name={axis_name!r} must be a tuple or a str.",
                attempt="a tuple of the names",
            )
        )
    if not axis_name:
        return x
    if to not in ("varying", "reduced", "unreduced"):
        raise ValueError(
            located(
                f"pcast got to={to!r}, which is none of 'varying', 'reduced' and 'unreduced'",
                attempt="to='varying'",
            )
        )
    names = axis_name if isinstance(axis_name, tuple) else (axis_name,)
    outside = [name for name in names if name not in manual_axes()]
    if outside:
        raise ValueError(
            located(
                f"pcast should be called under shard_map: {outside[0]!r} is none of its axes",
                "elsewhere nothing is said of values along axes",
                "leave it out",
            )
        )
    if to != "varying":
        raise NotImplementedError(
            located(
                f"pcast to={to!r}: sums over several devices that are still to be made",
                "there is one device",
                "lax.psum(x, axis_name)",
            )
        )
    return pytree.tree_map(as_value, x)


def _canonical(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise ValueError(
            located(
                f"axis {axis} is out of bounds for array of dimension {ndim}",
                attempt=f"an axis from {-ndim} to {ndim - 1}",
            )
        )
    return axis % ndim


def all_gather(
    x: Any,
    axis_name: Any,
    *,
    axis_index_groups: Any = None,
    axis: int = 0,
    tiled: bool = False,
    to: str = "varying",
) -> Any:
    """The values of all examples: along a new dimension `axis`, or joined along it if `tiled`."""
    del to
    names = _names(axis_name)

    def gathered(leaf: Any) -> Any:
        place = _canonical(axis, typeof(leaf).ndim + (not tiled))
        for name in reversed(names):
            (leaf,) = collectives.all_gather_p.bind(
                leaf, all_gather_dimension=place, axis_index_groups=axis_index_groups,
                axis_name=name, axis_size=named_axis_size(name), tiled=tiled,
            )  # fmt: skip
        if len(names) > 1 and not tiled:
            shape = typeof(leaf).shape
            count = len(names)
            leaf = reshape(
                leaf, (*shape[:place], math.prod(shape[place : place + count]),
                       *shape[place + count :])
            )  # fmt: skip
        return leaf

    return pytree.tree_map(gathered, x)


def _refuse_groups(name: str, names: tuple, groups: Any) -> None:
    if groups is not None and len(names) > 1:
        raise NotImplementedError(
            located(
                f"{name} with axis_index_groups over several axes {names}",
                "which examples the numbers of a group mean is not defined",
                "one axis at a time",
            )
        )


def _by_axes(name: str, leaf: Any, place: int, names: tuple, tiled: bool) -> Any:
    """The array with a dimension for each axis in place of the one that is cut, and, if `tiled`,
    the rest of that one."""
    shape = typeof(leaf).shape
    sizes = [named_axis_size(axis) for axis in names]
    count = math.prod(sizes)
    if shape[place] % count if tiled else shape[place] != count:
        wanted = f"a multiple of {count}" if tiled else str(count)
        raise ValueError(
            located(
                f"{name} over axes {names}: dimension {place} of shape {shape} should be {wanted}",
                "every example gets an equal part of it",
                f"numpy.pad, so that the dimension is {wanted}",
            )
        )
    rest = [shape[place] // count] if tiled else []
    return reshape(leaf, (*shape[:place], *sizes, *rest, *shape[place + 1 :]))


def psum_scatter(
    x: Any,
    axis_name: Any,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """The sum over all examples, of which example i keeps part i of `scatter_dimension`."""
    names = _only_names(axis_name)
    _refuse_groups("psum_scatter", names, axis_index_groups)

    def scattered(leaf: Any) -> Any:
        place = _canonical(scatter_dimension, typeof(leaf).ndim)
        if len(names) > 1:
            leaf = _by_axes("psum_scatter", leaf, place, names, tiled)
        for name in names:
            (leaf,) = collectives.reduce_scatter_p.bind(
                leaf, scatter_dimension=place, axis_index_groups=axis_index_groups,
                axis_name=name, axis_size=named_axis_size(name), tiled=tiled and len(names) == 1,
            )  # fmt: skip
        return leaf

    return pytree.tree_map(scattered, x)


def all_to_all(
    x: Any,
    axis_name: Any,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Part i of every example's `split_axis` goes to example i, which puts them on `concat_axis`.

    Without `tiled` the split dimension has the size of the mapped axis and disappears; with it,
    it is cut into that many pieces, which are joined.
    """
    names = _only_names(axis_name)
    _refuse_groups("all_to_all", names, axis_index_groups)

    def exchanged(leaf: Any) -> Any:
        ndim = typeof(leaf).ndim
        split, concat = _canonical(split_axis, ndim), _canonical(concat_axis, ndim)
        if len(names) == 1:
            return collectives.all_to_all_p.bind(
                leaf, axis_index_groups=axis_index_groups, axis_name=names[0],
                split_axis=split, concat_axis=concat, tiled=tiled,
            )[0]  # fmt: skip
        leaf = _by_axes("all_to_all", leaf, split, names, tiled)
        for k, name in enumerate(names):  # each part's place becomes where it came from
            (leaf,) = collectives.all_to_all_p.bind(
                leaf, axis_index_groups=None, axis_name=name, split_axis=split + k,
                concat_axis=split + k, tiled=False,
            )  # fmt: skip
        shape = typeof(leaf).shape
        size = axis_size(names)
        leaf = reshape(leaf, (*shape[:split], size, *shape[split + len(names) :]))
        leaf = move_axis(leaf, split, concat)
        if not tiled:
            return leaf
        shape = typeof(leaf).shape
        return reshape(leaf, (*shape[:concat], size * shape[concat + 1], *shape[concat + 2 :]))

    return pytree.tree_map(exchanged, x)


def pswapaxes(x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None) -> Any:
    """Swap the mapped axis with dimension `axis`, which has the same size."""
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)
