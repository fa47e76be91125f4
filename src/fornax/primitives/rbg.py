"""Generators of random bits whose bits come from the operation rng_bit_generator.

A key is that operation's state, four words. Bits are made faster than by threefry2x32, but an
element depends on the shape drawn, and under vmap all bits come from the first key, as in JAX.
`rbg` splits keys as two of threefry2x32, `unsafe_rbg` by rng_bit_generator as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim, move_axis
from fornax.ir.types import typeof
from fornax.primitives.bit_generator import RandomAlgorithm, rng_bit_generator_p
from fornax.primitives.concatenate import concatenate
from fornax.primitives.elementwise import xor_p
from fornax.primitives.random import (
    THREEFRY,
    Generator,
    generator_named,
    random_unwrap,
    random_wrap,
    register_generator,
)
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_, slice_in
from fornax.scalars import dtypes
from fornax.transforms.batch import batch_flat, place

__all__ = ["RBG", "UNSAFE_RBG"]

#: how many rows of bits stand for one hash
_ROWS = 10


class _BitGenerator(Generator):
    """Keys are states of rng_bit_generator."""

    def __init__(self, name: str, tag: str):
        super().__init__(name, tag, (4,))

    def __reduce__(self):
        return _named, (self.name,)

    def seed(self, seeds: Any) -> Any:
        return random_wrap(self._seed(seeds), self)

    def split(self, keys: Any, shape: tuple[int, ...]) -> Any:
        return random_wrap(_each(lambda w: self._split(w, shape), random_unwrap(keys)), self)

    def fold_in(self, keys: Any, numbers: Any) -> Any:
        words = random_unwrap(keys)
        rank = typeof(words).ndim - 1
        if rank > typeof(numbers).ndim:
            numbers = broadcast_in_dim(numbers, typeof(words).shape[:-1], ())
        elif rank < typeof(numbers).ndim:
            words = broadcast_in_dim(words, (*typeof(numbers).shape, 4), (typeof(numbers).ndim,))
        return random_wrap(_each(self._fold_in, words, numbers), self)

    def bits(self, keys: Any, bit_width: int, shape: tuple[int, ...]) -> Any:
        dtype = np.dtype(f"uint{bit_width}")
        return _each(lambda words: _bits(words, shape, dtype), random_unwrap(keys))

    # --- on the words of one key ---
    def _seed(self, seed: Any) -> Any:
        half = random_unwrap(THREEFRY.seed(seed))
        return concatenate([half, half], typeof(half).ndim - 1)

    def _split(self, words: Any, shape: tuple[int, ...]) -> Any:
        halves = random_unwrap(THREEFRY.split(_halves(words), shape))
        return reshape(move_axis(halves, 0, len(shape)), (*shape, 4))

    def _fold_in(self, words: Any, number: Any) -> Any:
        return reshape(random_unwrap(THREEFRY.fold_in(_halves(words), number)), (4,))


class _UnsafeBitGenerator(_BitGenerator):
    """Keys are hashed by rng_bit_generator, too, of which nobody has shown that it is a hash."""

    def _split(self, words: Any, shape: tuple[int, ...]) -> Any:
        rows = _bits(words, (_ROWS * math.prod(shape), 4), dtypes.uint32)
        every = slice_(rows, (0, 0), typeof(rows).shape, (_ROWS, 1))
        return reshape(every, (*shape, 4))

    def _fold_in(self, words: Any, number: Any) -> Any:
        rows = _bits(self._seed(number), (_ROWS, 4), dtypes.uint32)
        last = reshape(slice_in(rows, 0, _ROWS - 1, _ROWS), (4,))
        return xor_p.bind(words, last)[0]


def _bits(words: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    algorithm = RandomAlgorithm.RNG_DEFAULT
    return rng_bit_generator_p.bind(words, shape=shape, dtype=dtype, algorithm=algorithm)[1]


def _halves(words: Any) -> Any:
    """The two keys of threefry2x32 in four words."""
    return random_wrap(reshape(words, (2, 2)), THREEFRY)


def _each(function: Callable[..., Any], words: Any, *others: Any) -> Any:
    """The function of one key's words on those of every key in an array."""
    if typeof(words).ndim == 1:
        return function(words, *others)
    operands = (words, *others)
    size = typeof(words).shape[0]
    outs, dims = batch_flat(
        lambda *one: [_each(function, *one)], size, operands, [0] * len(operands)
    )
    return place(outs[0], dims[0], size, 0)


def _named(name: str) -> Generator:
    """Found from this module, whose import makes the name known."""
    return generator_named(name)


RBG = _BitGenerator("rbg", "rbg")
UNSAFE_RBG = _UnsafeBitGenerator("unsafe_rbg", "urbg")
register_generator(RBG)
register_generator(UNSAFE_RBG)
