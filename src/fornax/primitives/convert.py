"""Changes of representation: convert_element_type, bitcast_convert_type, reduce_precision, copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.family import computed_in, narrowed, widened
from fornax.scalars import dtypes
from fornax.scalars.formats import FORMATS, bits_of
from fornax.scalars.promotion import no_float0
from fornax.source import located


def converted(x: Any, dtype: np.dtype) -> np.ndarray:
    """A NumPy array as another dtype.

    Floats become integers by truncation, beyond the limits by saturation, NaN becomes 0; integers
    wrap; bool is x != 0; complex to real drops the imaginary part.
    """
    x = widened(x)
    if dtype == np.bool_:
        return x != 0
    if x.dtype.kind == "c" and not dtypes.is_complex(dtype):
        x = x.real
    if x.dtype.kind == "f" and dtypes.is_integer(dtype):
        info = dtypes.iinfo(dtype)
        low, high = int(info.min), int(info.max)
        whole = np.trunc(x.astype(np.float64))
        inside = (whole > low) & (whole < float(high))
        wide = computed_in(dtype)
        result = np.where(inside, whole, 0).astype(wide)
        result = np.where(whole >= float(high), wide.type(high), result)
        return np.where(whole <= low, wide.type(low), result).astype(dtype)
    return narrowed(x, dtype)


class ConvertElementType(Primitive):
    """The same numbers in dtype `new_dtype`; `weak_type` sets the result's weakness."""

    remembers_types = True

    def type(self, x, *, new_dtype, weak_type):
        if isinstance(x.dtype, dtypes.ExtendedDtype) or isinstance(new_dtype, dtypes.ExtendedDtype):
            raise TypeError(
                located(
                    f"Cannot convert element type from {x.dtype.name} to {new_dtype.name}: random "
                    "keys are not numbers",
                    "their words are only a seed",
                    "random.uniform(key, ...) for numbers, random.key_data(key) for the words",
                )
            )
        if dtypes.float0 in (x.dtype, new_dtype):
            raise no_float0(self.name, (x.dtype, new_dtype))
        return [ArrayType(x.shape, new_dtype, weak_type)]

    def reference(self, x, *, new_dtype, weak_type):
        with np.errstate(all="ignore"):
            return [converted(x, new_dtype)]

    def jvp(self, primals, tangents, *, new_dtype, weak_type):
        (x,), (tangent,) = primals, tangents
        out = convert_element_type(x, new_dtype, weak_type)
        if isinstance(tangent, Zero) or not dtypes.is_inexact(new_dtype):
            return [out], [Zero(typeof(out).tangent())]
        return [out], [convert_element_type(tangent, new_dtype, weak_type)]

    def transpose(self, cotangents, x, *, new_dtype, weak_type):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        return [convert_element_type(ct, x.type.dtype, x.type.weak_type)]

    def leading(self, **params):
        return params

    def batch(self, size, operands, dims, **params):
        return self.bind(*operands, **params), list(dims)

    pointwise = True

    def element(self, b, types, operands, index, *, new_dtype, weak_type):
        value = operands[0](index)
        if dtypes.is_narrow_integer(new_dtype) and dtypes.is_inexact(types[0].dtype):
            wide = computed_in(new_dtype).name  # casts saturate at whole bytes
            low, high = FORMATS[new_dtype.name].limits
            value = b.op("min", b.cast(value, wide), b.const(high, wide))
            value = b.op("max", value, b.const(low, wide))
        return [b.cast(value, new_dtype.name)]


