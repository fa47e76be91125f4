"""Running sums of exponentials, weighted and scaled down: the derivatives of `cumlogsumexp`."""

from __future__ import annotations

import numpy as np

from fornax.ir.basis import add
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType
from fornax.primitives.elementwise import mul_p, neg_p
from fornax.primitives.family import category, narrowed, widened
from fornax.source import located


def check_axis(x: ArrayType, axis: int) -> None:
    """An error for an axis that `x` does not have."""
    if not 0 <= axis < x.ndim:
        raise ValueError(
            located(
                f"axis {axis} is out of bounds for array of shape {x.shape}",
                "operations of lax count axes from 0, without negative ones",
                "axis + x.ndim for a negative one, or the function in fornax.numpy",
            )
        )


class CumulativeExponentials(Primitive):
    """Element i of the result is the sum of weights[j] exp(inner[j] - outer[i]) over elements
    0 … j … i of the axis (i … j … end if `reverse`); equal infinities have no difference. It
    overflows no more than its results do."""

    cost = 24

    def type(self, weights, inner, outer, *, axis, reverse):
        check_axis(weights, axis)
        kinds = {(type.shape, type.dtype) for type in (weights, inner, outer)}
        if len(kinds) > 1 or category(weights.dtype) != "f":
            found = ", ".join(type.short() for type in (weights, inner, outer))
            raise TypeError(
                located(
                    f"{self.name} takes three floating arrays of one type, not {found}",
                    attempt="x.astype(float)",
                )
            )
        return [weights]

    def reference(self, weights, inner, outer, *, axis, reverse):
        dtype = np.asarray(weights).dtype
        fields = [wider(widened(x)) for x in (weights, inner, outer)]
        moved = (np.moveaxis(np.flip(x, axis) if reverse else x, axis, 0) for x in fields)
        total, exponent, outer = map(np.array, moved)
        step = 1
        with np.errstate(all="ignore"):
            while step < len(total):  # what `step` elements hold and what as many before them do
                before, now = exponent[:-step], exponent[step:]
                most = np.maximum(before, now)
                earlier = total[:-step] * np.exp(_gap(before, most))
                total[step:] = total[step:] * np.exp(_gap(now, most)) + earlier
                exponent[step:] = most
                step *= 2
            result = np.moveaxis(total * np.exp(_gap(exponent, outer)), 0, axis)
        return [narrowed(np.flip(result, axis) if reverse else result, dtype)]

    def leading(self, *, axis, reverse):
        return {"axis": axis + 1, "reverse": reverse}

    def jvp(self, primals, tangents, *, axis, reverse):
        weights, inner, outer = primals
        along = {"axis": axis, "reverse": reverse}
        out = self.bind(*primals, **along)[0]
        change, within, scale = tangents
        if not isinstance(within, Zero):
            more = mul_p(weights, within)
            change = more if isinstance(change, Zero) else add(change, more)
        total = change
        if not isinstance(change, Zero):
            total = self.bind(change, inner, outer, **along)[0]
        if not isinstance(scale, Zero):
            less = neg_p(mul_p(out, scale))
            total = less if isinstance(total, Zero) else add(total, less)
        return [out], [total]

    def transpose(self, cotangents, weights, inner, outer, *, axis, reverse):
        (ct,) = cotangents
        if not isinstance(ct, Zero):
            ct = self.bind(ct, neg_p(outer), neg_p(inner), axis=axis, reverse=not reverse)[0]
        return [ct, None, None]


def _gap(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(x == y, np.zeros((), x.dtype), x - y)


def wider(x: np.ndarray) -> np.ndarray:
    """Numbers of twice the digits, where there are such: NumPy adds them up one by one."""
    wide = {"f": (np.float64, np.longdouble), "c": (np.complex128, np.clongdouble)}
    narrow, most = wide.get(x.dtype.kind, (x.dtype, x.dtype))
    return x.astype(most if x.dtype == narrow else narrow)


cumsumexp_p = CumulativeExponentials("cumsumexp")
