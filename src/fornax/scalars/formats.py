"""Formats of numbers that exist in memory only: one table, from which everything else follows.

An element in one of them is computed on in a wider dtype, and rounded when it is stored. Formats of
less than eight bits take a whole byte of memory, whose upper bits mean nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: how a float format says what is no finite number:
IEEE = "infinities and NaNs have the largest exponent"
NAN_ONLY = "all bits but the sign set are NaN, there are no infinities"
ONE_ZERO = "the bits of -0 are NaN, there are no infinities and no -0"
FINITE = "there are neither NaNs, which become -0, nor infinities, which become the largest number"
POWERS = "powers of two alone: no sign, no zero; all bits set are NaN"
#: or the way it is made:
UPPER_HALF = "the upper half of a float32"


class Format(NamedTuple):
    """A row: name, bits, the dtype it is computed in, and for floats the layout of the bits."""

    name: DtypeName
    bits: int
    computed: DtypeName
    exponent: int = 0  #: bits of the exponent; 0 for integers
    mantissa: int = 0  #: bits after the point
    bias: int = 0
    special: str = ""

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype."""
        return np.dtype(getattr(ml_dtypes, self.name, None) or self.name)

    @property
    def raw(self) -> DtypeName:
        """The dtype that holds the bits of one element."""
        return "uint16" if self.bits > 8 else "uint8"

    @property
    def is_float(self) -> bool:
        return self.exponent > 0

    @property
    def is_signed(self) -> bool:
        """Whether there are negative numbers."""
        return self.special != POWERS if self.is_float else self.name.startswith("int")

    @property
    def has_infinity(self) -> bool:
        return self.special in (IEEE, UPPER_HALF)

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest number of an integer format."""
        if self.is_signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1

    @property
    def top(self) -> int:
        """The bits, without sign, of what is too large: infinity, NaN, or the largest number."""
        if self.special in (IEEE, UPPER_HALF):
            return ((1 << self.exponent) - 1) << self.mantissa
        return (1 << (self.bits - self.is_signed)) - 1

    @property
    def nan(self) -> int:
        """The bits of NaN, without those of its sign; of the -0 that it becomes in FINITE."""
        if self.special in (IEEE, UPPER_HALF):
            return self.top | 1 << (self.mantissa - 1)
        return 1 << (self.bits - 1) if self.special in (ONE_ZERO, FINITE) else self.top


_FLOAT: DtypeName = "float32"
_INTEGER: DtypeName = "int8"
_NATURAL: DtypeName = "uint8"
ROWS = (
    Format("float16", 16, _FLOAT, 5, 10, 15, IEEE),
    Format("bfloat16", 16, _FLOAT, 8, 7, 127, UPPER_HALF),
    Format("float8_e3m4", 8, _FLOAT, 3, 4, 3, IEEE),
    Format("float8_e4m3", 8, _FLOAT, 4, 3, 7, IEEE),
    Format("float8_e4m3b11fnuz", 8, _FLOAT, 4, 3, 11, ONE_ZERO),
    Format("float8_e4m3fn", 8, _FLOAT, 4, 3, 7, NAN_ONLY),
    Format("float8_e4m3fnuz", 8, _FLOAT, 4, 3, 8, ONE_ZERO),
    Format("float8_e5m2", 8, _FLOAT, 5, 2, 15, IEEE),
    Format("float8_e5m2fnuz", 8, _FLOAT, 5, 2, 16, ONE_ZERO),
    Format("float8_e8m0fnu", 8, _FLOAT, 8, 0, 127, POWERS),
    Format("float6_e2m3fn", 6, _FLOAT, 2, 3, 1, FINITE),
    Format("float6_e3m2fn", 6, _FLOAT, 3, 2, 3, FINITE),
    Format("float4_e2m1fn", 4, _FLOAT, 2, 1, 1, FINITE),
    Format("int4", 4, _INTEGER),
    Format("int2", 2, _INTEGER),
    Format("int1", 1, _INTEGER),
    Format("uint4", 4, _NATURAL),
    Format("uint2", 2, _NATURAL),
    Format("uint1", 1, _NATURAL),
)
#: by name
FORMATS: dict[str, Format] = {row.name: row for row in ROWS}


def bits_of(dtype: np.dtype) -> int:
    """Bits of an element, packed: 4 for int4."""
    row = FORMATS.get(dtype.name)
    return dtype.itemsize * 8 if row is None else row.bits


def narrowed(x: np.ndarray, to: np.dtype) -> np.ndarray:
    """NumPy numbers as elements of a format: floats rounded once, to even; integers wrapped."""
    row = FORMATS[to.name]
    if x.dtype == to:
        return x
    if not row.is_float:
        bits = x.astype(np.int8) & ((1 << row.bits) - 1)
        half = 1 << (row.bits - 1) if row.is_signed else 0
        return ((bits ^ half) - half).astype(to)
    if x.dtype == np.float64 and row.special != UPPER_HALF:
        x = to_odd(x)
    x = x.astype(np.float32, copy=False)
    if row.special == FINITE:
        x = np.where(np.isnan(x), np.float32(-0.0), x)
    return x.astype(to)


def to_odd(x: np.ndarray) -> np.ndarray:
    """float64 as float32, odd where it is inexact: so that it can be rounded again, rightly."""
    near = x.astype(np.float32)
    back = near.astype(np.float64)
    bits = np.asarray(near).view(np.uint32)
    bits = bits - (np.abs(back) > np.abs(x)).astype(np.uint32)
    return np.asarray(bits | (back != x).astype(np.uint32)).view(np.float32)
