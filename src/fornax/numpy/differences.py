"""Differences of neighbours, and what is made of them: derivatives, integrals, phases."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.types import typeof
from fornax.numpy import reductions, ufuncs
from fornax.numpy.axes import canonical_axes, canonical_axis
from fornax.numpy.creation import asarray
from fornax.numpy.joining import concatenate
from fornax.numpy.promotion import (
    as_dtype,
    check,
    concrete_form,
    promote_inexact,
)
from fornax.numpy.running import cumsum
from fornax.numpy.selection import where
from fornax.numpy.shaping import broadcast_to, moveaxis, ravel
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["diff", "ediff1d", "gradient", "trapezoid", "unwrap"]


@eager(static="n axis")
def diff(a, n=1, axis=-1, prepend=None, append=None):
    """Differences of neighbours along `axis`, taken n times."""
    check("diff", a)
    a = asarray(concrete_form(a))
    if n < 0:
        raise ValueError(
            located(
                f"order must be non-negative but got {n}",
                attempt="n=0 for x itself; cumsum for the other way",
            )
        )
    if not typeof(a).shape:
        raise ValueError(
            located(
                f"diff requires input that is at least one dimensional; got {a}",
                attempt="numpy.atleast_1d(a)",
            )
        )
    axis = canonical_axis(axis, typeof(a).ndim)

    def edge(x):
        x = asarray(x)
        if not typeof(x).shape:
            x = broadcast_to(x, [1 if k == axis else m for k, m in enumerate(typeof(a).shape)])
        return x

    ends = [edge(x) if x is not None else None for x in (prepend, append)]
    parts = [p for p in (ends[0], a, ends[1]) if p is not None]
    if len(parts) > 1:
        a = concatenate(parts, axis)
    for _ in range(n):
        m = typeof(a).shape[axis]
        before = tuple(
            slice(None, m - 1) if k == axis else slice(None) for k in range(typeof(a).ndim)
        )
        behind = tuple(slice(1, None) if k == axis else slice(None) for k in range(typeof(a).ndim))
        change = ufuncs.not_equal if typeof(a).dtype == dtypes.bool_ else ufuncs.subtract
        a = change(a[behind], a[before])
    return a


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of y along `axis` by the trapezoidal rule, at positions x or in steps dx.

    Raises IndexError where there are no elements.
    """
    check("trapezoid", y)
    if x is None:
        y, dx = promote_inexact(concrete_form(y), concrete_form(dx))
        y = moveaxis(asarray(y), axis, -1)
    else:
        check("trapezoid", x)
        y, x = (asarray(v) for v in promote_inexact(concrete_form(y), concrete_form(x)))
        one = typeof(x).ndim == 1
        y = moveaxis(y, axis, -1)
        dx = diff(x) if one else moveaxis(diff(x, axis=axis), axis, -1)
    if not typeof(y).shape[-1]:
        raise IndexError(
            located(
                f"trapezoid: axis {axis} has no elements",
                "the integral is from the first to the last of them",
                "0.0, where that is meant",
            )
        )
    pairs = ufuncs.multiply(dx, ufuncs.add(y[..., 1:], y[..., :-1]))
    return ufuncs.multiply(0.5, reductions.sum(pairs, -1))


def gradient(f, *varargs, axis=None, edge_order=None):
    """Derivatives by central differences along each `axis`, one-sided at the ends.

    varargs: the distance of neighbours (1), one per axis, or the coordinates along each.
    Gives an array for one axis, else a list.
    """
    check("gradient", f, *varargs)
    if edge_order is not None:
        raise NotImplementedError(
            located(
                "gradient: the 'edge_order' argument is not supported",
                attempt="edge_order=1, or one-sided differences written out at the ends",
            )
        )
    (f,) = promote_inexact(concrete_form(f))
    f = asarray(f)
    rank = typeof(f).ndim
    axes = canonical_axes(axis, rank)
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(
            located(
                f"gradient: got {len(varargs)} spacings for {len(axes)} axes",
                attempt="one spacing for all axes, or one for each",
            )
        )
    spacing = list(varargs) or [1.0]
    if len(spacing) == 1:
        spacing = spacing * len(axes)
    results = []
    for k, h in zip(axes, spacing, strict=True):
        n = typeof(f).shape[k]
        if n < 2:
            raise ValueError(
                located(
                    "Shape of array too small to calculate a numerical gradient, at least 2 "
                    "elements are required.",
                    attempt="at least 2 points along the axis, or axis= for those that have them",
                )
            )
        results.append(moveaxis(_slope(moveaxis(f, k, 0), asarray(concrete_form(h))), 0, k))
    return results[0] if len(results) == 1 else results


