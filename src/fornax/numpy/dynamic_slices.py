"""Slices of a fixed size that start anywhere: x[ds(start, size)], for reading and for writing."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.lax.slicing import normalized_index
from fornax.numpy import ufuncs
from fornax.primitives.dynamic_slice import dynamic_slice, dynamic_update_slice
from fornax.primitives.select import where
from fornax.pytree.registry import register_pytree_node_class
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["Slice", "Windows", "ds", "has_windows"]


@register_pytree_node_class
class Slice:
    """`size` positions from `start` on, `stride` apart; for use in an index. Made by `ds`.

    start: an integer, or a traced one. size, stride: integers. Raises ValueError for a negative
    stride.
    """

    __slots__ = ("size", "start", "stride")

    def __init__(self, start: Any, size: Any, stride: int = 1):
        if stride < 0:
            raise ValueError(
                located(
                    "`stride` must be >= 0.", attempt="stride=1, or reverse the result with [::-1]"
                )
            )
        self.start, self.size, self.stride = start, size, stride

    @property
    def is_dynamic_start(self) -> bool:
        """Whether the start is known only when the program runs."""
        return not _is_static(self.start)

    @property
    def is_dynamic_size(self) -> bool:
        """Whether the size is no integer; such slices index nothing."""
        return not _is_static(self.size)

    def __repr__(self) -> str:
        return f"Slice(start={self.start!r}, size={self.size!r}, stride={self.stride!r})"

    def __eq__(self, other: Any) -> Any:
        if not isinstance(other, Slice):
            return NotImplemented
        mine = (self.start, self.size, self.stride)
        return mine == (other.start, other.size, other.stride)

    __hash__ = None  # type: ignore[assignment]

    def tree_flatten(self) -> tuple[Any, Any]:
        dynamic = self.is_dynamic_start, self.is_dynamic_size
        fields = self.start, self.size
        leaves = [x if d else None for x, d in zip(fields, dynamic, strict=True)]
        static = [None if d else x for x, d in zip(fields, dynamic, strict=True)]
        return tuple(leaves), (*static, self.stride)

    @classmethod
    def tree_unflatten(cls, static: Any, leaves: Any) -> Slice:
        start, size = (s if x is None else x for x, s in zip(leaves, static, strict=False))
        return cls(start, size, static[2])

    @classmethod
    def from_slice(cls, slc: slice, size: int) -> Slice:
        """The positions that a slice has in a dimension of `size`. ValueError if it goes back."""
        start, stop, step = slc.indices(size)
        if step < 1:
            raise ValueError(
                located(
                    f"slice must have a step >= 1 (found: {step})",
                    attempt="a positive step, and [::-1] on the result",
                )
            )
        return cls(start, len(range(start, stop, step)), step)


def _is_static(x: Any) -> bool:
    try:
        operator.index(x)
    except TypeError:
        return False
    return True


def ds(start: Any, size: Any = None, stride: int | None = None) -> slice | Slice:
    """A slice by its start and size, for an index: the start may be traced, the size not.

    ds(None) is `:`, ds(size) is `:size`, ds(start, size) is `start:start+size`, and
    ds(start, size, stride) takes every stride-th of the positions from `start` on. A slice that
    does not fit is read where it fits, and written nowhere. Raises ValueError for a stride that is
    negative or no integer.
    """
    if start is None:
        return slice(None)
    if stride is None:
        stride = 1
    if not isinstance(stride, int):
        raise ValueError(
            located(
                "Non-static stride in `dslice`",
                attempt="a stride that is a Python integer, such as 2",
            )
        )
    if size is None:
        start, size = 0, start
    return Slice(start, size, stride)


def has_windows(index: Any) -> bool:
    """Whether an index expression contains a `Slice`."""
    if type(index) is tuple:
        return any(type(item) is Slice for item in index)
    return type(index) is Slice


class Windows:
    """The part of an array that the slices of an index address, and how it is put back.

    part: the part. index: the index into it; no slices are left. inside: whether all of them fit.
    """

    def __init__(self, x: Any, index: Any, wrap: bool):
        shape = typeof(x).shape
        items = list(index if type(index) is tuple else (index,))
        lengths = list(shape)
        dtype = dtypes.int64 if any(n >= 2**31 for n in shape) else dtypes.int32
        starts: list[Any] = [dtype.type(0)] * len(shape)
        self.inside: Any = True
        for position, dim in _dimensions(items, len(shape)):
            window = items[position]
            size = _size(window)
            span = (size - 1) * window.stride + 1 if size else 0
            if span > shape[dim]:
                raise TypeError(
                    located(
                        f"{window} of an array of shape {shape}",
                        f"dimension {dim} has fewer than {span} elements",
                        "a smaller size",
                    )
                )
            starts[dim] = normalized_index(_start(window), shape[dim], dtype, wrap)
            lengths[dim] = span
            fits = ufuncs.logical_and(
                ufuncs.greater_equal(starts[dim], 0),
                ufuncs.less_equal(starts[dim], dtype.type(shape[dim] - span)),
            )
            self.inside = fits if self.inside is True else ufuncs.logical_and(self.inside, fits)
            items[position] = slice(None, None, window.stride if window.stride > 1 else None)
        self.whole, self.starts, self.index = x, starts, tuple(items)
        self.part = dynamic_slice(x, starts, lengths)

    def written(self, part: Any, clips: bool) -> Any:
        """The whole array with a new part; unchanged where that does not fit, unless it clips."""
        if not clips:
            part = chosen(self.inside, part, self.part)
        return dynamic_update_slice(self.whole, part, self.starts)


def chosen(condition: Any, x: Any, y: Any) -> Any:
    """x if a scalar is true, else y, of one type."""
    shape = typeof(x).shape
    return where(broadcast_in_dim(condition, shape, ()) if shape else condition, x, y)


def _dimensions(items: Sequence[Any], rank: int) -> list[tuple[int, int]]:
    """(position in the index, dimension of the array) of every Slice."""
    taken = [_consumed(item) for item in items]
    found, dim = [], 0
    for position, item in enumerate(items):
        if type(item) is Slice:
            found.append((position, dim))
        dim += rank - sum(taken) if item is Ellipsis else taken[position]
    if dim > rank:
        raise IndexError(
            located(
                f"Too many indices: array is {rank}-dimensional, but {dim} were indexed",
                attempt=f"at most {rank} indices, one per dimension",
            )
        )
    return found


def _consumed(item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, bool | np.bool_):
        return 0
    is_mask = getattr(item, "dtype", None) == dtypes.bool_
    return item.ndim if is_mask else 1


def _size(window: Slice) -> int:
    if isinstance(window.size, Tracer) or window.is_dynamic_size:
        raise TypeError(
            located(
                f"{window}: the size is no integer",
                "the size of a slice is a shape, and shapes must be known while the function is "
                "traced",
                "a size that is a Python integer",
            )
        )
    return operator.index(window.size)


def _start(window: Slice) -> Any:
    start = window.start
    if isinstance(start, bool) or not dtypes.is_integer(typeof(start).dtype):
        raise TypeError(
            located(
                f"{window}: the start must be an integer, got {typeof(start).short()}",
                attempt="start.astype(int)",
            )
        )
    return start if isinstance(start, Tracer) else operator.index(start)
