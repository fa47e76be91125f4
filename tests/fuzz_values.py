"""Values of the fuzzer's programs: arrays with what is known of their numbers.

Rounding may differ between NumPy and compiled code, and must not decide what a program does. So
every value carries bounds: its numbers are multiples of 2**low and smaller than 2**high. While a
format holds all such numbers they are exact, whatever the order of operations: results must then be
equal bit for bit, and may be compared, sorted, or used as indices. Otherwise (`low` is None) they
only go through continuous operations, and are compared with a tolerance.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import ml_dtypes
import numpy as np

import fornax.numpy as fnp
from fornax import lax

#: bits of significand, and of magnitude that values are kept below
FORMATS = {
    "bfloat16": (8, 60), "float16": (11, 12), "float32": (24, 60), "float64": (53, 60),
    "complex64": (24, 40), "complex128": (53, 40),
}  # fmt: skip
#: exact numbers are multiples of at least this power of two
FINEST = -12
#: the widest float, in which `truth` evaluates programs
WIDEST = {"bfloat16": "float64", "float16": "float64", "float32": "float64",
          "complex64": "complex128"}  # fmt: skip
MAX_SIZE = 3000
_truthful = [False]


@contextlib.contextmanager
def truth() -> Iterator[None]:
    """Within, `dtype_for` gives wide floats: what programs would compute without rounding."""
    _truthful[0] = True
    try:
        yield
    finally:
        _truthful[0] = False


def dtype_for(name: str) -> np.dtype:
    """The dtype that a program means by a name."""
    if _truthful[0]:
        name = WIDEST.get(name, name)
    return np.dtype(getattr(ml_dtypes, name, None) or name)


@dataclass(frozen=True)
class V:
    """An array and the bounds of its numbers. `named` is its dtype outside of `truth`."""

    array: object
    named: str
    low: int | None = 0
    high: int = 3

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def kind(self) -> str:
        """b, i, u, f or c."""
        return "f" if self.named == "bfloat16" else np.dtype(self.named).kind

    @property
    def exact(self) -> bool:
        return self.low is not None

    @property
    def whole(self) -> bool:
        """Integers or booleans."""
        return self.kind in "biu"

    def with_(self, array) -> V:
        """Other places of the same numbers."""
        return V(array, self.named, self.low, self.high)


def name_of(dtype: np.dtype) -> str:
    return np.dtype(dtype).name


def bits_of(named: str) -> int:
    """Bits of a whole number's dtype."""
    return 1 if named == "bool" else np.dtype(named).itemsize * 8


def value(array, named: str, low: int | None, high: int) -> V:
    """A value with bounds as its dtype allows: numbers too large are scaled down."""
    if named not in FORMATS:
        # whole numbers wrap: they are exact in any case
        return V(array, named, 0, min(high, bits_of(named)))
    significand, most = FORMATS[named]
    if high > most:
        shift = high - most // 2
        array = array * np.asarray(2.0**-shift, dtype_for(named))
        low, high = (None if low is None else low - shift), high - shift
    if low is not None and (high - low > significand or low < FINEST):
        low = None
    return V(array, named, low, high)


def result(array, like: str, low: int | None, high: int) -> V:
    """A value of an operation whose dtype is that of its result (which `truth` may have widened:
    then `like` tells)."""
    named = like if _truthful[0] else name_of(array.dtype)
    return value(array, named, low, high)


def promoted(x: V, y: V) -> str:
    """The dtype of an operation on both, by name."""
    first, second = (np.zeros((), np.dtype(getattr(ml_dtypes, v.named, None) or v.named))
                     for v in (x, y))  # fmt: skip
    return name_of(fnp.promote_types(first.dtype, second.dtype))


def convert(v: V, named: str) -> V:
    """As another dtype. Numbers that would not fit are made small first."""
    if v.named == named:
        return v
    array, low, high = v.array, v.low, v.high
    to_whole = named not in FORMATS
    if v.kind == "c" and named not in ("complex64", "complex128"):
        array = array.real
    if v.whole and not to_whole and high > min(FORMATS[named][0], FORMATS[named][1]):
        array, high = array & np.asarray(7, array.dtype) if v.kind != "b" else array, 3
    if named == "bool":
        array = array != 0 if v.exact else fnp.zeros(v.shape, bool)
        return V(array.astype(bool), named, 0, 1)
    if to_whole and not v.whole:
        if not v.exact:  # rounding would decide
            return V(fnp.ones(v.shape, dtype_for(named)), named, 0, 1)
        most = min(bits_of(named) - 1, 7)
        array = fnp.clip(array, -(2.0**most) * (named[0] != "u"), 2.0**most - 1)
        return V(array.astype(dtype_for(named)), named, 0, most + 1)
    return value(array.astype(dtype_for(named)), named, low, high)


def floating(v: V) -> V:
    """As a real or complex float."""
    return v if not v.whole else convert(v, "float32")


def real(v: V) -> V:
    """As a real float."""
    if v.kind == "c":
        return convert(v, "float32" if v.named == "complex64" else "float64")
    return floating(v)


def numeric(v: V) -> V:
    """Anything but a bool."""
    return convert(v, "int32") if v.kind == "b" else v


def fit(v: V, shape: tuple[int, ...]) -> V:
    """In another shape: reshaped or broadcast where possible, else repeated or cut."""
    if v.shape == shape:
        return v
    size = math.prod(shape)
    if v.size == size:
        return v.with_(v.array.reshape(shape))
    if len(shape) >= v.ndim and all(
        n in (1, m) for n, m in zip(v.shape[::-1], shape[::-1], strict=False)
    ):
        return v.with_(fnp.broadcast_to(v.array, shape))
    if v.size == 0:
        return v.with_(fnp.ones(shape, v.array.dtype))
    flat = v.array.reshape(-1)
    while flat.shape[0] < size:
        flat = fnp.concatenate([flat, flat])
    return v.with_(flat[:size].reshape(shape))


def like(v: V, other: V) -> V:
    """With the shape and dtype of another value."""
    return fit(convert(v, other.named), other.shape)


def tame(v: V) -> V:
    """An inexact value of unknown size, made small."""
    v = real(v)
    v = convert(v, "float32") if v.named in ("float16", "bfloat16") else v
    return V(v.array * lax.rsqrt(1 + v.array * v.array), v.named, None, 1)


def steady(v: V) -> object:
    """The array of a float, scaled to moderate numbers."""
    return v.array * 2.0 ** -(v.high - 2) if v.high > 2 else v.array


def exact_pool(shape: tuple[int, ...]) -> V:
    """A constant, where there is nothing exact."""
    pattern = np.arange(math.prod(shape)) * 7 % 5 - 2
    return V(fnp.asarray(pattern.astype(np.float32).reshape(shape)), "float32", 0, 2)
