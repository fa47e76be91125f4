"""Rows of reductions, positions, running combinations and products."""

import numpy as np

from cases.row import Span, Variant, row
from fornax.primitives import (  # noqa: F401  (registers the primitives)
    argreduce,
    cumulative,
    cumulative_exponentials,
    dot,
    exponentials,
    reduce,
)
from fornax.primitives.ragged_dot import RaggedDotDimensionNumbers

DISTINCT = Span(distinct=True)
ANY = Span(integers=(-3, 3))

OVER = [
    Variant([(3, 4)], axes=(1,)), Variant([(3, 4)], axes=(0, 1)),
    Variant([(2, 3, 12)], axes=(0, 2)), Variant([(5,)], axes=(0,)),
    Variant([()], axes=()), Variant([(2, 3)], axes=()),
]  # fmt: skip
EMPTY = [Variant([(0, 3)], axes=(0,)), Variant([(0, 3)], axes=(1,))]
row("exponential_sum", [ANY], "f", OVER, loose=30, smooth=False, special=False)
row("reduce_sum", [ANY], "iufc", [*OVER, *EMPTY], loose=30, special=False)
row("reduce_prod", [ANY], "iufc", [*OVER, *EMPTY], loose=30, special=False)
for name in ("reduce_max", "reduce_min"):
    row(name, [DISTINCT], "biuf", OVER)
    row(name, [DISTINCT], "biuf", EMPTY, smooth=False, special=False)
    row(name, [ANY], "c", OVER, special=False)
for name in ("reduce_and", "reduce_or", "reduce_xor"):
    row(name, [ANY], "biu", [*OVER, *EMPTY])

for name in ("argmax", "argmin"):
    row(name, [ANY], "biuf", [
        Variant([(3, 4)], axes=(1,), index_dtype=np.dtype("int32")),
        Variant([(13, 2)], axes=(0,), index_dtype=np.dtype("int64")),
        Variant([(5,)], axes=(0,), index_dtype=np.dtype("uint8")),
        Variant([(0, 4)], axes=(1,), index_dtype=np.dtype("int32")),
    ])  # fmt: skip

ALONG = [
    Variant([shape], axis=axis, reverse=reverse)
    for shape, axis in (((3, 4), 0), ((3, 5), 1), ((7,), 0), ((1, 2), 0), ((2, 0), 1))
    for reverse in (False, True)
]
for name in ("cumsum", "cumprod"):
    row(name, [ANY], "iufc", ALONG, loose=30, special=False)
for name in ("cummax", "cummin"):
    row(name, [DISTINCT], "iuf", ALONG)
row("cumlogsumexp", [ANY], "f", ALONG, loose=30, special=False)
row("cumlogsumexp", [Span(0.1, 2.0)], "c", ALONG, loose=30, special=False)
row("cumsumexp", [ANY, ANY, Span(1.0, 6.0)], "f", [
    Variant(along.shapes * 3, **along.params) for along in ALONG
], loose=30, special=False)  # fmt: skip


def product(left, right, contract, batch=((), ()), **params):
    return Variant([left, right], dimension_numbers=(contract, batch), **params)


PRODUCTS = [
    product((3, 4), (4, 5), ((1,), (0,))),
    product((4, 3), (5, 4), ((0,), (1,))),
    product((4,), (4,), ((0,), (0,))),
    product((3,), (4,), ((), ())),
    product((2, 3, 4), (2, 4, 5), ((2,), (1,)), ((0,), (0,))),
    product((4, 2, 3), (5, 3, 4), ((0,), (2,)), ((2,), (1,))),
    product((2, 3, 4), (4, 2, 5), ((0, 2), (1, 0))),
    product((2, 3), (2, 3), ((), ()), ((1, 0), (1, 0))),
    product((0, 3), (3, 2), ((1,), (0,))),
    product((2, 0), (0, 2), ((1,), (0,))),
    product((), (2,), ((), ())),
]
row("dot_general", [ANY, ANY], "biufc", PRODUCTS, loose=30, special=False)
row("dot_general", [Span(dtype="bfloat16"), Span(dtype="bfloat16")], "b", [
    product((3, 4), (4, 2), ((1,), (0,)), preferred_element_type=np.dtype("float32")),
], loose=30, special=False)  # fmt: skip
row("dot_general", [Span(dtype="int8"), Span(dtype="int8")], "b", [
    product((3, 4), (4, 2), ((1,), (0,)), preferred_element_type=np.dtype("int32")),
], special=False)  # fmt: skip


def ragged(left, right, sizes, contract, place, groups, batch=((), ())):
    numbers = RaggedDotDimensionNumbers((contract, batch), (place,), groups)
    return Variant([left, right, sizes], ragged_dot_dimension_numbers=numbers)


row("ragged_dot_general", [ANY, ANY, Span(integers=(-1, 3), dtype="int32")], "iufc", [
    ragged((6, 3), (4, 3, 2), (4,), ((1,), (1,)), 0, (0,)),
    ragged((2, 6, 3), (2, 3, 4, 5), (2, 4), ((2,), (1,)), 1, (2,), ((0,), (0,))),
    ragged((2, 6, 3), (4, 3, 5), (2, 4), ((2,), (1,)), 1, (0,)),
    ragged((3, 6), (6, 2), (4,), ((1,), (0,)), 1, ()),
    ragged((2, 3, 6), (6, 2, 5), (2, 4), ((2,), (0,)), 2, (), ((0,), (1,))),
    ragged((2, 6, 3), (2, 3, 5), (4,), ((2,), (1,)), 0, (), ((0,), (0,))),
    ragged((0, 3), (2, 3, 2), (2,), ((1,), (1,)), 0, (0,)),
], loose=30, special=False)  # fmt: skip
