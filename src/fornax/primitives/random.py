"""Random keys and the bits made from them: random_seed, random_wrap, random_split, ….

A key is an element of a dtype of its own, stored as two 32-bit words. The operations here are the
only ones that look into keys. Each says in `words` what it does to the arrays of words, which is
what is compiled; on key operands every other operation moves whole keys around (`physical`).

Split, fold_in and bits encrypt a counter with threefry2x32, so that element i depends on the key
and on i alone, whatever the shape, and fuses into what uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import settings
from fornax.ir.basis import broadcast_in_dim, move_to_front
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives import counters
from fornax.primitives import reduce as _reduce  # noqa: F401  (what says whether keys are equal)
from fornax.primitives.convert import convert_element_type
from fornax.primitives.counters import pair, word
from fornax.primitives.elementwise import shift_right_logical_p
from fornax.primitives.threefry import threefry2x32_p
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.physical import key_dtype_of, storage_type

__all__ = [
    "THREEFRY", "Generator", "generator_named", "generator_of", "random_bits", "random_clone_p",
    "random_fold_in", "random_seed", "random_split", "random_unwrap", "random_wrap",
    "register_generator",
]  # fmt: skip

_WORD = dtypes.uint32


class Generator:
    """A way to make random bits from keys: threefry2x32, and those of `rbg.py`."""

    def __init__(self, name: str, tag: str, key_shape: tuple[int, ...]):
        self.name = name
        self.tag = tag
        self.key_shape = key_shape
        self.dtype = dtypes.ExtendedDtype(f"key<{tag}>", _WORD, key_shape, dtypes.prng_key)

    def __repr__(self) -> str:
        return self.tag

    def __reduce__(self):
        return generator_named, (self.name,)

    def seed(self, seeds: Any) -> Any:
        """Keys of the shape of the integers `seeds`."""
        return random_seed_p.bind(seeds, impl=self)[0]

    def split(self, keys: Any, shape: tuple[int, ...]) -> Any:
        """Keys of shape `(*keys.shape, *shape)`."""
        partitionable = settings.current().threefry_partitionable
        primitive = random_split_p if partitionable else random_split_in_halves_p
        return primitive.bind(keys, shape=shape)[0]

    def fold_in(self, keys: Any, numbers: Any) -> Any:
        """Keys from keys and uint32 numbers, of one shape or scalar."""
        return random_fold_in_p.bind(keys, numbers)[0]

    def bits(self, keys: Any, bit_width: int, shape: tuple[int, ...]) -> Any:
        """Random unsigned integers of shape `(*keys.shape, *shape)`."""
        partitionable = settings.current().threefry_partitionable
        primitive = random_bits_p if partitionable else random_bits_in_halves_p
        return primitive.bind(keys, bit_width=bit_width, shape=shape)[0]


THREEFRY = Generator("threefry2x32", "fry", (2,))
_known = {THREEFRY.name: THREEFRY}


def register_generator(generator: Generator) -> None:
    """Make a generator known by its name."""
    _known[generator.name] = generator


def generator_named(name: str) -> Generator:
    """The generator of that name. Raises ValueError if there is none."""
    found = _known.get(name)
    if found is None:
        raise ValueError(
            located(
                f'unrecognized PRNG implementation "{name}". Did you mean one of: '
                f"{', '.join(_known)}?",
                "the numbers of a generator are those of jax for the same key",
                f"impl={THREEFRY.name!r}, or no impl",
            )
        )
    return found


def generator_of(dtype: Any) -> Generator:
    """The generator whose keys have this dtype."""
    for generator in _known.values():
        if generator.dtype == dtype:
            return generator
    raise TypeError(
        located(
            f"{dtype} is no dtype of random keys",
            attempt="fornax.random.key(seed), whose dtype says which generator it is for",
        )
    )


# --- operations --------------------------------------------------------------------------------
class KeyPrimitive(Primitive):
    """An operation on keys that maps over leading dimensions of its first operand."""

    #: whether its first operand must not be used again
    uses_up = False

    def words(self, *operands: Any, **params: Any) -> list[Any]:
        """The operation on words instead of keys, in operations on words."""
        raise NotImplementedError

    def expand(self, *operands, **params):
        types = self.type(*map(typeof, operands), **params)
        given = [random_unwrap(x) if key_dtype_of(typeof(x)) is not None else x for x in operands]
        outs = self.words(*given, **params)
        return [
            x if key_dtype_of(t) is None else random_wrap(x, generator_of(t.dtype))
            for x, t in zip(outs, types, strict=True)
        ]

    def jvp(self, primals, tangents, **params):
        outs = self.bind(*primals, **params)
        return outs, [Zero(typeof(out).tangent()) for out in outs]

    def batch(self, size, operands, dims, **params):
        fronted = [move_to_front(x, d, size) for x, d in zip(operands, dims, strict=True)]
        return self.bind(*fronted, **params), [0]


class RandomSeed(KeyPrimitive):
    """Keys from integers: the number's upper and lower 32 bits."""

    def type(self, seeds, *, impl):
        if not dtypes.is_integer(seeds.dtype):
            raise TypeError(
                located(
                    f"PRNG key seed must be an integer; got {seeds.short()}",
                    attempt="seeds.astype(int), or a Python integer",
                )
            )
        return [ArrayType(seeds.shape, impl.dtype)]

    def reference(self, seeds, *, impl):
        seeds = np.asarray(seeds)
        high = seeds >> seeds.dtype.type(32) if seeds.dtype.itemsize == 8 else np.zeros_like(seeds)
        with np.errstate(all="ignore"):
            return [np.stack([high.astype(_WORD), seeds.astype(_WORD)], axis=-1)]

    def words(self, seeds, *, impl):
        type = typeof(seeds)
        low = convert_element_type(seeds, _WORD)
        if type.dtype.itemsize < 8:
            return [pair(broadcast_in_dim(_WORD.type(0), type.shape, ()), low)]
        high = shift_right_logical_p(seeds, type.dtype.type(32))
        return [pair(convert_element_type(high, _WORD), low)]


