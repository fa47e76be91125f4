"""Products of matrices whose rows belong to groups, as in mixtures of experts."""

from __future__ import annotations

from typing import Any

from fornax.ir.requested import requested
from fornax.lax.products import PrecisionLike, chosen_precision
from fornax.primitives.ragged_dot import RaggedDotDimensionNumbers, ragged_dot_general_p
from fornax.source import located

__all__ = ["RaggedDotDimensionNumbers", "ragged_dot", "ragged_dot_general"]

_ROWS = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Rows times the matrix of their group: (m, k), (g, k, n), (g,) -> (m, n).

    The first group_sizes[0] rows of lhs belong to rhs[0], the next to rhs[1], …; rows beyond all
    groups give zero. precision, preferred_element_type: as for `dot`. Raises TypeError for shapes
    that do not fit and sizes that are not integers, NotImplementedError for a group_offset.
    """
    return ragged_dot_general(
        lhs, rhs, group_sizes, _ROWS, precision, preferred_element_type, group_offset, out_sharding
    )


def ragged_dot_general(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """`dot_general` in which a dimension of lhs is cut into groups of `group_sizes`.

    ragged_dot_dimension_numbers: which dimension that is. If it is free, rhs has a dimension of
    groups; if it is contracted, the result has one in front; if it is a batch dimension, groups
    make no difference. group_sizes: integers (g,), or one row for all dimensions outside of the
    ragged one: (batch…, outer…, g). Raises as `ragged_dot` does.
    """
    if group_offset is not None:
        raise NotImplementedError(
            located("Unimplemented group_offset support.", attempt="slice group_sizes and rhs")
        )
    return ragged_dot_general_p.bind(
        lhs, rhs, group_sizes, ragged_dot_dimension_numbers=ragged_dot_dimension_numbers,
        precision=chosen_precision(precision), group_offset=None, out_sharding=out_sharding,
        preferred_element_type=(
            None if preferred_element_type is None else requested(preferred_element_type)
        ),
    )[0]  # fmt: skip
