"""Making keys and making more keys of them.

A key is a value of dtype `key<fry>` (`key`) or, in the older style, an array of two uint32 words
(`PRNGKey`). All functions take both, and give keys of the kind they were given.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import fornax.primitives.rbg  # noqa: F401  (makes its generators known)
from fornax import settings
from fornax.ir.static import static_integers
from fornax.ir.trace import current
from fornax.ir.types import is_value, typeof
from fornax.numpy.creation import asarray
from fornax.primitives import random as operations
from fornax.primitives.random import Generator, generator_named, generator_of
from fornax.runtime.key_array import KeyArray
from fornax.runtime.transfers import check_callers, takes_arrays
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.physical import key_dtype_of

__all__ = [
    "PRNGKey", "PRNGSpec", "clone", "default_prng_impl", "fold_in", "key", "key_data", "key_dtype",
    "key_impl", "random_clone_p", "resolve_prng_impl", "split", "wrap_key_data",
]  # fmt: skip

random_clone_p = operations.random_clone_p


class PRNGSpec:
    """Names a generator of random bits."""

    __slots__ = ("_impl",)

    def __init__(self, impl: Generator):
        self._impl = impl

    def __repr__(self) -> str:
        return f"PRNGSpec({self._impl.name!r})"

    def __str__(self) -> str:
        return str(self._impl)

    def __hash__(self) -> int:
        return hash(self._impl)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PRNGSpec) and self._impl is other._impl


def default_prng_impl() -> Generator:
    """The generator used where none is named. Raises ValueError if the setting names none."""
    return generator_named(settings.current().default_prng_impl)


def resolve_prng_impl(impl_spec: Any) -> Generator:
    """The generator of a name, PRNGSpec or key dtype; the default one for None.

    Raises ValueError for an unknown name, TypeError for anything else.
    """
    if impl_spec is None:
        return default_prng_impl()
    if isinstance(impl_spec, dtypes.ExtendedDtype):
        return generator_of(impl_spec)
    if isinstance(impl_spec, Generator):
        return impl_spec
    if isinstance(impl_spec, PRNGSpec):
        return impl_spec._impl
    if isinstance(impl_spec, str):
        return generator_named(impl_spec)
    raise TypeError(
        located(
            f"unrecognized type {type(impl_spec)} for specifying PRNG implementation.",
            attempt="impl='threefry2x32', or no impl",
        )
    )


def _chosen(name: str, impl: Any, dtype: Any) -> Generator:
    if dtype is not None and impl is not None:
        raise ValueError(
            located(
                f"Cannot specify both `impl` and `dtype` arguments to fornax.random.{name}",
                attempt="impl alone; dtype is its older name",
            )
        )
    return resolve_prng_impl(impl if dtype is None else dtype)


def key_dtype(impl_spec: Any = None) -> dtypes.ExtendedDtype:
    """The dtype of keys of a generator."""
    return resolve_prng_impl(impl_spec).dtype


# --- both kinds of keys ------------------------------------------------------------------------
def typed(name: str, key: Any, batched: bool = False) -> tuple[Any, bool]:
    """(keys as a key-typed value, whether they were given as an array of words).

    Raises TypeError for what is no key, ValueError for an array of keys unless `batched`.
    """
    if hasattr(key, "__jax_array__"):
        key = key.__jax_array__()
    if isinstance(key, bool | int | float | complex) or not is_value(key):
        raise TypeError(
            located(
                f"unexpected PRNG key type {type(key)}",
                "random functions take a key; there is no hidden state that a seed could set",
                "key = random.key(seed), and random.split(key) for each use",
            )
        )
    raw = key_dtype_of(typeof(key)) is None
    legacy = settings.current().legacy_prng_key
    if raw and legacy != "allow":
        text = (
            "Legacy uint32 key array passed as key to jax.random function. Please create keys "
            "using jax.random.key(). If use of a raw key array was intended, set "
            'jax_legacy_prng_key="allow".'
        )
        if legacy == "error":
            raise ValueError(
                located(
                    text,
                    "in this mode an array without a key dtype is no key",
                    "random.wrap_key_data(key), or random.key(seed) in the first place",
                )
            )
        warnings.warn(text, stacklevel=4)
    keys = wrapped(key, default_prng_impl()) if raw else key
    shape = typeof(keys).shape
    if shape and not batched:
        raise ValueError(
            located(
                f"{name} accepts a single key, but was given a key array of shape {shape} != (). "
                "Use fornax.vmap for batching.",
                "several keys mean several draws",
                f"keys[0], or fornax.vmap(random.{name})(keys)",
            )
        )
    return keys, raw


def wrapped(words: Any, impl: Generator) -> Any:
    """Keys around words; a plain object where nothing is traced."""
    type = typeof(words)
    if current() is None and type.dtype == dtypes.uint32 and type.shape[-1:] == impl.key_shape:
        return KeyArray(asarray(words), impl.dtype)
    return operations.random_wrap(words, impl)


def unwrapped(keys: Any) -> Any:
    """The words of keys."""
    return keys.words if isinstance(keys, KeyArray) else operations.random_unwrap(keys)


def _as_given(keys: Any, raw: bool) -> Any:
    return unwrapped(keys) if raw else keys


# --- making keys -------------------------------------------------------------------------------
def _seeded(name: str, seed: Any, impl: Generator) -> Any:
    if settings.guarding:
        check_callers((seed,))
    if hasattr(seed, "__jax_array__"):
        seed = seed.__jax_array__()
    if isinstance(getattr(seed, "dtype", None), dtypes.ExtendedDtype):
        raise TypeError(
            located(
                f"{name} accepts a scalar seed, but was given a PRNG key.",
                attempt="random.fold_in(key, number), or random.split(key), for more keys",
            )
        )
    if isinstance(seed, int):
        # more than 32 bits of a Python integer are cut off, not refused, unless x64 is enabled
        seed = np.int64(seed).astype(dtypes.canonical(np.int64))
    type = typeof(seed)
    if type.shape:
        raise TypeError(
            located(
                f"{name} accepts a scalar seed, but was given an array of shape {type.shape} != "
                "(). Use fornax.vmap for batching",
                attempt="vmap(random.key)(seeds), or random.split(random.key(seed), n)",
            )
        )
    return operations.random_seed(seed, impl)


@takes_arrays("impl dtype")
def key(seed: Any, *, impl: Any = None, dtype: Any = None) -> Any:
    """A key from a seed, an integer scalar.

    impl: the generator ("threefry2x32", "rbg", "unsafe_rbg"), or dtype: a key dtype. Raises
    TypeError for seeds that are no integer scalars.
    """
    return _seeded("key", seed, _chosen("key", impl, dtype))


@takes_arrays("impl")
def PRNGKey(seed: Any, *, impl: Any = None) -> Any:  # noqa: N802
    """A key of the older kind from a seed: an array of two uint32 words. See `key`.

    With the setting `enable_custom_prng`, a key as `key` gives it.
    """
    made = _seeded("PRNGKey", seed, resolve_prng_impl(impl))
    return made if settings.current().enable_custom_prng else unwrapped(made)


def split(key: Any, num: int | Sequence[int] = 2) -> Any:
    """Independent keys from one key.

    num: how many, or the shape of the array of keys. Raises ValueError for an array of keys.
    """
    keys, raw = typed("split", key)
    shape = tuple(num) if isinstance(num, Sequence) else (num,)
    shape = static_integers(shape, "shape")
    return _as_given(operations.random_split(keys, shape), raw)


@takes_arrays("")
def _word(number: Any) -> Any:
    """A Python number as 32 bits. Raises what Python and NumPy raise for those that are none."""
    try:
        return np.asarray(int(number), np.uint32)
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(
            located(
                f"fold_in accepts an integer of 32 bits, got {number!r}: {error}",
                attempt=f"numpy.uint32({number!r} % 2**32)"
                if isinstance(number, int)
                else "an integer that is different for each key",
            )
        ) from None


def fold_in(key: Any, data: Any) -> Any:
    """A key from a key and an integer scalar, which is taken modulo 2³².

    Raises TypeError for data that is no scalar, ValueError for an array of keys and for NaN,
    OverflowError for a Python number that is negative or too large.
    """
    keys, raw = typed("fold_in", key)
    if type(data) in (bool, int, float, complex):
        data = _word(data)
    shape = typeof(data).shape
    if shape:
        raise TypeError(
            located(
                f"fold_in accepts a scalar, but was given an array of shape {shape} != (). Use "
                "fornax.vmap for batching.",
                attempt="vmap(random.fold_in, (None, 0))(key, numbers)",
            )
        )
    return _as_given(operations.random_fold_in(keys, asarray(data, dtypes.uint32)), raw)


def key_data(keys: Any) -> Any:
    """The uint32 words of keys, in a new last dimension."""
    return unwrapped(typed("key_data", keys, batched=True)[0])


def wrap_key_data(key_bits_array: Any, *, impl: Any = None, dtype: Any = None) -> Any:
    """Keys out of a uint32 array whose last dimension has their words; undoes `key_data`."""
    return wrapped(key_bits_array, _chosen("wrap_key_data", impl, dtype))


def key_impl(keys: Any) -> str:
    """The name of the generator that keys are for."""
    return generator_of(typeof(typed("key_impl", keys, batched=True)[0]).dtype).name


def clone(key: Any) -> Any:
    """The same key, said to be used on purpose once more."""
    keys, raw = typed("clone", key, batched=True)
    return _as_given(random_clone_p.bind(keys)[0], raw)