class RandomWrap(KeyPrimitive):
    """Keys out of an array of their words, in the last dimension."""

    def type(self, words, *, impl):
        if words.dtype != _WORD or words.shape[-1:] != impl.key_shape:
            raise TypeError(
                located(
                    "JAX encountered invalid PRNG key data: expected an array of dtype uint32 "
                    f"whose shape ends with {impl.key_shape}; got {words.short()}",
                    "an array without a key dtype is taken for the words of a key",
                    "key = random.key(seed), or random.wrap_key_data(words) for saved words",
                )
            )
        return [ArrayType(words.shape[:-1], impl.dtype)]

    def reference(self, words, *, impl):
        return [words]

    def words(self, words, *, impl):
        return [words]


class RandomUnwrap(KeyPrimitive):
    """The words of keys, in a new last dimension."""

    def type(self, keys):
        _check_keys(self.name, keys)
        return [storage_type(keys)]

    def reference(self, keys):
        return [keys]

    def words(self, keys):
        return [keys]


class RandomSplit(KeyPrimitive):
    """Independent keys from every key, in new trailing dimensions of `shape`."""

    uses_up = True

    def type(self, keys, *, shape):
        _check_keys(self.name, keys)
        return [keys.update(shape=(*keys.shape, *shape))]

    def reference(self, keys, *, shape):
        return [counters.stacked_blocks_reference(keys, shape)]

    def words(self, keys, *, shape):
        return [pair(*counters.blocks(keys, shape))]


class RandomSplitInHalves(RandomSplit):
    """Independent keys from every key, each of which depends on how many there are."""

    def reference(self, keys, *, shape):
        return [counters.split_in_halves_reference(keys, shape)]

    def words(self, keys, *, shape):
        return [counters.split_in_halves(keys, shape)]


