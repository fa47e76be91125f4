"""Operations on bits of integers, right for int4 and the like, which are computed in eight bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.primitives.family import Elementwise, narrowed, widened
from fornax.scalars import dtypes
from fornax.scalars.formats import bits_of

MEANINGS = {
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "sub": np.subtract,
    "shl": np.left_shift,
}  # fmt: skip


def steps(place: str, bits: int) -> tuple[tuple[str, int], ...]:
    """What brings the lowest `bits` of eight below zeros, below copies of the highest of them, or
    above ones."""
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)
    if place == "below zeros":
        return (("and", mask),)
    if place == "below signs":
        return (("and", mask), ("xor", sign), ("sub", sign))
    return (("shl", 8 - bits), ("or", (1 << (8 - bits)) - 1))


class OfBits(Elementwise):
    """An operation on bits. `place` says where it finds those of integers of less than eight:
    "below zeros", "below signs" or "above ones"."""

    def __init__(self, *row: Any, place: str, **options: Any):
        super().__init__(*row, **options)
        self.place = place

    def reference(self, *arrays, **params):
        dtype = np.asarray(arrays[0]).dtype
        if not dtypes.is_narrow_integer(dtype):
            return super().reference(*arrays, **params)
        placed = []
        for x in map(widened, arrays):
            for name, number in steps(self.place, bits_of(dtype)):
                x = MEANINGS[name](x, np.asarray(number).astype(x.dtype))
            placed.append(x)
        return [narrowed(self.function(*placed, **params), dtype)]

    def element(self, b, types, operands, index, **params):
        if dtypes.is_narrow_integer(types[0].dtype):
            moves = steps(self.place, bits_of(types[0].dtype))
            operands = [_placed(b, read, moves) for read in operands]
        return super().element(b, types, operands, index, **params)


def _placed(b: Any, read: Callable[..., Any], moves: tuple[tuple[str, int], ...]):
    """The reader of an operand, of whose elements the bits are placed."""

    def element(index):
        x = read(index)
        for name, number in moves:
            x = b.op(name, x, b.const(number, x.dtype))
        return x

    return element
