"""The axes that functions over axes are given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim
from fornax.ir.static import static_integer
from fornax.source import located

__all__: list[str] = []


def canonical_axis(axis: Any, rank: int) -> int:
    """An axis in 0 … rank-1. Raises AxisError (a ValueError and IndexError) out of bounds."""
    axis = static_integer(axis, "the axis argument")
    if not -rank <= axis < rank:
        error = np.exceptions.AxisError(
            located(
                f"axis {axis} is out of bounds for array of dimension {rank}",
                f"its axes are {-rank} to {rank - 1}" if rank else "a number has no axes",
                "keepdims=True or x[:, None] where a dimension got lost" if rank else
                "numpy.atleast_1d(x), or axis=None",
            )
        )  # fmt: skip
        error.axis, error.ndim = axis, rank
        raise error
    return axis % rank


def canonical_axes(axis: Any, rank: int, named: bool = False) -> tuple[Any, ...]:
    """Axes from None (all), an int or a sequence. Raises ValueError for duplicates.

    named: texts are kept; they name axes of `vmap`.
    """
    if axis is None:
        return tuple(range(rank))
    if named and isinstance(axis, str):
        return (axis,)
    if isinstance(axis, Sequence | set | frozenset) and not isinstance(axis, str):
        axes = tuple(a if named and isinstance(a, str) else canonical_axis(a, rank) for a in axis)
        if len(set(axes)) != len(axes):
            raise ValueError(
                located(f"duplicate value in 'axis': {tuple(axis)}", attempt="name each axis once")
            )
        return axes
    return (canonical_axis(axis, rank),)


def dimensions(axes: Iterable[Any]) -> tuple[int, ...]:
    """Those of canonical axes that are dimensions, in order."""
    return tuple(sorted(a for a in axes if not isinstance(a, str)))


def separate_axes(axis: Any, rank: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """(dimensions in order, names of axes) of what `canonical_axes` takes, names included."""
    if axis is None:
        return tuple(range(rank)), ()
    if axis.__class__ is int and -rank <= axis < rank:
        return (axis % rank,), ()
    every = canonical_axes(axis, rank, named=True)
    return dimensions(every), tuple(a for a in every if isinstance(a, str))


def refuse_out(name: str, out: Any) -> None:
    if out is not None:
        raise NotImplementedError(
            located(
                f"The 'out' argument to {name} is not supported: arrays do not change",
                "a result is a new array; inside jit its memory may be that of an argument",
                f"x = {name}(...), or x.at[...].set(...); donate_argnums to reuse memory",
            )
        )


def keep_dims(result: Any, shape: tuple[int, ...], axes: Sequence[int]) -> Any:
    """The reduced array with its reduced axes as dimensions of 1."""
    full_shape = [1 if k in axes else n for k, n in enumerate(shape)]
    return broadcast_in_dim(result, full_shape, [k for k in range(len(shape)) if k not in axes])
