"""ragged_dot_general: products of matrices whose rows belong to groups of different sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, transpose
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.compare import le_p, lt_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.cumulative import cumsum_p
from fornax.primitives.dot import dot_general_p, free_dimensions
from fornax.primitives.elementwise import and_p, sub_p
from fornax.primitives.family import constant
from fornax.primitives.iota import iota
from fornax.primitives.select import where
from fornax.record import record
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["RaggedDotDimensionNumbers", "ragged_dot_general_p"]


@record(frozen=True)
class RaggedDotDimensionNumbers:
    """Which dimensions of a ragged product correspond.

    dot_dimension_numbers: as for `dot_general`. lhs_ragged_dimensions: the one dimension of lhs
    that is cut into groups. rhs_group_dimensions: the one dimension of rhs that counts the groups,
    if the ragged dimension is neither contracted nor batch; none otherwise.
    """

    dot_dimension_numbers: tuple
    lhs_ragged_dimensions: tuple[int, ...]
    rhs_group_dimensions: tuple[int, ...]

    def __init__(
        self,
        dot_dimension_numbers: Any,
        lhs_ragged_dimensions: Sequence[int],
        rhs_group_dimensions: Sequence[int],
    ):
        numbers = tuple(tuple(map(tuple, pair)) for pair in dot_dimension_numbers)
        object.__setattr__(self, "dot_dimension_numbers", numbers)
        object.__setattr__(self, "lhs_ragged_dimensions", tuple(lhs_ragged_dimensions))
        object.__setattr__(self, "rhs_group_dimensions", tuple(rhs_group_dimensions))


class RaggedDotGeneral(Primitive):
    """dot_general in which a dimension of lhs is cut into groups, one after another.

    A free ragged dimension: every group is multiplied with its own part of rhs; rows beyond all
    groups give zero. A contracted one: a sum for every group, in a new first dimension. A batch
    one: nothing changes.
    """

    reference_cost = 4e-4

    def type(
        self, x, y, sizes, *, ragged_dot_dimension_numbers, precision=None,
        preferred_element_type=None, group_offset=None, out_sharding=None,
    ):  # fmt: skip
        numbers = ragged_dot_dimension_numbers
        if not dtypes.is_integer(sizes.dtype):
            raise TypeError(
                located(
                    "ragged_dot_general requires that group_sizes.dtype is subtype of np.integer.",
                    attempt="group_sizes.astype(int)",
                )
            )
        if len(numbers.lhs_ragged_dimensions) != 1:
            raise TypeError(
                located(
                    "ragged_dot_general expects exactly one lhs ragged dimension.",
                    attempt="lhs_ragged_dimensions=[0]",
                )
            )
        (ragged,) = numbers.lhs_ragged_dimensions
        _check_in_range(ragged, x.ndim, "lhs ragged dimension", "lhs")
        if not sizes.ndim:
            raise TypeError(
                located("expected rank of group_sizes to be >=1.", attempt="group_sizes[None]")
            )
        groups = sizes.shape[-1]
        if sizes.ndim > 1:
            expected = (*(x.shape[d] for d in _outer(x.ndim, numbers)), groups)
            if sizes.shape != expected:
                raise TypeError(
                    located(
                        f"expected group_sizes to have shape {expected}, got {sizes.shape}.",
                        attempt=f"numpy.broadcast_to(group_sizes, {expected})",
                    )
                )
        place = _place(numbers)
        _check_group(numbers, place, y, groups)
        dot = numbers.dot_dimension_numbers
        if place == "free":  # the groups are contracted, too
            (a, b), batch = dot
            dot = (((*_raised(a), 0), (*b, *numbers.rhs_group_dimensions)), (_raised(batch[0]),
                   batch[1]))  # fmt: skip
            x = x.update(shape=(groups, *x.shape))
        out = dot_general_p.type(
            x, y, dimension_numbers=dot, precision=precision,
            preferred_element_type=preferred_element_type,
        )[0]  # fmt: skip
        if place == "contracted":
            out = out.update(shape=(groups, *out.shape))
        return [out.update(weak_type=out.weak_type and sizes.weak_type)]

    def reference(self, x, y, sizes, *, ragged_dot_dimension_numbers, **params):
        x, y, sizes = map(np.asarray, (x, y, sizes))
        params = _dot_params(**params)
        numbers = ragged_dot_dimension_numbers
        dot = numbers.dot_dimension_numbers
        place = _place(numbers)
        if place == "batch":
            return dot_general_p.reference(x, y, dimension_numbers=dot, **params)
        (ragged,) = numbers.lhs_ragged_dimensions
        outer = _outer(x.ndim, numbers)
        order = np.argsort(outer)
        ends = np.cumsum(sizes, -1, sizes.dtype)
        starts = ends - sizes
        position = np.arange(x.shape[ragged]).reshape([-1] + [1] * (x.ndim - ragged - 1))
        results = []
        for g in range(sizes.shape[-1]):
            first, last = (
                end[..., g].transpose(order).reshape(
                    [x.shape[d] if d in outer else 1 for d in range(x.ndim)]
                ) if sizes.ndim > 1 else end[g]
                for end in (starts, ends)
            )  # fmt: skip
            part = np.where((first <= position) & (position < last), x, x.dtype.type(0))
            theirs = y.take(g, numbers.rhs_group_dimensions[0]) if place == "free" else y
            lower = dot if place != "free" else _without(dot, numbers.rhs_group_dimensions[0])
            results.append(
                dot_general_p.reference(part, theirs, dimension_numbers=lower, **params)[0]
            )
        (out,) = self.type(
            *map(typeof, (x, y, sizes)), ragged_dot_dimension_numbers=numbers, **params
        )
        if place == "contracted":
            return [np.stack(results) if results else np.zeros(out.shape, out.dtype)]
        return [sum(results, np.zeros(out.shape, out.dtype)).astype(out.dtype)]

    def expand(self, x, y, sizes, *, ragged_dot_dimension_numbers, **params):
        params = _dot_params(**params)
        out = self._product(x, y, sizes, ragged_dot_dimension_numbers, params)
        type = typeof(out)
        weak = type.weak_type and typeof(sizes).weak_type
        return [convert_element_type(out, type.dtype, weak)]

    def _product(self, x, y, sizes, ragged_dot_dimension_numbers, params):
        numbers = ragged_dot_dimension_numbers
        (x_contract, y_contract), (x_batch, y_batch) = numbers.dot_dimension_numbers
        place = _place(numbers)
        if place == "batch":
            dot = numbers.dot_dimension_numbers
            return dot_general_p.bind(x, y, dimension_numbers=dot, **params)[0]
        outer = _outer(typeof(x).ndim, numbers)
        (ragged,) = numbers.lhs_ragged_dimensions
        x = _by_group(x, sizes, ragged, outer)
        if place == "free":
            dot = (
                ((*_raised(x_contract), 0), (*y_contract, *numbers.rhs_group_dimensions)),
                (_raised(x_batch), y_batch),
            )
            return dot_general_p.bind(x, y, dimension_numbers=dot, **params)[0]
        # what is beyond a group is zero in x already, and must not meet infinities in y
        theirs = dict(zip((*x_contract, *x_batch), (*y_contract, *y_batch), strict=True))
        y = _by_group(y, sizes, theirs[ragged], [theirs[d] for d in outer])
        dot = (
            (_raised(x_contract), _raised(y_contract)),
            ((0, *_raised(x_batch)), (0, *_raised(y_batch))),
        )
        return dot_general_p.bind(x, y, dimension_numbers=dot, **params)[0]


def _dot_params(*, group_offset: Any = None, **params: Any) -> dict[str, Any]:
    if group_offset is not None:
        raise NotImplementedError(
            located(
                "Unimplemented group_offset support.",
                "groups are counted from the first one",
                "slice group_sizes and rhs",
            )
        )
    return params


def _raised(dims: Sequence[int]) -> tuple[int, ...]:
    return tuple(d + 1 for d in dims)


def _without(numbers: Any, dim: int) -> Any:
    """Dimension numbers after rhs lost a dimension."""
    return tuple((a, tuple(d - (d > dim) for d in b)) for a, b in numbers)


def _place(numbers: RaggedDotDimensionNumbers) -> str:
    """What the ragged dimension of lhs is: free, contracted or batch."""
    (contract, _), (batch, _) = numbers.dot_dimension_numbers
    (ragged,) = numbers.lhs_ragged_dimensions
    return "contracted" if ragged in contract else "batch" if ragged in batch else "free"


def _outer(rank: int, numbers: RaggedDotDimensionNumbers) -> list[int]:
    """The dimensions of lhs that group sizes may depend on."""
    (contract, _), (batch, _) = numbers.dot_dimension_numbers
    (ragged,) = numbers.lhs_ragged_dimensions
    place = _place(numbers)
    if place == "batch":
        return list(batch[: batch.index(ragged)])
    own = contract if place == "contracted" else free_dimensions(rank, contract, batch)
    return [*batch, *own[: own.index(ragged)]]


def _by_group(x: Any, sizes: Any, ragged: int, outer: Sequence[int]) -> Any:
    """x once for every group, in front, with zeros outside of the group.

    sizes: (…, groups), … nothing or the dimensions `outer` of x.
    """
    type, counted = typeof(x), typeof(sizes)
    groups = counted.shape[-1]
    ends = cumsum_p.bind(sizes, axis=counted.ndim - 1, reverse=False)[0]
    starts = sub_p(ends, sizes)
    full = (groups, *type.shape)
    dims = [0]
    if counted.ndim > 1:
        order = sorted(range(len(outer)), key=lambda k: outer[k])
        starts, ends = (transpose(e, (counted.ndim - 1, *order)) for e in (starts, ends))
        dims += [outer[k] + 1 for k in order]
    starts, ends = (broadcast_in_dim(e, full, dims) for e in (starts, ends))
    position = iota(counted.dtype, full, ragged + 1)
    inside = and_p(le_p(starts, position), lt_p(position, ends))
    return where(inside, broadcast_in_dim(x, full, range(1, len(full))), constant(x, 0))


def _check_in_range(dim: int, rank: int, what: str, side: str) -> None:
    if not 0 <= dim < rank:
        raise TypeError(
            located(
                f"ragged_dot_general requires {what} numbers to be nonnegative and less than the "
                f"number of axes of the {side} value, got {dim} for {side} of rank {rank}.",
                attempt=f"dimensions from 0 to {rank - 1}",
            )
        )


def _check_group(numbers: RaggedDotDimensionNumbers, place: str, y: ArrayType, groups: int) -> None:
    """Raise TypeError unless rhs has a dimension for groups exactly where one is needed."""
    (_, contract), (_, batch) = numbers.dot_dimension_numbers
    found = numbers.rhs_group_dimensions
    if place != "free":
        if found:
            raise TypeError(
                located(
                    "ragged_dot_general requires zero group dimensions in the rhs when lhs ragged "
                    "dimension is contracting or batch.",
                    attempt="rhs_group_dimensions=[]",
                )
            )
        return
    if len(found) != 1:
        raise TypeError(
            located(
                "ragged_dot_general requires exactly one rhs group dimension when lhs ragged "
                "dimension is noncontracting.",
                attempt="rhs_group_dimensions=[0]",
            )
        )
    (group,) = found
    _check_in_range(group, y.ndim, "rhs group dimension", "rhs")
    if group in batch or group in contract:
        raise TypeError(
            located(
                "ragged_dot_general requires rhs group dimension numbers to be distinct from "
                "contracting and batch dimensions.",
                attempt="a dimension of rhs for the groups alone",
            )
        )
    if y.shape[group] != groups:
        raise TypeError(
            located(
                f"expected rhs group dimension size to be {groups}, got {y.shape[group]}.",
                attempt="as many matrices in rhs as groups in group_sizes",
            )
        )


ragged_dot_general_p = RaggedDotGeneral("ragged_dot_general")
