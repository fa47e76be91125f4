"""Splitting arrays along a dimension."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray
from fornax.numpy.promotion import check, concrete_form
from fornax.numpy.shaping import ndim
from fornax.primitives import stacking as _stacking
from fornax.primitives.shape import split_p
from fornax.source import located

__all__ = ["array_split", "dsplit", "hsplit", "split", "unstack", "vsplit"]


@eager(static="axis")
def unstack(x, /, *, axis=0):
    """The slices along `axis`, as a tuple."""
    x = asarray(x)
    if not typeof(x).shape:
        raise ValueError(
            located(
                "unstack requires arrays with rank > 0, however a scalar array was passed.",
                attempt="[x], or numpy.atleast_1d(x)",
            )
        )
    axis = canonical_axis(axis, typeof(x).ndim)
    return tuple(_stacking.unstack(x, axis))


def _split(name: str, ary: Any, sections: Any, axis: int, exact: bool) -> list[Any]:
    check(name, ary)
    ary = asarray(concrete_form(ary))
    axis = canonical_axis(axis, typeof(ary).ndim)
    n = typeof(ary).shape[axis]
    if isinstance(sections, Sequence | np.ndarray) or hasattr(sections, "shape") and sections.shape:
        if not isinstance(sections, Sequence | Tracer):
            sections = np.asarray(sections)
        points = [static_integer(p, "indices_or_sections") for p in sections]
        edges = [0, *points, n]
        if edges != sorted(edges):
            raise ValueError(
                located(
                    f"{name}: the indices {points} must increase from 0 to at most {n}",
                    attempt=f"indices from 0 to {n}, sorted",
                )
            )
    else:
        count = static_integer(sections, "indices_or_sections")
        if count < 1:
            kind = ValueError if count else ZeroDivisionError
            raise kind(
                located(
                    f"{name}: an array cannot be cut into {count} parts",
                    attempt="a number of parts that is 1 or more",
                )
            )
        if exact and n % count:
            raise ValueError(
                located(
                    "array split does not result in an equal division",
                    attempt="numpy.array_split, whose parts may differ by one",
                )
            )
        base, more = divmod(n, count)
        lengths = [base + 1] * more + [base] * (count - more)
        edges = [0, *np.cumsum(lengths).tolist()]
    sizes = tuple(high - low for low, high in itertools.pairwise(edges))
    return list(split_p.bind(ary, sizes=sizes, axis=axis))


@eager(static="indices_or_sections axis")
def split(ary, indices_or_sections, axis=0):
    """Pieces along `axis`: equal ones, or cut at the given indices."""
    return _split("split", ary, indices_or_sections, axis, exact=True)


@eager(static="indices_or_sections axis")
def array_split(ary, indices_or_sections, axis=0):
    """`split` that also takes a number of pieces that does not divide the dimension."""
    return _split("array_split", ary, indices_or_sections, axis, exact=False)


def vsplit(ary, indices_or_sections):
    """`split` along dimension 0."""
    return split(ary, indices_or_sections, 0)


def hsplit(ary, indices_or_sections):
    """`split` along dimension 1 (0 for 1-D arrays)."""
    return split(ary, indices_or_sections, 0 if ndim(ary) == 1 else 1)


def dsplit(ary, indices_or_sections):
    """`split` along dimension 2."""
    return split(ary, indices_or_sections, 2)
