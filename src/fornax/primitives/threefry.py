"""threefry2x32: the block cipher behind random numbers (Salmon et al., "Parallel random numbers: as
easy as 1, 2, 3", 2011), elementwise so that random bits fuse into what uses them.
"""

from __future__ import annotations

import numpy as np

from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.family import batch_elementwise, common_shape, elements
from fornax.scalars import dtypes
from fornax.source import located

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


class Threefry2x32(Primitive):
    """Two words of random bits from a key of two words and a counter of two words (uint32)."""

    cost = 80
    reference_cost = 2e-4

    def type(self, *types):
        if len(types) != 4 or any(t.dtype != dtypes.uint32 for t in types):
            got = ", ".join(t.short() for t in types)
            raise TypeError(
                located(
                    f"Arguments to threefry2x32 must have uint32 type, got {got}",
                    attempt="x.astype('uint32')",
                )
            )
        out = ArrayType(common_shape("threefry2x32", types), dtypes.uint32)
        return [out, out]

    def reference(self, *words):
        arrays = [np.asarray(w) for w in words]
        shape = np.broadcast_shapes(*(w.shape for w in arrays))
        with np.errstate(over="ignore"):
            return [np.broadcast_to(w, shape) for w in _encrypt(_NumPy, *arrays)]

    def jvp(self, primals, tangents):
        outs = self.bind(*primals)
        return outs, [Zero(typeof(out).tangent()) for out in outs]

    def batch(self, size, operands, dims):
        return batch_elementwise(self, size, operands, dims, {})

    def element(self, b, types, operands, index):
        return list(_encrypt(b, *elements(types, operands, index)))


def _encrypt(b, key1, key2, first, second):
    """Twenty rounds; `b` has loop-IR operations."""

    def word(n):
        return b.const(n, "uint32")

    keys = (key1, key2, b.xor(b.xor(key1, key2), word(PARITY)))
    first, second = b.add(first, keys[0]), b.add(second, keys[1])
    for group in range(5):
        for distance in ROTATIONS[group % 2]:
            first = b.add(first, second)
            high, low = b.shl(second, word(distance)), b.shr_logical(second, word(32 - distance))
            second = b.xor(first, b.or_(high, low))
        first = b.add(first, keys[(group + 1) % 3])
        second = b.add(b.add(second, keys[(group + 2) % 3]), word(group + 1))
    return first, second


class _NumPy:
    """The loop-IR operations of the cipher, on NumPy arrays."""

    add, xor, or_ = np.add, np.bitwise_xor, np.bitwise_or
    shl, shr_logical = np.left_shift, np.right_shift

    @staticmethod
    def const(value, dtype):
        return np.uint32(value)


threefry2x32_p = Threefry2x32("threefry2x32")
