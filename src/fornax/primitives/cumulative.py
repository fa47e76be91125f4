"""Running sums, products, extremes and log-sums of exponentials along one axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives.compare import eq_p
from fornax.primitives.concatenate import concatenate
from fornax.primitives.elementwise import (
    add_p,
    exp_p,
    log1p_p,
    max_p,
    min_p,
    mul_p,
    sub_p,
)
from fornax.primitives.family import (
    INEXACT,
    NUMBER,
    category,
    constant,
    narrowed,
    widened,
)
from fornax.primitives.pad import pad
from fornax.primitives.select import where
from fornax.primitives.shape import rev
from fornax.primitives.slice import slice_
from fornax.transforms.jvp import jvp_flat


class Cumulative(Primitive):
    """Element i of the result combines elements 0 … i of the axis (i … end if `reverse`)."""

    def __init__(self, name: str, accumulate: Callable[..., Any], accepts: str):
        super().__init__(name)
        self.accumulate = accumulate
        self.accepts = accepts

    def type(self, x, *, axis, reverse):
        if not 0 <= axis < x.ndim:
            raise ValueError(f"axis {axis} is out of bounds for array of shape {x.shape}")
        letter = category(x.dtype)
        if not letter or letter not in self.accepts:
            raise TypeError(f"{self.name} does not accept dtype {x.dtype.name}.")
        return [x]

    def reference(self, x, *, axis, reverse):
        x = np.asarray(x)
        wide = np.flip(widened(x), axis) if reverse else widened(x)
        with np.errstate(all="ignore"):
            result = self.accumulate(wide, axis=axis, dtype=wide.dtype)
        return [narrowed(np.flip(result, axis) if reverse else result, x.dtype)]

    def leading(self, *, axis, reverse):
        return {"axis": axis + 1, "reverse": reverse}

    def batch(self, size, operands, dims, *, axis, reverse):
        (dim,) = dims
        shifted = axis + (axis >= dim)
        return self.bind(*operands, axis=shifted, reverse=reverse), [dim]


class CumulativeSum(Cumulative):
    """The running sum."""

    linear = True

    def transpose(self, cotangents, x, *, axis, reverse):
        (ct,) = cotangents
        return [ct if isinstance(ct, Zero) else self.bind(ct, axis=axis, reverse=not reverse)[0]]


class CumulativeCombination(Cumulative):
    """A running combination whose derivative is that of a balanced tree of `combine`."""

    def __init__(self, name, accumulate, accepts, combine):
        super().__init__(name, accumulate, accepts)
        self.combine = combine

    def jvp(self, primals, tangents, *, axis, reverse):
        out = self.bind(*primals, axis=axis, reverse=reverse)[0]
        if isinstance(tangents[0], Zero):
            return [out], [Zero(typeof(out).tangent())]

        def tree(x):
            if reverse:
                return [rev(running(self.combine, rev(x, (axis,)), axis), (axis,))]
            return [running(self.combine, x, axis)]

        _, (tangent,) = jvp_flat(tree, primals, tangents)
        return [out], [tangent]


def running(combine: Callable[[Any, Any], Any], x: Any, axis: int) -> Any:
    """The running combination of floats with about 2 n applications in 2 log n steps.

    Neighbours are combined, the half as long result is made running, and the elements between are
    filled in.
    """
    length = typeof(x).shape[axis]
    if length < 2:
        return x
    half = length // 2
    pairs = combine(_every_second(x, axis, 0, 2 * half), _every_second(x, axis, 1, 2 * half))
    odd = running(combine, pairs, axis)
    first = _part(x, axis, 0, 1)
    later = _every_second(x, axis, 2, length)
    even = first
    if length > 2:
        before = _part(odd, axis, 0, typeof(later).shape[axis])
        even = concatenate([first, combine(before, later)], axis)
    return _interleave(even, odd, axis)


def _part(x: Any, axis: int, start: int, limit: int, step: int = 1) -> Any:
    shape = typeof(x).shape
    starts = [start if i == axis else 0 for i in range(len(shape))]
    limits = [limit if i == axis else n for i, n in enumerate(shape)]
    strides = [step if i == axis else 1 for i in range(len(shape))]
    return slice_(x, starts, limits, strides)


def _every_second(x: Any, axis: int, start: int, limit: int) -> Any:
    return _part(x, axis, start, max(limit, start), 2)


def _interleave(even: Any, odd: Any, axis: int) -> Any:
    """even[0], odd[0], even[1], …; there is at most one more of `even`."""
    more = typeof(even).shape[axis] - typeof(odd).shape[axis]
    zero = constant(even, 0)

    def spread(x, low, high):
        rank = typeof(x).ndim
        return pad(x, zero, [(low, high, 1) if i == axis else (0, 0, 0) for i in range(rank)])

    return add_p(spread(even, 0, 1 - more), spread(odd, 1, more))


def log_add_exp(x: Any, y: Any) -> Any:
    """log(exp x + exp y); its derivative is finite where both are -inf."""
    most, least = max_p(x, y), min_p(x, y)
    same = eq_p(x, y)  # also two equal infinities, whose difference is NaN
    gap = where(same, constant(x, 0), sub_p(least, most))
    return add_p(most, log1p_p(exp_p(gap)))


def _extreme(ufunc):
    def accumulate(x, axis, dtype):
        return ufunc.accumulate(x, axis=axis)

    return accumulate


def _log_sums(x, axis, dtype):
    if x.dtype.kind != "c":
        return np.logaddexp.accumulate(x, axis=axis)
    result = np.array(x)
    moved = np.moveaxis(result, axis, 0)
    for i in range(1, len(moved)):
        most = np.where(moved[i - 1].real >= moved[i].real, moved[i - 1], moved[i])
        least = np.where(moved[i - 1].real >= moved[i].real, moved[i], moved[i - 1])
        moved[i] = most + np.log1p(np.exp(least - most))
    return result


cumsum_p = CumulativeSum("cumsum", np.add.accumulate, NUMBER)
cumprod_p = CumulativeCombination("cumprod", np.multiply.accumulate, NUMBER, mul_p)
cummax_p = CumulativeCombination("cummax", _extreme(np.maximum), NUMBER, max_p)
cummin_p = CumulativeCombination("cummin", _extreme(np.minimum), NUMBER, min_p)
cumlogsumexp_p = CumulativeCombination("cumlogsumexp", _log_sums, INEXACT, log_add_exp)
