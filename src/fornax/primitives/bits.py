"""Operations on bits of integers, right for int4 and uint4, which are computed in eight bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.primitives.family import Elementwise, narrowed, widened
from fornax.scalars import dtypes

FOUR = (dtypes.int4, dtypes.uint4)
#: where four bits stand in eight: below zeros, below copies of the highest, or above ones
PLACES = {
    "below zeros": (("and", 15),),
    "below signs": (("and", 15), ("xor", 8), ("sub", 8)),
    "above ones": (("shl", 4), ("or", 15)),
}
MEANINGS = {
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "sub": np.subtract,
    "shl": np.left_shift,
}  # fmt: skip


class OfBits(Elementwise):
    """An operation on bits. `place` says where it finds those of int4 and uint4: see `PLACES`."""

    def __init__(self, *row: Any, place: str, **options: Any):
        super().__init__(*row, **options)
        self.steps = PLACES[place]

    def reference(self, *arrays, **params):
        dtype = np.asarray(arrays[0]).dtype
        if dtype not in FOUR:
            return super().reference(*arrays, **params)
        placed = []
        for x in map(widened, arrays):
            for name, number in self.steps:
                x = MEANINGS[name](x, x.dtype.type(number))
            placed.append(x)
        return [narrowed(self.function(*placed, **params), dtype)]

    def element(self, b, types, operands, index, **params):
        if types[0].dtype in FOUR:
            operands = [self._placed(b, read) for read in operands]
        return super().element(b, types, operands, index, **params)

    def _placed(self, b: Any, read: Callable[..., Any]) -> Callable[..., Any]:
        """The reader of an operand, of whose elements the bits are placed."""

        def element(index):
            x = read(index)
            for name, number in self.steps:
                x = b.op(name, x, b.const(number, x.dtype))
            return x

        return element
