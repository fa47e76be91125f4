"""Sums of exponentials, as softmax and logsumexp are made of, in one pass over what they are of.

    m = max(x);  s = sum(exp(x - c)), where c comes from m

reads x twice, and columns of a large array come from memory both times. Instead their sum is made
together with their maximum, from the largest element so far: where a larger one comes, what has
been added up is multiplied by exp(old - new) (Milakov and Gimelshein, 2018: Online normalizer
calculation for softmax). Then

    s = sum(exp(x - m)) exp(m - c)

in the same parts of rows as the maximum (`two_stages`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any

from fornax.compiler.deviations import depends
from fornax.compiler.two_stages import FEW_RESULTS, divided, is_read, parts_of_rows
from fornax.ir.basis import broadcast_in_dim, reduce_sum
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.composite import optimization_barrier_p
from fornax.primitives.elementwise import exp_p, mul_p, sub_p
from fornax.primitives.exponentials import exponential_sum_p
from fornax.primitives.reduce import reduce_max_p
from fornax.primitives.shape import reshape
from fornax.transforms.stage import Stage

#: bytes from which on an array is read once: caches that all threads share hold smaller ones, and
#: it takes more work
LARGE = 1 << 25


def exponentials(
    terms: Atom, axes: tuple[int, ...], definition: Mapping[Atom, Equation],
    largest: Mapping[tuple[Atom, tuple[int, ...]], Var],
) -> tuple[Atom, Atom, Jaxpr] | None:  # fmt: skip
    """How terms that are added up along `axes` are exponentials of what a maximum is known of: x,
    c, and the program that gives their sum."""
    made = definition.get(terms)
    difference = definition.get(made.inputs[0]) if made and made.primitive is exp_p else None
    if difference is None or difference.primitive is not sub_p:
        return None
    x, filled = difference.inputs
    most, spread = largest.get((x, axes)), definition.get(filled)
    if most is None or spread is None or spread.primitive.name != "broadcast_in_dim":
        return None
    (centre,), places = spread.inputs, tuple(spread.params["broadcast_dimensions"])
    same = all(n == 1 for d, n in zip(places, centre.type.shape, strict=True) if d in axes)
    if not same or not depends(centre, most, definition):
        return None
    return (
        (x, centre, online(x.type, centre.type, axes, places))
        if pays(x, axes, definition)
        else None
    )


def pays(x: Atom, axes: tuple[int, ...], definition: Mapping[Atom, Equation]) -> bool:
    """Whether columns are added up that come from memory, and that the maximum goes through in the
    same parts."""
    type = x.type
    if type.dtype.itemsize < 4 or type.size * type.dtype.itemsize < LARGE:
        return False
    results = type.size // prod(type.shape[a] for a in axes)
    return len(type.shape) - 1 not in axes and results > FEW_RESULTS and is_read(x, definition)


@lru_cache(256)
def online(
    type: ArrayType, middle: ArrayType, axes: tuple[int, ...], places: tuple[int, ...]
) -> Jaxpr:
    """The program that adds up exponentials of x, which is of `type`, less the centre."""
    trace = Stage(purpose="the sum of exponentials")
    with new_trace(trace):
        x, centre = map(trace.new_input, (type, middle))
        kept = [d for d in range(len(type.shape)) if d not in axes]
        mine = [k for k, d in enumerate(places) if d not in axes]
        centre = reshape(centre, tuple(typeof(centre).shape[k] for k in mine))
        at = [kept.index(places[k]) for k in mine]
        shape, inside, axis, parts = parts_of_rows(type, axes)
        if parts == 1:
            return trace.finish([mul_p(*of_part(x, axes, centre, at))], "exponentials")
        blocks = divided(reshape(x, shape), axis, parts, 0)
        place = sum(1 for a in range(axis) if a not in inside)
        within = tuple(a + (a >= axis) for a in inside)
        sums, share = of_part(blocks, within, centre, [a + (a >= place) for a in at])
        return trace.finish([reduce_sum(mul_p(sums, share), (place,))], "exponentials")


def of_part(x: Any, axes: tuple[int, ...], centre: Any, at: list[int]) -> tuple[Any, Any]:
    """Sums of exponentials of which the largest is 1, and what to multiply them by."""
    sums, most = exponential_sum_p.bind(x, axes=axes)[0], reduce_max_p.bind(x, axes=axes)[0]
    (sums,), (most,) = optimization_barrier_p.bind(sums), optimization_barrier_p.bind(most)
    return sums, exp_p.bind(sub_p(most, broadcast_in_dim(centre, typeof(most).shape, at)))[0]
