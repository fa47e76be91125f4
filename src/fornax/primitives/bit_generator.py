"""rng_bit_generator and rng_uniform: random bits from a state of two 64-bit words, and numbers
from the process's own generator.

The state is a key and a counter. Blocks of bits come from the counter's next values, encrypted by
Philox4x32 (Salmon et al., 2011) or threefry2x32; the new state's counter lies behind them.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, move_axis
from fornax.ir.effects import Effect
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType, typeof
from fornax.primitives import threefry
from fornax.primitives.compare import lt_p
from fornax.primitives.concatenate import concatenate, stack_last
from fornax.primitives.convert import convert_element_type
from fornax.primitives.dynamic_slice import dynamic_update_slice
from fornax.primitives.elementwise import (
    add_p,
    mul_p,
    mulhi_p,
    or_p,
    shift_left_p,
    shift_right_logical_p,
    xor_p,
)
from fornax.primitives.iota import iota_p
from fornax.primitives.meaning import multiply_high
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["RandomAlgorithm", "rng_bit_generator_p", "rng_uniform_p"]

_HALF = dtypes.uint32
_WORD = dtypes.uint64
#: of Philox: multipliers and what a round adds to the key
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


class RandomAlgorithm(enum.IntEnum):
    """How `rng_bit_generator` makes bits. The default one is Philox4x32."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2

    def __str__(self) -> str:
        return self.name


class _NumPy:
    """The operations of the generators on NumPy arrays."""

    add, mul, xor, or_, less = np.add, np.multiply, np.bitwise_xor, np.bitwise_or, np.less
    shl, shr, mulhi = np.left_shift, np.right_shift, multiply_high
    reshape, concatenate = np.reshape, np.concatenate

    @staticmethod
    def cast(x: Any, dtype: Any) -> Any:
        return np.asarray(x).astype(dtype)

    word = np.uint64

    @staticmethod
    def count(size: int) -> Any:
        return np.arange(size, dtype=np.uint64)

    @staticmethod
    def part(x: Any, axis: int, start: int, limit: int) -> Any:
        return x[(slice(None),) * axis + (slice(start, limit),)]

    @staticmethod
    def stack(parts: Any) -> Any:
        return np.stack(np.broadcast_arrays(*parts), -1)

    @staticmethod
    def threefry(*words: Any) -> Any:
        return threefry.threefry2x32_p.reference(*words)


class _Traced:
    """The operations of the generators under the current trace."""

    add, mul, xor, or_, less = add_p, mul_p, xor_p, or_p, lt_p
    shl, shr, mulhi = shift_left_p, shift_right_logical_p, mulhi_p
    reshape, concatenate, part, stack = reshape, concatenate, slice_in, stack_last
    cast, threefry = convert_element_type, threefry.threefry2x32_p.bind

    @staticmethod
    def word(number: int) -> Any:  # a scalar of 64 bits is not one where they are disabled
        low, high = (_HALF.type(number >> shift & 0xFFFFFFFF) for shift in (0, 32))
        return _joined(_Traced, low, high) if high else convert_element_type(low, _WORD)

    @staticmethod
    def count(size: int) -> Any:
        return iota_p.bind(dtype=_WORD, shape=(size,), dimension=0, sharding=None)[0]


def _halves(o: Any, word: Any) -> list[Any]:
    """The lower and the upper 32 bits."""
    return [o.cast(word, _HALF), o.cast(o.shr(word, o.word(32)), _HALF)]


def _joined(o: Any, low: Any, high: Any) -> Any:
    return o.or_(o.cast(low, _WORD), o.shl(o.cast(high, _WORD), o.word(32)))


def _philox(o: Any, key: Any, counter: Any, size: int) -> list[Any]:
    """`size` blocks of four words. The counter has 128 bits: the key is its upper word."""
    low = o.add(o.count(size), counter)
    high = o.add(o.cast(o.less(low, counter), _WORD), key)
    block = [*_halves(o, low), *_halves(o, high)]
    keys = _halves(o, key)
    for _ in range(_ROUNDS):
        first, second = (_HALF.type(m) for m in _MULTIPLIERS)
        block = [
            o.xor(o.xor(o.mulhi(block[2], second), block[1]), keys[0]), o.mul(block[2], second),
            o.xor(o.xor(o.mulhi(block[0], first), block[3]), keys[1]), o.mul(block[0], first),
        ]  # fmt: skip
        keys = [o.add(k, _HALF.type(w)) for k, w in zip(keys, _WEYL, strict=True)]
    return block


