"""Words of random bits out of the words of keys: which counters threefry2x32 encrypts.

In the layout of today element i is made of the counter i (two words), so that it depends on
nothing else. In the older one (`threefry_partitionable` off) the counters 0, 1, 2, … of all words
are cut in two halves, and one block encrypts a number of each: an element depends on how many are
drawn with it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax import _native
from fornax.ir.basis import broadcast_in_dim
from fornax.ir.types import typeof
from fornax.primitives.compare import eq_p, lt_p
from fornax.primitives.concatenate import concatenate
from fornax.primitives.convert import convert_element_type
from fornax.primitives.elementwise import (
    add_p,
    mul_p,
    or_p,
    shift_left_p,
    shift_right_logical_p,
    xor_p,
)
from fornax.primitives.iota import iota_p
from fornax.primitives.select import where
from fornax.primitives.shape import reshape, squeeze
from fornax.primitives.slice import slice_in
from fornax.primitives.threefry import threefry2x32_p
from fornax.scalars import dtypes

__all__ = [
    "bits", "bits_in_halves", "bits_in_halves_reference", "bits_reference", "blocks", "pair",
    "split_in_halves", "split_in_halves_reference", "stacked_blocks_reference", "word",
]  # fmt: skip

_WORD = dtypes.uint32
#: words that one key gives in the older layout, whose counters have 32 bits
LONGEST = 2**32 - 1


def word(words: Any, position: int, shape: tuple[int, ...]) -> Any:
    """One of the two words of every key, repeated along new trailing dimensions to `shape`."""
    rank = typeof(words).ndim
    found = squeeze(slice_in(words, rank - 1, position, position + 1), (rank - 1,))
    if rank == 1:
        return found  # a scalar serves all elements
    return broadcast_in_dim(found, shape, range(rank - 1))


def pair(first: Any, second: Any) -> Any:
    """Keys made of first and second words."""
    shape = typeof(first).shape
    full = (*shape, 2)
    kept = range(len(shape))
    position = iota_p.bind(dtype=_WORD, shape=full, dimension=len(shape), sharding=None)[0]
    return where(
        eq_p(position, _WORD.type(0)),
        broadcast_in_dim(first, full, kept),
        broadcast_in_dim(second, full, kept),
    )


# --- a counter for each element ----------------------------------------------------------------
def _counters(shape: tuple[int, ...], full: tuple[int, ...]) -> tuple[Any, Any]:
    """High and low words of 0, 1, 2, … laid out as `shape`, repeated in front to `full`."""
    size = math.prod(shape)
    dims = range(len(full) - len(shape), len(full))

    def count(dtype: Any) -> Any:
        if not shape:
            return dtype.type(0)
        line = iota_p.bind(dtype=dtype, shape=(size,), dimension=0, sharding=None)[0]
        return reshape(line, shape)

    if size <= 1 << 32:
        return _WORD.type(0), broadcast_in_dim(count(_WORD), full, dims) if full else count(_WORD)
    number = count(dtypes.uint64)
    # an array keeps its 64 bits where numbers have 32
    high = shift_right_logical_p(number, _native.from_numpy(np.array(32, np.uint64), False, True))
    return (
        broadcast_in_dim(convert_element_type(high, _WORD), full, dims),
        broadcast_in_dim(convert_element_type(number, _WORD), full, dims),
    )


def blocks(words: Any, shape: tuple[int, ...]) -> list[Any]:
    """The two words of random bits for every key and every position in `shape`."""
    full = (*typeof(words).shape[:-1], *shape)
    return threefry2x32_p.bind(word(words, 0, full), word(words, 1, full), *_counters(shape, full))


def bits(words: Any, bit_width: int, shape: tuple[int, ...]) -> Any:
    """Unsigned integers of `bit_width` bits for every key and every position in `shape`."""
    first, second = blocks(words, shape)
    dtype = np.dtype(f"uint{bit_width}")
    if bit_width < 64:
        return convert_element_type(xor_p(first, second), dtype)
    high = shift_left_p(convert_element_type(first, dtype), dtype.type(32))
    return or_p(high, convert_element_type(second, dtype))


def _blocks_reference(words: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    full = (*words.shape[:-1], *shape)
    numbers = np.arange(math.prod(shape), dtype=np.uint64).reshape(shape)
    ones = (1,) * len(shape)
    keys = [words[..., k].reshape((*words.shape[:-1], *ones)) for k in range(2)]
    high, low = (numbers >> np.uint64(32)).astype(_WORD), numbers.astype(_WORD)
    return [np.broadcast_to(b, full) for b in threefry2x32_p.reference(*keys, high, low)]


def stacked_blocks_reference(words: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`blocks` in NumPy, in a new last dimension."""
    return np.stack(_blocks_reference(words, shape), axis=-1)


