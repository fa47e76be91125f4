"""Choosing among finitely many things: categorical, choice, permutation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.shapes import canonical_axis, expand_dims, reshape
from fornax.numpy.promotion import check, promote_inexact
from fornax.primitives.random import random_bits, random_split
from fornax.primitives.sort import sort_p, top_k_p
from fornax.random.continuous import gumbel_mode, standard_gumbel
from fornax.random.keys import typed
from fornax.random.sampler import check_shape, sampler, shape_of
from fornax.random.uniform_family import randint, uniform
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["categorical", "choice", "permutation"]


def categorical(
    key: Any,
    logits: Any,
    axis: int = -1,
    shape: Sequence[int] | None = None,
    replace: bool = True,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
):
    """Indices along `axis`, drawn with the probabilities softmax(logits).

    logits: floats. shape: the result's shape, which ends with that of logits without `axis`; that
    shape by default. replace: whether draws in the leading dimensions of `shape` may repeat.
    mode: see `gumbel`. Raises ValueError for a shape that does not fit, or more draws without
    replacement than there are categories.
    """
    keys, _ = typed("categorical", key)
    check("categorical", logits)
    logits = fnp.asarray(logits)
    rest = list(logits.shape)
    del rest[canonical_axis(axis, len(rest))]
    batch = tuple(rest)
    shape = batch if shape is None else shape_of(shape)
    check_shape("categorical", shape, batch)
    return _categorical(
        keys, logits, axis=canonical_axis(axis, logits.ndim) - logits.ndim, shape=shape,
        replace=bool(replace), mode=gumbel_mode(mode),
    )  # fmt: skip


@sampler
def _categorical(key, logits, *, axis, shape, replace, mode):
    count = logits.shape[axis]
    draws = shape[: len(shape) - logits.ndim + 1]
    if replace:
        full = list(shape[len(draws) :])
        full.insert(axis + logits.ndim, count)
        noise = standard_gumbel(key, shape=(*draws, *full), dtype=logits.dtype, mode=mode)
        return fnp.argmax(noise + expand_dims(logits, tuple(range(len(draws)))), axis=axis)
    number = math.prod(draws)
    if number > count:
        raise ValueError(
            located(
                f"Number of samples without replacement ({number}) cannot exceed number of "
                f"categories ({count}).",
                attempt=f"at most {count} samples, or replace=True",
            )
        )
    noise = standard_gumbel(key, shape=logits.shape, dtype=logits.dtype, mode=mode)
    chosen = _largest(fnp.moveaxis(logits + noise, axis, -1), number)
    return reshape(fnp.moveaxis(chosen, -1, 0), shape)


def _largest(x: Any, number: int) -> Any:
    """The indices of the largest elements along the last dimension, the largest first."""
    return top_k_p.bind(x, k=number, axis=typeof(x).ndim - 1)[1]


def permutation(
    key: Any, x: Any, axis: int = 0, independent: bool = False, *, out_sharding: Any = None
):
    """The parts of an array in random order, or 0 … x - 1 for an integer.

    x: an array or integer. axis: along which to reorder. independent: reorder each line on its own
    instead of whole slices. Raises TypeError for a scalar that is no integer.
    """
    keys, _ = typed("permutation", key)
    check("permutation", x)
    type = typeof(x)
    axis = canonical_axis(axis, type.ndim or 1)
    if not type.shape:
        if not dtypes.is_integer(type.dtype):
            raise TypeError(
                located(
                    "x must be an integer or at least 1-dimensional",
                    attempt="numpy.arange(n) or a list of the elements as an array",
                )
            )
        return _shuffle(keys, fnp.arange(static_integer(x, "x")), axis=axis)
    x = fnp.asarray(x)
    if independent or type.ndim == 1:
        return _shuffle(keys, x, axis=axis)
    order = _shuffle(keys, fnp.arange(type.shape[axis]), axis=0)
    return fnp.take(x, order, axis)


@sampler(exact=True)
def _shuffle(key, x, *, axis):
    # Sorting by random words gives any order alike unless words are equal. Enough rounds make that
    # as rare as in one round of words with three times the bits that the size needs.
    size = max(1, typeof(x).size)
    rounds = math.ceil(3 * np.log(size) / np.log(np.iinfo(np.uint32).max))
    for _ in range(rounds):
        key, part = random_split(key, (2,))
        words = random_bits(part, 32, typeof(x).shape)
        _, x = sort_p.bind(words, x, dimension=axis, is_stable=True, num_keys=1)
    return x


def choice(
    key: Any,
    a: Any,
    shape: Sequence[int] = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    mode: str | None = None,
):
    """Elements (slices along `axis`) of an array, or integers below `a`, drawn at random.

    shape: how many, in which shape. replace: whether an element can be drawn again. p: the
    probability of each element, a vector; all alike by default. mode: see `gumbel`.
    Raises ValueError for more draws than elements without replacement, and for a p that does not
    fit; TypeError for a shape that is no sequence.
    """
    keys, _ = typed("choice", key)
    if not isinstance(shape, Sequence):
        raise TypeError(
            located(
                f"shape argument of fornax.random.choice must be a sequence, got {shape}",
                attempt="shape=(n,), or () for one sample",
            )
        )
    check("choice", a)
    scalar = not typeof(a).shape
    if scalar:
        array, count = None, static_integer(a, "a")
        dtype = typeof(a).dtype
    else:
        array = fnp.asarray(a)
        axis = canonical_axis(axis, array.ndim)
        count, dtype = array.shape[axis], array.dtype
    shape = shape_of(shape)
    draws = math.prod(shape)
    if draws == 0:
        return fnp.zeros(shape, dtype)
    if count <= 0:
        raise ValueError(
            located(
                "a must be greater than 0 unless no samples are taken",
                attempt="an array with at least one element, or shape=(0,)",
            )
        )
    if not replace and draws > count:
        raise ValueError(
            located(
                f"Cannot take a larger sample (size {draws}) than population (size {count}) when "
                "'replace=False'",
                attempt=f"at most {count} samples, or replace=True",
            )
        )
    if p is None and not replace:
        order = permutation(keys, count if scalar else array, axis)
        result = order[(slice(None),) * (0 if scalar else axis) + (slice(draws),)]
    else:
        if p is None:
            index = randint(keys, shape, 0, count)
        else:
            index = _weighted(keys, p, count, shape, replace, mode)
        result = index if scalar else fnp.take(array, index, axis)
    if scalar:
        return fnp.reshape(result, shape)
    return fnp.reshape(result, (*array.shape[:axis], *shape, *array.shape[axis + 1 :]))


def _weighted(key, p, count, shape, replace, mode):
    check("choice", p)
    (p,) = promote_inexact(p)
    p = fnp.asarray(p)
    if p.shape != (count,):
        raise ValueError(
            located(
                "p must be None or a 1D vector with the same size as a.shape[axis]. p has shape "
                f"{p.shape} and a.shape[axis] is {count}.",
                attempt=f"one probability for each of the {count} elements along the axis",
            )
        )
    index = dtypes.canonical(int)
    if replace:
        sums = fnp.cumsum(p)
        place = sums[-1] * (1 - uniform(key, shape, dtype=p.dtype))
        return fnp.searchsorted(sums, place).astype(index)
    noise = standard_gumbel(key, shape=(count,), dtype=p.dtype, mode=gumbel_mode(mode))
    return _largest(noise + fnp.log(p), math.prod(shape)).astype(index)