def _philox_bits(o: Any, key: Any, counter: Any, shape: tuple[int, ...], wide: bool) -> Any:
    size = math.prod(shape)
    blocks = -(-size * (2 if wide else 1) // 4)
    words = _philox(o, key, counter, blocks)
    if wide:
        words = [_joined(o, words[0], words[1]), _joined(o, words[2], words[3])]
    line = o.reshape(o.stack(words), (blocks * len(words),))
    return o.reshape(o.part(line, 0, 0, size), shape), blocks


def _threefry_bits(o: Any, key: Any, counter: Any, shape: tuple[int, ...], wide: bool) -> Any:
    """Two words of a block are neighbours along the first even dimension, or the largest."""
    full = shape or (1,)
    even = [d for d, n in enumerate(full) if n % 2 == 0]
    split = even[0] if even else full.index(max(full))
    half = [-(-n // 2) if d == split and not wide else n for d, n in enumerate(full)]
    blocks = math.prod(half)
    number = o.add(o.reshape(o.count(blocks), half), counter)
    first, second = o.threefry(*_halves(o, key), *_halves(o, number))
    if wide:
        return o.reshape(_joined(o, first, second), shape), blocks
    single = [*half[: split + 1], 1, *half[split + 1 :]]
    pair = o.concatenate([o.reshape(first, single), o.reshape(second, single)], split + 1)
    merged = o.reshape(pair, [2 * n if d == split else n for d, n in enumerate(half)])
    return o.reshape(o.part(merged, split, 0, full[split]), shape), blocks


def _generate(o: Any, state: Any, halves: bool, shape: Any, dtype: Any, algorithm: Any) -> list:
    """The new state and the bits. `halves`: whether the state is four words of 32 bits."""
    if not math.prod(shape):
        return [state, o.reshape(o.cast(o.part(state, 0, 0, 0), dtype), shape)]
    words = [o.reshape(o.part(state, 0, k, k + 1), ()) for k in range(4 if halves else 2)]
    key, counter = (_joined(o, *words[:2]), _joined(o, *words[2:])) if halves else words
    make = _threefry_bits if algorithm == RandomAlgorithm.RNG_THREE_FRY else _philox_bits
    bits, blocks = make(o, key, counter, shape, dtype.itemsize == 8)
    counter = o.add(counter, o.word(blocks))
    new = [key, counter]
    if halves:
        new = [*_halves(o, key), *_halves(o, counter)]
    return [o.stack(new), o.cast(bits, dtype)]


class RngBitGenerator(Primitive):
    """(new state, `shape` of random unsigned integers) from a state uint32[4] or uint64[2]."""

    reference_cost = 4e-4

    def type(self, state, *, shape, dtype, algorithm, out_sharding=None):
        if (state.shape, state.dtype) not in (((4,), _HALF), ((2,), _WORD)):
            raise TypeError(
                located(
                    f"rng_bit_generator: a state of {state.short()}",
                    "the state is uint32[4] or uint64[2]: a key and a counter of 64 bits each",
                    "fornax.random.bits for the keys of fornax.random",
                )
            )
        return [state, ArrayType(tuple(shape), dtype)]

    def reference(self, state, *, shape, dtype, algorithm, out_sharding=None):
        state = np.asarray(state)
        with np.errstate(over="ignore"):
            return _generate(_NumPy, state, state.dtype == _HALF, shape, dtype, algorithm)

    def expand(self, state, *, shape, dtype, algorithm, out_sharding=None):
        halves = typeof(state).dtype == _HALF
        return _generate(_Traced, state, halves, shape, dtype, algorithm)

    def batch(self, size, operands, dims, *, shape, **params):
        """As JAX does: all bits come from the first state, and only that one moves on."""
        (states,), (dim,) = operands, dims
        states = move_axis(states, dim, 0)
        first = reshape(slice_in(states, 0, 0, 1), typeof(states).shape[1:])
        new, bits = self.bind(first, shape=(size, *shape), **params)
        row = broadcast_in_dim(new, (1, *typeof(new).shape), (1,))
        start = np.int32(0)
        return [dynamic_update_slice(states, row, [start, start]), bits], [0, 0]


#: numbers that differ from call to call
_DRAWS = Effect("RandomDraw")
_GENERATOR = np.random.default_rng()


class RngUniform(Primitive):
    """Numbers between two scalars, the upper excluded, from a generator that has a state."""

    def effects(self, **_):
        return frozenset((_DRAWS,))

    def type(self, low, high, *, shape):
        if low.dtype != high.dtype:
            raise ValueError(
                located(
                    "Arguments to rng_uniform must have identical dtypes, got "
                    f"{low.dtype.name} and {high.dtype.name}.",
                    attempt="astype one of them to the dtype of the other",
                )
            )
        if low.shape or high.shape:
            raise ValueError(
                located(
                    "Arguments to rng_uniform must be scalars; got shapes "
                    f"{low.shape} and {high.shape}.",
                    attempt="rng_uniform for the interval from 0 to 1, scaled by the arrays",
                )
            )
        if not dtypes.is_integer(low.dtype) and not dtypes.is_floating(low.dtype):
            raise TypeError(
                located(
                    f"rng_uniform does not accept dtype {low.dtype.name}.",
                    attempt="'float32' or 'int32', and astype",
                )
            )
        return [ArrayType(tuple(shape), low.dtype, low.weak_type and high.weak_type)]

    def reference(self, low, high, *, shape):
        low, high = np.asarray(low), np.asarray(high)
        if low.dtype.kind in "iu":
            if not low < high:
                return [np.full(shape, low)]
            return [np.asarray(_GENERATOR.integers(low, high, shape, low.dtype))]
        wide = np.float64 if low.dtype == np.float64 else np.float32
        numbers = _GENERATOR.random(shape, wide)
        with np.errstate(all="ignore"):
            drawn = (low.astype(wide) + (high - low).astype(wide) * numbers).astype(low.dtype)
        return [np.where(drawn < high, drawn, low)]  # rounding may have reached the upper end


rng_bit_generator_p = RngBitGenerator("rng_bit_generator")
rng_uniform_p = RngUniform("rng_uniform")