def bits_reference(words: np.ndarray, bit_width: int, shape: tuple[int, ...]) -> np.ndarray:
    """`bits` in NumPy."""
    first, second = _blocks_reference(words, shape)
    if bit_width == 64:
        return (first.astype(np.uint64) << np.uint64(32)) | second
    return (first ^ second).astype(f"uint{bit_width}")


# --- counters of all words in two halves -------------------------------------------------------
def _line(words: Any, count: int) -> Any:
    """The first `count` words of random bits of every key, in a new last dimension."""
    whole, rest = divmod(count, LONGEST)
    if whole:
        keys = split_in_halves(words, (whole + 1,))
        axis = typeof(keys).ndim - 2
        each = [squeeze(slice_in(keys, axis, k, k + 1), (axis,)) for k in range(whole + 1)]
        lengths = [*[LONGEST] * whole, rest]
        return concatenate([_half_line(k, n) for k, n in zip(each, lengths, strict=True)], axis)
    return _half_line(words, rest)


def _half_line(words: Any, count: int) -> Any:
    shape = typeof(words).shape[:-1]
    half, odd = (count + 1) // 2, count % 2
    full = (*shape, half)
    first = iota_p.bind(dtype=_WORD, shape=full, dimension=len(shape), sharding=None)[0]
    second = add_p(first, _WORD.type(half))
    if odd:  # the last block has one number to encrypt, and a zero
        second = where(lt_p(first, _WORD.type(half - 1)), second, _WORD.type(0))
    outs = threefry2x32_p.bind(word(words, 0, full), word(words, 1, full), first, second)
    joined = concatenate(outs, len(shape))
    return slice_in(joined, len(shape), 0, count) if odd else joined


def split_in_halves(words: Any, shape: tuple[int, ...]) -> Any:
    """The words of `shape` keys of every key."""
    line = _half_line(words, 2 * math.prod(shape))
    return reshape(line, (*typeof(words).shape[:-1], *shape, 2))


def bits_in_halves(words: Any, bit_width: int, shape: tuple[int, ...]) -> Any:
    """Unsigned integers of `bit_width` bits, `shape` of them from every key."""
    size, lead = math.prod(shape), typeof(words).shape[:-1]
    axis, dtype = len(lead), np.dtype(f"uint{bit_width}")
    line = _line(words, -(-bit_width * size // 32))
    if bit_width == 64:
        high, low = (
            convert_element_type(slice_in(line, axis, k * size, (k + 1) * size), dtype)
            for k in range(2)
        )
        line = or_p(shift_left_p(high, dtype.type(32)), low)
    elif bit_width < 32:  # the lowest bits of a word come first
        full = (*typeof(line).shape, 32 // bit_width)
        part = iota_p.bind(dtype=_WORD, shape=full, dimension=axis + 1, sharding=None)[0]
        shifts = mul_p(part, _WORD.type(bit_width))
        parts = shift_right_logical_p(broadcast_in_dim(line, full, range(axis + 1)), shifts)
        line = reshape(convert_element_type(parts, dtype), (*lead, full[-2] * full[-1]))
        line = slice_in(line, axis, 0, size)
    return reshape(line, (*lead, *shape))


def _line_reference(words: np.ndarray, count: int) -> np.ndarray:
    whole, rest = divmod(count, LONGEST)
    if whole:
        keys = split_in_halves_reference(words, (whole + 1,))
        lengths = [*[LONGEST] * whole, rest]
        lines = [_half_line_reference(keys[..., k, :], n) for k, n in enumerate(lengths)]
        return np.concatenate(lines, axis=-1)
    return _half_line_reference(words, rest)


def _half_line_reference(words: np.ndarray, count: int) -> np.ndarray:
    numbers = np.arange(count + count % 2, dtype=_WORD)
    numbers[count:] = 0
    keys = [words[..., k, None] for k in range(2)]
    outs = threefry2x32_p.reference(*keys, *np.split(numbers, 2))
    return np.concatenate(outs, axis=-1)[..., :count]


def split_in_halves_reference(words: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`split_in_halves` in NumPy."""
    line = _half_line_reference(words, 2 * math.prod(shape))
    return line.reshape((*words.shape[:-1], *shape, 2))


def bits_in_halves_reference(
    words: np.ndarray, bit_width: int, shape: tuple[int, ...]
) -> np.ndarray:
    """`bits_in_halves` in NumPy."""
    size, lead = math.prod(shape), words.shape[:-1]
    dtype = np.dtype(f"uint{bit_width}")
    line = _line_reference(words, -(-bit_width * size // 32))
    if bit_width == 64:
        line = (line[..., :size].astype(dtype) << np.uint64(32)) | line[..., size:]
    elif bit_width < 32:
        shifts = np.arange(0, 32, bit_width, dtype=_WORD)
        line = (line[..., None] >> shifts).astype(dtype).reshape((*lead, -1))[..., :size]
    return line.reshape((*lead, *shape))
