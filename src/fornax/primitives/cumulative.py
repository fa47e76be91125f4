"""Running sums, products, extremes and log-sums of exponentials along one axis."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.ir.basis import move_axis
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives import cumulative_exponentials
from fornax.primitives.compare import eq_p
from fornax.primitives.concatenate import concatenate
from fornax.primitives.cumulative_exponentials import check_axis, wider
from fornax.primitives.elementwise import add_p, exp_p, mul_p, sub_p
from fornax.primitives.family import INEXACT, NUMBER, category, constant, narrowed, widened
from fornax.primitives.scan import scan_p
from fornax.primitives.select import where
from fornax.primitives.shape import squeeze
from fornax.primitives.slice import slice_in
from fornax.source import located
from fornax.transforms.stage import stage


class Cumulative(Primitive):
    """Element i of the result combines elements 0 … i of the axis (i … end if `reverse`)."""

    def __init__(self, name: str, accumulate: Callable[..., Any], accepts: str):
        super().__init__(name)
        self.accumulate = accumulate
        self.accepts = accepts

    def type(self, x, *, axis, reverse):
        check_axis(x, axis)
        letter = category(x.dtype)
        if not letter or letter not in self.accepts:
            raise TypeError(
                located(
                    f"{self.name} does not accept dtype {x.dtype.name}.",
                    attempt="x.astype(int) for booleans, x.real for complex numbers",
                )
            )
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
    """A running combination; `shares(before, x, out)` says how its tangent runs.

    Element i of the result combines the result before it and x[i]; its tangent is the first share
    of the tangent before it plus the second share of the tangent of x[i].
    """

    def __init__(self, name, accumulate, accepts, shares):
        super().__init__(name, accumulate, accepts)
        self.shares = shares

    def jvp(self, primals, tangents, *, axis, reverse):
        (x,), (tangent,) = primals, tangents
        out = self.bind(x, axis=axis, reverse=reverse)[0]
        type = typeof(out)
        if isinstance(tangent, Zero) or not type.size:
            return [out], [Zero(type.tangent())]
        along, slope = move_axis(x, axis, 0), move_axis(tangent, axis, 0)
        result = move_axis(out, axis, 0)
        length = type.shape[axis]
        # the first element is its own result: the recurrence starts after it
        first, rest, previous = (0, 1), (1, length), (0, length - 1)
        if reverse:
            first, rest, previous = (length - 1, length), (0, length - 1), (1, length)
        start = slice_in(slope, 0, *first)
        kept, fresh = self.shares(
            slice_in(result, 0, *previous), slice_in(along, 0, *rest), slice_in(result, 0, *rest)
        )
        added = mul_p(slice_in(slope, 0, *rest), fresh)
        later = _recurrence(kept, squeeze(start, (0,)), added, reverse)
        parts = [later, start] if reverse else [start, later]
        return [out], [move_axis(concatenate(parts, 0), 0, axis)]


def _recurrence(factors: Any, start: Any, terms: Any, reverse: bool) -> Any:
    """y[i] = factors[i] y[i-1] + terms[i] along the first axis, beginning with `start`."""
    length = typeof(terms).shape[0]
    step = _step(typeof(start).strip_weak_type())
    return scan_p.bind(
        start, factors, terms, jaxpr=step, length=length, num_carry=1, num_consts=0,
        reverse=reverse, unroll=1,
    )[1]  # fmt: skip


@functools.cache
def _step(type: ArrayType) -> Jaxpr:
    """The program of one step of a recurrence."""

    def step(before, factor, term):
        after = add_p(mul_p(factor, before), term)
        return [after, after]

    return stage(step, [type, type, type], "recurrence")


def _product_shares(before: Any, x: Any, out: Any) -> tuple[Any, Any]:
    return x, before


def _extreme_shares(before: Any, x: Any, out: Any) -> tuple[Any, Any]:
    """All to the one that is the extreme, half where they tie."""
    zero, half, one = (constant(x, value) for value in (0.0, 0.5, 1.0))
    tie = eq_p(before, x)

    def share(value):
        return where(tie, half, where(eq_p(value, out), one, zero))

    return share(before), share(x)


def _log_sum_shares(before: Any, x: Any, out: Any) -> tuple[Any, Any]:
    def share(value):  # equal infinities have no difference
        gap = where(eq_p(value, out), constant(x, 0), sub_p(value, out))
        return exp_p(gap)

    return share(before), share(x)


class CumulativeLogSum(CumulativeCombination):
    """The running logarithm of a sum of exponentials. Its tangent is a running weighted mean."""

    def jvp(self, primals, tangents, *, axis, reverse):
        (x,), (tangent,) = primals, tangents
        if category(typeof(x).dtype) != "f" or isinstance(tangent, Zero):
            return super().jvp(primals, tangents, axis=axis, reverse=reverse)
        out = self.bind(x, axis=axis, reverse=reverse)[0]
        return [out], cumulative_exponentials.cumsumexp_p.bind(
            tangent, x, out, axis=axis, reverse=reverse
        )


def _sums(x, axis, dtype):
    return np.add.accumulate(wider(x), axis=axis)


def _extreme(ufunc):
    def accumulate(x, axis, dtype):
        return ufunc.accumulate(x, axis=axis)

    return accumulate


def _log_sums(x, axis, dtype):
    x = wider(x)
    if x.dtype.kind != "c":
        return np.logaddexp.accumulate(x, axis=axis)

    # imaginary parts lie in [-pi, pi)
    def within_a_turn(z):
        turns = np.floor((z.imag + np.pi) / (2 * np.pi))
        return (z - (2j * np.pi) * turns).astype(z.dtype)

    result = within_a_turn(x)
    moved = np.moveaxis(result, axis, 0)
    for i in range(1, len(moved)):
        most = np.where(moved[i - 1].real >= moved[i].real, moved[i - 1], moved[i])
        least = np.where(moved[i - 1].real >= moved[i].real, moved[i], moved[i - 1])
        moved[i] = within_a_turn(most + np.log1p(np.exp(least - most)))
    return result


cumsum_p = CumulativeSum("cumsum", _sums, NUMBER)
cumprod_p = CumulativeCombination("cumprod", np.multiply.accumulate, NUMBER, _product_shares)
cummax_p = CumulativeCombination("cummax", _extreme(np.maximum), NUMBER, _extreme_shares)
cummin_p = CumulativeCombination("cummin", _extreme(np.minimum), NUMBER, _extreme_shares)
cumlogsumexp_p = CumulativeLogSum("cumlogsumexp", _log_sums, INEXACT, _log_sum_shares)
