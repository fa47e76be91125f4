"""Large reductions to few results, in two stages, so that threads can share the first.

    sum(x)      ->  sum(sum(reshape(x, (parts, n / parts)), along 1))
    argmax(x)   ->  the argmax of the first part whose largest element no other exceeds

The number of parts depends on shapes alone, hence so do the results. Nothing is left to be cut in
what comes out: there are either many results then or few elements of each.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, prod
from typing import Any

import numpy as np

from fornax.compiler import cost
from fornax.ir.basis import broadcast_in_dim, reduce_sum
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Primitive
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.argreduce import argmax_p
from fornax.primitives.compare import eq_p
from fornax.primitives.elementwise import add_p, mul_p
from fornax.primitives.iota import iota
from fornax.primitives.pad import pad
from fornax.primitives.reduce import reduce_max_p, reduce_min_p
from fornax.primitives.select import where
from fornax.primitives.shape import reshape
from fornax.scalars import dtypes
from fornax.transforms.stage import Stage

#: reductions whose partial results are rounded
ROUNDED = frozenset(("reduce_sum", "reduce_prod"))
#: and those whose are not
EXACT = frozenset(("reduce_max", "reduce_min", "reduce_and", "reduce_or", "argmax", "argmin"))
REDUCTIONS = ROUNDED | EXACT
#: a reduction is cut if it has at most so many results, each of `cost.LARGE` elements or more,
#: into parts of about half of that at least
FEW_RESULTS = 64
#: most parts, as a multiple of those that are wanted
MANY = 4


def in_two_stages(primitive: Primitive, type: ArrayType, params: dict[str, Any]) -> Jaxpr | None:
    """The program that computes a reduction of an array of `type` in two stages; None where one
    does as well."""
    name = primitive.name
    if name in ROUNDED:
        if type.dtype.kind not in "iub" and type.dtype.itemsize < 4:
            return None  # partial results would be rounded to it
    if dtypes.is_complex(type.dtype):
        return None
    axes = params["axes"]
    reduced = prod(type.shape[a] for a in axes)
    if not type.size or reduced < cost.LARGE or type.size // reduced > FEW_RESULTS:
        return None
    wanted = min(ceil((FEW_RESULTS + 1) * reduced / type.size), 2 * reduced // cost.LARGE)
    axis, parts = cut(type.shape, axes, wanted)
    return _program(primitive, type, tuple(sorted(params.items())), axis, parts)


def cut(shape: tuple[int, ...], axes: tuple[int, ...], wanted: int) -> tuple[int, int]:
    """Which dimension to cut and into how many parts: the first that divides into `wanted` of
    them or some more; else the longest, which is made longer."""
    for axis in sorted(axes):
        n = shape[axis]
        for parts in range(wanted, min(MANY * wanted, n) + 1):
            if n % parts == 0:
                return axis, parts
    return max(axes, key=lambda a: shape[a]), wanted


@lru_cache(256)
def _program(primitive: Primitive, type: ArrayType, params: tuple, axis: int, parts: int) -> Jaxpr:
    trace = Stage(purpose=f"the stages of {primitive.name}")
    with new_trace(trace):
        x = trace.new_input(type)
        compute = extreme if primitive.name in ("argmax", "argmin") else reduction
        result = compute(primitive, x, dict(params), axis, parts)
        return trace.finish([result], primitive.name)


def divided(x: Any, axis: int, parts: int, neutral: Any) -> Any:
    """`x` with dimension `axis` cut in two: parts, and elements of each."""
    shape = typeof(x).shape
    length = ceil(shape[axis] / parts)
    missing = parts * length - shape[axis]
    if missing:
        value = np.asarray(neutral, typeof(x).dtype)[()]
        x = pad(x, value, [(0, missing if a == axis else 0, 0) for a in range(len(shape))])
    return reshape(x, (*shape[:axis], parts, length, *shape[axis + 1 :]))


def reduction(primitive: Any, x: Any, params: dict, axis: int, parts: int) -> Any:
    axes = params.pop("axes")
    start = 0 if primitive.name == "reduce_sum" else primitive.start(typeof(x).dtype)
    x = divided(x, axis, parts, start)
    inside = tuple(a + (a >= axis) for a in axes)
    partial = primitive.bind(x, axes=inside, **params)[0]
    place = sum(1 for a in range(axis) if a not in axes)
    return primitive.bind(partial, axes=(place,), **params)[0]


def extreme(primitive: Any, x: Any, params: dict, axis: int, parts: int) -> Any:
    """The position of the first extreme along the only axis."""
    value_of, worst = reduce_max_p, dtypes.least
    if primitive is not argmax_p:
        value_of, worst = reduce_min_p, dtypes.greatest
    x = divided(x, axis, parts, worst(typeof(x).dtype))
    best = value_of.bind(x, axes=(axis + 1,))[0]
    inside = primitive.bind(x, **{**params, "axes": (axis + 1,)})[0]
    first = primitive.bind(best, **{**params, "axes": (axis,)})[0]
    shape, index = typeof(inside).shape, params["index_dtype"]
    number = iota(index, shape, axis)
    kept = [a for a in range(len(shape)) if a != axis]
    chosen = eq_p(number, broadcast_in_dim(first, shape, kept))
    length = np.asarray(typeof(x).shape[axis + 1], index)[()]
    position = add_p(mul_p(number, length), inside)
    return reduce_sum(where(chosen, position, np.asarray(0, index)[()]), (axis,))
