"""Integers and the parts of floating-point numbers: divisors, packed bits, exponents."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.lax.loops import while_loop
from fornax.lax.selection import stop_gradient
from fornax.numpy import reductions, ufuncs
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray, full
from fornax.numpy.joining import concatenate
from fornax.numpy.promotion import as_dtype, check, concrete_form, promote_dtypes, promote_inexact
from fornax.numpy.selection import where
from fornax.numpy.shaping import broadcast_arrays, moveaxis, ravel, reshape
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["frexp", "gcd", "lcm", "ldexp", "modf", "packbits", "spacing", "unpackbits"]


def _integers(name: str, x1: Any, x2: Any) -> list[Any]:
    check(name, x1, x2)
    pair = promote_dtypes(concrete_form(x1), concrete_form(x2))
    if not dtypes.is_integer(typeof(pair[0]).dtype):
        raise ValueError(
            located(
                f"Arguments to {name} must be integers, got {typeof(pair[0]).dtype}",
                attempt="x.astype(int), or lcm and gcd of integers that you scaled yourself",
            )
        )
    return broadcast_arrays(*pair)


def gcd(x1, x2):
    """The greatest common divisors, by Euclid's algorithm."""
    x1, x2 = _integers("gcd", x1, x2)

    def smaller(pair):
        a, b = pair
        left = ufuncs.not_equal(b, 0)
        rest = ufuncs.fmod(a, where(left, b, as_dtype(1, typeof(b).dtype)))
        return where(left, b, a), where(left, rest, b)

    pair = while_loop(
        lambda pair: reductions.any(ufuncs.not_equal(pair[1], 0)), smaller,
        (ufuncs.absolute(x1), ufuncs.absolute(x2)),
    )  # fmt: skip
    return pair[0]


def lcm(x1, x2):
    """The least common multiples; 0 where one number is 0."""
    x1, x2 = _integers("lcm", x1, x2)
    x1, x2 = ufuncs.absolute(x1), ufuncs.absolute(x2)
    divisor = gcd(x1, x2)
    none = ufuncs.equal(divisor, 0)
    safe = where(none, as_dtype(1, typeof(x1).dtype), divisor)
    return where(none, as_dtype(0, typeof(x1).dtype),
                 ufuncs.multiply(x1, ufuncs.floor_divide(x2, safe)))  # fmt: skip


def _bit_axis(a: Any, axis: Any) -> tuple[Any, int]:
    if axis is None:
        return ravel(a), 0
    return a, canonical_axis(axis, typeof(a).ndim)