class RandomFoldIn(KeyPrimitive):
    """A new key from a key and a 32-bit number; either may be a scalar that serves the other."""

    def type(self, keys, numbers):
        _check_keys(self.name, keys)
        if numbers.dtype != _WORD:
            raise TypeError(
                located(
                    f"random_fold_in takes uint32 data, got {numbers.short()}",
                    attempt="numbers.astype('uint32'), or random.fold_in, which converts",
                )
            )
        shapes = {s for s in (keys.shape, numbers.shape) if s}
        if len(shapes) > 1:
            raise TypeError(
                located(
                    f"random_fold_in got incompatible shapes for broadcasting: {keys.shape}, "
                    f"{numbers.shape}.",
                    attempt="vmap(random.fold_in) for keys and numbers of one length",
                )
            )
        return [keys.update(shape=shapes.pop() if shapes else ())]

    def reference(self, keys, numbers):
        numbers = np.asarray(numbers)
        zero = np.zeros_like(numbers)
        return [np.stack(
            threefry2x32_p.reference(keys[..., 0], keys[..., 1], zero, numbers), axis=-1
        )]  # fmt: skip

    def words(self, keys, numbers):
        shape = typeof(keys).shape[:-1]
        first, second = word(keys, 0, shape), word(keys, 1, shape)
        return [pair(*threefry2x32_p.bind(first, second, _WORD.type(0), numbers))]

    def batch(self, size, operands, dims):
        keys, numbers = operands
        scalar = [d is None and not typeof(x).shape for x, d in zip(operands, dims, strict=True)]
        if not any(scalar):
            keys, numbers = (move_to_front(x, d, size) for x, d in zip(operands, dims, strict=True))
            ranks = typeof(keys).ndim, typeof(numbers).ndim
            if ranks[0] < ranks[1]:
                keys = broadcast_in_dim(keys, typeof(numbers).shape, (0,))
            elif ranks[1] < ranks[0]:
                numbers = broadcast_in_dim(numbers, typeof(keys).shape, (0,))
            return self.bind(keys, numbers), [0]
        dim = dims[1] if scalar[0] else dims[0]
        return self.bind(keys, numbers), [dim]


class RandomBits(KeyPrimitive):
    """Unsigned integers of `bit_width` random bits, `shape` of them from every key."""

    uses_up = True

    def type(self, keys, *, bit_width, shape):
        _check_keys(self.name, keys)
        if bit_width not in (8, 16, 32, 64):
            raise TypeError(
                located(
                    f"requires 8-, 16-, 32- or 64-bit field width, got {bit_width}.",
                    attempt="32, and shift the bits",
                )
            )
        return [ArrayType((*keys.shape, *shape), np.dtype(f"uint{bit_width}"))]

    def reference(self, keys, *, bit_width, shape):
        return [counters.bits_reference(keys, bit_width, shape)]

    def words(self, keys, *, bit_width, shape):
        return [counters.bits(keys, bit_width, shape)]


class RandomBitsInHalves(RandomBits):
    """Random bits, each of which depends on how many are drawn."""

    def reference(self, keys, *, bit_width, shape):
        return [counters.bits_in_halves_reference(keys, bit_width, shape)]

    def words(self, keys, *, bit_width, shape):
        return [counters.bits_in_halves(keys, bit_width, shape)]


class RandomClone(KeyPrimitive):
    """The same keys, said to be new ones."""

    def type(self, keys):
        return [keys]

    def reference(self, keys):
        return [keys]

    def words(self, keys):
        return [keys]


def _check_keys(name: str, type: ArrayType) -> None:
    if key_dtype_of(type) is None:
        raise TypeError(
            located(
                f"{name} takes random keys, got {type.short()}",
                attempt="fornax.random.key(seed), or wrap_key_data for an array of uint32 words",
            )
        )


random_seed_p = RandomSeed("random_seed")
random_wrap_p = RandomWrap("random_wrap")
random_unwrap_p = RandomUnwrap("random_unwrap")
random_split_p = RandomSplit("random_split")
random_fold_in_p = RandomFoldIn("random_fold_in")
random_bits_p = RandomBits("random_bits")
random_split_in_halves_p = RandomSplitInHalves("random_split_in_halves")
random_bits_in_halves_p = RandomBitsInHalves("random_bits_in_halves")
random_clone_p = RandomClone("random_clone")


def random_seed(seeds: Any, impl: Generator) -> Any:
    """Keys of the shape of the integers `seeds`."""
    return impl.seed(seeds)


def random_wrap(words: Any, impl: Generator) -> Any:
    """Keys whose words are the last dimension of a uint32 array."""
    return random_wrap_p.bind(words, impl=impl)[0]


def random_unwrap(keys: Any) -> Any:
    """The uint32 words of keys, in a new last dimension."""
    return random_unwrap_p.bind(keys)[0]


def random_split(keys: Any, shape: Sequence[int]) -> Any:
    """Keys of shape `(*keys.shape, *shape)`."""
    return generator_of(typeof(keys).dtype).split(keys, tuple(shape))


def random_fold_in(keys: Any, numbers: Any) -> Any:
    """Keys from keys and uint32 numbers, of one shape or scalar."""
    return generator_of(typeof(keys).dtype).fold_in(keys, numbers)


def random_bits(keys: Any, bit_width: int, shape: Sequence[int]) -> Any:
    """Random unsigned integers of shape `(*keys.shape, *shape)`."""
    return generator_of(typeof(keys).dtype).bits(keys, bit_width, tuple(shape))
