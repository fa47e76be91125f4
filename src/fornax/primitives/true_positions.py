"""Where a mask holds: what boolean indices and `nonzero` are made of."""

from __future__ import annotations

import numpy as np

from fornax.ir.primitive import Primitive, Zero
from fornax.ir.trace import running
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.one_by_one import one_by_one
from fornax.scalars import dtypes
from fornax.source import located


class TruePositions(Primitive):
    """The first `wanted` positions at which a mask of one dimension holds, in order, with 0 where
    there are no more, as `index_dtype`; and the number of all of them."""

    cost = 4

    def type(self, mask, *, wanted, index_dtype):
        if mask.ndim != 1 or mask.dtype != dtypes.bool_:
            raise TypeError(
                located(
                    f"true_positions takes a mask of one dimension, got {mask.short()}",
                    attempt="numpy.nonzero(mask, size=...), which takes any",
                )
            )
        if not dtypes.is_integer(index_dtype):
            raise TypeError(
                located(
                    f"index_dtype must be an integer type, but got {index_dtype}", attempt="'int32'"
                )
            )
        if wanted < 0:
            raise ValueError(
                located(
                    f"the number of positions must be nonnegative, got {wanted}",
                    attempt="the mask's length",
                )
            )
        return [ArrayType((wanted,), index_dtype), ArrayType((), index_dtype)]

    def reference(self, mask, *, wanted, index_dtype):
        places = np.flatnonzero(mask)
        found = np.zeros(wanted, index_dtype)
        found[: len(places)] = places[:wanted]
        return [found, np.asarray(len(places), index_dtype)[()]]

    def jvp(self, primals, tangents, **params):
        outputs = self.bind(*primals, **params)
        return outputs, [Zero(typeof(out).tangent()) for out in outputs]

    def batch(self, size, operands, dims, **params):
        return one_by_one(
            lambda mask: self.bind(mask, **params), "true_positions", size, operands, dims
        )


true_positions_p = TruePositions("true_positions")

#: elements of a mask from which on the operation is worth its dispatch
MANY = 1 << 12


def true_positions(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Where a mask holds, one array of int32 or int64 per dimension, outside of any trace."""
    (n,) = mask.shape if mask.ndim == 1 else (0,)
    if not MANY <= n < 1 << 31:
        return np.nonzero(mask)
    with running(None):
        places, count = true_positions_p.bind(mask, wanted=n, index_dtype=dtypes.int32)
    return (np.asarray(places)[: int(count)],)