def packbits(a, axis=None, bitorder="big"):
    """Eight bools (numbers that are not zero) along `axis` as one uint8; zeros fill the last."""
    check("packbits", a)
    a = asarray(concrete_form(a))
    if not (dtypes.is_integer(typeof(a).dtype) or typeof(a).dtype == dtypes.bool_):
        raise TypeError(
            located(
                "Expected an input array of integer or boolean data type",
                attempt="x.astype('uint8'), or x != 0 for one bit each",
            )
        )
    if bitorder not in ("little", "big"):
        raise ValueError(
            located(
                "'order' must be either 'little' or 'big'", attempt="bitorder='big', the default"
            )
        )
    a, axis = _bit_axis(a, axis)
    bits = as_dtype(moveaxis(ufuncs.not_equal(a, 0), axis, -1), dtypes.uint8)
    n = typeof(bits).shape[-1]
    lead = typeof(bits).shape[:-1]
    if n % 8:
        bits = concatenate([bits, full((*lead, 8 - n % 8), 0, dtypes.uint8)], -1)
    bits = reshape(bits, (*lead, -(-n // 8), 8))
    places = np.arange(8, dtype=np.uint8)
    weights = np.left_shift(np.uint8(1), places if bitorder == "little" else places[::-1])
    packed = reductions.sum(ufuncs.multiply(bits, weights), -1, dtype=dtypes.uint8)
    return moveaxis(packed, -1, axis)


def unpackbits(a, axis=None, count=None, bitorder="big"):
    """The bits of uint8 along `axis`, cut to `count` or filled with zeros."""
    check("unpackbits", a)
    a = asarray(concrete_form(a))
    if typeof(a).dtype != dtypes.uint8:
        raise TypeError(
            located(
                "Expected an input array of unsigned byte data type", attempt="x.astype('uint8')"
            )
        )
    if bitorder not in ("little", "big"):
        raise ValueError(
            located(
                "'order' must be either 'little' or 'big'", attempt="bitorder='big', the default"
            )
        )
    a, axis = _bit_axis(a, axis)
    a = moveaxis(a, axis, -1)
    places = np.arange(8, dtype=np.uint8)
    places = places if bitorder == "little" else places[::-1].copy()
    bits = ufuncs.bitwise_and(ufuncs.right_shift(a[..., None], places), np.uint8(1))
    n = typeof(a).shape[-1] * 8
    bits = reshape(bits, (*typeof(a).shape[:-1], n))
    if count is not None:
        wanted = n + count if count < 0 else count
        if wanted > n:
            zeros = full((*typeof(a).shape[:-1], wanted - n), 0, dtypes.uint8)
            bits = concatenate([bits, zeros], -1)
        bits = bits[..., :wanted]
    return moveaxis(bits, -1, axis)


# --- floating point ---------------------------------------------------------------------------
def modf(x, /, out=None):
    """(fractional parts, integral parts), both with the sign of x."""
    check("modf", x)
    if out is not None:
        raise NotImplementedError(
            located(
                "modf: the 'out' argument is not supported: arrays do not change",
                attempt="fraction, whole = numpy.modf(x)",
            )
        )
    (x,) = promote_inexact(concrete_form(x))
    x = asarray(x)
    whole = ufuncs.trunc(x)
    part = where(ufuncs.isinf(x), as_dtype(0, typeof(x).dtype), ufuncs.subtract(x, whole))
    return ufuncs.copysign(part, x), whole


_SHAPES = {  # dtype: bits of the fraction, exponent bias
    "float16": (10, 15), "bfloat16": (7, 127), "float32": (23, 127), "float64": (52, 1023),
}  # fmt: skip


def frexp(x, /):
    """(mantissas in [0.5, 1), exponents) with x = mantissa * 2**exponent."""
    check("frexp", x)
    (x,) = promote_inexact(concrete_form(x))
    x = asarray(x)
    dtype = typeof(x).dtype
    if dtypes.is_complex(dtype):
        raise TypeError(
            located(
                "frexp does not support complex-valued inputs",
                attempt="frexp of x.real and x.imag, each by itself",
            )
        )
    if dtype.name not in _SHAPES:
        raise TypeError(
            located(
                f"frexp does not accept dtype {dtype.name}",
                f"it takes floats apart that have {', '.join(_SHAPES)}",
                "x.astype('float32')",
            )
        )
    fraction, bias = _SHAPES[dtype.name]
    integer = np.dtype(f"int{dtype.itemsize * 8}")
    exponents = (1 << (dtype.itemsize * 8 - 1 - fraction)) - 1
    bitcast = REGISTRY["bitcast_convert_type"]
    # numbers below the smallest normal one are scaled into range first
    small = ufuncs.less(ufuncs.absolute(x), as_dtype(dtypes.finfo(dtype).tiny, dtype))
    scaled = where(small, ufuncs.multiply(x, as_dtype(2.0 ** (fraction + 1), dtype)), x)
    bits = bitcast.bind(scaled, new_dtype=integer)[0]
    place = ufuncs.bitwise_and(ufuncs.right_shift(bits, fraction), exponents)
    exponent = ufuncs.subtract(ufuncs.subtract(place, bias - 1), where(small, fraction + 1, 0))
    cleared = ufuncs.bitwise_and(bits, ~(exponents << fraction))
    mantissa = bitcast.bind(
        ufuncs.bitwise_or(cleared, as_dtype((bias - 1) << fraction, integer)), new_dtype=dtype
    )[0]
    plain = ufuncs.logical_or(ufuncs.equal(x, 0), ufuncs.logical_not(ufuncs.isfinite(x)))
    exponent = as_dtype(where(plain, 0, exponent), np.dtype(np.int32))
    # the derivative, 2**-exponent, which bits have not: of a number that is zero
    moved = ldexp(ufuncs.subtract(x, stop_gradient(x)), ufuncs.negative(exponent))
    return where(plain, x, ufuncs.add(mantissa, moved)), exponent


def ldexp(x1, x2, /):
    """x1 * 2**x2."""
    check("ldexp", x1, x2)
    x1, x2 = asarray(concrete_form(x1)), asarray(concrete_form(x2))
    if not dtypes.is_integer(typeof(x2).dtype) and typeof(x2).dtype != dtypes.bool_:
        raise ValueError(
            located(
                f"ldexp: the exponents must be integers, got {typeof(x2).dtype}",
                attempt="x2.astype(int)",
            )
        )
    (x1,) = promote_inexact(x1)
    dtype = typeof(x1).dtype
    if dtypes.is_complex(dtype):
        raise ValueError(
            located("ldexp not supported for complex number inputs.", attempt="x1 * 2.0 ** x2")
        )
    x1, x2 = broadcast_arrays(x1, as_dtype(x2, dtypes.canonical(int)))
    # in three factors, each a power of two that the dtype can hold
    limit = {"float16": 14, "bfloat16": 126, "float32": 126, "float64": 1022}[dtype.name]
    result, rest = x1, x2
    for _ in range(3):
        step = ufuncs.minimum(ufuncs.maximum(rest, -limit), limit)
        result = ufuncs.multiply(result, _power_of_two(step, dtype))
        rest = ufuncs.subtract(rest, step)
    return result


def _power_of_two(exponent: Any, dtype: Any) -> Any:
    fraction, bias = _SHAPES[dtype.name]
    integer = np.dtype(f"int{dtype.itemsize * 8}")
    bits = ufuncs.left_shift(as_dtype(ufuncs.add(exponent, bias), integer), fraction)
    return REGISTRY["bitcast_convert_type"].bind(bits, new_dtype=dtype)[0]


def spacing(x, /):
    """The distance from x to the next number away from zero."""
    check("spacing", x)
    (x,) = promote_inexact(concrete_form(x))
    x = asarray(x)
    if dtypes.is_complex(typeof(x).dtype):
        raise ValueError(
            located(
                "spacing is not supported for complex numbers",
                attempt="spacing of x.real and x.imag, each by itself",
            )
        )
    away = ufuncs.copysign(as_dtype(np.inf, typeof(x).dtype), x)
    step = ufuncs.subtract(ufuncs.nextafter(x, away), x)
    return where(ufuncs.isfinite(x), step, as_dtype(np.nan, typeof(x).dtype))
