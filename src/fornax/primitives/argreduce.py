"""Positions of extremes: argmax and argmin."""

from __future__ import annotations

import numpy as np

from fornax.ir.basis import reduction_index
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.family import ORDERED, category, widened
from fornax.scalars import dtypes
from fornax.source import located


class ArgExtreme(Primitive):
    """Position of the first extreme along the one axis in `axes`; a NaN is the most extreme."""

    def __init__(self, name, function, combiner):
        super().__init__(name)
        self.function = function
        self.combiner = combiner

    def type(self, x, *, axes, index_dtype):
        (axis,) = axes
        if not 0 <= axis < x.ndim:
            raise ValueError(
                located(
                    f"Invalid axis {axis} for operand shape {x.shape}",
                    attempt=f"an axis from 0 to {x.ndim - 1}",
                )
            )
        letter = category(x.dtype)
        if not letter or letter not in ORDERED:
            raise TypeError(
                located(
                    f"{self.name} does not accept dtype {x.dtype.name}.",
                    attempt="abs(x) or x.real, which have an order",
                )
            )
        if not dtypes.is_integer(index_dtype):
            raise TypeError(
                located(
                    f"index_dtype must be an integer type, but got {index_dtype}", attempt="'int32'"
                )
            )
        if x.shape[axis] == 0:
            raise ValueError(
                located(
                    f"{self.name}: attempt to get {self.name} of an empty sequence: axis {axis} "
                    f"of operand shape {x.shape}",
                    attempt="ask x.size first",
                )
            )
        return [ArrayType(x.shape[:axis] + x.shape[axis + 1 :], index_dtype)]

    def reference(self, x, *, axes, index_dtype):
        return [self.function(widened(x), axis=axes[0]).astype(index_dtype)]

    def jvp(self, primals, tangents, **params):
        out = self.bind(*primals, **params)[0]
        return [out], [Zero(typeof(out).tangent())]

    def leading(self, *, axes, index_dtype):
        return {"axes": (axes[0] + 1,), "index_dtype": index_dtype}

    def element(self, b, types, operands, index, *, axes, index_dtype):
        full, loops = reduction_index(b, types[0].shape, axes, index)
        value = operands[0](full)
        if value.dtype == "bool":
            value = b.cast(value, "int32")
        place = full[axes[0]]
        if types[0].shape[axes[0]] <= 1 << 31:
            place = b.cast(place, "int32")
        position = b.reduce_component(self.combiner, loops, 1, value, place)
        return [b.cast(position, index_dtype.name)]


argmax_p = ArgExtreme("argmax", np.argmax, "argmax")
argmin_p = ArgExtreme("argmin", np.argmin, "argmin")
