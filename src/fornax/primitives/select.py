"""Choosing between values element by element: select_n and clamp."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives.compare import gt_p, lt_p
from fornax.primitives.family import (
    ANY,
    Elementwise,
    batch_elementwise,
    common_shape,
    constant,
    elements,
    unbroadcast,
)
from fornax.scalars import dtypes
from fornax.source import located


class SelectN(Primitive):
    """Case number `which` of several; a boolean counts as 0 or 1. Numbers below 0 mean the first
    case, numbers beyond the last mean the last.

    `which` is a scalar or has the shape of the result. So does every case: a scalar case serves
    all elements, which spares derivatives an array of zeros.
    """

    remembers_types = True

    def type(self, which, *cases):
        if not cases:
            raise TypeError(
                located(
                    "select must have at least one case",
                    attempt="select_n(which, case, other_case)",
                )
            )
        if which.dtype != dtypes.bool_ and not dtypes.is_integer(which.dtype):
            raise TypeError(
                located(
                    f"select `which` must be boolean or integer type, got {which.dtype}.",
                    attempt="which != 0, or which.astype(int)",
                )
            )
        if which.dtype == dtypes.bool_ and len(cases) > 2:
            raise TypeError(
                located(
                    f"select with boolean `which` cannot have more than 2 cases, got {len(cases)}.",
                    attempt="which.astype(int)",
                )
            )
        if any(c.dtype != cases[0].dtype for c in cases):
            names = ", ".join(str(c.dtype) for c in cases)
            raise TypeError(
                located(
                    f"select cases must have the same dtypes, got {names}.",
                    attempt="astype, or numpy.where, which promotes",
                )
            )
        shape = common_shape("select", (which, *cases))
        weak = all(c.weak_type for c in cases)
        return [cases[0].update(shape=shape, weak_type=weak)]

    def reference(self, which, *cases):
        which = np.asarray(which)
        shape = np.broadcast_shapes(which.shape, *(np.shape(c) for c in cases))
        chosen = np.broadcast_to(cases[0], shape)
        for number, case in enumerate(cases[1:], 1):
            chosen = np.where(which >= number, case, chosen)
        return [chosen]

    def jvp(self, primals, tangents):
        which, *cases = primals
        out = self.bind(*primals)[0]
        type = typeof(out)
        given = tangents[1:]
        if all(isinstance(t, Zero) for t in given):
            return [out], [Zero(type.tangent())]
        spread = [np.zeros((), type.dtype)[()] if isinstance(t, Zero) else t for t in given]
        tangent = self.bind(which, *spread)[0]
        if typeof(tangent).shape != type.shape:
            tangent = broadcast_in_dim(tangent, type.shape, ())
        return [out], [tangent]

    def transpose(self, cotangents, which, *cases):
        (ct,) = cotangents
        grads: list[Any] = [None]
        for number, case in enumerate(cases):
            if not isinstance(case, Linear):
                grads.append(None)
            elif isinstance(ct, Zero):
                grads.append(Zero(case.type.tangent()))
            else:
                zero = constant(ct, 0)
                picked = [ct if k == number else zero for k in range(len(cases))]
                grads.append(unbroadcast(self.bind(which, *picked)[0], case.type))
        return grads

    def batch(self, size, operands, dims):
        return batch_elementwise(self, size, operands, dims, {})

    pointwise = True

    def element(self, b, types, operands, index):
        which, *cases = elements(types, operands, index)
        chosen = cases[-1]
        for number in range(len(cases) - 1, 0, -1):
            if which.dtype == "bool":
                chosen = b.select(which, chosen, cases[number - 1])
            else:
                earlier = b.lt(which, b.const(number, which.dtype))
                chosen = b.select(earlier, cases[number - 1], chosen)
        return [chosen]


select_n_p = SelectN("select_n")


def where(condition: Any, x: Any, y: Any) -> Any:
    """`x` where the boolean `condition` holds, else `y`; each a scalar or of one shape."""
    return select_n_p.bind(condition, y, x)[0]


def _clamp(low, x, high):
    return np.minimum(np.maximum(x, low), high)


def _clamp_operation(b, low, x, high):
    if getattr(x, "dtype", "") == "bool":
        return b.and_(b.or_(x, low), high)
    return b.min(b.max(x, low), high)


def _inside(g, out, low, x, high):
    inside = and_chain(gt_p(x, low), lt_p(x, high))
    return where(inside, g, constant(g, 0))


def and_chain(first: Any, second: Any) -> Any:
    """`first` and `second` of two booleans, written as a choice."""
    return where(first, second, np.False_)


#: clamp(low, x, high): the bounds are scalars or have the shape of x. At a bound the derivative
#: is zero in all three operands.
clamp_p = Elementwise(
    "clamp", _clamp, (ANY, ANY, ANY),
    (
        lambda g, out, low, x, high: where(
            and_chain(gt_p(low, x), lt_p(low, high)), g, constant(g, 0)),
        _inside,
        lambda g, out, low, x, high: where(lt_p(high, x), g, constant(g, 0)),
    ),
    operation=_clamp_operation, cost=2,
)  # fmt: skip
