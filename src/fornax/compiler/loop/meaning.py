"""What every operation means, in NumPy. Constant folding and the interpreter share this table.

All functions take and give NumPy arrays (any shape, also 0-d) whose dtypes are those of the
expressions. Integers wrap; the holes of C are filled as `ir.BASIC` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.compiler.loop.ir import is_float
from fornax.scalars.formats import FORMATS, narrowed

DTYPES = {name: row.dtype for name, row in FORMATS.items()}


def numpy_dtype(name: str) -> np.dtype:
    """The NumPy dtype of a dtype name, ml_dtypes included."""
    return DTYPES.get(name) or np.dtype(name)


def evaluate(name: str, args: tuple[Any, ...], dtype: str) -> np.ndarray:
    """Apply operation `name` to NumPy values; the result has the NumPy dtype of `dtype`."""
    with np.errstate(all="ignore"):
        if name in ("cast", "bitcast"):
            return CONVERSIONS[name](np.asarray(args[0]), dtype)
        result = (OPERATIONS.get(name) or special(name))(*map(np.asarray, args))
        return np.asarray(result).astype(numpy_dtype(dtype), copy=False)


# --- arithmetic -------------------------------------------------------------------------------
def unsigned(x: np.ndarray) -> np.ndarray:
    """The same bits as an unsigned integer."""
    return x.view(np.dtype(f"u{x.dtype.itemsize}")) if x.dtype.kind == "i" else x


def divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Float division; integer division truncating, x / 0 = -1 (all ones), MIN / -1 = MIN."""
    if x.dtype.kind == "f":
        return x / y
    if x.dtype.kind == "u":
        return np.where(y == 0, ~x.dtype.type(0), x // np.where(y == 0, 1, y).astype(y.dtype))
    safe = np.where((y == 0) | (y == -1), 1, y).astype(y.dtype)
    quotient = x // safe
    quotient = quotient + ((x % safe != 0) & ((x < 0) != (safe < 0)))
    return np.where(y == 0, -1, np.where(y == -1, -x, quotient))


def remainder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The remainder with the sign of the dividend; the dividend itself for integers modulo 0."""
    if x.dtype.kind == "f":
        return np.fmod(x, y)
    safe = np.where(y == 0, 1, y).astype(y.dtype)
    if x.dtype.kind == "i":
        safe = np.where(y == -1, 1, safe).astype(y.dtype)  # MIN % -1 overflows in C
    return np.where(y == 0, x, np.fmod(x, safe))


def fused(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """x * y + z, rounded once (float64: but for rare double rounding, see `exact_fma`)."""
    if x.dtype == np.float32:
        return (x.astype(np.float64) * y + z.astype(np.float64)).astype(np.float32)
    high_x, low_x = split(x)
    high_y, low_y = split(y)
    product = x * y
    rest = low_x * low_y - (((product - high_x * high_y) - low_x * high_y) - high_x * low_y)
    total = product + z
    part = total - product
    rest = rest + ((product - (total - part)) + (z - part))
    exact = total + rest
    return np.where(np.isfinite(rest), exact, total)


def split(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x as a sum of two floats of 26 bits."""
    scaled = x * 134217729.0
    high = scaled - (scaled - x)
    return high, x - high


def exact_fma(x: float, y: float, z: float, dtype: str) -> float:
    """x * y + z of Python floats, rounded once to `dtype`."""
    if not np.isfinite([x, y, z]).all():
        return float(x * y + z)
    (xn, xd), (yn, yd), (zn, zd) = (v.as_integer_ratio() for v in (x, y, z))
    over, under = xn * yn * zd + zn * xd * yd, xd * yd * zd  # the exact result is over / under
    if over == 0:
        return float(np.float64(x) * np.float64(y) + z)
    try:
        near = over / under  # integers: rounded correctly
    except OverflowError:
        return float("inf") if over > 0 else float("-inf")
    if dtype == "float64":
        return near
    n, d = near.as_integer_ratio()
    if n * under != over * d:  # round to odd, so that the second rounding sees every tie
        bits = np.float64(near).view(np.int64)
        if bits & 1 == 0:
            away = (n * under < over * d) == (near > 0 or (near == 0 and over > 0))
            near = float((bits + (1 if away else -1)).view(np.float64)) if near else near
    with np.errstate(all="ignore"):
        return float(np.float32(near))


def minimum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.logical_and(x, y) if x.dtype == bool else np.minimum(x, y)


def maximum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.logical_or(x, y) if x.dtype == bool else np.maximum(x, y)


def add(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.logical_or(x, y) if x.dtype == bool else x + y


def multiply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.logical_and(x, y) if x.dtype == bool else x * y


def subtract(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.logical_xor(x, y) if x.dtype == bool else x - y


# --- bits -------------------------------------------------------------------------------------
def shift_left(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    width = x.dtype.itemsize * 8
    amount = unsigned(y)
    moved = np.left_shift(x, np.minimum(amount, width - 1).view(y.dtype))
    return np.where(amount < width, moved, 0)


def shift_right_logical(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    width = x.dtype.itemsize * 8
    bits, amount = unsigned(x), unsigned(y)
    moved = np.right_shift(bits, np.minimum(amount, width - 1))
    return np.where(amount < width, moved, 0).astype(bits.dtype).view(x.dtype)


def shift_right_arithmetic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    width = x.dtype.itemsize * 8
    amount = np.minimum(unsigned(y), width - 1)
    signed = np.dtype(f"i{x.dtype.itemsize}")
    return np.right_shift(x.view(signed), amount.view(signed)).view(x.dtype)


def count_leading_zeros(x: np.ndarray) -> np.ndarray:
    width = x.dtype.itemsize * 8
    bits = unsigned(x)
    count = np.zeros(x.shape, np.int64)
    for position in range(width):
        count = np.where(bits >> np.asarray(position, bits.dtype) != 0, position + 1, count)
    return (width - count).astype(x.dtype)


def pair_dot(x: np.ndarray, y: np.ndarray, total: np.ndarray) -> np.ndarray:
    """total + low x * low y + high x * high y, of halves that are bfloat16 or int16."""
    if total.dtype.kind == "f":
        low = [(w << np.uint32(16)).view(np.float32) for w in (x, y)]
        high = [(w & np.uint32(0xFFFF0000)).view(np.float32) for w in (x, y)]
        return fused(high[0], high[1], fused(low[0], low[1], total))
    lesser = [(w << np.uint32(16)).view(np.int32) >> 16 for w in (x, y)]
    greater = [w.view(np.int32) >> 16 for w in (x, y)]
    return total + lesser[0] * lesser[1] + greater[0] * greater[1]


# --- conversions ------------------------------------------------------------------------------
def convert(x: np.ndarray, dtype: str) -> np.ndarray:
    """Cast: float to integer truncates, saturates and sends NaN to 0; integers wrap."""
    target = numpy_dtype(dtype)
    if x.dtype.name in FORMATS:
        x = x.astype(FORMATS[x.dtype.name].computed)
    if is_float(dtype) or not is_float(x.dtype.name):
        return narrowed(x, target) if dtype in FORMATS else x.astype(target)
    if dtype == "bool":
        return x != 0
    info = np.iinfo(target)
    wide = np.trunc(x.astype(np.float64))
    low, high = float(info.min), float(info.max)  # high may round up to 2^63 or 2^64
    inside = np.where((wide > low) & (wide < high), wide, 0).astype(target)
    top = np.where(wide >= high, info.max, np.where(wide <= low, info.min, inside.astype(object)))
    return np.where(np.isnan(wide), 0, top).astype(target)


def reinterpret(x: np.ndarray, dtype: str) -> np.ndarray:
    """The same bits as another dtype of the same width."""
    return x.view(numpy_dtype(dtype))


def scale(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x · 2^floor(y); exponents beyond these give zero and infinity anyway."""
    most = 1 << 12
    whole = np.clip(np.floor(np.nan_to_num(y, nan=0.0)), -most, most).astype(np.int32)
    return np.where(np.isnan(y), y, np.ldexp(x, whole))


CONVERSIONS = {"cast": convert, "bitcast": reinterpret}

OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": add, "sub": subtract, "mul": multiply, "div": divide, "rem": remainder,
    "neg": np.negative, "abs": np.abs, "min": minimum, "max": maximum, "fma": fused,
    "pair_dot": pair_dot, "scale": scale,
    "within": lambda x, y: np.where(np.abs(x) <= y, x, np.copysign(y, x)),
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert,
    "shl": shift_left, "shr_arithmetic": shift_right_arithmetic,
    "shr_logical": shift_right_logical,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "select": np.where,
    "rarely": np.where,
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round_even": np.rint,
    "sqrt": np.sqrt, "inverse_root": lambda x: 1 / np.sqrt(x),
    "copysign": np.copysign, "popcount": lambda x: np.bitwise_count(unsigned(x)),
    "clz": count_leading_zeros, "idiv": np.floor_divide, "imod": np.mod,
    # mathematical functions
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p,
    "log2": np.log2, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh,
    "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "pow": np.power, "rsqrt": lambda x: 1 / np.sqrt(x), "cbrt": np.cbrt, "hypot": np.hypot,
    "sign": np.sign, "is_finite": np.isfinite, "nextafter": np.nextafter,
    "round_away": lambda x: np.copysign(
        np.trunc(np.abs(x)) + (np.abs(x) - np.trunc(np.abs(x)) >= 0.5), x
    ),
}  # fmt: skip

#: operation name -> function of `scipy.special`, imported at first use.
SPECIAL = {
    "erf": "erf", "erfc": "erfc", "erf_inv": "erfinv", "logistic": "expit", "lgamma": "gammaln",
    "digamma": "psi", "bessel_i0e": "i0e", "bessel_i1e": "i1e",
}  # fmt: skip


def special(name: str) -> Callable[..., Any]:
    """A function of SciPy, computed in float64."""
    import scipy.special  # optional at run time: only the interpreter needs it

    function = getattr(scipy.special, SPECIAL[name])
    return lambda *args: function(*(a.astype(np.float64) for a in args))
