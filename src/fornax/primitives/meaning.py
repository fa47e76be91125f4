"""What elementwise operations mean where NumPy has no function for it, in NumPy.

All functions take and give arrays of one dtype, the one that elements are computed in.
"""

from __future__ import annotations

import numpy as np

from fornax.scalars.formats import FORMATS, ONE_ZERO


def divide(x, y):
    """Quotient; of integers truncated, -1 (all ones) for a zero divisor."""
    if x.dtype.kind not in "iu":
        return x / y
    if x.dtype.kind == "u":
        return np.where(y == 0, ~x.dtype.type(0), x // np.where(y == 0, 1, y).astype(y.dtype))
    usual = np.where((y == 0) | (y == -1), 1, y).astype(y.dtype)
    quotient = x // usual
    quotient = quotient + ((x % usual != 0) & ((x < 0) != (usual < 0))).astype(x.dtype)
    return np.where(y == 0, -1, np.where(y == -1, -x, quotient))  # MIN / -1 wraps to MIN


def remainder(x, y):
    """Remainder with the sign of the dividend; the dividend for integers modulo zero."""
    if x.dtype.kind not in "iu":
        return np.fmod(x, y)
    usual = np.where(y == 0, 1, y)
    if x.dtype.kind == "i":
        usual = np.where(y == -1, 1, usual)
    return np.where(y == 0, x, np.fmod(x, usual.astype(y.dtype)))


def multiply_high(x, y):
    """The upper half of the bits of the exact product of integers."""
    width = x.dtype.itemsize * 8
    if width < 64:
        wide = x.astype(np.int64) * y.astype(np.int64)  # exact modulo 2^64, which is enough
        return (wide >> width).astype(x.dtype)
    product = np.asarray(np.multiply(x.astype(object), y.astype(object)), object)
    return np.asarray(product // 2**width, x.dtype)  # objects: Python's integers do not wrap


def sign(x):
    """-1, 0 or 1; of a complex number the number of size 1 in its direction."""
    if x.dtype.kind != "c":
        return np.where(x == 0, x, np.sign(x)).astype(x.dtype)  # the sign of zeros stays
    size = np.abs(x)
    return np.where(size == 0, 0, x / np.where(size == 0, 1, size))


def extreme(logical, function, chooses):
    def meaning(x, y):
        if x.dtype == np.bool_:
            return logical(x, y)
        if x.dtype.kind != "c":
            return function(x, y)
        first = chooses(x.real, y.real) | ((x.real == y.real) & chooses(x.imag, y.imag))
        return np.where(first | np.isnan(x), x, y)

    return meaning


maximum = extreme(np.logical_or, np.maximum, np.greater)
minimum = extreme(np.logical_and, np.minimum, np.less)


def power(x, y):
    """x to the power y; a denormal y is no zero, also where denormals are taken for zero."""
    y = y.astype(x.dtype)
    if x.dtype.kind == "f":
        tiny, y = without_denormals(y)
        x = np.where(tiny, without_denormals(x)[1], x)
    return np.power(x, y)


def next_after(x, y):
    """The neighbour of x towards y in x's format, y where they are equal; NaN where one is NaN.

    On bits, as denormal numbers may be taken for zero.
    """
    row = FORMATS.get(x.dtype.name)
    width = x.dtype.itemsize * 8 if row is None else row.bits
    raw = np.dtype(f"u{x.dtype.itemsize}")
    everything = raw.type((1 << width) - 1)
    sign = raw.type(0 if row is not None and not row.is_signed else 1 << (width - 1))
    bits, goal = x.view(raw) & everything, y.view(raw) & everything
    size, goal_size = bits & ~sign, goal & ~sign
    outward = ((bits & sign) == (goal & sign)) & (goal_size > size)
    moved = np.where(outward, bits + raw.type(1), bits - raw.type(1))
    equal = bits == goal
    if sign:
        moved = np.where(size == 0, (goal & sign) | raw.type(1), moved)
        equal |= (size | goal_size) == 0
    if row is not None and row.special == ONE_ZERO:
        moved = np.where(moved == sign, raw.type(0), moved)
    found = np.where(equal, y, np.asarray(moved, raw).view(x.dtype))
    return np.where(x != x, x, np.where(y != y, y, found))


def without_denormals(x):
    """Which numbers are denormal, and x with the smallest normal numbers of their sign instead."""
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    least = np.asarray(np.finfo(x.dtype).tiny, x.dtype).view(unsigned)
    bits = x.view(unsigned)
    sign = bits & unsigned.type(1 << (unsigned.itemsize * 8 - 1))
    size = bits ^ sign
    tiny = (size != 0) & (size < least)
    return tiny, np.where(tiny, sign | least, bits).view(x.dtype)


def integer_power(x, *, y):
    if x.dtype.kind in "fc":
        return np.power(x, np.asarray(y, x.dtype))
    return by_squaring(np.multiply, np.ones_like(x), x, y)


def arc_tangent(x, y):
    """The angle of the point (y, x); of complex numbers -i log((y + i x) / sqrt(y² + x²))."""
    if x.dtype.kind != "c":
        return np.arctan2(x, y)
    turn = x.dtype.type(1j)
    return -turn * np.log((y + turn * x) / np.sqrt(y * y + x * x))


def logistic(x):
    if x.dtype.kind == "c":
        return 1 / (1 + np.exp(-x))
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def round_to_integer(x, *, rounding_method):
    if int(rounding_method) == 1:
        return np.rint(x)
    whole = np.trunc(np.abs(x))
    return np.copysign(whole + (np.abs(x) - whole >= 0.5), x)


def shift(move, beyond):
    """A shift whose amount is read as unsigned; by the width or more everything leaves."""

    def meaning(x, y):
        width = x.dtype.itemsize * 8
        amount = y.astype(f"u{y.dtype.itemsize}")
        moved = move(x, np.minimum(amount, width - 1).astype(y.dtype))
        return moved if beyond is None else np.where(amount < width, moved, beyond)

    return meaning


def unsigned_shift(x, amount):
    unsigned = x.astype(f"u{x.dtype.itemsize}")
    return np.right_shift(unsigned, amount.astype(unsigned.dtype)).astype(x.dtype)


def signed_shift(x, amount):
    signed = x.astype(f"i{x.dtype.itemsize}")
    return np.right_shift(signed, amount.astype(signed.dtype)).astype(x.dtype)


def leading_zeros(x):
    bits = x.astype(f"u{x.dtype.itemsize}")
    length = np.zeros(x.shape, np.int64)
    for position in range(x.dtype.itemsize * 8):
        length = np.where(bits >> bits.dtype.type(position) != 0, position + 1, length)
    return x.dtype.itemsize * 8 - length


def by_squaring(multiply, one, x, exponent):
    """x to a natural number, with as few multiplications as binary powering needs."""
    result = None
    while exponent:
        if exponent & 1:
            result = x if result is None else multiply(result, x)
        exponent >>= 1
        if exponent:
            x = multiply(x, x)
    return one if result is None else result


def population_count(x):
    """The number of one bits."""
    return np.bitwise_count(x.astype(f"u{x.dtype.itemsize}"))


def exp2(x):
    """2 to the power x."""
    return np.exp2(x) if x.dtype.kind == "f" else np.exp(x * x.dtype.type(np.log(2)))
