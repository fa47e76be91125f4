"""Sums of exponentials whose largest is 1, in one pass over what they are of.

Programs add up exp(x - m) once they know m, the largest of x, and read x twice. The compiler puts
this operation in their place where x is large (`compiler/exponentials.py`).
"""

from __future__ import annotations

import numpy as np

from fornax.ir.basis import check_axes, reduction_index
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType
from fornax.primitives.family import category, narrowed, widened
from fornax.source import located


class ExponentialSum(Primitive):
    """The sum along `axes` of exp(x - m), m being the largest element there; where m is infinite,
    some finite number that is not negative. It has no derivative: programs do not hold it."""

    cost = 24

    def type(self, x, *, axes):
        if category(x.dtype) != "f":
            raise TypeError(
                located(
                    f"{self.name} does not accept dtype {x.dtype.name}.", attempt="x.astype(float)"
                )
            )
        check_axes(self.name, x, axes)
        return [ArrayType([n for i, n in enumerate(x.shape) if i not in axes], x.dtype)]

    def reference(self, x, *, axes):
        wide = widened(np.asarray(x))
        most = np.finfo(wide.dtype).max
        with np.errstate(all="ignore"):
            largest = wide.max(axis=tuple(axes), keepdims=True, initial=-np.inf)
            near = np.clip(largest, -most, most)
            found = np.exp(wide - near).sum(axis=tuple(axes), dtype=wide.dtype)
        return [narrowed(np.where(np.isposinf(found), 1, found), x.dtype)]

    def leading(self, *, axes):
        return {"axes": tuple(a + 1 for a in axes)}

    def element(self, b, types, operands, index, *, axes):
        full, loops = reduction_index(b, types[0].shape, axes, index)
        value = operands[0](full)
        one = b.const(1.0, value.dtype)
        total = b.reduce_component("exponentials", loops, 1, value, one)
        return [b.cast(total, types[0].dtype.name)]


exponential_sum_p = ExponentialSum("exponential_sum")