class BitcastConvertType(Primitive):
    """The same bits as another dtype.

    A narrower dtype adds a last dimension, a wider one consumes the last dimension; the element
    with the lowest bits comes first.
    """

    def type(self, x, *, new_dtype):
        old = x.dtype
        if old == new_dtype:
            return [x.strip_weak_type()]
        shape = self.shape(x, new_dtype)
        for dtype in (old, new_dtype):
            if not isinstance(dtype, np.dtype) or dtype == dtypes.bool_ or dtype.kind == "c":
                raise TypeError(
                    located(
                        "lax.bitcast_convert_type does not support bool or complex values unless "
                        f"the operand and destination types match. Got operand dtype={old}, "
                        f"new_dtype={new_dtype}.",
                        attempt="x.astype('uint8') for booleans, x.real and x.imag for complex "
                        "numbers",
                    )
                )
        return [ArrayType(shape, new_dtype)]

    def shape(self, x: ArrayType, new_dtype: dtypes.Dtype) -> tuple[Any, ...]:
        """The shape of the result. Raises ValueError where the bits do not fit."""
        old = x.dtype
        before, after = bits_of(old), bits_of(new_dtype)
        if before == after:
            return x.shape
        parts, rest = divmod(max(before, after), min(before, after))
        if rest:
            raise ValueError(
                located(
                    f"bitcast_convert_type: {old} of size {before} bits and {new_dtype} of size "
                    f"{after}: neither consists of a whole number of the other",
                    attempt="a dtype of as many bits, or of a multiple",
                )
            )
        if before > after:
            return (*x.shape, parts)
        if x.shape[-1:] != (parts,):
            raise ValueError(
                located(
                    f"bitcast_convert_type: attempting to convert array of shape {x.shape} "
                    f"from {old} of size {before} bits to {new_dtype} of size {after}; "
                    f"the last dimension must be {parts}",
                    attempt=f"reshape(*x.shape[:-1], -1, {parts}), or a dtype of as many bits",
                )
            )
        return x.shape[:-1]

    def reference(self, x, *, new_dtype):
        x = np.ascontiguousarray(x).reshape(np.shape(x))
        before, after = bits_of(x.dtype), bits_of(new_dtype)
        if before == after:
            return [x.view(new_dtype)]
        numbers = x.view(f"u{x.dtype.itemsize}")
        raw = np.dtype(f"u{new_dtype.itemsize}")
        if before > after:
            places = np.arange(0, before, after, dtype=numbers.dtype)
            parts = (numbers[..., None] >> places).astype(raw)
            return [(parts & raw.type((1 << after) - 1)).view(new_dtype)]
        places = np.arange(0, after, before, dtype=raw)
        parts = numbers.astype(raw) & raw.type((1 << before) - 1)
        return [np.bitwise_or.reduce(parts << places, axis=-1).view(new_dtype)]

    def jvp(self, primals, tangents, *, new_dtype):
        out = self.bind(*primals, new_dtype=new_dtype)[0]
        return [out], [Zero(typeof(out).tangent())]

    def leading(self, **params):
        return params

    def element(self, b, types, operands, index, *, new_dtype):
        old = types[0].dtype
        if old == new_dtype:
            return [operands[0](index)]
        raw, new_raw = f"uint{old.itemsize * 8}", f"uint{new_dtype.itemsize * 8}"
        before, after = bits_of(old), bits_of(new_dtype)
        if before == after:
            return [_from_bits(b, _bits(b, operands[0](index), old.name, raw), new_dtype.name)]
        if before > after:
            bits = _bits(b, operands[0](index[:-1]), old.name, raw)
            amount = b.mul(index[-1], b.index(after))
            part = b.op("shr_logical", bits, b.cast(amount, raw))
            return [_from_bits(b, b.cast(part, new_raw), new_dtype.name)]
        whole = b.const(0, new_raw)
        for k in range(after // before):
            bits = _bits(b, operands[0]([*index, b.index(k)]), old.name, raw)
            moved = b.shl(b.cast(bits, new_raw), b.const(k * before, new_raw))
            whole = b.op("or", whole, moved)
        return [_from_bits(b, whole, new_dtype.name)]


def _bits(b, value, name, raw):
    """The bits of a value of array dtype `name` as the unsigned integer dtype `raw`."""
    if value.dtype != name:  # computed wider than it is stored
        value = b.op("cast", value, dtype=name)
    return b.op("bitcast", value, dtype=raw)


def _from_bits(b, bits, name):
    """The value of array dtype `name`, as it is computed on, that has these bits."""
    return b.op("cast", b.op("bitcast", bits, dtype=name), dtype=b.const(0, name).dtype)


class ReducePrecision(Primitive):
    """Round to a float of `exponent_bits` and `mantissa_bits`, keeping the dtype.

    Rounds to nearest even; what is too large becomes infinite, what is too small a zero.
    """

    linear = True

    def type(self, x, *, exponent_bits, mantissa_bits):
        if not dtypes.is_floating(x.dtype):
            raise TypeError(
                located(
                    f"reduce_precision does not accept dtype {x.dtype.name}.",
                    attempt="x.astype('float32'), or reduce_precision of the real and imaginary "
                    "parts",
                )
            )
        if exponent_bits < 1:
            raise ValueError(
                located(
                    "reduce_precision: exponent_bits must be positive",
                    attempt="finfo(dtype).nexp of the dtype to imitate",
                )
            )
        if mantissa_bits < 0:
            raise ValueError(
                located(
                    "reduce_precision: mantissa_bits must not be negative",
                    attempt="finfo(dtype).nmant of the dtype to imitate",
                )
            )
        return [x]

    def _steps(self, b, x, dtype, exponent_bits, mantissa_bits):
        """The rounding, on an object `b` with loop-IR operations (or NumPy's equivalents)."""
        wide = computed_in(dtype)
        raw = f"uint{wide.itemsize * 8}"
        stored, bias = (23, 127) if wide == dtypes.float32 else (52, 1023)
        own_exponent = dtypes.finfo(dtype).nexp if dtype != dtypes.bfloat16 else 8
        bits = b.bitcast(x, dtype=raw)
        dropped = stored - mantissa_bits
        if dropped > 0:
            one = b.const(1, raw)
            odd = b.and_(b.shr_logical(bits, b.const(dropped, raw)), one)
            half = b.const((1 << (dropped - 1)) - 1, raw)
            keep = b.const(((1 << wide.itemsize * 8) - 1) ^ ((1 << dropped) - 1), raw)
            bits = b.and_(b.add(bits, b.add(odd, half)), keep)
        rounded = b.bitcast(bits, dtype=wide.name)
        if exponent_bits < own_exponent:
            reach = (1 << (exponent_bits - 1)) - 1
            top = 2.0**reach * (2.0 - 2.0 ** -min(mantissa_bits, stored))
            largest = b.const(top, wide.name)
            least = b.const(2.0 ** (1 - reach), wide.name)
            size = b.abs(rounded)
            infinity = b.const(np.inf, wide.name)
            zero = b.const(0.0, wide.name)
            rounded = b.select(b.gt(size, largest), b.copysign(infinity, rounded), rounded)
            rounded = b.select(b.lt(size, least), b.copysign(zero, rounded), rounded)
        return b.select(b.ne(x, x), x, rounded)

    def reference(self, x, *, exponent_bits, mantissa_bits):
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            result = self._steps(_NumPy, widened(x), x.dtype, exponent_bits, mantissa_bits)
        return [narrowed(result, x.dtype)]

    def transpose(self, cotangents, x, **params):
        (ct,) = cotangents
        return [ct if isinstance(ct, Zero) else self.bind(ct, **params)[0]]

    def leading(self, **params):
        return params

    def element(self, b, types, operands, index, **params):
        dtype = types[0].dtype
        return [b.cast(self._steps(b, operands[0](index), dtype, **params), dtype.name)]


class _NumPy:
    """The loop-IR operations that `ReducePrecision` uses, on NumPy arrays."""

    and_, add, abs, gt, lt, ne = np.bitwise_and, np.add, np.abs, np.greater, np.less, np.not_equal
    copysign, select, shr_logical = np.copysign, np.where, np.right_shift

    @staticmethod
    def bitcast(x, dtype):
        return np.asarray(x).view(dtype)

    @staticmethod
    def const(value, dtype):
        return np.asarray(value, dtype)


class Copy(Primitive):
    """A copy of an array."""

    linear = True

    def type(self, x):
        return [x]

    def reference(self, x):
        return [np.array(x)]

    def transpose(self, cotangents, x):
        (ct,) = cotangents
        return [ct if isinstance(ct, Zero) else self.bind(ct)[0]]

    def leading(self):
        return {}

    def element(self, b, types, operands, index):
        return [operands[0](index)]


class StopGradient(Copy):
    """The same value, constant to differentiation."""

    linear = False

    def reference(self, x):
        return [np.asarray(x)]

    def jvp(self, primals, tangents):
        out = self.bind(*primals)[0]
        return [out], [Zero(typeof(out).tangent())]


convert_element_type_p = ConvertElementType("convert_element_type")
bitcast_convert_type_p = BitcastConvertType("bitcast_convert_type")
reduce_precision_p = ReducePrecision("reduce_precision")
copy_p = Copy("copy")
stop_gradient_p = StopGradient("stop_gradient")


def convert_element_type(x: Any, new_dtype: Any, weak_type: bool = False) -> Any:
    """`x` as `new_dtype` (not canonicalised here), left alone where it already is."""
    type = typeof(x)
    if type.dtype == new_dtype and type.weak_type == weak_type:
        return x
    return convert_element_type_p.bind(x, new_dtype=new_dtype, weak_type=weak_type)[0]
