"""Arrays by indexing notation: mgrid, ogrid, r_, c_, s_, index_exp."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.types import typeof
from fornax.numpy.creation import asarray
from fornax.numpy.joining import concatenate, stack
from fornax.numpy.matrices import meshgrid
from fornax.numpy.promotion import promote_dtypes
from fornax.numpy.ranges import arange, linspace
from fornax.numpy.shaping import expand_dims, moveaxis
from fornax.source import located

__all__ = ["c_", "index_exp", "mgrid", "ogrid", "r_", "s_"]

index_exp = np.index_exp
s_ = np.s_


def _range(part: slice) -> Any:
    """start:stop:step as arange; a step of 5j as five points, the last included."""
    start = 0 if part.start is None else part.start
    if part.stop is None:
        raise ValueError(
            located(
                f"the end of a range must be given, got {part}",
                attempt="[0:3], or [0:3:5j] for 5 points",
            )
        )
    step = 1 if part.step is None else part.step
    if isinstance(step, complex | np.complexfloating):
        return linspace(start, part.stop, int(abs(step)))
    return arange(start, part.stop, step)


class _Grid:
    """Coordinate arrays of a grid: mgrid[0:2, 0:3]; one array per dimension if sparse."""

    def __init__(self, name: str, sparse: bool):
        self.name, self.sparse = name, sparse

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _range(key)
        lines = promote_dtypes(*(_range(part) for part in key))
        if self.sparse:
            return meshgrid(*lines, indexing="ij", sparse=True)
        return stack(meshgrid(*lines, indexing="ij"), 0)

    def __repr__(self) -> str:
        return f"fornax.numpy.{self.name}"


mgrid = _Grid("mgrid", sparse=False)
ogrid = _Grid("ogrid", sparse=True)


class _Joined:
    """Arrays, numbers and ranges joined: r_[0:3, 5, x]; a string first gives the axes.

    The string is 'axis', 'axis,least rank' or 'axis,least rank,place of the old dimensions'.
    """

    def __init__(self, name: str, axis: int, rank: int, place: int):
        self.name, self.defaults = name, (axis, rank, place)

    def __getitem__(self, key: Any) -> Any:
        parts = list(key) if isinstance(key, tuple) else [key]
        axis, rank, place = self.defaults
        if isinstance(parts[0], str):
            given = parts.pop(0)
            if given in ("r", "c"):
                raise NotImplementedError(
                    located(
                        f"{self.name}: matrices ({given!r}) are not supported",
                        attempt="numpy.atleast_2d(numpy.r_[...])",
                    )
                )
            try:
                numbers = [int(v) for v in given.split(",")]
            except ValueError:
                raise ValueError(
                    located(
                        f"unknown special directive {given!r}",
                        attempt="'axis', 'axis,dimensions' or 'axis,dimensions,position', as "
                        "integers in a string",
                    )
                ) from None
            axis, rank, place = (*numbers, *(axis, rank, place)[len(numbers) :])
        arrays = [self._raised(part, rank, place) for part in parts]
        return concatenate(arrays, axis)

    @staticmethod
    def _raised(part: Any, rank: int, place: int) -> Any:
        x = _range(part) if isinstance(part, slice) else asarray(part)
        own = typeof(x).ndim
        if own == 0:
            return x.reshape((1,) * rank)
        missing = rank - own
        if missing <= 0:
            return x
        x = expand_dims(x, tuple(range(missing)))
        first = place if place >= 0 else missing + place + 1
        return moveaxis(x, range(missing, rank), range(first, first + own))

    def __repr__(self) -> str:
        return f"fornax.numpy.{self.name}"


r_ = _Joined("r_", 0, 1, -1)
c_ = _Joined("c_", -1, 2, 0)