def _slope(f: Any, h: Any) -> Any:
    rank = typeof(f).ndim
    if typeof(h).ndim == 0:
        first = ufuncs.divide(ufuncs.subtract(f[1:2], f[:1]), h)
        last = ufuncs.divide(ufuncs.subtract(f[-1:], f[-2:-1]), h)
        inner = ufuncs.divide(ufuncs.multiply(ufuncs.subtract(f[2:], f[:-2]), 0.5), h)
        return concatenate([first, inner, last])
    if typeof(h).ndim != 1 or typeof(h).shape[0] != typeof(f).shape[0]:
        raise ValueError(
            located(
                "Spacing arrays must be 1D with the length of the dimension they belong to",
                attempt="a number, or positions of shape (n,) for an axis of n elements",
            )
        )
    steps = diff(h).reshape((-1, *(1,) * (rank - 1)))
    rises = ufuncs.divide(diff(f, axis=0), steps)
    before, behind = steps[:-1], steps[1:]
    total = ufuncs.add(before, behind)
    inner = ufuncs.divide(
        ufuncs.add(ufuncs.multiply(rises[:-1], behind), ufuncs.multiply(rises[1:], before)), total
    )
    return concatenate([rises[:1], inner, rises[-1:]])


def ediff1d(ary, to_end=None, to_begin=None):
    """Differences of neighbours of the flattened array, between `to_begin` and `to_end`."""
    check("ediff1d", ary)
    ary = ravel(asarray(concrete_form(ary)))
    dtype = typeof(ary).dtype
    parts = [ufuncs.subtract(ary[1:], ary[:-1])]
    if to_begin is not None:
        parts.insert(0, ravel(as_dtype(asarray(to_begin), dtype)))
    if to_end is not None:
        parts.append(ravel(as_dtype(asarray(to_end), dtype)))
    return concatenate(parts)


def unwrap(p, discont=None, axis=-1, period=2 * np.pi):
    """p with multiples of `period` added so that neighbours differ by at most half of it."""
    check("unwrap", p)
    p = asarray(concrete_form(p))
    dtype = typeof(p).dtype
    if dtypes.is_complex(dtype):
        raise ValueError(
            located("unwrap: complex values are not supported", attempt="unwrap of numpy.angle(x)")
        )
    axis = canonical_axis(axis, typeof(p).ndim)
    if typeof(p).shape[axis] == 0:
        return promote_inexact(p)[0]
    if not dtypes.is_inexact(dtype) and isinstance(period, float):
        (p,) = promote_inexact(p)
    dtype = typeof(p).dtype
    half = ufuncs.divide(period, 2) if dtypes.is_inexact(dtype) else ufuncs.floor_divide(period, 2)
    change = diff(p, axis=axis)
    wrapped = ufuncs.subtract(ufuncs.remainder(ufuncs.add(change, half), period), half)
    ends = ufuncs.logical_and(
        ufuncs.equal(wrapped, ufuncs.negative(half)), ufuncs.greater(change, 0)
    )
    wrapped = where(ends, half, wrapped)
    fix = ufuncs.subtract(wrapped, change)
    bound = half if discont is None else discont
    fix = where(ufuncs.less(ufuncs.absolute(change), bound), 0, fix)
    axis = canonical_axis(axis, typeof(p).ndim)
    begin = [0 if k == axis else slice(None) for k in range(typeof(p).ndim)]
    begin[axis] = slice(0, 1)
    behind = list(begin)
    behind[axis] = slice(1, None)
    moved = ufuncs.add(p[tuple(behind)], cumsum(fix, axis))
    return as_dtype(concatenate([p[tuple(begin)], moved], axis), dtype)
